// Lowering of convolutions, with channels last but for those of single channels along long rows.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "lib/GraphToLinalg/Windows.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using utils::IteratorType;

// ---- Windows -----------------------------------------------------------------------------------

OpFoldResult lathe::g2l::getExtent(Lowering &l, OpFoldResult kernel, int64_t dilation) {
  return l.add(l.mul(l.sub(kernel, l.size(1)), l.size(dilation)), l.size(1));
}

// (count - 1) * stride + extent: what the windows cover.
static OpFoldResult getCovered(Lowering &l, OpFoldResult count, int64_t stride,
                               OpFoldResult extent) {
  return l.add(l.mul(l.sub(count, l.size(1)), l.size(stride)), extent);
}

Sizes lathe::g2l::countWindows(Lowering &l, const WindowShape &windows) {
  Sizes counts;
  for (size_t i = 0; i < windows.strides.size(); ++i) {
    OpFoldResult stride = l.size(windows.strides[i]), input = windows.input[i];
    if (windows.autoPad == graph::AutoPad::same_upper ||
        windows.autoPad == graph::AutoPad::same_lower) {
      counts.push_back(l.ceilDiv(input, stride));
      continue;
    }
    OpFoldResult begin = l.add(input, l.size(windows.pads[i]));
    OpFoldResult padded = l.add(begin, l.size(windows.pads[i + windows.strides.size()]));
    OpFoldResult extent = getExtent(l, windows.kernel[i], windows.dilations[i]);
    l.requireFits(extent, padded, input,
                  "a window of extent %0 is larger than the padded input, %1");
    OpFoldResult room = l.sub(padded, extent);
    if (!windows.ceilMode) {
      counts.push_back(l.add(l.floorDiv(room, stride), l.size(1)));
      continue;
    }
    // A window must begin in the input or the padding before it.
    OpFoldResult all = l.add(l.ceilDiv(room, stride), l.size(1));
    counts.push_back(l.min(all, l.ceilDiv(begin, stride)));
  }
  return counts;
}

std::pair<Sizes, Sizes> lathe::g2l::getPads(Lowering &l, const WindowShape &windows,
                                            ArrayRef<OpFoldResult> counts) {
  std::pair<Sizes, Sizes> pads;
  size_t rank = windows.strides.size();
  for (size_t i = 0; i < rank; ++i) {
    OpFoldResult covered = getCovered(l, counts[i], windows.strides[i],
                                      getExtent(l, windows.kernel[i], windows.dilations[i]));
    if (windows.autoPad == graph::AutoPad::same_upper ||
        windows.autoPad == graph::AutoPad::same_lower) {
      OpFoldResult total = l.max(l.sub(covered, windows.input[i]), l.size(0));
      OpFoldResult half = l.floorDiv(total, l.size(2)), rest = l.sub(total, half);
      bool isUpper = windows.autoPad == graph::AutoPad::same_upper;
      pads.first.push_back(isUpper ? half : rest);
      pads.second.push_back(isUpper ? rest : half);
      continue;
    }
    OpFoldResult low = l.size(windows.pads[i]), high = l.size(windows.pads[i + rank]);
    if (windows.ceilMode)
      high = l.max(high, l.sub(covered, l.add(windows.input[i], low)));
    pads.first.push_back(low);
    pads.second.push_back(high);
  }
  return pads;
}

// ---- Layout ------------------------------------------------------------------------------------

Tensor lathe::g2l::toChannelsLast(Lowering &l, const Tensor &tensor) {
  SmallVector<int64_t> permutation{0};
  for (int64_t i = 2; i < tensor.rank(); ++i)
    permutation.push_back(i);
  permutation.push_back(1);
  return l.transpose(tensor, permutation);
}

Tensor lathe::g2l::toChannelsFirst(Lowering &l, const Tensor &tensor) {
  SmallVector<int64_t> permutation{0, tensor.rank() - 1};
  for (int64_t i = 1; i + 1 < tensor.rank(); ++i)
    permutation.push_back(i);
  return l.transpose(tensor, permutation);
}

// ---- Convolution -------------------------------------------------------------------------------

