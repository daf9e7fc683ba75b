// Quantization: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

static LogicalResult verifyScale(Operation *op, Value input, Value scale, Value zeroPoint,
                                 int64_t axis, int64_t blockSize) {
  std::optional<int64_t> rank = getRank(input), scaleRank = getRank(scale);
  if (failed(verifySizes(op, "block_size", blockSize, false)))
    return failure();
  if (scaleRank && *scaleRank == 1 && blockSize == 0 && rank && *rank > 0 &&
      cast<RankedTensorType>(scale.getType()).getDimSize(0) != 1 &&
      failed(verifyAxis(op, "axis", axis, rank)))
    return failure();
  if (blockSize) {
    if (failed(verifyAxis(op, "axis", axis, rank)) ||
        (rank && failed(verifyRank(op, "scale", scale, *rank))))
      return failure();
  } else if (scaleRank && *scaleRank > 1) {
    return op->emitOpError("scale must be a scalar or a vector, got ") << scale.getType();
  }
  if (scaleRank && zeroPoint && failed(verifyRank(op, "zero_point", zeroPoint, *scaleRank)))
    return failure();
  return success();
}

template <typename Op> static LogicalResult inferQuantization(Op op, SymbolicShapes &shapes) {
  auto input = shapes.getDims(op.getInput());
  if (!input)
    return success();
  int64_t rank = input->size(), axis = op.getAxis();
  // A per-tensor scale leaves the axis without meaning, and it may then be out of range.
  if (axis < 0 && axis + rank >= 0)
    op.setAxis(axis += rank);
  if (auto scale = shapes.getDims(op.getScale());
      scale && scale->size() == 1 && op.getBlockSize() == 0 && axis >= 0 && axis < rank &&
      getConstant((*scale)[0]) != 1 &&
      failed(shapes.checkEqual(op, (*input)[axis], (*scale)[0],
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
