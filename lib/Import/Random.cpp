// Operators with random results: functions of a counter-based generator, the same in every run.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::RandomKind;
using graph::UnaryKind;

/// The model's seed. Without one, nodes differ by the names of their results.
static int64_t seedOf(Node &node) {
  if (node.opType() == "Dropout" && node.hasAttribute("seed"))
    return node.intAttribute("seed", 0);
  if (node.hasAttribute("seed"))
    return static_cast<int64_t>(llvm::bit_cast<uint32_t>(float(node.floatAttribute("seed", 0))));
  return static_cast<int64_t>(llvm::xxh3_64bits(node.outputName(0)));
}

/// Random numbers in the type in which numbers of `element` are made.
static Value randomOf(Node &node, RandomKind kind, Value shape, Type element) {
  if (!shape)
    return {};
  Type made = element.isF64() ? element : Type(node.builder().getF32Type());
  auto op = node.create<graph::RandomOp>(node.tensorOf(made), kind, shape, seedOf(node));
  return op ? Value(op.getResult()) : Value();
}

static Value scaled(Node &node, Value x, double factor, double offset) {
  return node.binary(BinaryKind::add, node.binary(BinaryKind::mul, x, factor), offset);
}

template <RandomKind kind, bool isLike> static LogicalResult importRandom(Node &node) {
  Type element = node.builder().getF32Type();
  Value shape;
  if (isLike) {
    shape = node.shapeOf(node.input(0));
    element = Node::elementOf(node.input(0));
  } else {
    std::optional<Ints> sizes = node.intsAttribute("shape");
    if (!sizes && !node.hasFailed())
      node.error() << node.opType() << " has no attribute 'shape'";
    if (sizes)
      shape = node.constant(*sizes);
  }
  if (node.hasAttribute("dtype"))
    element = node.typeAttribute("dtype", element);
  bool isNormal = kind == RandomKind::normal;
  double first = node.floatAttribute(isNormal ? "mean" : "low", 0);
  double second = node.floatAttribute(isNormal ? "scale" : "high", 1);
  if (!element || node.hasFailed())
    return failure();
  if (!isa<FloatType>(element))
    return node.error() << node.opType() << " of element type " << element << " is not supported";
  Value x = randomOf(node, kind, shape, element);
  x = scaled(node, x, isNormal ? second : second - first, first);
  return node.result(node.cast(x, element));
}

/// 1 with the probability that the operand gives.
static LogicalResult importBernoulli(Node &node) {
  Value x = node.input(0);
  Type element = Node::elementOf(x);
  Type target = node.hasAttribute("dtype") ? node.typeAttribute("dtype", element) : element;
  Value random = randomOf(node, RandomKind::uniform, node.shapeOf(x), element);
  if (!target || !random)
    return failure();
  Value isOne = node.binary(BinaryKind::less, random, node.cast(x, Node::elementOf(random)));
  return node.result(node.cast(isOne, target));
}

/// Classes drawn by the logarithms of their probabilities: the largest of log p - log(-log u).
static LogicalResult importMultinomial(Node &node) {
  Value x = node.input(0);
  OpBuilder &builder = node.builder();
  Type element = Node::elementOf(x), i64 = builder.getI64Type();
  Type target = builder.getI32Type();
  if (node.hasAttribute("dtype"))
    target = node.typeAttribute("dtype", target);
  int64_t samples = node.intAttribute("sample_size", 1);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || !target || node.hasFailed())
    return failure();
  if (*rank != 2 || samples < 0)
    return node.error() << "Multinomial takes " << samples << " samples of a tensor of rank "
                        << *rank << "; the rank must be 2";
  Value shape =
      node.concat({node.shapeOf(x, 0, 1), node.constant({samples}), node.shapeOf(x, 1, 2)}, 0);
  Value random = randomOf(node, RandomKind::uniform, shape, element);
  if (!random)
    return failure();
  auto minusLog = [&](Value value) {
    return node.unary(UnaryKind::neg, node.unary(UnaryKind::log, value));
  };
  Value weight = node.unsqueeze(node.cast(x, Node::elementOf(random)), {1});
  Value drawn = node.binary(BinaryKind::add, weight, minusLog(minusLog(random)));
  if (!drawn)
    return failure();
  auto op = node.create<graph::ArgReduceOp>(node.tensorOf(i64), drawn, /*smallest=*/false, 2,
                                            /*keepDims=*/false, /*selectLast=*/false);
  return op ? node.result(node.cast(op.getResult(), target)) : failure();
}

