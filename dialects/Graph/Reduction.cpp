// Reductions and scans: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/ShapeElements.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

/// The input's sizes without (or with 1 in place of) the reduced dimensions.
static SmallVector<AffineExpr> reduceDims(SymbolicShapes &shapes, ArrayRef<AffineExpr> input,
                                          ArrayRef<int64_t> axes, bool keepDims) {
  SmallVector<AffineExpr> dims;
  for (auto [i, dim] : llvm::enumerate(input)) {
    if (!llvm::is_contained(axes, int64_t(i)))
      dims.push_back(dim);
    else if (keepDims)
      dims.push_back(shapes.constant(1));
  }
  return dims;
}

LogicalResult ReduceOp::verify() {
  if (getAxes() && failed(verifyAxes(*this, "axes", *getAxes(), getRank(getInput()))))
    return failure();
  Type type = getElementTypeOrSelf(getInput().getType());
  if (type.isInteger(1) && getKind() != ReduceKind::max && getKind() != ReduceKind::min)
    return emitOpError() << stringifyReduceKind(getKind()) << " does not take booleans";
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult ReduceOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return !getAxes() && !getKeepDims() ? shapes.setDims(getResult(), {}) : success();
  SmallVector<int64_t> axes = getAxes() ? normalizeAxes(*getAxes(), input->size())
                                        : llvm::to_vector(llvm::seq<int64_t>(0, input->size()));
  setAxes(axes);
  if (failed(shapes.setDims(getResult(), reduceDims(shapes, *input, axes, getKeepDims()))))
    return failure();
  auto elements = shapes.getElements(getInput());
  if (!elements || (axes.empty() && !input->empty()))
    return success();
  std::optional<BinaryKind> combine =
      getKind() == ReduceKind::sum    ? std::optional(BinaryKind::add)
      : getKind() == ReduceKind::prod ? std::optional(BinaryKind::mul)
      : getKind() == ReduceKind::max  ? std::optional(BinaryKind::max)
      : getKind() == ReduceKind::min  ? std::optional(BinaryKind::min)
                                      : std::nullopt;
  if (!combine)
    return success();
  AffineExpr result;
  if (elements->empty()) {
    if (getKind() == ReduceKind::sum || getKind() == ReduceKind::prod)
      result = shapes.constant(getKind() == ReduceKind::prod);
  } else {
    result = elements->front();
    unsigned width = getElementTypeOrSelf(getInput().getType()).getIntOrFloatBitWidth();
    for (AffineExpr element : elements->drop_front())
      result = computeElement(*combine, result, element, width);
  }
  shapes.setElements(getResult(), {result});
  return success();
}

LogicalResult ArgReduceOp::verify() {
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 1)))
    return failure();
  return verifyAxis(*this, "axis", getAxis(), getRank(getInput()));
}

LogicalResult ArgReduceOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  setAxis(normalizeAxis(getAxis(), input->size()));
  if (!getMayBeEmpty() && getConstant((*input)[getAxis()]) == 0)
    return emitOpError("dimension ") << getAxis() << " has size 0, so no element has an index";
  return shapes.setDims(getResult(),
                        reduceDims(shapes, *input, {int64_t(getAxis())}, getKeepDims()));
}

LogicalResult CumulativeOp::verify() {
  if (getKind() != ReduceKind::sum && getKind() != ReduceKind::prod)
    return emitOpError("kind must be sum or prod, got ") << stringifyReduceKind(getKind());
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 1)) ||
      failed(verifyAxis(*this, "axis", getAxis(), getRank(getInput()))))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult CumulativeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  setAxis(normalizeAxis(getAxis(), input->size()));
  return shapes.setDims(getResult(), *input);
}
