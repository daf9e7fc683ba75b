// Signal processing: transforms of Fourier, and what they are made of where sizes are odd.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Importer.h"
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

/// Sums of N terms for each of N results, x times a matrix [samples, bins], in f64: for sizes that
/// only the run knows, and small ones with large prime factors.
static Complex transformByMatrix(Node &node, Complex x, Value samples, Value bins, Value length,
                                 bool inverse) {
  Type element = node.builder().getF64Type();
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
  return y;
}

/// Moves dimension `axis` to the end, or back again.
static Value moveAxis(Node &node, Value x, int64_t axis, int64_t rank, bool back) {
  if (!x || axis == rank - 1)
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

/// x[..., :size] along a dimension that has `from` elements, or zeros behind them.
static Value resized(Node &node, Value x, int64_t axis, int64_t from, int64_t size) {
  if (!x || from == size)
    return x;
  if (from > size)
    return node.slice(x, axis, 0, size);
  return node.padEnd(x, axis, node.constant(Ints{size - from}));
}

static Complex resized(Node &node, Complex x, int64_t axis, int64_t from, int64_t size) {
  return {resized(node, x.real, axis, from, size), resized(node, x.imaginary, axis, from, size)};
}

static Complex fourier(Node &node, Complex x, int64_t axis, bool inverse) {
  if (!x.real)
    return {};
  Type type = node.likeOf(x.real);
  auto op = node.create<graph::FourierOp>(type, type, x.real, x.imaginary, axis, inverse);
  return op ? Complex{op.getRealResult(), op.getImaginaryResult()} : Complex();
}

static Complex times(Node &node, Complex x, Complex y) {
  auto mul = [&](Value a, Value b) { return node.binary(BinaryKind::mul, a, b); };
  if (!x.imaginary)
    return {mul(x.real, y.real), mul(x.real, y.imaginary)};
  return {node.binary(BinaryKind::sub, mul(x.real, y.real), mul(x.imaginary, y.imaginary)),
          node.binary(BinaryKind::add, mul(x.real, y.imaginary), mul(x.imaginary, y.real))};
}

/// Bluestein's algorithm for sizes with large prime factors: since 2 n k = n^2 + k^2 - (k - n)^2,
/// a transform is a convolution with a chirp, which is a product of transforms of any larger size.
static Complex transformByChirp(Node &node, Complex x, int64_t axis, int64_t rank, int64_t samples,
                                int64_t length, bool inverse) {
  Type i64 = node.builder().getI64Type(), f64 = node.builder().getF64Type();
  int64_t padded = llvm::NextPowerOf2(2 * length - 2);
  Value k = node.range(node.scalarInt(0, i64), node.scalarInt(length, i64), node.scalarInt(1, i64));
  Value turn = node.binary(BinaryKind::mod, node.binary(BinaryKind::mul, k, k),
                           node.scalarInt(2 * length, i64));
  Value angle = node.binary(BinaryKind::mul, node.cast(turn, f64), llvm::numbers::pi / length);
  Value cosine = node.unary(UnaryKind::cos, angle), sine = node.unary(UnaryKind::sin, angle);
  Value less = node.unary(UnaryKind::neg, sine);
  // Back and forth around 0, as a period of `padded`.
  auto around = [&](Value half) {
    Value back = node.reverse(node.slice(half, 0, 1, length), 0);
    return node.concat({resized(node, half, 0, length, padded - length + 1), back}, 0);
  };
  Complex chirp = inverse ? Complex{cosine, sine} : Complex{cosine, less};
  Complex filter{around(cosine), around(inverse ? less : sine)};
  filter = fourier(node, filter, 0, false);
  Ints trailing;
  for (int64_t i = 1; i < rank - axis; ++i)
    trailing.push_back(i);
  auto along = [&](Complex value) {
    if (!trailing.empty())
      value = {node.unsqueeze(value.real, trailing), node.unsqueeze(value.imaginary, trailing)};
    return value;
  };
  x = {node.cast(x.real, f64), node.cast(x.imaginary, f64)};
  x = times(node, x, along(resized(node, chirp, 0, length, samples)));
  x = fourier(node, resized(node, x, axis, samples, padded), axis, false);
  if (!x.real || !filter.real)
    return {};
  x = fourier(node, times(node, x, along(filter)), axis, true);
  x = times(node, resized(node, x, axis, padded, length), along(chirp));
  if (inverse)
    x = {node.binary(BinaryKind::div, x.real, double(length)),
         node.binary(BinaryKind::div, x.imaginary, double(length))};
  return x;
}

/// The number if it is known when compiling.
static std::optional<int64_t> known(Node &node, Value value) {
  std::optional<Ints> ints = value ? node.graphs().evaluateInts(value) : std::nullopt;
  return ints && ints->size() == 1 ? std::optional(ints->front()) : std::nullopt;
}

/// Tables of larger transforms would be a burden to files; no model has them.
static constexpr int64_t maxFastSize = 1 << 20;

static bool isFast(std::optional<int64_t> samples, std::optional<int64_t> length) {
  if (!samples || !length || *samples < 1 || *length < 1 || *length > maxFastSize)
    return false;
  // Below that the matrix has fewer operations than three longer transforms.
  constexpr int64_t smallest = 64;
  return *length >= smallest || graph::FourierOp::getRadices(*length);
}

/// The transform of x along a dimension, or its inverse. Signals shorter than `length` count as
/// padded with zeros. A transform of f32 runs in f64 and is rounded once; the inverse runs in its
/// type, as NumPy and with it the reference implementation of ONNX have it.
static Complex transform(Node &node, Complex x, int64_t axis, int64_t rank, Value samples,
                         Value bins, Value length, bool inverse) {
  if (!x.real)
    return {};
  Type given = Node::elementOf(x.real), f64 = node.builder().getF64Type();
  std::optional<int64_t> from = known(node, samples), size = known(node, length);
  std::optional<int64_t> used = known(node, bins);
  Complex y;
  if (used && isFast(from, size)) {
    if (graph::FourierOp::getRadices(*size)) {
      Type element = inverse && !given.isF64() ? node.builder().getF32Type() : Type(f64);
      x = {node.cast(x.real, element), node.cast(x.imaginary, element)};
      y = fourier(node, resized(node, x, axis, *from, *size), axis, inverse);
    } else {
      y = transformByChirp(node, x, axis, rank, *from, *size, inverse);
    }
    y = resized(node, y, axis, *size, *used);
  } else {
    x = {moveAxis(node, x.real, axis, rank, false), moveAxis(node, x.imaginary, axis, rank, false)};
    y = transformByMatrix(node, x, samples, bins, length, inverse);
    y = {moveAxis(node, y.real, axis, rank, true), moveAxis(node, y.imaginary, axis, rank, true)};
  }
  return {node.cast(y.real, given), node.cast(y.imaginary, given)};
}

static Value scalarOf(Node &node, Value value) {
  return node.scalarOf(node.cast(value, node.builder().getI64Type()));
}

/// x, whose last dimension is 1 (real) or 2 (complex); where only the run knows which, zeros stand
/// for the imaginary parts of real numbers. Null after an error.
static Value requireParts(Node &node, Value x, int64_t rank) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t parts = type.getDimSize(rank - 1);
  if (parts == 1 || parts == 2)
    return x;
  if (!ShapedType::isDynamic(parts)) {
    node.error() << "the last dimension of input 0 of " << node.opType()
                 << " must be 1 (real) or 2 (complex), its type is " << type;
    return {};
  }
  Value size = node.shapeOf(x, rank - 1, rank);
  Value allowed = node.binary(BinaryKind::min, node.binary(BinaryKind::max, size, 1), 2);
  x = node.requireShape(x, node.concat({node.constant(Ints(rank - 1, -1)), allowed}, 0));
  return node.padEnd(x, rank - 1, node.binary(BinaryKind::sub, node.constant(Ints{2}), size));
}