// `input` [N, spatial..., C] already padded, `weight` [kernel..., C/group, M].
static Tensor convolve(Lowering &l, Tensor input, Tensor weight, ArrayRef<OpFoldResult> counts,
                       ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations, int64_t group,
                       Type element) {
  int64_t spatial = strides.size();
  OpFoldResult channels = input.sizes.back(), filters = weight.sizes.back();
  bool depthwise = group > 1 && isConstantIntValue(weight.sizes[spatial], 1) &&
                   isConstantIntValue(filters, group);
  bool grouped = group > 1 && !depthwise;
  l.requireEqual(channels, l.mul(weight.sizes[spatial], l.size(group)),
                 "the input has %0 channels, the weight takes %1");
  Sizes kernel(weight.sizes.begin(), weight.sizes.begin() + spatial);
  if (depthwise) {
    Sizes sizes = kernel;
    sizes.push_back(filters);
    weight = l.reshape(weight, sizes);
  } else if (grouped) {
    OpFoldResult groups = l.size(group);
    Sizes sizes(input.sizes.begin(), input.sizes.end() - 1);
    sizes.append({groups, l.floorDiv(channels, groups)});
    input = l.reshape(input, sizes);
    sizes = kernel;
    sizes.append({weight.sizes[spatial], groups, l.floorDiv(filters, groups)});
    weight = l.reshape(weight, sizes);
  }

  // Loops: n, spatial..., [group], filter | kernel..., [channel].
  int64_t parallel = spatial + 2 + grouped, loops = parallel + spatial + !depthwise;
  auto dim = [&](int64_t i) { return l.b.getAffineDimExpr(i); };
  SmallVector<AffineExpr> in{dim(0)}, filter, out;
  for (int64_t i = 0; i < spatial; ++i) {
    in.push_back(dim(1 + i) * strides[i] + dim(parallel + i) * dilations[i]);
    filter.push_back(dim(parallel + i));
  }
  for (int64_t i = 0; i < parallel; ++i)
    out.push_back(dim(i));
  if (depthwise) {
    in.push_back(dim(parallel - 1));
  } else {
    if (grouped)
      in.push_back(dim(parallel - 2));
    in.push_back(dim(loops - 1));
    filter.push_back(dim(loops - 1));
    if (grouped)
      filter.push_back(dim(parallel - 2));
  }
  filter.push_back(dim(parallel - 1));

  SmallVector<IteratorType> iterators(loops, IteratorType::reduction);
  std::fill_n(iterators.begin(), parallel, IteratorType::parallel);
  Sizes sizes{input.sizes[0]};
  sizes.append(counts.begin(), counts.end());
  if (grouped)
    sizes.push_back(weight.sizes[spatial + 1]);
  sizes.push_back(weight.sizes.back());
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(loops, 0, results, l.context);
  };
  Tensor result =
      contract(l, input, map(in), weight, map(filter), sizes, map(out), iterators, element);
  if (grouped) {
    sizes.pop_back();
    sizes.back() = filters;
    result = l.reshape(result, sizes);
  }
  return result;
}

static Tensor addBias(Lowering &l, const Tensor &input, Value bias, int64_t channelDim) {
  if (!bias)
    return input;
  return l.elementwise({input, {l.get(bias), l.dimMap(input.rank(), channelDim)}}, input.sizes,
                       input.element,
                       [](const Scalars &s, ValueRange x) { return s.add(x[0], x[1]); });
}

// Pads of all dimensions from those of the spatial ones, before which `leading` others come.
static Sizes aroundSpatial(Lowering &l, ArrayRef<OpFoldResult> spatial, int64_t leading = 1) {
  Sizes pads(spatial.size() + 2, l.size(0));
  llvm::copy(spatial, pads.begin() + leading);
  return pads;
}

// Each channel by itself where it lies: `input` [N, C, spatial...] already padded, `weight`
// [C, kernel...].
static Tensor convolveEach(Lowering &l, const Tensor &input, const Tensor &weight,
                           ArrayRef<OpFoldResult> counts, ArrayRef<int64_t> strides,
                           ArrayRef<int64_t> dilations, Type element) {
  int64_t spatial = strides.size(), parallel = spatial + 2, loops = parallel + spatial;
  auto dim = [&](int64_t i) { return l.b.getAffineDimExpr(i); };
  SmallVector<AffineExpr> in{dim(0), dim(1)}, filter{dim(1)}, out{dim(0), dim(1)};
  for (int64_t i = 0; i < spatial; ++i) {
    in.push_back(dim(2 + i) * strides[i] + dim(parallel + i) * dilations[i]);
    filter.push_back(dim(parallel + i));
    out.push_back(dim(2 + i));
  }
  SmallVector<IteratorType> iterators(loops, IteratorType::reduction);
  std::fill_n(iterators.begin(), parallel, IteratorType::parallel);
  Sizes sizes{input.sizes[0], input.sizes[1]};
  sizes.append(counts.begin(), counts.end());
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(loops, 0, results, l.context);
  };
  return contract(l, input, map(in), weight, map(filter), sizes, map(out), iterators, element);
}

