// Resize: verifier and shape.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/ShapeElements.h"
#include "dialects/Graph/Verify.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

LogicalResult ResizeOp::verify() {
  if (bool(getScales()) == bool(getSizes()))
    return emitOpError("takes either scales or sizes");
  if (failed(verifyRank(*this, "roi", getRoi(), 1)) ||
      failed(verifyRank(*this, "scales", getScales(), 1)) ||
      failed(verifyRank(*this, "sizes", getSizes(), 1)))
    return failure();
  if (getScales() && !getElementTypeOrSelf(getScales().getType()).isF32())
    return emitOpError("scales must be f32, got ") << getScales().getType();
  if (getAxes() && failed(verifyAxes(*this, "axes", *getAxes(), getRank(getData()))))
    return failure();
  return verifySameElementTypes(*this, {getData(), getResult()});
}

/// Sizes under a policy that keeps the aspect ratio: one scale for all resized dimensions.
static void keepAspectRatio(SymbolicShapes &shapes, ResizePolicy policy, ArrayRef<int64_t> axes,
                            ArrayRef<AffineExpr> input, SmallVectorImpl<AffineExpr> &dims) {
  std::optional<float> scale;
  bool isKnown = true;
  for (int64_t axis : axes) {
    std::optional<int64_t> from = getConstant(input[axis]), to = getConstant(dims[axis]);
    isKnown &= from && to && *from > 0;
    if (!isKnown)
      break;
    float ratio = float(*to) / float(*from);
    scale = !scale                               ? ratio
            : policy == ResizePolicy::not_larger ? std::min(*scale, ratio)
                                                 : std::max(*scale, ratio);
  }
  for (int64_t axis : axes)
    dims[axis] = isKnown && std::abs(*scale) < 0x1p20f
                     ? shapes.constant(std::llround(double(*scale * *getConstant(input[axis]))))
                     : AffineExpr();
}

LogicalResult ResizeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getData());
  if (!input)
    return success();
  int64_t rank = input->size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (getAxes()) {
    axes.assign(getAxes()->begin(), getAxes()->end());
    for (int64_t &axis : axes) // the order belongs to that of scales and sizes
      axis = normalizeAxis(axis, rank);
    setAxes(axes);
  }
  SmallVector<AffineExpr> dims(*input);
  auto sizes = getSizes() ? shapes.getElements(getSizes()) : std::nullopt;
  auto scales = getScales() ? shapes.getReals(getScales()) : std::nullopt;
  if ((sizes && sizes->size() != axes.size()) || (scales && scales->size() != axes.size()))
    return emitOpError() << (sizes ? "sizes has " : "scales has ")
                         << (sizes ? sizes->size() : scales->size()) << " elements for "
                         << axes.size() << " dimensions";
  std::optional<ArrayRef<SymbolicShapes::Real>> roi;
  if (getCoordinates() == ResizeCoordinates::tf_crop_and_resize && getRoi())
    roi = shapes.getReals(getRoi());
  if (roi && roi->size() != 2 * axes.size())
    return emitOpError("roi has ") << roi->size() << " elements for " << axes.size()
                                   << " dimensions, each has a start and an end";
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (sizes) {
      dims[axis] = (*sizes)[i];
      continue;
    }
    AffineExpr &dim = dims[axis];
    if (!scales) {
      dim = {};
      continue;
    }
    const SymbolicShapes::Real &scale = (*scales)[i];
    if (scale.constant && !(*scale.constant > 0))
      return emitOpError("scale of dimension ")
             << axis << " is " << *scale.constant << ", but must be positive";
    if (getCoordinates() != ResizeCoordinates::tf_crop_and_resize) {
      dim = floorOfProduct(dim, scale);
      continue;
    }
    // Only the part of the dimension that roi names is scaled.
    std::optional<int64_t> size = getConstant(dim);
    bool isKnown =
        roi && scale.constant && size && (*roi)[i].constant && (*roi)[i + axes.size()].constant;
    double scaled =
        isKnown
            ? std::floor(float(*size) *
                         (float(*(*roi)[i + axes.size()].constant) - float(*(*roi)[i].constant)) *
                         float(*scale.constant))
            : 0;
    dim = isKnown && std::abs(scaled) < 0x1p40 ? shapes.constant(int64_t(scaled)) : AffineExpr();
  }
  if (sizes && getPolicy() != ResizePolicy::stretch)
    keepAspectRatio(shapes, getPolicy(), axes, *input, dims);
  else if (!sizes && !scales)
    for (int64_t axis : axes)
      dims[axis] = {};
  return shapes.setDims(getResult(), dims);
}