/// The real and imaginary parts that lie along the last dimension.
static Complex split(Node &node, Value x, int64_t rank) {
  auto part = [&](int64_t i) {
    return node.squeeze(node.slice(x, rank - 1, i, i + 1), {rank - 1});
  };
  bool isComplex = cast<RankedTensorType>(x.getType()).getDimSize(rank - 1) == 2;
  return {part(0), isComplex ? part(1) : Value()};
}

static Value join(Node &node, Complex x, int64_t rank) {
  return node.concat({node.unsqueeze(x.real, {rank}), node.unsqueeze(x.imaginary, {rank})}, rank);
}

/// x[..., :count] along a dimension.
static Value firstSamples(Node &node, Value x, int64_t axis, Value count) {
  return node.slice(x, axis, node.constant(Ints{0}), node.unsqueeze(count, {0}));
}

/// A real signal from the first half of its spectrum, `used` bins of [..., size / 2 + 1].
static Value realInverse(Node &node, Complex x, int64_t axis, int64_t rank, Value used,
                         Value length) {
  Type i64 = node.builder().getI64Type();
  std::optional<int64_t> bins = known(node, used), size = known(node, length);
  if (isFast(bins, size)) {
    // The other half mirrors it.
    int64_t half = *size / 2 + 1;
    auto mirrored = [&](Value part, bool turned) -> Value {
      part = resized(node, part, axis, *bins, half);
      if (!part || half == *size)
        return part;
      Value rest = node.reverse(node.slice(part, axis, 1, 1 + *size - half), axis);
      if (turned && rest)
        rest = node.unary(UnaryKind::neg, rest);
      return node.concat({part, rest}, axis);
    };
    Complex whole{mirrored(x.real, false), mirrored(x.imaginary, true)};
    return transform(node, whole, axis, rank, length, length, length, true).real;
  }
  // Every bin but the first (and the middle one) counts twice, by its real part.
  Value zero = node.scalarInt(0, i64), one = node.scalarInt(1, i64), two = node.scalarInt(2, i64);
  Type element = Node::elementOf(x.real);
  Value place = node.range(zero, used, one);
  Value isFirst = node.binary(BinaryKind::equal, place, zero);
  Value isMiddle = node.binary(BinaryKind::equal, node.binary(BinaryKind::mul, place, two), length);
  Value isAlone = node.binary(BinaryKind::logical_or, isFirst, isMiddle);
  Value weight = node.select(isAlone, node.scalar(1, element), node.scalar(2, element));
  auto weigh = [&](Value value) -> Value {
    value = moveAxis(node, value, axis, rank, false);
    return value ? node.binary(BinaryKind::mul, value, weight) : value;
  };
  x = {weigh(x.real), weigh(x.imaginary)};
  Value y = transform(node, x, rank - 1, rank, used, length, length, true).real;
  return moveAxis(node, y, axis, rank, true);
}

