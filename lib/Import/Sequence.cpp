// Sequences and optionals. What is known of them when compiling turns into tensors at once.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Sequence.h"
#include "lib/Import/Sequence.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::OptionalType;
using graph::SequenceType;

/// Longer sequences are mapped by a loop.
static constexpr size_t kMaxUnrolled = 64;

/// The value of an operation just made, resolved to operations on tensors where that is possible.
template <typename Op> static LogicalResult finish(Node &node, Op op) {
  if (!op)
    return failure();
  Value resolved = graph::resolveSequence(node.builder(), op);
  if (!resolved)
    return node.result(op.getResult());
  for (Operation *made = op->getNextNode(); made; made = made->getNextNode())
    if (failed(node.graphs().inferShapes(made)))
      return node.fail();
  return node.result(resolved);
}

static bool isSequence(Node &node, unsigned i) {
  Value value = node.require(i);
  if (!value)
    return false;
  if (!isa<SequenceType>(value.getType()))
    node.error() << "input " << i << " of " << node.opType() << " has type " << value.getType()
                 << ", it takes a sequence";
  return !node.hasFailed();
}

/// Operand `i` as i64: a constant where it is known. Null when the model omits it.
static Value integers(Node &node, unsigned i) {
  Value value = node.input(i);
  if (!value)
    return {};
  if (!isa<TensorType>(value.getType()) || !Node::elementOf(value).isSignlessInteger()) {
    node.error() << "input " << i << " of " << node.opType() << " has type " << value.getType()
                 << ", it takes int32 and int64";
    return {};
  }
  std::optional<Ints> known = node.knownInts(i);
  std::optional<int64_t> rank = Node::rankOf(value);
  if (known && rank == 0 && known->size() == 1)
    return node.scalarInt(known->front(), node.builder().getI64Type());
  if (known && rank == 1)
    return node.constant(ArrayRef<int64_t>(*known));
  return node.cast(value, node.builder().getI64Type());
}

