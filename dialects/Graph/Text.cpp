// Strings, vocabularies and n-grams: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

/// The result has the shape of the input.
static LogicalResult inferLike(Value input, Value result, SymbolicShapes &shapes) {
  auto dims = shapes.getDims(input);
  return dims ? shapes.setDims(result, SmallVector<AffineExpr>(*dims)) : success();
}

LogicalResult FindOp::verify() {
  Type element = getElementTypeOrSelf(getInput().getType());
  if (!isa<IntegerType, FloatType, StringType>(element))
    return emitOpError("input must be numbers or strings, got ") << getInput().getType();
  if (failed(verifyRank(*this, "keys", getKeys(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getKeys()});
}

LogicalResult FindOp::inferShapes(SymbolicShapes &shapes) {
  return inferLike(getInput(), getResult(), shapes);
}

LogicalResult CountNGramsOp::verify() {
  if (getMaxSkip() < 0)
    return emitOpError("max_skip is ") << getMaxSkip() << ", but must not be negative";
  if (!isa<FloatType>(getElementTypeOrSelf(getResult().getType())))
    return emitOpError("result must be floats, got ") << getResult().getType();
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 1)) ||
      failed(verifyRank(*this, "lengths", getLengths(), 1)))
    return failure();
  return verifyRank(*this, "grams", getGrams(), 2);
}

LogicalResult CountNGramsOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput()), grams = shapes.getDims(getGrams());
  auto lengths = shapes.getDims(getLengths());
  if (!input || !grams || !lengths)
    return success();
  if (failed(shapes.checkEqual(*this, (*grams)[0], (*lengths)[0], "numbers of grams and lengths")))
    return failure();
  SmallVector<AffineExpr> dims(input->drop_back());
  dims.push_back((*grams)[0]);
  return shapes.setDims(getResult(), dims);
}

LogicalResult StringNormalizeOp::verify() {
  std::optional<int64_t> rank = getRank(getInput());
  if (rank && *rank != 1 && *rank != 2)
    return emitOpError("input must have rank 1 or 2, got ") << getInput().getType();
  return verifyRank(*this, "stop_words", getStopWords(), 1);
}

LogicalResult StringNormalizeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  if (input->size() == 2 &&
      failed(shapes.checkEqual(*this, input->front(), shapes.constant(1), "first size and 1")))
    return failure();
  SmallVector<AffineExpr> dims(input->size(), shapes.constant(1));
  dims.back() = nullptr;
  return shapes.setDims(getResult(), dims);
}

LogicalResult StringSplitOp::verify() { return success(); }

LogicalResult StringSplitOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  SmallVector<AffineExpr> dims(*input);
  if (failed(shapes.setDims(getCounts(), dims)))
    return failure();
  dims.emplace_back();
  return shapes.setDims(getPieces(), dims);
}

LogicalResult StringMatchOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getTransitions().getType());
  if (!type || type.getRank() != 2 || !type.hasStaticShape() || type.getDimSize(1) != 256 ||
      !type.getElementType().isSignlessInteger(32))
    return emitOpError("transitions must be [states, 256] of i32, got ")
           << getTransitions().getType();
  if (getAccepting() < 0 || int64_t(getAccepting()) > type.getDimSize(0))
    return emitOpError("accepting is ")
           << getAccepting() << ", but must lie in [0, " << type.getDimSize(0) << "]";
  return success();
}

LogicalResult StringMatchOp::inferShapes(SymbolicShapes &shapes) {
  return inferLike(getInput(), getResult(), shapes);
}