/// The transform of x [..., 1 or 2] along a dimension other than the last.
static Value dftAlong(Node &node, Value x, int64_t axis, int64_t rank) {
  bool inverse = node.flag("inverse"), onesided = node.flag("onesided");
  int64_t inner = rank - 1;
  Complex signal = split(node, x, rank);
  Type i64 = node.builder().getI64Type();
  Value size = node.squeeze(node.shapeOf(x, axis, axis + 1), {0});
  Value one = node.scalarInt(1, i64), two = node.scalarInt(2, i64);
  auto half = [&](Value length) {
    return node.binary(BinaryKind::add, node.binary(BinaryKind::div, length, two), one);
  };
  Value length = node.hasInput(1) ? scalarOf(node, node.input(1)) : size;
  if (inverse && onesided) {
    if (!node.hasInput(1))
      length = node.binary(BinaryKind::mul, node.binary(BinaryKind::sub, size, one), two);
    Value used = node.binary(BinaryKind::min, size, half(length));
    signal = {firstSamples(node, signal.real, axis, used),
              firstSamples(node, signal.imaginary, axis, used)};
    if (!signal.real)
      return {};
    return node.unsqueeze(realInverse(node, signal, axis, inner, used, length), {inner});
  }
  Value used = size;
  if (node.hasInput(1)) {
    used = node.binary(BinaryKind::min, size, length);
    signal = {firstSamples(node, signal.real, axis, used),
              firstSamples(node, signal.imaginary, axis, used)};
  }
  if (!signal.real)
    return {};
  Complex y =
      transform(node, signal, axis, inner, used, onesided ? half(length) : length, length, inverse);
  return join(node, y, inner);
}

