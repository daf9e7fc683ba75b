// Signals: verifier and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

// Steps of 8 do least work for each number that they move; an odd 2 comes first. That is the order
// of pocketfft, which NumPy transforms with.
std::optional<SmallVector<int64_t>> FourierOp::getRadices(int64_t size) {
  if (size < 1)
    return std::nullopt;
  SmallVector<int64_t> radices;
  auto take = [&](int64_t radix) {
    for (; size % radix == 0; size /= radix)
      radices.push_back(radix);
  };
  take(8);
  take(4);
  if (size % 2 == 0) {
    size /= 2;
    radices.push_back(2);
    std::swap(radices.front(), radices.back());
  }
  for (int64_t radix = 3; radix <= maxRadix && size > 1; radix += 2)
    take(radix);
  if (size > 1)
    return std::nullopt;
  return radices;
}

LogicalResult FourierOp::verify() {
  if (failed(verifySameElementTypes(
          *this, {getReal(), getImaginary(), getRealResult(), getImaginaryResult()})))
    return failure();
  Type element = cast<TensorType>(getReal().getType()).getElementType();
  if (!element.isF32() && !element.isF64())
    return emitOpError("takes f32 or f64, not ") << element;
  std::optional<int64_t> rank = getRank(getReal());
  if (failed(verifyAxis(*this, "axis", int64_t(getAxis()), rank)))
    return failure();
  if (!rank)
    return success();
  int64_t axis = normalizeAxis(getAxis(), *rank);
  int64_t size = cast<RankedTensorType>(getReal().getType()).getDimSize(axis);
  if (ShapedType::isDynamic(size))
    return emitOpError("axis ") << axis << " has no size that is known when compiling";
  if (!getRadices(size))
    return emitOpError("size ") << size << " is no product of primes up to " << maxRadix;
  return success();
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
