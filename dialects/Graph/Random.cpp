// Random numbers: verifier and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult RandomOp::verify() {
  Type element = getElementTypeOrSelf(getResult().getType());
  if (!element.isF32() && !element.isF64())
    return emitOpError("gives f32 or f64, not ") << element;
  return verifyRank(*this, "shape", getShape(), 1);
}

LogicalResult RandomOp::inferShapes(SymbolicShapes &shapes) {
  if (auto wanted = shapes.getElements(getShape())) {
    for (AffineExpr size : *wanted)
      if (std::optional<int64_t> known = getConstant(size); known && *known < 0)
        return emitOpError("shape ")
               << shapes.toString(*wanted) << " holds the negative size " << *known;
    return shapes.setDims(getResult(), *wanted);
  }
  auto dims = shapes.getDims(getShape());
  std::optional<int64_t> rank = dims ? getConstant((*dims)[0]) : std::nullopt;
  if (!rank)
    return success();
  if (*rank > SymbolicShapes::maxRank)
    return emitOpError("result would have rank ")
           << *rank << ", the limit is " << SymbolicShapes::maxRank;
  return shapes.setDims(getResult(), SmallVector<AffineExpr>(*rank));
}
