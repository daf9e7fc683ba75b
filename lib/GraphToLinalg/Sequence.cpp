// Lowering of what the run alone knows of sequences, optionals and maps: builtins on rt values.
// An optional is a list of at most one item, a map one of two tensors.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Map.h"
#include "dialects/Graph/Weights.h"
#include "lib/GraphToLinalg/Builtins.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

/// Messages without a number are for what cannot fail but by refused memory.
static constexpr StringRef kNoMemory = "a value of this size cannot be made";
static constexpr StringRef kPosition = "position %0 is outside of a sequence of %1 items";

/// How a builtin is told of an operand: the dtype of a tensor, 0 for another value.
static int64_t describe(Value graphValue) {
  auto type = dyn_cast<RankedTensorType>(graphValue.getType());
  return type ? *graph::getElementNumber(type.getElementType()) : 0;
}

static int64_t elementNumber(Type sequence) {
  auto item = dyn_cast<TensorType>(cast<graph::SequenceType>(sequence).getElement());
  return item ? *graph::getElementNumber(item.getElementType()) : 0;
}

static Tensor callOne(Lowering &l, StringRef callee, ArrayRef<Tensor> inputs,
                      ArrayRef<int64_t> parameters, const Made &made, StringRef message) {
  return callBuiltin(l, callee, inputs, parameters, {made}, message).front();
}

/// A list of all these values.
static Tensor makeList(Lowering &l, lathe_value_kind kind, ValueRange graphValues) {
  SmallVector<Tensor> items;
  SmallVector<int64_t> parameters{kind, int64_t(graphValues.size())};
  for (Value value : graphValues) {
    items.push_back(l.get(value));
    parameters.push_back(describe(value));
  }
  return callOne(l, "lathe_sequence_make", items, parameters, Made(), kNoMemory);
}

/// Calls a builtin whose last parameters are the sizes of its one result, as far as its type has
/// them. Sizes that are known otherwise are compared.
static void setChecked(Lowering &l, Value graphValue, StringRef callee, const Tensor &input,
                       SmallVector<int64_t> parameters, StringRef message) {
  auto type = cast<RankedTensorType>(graphValue.getType());
  Sizes sizes;
  for (int64_t size : type.getShape()) {
    parameters.push_back(ShapedType::isDynamic(size) ? -1 : size);
    sizes.push_back(ShapedType::isDynamic(size) ? OpFoldResult() : l.size(size));
  }
  Tensor made = callOne(l, callee, {input}, parameters, {sizes, type.getElementType()}, message);
  sizes = l.resultSizes(graphValue, made.sizes);
  l.set(graphValue, l.withSizes(made, sizes));
}

/// Sets a graph value that is `value`, which knows its type when running only.
static void setUnpacked(Lowering &l, Value graphValue, const Tensor &value) {
  auto type = dyn_cast<RankedTensorType>(graphValue.getType());
  if (!type)
    return l.set(graphValue, value);
  int64_t dtype = describe(graphValue);
  std::string message = llvm::formatv(
      "a value of rank %0 and element type %1, or other sizes, stands where the model "
      "takes rank {0} and element type {1}",
      type.getRank(), dtype);
  setChecked(l, graphValue, "lathe_value_tensor", value, {dtype}, message);
}

/// The inputs of a builtin with a position, which may be missing.
static SmallVector<Tensor> withPosition(Lowering &l, ArrayRef<Tensor> inputs, Value position) {
  SmallVector<Tensor> all(inputs);
  if (position)
    all.push_back(l.convert(l.get(position), l.b.getI64Type()));
  return all;
}

static LogicalResult lowerConstruct(graph::SequenceConstructOp op, Lowering &l) {
  l.set(op.getResult(), makeList(l, LATHE_VALUE_SEQUENCE, op.getItems()));
  return success();
}

static LogicalResult lowerInsert(graph::SequenceInsertOp op, Lowering &l) {
  SmallVector<Tensor> inputs =
      withPosition(l, {l.get(op.getSequence()), l.get(op.getItem())}, op.getPosition());
  l.set(op.getResult(),
        callOne(l, "lathe_sequence_insert", inputs,
                {describe(op.getItem()), int64_t(bool(op.getPosition()))}, Made(), kPosition));
  return success();
}

