// Operations that cut and join: concat, split, slice, pad.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

//===----------------------------------------------------------------------===//
// concat
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::verify() {
  if (getInputs().empty())
    return emitOpError("needs at least one input");
  std::optional<int64_t> rank;
  for (Value input : getInputs()) {
    std::optional<int64_t> next = getRank(input);
    if (rank && next && *rank != *next)
      return emitOpError("inputs differ in rank: ") << *rank << " and " << *next;
    if (next)
      rank = next;
  }
  if (rank == 0)
    return emitOpError("cannot join scalars");
  SmallVector<Value> values(getInputs());
  values.push_back(getResult());
  if (failed(verifySameElementTypes(*this, values)))
    return failure();
  return verifyAxis(*this, "axis", getAxis(), rank);
}

LogicalResult ConcatOp::inferShapes(SymbolicShapes &shapes) {
  SmallVector<ArrayRef<AffineExpr>> inputs;
  for (Value input : getInputs()) {
    auto dims = shapes.getDims(input);
    if (!dims)
      return success();
    inputs.push_back(*dims);
  }
  int64_t axis = normalizeAxis(getAxis(), inputs[0].size());
  setAxis(axis);
  SmallVector<AffineExpr> dims(inputs[0]);
  for (ArrayRef<AffineExpr> input : ArrayRef(inputs).drop_front())
    for (auto [i, dim] : llvm::enumerate(input)) {
      if (int64_t(i) == axis) {
        dims[i] = shapes.add(dims[i], dim);
        continue;
      }
      if (failed(shapes.checkEqual(*this, dims[i], dim,
                                   "sizes of the inputs in dimension " + Twine(i))))
        return failure();
      if (getConstant(dim))
        dims[i] = dim;
    }
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  if (dims.size() != 1 || !getConstant(dims[0]) ||
      *getConstant(dims[0]) > SymbolicShapes::maxElements)
    return success();
  // An input whose elements are unknown leaves a gap, but its neighbours are known.
  SmallVector<AffineExpr> elements;
  SmallVector<SymbolicShapes::Real> reals;
  for (auto [input, size] : llvm::zip(getInputs(), inputs)) {
    std::optional<int64_t> count = getConstant(size[0]);
    if (!count)
      return success();
    auto known = shapes.getElements(input);
    auto knownReals = shapes.getReals(input);
    if (known)
      elements.append(known->begin(), known->end());
    else
      elements.append(*count, AffineExpr());
    if (knownReals)
      reals.append(knownReals->begin(), knownReals->end());
    else
      reals.append(*count, SymbolicShapes::Real());
  }
  shapes.setElements(getResult(), elements);
  shapes.setReals(getResult(), reals);
  return success();
}

//===----------------------------------------------------------------------===//
// split
//===----------------------------------------------------------------------===//

LogicalResult SplitOp::verify() {
  if (getResults().empty())
    return emitOpError("needs at least one result");
  SmallVector<Value> values(getResults());
  values.push_back(getData());
  if (failed(verifySameElementTypes(*this, values)) ||
      failed(verifyRank(*this, "sizes", getSizes(), 1)))
    return failure();
  return verifyAxis(*this, "axis", getAxis(), getRank(getData()));
}

