// Signal processing, as products with the matrices of the transforms.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/RunTimeAxes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

namespace {

struct Complex {
  Value real, imaginary;
};

} // namespace

/// cos(2 pi k n / length) and the sine, as [rows, columns], for k < rows and n < columns; `rows`,
/// `columns` and `length` are i64 scalars. The product is taken modulo the length first, so that
/// angles stay exact for long signals.
static Complex twiddles(Node &node, Value rows, Value columns, Value length, Type element) {
  Type i64 = node.builder().getI64Type();
  Value zero = node.scalarInt(0, i64), one = node.scalarInt(1, i64);
  Value k = node.unsqueeze(node.range(zero, rows, one), {1}), n = node.range(zero, columns, one);
  Value turn = node.binary(BinaryKind::mod, node.binary(BinaryKind::mul, k, n), length);
  Value angle = node.binary(BinaryKind::mul, node.cast(turn, element), 2 * llvm::numbers::pi);
  angle = node.binary(BinaryKind::div, angle, node.cast(length, element));
  return {node.unary(UnaryKind::cos, angle), node.unary(UnaryKind::sin, angle)};
}

/// The transform along the last dimension of x [..., N], or its inverse: x times a matrix
/// [N, bins]. Signals shorter than `length` count as padded with zeros. Sums of N terms replace the
/// log N steps of a fast transform, so they are in f64: no error shows in a result of f32.
static Complex transform(Node &node, Complex x, Value samples, Value bins, Value length,
                         bool inverse) {
  if (!x.real)
    return {};
  Type given = Node::elementOf(x.real), element = node.builder().getF64Type();
  x = {node.cast(x.real, element), node.cast(x.imaginary, element)};
  Complex w = twiddles(node, samples, bins, length, element);
  // e^-ia = cos a - i sin a; the inverse turns the other way.
  if (!inverse)
    w.imaginary = node.unary(UnaryKind::neg, w.imaginary);
  Complex y{node.matmul(x.real, w.real), node.matmul(x.real, w.imaginary)};
  if (x.imaginary) {
    y.real = node.binary(BinaryKind::sub, y.real, node.matmul(x.imaginary, w.imaginary));
    y.imaginary = node.binary(BinaryKind::add, y.imaginary, node.matmul(x.imaginary, w.real));
  }
  if (inverse) {
    Value scale = node.cast(length, element);
    y.real = node.binary(BinaryKind::div, y.real, scale);
    y.imaginary = node.binary(BinaryKind::div, y.imaginary, scale);
  }
  return {node.cast(y.real, given), node.cast(y.imaginary, given)};
}

/// Moves dimension `axis` to the end, or back again.
static Value moveAxis(Node &node, Value x, int64_t axis, int64_t rank, bool back) {
  if (axis == rank - 1)
    return x;
  Ints perm;
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      perm.push_back(i);
  perm.push_back(axis);
  if (back) {
    Ints inverse(rank);
    for (int64_t i = 0; i < rank; ++i)
      inverse[perm[i]] = i;
    perm = inverse;
  }
  return node.transpose(x, perm);
}

static Value scalarOf(Node &node, Value value) {
  value = node.cast(value, node.builder().getI64Type());
  std::optional<int64_t> rank = Node::rankOf(value);
  return rank && *rank > 0 ? node.squeeze(value, llvm::to_vector(llvm::seq<int64_t>(0, *rank)))
                           : value;
}

/// The real and imaginary parts that lie along the last dimension.
static std::optional<Complex> split(Node &node, Value x, int64_t rank) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t parts = type.getDimSize(rank - 1);
  if (parts != 1 && parts != 2) {
    node.error() << "the last dimension of input 0 of " << node.opType()
                 << " must be 1 (real) or 2 (complex), its type is " << type;
    return std::nullopt;
  }
  Complex result{node.squeeze(node.slice(x, rank - 1, 0, 1), {rank - 1}), {}};
  if (parts == 2)
    result.imaginary = node.squeeze(node.slice(x, rank - 1, 1, 2), {rank - 1});
  return result;
}

