// Sampling grids, and convolutions with a state.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/AttentionParts.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Sampler.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

// ---- Affine grids

/// The positions of `size` (an i64 scalar) samples between -1 and 1.
static Value positions(Node &node, Value size, bool alignCorners, Type element) {
  Type i64 = node.builder().getI64Type();
  Value index =
      node.cast(node.range(node.scalarInt(0, i64), size, node.scalarInt(1, i64)), element);
  Value count = node.cast(size, element), twice = node.binary(BinaryKind::mul, index, 2);
  if (alignCorners)
    count = node.binary(BinaryKind::max, node.binary(BinaryKind::sub, count, 1), 1);
  else
    twice = node.binary(BinaryKind::add, twice, 1);
  return node.binary(BinaryKind::sub, node.binary(BinaryKind::div, twice, count), 1);
}

/// Whether images of AffineGrid have two dimensions or three, from whatever tells it.
static std::optional<int64_t> gridDimensions(Node &node, Value theta, Value size) {
  auto dim = [](Value value, int64_t rank, int64_t i) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && type.getRank() == rank ? type.getDimSize(i) : ShapedType::kDynamic;
  };
  std::pair<int64_t, int64_t> sources[] = {
      {dim(theta, 3, 1), 0}, {dim(theta, 3, 2), 1}, {dim(size, 1, 0), 2}};
  for (auto [known, more] : sources)
    if (!ShapedType::isDynamic(known))
      return known - more;
  std::optional<int64_t> declared = node.declaredRank(0);
  return declared ? std::optional(*declared - 2) : std::nullopt;
}

/// Places in an image need more than half precision.
static Type placeType(Node &node, Type element) {
  return element.isF64() ? element : Type(node.builder().getF32Type());
}

/// AffineGrid: the matrices theta [N, r, r + 1] applied to the positions of an image.
static LogicalResult importAffineGrid(Node &node) {
  Value theta = node.input(0), size = node.cast(node.input(1), node.builder().getI64Type());
  bool alignCorners = node.flag("align_corners");
  std::optional<int64_t> dimensions = gridDimensions(node, theta, size);
  if (Node::rankOf(theta) != 3 || (dimensions != 2 && dimensions != 3))
    return node.error() << "input 0 of AffineGrid has type " << theta.getType()
                        << ", it takes [N, 2, 3] or [N, 3, 4]";
  int64_t spatial = *dimensions;
  size = node.requireShape(size, {spatial + 2});
  theta = node.requireShape(
      theta, node.concat({node.slice(size, 0, 0, 1), node.constant({spatial, spatial + 1})}, 0));
  if (!theta || !size)
    return failure();
  Type given = Node::elementOf(theta), element = placeType(node, given);
  theta = node.cast(theta, element);
  // The shape is (N, C, spatial...); coordinates are listed from the innermost dimension on.
  Value shape = node.slice(size, 0, 2, 2 + spatial);
  SmallVector<Value> columns;
  for (int64_t d = spatial - 1; d >= 0; --d) {
    Value length = node.squeeze(node.slice(shape, 0, d, d + 1), {0});
    Value along = positions(node, length, alignCorners, element);
    if (d < spatial - 1)
      along = node.unsqueeze(along, llvm::to_vector(llvm::seq<int64_t>(1, spatial - d)));
    columns.push_back(node.reshape(node.expand(along, shape), {-1, 1}));
  }
  Value count = node.reduce(graph::ReduceKind::prod, shape, Ints{0}, true);
  columns.push_back(node.full(node.concat({count, node.constant({1})}, 0), 1, element));
  Value homogeneous = node.concat(columns, 1);
  Value grid = node.matmul(homogeneous, node.transpose(theta, {0, 2, 1}));
  Value result = node.concat({node.shapeOf(theta, 0, 1), shape, node.constant({spatial})}, 0);
  return node.result(node.cast(node.reshape(grid, result), given));
}

// ---- Grid sampling