static LogicalResult importConstruct(Node &node) {
  SmallVector<Value> items(node.allInputs());
  if (llvm::is_contained(items, Value()))
    return node.error() << "an input of SequenceConstruct is missing";
  for (auto [i, item] : llvm::enumerate(items))
    if (!graph::isSameKind(items[0].getType(), item.getType()))
      return node.error() << "input " << i << " of SequenceConstruct has type " << item.getType()
                          << ", the first has " << items[0].getType();
  auto type = SequenceType::get(node.context(), items[0].getType());
  auto op = node.create<graph::SequenceConstructOp>(type, items);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importEmpty(Node &node) {
  node.ignore({"dtype"}); // the type follows from what is put in
  auto type = SequenceType::get(node.context(), NoneType::get(node.context()));
  auto op = node.create<graph::SequenceConstructOp>(type, ValueRange());
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importInsert(Node &node) {
  Value item = node.require(1);
  if (!isSequence(node, 0) || !item)
    return failure();
  Type element = cast<SequenceType>(node.input(0).getType()).getElement();
  if (!graph::isSameKind(element, item.getType()))
    return node.error() << "an item of type " << item.getType() << " is put into a sequence of "
                        << element;
  Value position = integers(node, 2);
  if (node.hasFailed())
    return failure();
  auto type = SequenceType::get(node.context(), graph::joinTypes(element, item.getType()));
  return finish(node, node.create<graph::SequenceInsertOp>(type, node.input(0), item, position));
}

static LogicalResult importErase(Node &node) {
  if (!isSequence(node, 0))
    return failure();
  Value position = integers(node, 1);
  if (node.hasFailed())
    return failure();
  Value sequence = node.input(0);
  return finish(node, node.create<graph::SequenceEraseOp>(sequence.getType(), sequence, position));
}

static LogicalResult importAt(Node &node) {
  if (!isSequence(node, 0))
    return failure();
  Value position = integers(node, 1);
  if (node.hasFailed() || !position)
    return failure();
  Type element = cast<SequenceType>(node.input(0).getType()).getElement();
  if (isa<NoneType>(element))
    return node.error() << "SequenceAt takes an item of an empty sequence";
  return finish(node, node.create<graph::SequenceAtOp>(element, node.input(0), position));
}

static LogicalResult importLength(Node &node) {
  if (!isSequence(node, 0))
    return failure();
  auto type = node.tensorOf(node.builder().getI64Type());
  return finish(node, node.create<graph::SequenceLengthOp>(type, node.input(0)));
}

static LogicalResult importSplitToSequence(Node &node) {
  Value data = node.input(0), split = integers(node, 1);
  bool keepDims = node.flag("keepdims", true);
  int64_t axis = node.intAttribute("axis", 0);
  std::optional<int64_t> rank = node.requireRank(data, "input");
  if (!rank || node.hasFailed())
    return failure();
  axis = node.axis(axis, rank);
  if (node.hasFailed())
    return failure();
  auto type = SequenceType::get(node.context(), node.likeOf(data));
  return finish(node, node.create<graph::SplitToSequenceOp>(type, data, split, axis, keepDims));
}

static LogicalResult importConcatFromSequence(Node &node) {
  if (!isSequence(node, 0))
    return failure();
  if (!node.hasAttribute("axis"))
    return node.error() << "ConcatFromSequence has no attribute 'axis'";
  int64_t axis = node.intAttribute("axis", 0);
  bool newAxis = node.flag("new_axis");
  Type element = cast<SequenceType>(node.input(0).getType()).getElement();
  if (node.hasFailed())
    return failure();
  if (!isa<TensorType>(element))
    return node.error() << "ConcatFromSequence takes a sequence of tensors, got one of " << element;
  Type type = node.tensorOf(cast<TensorType>(element).getElementType());
  return finish(node, node.create<graph::ConcatFromSequenceOp>(type, node.input(0), axis, newAxis));
}

// ---- Map ---------------------------------------------------------------------------------------

/// Item `i` of the inputs that are sequences, the others as they are.
static FailureOr<SmallVector<Value>> itemsAt(Node &node, ArrayRef<Value> inputs, Value position) {
  SmallVector<Value> items;
  for (Value input : inputs) {
    auto sequence = dyn_cast<SequenceType>(input.getType());
    items.push_back(input);
    if (!sequence)
      continue;
    auto at = node.create<graph::SequenceAtOp>(sequence.getElement(), input, position);
    if (!at)
      return failure();
    Value known = graph::resolveSequence(node.builder(), at);
    items.back() = known ? known : at.getResult();
  }
  return items;
}

static Value emptySequence(Node &node) {
  auto type = SequenceType::get(node.context(), NoneType::get(node.context()));
  return graph::SequenceConstructOp::create(node.builder(), node.location(), type, ValueRange());
}

FailureOr<SmallVector<Value>> lathe::import::mapSequences(Node &node, ArrayRef<Value> inputs,
                                                          const void *key, unsigned outputs,
                                                          MapBody body) {
  auto known = inputs[0].getDefiningOp<graph::SequenceConstructOp>();
  SmallVector<Value> sequences;
  if (known && known.getItems().size() <= kMaxUnrolled) {
    SmallVector<SmallVector<Value>> results(outputs);
    for (size_t i = 0; i < known.getItems().size(); ++i) {
      auto items = itemsAt(node, inputs, node.scalarInt(i, node.builder().getI64Type()));
      if (failed(items))
        return failure();
      auto values = body(*items);
      if (failed(values))
        return failure();
      for (auto [list, value] : llvm::zip_equal(results, *values))
        list.push_back(value);
    }
    for (SmallVector<Value> &list : results) {
      Type element = list.empty() ? Type(NoneType::get(node.context())) : list.front().getType();
      auto op =
          node.create<graph::SequenceConstructOp>(SequenceType::get(node.context(), element), list);
      if (!op)
        return failure();
      sequences.push_back(op.getResult());
    }
    return sequences;
  }
  auto length =
      node.create<graph::SequenceLengthOp>(node.tensorOf(node.builder().getI64Type()), inputs[0]);
  if (!length)
    return failure();
  SmallVector<Value> inits(outputs, emptySequence(node));
  auto build = [&](ValueRange arguments) -> FailureOr<GraphImporter::LoopYield> {
    node.recover();
    auto items = itemsAt(node, inputs, arguments[0]);
    if (failed(items))
      return failure();
    auto values = body(*items);
    if (failed(values))
      return failure();
    GraphImporter::LoopYield yield{node.scalarInt(1, node.builder().getI1Type()), {}};
    for (auto [sequence, value] : llvm::zip_equal(arguments.drop_front(), *values)) {
      Type element =
          graph::joinTypes(cast<SequenceType>(sequence.getType()).getElement(), value.getType());
      auto insert = node.create<graph::SequenceInsertOp>(SequenceType::get(node.context(), element),
                                                         sequence, value, Value());
      if (!insert)
        return failure();
      yield.values.push_back(insert.getResult());
    }
    return yield;
  };
  Value yes = node.scalarInt(1, node.builder().getI1Type());
  auto loop =
      node.graphs().buildLoop(node.location(), key, length.getResult(), yes, inits, 0, build);
  if (failed(loop)) {
    (void)node.fail();
    return failure();
  }
  sequences.assign(loop->getResults().begin(), loop->getResults().end());
  return sequences;
}

static LogicalResult importMap(Node &node) {
  onnx::GraphProto *body = node.subgraph("body");
  if (!body || !isSequence(node, 0))
    return failure();
  if (llvm::is_contained(node.allInputs(), Value()))
    return node.error() << "an input of SequenceMap is missing";
  if (body->input_size() != int(node.inputCount()) ||
      body->output_size() != int(node.outputCount()))
    return node.error() << "the body of SequenceMap has " << body->input_size() << " inputs and "
                        << body->output_size() << " outputs, the node has " << node.inputCount()
                        << " and " << node.outputCount();
  auto sequences =
      mapSequences(node, node.allInputs(), body, node.outputCount(), [&](ArrayRef<Value> items) {
        return node.graphs().inlineGraph(*body, items, /*repeated=*/true);
      });
  if (failed(sequences))
    return node.fail();
  for (auto [i, sequence] : llvm::enumerate(*sequences))
    node.setResult(i, sequence);
  return node.status();
}

// ---- Optional ----------------------------------------------------------------------------------

static LogicalResult importOptional(Node &node) {
  Value value = node.input(0);
  node.ignore({"type"});
  Type element = value ? value.getType() : Type(NoneType::get(node.context()));
  auto op =
      node.create<graph::OptionalConstructOp>(OptionalType::get(node.context(), element), value);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importOptionalGet(Node &node) {
  Value value = node.require(0);
  if (!value)
    return failure();
  auto type = dyn_cast<OptionalType>(value.getType());
  if (!type) // any other value is there
    return node.result(value);
  if (isa<NoneType>(type.getElement()))
    return node.error() << "OptionalGetElement takes the value of an optional without any";
  return finish(node, node.create<graph::OptionalGetOp>(type.getElement(), value));
}

static LogicalResult importOptionalHas(Node &node) {
  Value value = node.input(0);
  Type boolean = node.builder().getI1Type();
  if (!value || !isa<OptionalType>(value.getType()))
    return node.result(node.scalarInt(bool(value), boolean));
  return finish(node, node.create<graph::OptionalHasOp>(node.tensorOf(boolean), value));
}

ArrayRef<Operator> lathe::import::sequenceOperators() {
  static constexpr StringRef ml = "ai.onnx.ml";
  static const Operator operators[] = {
      {"CastMap", {1}, 1, 1, importCastMap, kAny, "", ml, true},
      {"DictVectorizer", {1}, 1, 1, importDictVectorizer, kAny, "", ml, true},
      {"ZipMap", {1}, 1, 1, importZipMap, kFloats, "", ml},
      {"SequenceConstruct", {11}, 1, kUnlimited, importConstruct, kAny, "", "", true},
      {"SequenceEmpty", {11}, 0, 0, importEmpty, kAny, "", "", true},
      {"SequenceInsert", {11}, 2, 3, importInsert, kAny, "", "", true},
      {"SequenceErase", {11}, 1, 2, importErase, kAny, "", "", true},
      {"SequenceAt", {11}, 2, 2, importAt, kAny, "", "", true},
      {"SequenceLength", {11}, 1, 1, importLength, kAny, "", "", true},
      {"SplitToSequence", {11, 24}, 1, 2, importSplitToSequence, kAny},
      {"ConcatFromSequence", {11}, 1, 1, importConcatFromSequence, kAny, "", "", true},
      {"SequenceMap", {17}, 1, kUnlimited, importMap, kAny, "", "", true},
      {"Optional", {15, 28}, 0, 1, importOptional, kAny, "", "", true},
      {"OptionalGetElement", {15, 18, 28}, 1, 1, importOptionalGet, kAny, "", "", true},
      {"OptionalHasElement", {15, 18, 28}, 0, 1, importOptionalHas, kAny, "", "", true},
  };
  return operators;
}
