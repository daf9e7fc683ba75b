// Signals: verifier and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult FourierOp::verify() {
  if (failed(verifySameElementTypes(
          *this, {getReal(), getImaginary(), getRealResult(), getImaginaryResult()})))
    return failure();
  Type element = cast<TensorType>(getReal().getType()).getElementType();
  if (!element.isF32() && !element.isF64())
    return emitOpError("takes f32 or f64, not ") << element;
  return verifyAxis(*this, "axis", int64_t(getAxis()), getRank(getReal()));
}

LogicalResult FourierOp::inferShapes(SymbolicShapes &shapes) {
  auto dims = shapes.getDims(getReal());
  if (!dims)
    return success();
  setAxis(normalizeAxis(getAxis(), dims->size()));
  SmallVector<AffineExpr> sizes(*dims);
  if (auto other = getImaginary() ? shapes.getDims(getImaginary()) : std::nullopt) {
    if (other->size() != sizes.size())
      return emitOpError("real parts of rank ")
             << sizes.size() << " have imaginary parts of rank " << other->size();
    for (auto [i, pair] : llvm::enumerate(llvm::zip(sizes, *other)))
      if (failed(shapes.checkEqual(*this, std::get<0>(pair), std::get<1>(pair),
                                   "dimension " + Twine(i) + " of real and imaginary parts")))
        return failure();
  }
  if (failed(shapes.setDims(getRealResult(), sizes)))
    return failure();
  return shapes.setDims(getImaginaryResult(), sizes);
}
