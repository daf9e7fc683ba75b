// Operations that address elements: gather, scatter, one_hot, trilu, space and depth, non_zero.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

//===----------------------------------------------------------------------===//
// gather
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::verify() {
  if (failed(verifyRankAtLeast(*this, "data", getData(), 1)) ||
      failed(verifyAxis(*this, "axis", getAxis(), getRank(getData()))))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult GatherOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData()), indices = shapes.getDims(getIndices());
  if (!data)
    return success();
  int64_t axis = normalizeAxis(getAxis(), data->size());
  setAxis(axis);
  if (!indices)
    return success();
  SmallVector<AffineExpr> dims(data->take_front(axis));
  dims.append(indices->begin(), indices->end());
  dims.append(data->begin() + axis + 1, data->end());
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  auto positions = shapes.getConstantElements(getIndices());
  if (!positions)
    return success();
  std::optional<int64_t> size = getConstant((*data)[axis]);
  for (int64_t &position : *positions) {
    if (size && (position < -*size || position >= *size))
      return emitOpError("index ")
             << position << " is out of range for dimension " << axis << " of size " << *size;
    if (size && position < 0)
      position += *size;
  }
  if (!size || data->size() != 1)
    return success();
  auto take = [&](auto values) {
    SmallVector<typename std::decay_t<decltype(*values)>::value_type> taken;
    for (int64_t position : *positions)
      taken.push_back((*values)[position]);
    return taken;
  };
  if (auto elements = shapes.getElements(getData()))
    shapes.setElements(getResult(), take(elements));
  if (auto reals = shapes.getReals(getData()))
    shapes.setReals(getResult(), take(reals));
  return success();
}