LogicalResult SplitOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return success();
  int64_t axis = normalizeAxis(getAxis(), input->size());
  setAxis(axis);
  int64_t count = getNumResults();
  AffineExpr whole = (*input)[axis];
  SmallVector<AffineExpr> sizes(count);
  if (auto given = getSizes() ? shapes.getElements(getSizes()) : std::nullopt) {
    if (int64_t(given->size()) != count)
      return emitOpError("sizes has ") << given->size() << " elements for " << count << " results";
    sizes.assign(given->begin(), given->end());
    AffineExpr sum = shapes.constant(0);
    for (AffineExpr size : sizes)
      sum = shapes.add(sum, size);
    if (failed(shapes.checkEqual(*this, sum, whole, "the sum of sizes and the size to split")))
      return failure();
  } else if (!getSizes()) {
    AffineExpr chunk =
        floorDivideExprs(addExprs(whole, shapes.constant(count - 1)), shapes.constant(count));
    std::optional<int64_t> total = getConstant(whole), part = getConstant(chunk);
    AffineExpr exact = divideExactly(whole, shapes.constant(count));
    for (int64_t i = 0; i < count; ++i) {
      if (total && part)
        // The last parts get what is left, which may be nothing.
        sizes[i] = shapes.constant(std::clamp<int64_t>(*total - i * *part, 0, *part));
      else if (exact)
        sizes[i] = exact;
      else
        sizes[i] = shapes.derive("split", {whole, shapes.constant(count), shapes.constant(i)},
                                 getResult(i), axis, AffineExpr());
    }
  }
  auto elements = shapes.getElements(getData());
  auto reals = shapes.getReals(getData());
  size_t offset = 0;
  for (auto [result, size] : llvm::zip(getResults(), sizes)) {
    SmallVector<AffineExpr> dims(*input);
    dims[axis] = size;
    if (failed(shapes.setDims(result, dims)))
      return failure();
    std::optional<int64_t> known = getConstant(size);
    if (!known)
      elements = std::nullopt, reals = std::nullopt;
    if (elements && offset + *known <= elements->size())
      shapes.setElements(result, elements->slice(offset, *known));
    if (reals && offset + *known <= reals->size())
      shapes.setReals(result, reals->slice(offset, *known));
    offset += known.value_or(0);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// slice
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  for (auto [name, value] : {std::pair("starts", getStarts()),
                             {"ends", getEnds()},
                             {"axes", getAxes()},
                             {"steps", getSteps()}})
    if (failed(verifyRank(*this, name, value, 1)))
      return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

namespace {
/// The part of one dimension that a slice keeps.
struct Cut {
  AffineExpr size;
  std::optional<int64_t> start; // where every index is constant
};
} // namespace

/// Clamping as ONNX defines it, for a dimension of known size.
static Cut cutConstant(SymbolicShapes &shapes, int64_t size, int64_t start, int64_t end,
                       int64_t step) {
  auto clamp = [&](int64_t index, int64_t low, int64_t high) {
    return std::clamp<int64_t>(index < 0 ? std::max<int64_t>(index, -size - 1) + size : index, low,
                               high);
  };
  Cut cut;
  if (step > 0) {
    int64_t from = clamp(start, 0, size), to = clamp(end, 0, size);
    cut.start = from;
    cut.size = shapes.constant(to > from ? 1 + (to - from - 1) / step : 0);
  } else {
    int64_t from = clamp(start, 0, std::max<int64_t>(size - 1, 0)), to = clamp(end, -1, size - 1);
    cut.start = from;
    uint64_t stride = 0 - uint64_t(step); // INT64_MIN has no negative
    cut.size = shapes.constant(size && from > to ? 1 + uint64_t(from - to - 1) / stride : 0);
  }
  return cut;
}

static Cut cutSymbolic(SymbolicShapes &shapes, Value result, unsigned dim, AffineExpr size,
                       AffineExpr start, AffineExpr end, AffineExpr step) {
  std::optional<int64_t> stride = getConstant(step);
  auto derive = [&](AffineExpr ideal) {
    return Cut{shapes.derive("slice", {size, start, end, step}, result, dim, ideal), std::nullopt};
  };
  constexpr int64_t longestStride = int64_t(1) << 40; // beyond it, what is added may overflow
  if (!size || !start || !end || !stride || *stride <= 0 || *stride > longestStride)
    return derive(AffineExpr());
  // Indices from the end become indices from the front; what the bounds can't tell is not guessed.
  auto fromFront = [&](AffineExpr index) -> AffineExpr {
    if (std::optional<int64_t> known = getConstant(index); known && *known < 0)
      return *known < -(int64_t(1) << 40) ? shapes.constant(0) : addExprs(size, index);
    return index;
  };
  std::optional<int64_t> knownEnd = getConstant(end);
  AffineExpr from = fromFront(start);
  AffineExpr to = knownEnd && *knownEnd >= (int64_t(1) << 31) - 1 ? size : fromFront(end);
  AffineExpr length = subtractExprs(to, from);
  AffineExpr ideal = floorDivideExprs(addExprs(length, shapes.constant(*stride - 1)), step);
  auto isAtLeast = [](AffineExpr large, AffineExpr small) {
    return getLowerBound(subtractExprs(large, small)).value_or(-1) >= 0;
  };
  bool isInside =
      ideal && isAtLeast(size, to) && isAtLeast(to, from) && getLowerBound(from).value_or(-1) >= 0;
  return isInside ? Cut{ideal, std::nullopt} : derive(ideal);
}

LogicalResult SliceOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return success();
  int64_t rank = input->size();
  SmallVector<AffineExpr> dims(*input);
  auto starts = shapes.getElements(getStarts()), ends = shapes.getElements(getEnds());
  auto steps = getSteps() ? shapes.getElements(getSteps()) : std::nullopt;
  std::optional<SmallVector<int64_t>> axes;
  std::optional<size_t> count = starts ? std::optional(starts->size())
                                : ends ? std::optional(ends->size())
                                       : std::nullopt;
  if (getAxes())
    axes = shapes.getConstantElements(getAxes());
  else if (count)
    axes = llvm::to_vector(llvm::seq<int64_t>(0, *count));
  if (!axes) {
    if (!getAxes())
      if (auto length = shapes.getDims(getStarts()); length && length->size() == 1)
        if (std::optional<int64_t> known = getConstant((*length)[0]); known && *known <= rank)
          axes = llvm::to_vector(llvm::seq<int64_t>(0, *known));
    if (!axes)
      return shapes.setDims(getResult(), SmallVector<AffineExpr>(rank));
  }
  if (failed(verifyAxes(*this, "axes", *axes, rank)))
    return failure();
  for (auto [name, values] : {std::pair("starts", starts), {"ends", ends}, {"steps", steps}})
    if (values && values->size() != axes->size())
      return emitOpError() << name << " has " << values->size() << " elements, axes has "
                           << axes->size();
  std::optional<std::pair<int64_t, int64_t>> elementCut; // start and step, where constant
  for (auto [i, given] : llvm::enumerate(*axes)) {
    int64_t axis = normalizeAxis(given, rank);
    AffineExpr start = starts ? (*starts)[i] : AffineExpr();
    AffineExpr end = ends ? (*ends)[i] : AffineExpr();
    AffineExpr step = steps ? (*steps)[i] : getSteps() ? AffineExpr() : shapes.constant(1);
    auto knownSize = getConstant(dims[axis]), knownStart = getConstant(start);
    auto knownEnd = getConstant(end), knownStep = getConstant(step);
    if (knownStep == 0)
      return emitOpError("step of dimension ") << axis << " is 0";
    Cut cut = knownSize && knownStart && knownEnd && knownStep
                  ? cutConstant(shapes, *knownSize, *knownStart, *knownEnd, *knownStep)
                  : cutSymbolic(shapes, getResult(), axis, dims[axis], start, end, step);
    dims[axis] = cut.size;
    if (cut.start)
      elementCut = std::pair(*cut.start, *knownStep);
  }
  if (failed(shapes.setDims(getResult(), dims)))
    return failure();
  if (rank != 1 || !elementCut)
    return success();
  auto take = [&](auto values) {
    SmallVector<typename std::decay_t<decltype(*values)>::value_type> taken;
    int64_t index = elementCut->first;
    for (int64_t i = 0, e = *getConstant(dims[0]); i < e; ++i, index += elementCut->second)
      taken.push_back((*values)[index]);
    return taken;
  };
  if (axes->empty())
    return success();
  if (auto elements = shapes.getElements(getData()))
    shapes.setElements(getResult(), take(elements));
  if (auto reals = shapes.getReals(getData()))
    shapes.setReals(getResult(), take(reals));
  return success();
}

