// Sorting and selection: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult TopKOp::verify() {
  if (failed(verifyScalar(*this, "k", getK())) ||
      failed(verifyRankAtLeast(*this, "input", getInput(), 1)) ||
      failed(verifyAxis(*this, "axis", getAxis(), getRank(getInput()))))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getValues()});
}

LogicalResult TopKOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  int64_t axis = normalizeAxis(getAxis(), input->size());
  setAxis(axis);
  auto elements = shapes.getElements(getK());
  AffineExpr k = elements && elements->size() == 1 ? (*elements)[0] : AffineExpr();
  std::optional<int64_t> count = getConstant(k), size = getConstant((*input)[axis]);
  if (count && (*count < 0 || (size && *count > *size)))
    return emitOpError("k is ") << *count << ", but dimension " << axis << " has size "
                                << shapes.toString((*input)[axis]);
  SmallVector<AffineExpr> dims(*input);
  dims[axis] = k;
  if (failed(shapes.setDims(getValues(), dims)))
    return failure();
  // Both results have one size, also where it depends on data.
  dims[axis] = (*shapes.getDims(getValues()))[axis];
  return shapes.setDims(getIndices(), dims);
}

LogicalResult UniqueOp::verify() {
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 1)))
    return failure();
  return verifyAxis(*this, "axis", getAxis(), getRank(getInput()));
}

LogicalResult UniqueOp::inferShapes(SymbolicShapes &shapes) {
  AffineExpr length;
  if (auto input = shapes.getDims(getInput())) {
    int64_t axis = normalizeAxis(getAxis(), input->size());
    setAxis(axis);
    length = (*input)[axis];
  }
  if (failed(shapes.setDims(getIndices(), {AffineExpr()})))
    return failure();
  AffineExpr count = shapes.getDims(getIndices())->front();
  if (failed(shapes.setDims(getCounts(), {count})))
    return failure();
  return shapes.setDims(getInverse(), {length});
}