/// Dropout passes its input on, but in training mode, which may be known when running only.
static LogicalResult importDropout(Node &node) {
  Value x = node.input(0);
  OpBuilder &builder = node.builder();
  Type element = Node::elementOf(x), i1 = builder.getI1Type();
  Type maskType = node.version() >= 10 ? i1 : element;
  Value mode = node.input(2), shape = node.shapeOf(x);
  std::optional<double> known = mode ? node.knownScalar(2) : std::optional<double>(0);
  if (node.version() < 12)
    node.ignore({"consumed_inputs", "is_test", "ratio"});
  if (known == 0.0) {
    node.ignore({"seed"});
    if (node.wantsOutput(1))
      node.setResult(1, node.full(shape, 1, maskType));
    return node.result(x);
  }
  Value ratio = node.hasInput(1) ? node.input(1) : node.scalar(0.5, builder.getF32Type());
  Value random = randomOf(node, RandomKind::uniform, shape, element);
  if (!random || !ratio)
    return failure();
  Type compute = Node::elementOf(random);
  ratio = node.cast(ratio, compute);
  Value keeps = node.binary(BinaryKind::greater_equal, random, ratio);
  Value factor = node.binary(BinaryKind::div, node.scalar(1, compute),
                             node.binary(BinaryKind::sub, node.scalar(1, compute), ratio));
  Value result = node.select(keeps, node.binary(BinaryKind::mul, node.cast(x, compute), factor),
                             node.scalar(0, compute));
  result = node.cast(result, element);
  if (!known) {
    Value isTraining = node.cast(mode, i1);
    result = node.select(isTraining, result, x);
    keeps =
        node.binary(BinaryKind::logical_or, keeps, node.unary(UnaryKind::logical_not, isTraining));
  }
  if (node.wantsOutput(1))
    node.setResult(1, node.cast(keeps, maskType));
  return node.result(result);
}

/// Whether the value, or anything that it is computed from, is random.
static bool isRandom(Value value) {
  llvm::SetVector<Operation *> ops;
  auto add = [&](Value operand) {
    if (Operation *op = operand.getDefiningOp())
      ops.insert(op);
    else if (Operation *parent = operand.getParentBlock()->getParentOp();
             !isa<func::FuncOp>(parent))
      ops.insert(parent);
  };
  add(value);
  for (size_t i = 0; i < ops.size(); ++i) {
    bool found = false;
    ops[i]->walk([&](Operation *op) {
      found |= isa<graph::RandomOp>(op);
      llvm::for_each(op->getOperands(), add);
    });
    if (found)
      return true;
  }
  return false;
}

void lathe::import::markRandomOutputs(func::FuncOp main) {
  SmallVector<Attribute> names;
  for (auto [i, value] : llvm::enumerate(main.getBody().front().getTerminator()->getOperands()))
    if (isRandom(value))
      if (auto name = main.getResultAttrOfType<StringAttr>(i, "graph.name"))
        names.push_back(name);
  if (!names.empty())
    main->getParentOp()->setAttr("graph.random_outputs", ArrayAttr::get(main.getContext(), names));
}

ArrayRef<Operator> lathe::import::randomOperators() {
  static const Operator operators[] = {
      {"RandomUniform", {1, 22}, 0, 0, importRandom<RandomKind::uniform, false>, kAny},
      {"RandomNormal", {1, 22}, 0, 0, importRandom<RandomKind::normal, false>, kAny},
      {"RandomUniformLike",
       {1, 22},
       1,
       1,
       importRandom<RandomKind::uniform, true>,
       kAny,
       "float results only"},
      {"RandomNormalLike",
       {1, 22},
       1,
       1,
       importRandom<RandomKind::normal, true>,
       kAny,
       "float results only"},
      {"Bernoulli", {15, 22}, 1, 1, importBernoulli, kFloats},
      {"Multinomial", {7, 22}, 1, 1, importMultinomial, kFloats},
      {"Dropout", {1, 6, 7, 10, 12, 13, 22}, 1, 3, importDropout, kFloats | kFloat8},
  };
  return operators;
}