static LogicalResult lowerErase(graph::SequenceEraseOp op, Lowering &l) {
  l.set(op.getResult(), callOne(l, "lathe_sequence_erase",
                                withPosition(l, {l.get(op.getSequence())}, op.getPosition()),
                                {int64_t(bool(op.getPosition()))}, Made(), kPosition));
  return success();
}

static LogicalResult lowerAt(graph::SequenceAtOp op, Lowering &l) {
  Tensor item =
      callOne(l, "lathe_sequence_at", withPosition(l, {l.get(op.getSequence())}, op.getPosition()),
              {1, 0}, Made(), kPosition);
  setUnpacked(l, op.getResult(), item);
  return success();
}

static LogicalResult lowerLength(graph::SequenceLengthOp op, Lowering &l) {
  l.set(op.getResult(), callOne(l, "lathe_sequence_length", {l.get(op.getSequence())}, {},
                                {{}, l.b.getI64Type()}, kNoMemory));
  return success();
}

static LogicalResult lowerSplit(graph::SplitToSequenceOp op, Lowering &l) {
  SmallVector<Tensor> inputs{l.get(op.getData())};
  int64_t form = 0;
  if (op.getSplit()) {
    inputs.push_back(l.convert(l.get(op.getSplit()), l.b.getI64Type()));
    form = cast<RankedTensorType>(op.getSplit().getType()).getRank() == 0 ? 1 : 2;
  }
  l.set(op.getResult(),
        callOne(l, "lathe_sequence_split", inputs,
                {describe(op.getData()), int64_t(op.getAxis()), op.getKeepDims(), form}, Made(),
                "the parts have size %0 in all, the axis has size %1"));
  return success();
}

static LogicalResult lowerConcat(graph::ConcatFromSequenceOp op, Lowering &l) {
  setChecked(l, op.getResult(), "lathe_sequence_concat", l.get(op.getSequence()),
             {elementNumber(op.getSequence().getType()), int64_t(op.getAxis()), op.getNewAxis()},
             "item %0 of the sequence does not fit, or there is none");
  return success();
}

// ---- Optionals and maps
// --------------------------------------------------------------------------

static LogicalResult lowerOptionalConstruct(graph::OptionalConstructOp op, Lowering &l) {
  SmallVector<Value> held;
  if (op.getValue())
    held.push_back(op.getValue());
  l.set(op.getResult(), makeList(l, LATHE_VALUE_OPTIONAL, held));
  return success();
}

static LogicalResult lowerOptionalGet(graph::OptionalGetOp op, Lowering &l) {
  auto message = op->getAttrOfType<StringAttr>("message");
  Tensor held = callOne(l, "lathe_sequence_at", {l.get(op.getOptional())}, {0, 0}, Made(),
                        message ? message.getValue() : "the optional holds nothing");
  setUnpacked(l, op.getResult(), held);
  return success();
}

static LogicalResult lowerOptionalHas(graph::OptionalHasOp op, Lowering &l) {
  Tensor length = callOne(l, "lathe_sequence_length", {l.get(op.getOptional())}, {},
                          {{}, l.b.getI64Type()}, kNoMemory);
  l.set(op.getResult(), l.convert(length, l.b.getI1Type()));
  return success();
}

static LogicalResult lowerMapConstruct(graph::MapConstructOp op, Lowering &l) {
  Tensor keys = l.get(op.getKeys()), values = l.get(op.getValues());
  l.requireEqual(keys.sizes[0], values.sizes[0], "there are %0 keys and %1 values");
  l.set(op.getResult(), makeList(l, LATHE_VALUE_MAP, {op.getKeys(), op.getValues()}));
  return success();
}

static LogicalResult lowerMapEntries(graph::MapEntriesOp op, Lowering &l) {
  Tensor map = l.get(op.getMap());
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    Tensor part = callOne(l, "lathe_sequence_at", {map}, {0, int64_t(i)}, Made(), kPosition);
    setUnpacked(l, result, part);
  }
  return success();
}

void lathe::g2l::addSequence(LoweringTable &table) {
  table.add(lowerConstruct);
  table.add(lowerInsert);
  table.add(lowerErase);
  table.add(lowerAt);
  table.add(lowerLength);
  table.add(lowerSplit);
  table.add(lowerConcat);
  table.add(lowerOptionalConstruct);
  table.add(lowerOptionalGet);
  table.add(lowerOptionalHas);
  table.add(lowerMapConstruct);
  table.add(lowerMapEntries);
}