// Single channels along rows, where they lie.
static LogicalResult lowerDepthwise(graph::ConvOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), weight = l.get(op.getWeight());
  int64_t spatial = op.getStrides().size();
  l.requireEqual(input.sizes[1], l.size(op.getGroup()),
                 "the input has %0 channels, the weight takes %1");
  Sizes kernel(weight.sizes.begin() + 2, weight.sizes.end()), flat{weight.sizes[0]};
  flat.append(kernel);
  weight = l.reshape(weight, flat);
  WindowShape windows{op.getStrides(), op.getDilations(),
                      op.getPads(),    op.getAutoPad(),
                      false,           ArrayRef(input.sizes).drop_front(2),
                      kernel};
  Sizes counts = countWindows(l, windows), all = input.sizes;
  llvm::copy(counts, all.begin() + 2);
  Sizes sizes = l.resultSizes(op.getResult(), all);
  counts.assign(sizes.begin() + 2, sizes.end());
  auto [low, high] = getPads(l, windows, counts);
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  Tensor padded = l.pad(input, aroundSpatial(l, low, 2), aroundSpatial(l, high, 2),
                        l.number(getStorageType(input.element), 0));
  Tensor result =
      convolveEach(l, padded, weight, counts, op.getStrides(), op.getDilations(), element);
  result = addBias(l, result, op.getBias(), 1);
  l.set(op.getResult(), result);
  return success();
}

static LogicalResult lowerConv(graph::ConvOp op, Lowering &l) {
  if (op.isDepthwiseAlongRows())
    return lowerDepthwise(op, l);
  Tensor input = l.get(op.getInput()), weight = l.get(op.getWeight());
  int64_t spatial = op.getStrides().size();
  bool last = op.getChannelsLast();
  if (!last) {
    input = toChannelsLast(l, input);
    SmallVector<int64_t> permutation;
    for (int64_t i = 0; i < spatial; ++i)
      permutation.push_back(i + 2);
    permutation.append({1, 0});
    weight = l.transpose(weight, permutation);
  }
  WindowShape windows{op.getStrides(),
                      op.getDilations(),
                      op.getPads(),
                      op.getAutoPad(),
                      false,
                      ArrayRef(input.sizes).slice(1, spatial),
                      ArrayRef(weight.sizes).take_front(spatial)};
  Sizes counts = countWindows(l, windows), all = input.sizes;
  llvm::copy(counts, all.begin() + (last ? 1 : 2));
  Sizes sizes = l.resultSizes(op.getResult(), all);
  counts.assign(sizes.begin() + (last ? 1 : 2), sizes.begin() + (last ? 1 : 2) + spatial);
  auto [low, high] = getPads(l, windows, counts);
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  Tensor padded = l.pad(input, aroundSpatial(l, low), aroundSpatial(l, high),
                        l.number(getStorageType(input.element), 0));
  Tensor result = convolve(l, padded, weight, counts, op.getStrides(), op.getDilations(),
                           op.getGroup(), element);
  result = addBias(l, result, op.getBias(), result.rank() - 1);
  l.set(op.getResult(), last ? result : toChannelsFirst(l, result));
  return success();
}

// ---- Transposed convolution --------------------------------------------------------------------

// Weight [C, M/group, kernel...] to [kernel flipped..., C/group, M].
static Tensor flipWeight(Lowering &l, Tensor weight, int64_t spatial, int64_t group) {
  OpFoldResult groups = l.size(group);
  OpFoldResult channels = l.floorDiv(weight.sizes[0], groups);
  OpFoldResult filters = weight.sizes[1];
  Sizes kernel(weight.sizes.begin() + 2, weight.sizes.end());
  Sizes split{groups, channels, filters};
  split.append(kernel.begin(), kernel.end());
  weight = l.reshape(weight, split);
  // To [kernel..., C/group, group, M/group].
  SmallVector<int64_t> permutation;
  for (int64_t i = 0; i < spatial; ++i)
    permutation.push_back(i + 3);
  permutation.append({1, 0, 2});
  weight = l.transpose(weight, permutation);
  Sizes result = kernel;
  result.append({channels, l.mul(groups, filters)});
  weight = l.reshape(weight, result);
  if (weight.constant) {
    ArrayRef<int64_t> shape = cast<ShapedType>(weight.constant.getType()).getShape();
    SmallVector<int64_t> strides(shape.size(), 1);
    for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i)
      strides[i] = strides[i + 1] * shape[i + 1];
    int64_t offset = 0;
    for (int64_t i = 0; i < spatial; ++i) {
      offset += strides[i] * (shape[i] - 1);
      strides[i] = -strides[i];
    }
    if (std::optional<Tensor> flipped = l.readConstant(weight, shape, strides, offset))
      return *flipped;
  }
  SmallVector<Value> lastIndex;
  for (int64_t i = 0; i < spatial; ++i)
    lastIndex.push_back(l.value(l.sub(kernel[i], l.size(1))));
  return l.fromIndices(result, weight.element, [&](const Scalars &s, ValueRange indices) {
    SmallVector<Value> position(indices);
    for (int64_t i = 0; i < spatial; ++i)
      position[i] = s.sub(lastIndex[i], indices[i]);
    return s.extract(weight.value, position);
  });
}