LogicalResult GatherElementsOp::verify() {
  if (auto rank = getRank(getData());
      rank && failed(verifyRank(*this, "indices", getIndices(), *rank)))
    return failure();
  if (failed(verifyRankAtLeast(*this, "data", getData(), 1)) ||
      failed(verifyAxis(*this, "axis", getAxis(), getRank(getData()))))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult GatherElementsOp::inferShapes(SymbolicShapes &shapes) {
  if (auto data = shapes.getDims(getData()))
    setAxis(normalizeAxis(getAxis(), data->size()));
  auto indices = shapes.getDims(getIndices());
  return indices ? shapes.setDims(getResult(), *indices) : success();
}

LogicalResult GatherNDOp::verify() {
  if (failed(verifyRankAtLeast(*this, "indices", getIndices(), 1)) ||
      failed(verifyRankAtLeast(*this, "data", getData(), 1)))
    return failure();
  if (getBatchDims() < 0)
    return emitOpError("batch_dims is ") << getBatchDims() << ", but must not be negative";
  if (failed(verifyRankAtLeast(*this, "data", getData(), getBatchDims() + 1)) ||
      failed(verifyRankAtLeast(*this, "indices", getIndices(), getBatchDims() + 1)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult GatherNDOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData()), indices = shapes.getDims(getIndices());
  if (!data || !indices)
    return success();
  std::optional<int64_t> depth = getConstant(indices->back());
  if (!depth)
    return success();
  if (*depth < 1 || *depth > int64_t(data->size()) - int64_t(getBatchDims()))
    return emitOpError("indices address ")
           << *depth << " dimensions, the data has rank " << data->size() << " and batch_dims is "
           << getBatchDims();
  for (int64_t i = 0; i < int64_t(getBatchDims()); ++i)
    if (failed(shapes.checkEqual(*this, (*data)[i], (*indices)[i],
                                 "sizes of data and indices in batch dimension " + Twine(i))))
      return failure();
  SmallVector<AffineExpr> dims(indices->drop_back());
  dims.append(data->begin() + getBatchDims() + *depth, data->end());
  return shapes.setDims(getResult(), dims);
}

//===----------------------------------------------------------------------===//
// scatter
//===----------------------------------------------------------------------===//

LogicalResult ScatterElementsOp::verify() {
  std::optional<int64_t> rank = getRank(getData());
  if (rank && (failed(verifyRank(*this, "indices", getIndices(), *rank)) ||
               failed(verifyRank(*this, "updates", getUpdates(), *rank))))
    return failure();
  if (failed(verifyRankAtLeast(*this, "data", getData(), 1)) ||
      failed(verifyAxis(*this, "axis", getAxis(), rank)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getUpdates(), getResult()});
}

LogicalResult ScatterElementsOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  if (!data)
    return success();
  setAxis(normalizeAxis(getAxis(), data->size()));
  auto indices = shapes.getDims(getIndices()), updates = shapes.getDims(getUpdates());
  if (indices && updates)
    for (auto [i, pair] : llvm::enumerate(llvm::zip(*indices, *updates)))
      if (failed(shapes.checkEqual(*this, std::get<0>(pair), std::get<1>(pair),
                                   "sizes of indices and updates in dimension " + Twine(i))))
        return failure();
  return shapes.setDims(getResult(), *data);
}

LogicalResult ScatterNDOp::verify() {
  if (failed(verifyRankAtLeast(*this, "data", getData(), 1)) ||
      failed(verifyRankAtLeast(*this, "indices", getIndices(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getUpdates(), getResult()});
}

LogicalResult ScatterNDOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  if (!data)
    return success();
  auto indices = shapes.getDims(getIndices()), updates = shapes.getDims(getUpdates());
  std::optional<int64_t> depth = indices ? getConstant(indices->back()) : std::nullopt;
  if (depth && (*depth < 1 || *depth > int64_t(data->size())))
    return emitOpError("indices address ")
           << *depth << " dimensions, the data has rank " << data->size();
  if (depth && updates) {
    SmallVector<AffineExpr> expected(indices->drop_back());
    expected.append(data->begin() + *depth, data->end());
    if (expected.size() != updates->size())
      return emitOpError("updates must have shape ")
             << shapes.toString(expected) << ", got " << shapes.toString(*updates);
    for (auto [i, pair] : llvm::enumerate(llvm::zip(expected, *updates)))
      if (failed(shapes.checkEqual(*this, std::get<0>(pair), std::get<1>(pair),
                                   "the size expected of and found in dimension " + Twine(i) +
                                       " of updates")))
        return failure();
  }
  return shapes.setDims(getResult(), *data);
}

//===----------------------------------------------------------------------===//
// one_hot, trilu, non_zero
//===----------------------------------------------------------------------===//

LogicalResult OneHotOp::verify() {
  std::optional<int64_t> rank = getRank(getIndices());
  if (rank)
    ++*rank;
  if (failed(verifyAxis(*this, "axis", getAxis(), rank)) ||
      failed(verifyScalar(*this, "depth", getDepth())) ||
      failed(verifyRank(*this, "values", getValues(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getValues(), getResult()});
}

LogicalResult OneHotOp::inferShapes(SymbolicShapes &shapes) {
  auto indices = shapes.getDims(getIndices());
  if (!indices)
    return success();
  int64_t axis = normalizeAxis(getAxis(), indices->size() + 1);
  setAxis(axis);
  AffineExpr depth;
  if (auto elements = shapes.getElements(getDepth()); elements && elements->size() == 1)
    depth = (*elements)[0];
  else if (auto reals = shapes.getReals(getDepth()); reals && reals->size() == 1 &&
                                                     (*reals)[0].constant.value_or(-1) >= 0 &&
                                                     *(*reals)[0].constant < 0x1p40)
    depth = shapes.constant(int64_t(*(*reals)[0].constant));
  if (std::optional<int64_t> known = getConstant(depth); known && *known < 0)
    return emitOpError("depth is ") << *known << ", but must not be negative";
  SmallVector<AffineExpr> dims(*indices);
  dims.insert(dims.begin() + axis, depth);
  return shapes.setDims(getResult(), dims);
}

LogicalResult TriluOp::verify() {
  if (failed(verifyRankAtLeast(*this, "data", getData(), 2)) ||
      failed(verifyScalar(*this, "k", getK())))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult TriluOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  return data ? shapes.setDims(getResult(), *data) : success();
}

LogicalResult NonZeroOp::verify() { return success(); }

LogicalResult NonZeroOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  if (!data)
    return shapes.setDims(getResult(), {AffineExpr(), AffineExpr()});
  return shapes.setDims(getResult(), {shapes.constant(data->size()), AffineExpr()});
}

//===----------------------------------------------------------------------===//
// depth_to_space, space_to_depth
//===----------------------------------------------------------------------===//

static LogicalResult verifyBlock(Operation *op, Value data, Value result, int64_t block) {
  if (failed(verifyRank(op, "data", data, 4)) || failed(verifySizes(op, "block", block, true)))
    return failure();
  return verifySameElementTypes(op, {data, result});
}

/// dim / divisor, with an error when it does not divide.
static FailureOr<AffineExpr> divideDim(Operation *op, SymbolicShapes &shapes, unsigned index,
                                       AffineExpr dim, int64_t divisor) {
  std::optional<int64_t> size = getConstant(dim);
  if (size && *size % divisor != 0)
    return op->emitOpError("dimension ")
           << index << " has size " << *size << ", which does not divide by " << divisor;
  return floorDivideExprs(dim, shapes.constant(divisor));
}

LogicalResult DepthToSpaceOp::verify() {
  return verifyBlock(*this, getData(), getResult(), getBlock());
}

LogicalResult DepthToSpaceOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  if (!data)
    return success();
  AffineExpr block = shapes.constant(getBlock());
  if (getBlock() > (1 << 20))
    return emitOpError("block is ") << getBlock() << ", which no channel count divides by";
  FailureOr<AffineExpr> channels = divideDim(*this, shapes, 1, (*data)[1], getBlock() * getBlock());
  if (failed(channels))
    return failure();
  return shapes.setDims(getResult(), {(*data)[0], *channels, shapes.multiply((*data)[2], block),
                                      shapes.multiply((*data)[3], block)});
}

LogicalResult SpaceToDepthOp::verify() {
  return verifyBlock(*this, getData(), getResult(), getBlock());
}

LogicalResult SpaceToDepthOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  if (!data)
    return success();
  AffineExpr block = shapes.constant(getBlock());
  FailureOr<AffineExpr> height = divideDim(*this, shapes, 2, (*data)[2], getBlock());
  FailureOr<AffineExpr> width = divideDim(*this, shapes, 3, (*data)[3], getBlock());
  if (failed(height) || failed(width))
    return failure();
  return shapes.setDims(
      getResult(),
      {(*data)[0], shapes.multiply((*data)[1], shapes.multiply(block, block)), *height, *width});
}
