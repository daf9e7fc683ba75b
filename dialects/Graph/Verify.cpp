// Checks that verifiers of graph operations share.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Verify.h"

using namespace mlir;

std::optional<int64_t> lathe::graph::getRank(Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  return type ? std::optional(type.getRank()) : std::nullopt;
}

LogicalResult lathe::graph::verifyAxis(Operation *op, StringRef name, int64_t axis,
                                       std::optional<int64_t> rank, bool inclusive) {
  if (!rank || (axis >= -*rank && axis < *rank + inclusive))
    return success();
  return op->emitOpError() << name << " is " << axis << ", but must lie in [" << -*rank << ", "
                           << (*rank + inclusive) << ") for a tensor of rank " << *rank;
}

LogicalResult lathe::graph::verifyAxes(Operation *op, StringRef name, ArrayRef<int64_t> axes,
                                       std::optional<int64_t> rank) {
  llvm::SmallDenseSet<int64_t, 8> seen;
  for (int64_t axis : axes) {
    if (failed(verifyAxis(op, name, axis, rank)))
      return failure();
    if (!seen.insert(rank ? normalizeAxis(axis, *rank) : axis).second)
      return op->emitOpError() << name << " names dimension " << axis << " twice";
  }
  return success();
}

SmallVector<int64_t> lathe::graph::normalizeAxes(ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes)
    result.push_back(normalizeAxis(axis, rank));
  llvm::sort(result);
  return result;
}

LogicalResult lathe::graph::verifyRank(Operation *op, StringRef name, Value value, int64_t rank) {
  std::optional<int64_t> actual = getRank(value);
  if (!actual || *actual == rank)
    return success();
  return op->emitOpError() << name << " must have rank " << rank << ", got " << value.getType();
}

LogicalResult lathe::graph::verifyRankAtLeast(Operation *op, StringRef name, Value value,
                                              int64_t rank) {
  std::optional<int64_t> actual = getRank(value);
  if (!actual || *actual >= rank)
    return success();
  return op->emitOpError() << name << " must have at least rank " << rank << ", got "
                           << value.getType();
}

LogicalResult lathe::graph::verifyScalar(Operation *op, StringRef name, Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  if (!type || llvm::all_of(type.getShape(),
                            [](int64_t size) { return size == 1 || ShapedType::isDynamic(size); }))
    return success();
  return op->emitOpError() << name << " must be a scalar, got " << type;
}

LogicalResult lathe::graph::verifySameElementTypes(Operation *op, ArrayRef<Value> values) {
  Value first;
  for (Value value : values) {
    if (!value)
      continue;
    if (!first)
      first = value;
    if (getElementTypeOrSelf(value.getType()) != getElementTypeOrSelf(first.getType()))
      return op->emitOpError() << "element types differ: " << first.getType() << " and "
                               << value.getType();
  }
  return success();
}

LogicalResult lathe::graph::verifyProduct(Operation *op, Value lhs, Value rhs, Value result) {
  Type sum = getElementTypeOrSelf(result.getType());
  auto isNarrow = [&](Value value) {
    Type type = getElementTypeOrSelf(value.getType());
    if (sum.isInteger(32))
      return type.isSignlessInteger(8) || type.isSignlessInteger(16);
    return sum.isF32() && type.isBF16();
  };
  if (isNarrow(lhs) && isNarrow(rhs))
    return success();
  return verifySameElementTypes(op, {lhs, rhs, result});
}

LogicalResult lathe::graph::verifySizes(Operation *op, StringRef name, ArrayRef<int64_t> sizes,
                                        bool positive) {
  for (int64_t size : sizes)
    if (size < int64_t(positive) || size > (int64_t(1) << 31))
      return op->emitOpError() << name << " holds " << size << ", but must lie in ["
                               << int64_t(positive) << ", 2^31]";
  return success();
}
