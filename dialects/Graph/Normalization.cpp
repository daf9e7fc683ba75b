// Normalizations: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

/// The result has the input's sizes.
static LogicalResult inferSame(SymbolicShapes &shapes, Value input, Value result) {
  auto dims = shapes.getDims(input);
  return dims ? shapes.setDims(result, *dims) : success();
}

/// Per-channel parameters have the size of dimension 1.
static LogicalResult checkChannels(Operation *op, SymbolicShapes &shapes, Value input,
                                   ArrayRef<Value> parameters) {
  auto dims = shapes.getDims(input);
  if (!dims)
    return success();
  for (Value parameter : parameters)
    if (auto size = shapes.getDims(parameter);
        size && failed(shapes.checkEqual(op, (*dims)[1], (*size)[0],
                                         "channels of the input and the size of a parameter")))
      return failure();
  return success();
}

LogicalResult BatchNormOp::verify() {
  for (auto [name, value] : {std::pair("scale", getScale()),
                             {"bias", getBias()},
                             {"mean", getMean()},
                             {"variance", getVariance()}})
    if (failed(verifyRank(*this, name, value, 1)))
      return failure();
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 2)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult BatchNormOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(checkChannels(*this, shapes, getInput(),
                           {getScale(), getBias(), getMean(), getVariance()})))
    return failure();
  return inferSame(shapes, getInput(), getResult());
}

LogicalResult LayerNormOp::verify() {
  if (failed(verifyAxis(*this, "axis", getAxis(), getRank(getInput()))))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult LayerNormOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  int64_t axis = normalizeAxis(getAxis(), input->size());
  setAxis(axis);
  for (Value parameter : {getScale(), getBias()})
    if (auto dims = parameter ? shapes.getDims(parameter) : std::nullopt) {
      if (dims->size() > input->size())
        return emitOpError("scale and bias of shape ")
               << shapes.toString(*dims) << " don't broadcast to the input's shape "
               << shapes.toString(*input);
      if (failed(shapes.broadcast(*this, {*input, *dims})))
        return failure();
    }
  if (failed(shapes.setDims(getResult(), *input)))
    return failure();
  SmallVector<AffineExpr> statistics(*input);
  std::fill(statistics.begin() + axis, statistics.end(), shapes.constant(1));
  for (Value result : {getMean(), getInvStdDev()})
    if (result && failed(shapes.setDims(result, statistics)))
      return failure();
  return success();
}

LogicalResult GroupNormOp::verify() {
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 2)) ||
      failed(verifyRank(*this, "scale", getScale(), 1)) ||
      failed(verifyRank(*this, "bias", getBias(), 1)) ||
      failed(verifySizes(*this, "groups", int64_t(getGroups()), false)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult GroupNormOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(checkChannels(*this, shapes, getInput(), {getScale(), getBias()})))
    return failure();
  auto input = shapes.getDims(getInput());
  if (input && getGroups())
    if (std::optional<int64_t> channels = getConstant((*input)[1]);
        channels && *channels % int64_t(getGroups()) != 0)
      return emitOpError("input has ")
             << *channels << " channels, which don't divide by the " << getGroups() << " groups";
  return inferSame(shapes, getInput(), getResult());
}

LogicalResult SoftmaxOp::verify() {
  std::optional<int64_t> rank = getRank(getInput());
  if (rank == 0 || !rank)
    return verifySameElementTypes(*this, {getInput(), getResult()});
  // A negative end counts from the rank, where 0 cannot stand for it.
  if (failed(verifyAxis(*this, "axis", getAxis(), rank)) ||
      failed(verifyAxis(*this, "axis_end", getAxisEnd(), rank, /*inclusive=*/true)))
    return failure();
  int64_t axis = normalizeAxis(getAxis(), *rank);
  if (int64_t end = getAxisEnd(); end > 0 && end <= axis)
    return emitOpError("axis_end is ") << end << ", but must be greater than axis, " << axis;
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult SoftmaxOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  if (!input)
    return success();
  if (int64_t rank = input->size()) {
    // Axis -1 has the end 0 that follows it, which is the rank.
    int64_t end = getAxisEnd();
    setAxis(normalizeAxis(getAxis(), rank));
    setAxisEnd(end <= 0 ? end + rank : end);
    if (getAxisEnd() <= getAxis())
      return emitOpError("axis_end is ") << end << ", but must be greater than axis, " << getAxis();
  }
  return shapes.setDims(getResult(), *input);
}

LogicalResult LrnOp::verify() {
  if (failed(verifyRankAtLeast(*this, "input", getInput(), 2)) ||
      failed(verifySizes(*this, "size", int64_t(getSize()), true)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult LrnOp::inferShapes(SymbolicShapes &shapes) {
  return inferSame(shapes, getInput(), getResult());
}

LogicalResult LpNormOp::verify() {
  if (getP() != 1 && getP() != 2)
    return emitOpError("p is ") << getP() << ", but must be 1 or 2";
  if (failed(verifyAxis(*this, "axis", getAxis(), getRank(getInput()))))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult LpNormOp::inferShapes(SymbolicShapes &shapes) {
  if (auto input = shapes.getDims(getInput()))
    setAxis(normalizeAxis(getAxis(), input->size()));
  return inferSame(shapes, getInput(), getResult());
}