/// A triangle wave between the borders: the edges of the image, or the centres of its outermost
/// pixels with alignCorners.
Value Sampler::reflect(Value x, unsigned d) {
  double edge = alignCorners ? 0 : -0.5;
  Value range = alignCorners ? node.binary(BinaryKind::sub, floatSize(d), 1) : floatSize(d);
  // An image of one pixel has no range to reflect in; what is used instead is clamped below.
  range = node.binary(BinaryKind::max, range, 0.5);
  Value twice = node.binary(BinaryKind::mul, range, 2);
  Value distance = node.unary(UnaryKind::abs, node.binary(BinaryKind::sub, x, edge));
  Value phase = node.binary(BinaryKind::fmod, distance, twice);
  Value back = sub(twice, phase);
  return node.binary(BinaryKind::add, node.binary(BinaryKind::min, phase, back), edge);
}

/// [-1, 1] to pixels, held in the image where the padding says so.
Value Sampler::denormalize(Value x, unsigned d) {
  Value shifted = node.binary(BinaryKind::add, x, 1);
  if (alignCorners)
    return node.binary(BinaryKind::div, mul(shifted, node.binary(BinaryKind::sub, floatSize(d), 1)),
                       2);
  return node.binary(BinaryKind::div, node.binary(BinaryKind::sub, mul(shifted, floatSize(d)), 1),
                     2);
}

Value Sampler::pad(Value x, unsigned d) {
  if (padding == Padding::reflection)
    return reflect(x, d);
  if (padding == Padding::border)
    return clamp(x, node.scalar(0, element), node.binary(BinaryKind::sub, floatSize(d), 1));
  return x;
}

/// The pixels at whole coordinates [N, P]: [N, C, P], zero outside of the image.
Value Sampler::pixel(ArrayRef<Value> coordinates) {
  Type i64 = node.builder().getI64Type();
  Value flat, inside;
  for (auto [d, coordinate] : llvm::enumerate(coordinates)) {
    Value x = pad(coordinate, d);
    if (padding == Padding::reflection) // lies on an edge where the grid does
      x = node.unary(UnaryKind::round, clamp(x, node.scalar(0, element),
                                             node.binary(BinaryKind::sub, floatSize(d), 1)));
    Value isIn = node.binary(BinaryKind::logical_and, node.binary(BinaryKind::greater_equal, x, 0),
                             node.binary(BinaryKind::less, x, floatSize(d)));
    // What is outside, or no number, must not become an index.
    Value index = node.cast(node.select(isIn, x, node.scalar(0, element)), i64);
    flat = flat ? add(mul(flat, sizes[d]), index) : index;
    inside = inside ? node.binary(BinaryKind::logical_and, inside, isIn) : isIn;
  }
  Value channels = node.shapeOf(image, 0, 2);
  flat = node.unsqueeze(flat, {1});
  Value places = node.expand(flat, node.concat({channels, node.shapeOf(flat, 2, 3)}, 0));
  if (!places)
    return {};
  auto picked = node.create<graph::GatherElementsOp>(node.likeOf(image), image, places, 2);
  if (!picked)
    return {};
  return node.select(node.unsqueeze(inside, {1}), picked.getResult(),
                     node.scalar(0, Node::elementOf(image)));
}

/// Keys' cubic kernel with a = -0.75: the weights of the four neighbours of a fraction.
static SmallVector<Value> cubicWeights(Node &node, Value fraction) {
  constexpr double a = -0.75;
  auto polynomial = [&](Value x, std::initializer_list<double> coefficients) {
    Value sum;
    for (double c : coefficients) {
      if (sum)
        sum = node.binary(BinaryKind::mul, sum, x);
      sum = sum ? node.binary(BinaryKind::add, sum, c) : node.scalar(c, Node::elementOf(fraction));
    }
    return sum;
  };
  SmallVector<Value> weights;
  for (int i = -1; i <= 2; ++i) {
    Value distance = node.unary(UnaryKind::abs, node.binary(BinaryKind::sub, fraction, i));
    weights.push_back(i == 0 || i == 1 ? polynomial(distance, {a + 2, -(a + 3), 0, 1})
                                       : polynomial(distance, {a, -5 * a, 8 * a, -4 * a}));
  }
  return weights;
}

