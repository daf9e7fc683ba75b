// Convolutions: verifiers and shapes.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Verify.h"
#include "dialects/Graph/Windows.h"

using namespace mlir;
using namespace lathe::graph;

//===----------------------------------------------------------------------===//
// Windows
//===----------------------------------------------------------------------===//

LogicalResult lathe::graph::verifyWindows(Operation *op, const Windows &windows) {
  size_t rank = windows.strides.size();
  if (windows.dilations.size() != rank || windows.pads.size() != 2 * rank)
    return op->emitOpError("has ")
           << rank << " strides, " << windows.dilations.size() << " dilations and "
           << windows.pads.size() << " pads, but needs a begin and an end pad per stride";
  if (failed(verifySizes(op, "strides", windows.strides, true)) ||
      failed(verifySizes(op, "dilations", windows.dilations, true)) ||
      failed(verifySizes(op, "pads", windows.pads, false)))
    return failure();
  if (windows.autoPad != AutoPad::none &&
      !llvm::all_of(windows.pads, [](int64_t pad) { return pad == 0; }))
    return op->emitOpError("has both auto_pad and explicit pads");
  return success();
}

AffineExpr lathe::graph::getWindowExtent(SymbolicShapes &shapes, AffineExpr kernel,
                                         int64_t dilation) {
  return shapes.add(shapes.multiply(shapes.add(kernel, -1), shapes.constant(dilation)), 1);
}

FailureOr<SmallVector<AffineExpr>>
lathe::graph::countWindows(Operation *op, SymbolicShapes &shapes, const Windows &windows,
                           ArrayRef<AffineExpr> input, ArrayRef<AffineExpr> kernel,
                           std::optional<SmallVector<int64_t>> &resolvedPads) {
  size_t rank = windows.strides.size();
  SmallVector<AffineExpr> counts(rank);
  SmallVector<int64_t> pads(2 * rank);
  bool isResolved = windows.autoPad != AutoPad::none;
  for (size_t i = 0; i < rank; ++i) {
    AffineExpr stride = shapes.constant(windows.strides[i]);
    AffineExpr extent = getWindowExtent(shapes, kernel[i], windows.dilations[i]);
    if (getConstant(extent).value_or(0) > (int64_t(1) << 60))
      return op->emitOpError("window of size ") << shapes.toString(kernel[i]) << " and dilation "
                                                << windows.dilations[i] << " is too large";
    if (windows.autoPad == AutoPad::same_upper || windows.autoPad == AutoPad::same_lower) {
      counts[i] = floorDivideExprs(shapes.add(input[i], windows.strides[i] - 1), stride);
      auto size = getConstant(input[i]), window = getConstant(extent), out = getConstant(counts[i]);
      if (!size || !window || !out) {
        isResolved = false;
        continue;
      }
      int64_t total = std::max<int64_t>((*out - 1) * windows.strides[i] + *window - *size, 0);
      int64_t small = total / 2, large = total - small;
      bool isUpper = windows.autoPad == AutoPad::same_upper;
      pads[i] = isUpper ? small : large;
      pads[i + rank] = isUpper ? large : small;
      continue;
    }
    AffineExpr padded = shapes.add(shapes.add(input[i], windows.pads[i]), windows.pads[i + rank]);
    AffineExpr room = subtractExprs(padded, extent);
    if (std::optional<int64_t> known = getConstant(room);
        known && *known < 0 && getConstant(input[i]) != 0)
      return op->emitOpError("window of extent ")
             << shapes.toString(extent) << " is larger than the input of size "
             << shapes.toString(input[i]) << " with its pads (" << shapes.toString(padded)
             << ") in spatial dimension " << i;
    if (!windows.ceilMode || windows.strides[i] == 1) {
      counts[i] = shapes.add(floorDivideExprs(room, stride), 1);
    } else if (std::optional<int64_t> known = getConstant(room)) {
      int64_t count = llvm::divideCeilSigned(*known, windows.strides[i]) + 1;
      // A window that would start in the right padding is dropped.
      std::optional<int64_t> size = getConstant(input[i]);
      if (size && (count - 1) * windows.strides[i] >= *size + windows.pads[i])
        --count;
      counts[i] = shapes.constant(count);
    } else {
      counts[i] = AffineExpr();
    }
    if (std::optional<int64_t> known = getConstant(counts[i]))
      counts[i] = shapes.constant(std::max<int64_t>(*known, 0));
  }
  if (isResolved)
    resolvedPads = std::move(pads);
  return counts;
}

//===----------------------------------------------------------------------===//
// conv
//===----------------------------------------------------------------------===//