/// A transform along each axis from `axis` on, of which the one that `mask` marks runs. So each
/// is of a size that is known.
static Value dftByAxis(Node &node, Value x, Value mask, int64_t axis, int64_t rank) {
  if (axis == rank - 2)
    return dftAlong(node, x, axis, rank);
  Value marked = node.squeeze(node.slice(mask, 0, axis, axis + 1), {0});
  Value condition =
      node.binary(BinaryKind::equal, marked, node.scalarInt(1, node.builder().getI64Type()));
  if (!condition)
    return {};
  GraphImporter &graphs = node.graphs();
  auto op = graphs.fillIf(node.location(), condition, 1,
                          [&](unsigned branch) -> FailureOr<SmallVector<Value>> {
                            Value y = branch == 0 ? dftAlong(node, x, axis, rank)
                                                  : dftByAxis(node, x, mask, axis + 1, rank);
                            if (!y)
                              return failure();
                            return SmallVector<Value>{y};
                          });
  if (failed(op) || failed(graphs.inferShapes(*op))) {
    (void)node.fail();
    return {};
  }
  return op->getResult(0);
}

/// Along an axis that only the run knows: the dimensions before it are one, and those after it.
static Value dftAtRunTime(Node &node, Value x, int64_t rank) {
  Type i64 = node.builder().getI64Type();
  Value axis = runTimeAxes(node, 2);
  if (!axis)
    return {};
  axis = node.reshape(axis, {1});
  Value fromEnd = node.binary(BinaryKind::add, axis, node.scalarInt(rank, i64));
  Value isNegative = node.binary(BinaryKind::less, axis, node.scalarInt(0, i64));
  Value at = node.select(isNegative, fromEnd, axis);
  Value mask = axisMask(node, at, rank - 1); // the last dimension holds the complex parts
  if (!mask)
    return {};
  auto type = cast<RankedTensorType>(x.getType());
  constexpr int64_t fewAxes = 5;
  if (type.hasStaticShape() && rank <= fewAxes)
    return dftByAxis(node, x, mask, 0, rank);
  int64_t parts = type.getDimSize(rank - 1);
  Value apart = node.reshape(splitAtAxis(node, x, at), {0, 0, -1, parts});
  Value y = apart ? dftAlong(node, apart, 1, 4) : Value();
  if (!y)
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
  // "is not possible": half of the result says nothing about the other half.
  if (node.flag("onesided") && !node.flag("inverse") &&
      cast<RankedTensorType>(x.getType()).getDimSize(*rank - 1) == 2)
    return node.error() << "attribute 'onesided' of DFT takes real numbers, input 0 holds complex "
                        << "ones (its last dimension is 2)";
  x = requireParts(node, x, *rank);
  if (!x)
    return failure();
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
  x = requireParts(node, x, 3);
  if (!x)
    return failure();
  Complex parts = split(node, x, 3);
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
  Complex signal{framed(parts.real), framed(parts.imaginary)};
  if (!signal.real)
    return failure();
  return node.result(join(node, transform(node, signal, 2, 3, length, bins, length, false), 3));
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
