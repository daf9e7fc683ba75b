// Signal processing: transforms of Fourier, whole, by halves and by frames.
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

/// The number if it is known when compiling.
static std::optional<int64_t> known(Node &node, Value value) {
  std::optional<Ints> ints = value ? node.graphs().evaluateInts(value) : std::nullopt;
  return ints && ints->size() == 1 ? std::optional(ints->front()) : std::nullopt;
}

/// Whether both are the same number, as far as one can tell.
static bool areEqual(Node &node, Value a, Value b) {
  if (a == b)
    return true;
  std::optional<int64_t> x = known(node, a), y = known(node, b);
  return x && x == y;
}

/// x[..., :count] along a dimension of `size`.
static Complex cut(Node &node, Complex x, int64_t axis, Value size, Value count) {
  if (!count || areEqual(node, size, count))
    return x;
  Value start = node.constant(Ints{0}), end = node.unsqueeze(count, {0});
  return {node.slice(x.real, axis, start, end), node.slice(x.imaginary, axis, start, end)};
}

/// x, whose dimension must have `size` ([1]) elements.
static Value requireSize(Node &node, Value x, int64_t axis, Value size) {
  std::optional<int64_t> rank = Node::rankOf(x);
  if (!rank || !size)
    return {};
  Value before = node.constant(Ints(axis, -1)), after = node.constant(Ints(*rank - axis - 1, -1));
  return node.requireShape(x, node.concat({before, size, after}, 0));
}

/// x with zeros behind it along a dimension of `size`, so that it has `count`, which the run holds
/// to be at least 1 where only the run knows it.
static Complex padded(Node &node, Complex x, int64_t axis, Value size, Value count) {
  if (!size || !count || areEqual(node, size, count))
    return x;
  Value missing = node.unsqueeze(node.binary(BinaryKind::sub, count, size), {0});
  auto pad = [&](Value part) { return part ? node.padEnd(part, axis, missing) : part; };
  x = {pad(x.real), pad(x.imaginary)};
  if (!known(node, count)) {
    Value positive = node.unsqueeze(node.binary(BinaryKind::max, count, 1), {0});
    x.real = requireSize(node, x.real, axis, positive);
  }
  return x;
}

/// The first `bins` numbers of the transform of x along a dimension, or of its inverse. The signal
/// has `samples`, and zeros behind them up to `length`. A transform of f32 runs in f64 and is
/// rounded once; the inverse runs in its type, as NumPy and with it the reference implementation of
/// ONNX have it.
static Complex transform(Node &node, Complex x, int64_t axis, Value samples, Value bins,
                         Value length, bool inverse) {
  x = padded(node, x, axis, samples, length);
  if (!x.real)
    return {};
  OpBuilder &builder = node.builder();
  Type given = Node::elementOf(x.real);
  Type element = inverse && !given.isF64() ? builder.getF32Type() : builder.getF64Type();
  x = {node.cast(x.real, element), node.cast(x.imaginary, element)};
  if (!x.real)
    return {};
  Type type = node.likeOf(x.real);
  auto op = node.create<graph::FourierOp>(type, type, x.real, x.imaginary, axis, inverse);
  if (!op)
    return {};
  Complex y = cut(node, {op.getRealResult(), op.getImaginaryResult()}, axis, length, bins);
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
  x = requireSize(node, x, rank - 1, allowed);
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

/// A real signal from the first half of its spectrum, length / 2 + 1 bins, which the other half
/// mirrors.
static Value realInverse(Node &node, Complex x, int64_t axis, Value length) {
  // But for the first bin, and the middle one where there is one.
  Value mirrored = node.binary(BinaryKind::div, node.binary(BinaryKind::add, length, 1), 2);
  if (!mirrored)
    return {};
  Value end = node.unsqueeze(mirrored, {0});
  auto whole = [&](Value part, bool turned) -> Value {
    Value rest = node.slice(part, axis, node.constant(Ints{1}), end);
    rest = rest ? node.reverse(rest, axis) : rest;
    if (turned && rest)
      rest = node.unary(UnaryKind::neg, rest);
    return node.concat({part, rest}, axis);
  };
  x = {whole(x.real, false), whole(x.imaginary, true)};
  return transform(node, x, axis, length, length, length, true).real;
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
    Value bins = node.binary(BinaryKind::add, node.binary(BinaryKind::div, length, two), one);
    return node.binary(BinaryKind::min, length, bins);
  };
  bool isReal = inverse && onesided;
  // What the signal, or the half of its spectrum, has at most.
  Value length = size, most = size;
  if (node.hasInput(1)) {
    length = scalarOf(node, node.input(1));
    std::optional<int64_t> given = known(node, length);
    if (given && *given < 1) {
      node.error() << "input 1 of DFT is " << *given << ", a length must be 1 or more";
      return {};
    }
    if (!given)
      length = node.binary(BinaryKind::max, length, 0);
    most = isReal ? half(length) : length;
  } else if (isReal) {
    length = node.binary(BinaryKind::mul, node.binary(BinaryKind::sub, size, one), two);
  }
  Value used = areEqual(node, size, most) ? size : node.binary(BinaryKind::min, size, most);
  signal = cut(node, signal, axis, size, used);
  if (!signal.real || !most)
    return {};
  if (isReal) {
    signal = padded(node, signal, axis, used, most);
    Value y = realInverse(node, signal, axis, length);
    return y ? node.unsqueeze(y, {inner}) : y;
  }
  Complex y =
      transform(node, signal, axis, used, onesided ? half(length) : length, length, inverse);
  return y.real ? join(node, y, inner) : Value();
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
  if (node.flag("onesided")) {
    // Complex numbers have no half that says everything about the other, and half a spectrum is
    // complex.
    int64_t parts = node.flag("inverse") ? 2 : 1;
    int64_t given = cast<RankedTensorType>(x.getType()).getDimSize(*rank - 1);
    if (given == 3 - parts)
      return node.error() << "attribute 'onesided' of " << (parts == 2 ? "an inverse " : "a ")
                          << "DFT takes " << (parts == 2 ? "complex" : "real")
                          << " numbers, the last dimension of input 0 must be " << parts << ", not "
                          << given;
  }
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
  // Real signals without a dimension of parts: PyTorch writes them, ONNX Runtime takes them.
  if (*rank == 2)
    x = node.unsqueeze(x, {2});
  else if (*rank != 3)
    return node.error() << "input 0 of STFT has rank " << *rank
                        << ", it takes 3 (or 2 of real numbers)";
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
  return node.result(join(node, transform(node, signal, 2, length, bins, length, false), 3));
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