static LogicalResult importGridSample(Node &node) {
  Value image = node.input(0), grid = node.input(1);
  std::optional<int64_t> rank = node.requireRank(image, "input 0");
  // The names changed with version 20.
  unsigned mode = node.choice("mode", {"linear", "nearest", "cubic", "bilinear", "bicubic"}, 0);
  unsigned padding = node.choice("padding_mode", {"zeros", "border", "reflection"}, 0);
  bool alignCorners = node.flag("align_corners");
  if (!rank || node.hasFailed())
    return failure();
  int64_t spatial = *rank - 2;
  bool linear = mode == 0 || mode == 3, cubic = mode == 2 || mode == 4;
  if (spatial < 1 || spatial > 3 || Node::rankOf(grid) != *rank || (cubic && spatial != 2))
    return node.error() << "GridSample of an image of rank " << *rank
                        << (cubic ? " with cubic interpolation" : "") << " is not supported";
  // What is not interpolated may be of any type.
  Type given = Node::elementOf(image);
  if (!isa<FloatType>(given) && (linear || cubic))
    return node.error() << "GridSample cannot interpolate element type " << given;
  Type element = placeType(node, given.isF64() ? given : Node::elementOf(grid));

  Value flat = node.reshape(image, {0, 0, -1});
  Sampler sampler{node, flat, {}, element, static_cast<Padding>(padding), alignCorners};
  for (int64_t d = 0; d < spatial; ++d)
    sampler.sizes.push_back(node.sizeOf(image, 2 + d));
  // By the image's batch: with a grid of another one the result will not fit its shape.
  Value points = node.cast(
      node.reshape(grid, node.concat({node.shapeOf(image, 0, 1), node.constant({-1, spatial})}, 0)),
      element);
  SmallVector<Value> base;                 // [N, P], the pixel before the point
  SmallVector<SmallVector<Value>> weights; // of the pixels from it on
  for (int64_t d = 0; d < spatial; ++d) {
    // Coordinates are listed from the innermost dimension on.
    Value g = node.squeeze(node.slice(points, 2, spatial - 1 - d, spatial - d), {2});
    Value x = sampler.denormalize(g, d);
    // Far outside all neighbours are, and a place that is infinite has no fraction.
    if (sampler.padding != Padding::reflection)
      x = sampler.clamp(x, node.scalar(-4, element),
                        node.binary(BinaryKind::add, sampler.floatSize(d), 3));
    if (!linear && !cubic) {
      base.push_back(node.unary(UnaryKind::round, x));
      weights.push_back({Value()});
      continue;
    }
    if (linear)
      x = sampler.pad(x, d);
    Value floor = node.unary(UnaryKind::floor, x), fraction = sampler.sub(x, floor);
    base.push_back(floor);
    if (cubic) {
      weights.push_back(cubicWeights(node, fraction));
    } else {
      Value rest = sampler.sub(node.scalar(1, element), fraction);
      weights.push_back({rest, fraction});
    }
  }
  if (node.hasFailed())
    return failure();

  // Every combination of neighbours, with the product of their weights.
  Value total;
  int64_t first = cubic ? -1 : 0, width = cubic ? 4 : (linear ? 2 : 1), count = 1;
  for (int64_t d = 0; d < spatial; ++d)
    count *= width;
  for (int64_t corner = 0; corner < count; ++corner) {
    SmallVector<Value> coordinates;
    Value weight;
    int64_t rest = corner;
    for (int64_t d = 0; d < spatial; ++d, rest /= width) {
      int64_t step = rest % width;
      coordinates.push_back(node.binary(BinaryKind::add, base[d], first + step));
      if (Value factor = weights[d][step])
        weight = weight ? sampler.mul(weight, factor) : factor;
    }
    Value value = sampler.pixel(coordinates);
    if (weight)
      value = sampler.mul(node.cast(value, element), node.unsqueeze(weight, {1}));
    total = total ? sampler.add(total, value) : value;
  }
  Value shape = node.concat({node.shapeOf(image, 0, 2), node.shapeOf(grid, 1, 1 + spatial)}, 0);
  return node.result(node.cast(node.reshape(total, shape), given));
}