LogicalResult ConvOp::verify() {
  if (failed(verifyWindows(*this, {getStrides(), getDilations(), getPads(), getAutoPad()})))
    return failure();
  int64_t rank = getStrides().size() + 2;
  if (failed(verifyRank(*this, "input", getInput(), rank)) ||
      failed(verifyRank(*this, "weight", getWeight(), rank)) ||
      failed(verifyRank(*this, "bias", getBias(), 1)) ||
      failed(verifySizes(*this, "group", int64_t(getGroup()), true)))
    return failure();
  if (failed(verifyProduct(*this, getInput(), getWeight(), getResult())))
    return failure();
  return verifySameElementTypes(*this, {getBias(), getResult()});
}

bool ConvOp::isDepthwiseAlongRows() {
  // Of narrow images the borders cost more than transposes: on an Intel Xeon 512 channels at 14x14
  // take 83 us with channels last and 95 us so, 128 at 56x56 560 us and 325 us.
  constexpr int64_t lanes = 16, leastWidth = 48, leastUse = 70; // per cent of the lanes
  auto weight = dyn_cast<RankedTensorType>(getWeight().getType());
  auto result = dyn_cast<RankedTensorType>(getResult().getType());
  if (getChannelsLast() || !weight || !result || weight.getRank() < 3 || !weight.hasStaticShape() ||
      !isa<FloatType>(weight.getElementType()) || getGroup() < 2 ||
      weight.getDimSize(0) != getGroup() || weight.getDimSize(1) != 1 || getStrides().back() != 1)
    return false;
  int64_t width = result.getShape().back();
  return !ShapedType::isDynamic(width) && width >= leastWidth &&
         width * 100 >= int64_t(llvm::alignTo(width, lanes)) * leastUse;
}

LogicalResult ConvOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput()), weight = shapes.getDims(getWeight());
  size_t spatial = getStrides().size();
  if (!input || !weight)
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(spatial + 2));
  bool last = getChannelsLast();
  AffineExpr channels = (*input)[last ? spatial + 1 : 1];
  AffineExpr filters = (*weight)[last ? spatial + 1 : 0];
  AffineExpr groupChannels = (*weight)[last ? spatial : 1];
  std::optional<int64_t> filterCount = getConstant(filters);
  if (filterCount && *filterCount % int64_t(getGroup()) != 0)
    return emitOpError("weight has ")
           << *filterCount << " filters, which don't divide by the " << getGroup() << " groups";
  if (failed(shapes.checkEqual(
          *this, channels, shapes.multiply(groupChannels, shapes.constant(getGroup())),
          "channels of the input and those the weight takes (channels per group times groups)")))
    return failure();
  if (getBias())
    if (auto bias = shapes.getDims(getBias());
        bias && failed(shapes.checkEqual(*this, (*bias)[0], filters,
                                         "the size of the bias and the number of filters")))
      return failure();
  std::optional<SmallVector<int64_t>> pads;
  auto counts =
      countWindows(*this, shapes, {getStrides(), getDilations(), getPads(), getAutoPad()},
                   input->slice(last ? 1 : 2, spatial), weight->slice(last ? 0 : 2, spatial), pads);
  if (failed(counts))
    return failure();
  if (pads) {
    setPads(*pads);
    setAutoPad(AutoPad::none);
  }
  SmallVector<AffineExpr> dims{(*input)[0]};
  if (!last)
    dims.push_back(filters);
  dims.append(counts->begin(), counts->end());
  if (last)
    dims.push_back(filters);
  return shapes.setDims(getResult(), dims);
}

//===----------------------------------------------------------------------===//
// conv_transpose
//===----------------------------------------------------------------------===//

LogicalResult ConvTransposeOp::verify() {
  size_t spatial = getStrides().size();
  // Explicit pads beside output_shape are ignored, as ONNX does, so auto_pad may be anything.
  if (failed(verifyWindows(*this, {getStrides(), getDilations(), getPads(), AutoPad::none})))
    return failure();
  if (getOutputPadding().size() != spatial ||
      (getOutputShape() && getOutputShape()->size() != spatial))
    return emitOpError("output_padding and output_shape need one size per spatial dimension, ")
           << spatial;
  if (failed(verifySizes(*this, "output_padding", getOutputPadding(), false)) ||
      (getOutputShape() && failed(verifySizes(*this, "output_shape", *getOutputShape(), false))) ||
      failed(verifySizes(*this, "group", int64_t(getGroup()), true)))
    return failure();
  int64_t rank = spatial + 2;
  if (failed(verifyRank(*this, "input", getInput(), rank)) ||
      failed(verifyRank(*this, "weight", getWeight(), rank)) ||
      failed(verifyRank(*this, "bias", getBias(), 1)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getWeight(), getBias(), getResult()});
}

