// Quantization: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

/// The number of elements; unknown for an absent tensor.
static int64_t getCount(Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : nullptr;
  return type && type.hasStaticShape() ? type.getNumElements() : ShapedType::kDynamic;
}

static LogicalResult verifyScale(Operation *op, Value input, Value scale, Value zeroPoint,
                                 int64_t axis, int64_t blockSize) {
  std::optional<int64_t> rank = getRank(input);
  if (failed(verifySizes(op, "block_size", blockSize, false)) ||
      (blockSize && failed(verifyAxis(op, "axis", axis, rank))))
    return failure();
  std::pair<StringRef, Value> parameters[] = {{"scale", scale}, {"zero_point", zeroPoint}};
  for (auto [name, value] : parameters) {
    std::optional<int64_t> own = getRank(value);
    if (!own)
      continue;
    if (blockSize && rank && failed(verifyRank(op, name, value, *rank)))
      return failure();
    if (!blockSize && *own > 1)
      return op->emitOpError(name) << " must be a scalar or a vector, got " << value.getType();
    // What is there once for all has no axis.
    int64_t count = getCount(value);
    if (!blockSize && count != 1 && !ShapedType::isDynamic(count) &&
        failed(verifyAxis(op, "axis", axis, rank)))
      return failure();
  }
  int64_t scales = getCount(scale), zeroPoints = getCount(zeroPoint);
  if (!ShapedType::isDynamic(scales) && !ShapedType::isDynamic(zeroPoints) && scales != zeroPoints)
    return op->emitOpError("scale has ") << scales << " elements, zero_point has " << zeroPoints;
  return success();
}

template <typename Op> static LogicalResult inferQuantization(Op op, SymbolicShapes &shapes) {
  auto input = shapes.getDims(op.getInput());
  if (!input)
    return success();
  int64_t rank = input->size(), axis = op.getAxis();
  // Without meaning, it may be out of range.
  if (axis < 0 && axis + rank >= 0)
    op.setAxis(axis += rank);
  int64_t scales = getCount(op.getScale());
  if (scales != 1 && !ShapedType::isDynamic(scales) && op.getBlockSize() == 0 &&
      failed(shapes.checkEqual(op, (*input)[axis], shapes.constant(scales),
                               "sizes of the input along axis and of scale")))
    return failure();
  return shapes.setDims(op.getResult(), *input);
}

LogicalResult QuantizeOp::verify() {
  return verifyScale(*this, getInput(), getScale(), getZeroPoint(), getAxis(), getBlockSize());
}

LogicalResult QuantizeOp::inferShapes(SymbolicShapes &shapes) {
  return inferQuantization(*this, shapes);
}

LogicalResult DequantizeOp::verify() {
  return verifyScale(*this, getInput(), getScale(), getZeroPoint(), getAxis(), getBlockSize());
}

LogicalResult DequantizeOp::inferShapes(SymbolicShapes &shapes) {
  return inferQuantization(*this, shapes);
}
