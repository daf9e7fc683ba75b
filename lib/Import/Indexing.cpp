// Operators that read or write at indices found in the data.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/Recurrent.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

static LogicalResult importGather(Node &node) {
  Value data = node.input(0);
  int64_t axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(data));
  return node.hasFailed() ? failure() : node.result(node.gather(data, node.input(1), axis));
}

static LogicalResult importGatherElements(Node &node) {
  Value data = node.input(0);
  int64_t axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(data));
  if (node.hasFailed())
    return failure();
  auto op = node.create<graph::GatherElementsOp>(node.likeOf(data), data, node.input(1), axis);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importGatherND(Node &node) {
  Value data = node.input(0);
  Value indices = node.input(1);
  int64_t batchDims = node.intAttribute("batch_dims", 0);
  auto type = dyn_cast<RankedTensorType>(indices.getType());
  std::optional<int64_t> rank = Node::rankOf(data), declared = node.declaredRank(0);
  // Tuples of unknown length: how many dimensions they leave tells it.
  if (type && type.getRank() > 0 && type.getShape().back() == ShapedType::kDynamic && rank &&
      declared) {
    Ints sizes(type.getRank(), -1);
    sizes.back() = type.getRank() - 1 + *rank - batchDims - *declared;
    if (sizes.back() < 1)
      return node.error() << "output 0 of GatherND is declared with rank " << *declared
                          << ", of its operands follows at most "
                          << type.getRank() + *rank - batchDims - 2;
    indices = node.requireShape(indices, sizes);
  }
  if (!indices)
    return failure();
  auto op = node.create<graph::GatherNDOp>(node.likeOf(data), data, indices, batchDims);
  return op ? node.result(op.getResult()) : failure();
}

static graph::ScatterReduction reductionOf(Node &node) {
  static constexpr graph::ScatterReduction kinds[] = {
      graph::ScatterReduction::none, graph::ScatterReduction::add, graph::ScatterReduction::mul,
      graph::ScatterReduction::max, graph::ScatterReduction::min};
  return kinds[node.choice("reduction", {"none", "add", "mul", "max", "min"}, 0)];
}

static bool checkUpdates(Node &node) {
  if (Node::elementOf(node.input(0)) == Node::elementOf(node.input(2)))
    return true;
  node.error() << "data and updates of " << node.opType() << " have element types "
               << Node::elementOf(node.input(0)) << " and " << Node::elementOf(node.input(2))
               << ", they must agree";
  return false;
}

/// Booleans are combined as the numbers 0 and 1: sums and products that stay in range.
static Value scatterReduced(Node &node, graph::ScatterReduction reduction,
                            llvm::function_ref<Value(Value, Value, graph::ScatterReduction)> make) {
  using graph::ScatterReduction;
  Value data = node.input(0), updates = node.input(2);
  Type element = Node::elementOf(data);
  if (reduction == ScatterReduction::none || !element.isInteger(1))
    return make(data, updates, reduction);
  if (reduction == ScatterReduction::add)
    reduction = ScatterReduction::max;
  else if (reduction == ScatterReduction::mul)
    reduction = ScatterReduction::min;
  Type byte = node.builder().getIntegerType(8, /*isSigned=*/false);
  return node.cast(make(node.cast(data, byte), node.cast(updates, byte), reduction), element);
}

static LogicalResult importScatterElements(Node &node) {
  Value data = node.input(0);
  int64_t axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(data));
  graph::ScatterReduction reduction = reductionOf(node);
  if (!checkUpdates(node) || node.hasFailed())
    return failure();
  return node.result(scatterReduced(
      node, reduction, [&](Value into, Value updates, graph::ScatterReduction kind) -> Value {
        auto op = node.create<graph::ScatterElementsOp>(node.likeOf(into), into, node.input(1),
                                                        updates, axis, kind);
        return op ? Value(op.getResult()) : Value();
      }));
}

static LogicalResult importScatterND(Node &node) {
  graph::ScatterReduction reduction = reductionOf(node);
  if (!checkUpdates(node) || node.hasFailed())
    return failure();
  return node.result(scatterReduced(
      node, reduction, [&](Value into, Value updates, graph::ScatterReduction kind) -> Value {
        auto op =
            node.create<graph::ScatterNDOp>(node.likeOf(into), into, node.input(1), updates, kind);
        return op ? Value(op.getResult()) : Value();
      }));
}

static LogicalResult importNonZero(Node &node) {
  auto op =
      node.create<graph::NonZeroOp>(node.tensorOf(node.builder().getI64Type()), node.input(0));
  return op ? node.result(op.getResult()) : failure();
}