// The input is spread by the strides into a buffer of zeros; a plain convolution with the flipped
// kernel follows.
static LogicalResult lowerConvTranspose(graph::ConvTransposeOp op, Lowering &l) {
  Tensor input = toChannelsLast(l, l.get(op.getInput()));
  Tensor weight = l.get(op.getWeight());
  int64_t spatial = op.getStrides().size(), group = op.getGroup();
  ArrayRef<int64_t> strides = op.getStrides();
  Sizes kernel(weight.sizes.begin() + 2, weight.sizes.end());
  weight = flipWeight(l, weight, spatial, group);

  // Sizes without pads; auto_pad or a given output shape decide the pads.
  Sizes computed{input.sizes[0], weight.sizes.back()}, full, low;
  bool derives = op.getOutputShape() || op.getAutoPad() == graph::AutoPad::same_upper ||
                 op.getAutoPad() == graph::AutoPad::same_lower;
  bool valid = op.getAutoPad() == graph::AutoPad::valid;
  for (int64_t i = 0; i < spatial; ++i) {
    OpFoldResult in = input.sizes[i + 1];
    full.push_back(
        l.add(getCovered(l, in, strides[i], getExtent(l, kernel[i], op.getDilations()[i])),
              l.size(op.getOutputPadding()[i])));
    if (op.getOutputShape())
      computed.push_back(l.size((*op.getOutputShape())[i]));
    else if (derives)
      computed.push_back(l.mul(in, l.size(strides[i])));
    else
      computed.push_back(
          l.sub(full[i], l.size(valid ? 0 : op.getPads()[i] + op.getPads()[i + spatial])));
  }
  Sizes sizes = l.resultSizes(op.getResult(), computed);
  Sizes counts(sizes.begin() + 2, sizes.end());
  for (int64_t i = 0; i < spatial; ++i) {
    if (!derives) {
      low.push_back(l.size(valid ? 0 : op.getPads()[i]));
      continue;
    }
    OpFoldResult total = l.max(l.sub(full[i], counts[i]), l.size(0));
    OpFoldResult half = l.floorDiv(total, l.size(2));
    low.push_back(op.getAutoPad() == graph::AutoPad::same_upper ? half : l.sub(total, half));
  }

  // The first input element lies at extent - 1 - pad; where that is negative, elements before the
  // buffer are cut, as are those behind its end.
  Sizes bufferSizes{input.sizes[0]}, offsets{l.size(0)}, steps{l.size(1)};
  Sizes starts{l.size(0)}, lengths{input.sizes[0]};
  for (int64_t i = 0; i < spatial; ++i) {
    OpFoldResult extent = getExtent(l, kernel[i], op.getDilations()[i]);
    OpFoldResult length = l.sub(l.add(counts[i], extent), l.size(1));
    OpFoldResult first = l.sub(l.sub(extent, l.size(1)), low[i]);
    OpFoldResult skipped = l.max(l.ceilDiv(l.sub(l.size(0), first), l.size(strides[i])), l.size(0));
    OpFoldResult offset = l.add(first, l.mul(skipped, l.size(strides[i])));
    OpFoldResult room = l.ceilDiv(l.sub(length, offset), l.size(strides[i]));
    bufferSizes.push_back(length);
    offsets.push_back(offset);
    steps.push_back(l.size(strides[i]));
    starts.push_back(skipped);
    lengths.push_back(l.max(l.min(l.sub(input.sizes[i + 1], skipped), room), l.size(0)));
  }
  bufferSizes.push_back(input.sizes.back());
  offsets.push_back(l.size(0));
  steps.push_back(l.size(1));
  starts.push_back(l.size(0));
  lengths.push_back(input.sizes.back());
  Value zeros = l.filled(bufferSizes, l.number(getStorageType(input.element), 0));
  Value spread = l.insert(l.slice(input, starts, lengths), zeros, offsets, steps);

  SmallVector<int64_t> ones(spatial, 1);
  Tensor result = convolve(l, {spread, bufferSizes, input.element}, weight, counts, ones,
                           op.getDilations(), group, input.element);
  l.set(op.getResult(), toChannelsFirst(l, addBias(l, result, op.getBias(), result.rank() - 1)));
  return success();
}

void lathe::g2l::addConv(LoweringTable &table) {
  table.add(lowerConv);
  table.add(lowerConvTranspose);
}
