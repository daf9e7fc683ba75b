// Ensembles of decision trees: verifier and shape.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

LogicalResult TreeEnsembleOp::verify() {
  Type element = getElementTypeOrSelf(getInput().getType());
  if (!element.isF32() && !element.isF64())
    return emitOpError("input must have elements of f32 or f64, got ") << getInput().getType();
  for (auto [name, value] : {std::pair("nodes", getNodes()), {"roots", getRoots()}}) {
    Type integer = getElementTypeOrSelf(value.getType());
    if (!integer.isSignlessInteger(element.getIntOrFloatBitWidth()))
      return emitOpError() << name << " must be integers as wide as the elements of input, got "
                           << value.getType();
  }
  if (failed(verifyRank(*this, "input", getInput(), 2)) ||
      failed(verifyRank(*this, "nodes", getNodes(), 2)) ||
      failed(verifyRank(*this, "roots", getRoots(), getValues() ? 2 : 3)) ||
      failed(verifyRank(*this, "values", getValues(), 2)))
    return failure();
  auto isStatic = [](Value value) {
    auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
    return !value || (type && type.hasStaticShape());
  };
  if (!isStatic(getNodes()) || !isStatic(getRoots()) || !isStatic(getValues()))
    return emitOpError("nodes, roots and values must have static shapes");
  if (cast<RankedTensorType>(getNodes().getType()).getDimSize(1) != 4 ||
      cast<RankedTensorType>(getRoots().getType()).getShape().back() != 2)
    return emitOpError("a node must have 4 fields and a root 2, got ")
           << getNodes().getType() << " and " << getRoots().getType();
  if (getFeatures() < 0)
    return emitOpError("features is ") << getFeatures() << ", but must not be negative";
  return verifySameElementTypes(*this, {getInput(), getValues(), getResult()});
}

LogicalResult TreeEnsembleOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (input)
    if (std::optional<int64_t> size = getConstant((*input)[1]);
        size && *size < int64_t(getFeatures()))
      return emitOpError("a row has ") << *size << " features, the nodes read " << getFeatures();
  auto targets = getValues() ? cast<RankedTensorType>(getValues().getType()).getDimSize(1)
                             : cast<RankedTensorType>(getRoots().getType()).getDimSize(0);
  return shapes.setDims(getResult(),
                        {input ? (*input)[0] : AffineExpr(), shapes.constant(targets)});
}
