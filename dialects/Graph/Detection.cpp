// Detection of objects: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

/// Emits an error unless dimension `dim` of a value may be `expected`.
static LogicalResult checkDim(Operation *op, SymbolicShapes &shapes, StringRef name, Value value,
                              unsigned dim, AffineExpr expected) {
  auto dims = shapes.getDims(value);
  if (!dims || !expected)
    return success();
  return shapes.checkEqual(op, (*dims)[dim], expected,
                           "the size found and expected in dimension " + Twine(dim) + " of " +
                               name);
}

static AffineExpr dimOf(SymbolicShapes &shapes, Value value, unsigned dim) {
  auto dims = shapes.getDims(value);
  return dims ? (*dims)[dim] : AffineExpr();
}

LogicalResult NonMaxSuppressionOp::verify() {
  if (failed(verifyRank(*this, "boxes", getBoxes(), 3)) ||
      failed(verifyRank(*this, "scores", getScores(), 3)) ||
      failed(verifyScalar(*this, "max_output", getMaxOutput())) ||
      failed(verifyScalar(*this, "iou_threshold", getIouThreshold())) ||
      failed(verifyScalar(*this, "score_threshold", getScoreThreshold())))
    return failure();
  return verifySameElementTypes(*this,
                                {getBoxes(), getScores(), getIouThreshold(), getScoreThreshold()});
}

LogicalResult NonMaxSuppressionOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(checkDim(*this, shapes, "boxes", getBoxes(), 2, shapes.constant(4))) ||
      failed(checkDim(*this, shapes, "scores", getScores(), 0, dimOf(shapes, getBoxes(), 0))) ||
      failed(checkDim(*this, shapes, "scores", getScores(), 2, dimOf(shapes, getBoxes(), 1))))
    return failure();
  return shapes.setDims(getResult(), {AffineExpr(), shapes.constant(3)});
}

LogicalResult RoiAlignOp::verify() {
  if (failed(verifyRank(*this, "data", getData(), 4)) ||
      failed(verifyRank(*this, "rois", getRois(), 2)) ||
      failed(verifyRank(*this, "batch", getBatch(), 1)) ||
      failed(verifySizes(*this, "height and width", {int64_t(getHeight()), int64_t(getWidth())},
                         true)) ||
      failed(verifySizes(*this, "sampling_ratio", int64_t(getSamplingRatio()), false)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getRois(), getResult()});
}

LogicalResult RoiAlignOp::inferShapes(SymbolicShapes &shapes) {
  AffineExpr count = dimOf(shapes, getRois(), 0);
  if (failed(checkDim(*this, shapes, "rois", getRois(), 1, shapes.constant(4))) ||
      failed(checkDim(*this, shapes, "batch", getBatch(), 0, count)))
    return failure();
  return shapes.setDims(getResult(), {count, dimOf(shapes, getData(), 1),
                                      shapes.constant(getHeight()), shapes.constant(getWidth())});
}

LogicalResult MaxRoiPoolOp::verify() {
  if (failed(verifyRank(*this, "data", getData(), 4)) ||
      failed(verifyRank(*this, "rois", getRois(), 2)) ||
      failed(verifySizes(*this, "height and width", {int64_t(getHeight()), int64_t(getWidth())},
                         true)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getRois(), getResult()});
}

LogicalResult MaxRoiPoolOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(checkDim(*this, shapes, "rois", getRois(), 1, shapes.constant(5))))
    return failure();
  return shapes.setDims(getResult(), {dimOf(shapes, getRois(), 0), dimOf(shapes, getData(), 1),
                                      shapes.constant(getHeight()), shapes.constant(getWidth())});
}
