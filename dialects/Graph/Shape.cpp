// Operations that change a shape and keep the data: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"
#include "mlir/IR/Builders.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

/// Hands the facts about the elements of `from` on to `to`, which has the same data.
static void copyElements(SymbolicShapes &shapes, Value from, Value to) {
  if (auto elements = shapes.getElements(from))
    shapes.setElements(to, *elements);
  if (auto reals = shapes.getReals(from))
    shapes.setReals(to, *reals);
}

/// The length of a 1-D tensor that holds a shape, when known.
static std::optional<int64_t> getShapeLength(SymbolicShapes &shapes, Value shape) {
  auto dims = shapes.getDims(shape);
  return dims && dims->size() == 1 ? getConstant((*dims)[0]) : std::nullopt;
}

/// Rejects ranks that no model has before memory is spent on them.
static LogicalResult checkRank(Operation *op, int64_t rank) {
  if (rank <= SymbolicShapes::maxRank)
    return success();
  return op->emitOpError("result would have rank ")
         << rank << ", the limit is " << SymbolicShapes::maxRank;
}

//===----------------------------------------------------------------------===//
// reshape, flatten, squeeze, unsqueeze
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  if (failed(verifyRank(*this, "shape", getShape(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult ReshapeOp::inferShapes(SymbolicShapes &shapes) {
  std::optional<ArrayRef<AffineExpr>> input = shapes.getDims(getData());
  std::optional<ArrayRef<AffineExpr>> wanted = shapes.getElements(getShape());
  if (!wanted) {
    std::optional<int64_t> rank = getShapeLength(shapes, getShape());
    if (!rank)
      return success();
    if (failed(checkRank(*this, *rank)))
      return failure();
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(*rank));
  }
  SmallVector<AffineExpr> dims;
  std::optional<size_t> computed; // the dimension that follows from the others
  bool isOverdetermined = true;
  for (auto [i, size] : llvm::enumerate(*wanted)) {
    std::optional<int64_t> known = getConstant(size);
    AffineExpr dim = size;
    if (known == 0 && !getAllowZero()) {
      if (input && i >= input->size())
        return emitOpError("shape ") << shapes.toString(*wanted) << " copies dimension " << i
                                     << ", but the input has rank " << input->size();
      dim = input ? (*input)[i] : AffineExpr();
    } else if (known && *known < 0) {
      if (*known != -1 || (computed && getConstant((*wanted)[*computed]) == -1))
        return emitOpError("shape ")
               << shapes.toString(*wanted)
               << " is not valid: at most one size may be negative, and that must be -1";
      dim = {};
    }
    dims.push_back(dim);
    if (dim)
      continue;
    if (computed)
      isOverdetermined = false;
    if (!computed || known == -1)
      computed = i;
  }
  if (!input)
    return shapes.setDims(getResult(), dims);

  AffineExpr total = shapes.product(*input);
  if (!computed) {
    if (failed(shapes.checkEqual(*this, total, shapes.product(dims),
                                 "numbers of elements before and after")))
      return failure();
    return shapes.setDims(getResult(), dims);
  }
  if (isOverdetermined) {
    SmallVector<AffineExpr> rest(dims);
    rest[*computed] = shapes.constant(1);
    // Equal factors cancel one by one first, which also works for sizes too large to multiply out.
    AffineExpr others = shapes.product(rest);
    std::optional<int64_t> knownTotal = getConstant(total), knownOthers = getConstant(others);
    if (knownOthers == 0 && knownTotal && getConstant((*wanted)[*computed]) == -1)
      return emitOpError("shape ")
             << shapes.toString(*wanted) << " leaves -1 undefined: the other sizes multiply to 0";
    if (knownTotal && knownOthers && *knownOthers > 0 && *knownTotal % *knownOthers != 0)
      return emitOpError("cannot reshape ")
             << shapes.toString(*input) << " to " << shapes.toString(*wanted) << ": " << *knownTotal
             << " elements don't divide by " << *knownOthers;
    AffineExpr exact = divideExactly(total, others);
    dims[*computed] = exact ? exact : floorDivideExprs(total, others);
  }
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  if (dims.size() <= 1)
    copyElements(shapes, getData(), getResult());
  return success();
}

LogicalResult FlattenOp::verify() {
  if (failed(verifyAxis(*this, "axis", getAxis(), getRank(getData()), /*inclusive=*/true)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult FlattenOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return shapes.setDims(getResult(), {AffineExpr(), AffineExpr()});
  setAxis(normalizeAxis(getAxis(), input->size()));
  return shapes.setDims(getResult(), {shapes.product(input->take_front(getAxis())),
                                      shapes.product(input->drop_front(getAxis()))});
}

LogicalResult SqueezeOp::verify() {
  if (getAxes() && failed(verifyAxes(*this, "axes", *getAxes(), getRank(getData()))))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult SqueezeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return success();
  SmallVector<int64_t> axes;
  bool mayBeOne = false;
  if (getAxes()) {
    axes = normalizeAxes(*getAxes(), input->size());
  } else {
    for (auto [i, dim] : llvm::enumerate(*input)) {
      if (getConstant(dim) == 1)
        axes.push_back(i);
      else if (!getConstant(dim) && getLowerBound(dim).value_or(0) < 2)
        mayBeOne = true; // the rank would depend on data: the run fails where it is 1
    }
  }
  SmallVector<AffineExpr> dims;
  for (auto [i, dim] : llvm::enumerate(*input)) {
    if (!llvm::is_contained(axes, int64_t(i)))
      dims.push_back(dim);
    else if (std::optional<int64_t> size = getConstant(dim); size && *size != 1)
      return emitOpError("cannot remove dimension ")
             << i << " of size " << *size << " from " << shapes.toString(*input);
  }
  if (!mayBeOne)
    setAxes(axes);
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  copyElements(shapes, getData(), getResult());
  return success();
}

LogicalResult UnsqueezeOp::verify() {
  std::optional<int64_t> rank = getRank(getData());
  if (rank)
    *rank += getAxes().size();
  if (failed(verifyAxes(*this, "axes", getAxes(), rank)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult UnsqueezeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return success();
  if (failed(checkRank(*this, input->size() + getAxes().size())))
    return failure();
  SmallVector<int64_t> axes = normalizeAxes(getAxes(), input->size() + getAxes().size());
  SmallVector<AffineExpr> dims(*input);
  for (int64_t axis : axes)
    dims.insert(dims.begin() + axis, shapes.constant(1));
  setAxes(axes);
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  copyElements(shapes, getData(), getResult());
  return success();
}

//===----------------------------------------------------------------------===//
// transpose, expand, tile
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::verify() {
  SmallVector<bool> seen(getPerm().size());
  for (int64_t dim : getPerm()) {
    if (dim < 0 || dim >= int64_t(seen.size()) || seen[dim])
      return emitOpError("perm [")
             << getPerm() << "] is not a permutation of " << getPerm().size() << " dimensions";
    seen[dim] = true;
  }
  if (failed(verifyRank(*this, "data", getData(), getPerm().size())))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult TransposeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(getPerm().size()));
  SmallVector<AffineExpr> dims;
  for (int64_t dim : getPerm())
    dims.push_back((*input)[dim]);
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  if (dims.size() <= 1)
    copyElements(shapes, getData(), getResult());
  return success();
}

LogicalResult ExpandOp::verify() {
  if (failed(verifyRank(*this, "shape", getShape(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult ExpandOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  auto wanted = shapes.getElements(getShape());
  std::optional<int64_t> length = getShapeLength(shapes, getShape());
  if (!input || !length)
    return success();
  if (failed(checkRank(*this, *length)))
    return failure();
  SmallVector<AffineExpr> unknown(*length);
  ArrayRef<AffineExpr> target = wanted ? *wanted : ArrayRef<AffineExpr>(unknown);
  for (AffineExpr size : target)
    if (std::optional<int64_t> known = getConstant(size); known && *known < 0)
      return emitOpError("shape ")
             << shapes.toString(target) << " holds the negative size " << *known;
  FailureOr<SmallVector<AffineExpr>> dims = shapes.broadcast(*this, {*input, target});
  if (failed(dims) || failed(shapes.setDims(getResult(), *dims)))
    return failure();
  if (dims->size() > 1)
    return success();
  std::optional<int64_t> count = dims->empty() ? 1 : getConstant(dims->front());
  if (!count || *count > SymbolicShapes::maxElements)
    return success();
  if (auto elements = shapes.getElements(getData()); elements && elements->size() == 1)
    shapes.setElements(getResult(), SmallVector<AffineExpr>(*count, elements->front()));
  else if (elements && int64_t(elements->size()) == *count)
    shapes.setElements(getResult(), *elements);
  return success();
}

LogicalResult RequireRangeOp::verify() {
  if (!isa<IntegerType>(getElementTypeOrSelf(getData().getType())))
    return emitOpError("data has type ") << getData().getType() << ", expected are integers";
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult RequireRangeOp::inferShapes(SymbolicShapes &shapes) {
  auto dims = shapes.getDims(getData());
  return dims ? shapes.setDims(getResult(), *dims) : success();
}

LogicalResult RequireShapeOp::verify() {
  if (failed(verifyRank(*this, "shape", getShape(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult RequireShapeOp::inferShapes(SymbolicShapes &shapes) {
  auto data = shapes.getDims(getData());
  if (!data)
    return success();
  SmallVector<AffineExpr> dims(*data);
  if (auto wanted = shapes.getElements(getShape())) {
    if (wanted->size() != dims.size())
      return emitOpError("data has rank ")
             << dims.size() << ", shape has " << wanted->size() << " elements";
    for (auto [i, size] : llvm::enumerate(*wanted)) {
      if (!size || getConstant(size) == -1)
        continue;
      if (failed(shapes.checkEqual(*this, dims[i], size,
                                   "size of dimension " + Twine(i) + " and the one it must have")))
        return failure();
      if (!getConstant(dims[i]))
        dims[i] = size;
    }
  }
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  if (dims.size() <= 1)
    copyElements(shapes, getData(), getResult());
  return success();
}

LogicalResult TileOp::verify() {
  if (failed(verifyRank(*this, "repeats", getRepeats(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

LogicalResult TileOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  auto repeats = shapes.getElements(getRepeats());
  if (!input)
    return success();
  if (!repeats)
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(input->size()));
  if (repeats->size() != input->size())
    return emitOpError("repeats has ")
           << repeats->size() << " elements, but the input has rank " << input->size();
  SmallVector<AffineExpr> dims;
  for (auto [dim, repeat] : llvm::zip(*input, *repeats))
    dims.push_back(shapes.multiply(dim, repeat));
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  std::optional<int64_t> count = dims.size() == 1 ? getConstant(dims[0]) : std::nullopt;
  auto elements = shapes.getElements(getData());
  if (!count || *count > SymbolicShapes::maxElements || !elements || elements->empty())
    return success();
  SmallVector<AffineExpr> tiled;
  for (int64_t i = 0; i < *count; ++i)
    tiled.push_back((*elements)[i % elements->size()]);
  shapes.setElements(getResult(), tiled);
  return success();
}

//===----------------------------------------------------------------------===//
// shape, size, full, range
//===----------------------------------------------------------------------===//

LogicalResult ShapeOp::verify() { return success(); }

LogicalResult ShapeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return shapes.setDims(getResult(), {AffineExpr()});
  // ONNX clamps start and end.
  int64_t rank = input->size();
  auto clamp = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + rank : index, 0, rank);
  };
  int64_t start = clamp(getStart());
  int64_t end = std::max(start, clamp(getEnd().value_or(rank)));
  setStart(start);
  if (end == rank)
    removeEndAttr();
  else
    setEnd(end);
  if (failed(shapes.setDims(getResult(), {shapes.constant(end - start)})))
    return failure();
  shapes.setElements(getResult(), input->slice(start, end - start));
  return success();
}

LogicalResult SizeOp::verify() { return success(); }

LogicalResult SizeOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(shapes.setDims(getResult(), {})))
    return failure();
  if (auto input = shapes.getDims(getData()))
    shapes.setElements(getResult(), {shapes.product(*input)});
  return success();
}

LogicalResult FullOp::verify() {
  auto type = dyn_cast<ShapedType>(getValue().getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() != 1 ||
      !isa<DenseElementsAttr>(getValue()))
    return emitOpError("value must be a dense attribute of one element, got ") << getValue();
  if (type.getElementType() != getElementTypeOrSelf(getResult().getType()))
    return emitOpError("value has element type ")
           << type.getElementType() << ", the result is " << getResult().getType();
  return verifyRank(*this, "shape", getShape(), 1);
}

LogicalResult FullOp::inferShapes(SymbolicShapes &shapes) {
  auto wanted = shapes.getElements(getShape());
  if (!wanted) {
    std::optional<int64_t> rank = getShapeLength(shapes, getShape());
    if (!rank)
      return success();
    if (failed(checkRank(*this, *rank)))
      return failure();
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(*rank));
  }
  for (auto [i, size] : llvm::enumerate(*wanted))
    if (std::optional<int64_t> known = getConstant(size); known && *known < 0)
      return emitOpError("shape ")
             << shapes.toString(*wanted) << " holds the negative size " << *known;
  if (failed(shapes.setDims(getResult(), *wanted)))
    return failure();
  if (wanted->size() > 1)
    return success();
  std::optional<int64_t> count = wanted->empty() ? 1 : getConstant(wanted->front());
  auto type = cast<ShapedType>(getValue().getType());
  if (!count || *count > SymbolicShapes::maxElements || !type.getElementType().isSignlessInteger())
    return success();
  APInt value = *cast<DenseElementsAttr>(getValue()).value_begin<APInt>();
  int64_t element =
      type.getElementType().isInteger(1) ? value.getZExtValue() : value.getSExtValue();
  shapes.setElements(getResult(), SmallVector<AffineExpr>(*count, shapes.constant(element)));
  return success();
}

LogicalResult RangeOp::verify() {
  for (auto [name, value] :
       {std::pair("start", getStart()), {"limit", getLimit()}, {"delta", getDelta()}})
    if (failed(verifyScalar(*this, name, value)))
      return failure();
  return verifySameElementTypes(*this, {getStart(), getLimit(), getDelta(), getResult()});
}

LogicalResult RangeOp::inferShapes(SymbolicShapes &shapes) {
  auto scalar = [&](Value value) -> AffineExpr {
    auto elements = shapes.getElements(value);
    return elements && elements->size() == 1 ? (*elements)[0] : AffineExpr();
  };
  AffineExpr start = scalar(getStart()), limit = scalar(getLimit()), delta = scalar(getDelta());
  std::optional<int64_t> step = getConstant(delta);
  if (step == 0)
    return emitOpError("delta is 0, so the range has no end");
  AffineExpr count;
  if (start && limit && step && *step != INT64_MIN) {
    AffineExpr distance = *step > 0 ? subtractExprs(limit, start) : subtractExprs(start, limit);
    AffineExpr magnitude = shapes.constant(std::abs(*step));
    AffineExpr ideal =
        floorDivideExprs(addExprs(distance, addExprs(magnitude, shapes.constant(-1))), magnitude);
    std::optional<int64_t> known = getConstant(ideal);
    if (known)
      count = shapes.constant(std::max<int64_t>(*known, 0));
    else if (ideal && getLowerBound(ideal).value_or(-1) >= 0)
      count = ideal;
    else if (ideal)
      count = shapes.derive("range", {ideal}, getResult(), 0, ideal);
  } else {
    auto real = [&](Value value) -> std::optional<double> {
      // Half precision has no facts, as these would have to round like it; constants are exact.
      auto op = value.getDefiningOp<ConstantOp>();
      auto constant = op ? dyn_cast<DenseFPElementsAttr>(op.getValue()) : DenseFPElementsAttr();
      if (constant && constant.getNumElements() == 1) {
        APFloat number = *constant.value_begin<APFloat>();
        bool lost;
        number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
        return number.convertToDouble();
      }
      auto reals = shapes.getReals(value);
      return reals && reals->size() == 1 ? (*reals)[0].constant : std::nullopt;
    };
    auto from = real(getStart()), to = real(getLimit()), by = real(getDelta());
    if (by == 0.0)
      return emitOpError("delta is 0, so the range has no end");
    if (from && to && by) {
      double exact = std::ceil((*to - *from) / *by);
      if (!(exact < 0x1p40))
        return emitOpError("range from ")
               << *from << " to " << *to << " by " << *by << " is too long";
      count = shapes.constant(std::max<int64_t>(int64_t(exact), 0));
    }
  }
  if (failed(shapes.setDims(getResult(), {count})))
    return failure();
  std::optional<int64_t> known = getConstant(count);
  if (!known || *known > SymbolicShapes::maxElements || !start || !delta)
    return success();
  SmallVector<AffineExpr> elements;
  for (AffineExpr element = start; int64_t(elements.size()) < *known;
       element = addExprs(element, delta))
    elements.push_back(element);
  shapes.setElements(getResult(), elements);
  return success();
}