//===----------------------------------------------------------------------===//
// pad
//===----------------------------------------------------------------------===//

LogicalResult PadOp::verify() {
  if (failed(verifyRank(*this, "pads", getPads(), 1)) ||
      failed(verifyRank(*this, "axes", getAxes(), 1)) ||
      failed(verifyScalar(*this, "value", getValue())))
    return failure();
  return verifySameElementTypes(*this, {getData(), getValue(), getResult()});
}

LogicalResult PadOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return success();
  int64_t rank = input->size();
  auto pads = shapes.getElements(getPads());
  std::optional<SmallVector<int64_t>> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (getAxes())
    axes = shapes.getConstantElements(getAxes());
  if (!axes)
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(rank));
  if (failed(verifyAxes(*this, "axes", *axes, rank)))
    return failure();
  if (pads && pads->size() != 2 * axes->size())
    return emitOpError("pads has ") << pads->size() << " elements for " << axes->size()
                                    << " dimensions; it takes a begin and an end for each";
  SmallVector<AffineExpr> dims(*input);
  for (auto [i, given] : llvm::enumerate(*axes)) {
    AffineExpr &dim = dims[normalizeAxis(given, rank)];
    dim = pads ? shapes.add(shapes.add(dim, (*pads)[i]), (*pads)[i + axes->size()]) : AffineExpr();
  }
  return shapes.setDims(getResult(), dims);
}