LogicalResult ConvTransposeOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput()), weight = shapes.getDims(getWeight());
  size_t spatial = getStrides().size();
  if (!input || !weight)
    return shapes.setDims(getResult(), SmallVector<AffineExpr>(spatial + 2));
  if (failed(shapes.checkEqual(*this, (*input)[1], (*weight)[0],
                               "channels of the input and those the weight takes")))
    return failure();
  if (std::optional<int64_t> channels = getConstant((*input)[1]);
      channels && *channels % int64_t(getGroup()) != 0)
    return emitOpError("input has ")
           << *channels << " channels, which don't divide by the " << getGroup() << " groups";
  SmallVector<AffineExpr> dims{(*input)[0],
                               shapes.multiply((*weight)[1], shapes.constant(getGroup()))};
  SmallVector<int64_t> pads(getPads()), outputPadding(getOutputPadding());
  // Pads that follow from the result's size are written out when every size is static.
  bool derivesPads = getOutputShape() || getAutoPad() == AutoPad::same_upper ||
                     getAutoPad() == AutoPad::same_lower;
  bool isResolved = true;
  if (getAutoPad() == AutoPad::valid)
    llvm::fill(pads, 0);
  for (size_t i = 0; i < spatial; ++i) {
    AffineExpr extent = getWindowExtent(shapes, (*weight)[i + 2], getDilations()[i]);
    AffineExpr stride = shapes.constant(getStrides()[i]);
    AffineExpr full =
        shapes.add(shapes.add(shapes.multiply(shapes.add((*input)[i + 2], -1), stride), extent),
                   getOutputPadding()[i]);
    if (!derivesPads) {
      dims.push_back(shapes.add(full, -pads[i] - pads[i + spatial]));
      continue;
    }
    AffineExpr size = getOutputShape() ? shapes.constant((*getOutputShape())[i])
                                       : shapes.multiply((*input)[i + 2], stride);
    dims.push_back(size);
    std::optional<int64_t> surplus = getConstant(subtractExprs(full, size));
    if (!surplus) {
      isResolved = false;
      continue;
    }
    // A result larger than what the windows cover is padded at its end.
    outputPadding[i] += std::max<int64_t>(-*surplus, 0);
    int64_t total = std::max<int64_t>(*surplus, 0), small = total / 2, large = total - small;
    bool isUpper = getAutoPad() == AutoPad::same_upper;
    pads[i] = isUpper ? small : large;
    pads[i + spatial] = isUpper ? large : small;
  }
  if (isResolved) {
    setPads(pads);
    setOutputPadding(outputPadding);
    setAutoPad(AutoPad::none);
    removeOutputShapeAttr();
  }
  if (getBias())
    if (auto bias = shapes.getDims(getBias());
        bias && failed(shapes.checkEqual(*this, (*bias)[0], dims[1],
                                         "the size of the bias and the number of filters")))
      return failure();
  return shapes.setDims(getResult(), dims);
}

LogicalResult ColumnsToImageOp::verify() {
  if (failed(verifyRank(*this, "input", getInput(), 3)) ||
      failed(verifyRank(*this, "image", getImage(), 1)) ||
      failed(verifyRank(*this, "block", getBlock(), 1)))
    return failure();
  if (getPads().size() != 2 * getStrides().size() || getDilations().size() != getStrides().size())
    return emitOpError("has ") << getStrides().size() << " strides, " << getDilations().size()
                               << " dilations and " << getPads().size() << " pads";
  if (failed(verifySizes(*this, "strides", getStrides(), true)) ||
      failed(verifySizes(*this, "dilations", getDilations(), true)) ||
      failed(verifySizes(*this, "pads", getPads(), false)))
    return failure();
  return verifySameElementTypes(*this, {getInput(), getResult()});
}

LogicalResult ColumnsToImageOp::inferShapes(SymbolicShapes &shapes) {
  auto input = shapes.getDims(getInput());
  size_t spatial = getStrides().size();
  auto image = shapes.getElements(getImage()), block = shapes.getElements(getBlock());
  SmallVector<AffineExpr> dims(spatial + 2);
  if ((image && image->size() != spatial) || (block && block->size() != spatial))
    return emitOpError("image and block must hold ") << spatial << " sizes";
  if (image)
    llvm::copy(*image, dims.begin() + 2);
  if (input) {
    dims[0] = (*input)[0];
    bool isKnown = block && !llvm::is_contained(*block, AffineExpr());
    AffineExpr elements = isKnown ? shapes.product(*block) : AffineExpr();
    std::optional<int64_t> count = getConstant(elements), rows = getConstant((*input)[1]);
    if (count && (*count <= 0 || (rows && *rows % *count != 0)))
      return emitOpError("blocks of ")
             << *count << " elements do not divide " << shapes.toString((*input)[1]) << " rows";
    if (count)
      dims[1] = floorDivideExprs((*input)[1], elements);
  }
  return shapes.setDims(getResult(), dims);
}