// ---- Convolution with a state

/// A filter [C, 1, K] per channel where only the run knows how many there are: every window of the
/// samples [N, C, L + K - 1] times the taps.
static Value filterWindows(Node &node, Value x, Value padded, Value weight, Value bias) {
  Value place =
      node.binary(BinaryKind::add, node.unsqueeze(node.iota(x, 2), {1}), node.iota(weight, 2));
  Value channels = node.shapeOf(x, 1, 2), one = node.constant(Ints{1});
  // Reshaped rather than broadcast, so that the run checks that there is a filter per channel.
  Value taps = node.reshape(node.squeeze(weight, {1}),
                            node.concat({channels, node.shapeOf(weight, 2, 3), one}, 0));
  Value result = node.squeeze(node.matmul(node.gather(padded, place, 2), taps), {3});
  return bias ? node.binary(BinaryKind::add, result,
                            node.reshape(bias, node.concat({channels, one}, 0)))
              : result;
}

/// The last k - 1 samples of the signal so far, kept from call to call, go before the input.
static LogicalResult importCausalConv(Node &node) {
  Value x = node.require(0), weight = node.require(1), bias = node.input(2), state = node.input(3);
  unsigned activation = node.choice("activation", {"none", "silu", "swish"}, 0);
  if (node.hasFailed() || !node.requireRank(weight, "the weights"))
    return failure();
  for (unsigned i : {0, 1, 3})
    if (std::optional<int64_t> rank = Node::rankOf(node.input(i)); rank && *rank != 3)
      return node.error() << "input " << i << " of CausalConvWithState has rank " << *rank
                          << ", it takes 3";
  int64_t channels = staticDim(weight, 0), size = staticDim(weight, 2);
  Value kept = ShapedType::isDynamic(size)
                   ? node.binary(BinaryKind::sub, node.shapeOf(weight, 2, 3), 1)
                   : node.constant({size - 1});
  bool fits = !ShapedType::isDynamic(size) && (!state || staticDim(state, 2) == size - 1);
  if (!state)
    state = node.full(node.concat({node.shapeOf(x, 0, 2), kept}, 0), 0, Node::elementOf(x));
  Value padded = node.concat({state, x}, 2);
  if (!fits) {
    Value length = node.binary(BinaryKind::add, node.shapeOf(x, 2, 3), kept);
    padded = node.reshape(padded, node.concat({node.shapeOf(x, 0, 2), length}, 0));
  }
  if (!padded)
    return failure();
  Value result;
  if (ShapedType::isDynamic(channels)) {
    result = filterWindows(node, x, padded, weight, bias);
  } else {
    auto conv =
        node.create<graph::ConvOp>(node.likeOf(x), padded, weight, bias, Ints{1}, Ints{0, 0},
                                   Ints{1}, channels, graph::AutoPad::none, false);
    result = conv ? Value(conv.getResult()) : Value();
  }
  if (activation != 0)
    result = node.binary(BinaryKind::mul, result, node.unary(UnaryKind::sigmoid, result));
  // The last samples; x itself may be shorter than the state.
  Value length = node.shapeOf(x, 2, 3);
  node.setResult(1, node.slice(padded, 2, length, node.shapeOf(padded, 2, 3)));
  return node.result(result);
}

ArrayRef<Operator> lathe::import::imageOperators() {
  static const Operator operators[] = {
      {"AffineGrid", {20}, 2, 2, importAffineGrid, kFloats},
      {"GridSample",
       {16, 20, 22},
       2,
       2,
       importGridSample,
       kNumbers | kBool,
       "1 to 3 spatial dimensions, cubic for 2, only floats are interpolated"},
      {"CausalConvWithState", {27}, 2, 4, importCausalConv, kFloats},
  };
  return operators;
}
