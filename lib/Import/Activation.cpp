// Activation functions, most of them composed of arithmetic.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Activation.h"
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

template <UnaryKind kind> static LogicalResult importFunction(Node &node) {
  if (node.version() == 1)
    node.ignore({"consumed_inputs"});
  return node.result(node.unary(kind, node.input(0)));
}

/// x < 0 ? negative : x
static Value forNegative(Node &node, Value x, Value negative) {
  return node.select(node.binary(BinaryKind::less, x, 0), negative, x);
}

static LogicalResult importLeakyRelu(Node &node) {
  node.ignore({"consumed_inputs"});
  Value x = node.input(0);
  double alpha = node.floatAttribute("alpha", 0.01f);
  return node.result(forNegative(node, x, node.binary(BinaryKind::mul, x, alpha)));
}

static LogicalResult importPRelu(Node &node) {
  node.ignore({"consumed_inputs"});
  Value x = node.input(0), slope = node.input(1);
  // Before opset 7 a 1-D slope holds a value per channel, dimension 1.
  if (node.version() < 7 && Node::rankOf(slope) == 1) {
    std::optional<int64_t> rank = node.requireRank(x, "input 0");
    if (!rank)
      return failure();
    if (*rank > 2)
      slope = node.unsqueeze(slope, llvm::to_vector(llvm::seq<int64_t>(1, *rank - 1)));
  }
  return node.result(forNegative(node, x, node.binary(BinaryKind::mul, x, slope)));
}

/// exp(x) - 1
static Value expMinusOne(Node &node, Value x) {
  return node.binary(BinaryKind::sub, node.unary(UnaryKind::exp, x), 1);
}

/// Computed in f32 where 16 bits would cancel: exp(-0.001) - 1 is 0 in bf16.
static Value inSingle(Node &node, llvm::function_ref<Value(Value)> compute) {
  Value x = node.input(0);
  Type element = Node::elementOf(x);
  if (!element || !(element.isF16() || element.isBF16()))
    return compute(x);
  return node.cast(compute(node.cast(x, node.builder().getF32Type())), element);
}

static LogicalResult importElu(Node &node) {
  node.ignore({"consumed_inputs"});
  double alpha = node.floatAttribute("alpha", 1);
  return node.result(inSingle(node, [&](Value x) {
    return forNegative(node, x, node.binary(BinaryKind::mul, expMinusOne(node, x), alpha));
  }));
}

static LogicalResult importSelu(Node &node) {
  node.ignore({"consumed_inputs"});
  double alpha =
      node.floatAttribute("alpha", node.version() == 1 ? 1.6732f : 1.67326319217681884766f);
  double gamma =
      node.floatAttribute("gamma", node.version() == 1 ? 1.0507f : 1.05070102214813232422f);
  return node.result(inSingle(node, [&](Value x) {
    Value elu = forNegative(node, x, node.binary(BinaryKind::mul, expMinusOne(node, x), alpha));
    return node.binary(BinaryKind::mul, elu, gamma);
  }));
}

static LogicalResult importCelu(Node &node) {
  double alpha = node.floatAttribute("alpha", 1);
  return node.result(inSingle(node, [&](Value x) {
    Value scaled = node.binary(BinaryKind::div, x, alpha);
    return forNegative(node, x, node.binary(BinaryKind::mul, expMinusOne(node, scaled), alpha));
  }));
}

static LogicalResult importThresholdedRelu(Node &node) {
  Value x = node.input(0);
  Value above = node.binary(BinaryKind::greater, x, node.floatAttribute("alpha", 1));
  return node.result(node.select(above, x, node.scalar(0, Node::elementOf(x))));
}

/// max(0, min(1, alpha * x + beta))
static Value hardSigmoid(Node &node, Value x, double alpha, double beta) {
  Value line = node.binary(BinaryKind::add, node.binary(BinaryKind::mul, x, alpha), beta);
  return node.binary(BinaryKind::max, node.binary(BinaryKind::min, line, 1), 0);
}

static LogicalResult importHardSigmoid(Node &node) {
  node.ignore({"consumed_inputs"});
  double alpha = node.floatAttribute("alpha", 0.2f), beta = node.floatAttribute("beta", 0.5);
  return node.result(hardSigmoid(node, node.input(0), alpha, beta));
}