/// Compress: the slices along an axis whose condition holds; without an axis of the flat data.
static LogicalResult importCompress(Node &node) {
  Value data = node.input(0), condition = node.input(1);
  int64_t axis = 0;
  if (node.hasAttribute("axis"))
    axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(data));
  else
    data = node.reshape(data, {-1});
  if (node.hasFailed() || !condition)
    return failure();
  auto nonZero =
      node.create<graph::NonZeroOp>(node.tensorOf(node.builder().getI64Type()), condition);
  if (!nonZero)
    return failure();
  return node.result(node.gather(data, node.squeeze(nonZero.getResult(), {0}), axis));
}

static LogicalResult importOneHot(Node &node) {
  Value indices = node.input(0), depth = node.input(1), values = node.input(2);
  Type i64 = node.builder().getI64Type();
  std::optional<int64_t> rank = Node::rankOf(indices);
  int64_t axis = node.intAttribute("axis", -1);
  if (rank)
    axis = node.axis(axis, *rank + 1);
  if (node.hasFailed())
    return failure();
  // Floats may hold the indices and the depth.
  if (!isa<IntegerType>(Node::elementOf(indices)))
    indices = node.cast(indices, i64);
  depth = node.cast(depth, i64);
  if (!indices || !depth)
    return failure();
  if (Node::rankOf(depth) == 1)
    depth = node.squeeze(depth, {0});
  values = node.requireShape(values, {2});
  if (!depth || !values)
    return failure();
  auto op = node.create<graph::OneHotOp>(node.likeOf(values), indices, depth, values, axis);
  return op ? node.result(op.getResult()) : failure();
}

/// A gather along time at index i < length ? length - 1 - i : i, for each batch.
Value lathe::import::reverseInTime(Node &node, Value data, Value lengths, int64_t timeAxis) {
  std::optional<int64_t> rank = Node::rankOf(data);
  if (!rank)
    return {};
  // Both are lined up with the first two dimensions of the data, further ones broadcast.
  Value time = node.unsqueeze(node.iota(data, timeAxis), {1 - timeAxis});
  lengths = node.unsqueeze(node.cast(lengths, node.builder().getI64Type()), {timeAxis});
  Value last = node.binary(BinaryKind::sub, lengths, 1);
  Value mirrored = node.binary(BinaryKind::sub, last, time);
  Value isReversed = node.binary(BinaryKind::less, time, lengths);
  Value index = node.select(isReversed, mirrored, time);
  if (*rank > 2)
    index = node.unsqueeze(index, llvm::to_vector(llvm::seq<int64_t>(2, *rank)));
  index = node.expand(index, node.shapeOf(data));
  if (!index)
    return {};
  auto op = node.create<graph::GatherElementsOp>(node.likeOf(data), data, index, timeAxis);
  return op ? Value(op.getResult()) : Value();
}

static LogicalResult importReverseSequence(Node &node) {
  Value data = node.input(0);
  int64_t batchAxis = node.intAttribute("batch_axis", 1),
          timeAxis = node.intAttribute("time_axis", 0);
  std::optional<int64_t> rank = node.requireRank(data, "input 0");
  if (!rank)
    return failure();
  batchAxis = node.axis(batchAxis, rank);
  timeAxis = node.axis(timeAxis, rank);
  if (node.hasFailed())
    return failure();
  if (batchAxis + timeAxis != 1)
    return node.error() << "ReverseSequence has batch_axis " << batchAxis << " and time_axis "
                        << timeAxis << ", they must be 0 and 1";
  Value lengths =
      node.requireRange(node.input(1), "a sequence length", node.sizeOf(data, timeAxis));
  return node.result(reverseInTime(node, data, lengths, timeAxis));
}

ArrayRef<Operator> lathe::import::indexingOperators() {
  static const Operator operators[] = {
      {"Gather", {1, 11, 13}, 2, 2, importGather, kAny},
      {"GatherElements", {11, 13}, 2, 2, importGatherElements, kAny},
      {"GatherND", {11, 12, 13}, 2, 2, importGatherND, kAny},
      {"GatherND", {1}, 2, 2, importGatherND, kAny, "", "com.microsoft"},
      {"Scatter", {9, 11}, 3, 3, importScatterElements, kAny},
      {"ScatterElements",
       {11, 13, 16, 18},
       3,
       3,
       importScatterElements,
       kAny,
       "complex and strings are not combined"},
      {"ScatterND",
       {11, 13, 16, 18},
       3,
       3,
       importScatterND,
       kAny,
       "complex and strings are not combined"},
      {"NonZero", {9, 13}, 1, 1, importNonZero, kNumbers | kBool | kComplex | kString},
      {"Compress", {9, 11, 28}, 2, 2, importCompress, kAny},
      {"OneHot", {9, 11, 28}, 3, 3, importOneHot, kNumbers},
      {"ReverseSequence", {10, 28}, 2, 2, importReverseSequence, kAny},
  };
  return operators;
}
