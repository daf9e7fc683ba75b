// Signal processing, as products with the matrices of the transforms.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lib/Import/Operators.h"
#include "lib/Import/RunTimeAxes.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

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

/// Triangles between points that are evenly spaced in mels: a constant, as its operands are.
static LogicalResult importMelWeights(Node &node) {
  Type element = node.typeAttribute("output_datatype", node.builder().getF32Type());
  double values[5];
  for (unsigned i = 0; i < 5; ++i) {
    std::optional<double> value = node.constantScalar(i);
    if (!value)
      return failure();
    values[i] = *value;
  }
  auto [mels, length, rate, low, high] = values;
  constexpr double limit = 1 << 16;
  if (!(mels >= 0 && mels <= limit && length >= 1 && length <= limit && rate >= 1 && low >= 0 &&
        high >= low && (mels + 1) * length <= double(1 << 26)))
    return node.error() << "MelWeightMatrix of " << mels << " bands and a DFT of " << length
                        << " is not supported";
  auto toMel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  int64_t bands = static_cast<int64_t>(mels), bins = static_cast<int64_t>(length) / 2 + 1;
  double lowMel = toMel(low), stepMel = (toMel(high) - lowMel) / (mels + 2);
  std::vector<int64_t> points;
  for (int64_t i = 0; i < bands + 2; ++i) {
    double hertz = 700 * (std::pow(10.0, (i * stepMel + lowMel) / 2595) - 1);
    double bin = std::floor((length + 1) * hertz / rate);
    points.push_back(static_cast<int64_t>(std::clamp(bin, 0.0, double(bins))));
  }
  std::vector<float> weights(bins * bands, 0);
  for (int64_t band = 0; band < bands; ++band) {
    int64_t left = points[band], centre = points[band + 1], right = points[band + 2];
    if (centre == left && centre < bins)
      weights[centre * bands + band] = 1;
    for (int64_t bin = left; centre > left && bin <= std::min(centre, bins - 1); ++bin)
      weights[bin * bands + band] = float(bin - left) / float(centre - left);
    for (int64_t bin = centre; right > centre && bin < std::min(right, bins); ++bin)
      weights[bin * bands + band] = float(right - bin) / float(right - centre);
  }
  auto type = RankedTensorType::get({bins, bands}, node.builder().getF32Type());
  ArrayRef<char> bytes(reinterpret_cast<const char *>(weights.data()), weights.size() * 4);
  return node.result(node.cast(node.constant(graph::makeConstantAttr(type, bytes)), element));
}

ArrayRef<Operator> lathe::import::signalOperators() {
  static const Operator operators[] = {
      {"DFT", {17, 20}, 1, 3, importDft, kFloats},
      {"STFT", {17}, 2, 4, importStft, kFloats},
      {"MelWeightMatrix", {17}, 5, 5, importMelWeights, kIntegers, "operands must be constant"},
  };
  return operators;
}