static Value join(Node &node, Complex x, int64_t rank) {
  return node.concat({node.unsqueeze(x.real, {rank}), node.unsqueeze(x.imaginary, {rank})}, rank);
}

/// x[..., :count]
static Value firstSamples(Node &node, Value x, Value count) {
  std::optional<int64_t> rank = Node::rankOf(x);
  if (!rank || !count)
    return {};
  auto op =
      node.create<graph::SliceOp>(node.likeOf(x), x, node.constant(Ints{0}),
                                  node.unsqueeze(count, {0}), node.constant({*rank - 1}), Value());
  return op ? Value(op.getResult()) : Value();
}

/// The transform of x [..., 1 or 2] along a dimension other than the last.
static Value dftAlong(Node &node, Value x, int64_t axis, int64_t rank) {
  bool inverse = node.flag("inverse"), onesided = node.flag("onesided");
  std::optional<Complex> parts = split(node, x, rank);
  if (!parts)
    return {};
  int64_t inner = rank - 1;
  Complex signal{moveAxis(node, parts->real, axis, inner, false), {}};
  if (parts->imaginary)
    signal.imaginary = moveAxis(node, parts->imaginary, axis, inner, false);

  Type i64 = node.builder().getI64Type();
  Value size = node.squeeze(node.shapeOf(x, axis, axis + 1), {0});
  Value one = node.scalarInt(1, i64), two = node.scalarInt(2, i64);
  auto half = [&](Value length) {
    return node.binary(BinaryKind::add, node.binary(BinaryKind::div, length, two), one);
  };
  Value length = node.hasInput(1) ? scalarOf(node, node.input(1)) : size;
  if (inverse && onesided) {
    // The given bins are half of a spectrum whose other half mirrors it: the signal is real, and
    // every bin but the first (and the middle one) counts twice, by its real part.
    if (!node.hasInput(1))
      length = node.binary(BinaryKind::mul, node.binary(BinaryKind::sub, size, one), two);
    Value used = node.binary(BinaryKind::min, size, half(length));
    Type element = Node::elementOf(x);
    Value zero = node.scalarInt(0, i64), bins = node.range(zero, used, one);
    Value isFirst = node.binary(BinaryKind::equal, bins, zero);
    Value isMiddle =
        node.binary(BinaryKind::equal, node.binary(BinaryKind::mul, bins, two), length);
    Value isAlone = node.binary(BinaryKind::logical_or, isFirst, isMiddle);
    Value weight = node.select(isAlone, node.scalar(1, element), node.scalar(2, element));
    auto weigh = [&](Value value) -> Value {
      return node.binary(BinaryKind::mul, firstSamples(node, value, used), weight);
    };
    Complex y =
        transform(node, {weigh(signal.real), weigh(signal.imaginary)}, used, length, length, true);
    return node.unsqueeze(moveAxis(node, y.real, axis, inner, true), {inner});
  }
  Value used = size;
  if (node.hasInput(1)) {
    used = node.binary(BinaryKind::min, size, length);
    signal = {firstSamples(node, signal.real, used), firstSamples(node, signal.imaginary, used)};
  }
  if (!signal.real)
    return {};
  Complex y = transform(node, signal, used, onesided ? half(length) : length, length, inverse);
  y = {moveAxis(node, y.real, axis, inner, true), moveAxis(node, y.imaginary, axis, inner, true)};
  return join(node, y, inner);
}

