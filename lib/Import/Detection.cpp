// Detection of objects, and convolutions that look where the data says.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/AttentionParts.h"
#include "lib/Import/Importer.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Sampler.h"
#include "lib/Import/Windows.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

static LogicalResult importNonMaxSuppression(Node &node) {
  Value boxes = node.input(0), scores = node.input(1);
  Type i64 = node.builder().getI64Type();
  bool centerPoint = node.flag("center_point_box");
  Value most = node.cast(node.input(2), i64);
  if (!scores || node.hasFailed())
    return failure();
  auto op = node.create<graph::NonMaxSuppressionOp>(node.tensorOf(i64), boxes, scores, most,
                                                    node.input(3), node.input(4), centerPoint);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importRoiAlign(Node &node) {
  Value x = node.input(0), rois = node.input(1), batch = node.input(2);
  // The shift by half a pixel came with version 16, as the default.
  unsigned mode = node.version() < 16 ? 1
                                      : node.choice("coordinate_transformation_mode",
                                                    {"half_pixel", "output_half_pixel"}, 0);
  unsigned pooling = node.choice("mode", {"avg", "max"}, 0);
  int64_t height = node.intAttribute("output_height", 1);
  int64_t width = node.intAttribute("output_width", 1);
  int64_t ratio = node.intAttribute("sampling_ratio", 0);
  double scale = node.floatAttribute("spatial_scale", 1);
  if (node.hasFailed())
    return failure();
  auto op = node.create<graph::RoiAlignOp>(node.likeOf(x), x, rois, batch, height, width, ratio,
                                           llvm::APFloat(float(scale)), mode == 0, pooling == 1);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importMaxRoiPool(Node &node) {
  Value x = node.input(0), rois = node.input(1);
  std::optional<Ints> shape = node.intsAttribute("pooled_shape");
  double scale = node.floatAttribute("spatial_scale", 1);
  if (node.hasFailed())
    return failure();
  if (!shape || shape->size() != 2)
    return node.error() << "attribute 'pooled_shape' of MaxRoiPool must hold height and width";
  auto op = node.create<graph::MaxRoiPoolOp>(node.likeOf(x), x, rois, (*shape)[0], (*shape)[1],
                                             llvm::APFloat(float(scale)));
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importCol2Im(Node &node) {
  Value x = node.input(0);
  Type given = Node::elementOf(x), i64 = node.builder().getI64Type();
  if (given.isInteger(1)) // true where any of the columns is
    x = node.cast(x, node.builder().getI32Type());
  Value image = node.cast(node.input(1), i64), block = node.cast(node.input(2), i64);
  auto length = [](Value value) -> std::optional<int64_t> {
    auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : nullptr;
    if (!type || type.getRank() != 1 || type.isDynamicDim(0))
      return std::nullopt;
    return type.getDimSize(0);
  };
  std::optional<int64_t> spatial = length(image);
  if (!spatial)
    spatial = length(block);
  if (!spatial && !node.hasFailed())
    return node.error()
           << "the number of spatial dimensions of Col2Im must be known when compiling";
  if (!spatial)
    return failure();
  std::optional<Ints> strides = readSizes(node, "strides", *spatial, 1),
                      dilations = readSizes(node, "dilations", *spatial, 1),
                      pads = readSizes(node, "pads", 2 * *spatial, 0, /*zeroAllowed=*/true);
  if (!strides || !dilations || !pads || node.hasFailed())
    return failure();
  auto op = node.create<graph::ColumnsToImageOp>(node.likeOf(x), x, image, block, *strides, *pads,
                                                 *dilations);
  return op ? node.result(node.cast(op.getResult(), given)) : failure();
}

static LogicalResult importDet(Node &node) {
  Value x = node.input(0);
  auto op = node.create<graph::DeterminantOp>(node.likeOf(x), x);
  return op ? node.result(op.getResult()) : failure();
}

/// The whole numbers 0, 1, ... times `stride` plus `start`, as many as `size` (an i64 scalar) says.
static Value progression(Node &node, Value size, int64_t stride, int64_t start, Type element) {
  Type i64 = node.builder().getI64Type();
  Value count = node.range(node.scalarInt(0, i64), size, node.scalarInt(1, i64));
  Value place = node.binary(BinaryKind::add, node.binary(BinaryKind::mul, count, stride), start);
  return node.cast(place, element);
}

/// The size of a dimension as a 1-D tensor: a constant where it is known.
static Value dimOf(Node &node, Value x, int64_t dim) {
  int64_t size = staticDim(x, dim);
  return ShapedType::isDynamic(size) ? node.shapeOf(x, dim, dim + 1) : node.constant({size});
}

static Value product(Node &node, ArrayRef<Value> sizes) {
  Value result = node.constant(Ints{1});
  for (Value size : sizes)
    result = node.binary(BinaryKind::mul, result, size);
  return result;
}

/// DeformConv: the places that each window reads are shifted by offsets, sampled between pixels,
/// and multiplied with the weights of all groups at once. Shapes are spelled out rather than
/// inferred, so that the run checks that operands fit whose sizes are not known before.
static LogicalResult importDeformConv(Node &node) {
  Value x = node.input(0), weight = node.input(1), offset = node.input(2), bias = node.input(3),
        mask = node.input(4);
  Type given = Node::elementOf(x), i64 = node.builder().getI64Type();
  // Places between pixels need more than half precision.
  Type element = given.isF64() ? given : Type(node.builder().getF32Type());
  for (Value *operand : {&x, &weight, &offset, &bias, &mask})
    *operand = node.cast(*operand, element);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || node.hasFailed())
    return failure();
  int64_t spatial = *rank - 2;
  if (spatial < 1 || spatial > 3 || Node::rankOf(weight) != *rank || Node::rankOf(offset) != *rank)
    return node.error() << "DeformConv takes weights and offsets of the rank of the input, "
                        << *rank << ", with 1 to 3 spatial dimensions";
  int64_t group = node.intAttribute("group", 1), offsetGroup = node.intAttribute("offset_group", 1);
  std::optional<Windows> windows = readWindows(node, spatial, /*hasAutoPad=*/false);
  weight = withKernelShape(node, weight, spatial);
  if (!windows || !weight || node.hasFailed())
    return failure();
  Value filters = dimOf(node, weight, 0), perGroup = dimOf(node, weight, 1);
  Value channels = node.binary(BinaryKind::mul, perGroup, group);
  auto divides = [&](int64_t divisor, Value size) {
    std::optional<Ints> known = node.graphs().evaluateInts(size);
    return divisor > 0 && (!known || known->front() % divisor == 0);
  };
  if (!divides(group, filters) || !divides(offsetGroup, channels))
    return node.error() << "DeformConv has weights of type " << weight.getType() << " in " << group
                        << " groups and " << offsetGroup << " offset groups, which do not divide "
                        << "its filters and channels";
  SmallVector<Value> sizes, kernel, outSizes;
  for (int64_t d = 0; d < spatial; ++d) {
    sizes.push_back(dimOf(node, x, 2 + d));
    kernel.push_back(dimOf(node, weight, 2 + d));
    outSizes.push_back(dimOf(node, offset, 2 + d));
  }
  Value taps = product(node, kernel), points = product(node, outSizes);

  // Offsets [N, groups, taps, spatial, out...]; those of a group are a batch of their own.
  Value batch = node.shapeOf(x, 0, 1), out = node.shapeOf(offset, 2);
  Value images = node.binary(BinaryKind::mul, batch, offsetGroup);
  Value places = node.concat({images, node.binary(BinaryKind::mul, taps, points)}, 0);
  Value shifts =
      node.reshape(offset, node.concat({images, taps, node.constant({spatial}), out}, 0));
  Sampler sampler{node, {}, {}, element, Padding::zeros, true};
  Value perOffset = node.binary(BinaryKind::div, channels, offsetGroup);
  sampler.image = node.reshape(x, node.concat({images, perOffset, product(node, sizes)}, 0));
  SmallVector<Value> base, weights;
  for (int64_t d = 0; d < spatial; ++d) {
    sampler.sizes.push_back(node.squeeze(sizes[d], {0}));
    // Where the window starts, [out_d] among [taps, out...], and where the tap lies in it, [taps].
    // There are as many windows as fit, (size + pads - extent) / stride + 1: reshaped, this is
    // checked.
    int64_t stride = windows->strides[d], dilation = windows->dilations[d];
    int64_t extra = windows->pads[d] + windows->pads[d + spatial] + dilation - 1 + stride;
    Value room = sampler.sub(sizes[d], node.binary(BinaryKind::mul, kernel[d], dilation));
    Value fitting = node.binary(BinaryKind::div, node.binary(BinaryKind::add, room, extra), stride);
    Value start = progression(node, node.squeeze(fitting, {0}), stride, -windows->pads[d], element);
    start = node.reshape(start, outSizes[d]);
    if (d + 1 < spatial)
      start = node.unsqueeze(start, llvm::to_vector(llvm::seq<int64_t>(1, spatial - d)));
    Value inner = product(node, ArrayRef(kernel).drop_front(d + 1));
    Value tap = progression(node, node.squeeze(taps, {0}), 1, 0, i64);
    tap = node.binary(BinaryKind::mod, node.binary(BinaryKind::div, tap, inner), kernel[d]);
    tap = node.cast(node.binary(BinaryKind::mul, tap, windows->dilations[d]), element);
    tap = node.unsqueeze(tap, llvm::to_vector(llvm::seq<int64_t>(1, spatial + 1)));
    Value shift = node.squeeze(node.slice(shifts, 2, d, d + 1), {2});
    Value at = sampler.add(sampler.add(start, tap), shift);
    at = node.reshape(at, places);
    Value floor = node.unary(UnaryKind::floor, at);
    base.push_back(floor);
    weights.push_back(sampler.sub(at, floor));
  }
  Value samples;
  for (int64_t corner = 0; corner < int64_t(1) << spatial; ++corner) {
    SmallVector<Value> place;
    Value factor;
    for (int64_t d = 0; d < spatial; ++d) {
      bool second = corner >> d & 1;
      place.push_back(node.binary(BinaryKind::add, base[d], second));
      Value part = second ? weights[d] : sampler.sub(node.scalar(1, element), weights[d]);
      factor = factor ? sampler.mul(factor, part) : part;
    }
    Value value = sampler.mul(sampler.pixel(place), node.unsqueeze(factor, {1}));
    samples = samples ? sampler.add(samples, value) : value;
  }
  // [N * groups, channels, taps * out]
  if (mask)
    samples = sampler.mul(samples, node.unsqueeze(node.reshape(mask, places), {1}));
  Value groups = node.constant({group}), depth = node.binary(BinaryKind::mul, perGroup, taps);
  Value columns = node.reshape(samples, node.concat({batch, groups, depth, points}, 0));
  Value matrix = node.reshape(
      weight, node.concat({groups, node.binary(BinaryKind::div, filters, group), depth}, 0));
  Value result = node.matmul(matrix, columns);
  result = node.reshape(result, node.concat({batch, filters, out}, 0));
  if (bias)
    result =
        sampler.add(result, node.unsqueeze(node.reshape(bias, filters),
                                           llvm::to_vector(llvm::seq<int64_t>(1, spatial + 1))));
  return node.result(node.cast(result, given));
}

ArrayRef<Operator> lathe::import::detectionOperators() {
  static const Operator operators[] = {
      {"NonMaxSuppression", {10, 11}, 2, 5, importNonMaxSuppression, kF32},
      {"RoiAlign", {10, 16, 22}, 3, 3, importRoiAlign, kFloats},
      {"MaxRoiPool", {1, 22}, 2, 2, importMaxRoiPool, kFloats},
      {"Col2Im",
       {18},
       3,
       3,
       importCol2Im,
       kNumbers | kBool | kComplex,
       "strings cannot be added up"},
      {"Det", {11, 22}, 1, 1, importDet, kFloats},
      {"DeformConv", {19, 22}, 3, 5, importDeformConv, kFloats, "1 to 3 spatial dimensions"},
  };
  return operators;
}