/// x times a slope between 0 and 1.
static Value hardSwish(Node &node, Value x) {
  return node.binary(BinaryKind::mul, x, hardSigmoid(node, x, 1.0 / 6, 0.5));
}

static LogicalResult importHardSwish(Node &node) {
  return node.result(inSingle(node, [&](Value x) { return hardSwish(node, x); }));
}

static LogicalResult importMish(Node &node) {
  Value x = node.input(0);
  Value gate = node.unary(UnaryKind::tanh, node.unary(UnaryKind::softplus, x));
  return node.result(node.binary(BinaryKind::mul, x, gate));
}

static Value softsign(Node &node, Value x) {
  Value size = node.binary(BinaryKind::add, node.unary(UnaryKind::abs, x), 1);
  return node.binary(BinaryKind::div, x, size);
}

static LogicalResult importSoftsign(Node &node) {
  return node.result(softsign(node, node.input(0)));
}

static LogicalResult importShrink(Node &node) {
  // The limits need not be integers where the operand is.
  Type element = Node::elementOf(node.input(0));
  Value x = isa<FloatType>(element) ? node.input(0)
                                    : node.cast(node.input(0), node.builder().getF64Type());
  double bias = node.floatAttribute("bias", 0), lambda = node.floatAttribute("lambd", 0.5);
  Value inner =
      node.select(node.binary(BinaryKind::greater, x, lambda),
                  node.binary(BinaryKind::sub, x, bias), node.scalar(0, Node::elementOf(x)));
  Value result = node.select(node.binary(BinaryKind::less, x, -lambda),
                             node.binary(BinaryKind::add, x, bias), inner);
  return node.result(node.cast(result, element));
}

/// x * sigmoid(alpha * x)
static Value swish(Node &node, Value x, double alpha) {
  Value scaled = alpha == 1 ? x : node.binary(BinaryKind::mul, x, alpha);
  return node.binary(BinaryKind::mul, x, node.unary(UnaryKind::sigmoid, scaled));
}

static LogicalResult importSwish(Node &node) {
  return node.result(swish(node, node.input(0), node.floatAttribute("alpha", 1)));
}

static LogicalResult importSwiGlu(Node &node) {
  Value gate = swish(node, node.input(0), node.floatAttribute("alpha", 1));
  return node.result(node.binary(BinaryKind::mul, gate, node.input(1)));
}

static LogicalResult importQuickGelu(Node &node) {
  return node.result(swish(node, node.input(0), node.floatAttribute("alpha", 1.702f)));
}

static LogicalResult importGelu(Node &node) {
  unsigned tanh = node.choice("approximate", {"none", "tanh"}, 0);
  return node.result(node.unary(tanh ? UnaryKind::gelu_tanh : UnaryKind::gelu, node.input(0)));
}

/// Gelu of com.microsoft with a bias that is added first.
template <UnaryKind kind> static LogicalResult importBiasGelu(Node &node) {
  Value x = node.input(0);
  if (node.hasInput(1))
    x = node.binary(BinaryKind::add, x, node.input(1));
  return node.result(node.unary(kind, x));
}

ArrayRef<FunctionInfo> lathe::import::listFunctions() {
  static constexpr FunctionInfo functions[] = {
      {"Relu"},
      {"Tanh"},
      {"Sigmoid"},
      {"Softsign"},
      {"Softplus"},
      {"LeakyRelu", 1, 0.01f},
      {"ThresholdedRelu", 1, 1},
      {"Elu", 1, 1},
      {"Affine", 2, 1, 0},
      {"ScaledTanh", 2, 1, 1},
      {"HardSigmoid", 2, 0.2f, 0.5},
      {"Clip", 2, 0, 0, false},
      {"HardSwish", 0, 0, 0, false},
  };
  return functions;
}

const FunctionInfo *lathe::import::chooseFunction(Node &node, ArrayRef<StringRef> names) {
  SmallVector<StringRef> allowed{""};
  llvm::append_range(allowed, names);
  StringRef name = allowed[node.choice("activation", allowed, 0)];
  if (name.empty())
    return nullptr;
  return llvm::find_if(listFunctions(),
                       [&](const FunctionInfo &each) { return each.name == name; });
}