/// Along an axis that only the run knows: the dimensions before it are one, and those after it.
static Value dftAtRunTime(Node &node, Value x, int64_t rank) {
  Type i64 = node.builder().getI64Type();
  Value axis = runTimeAxes(node, 2);
  if (!axis || !split(node, x, rank)) // which says what is wrong with x
    return {};
  axis = node.reshape(axis, {1});
  Value fromEnd = node.binary(BinaryKind::add, axis, node.scalarInt(rank, i64));
  Value isNegative = node.binary(BinaryKind::less, axis, node.scalarInt(0, i64));
  Value at = node.select(isNegative, fromEnd, axis);
  Value mask = axisMask(node, at, rank - 1); // the last dimension holds the complex parts
  int64_t parts = cast<RankedTensorType>(x.getType()).getDimSize(rank - 1);
  Value apart = node.reshape(splitAtAxis(node, x, at), {0, 0, -1, parts});
  Value y = apart ? dftAlong(node, apart, 1, 4) : Value();
  if (!y || !mask)
    return {};
  Value chosen = node.binary(BinaryKind::equal, mask, node.scalarInt(1, i64));
  Value sizes = node.select(chosen, node.shapeOf(y, 1, 2), node.shapeOf(x, 0, rank - 1));
  return node.reshape(y, node.concat({sizes, node.shapeOf(y, 3, 4)}, 0));
}

static LogicalResult importDft(Node &node) {
  Value x = node.input(0);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  if (*rank < 2)
    return node.error() << "input 0 of DFT has rank " << *rank << ", it takes 2 or more";
  int64_t axis = -2;
  if (node.version() < 20) {
    axis = node.intAttribute("axis", 1);
  } else if (node.hasInput(2)) {
    std::optional<Ints> given = node.knownInts(2);
    if (!given)
      return node.result(dftAtRunTime(node, x, *rank));
    if (given->size() != 1)
      return node.error() << "input 2 of DFT has " << given->size()
                          << " elements, it takes one axis";
    axis = given->front();
  }
  axis = node.axis(axis, rank);
  if (node.hasFailed())
    return failure();
  if (axis == *rank - 1)
    return node.error() << "axis of DFT is the last dimension, which holds the complex parts";
  return node.result(dftAlong(node, x, axis, *rank));
}

/// STFT: frames of the signal, gathered at start + offset, times the window, transformed.
static LogicalResult importStft(Node &node) {
  Value x = node.input(0), step = scalarOf(node, node.input(1)), window = node.input(2);
  bool onesided = node.flag("onesided", true);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  if (*rank != 3)
    return node.error() << "input 0 of STFT has rank " << *rank << ", it takes 3";
  std::optional<Complex> parts = split(node, x, 3);
  if (!parts)
    return failure();
  Type i64 = node.builder().getI64Type();
  Value one = node.scalarInt(1, i64), two = node.scalarInt(2, i64), zero = node.scalarInt(0, i64);
  Value size = node.squeeze(node.shapeOf(x, 1, 2), {0}), length = size;
  if (node.hasInput(3))
    length = scalarOf(node, node.input(3));
  else if (window)
    length = node.squeeze(node.shapeOf(window, 0, 1), {0});
  Value frames = node.binary(
      BinaryKind::add,
      node.binary(BinaryKind::div, node.binary(BinaryKind::sub, size, length), step), one);
  Value starts =
      node.unsqueeze(node.binary(BinaryKind::mul, node.range(zero, frames, one), step), {1});
  Value places = node.binary(BinaryKind::add, starts, node.range(zero, length, one));
  auto framed = [&](Value value) -> Value {
    if (!value)
      return {};
    Value cut = node.gather(value, places, 1); // [batch, frames, length]
    return window ? node.binary(BinaryKind::mul, cut, window) : cut;
  };
  Value bins = length;
  if (onesided)
    bins = node.binary(BinaryKind::add, node.binary(BinaryKind::div, length, two), one);
  Complex signal{framed(parts->real), framed(parts->imaginary)};
  if (!signal.real)
    return failure();
  return node.result(join(node, transform(node, signal, length, bins, length, false), 3));
}

