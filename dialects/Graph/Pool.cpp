// Pooling: verifier and shape.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Verify.h"
#include "dialects/Graph/Windows.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult PoolOp::verify() {
  if (failed(verifyWindows(*this,
                           {getStrides(), getDilations(), getPads(), getAutoPad(), getCeilMode()})))
    return failure();
  if (getKernel().size() != getStrides().size())
    return emitOpError("has ") << getKernel().size() << " kernel sizes and " << getStrides().size()
                               << " strides";
  if (failed(verifySizes(*this, "kernel", getKernel(), true)) ||
      failed(verifyRank(*this, "input", getInput(), getKernel().size() + 2)))
    return failure();
  if (getIndices() && getKind() != PoolKind::max)
    return emitOpError("only max pools have indices");
  if (getKind() == PoolKind::lp && getP() < 1)
    return emitOpError("p is ") << getP() << ", but must be positive";
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult PoolOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  size_t spatial = getKernel().size();
  SmallVector<AffineExpr> dims(spatial + 2);
  if (input) {
    bool last = getChannelsLast();
    SmallVector<AffineExpr> kernel;
    for (int64_t size : getKernel())
      kernel.push_back(shapes.constant(size));
    std::optional<SmallVector<int64_t>> pads;
    auto counts = countWindows(
        *this, shapes, {getStrides(), getDilations(), getPads(), getAutoPad(), getCeilMode()},
        input->slice(last ? 1 : 2, spatial), kernel, pads);
    if (failed(counts))
      return failure();
    if (pads) {
      // The sizes were computed without ceil_mode, and explicit pads must give the same.
      if (getAutoPad() != AutoPad::valid)
        setCeilMode(false);
      setPads(*pads);
      setAutoPad(AutoPad::none);
    }
    dims.assign(input->begin(), input->end());
    llvm::copy(*counts, dims.begin() + (last ? 1 : 2));
  }
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  return getIndices() ? shapes.setDims(getIndices(), dims) : success();
}