Value lathe::import::applyFunction(Node &node, const Function &function, Value x) {
  auto number = [&](BinaryKind kind, Value value, double by) {
    return node.binary(kind, value, by);
  };
  auto whenPositive = [&](double bound, Value yes, Value no) {
    return node.select(number(BinaryKind::greater, x, bound), yes, no);
  };
  if (!x)
    return {};
  StringRef name = function.name;
  double alpha = function.alpha, beta = function.beta;
  if (name == "Sigmoid")
    return node.unary(UnaryKind::sigmoid, x);
  if (name == "Tanh")
    return node.unary(UnaryKind::tanh, x);
  if (name == "Relu")
    return node.unary(UnaryKind::relu, x);
  if (name == "Softplus")
    return node.unary(UnaryKind::softplus, x);
  if (name == "Affine")
    return number(BinaryKind::add, number(BinaryKind::mul, x, alpha), beta);
  if (name == "LeakyRelu")
    return whenPositive(0, x, number(BinaryKind::mul, x, alpha));
  if (name == "ThresholdedRelu")
    return whenPositive(alpha, x, node.scalar(0, Node::elementOf(x)));
  if (name == "ScaledTanh")
    return number(BinaryKind::mul, node.unary(UnaryKind::tanh, number(BinaryKind::mul, x, beta)),
                  alpha);
  if (name == "HardSigmoid")
    return hardSigmoid(node, x, alpha, beta);
  if (name == "HardSwish")
    return hardSwish(node, x);
  if (name == "Clip")
    return number(BinaryKind::min, number(BinaryKind::max, x, alpha), beta);
  if (name == "Elu")
    return whenPositive(0, x, number(BinaryKind::mul, expMinusOne(node, x), alpha));
  assert(name == "Softsign");
  return softsign(node, x);
}

ArrayRef<Operator> lathe::import::activationOperators() {
  static constexpr StringRef microsoft = "com.microsoft";
  static const Operator operators[] = {
      {"Relu", {1, 6, 13, 14}, 1, 1, importFunction<UnaryKind::relu>, kFloats | kSigned},
      {"Sigmoid", {1, 6, 13}, 1, 1, importFunction<UnaryKind::sigmoid>, kFloats},
      {"Tanh", {1, 6, 13}, 1, 1, importFunction<UnaryKind::tanh>, kFloats},
      {"Softplus", {1, 22}, 1, 1, importFunction<UnaryKind::softplus>, kFloats},
      {"Softsign", {1, 22}, 1, 1, importSoftsign, kFloats},
      {"LeakyRelu", {1, 6, 16}, 1, 1, importLeakyRelu, kFloats},
      {"PRelu", {1, 6, 7, 9, 16}, 2, 2, importPRelu, kNumbers},
      {"Elu", {1, 6, 22}, 1, 1, importElu, kFloats},
      {"Selu", {1, 6, 22}, 1, 1, importSelu, kFloats},
      {"Celu", {12, 28}, 1, 1, importCelu, kFloats},
      {"ThresholdedRelu", {10, 22}, 1, 1, importThresholdedRelu, kFloats},
      {"HardSigmoid", {1, 6, 22}, 1, 1, importHardSigmoid, kFloats},
      {"HardSwish", {14, 22}, 1, 1, importHardSwish, kFloats},
      {"Mish", {18, 22}, 1, 1, importMish, kFloats},
      {"Shrink", {9}, 1, 1, importShrink, kNumbers},
      {"Swish", {24}, 1, 1, importSwish, kFloats},
      {"SwiGLU", {28}, 2, 2, importSwiGlu, kFloats},
      {"Gelu", {20}, 1, 1, importGelu, kFloats},
      {"Gelu", {1}, 1, 1, importFunction<UnaryKind::gelu>, kFloats, "", microsoft},
      {"QuickGelu", {1}, 1, 1, importQuickGelu, kFloats, "", microsoft},
      {"BiasGelu", {1}, 2, 2, importBiasGelu<UnaryKind::gelu>, kFloats, "", microsoft},
      {"FastGelu", {1}, 1, 2, importBiasGelu<UnaryKind::gelu_tanh>, kFloats, "", microsoft},
  };
  return operators;
}