/// Triangles between points that are evenly spaced in mels, [bins, bands]: each rises from one
/// point to the next, and falls to the one after that.
static LogicalResult importMelWeights(Node &node) {
  OpBuilder &builder = node.builder();
  Type element = node.typeAttribute("output_datatype", builder.getF32Type());
  Type i64 = builder.getI64Type(), f64 = builder.getF64Type();
  Value bands = scalarOf(node, node.input(0)), length = scalarOf(node, node.input(1));
  Value one = node.scalarInt(1, i64), zero = node.scalarInt(0, i64);
  auto number = [&](unsigned i) {
    Value value = node.cast(node.input(i), f64);
    return Node::rankOf(value).value_or(0) > 0 ? node.squeeze(value, {0}) : value;
  };
  auto apply = [&](BinaryKind kind, Value a, auto b) { return node.binary(kind, a, b); };
  // 2595 log10(1 + hertz / 700)
  double factor = 2595 / llvm::numbers::ln10;
  auto toMel = [&](Value hertz) {
    Value inner = apply(BinaryKind::add, apply(BinaryKind::div, hertz, 700.0), 1.0);
    return apply(BinaryKind::mul, node.unary(UnaryKind::log, inner), factor);
  };
  Value low = toMel(number(3)), high = toMel(number(4));
  Value count = apply(BinaryKind::add, bands, 2.0);
  Value step = apply(BinaryKind::div, apply(BinaryKind::sub, high, low), node.cast(count, f64));
  Value mels = apply(BinaryKind::mul, node.cast(node.range(zero, count, one), f64), step);
  mels = apply(BinaryKind::div, apply(BinaryKind::add, mels, low), factor);
  Value hertz = apply(BinaryKind::sub, node.unary(UnaryKind::exp, mels), 1.0);
  hertz = apply(BinaryKind::mul, hertz, 700.0);
  Value scale = node.cast(apply(BinaryKind::add, length, 1.0), f64);
  Value points = apply(BinaryKind::div, apply(BinaryKind::mul, hertz, scale), number(2));
  points = node.unary(UnaryKind::floor, points);
  Value band = node.range(zero, bands, one);
  Value left = node.gather(points, band, 0);
  Value centre = node.gather(points, apply(BinaryKind::add, band, 1.0), 0);
  Value right = node.gather(points, apply(BinaryKind::add, band, 2.0), 0);
  Value bins = apply(BinaryKind::add, apply(BinaryKind::div, length, 2.0), 1.0);
  Value bin = node.unsqueeze(node.cast(node.range(zero, bins, one), f64), {1});
  auto between = [&](Value from, BinaryKind upper, Value to) {
    return apply(BinaryKind::logical_and, apply(BinaryKind::greater_equal, bin, from),
                 apply(upper, bin, to));
  };
  auto ratio = [&](Value part, Value whole) {
    return apply(BinaryKind::div, part, apply(BinaryKind::max, whole, 1.0));
  };
  Value rise = ratio(apply(BinaryKind::sub, bin, left), apply(BinaryKind::sub, centre, left));
  Value fall = ratio(apply(BinaryKind::sub, right, bin), apply(BinaryKind::sub, right, centre));
  // A rise over no bins is all at once.
  Value steep = apply(BinaryKind::equal, centre, left);
  rise = node.select(steep, node.scalar(1, f64), rise);
  Value rising = between(left, BinaryKind::less_equal, centre);
  Value falling = between(centre, BinaryKind::less, right);
  Value weights = node.select(rising, rise, node.scalar(0, f64));
  return node.result(node.cast(node.select(falling, fall, weights), element));
}

ArrayRef<Operator> lathe::import::signalOperators() {
  static const Operator operators[] = {
      {"DFT", {17, 20}, 1, 3, importDft, kFloats},
      {"STFT", {17}, 2, 4, importStft, kFloats},
      {"MelWeightMatrix", {17}, 5, 5, importMelWeights, kIntegers},
  };
  return operators;
}
