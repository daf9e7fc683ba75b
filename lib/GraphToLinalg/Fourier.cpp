// Lowering of Fourier transforms: a step for each factor of the size, as Stockham's algorithm has
// them, so that nothing needs to be put in order at the end.
//
// A step of radix R reads [outer, done, R, rest, inner] and writes [outer, R, done, rest, inner]:
// transforms of size R across the third dimension, each result but the first turned by the angle of
// its place. Numbers are combined in the order that pocketfft has, and no product is contracted
// into a sum: a transform of single precision has the bits that NumPy's has. Apache-2.0 WITH
// LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

namespace {

struct Complex {
  Value real, imaginary;
};

/// Arithmetic that rounds each operation.
struct Exact {
  OpBuilder &b;
  Location loc;

  Value add(Value x, Value y) const { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, loc, x, y); }
  Value neg(Value x) const { return arith::NegFOp::create(b, loc, x); }
  Value mul(Value x, double factor) const {
    auto type = cast<FloatType>(x.getType());
    return mul(x, arith::ConstantOp::create(b, loc, b.getFloatAttr(type, factor)));
  }
  Complex add(Complex x, Complex y) const {
    return {add(x.real, y.real), add(x.imaginary, y.imaginary)};
  }
  Complex sub(Complex x, Complex y) const {
    return {sub(x.real, y.real), sub(x.imaginary, y.imaginary)};
  }
  Complex mul(Complex x, double factor) const {
    return {mul(x.real, factor), mul(x.imaginary, factor)};
  }
  Complex mul(Complex x, Complex y) const {
    return {sub(mul(x.real, y.real), mul(x.imaginary, y.imaginary)),
            add(mul(x.real, y.imaginary), mul(x.imaginary, y.real))};
  }
  /// x times i, or times -i.
  Complex turn(Complex x, bool left) const {
    return left ? Complex{neg(x.imaginary), x.real} : Complex{x.imaginary, neg(x.real)};
  }
  /// x times (1 + i) / sqrt(2), or times its conjugate.
  Complex turnHalf(Complex x, bool left) const {
    Value plus = add(x.real, x.imaginary);
    Complex turned =
        left ? Complex{sub(x.real, x.imaginary), plus} : Complex{plus, sub(x.imaginary, x.real)};
    return mul(turned, llvm::numbers::sqrt2 / 2);
  }
  /// Both sum and difference.
  std::pair<Complex, Complex> both(Complex x, Complex y) const { return {add(x, y), sub(x, y)}; }
};

} // namespace

/// cos and sin of 2 pi step / size, exact to the last bit or nearly so.
static std::pair<double, double> angle(int64_t step, int64_t size) {
  // In the first octant both functions are at their best.
  int64_t octant = step * 8 / size;
  auto turns = [&](int64_t part) {
    return 2 * 3.14159265358979323846264338327950288L * part / size;
  };
  // The distance from the nearest multiple of a quarter turn, in quarters of a step.
  int64_t quarter = (octant + 1) / 2;
  long double rest = turns(step * 4 - quarter * size) / 4;
  double cosine = double(std::cos(rest)), sine = double(std::sin(rest));
  switch (quarter % 4) {
  case 0:
    return {cosine, sine};
  case 1:
    return {-sine, cosine};
  case 2:
    return {-cosine, -sine};
  default:
    return {sine, -cosine};
  }
}

static SmallVector<Complex> transform4(const Exact &e, ArrayRef<Complex> x, bool inverse) {
  auto [even, evenLess] = e.both(x[0], x[2]);
  auto [odd, oddLess] = e.both(x[1], x[3]);
  oddLess = e.turn(oddLess, inverse);
  return {e.add(even, odd), e.add(evenLess, oddLess), e.sub(even, odd), e.sub(evenLess, oddLess)};
}

static SmallVector<Complex> transform8(const Exact &e, ArrayRef<Complex> x, bool inverse) {
  auto [a1, a5] = e.both(x[1], x[5]);
  auto [a3, a7] = e.both(x[3], x[7]);
  a7 = e.turn(a7, inverse);
  auto [b1, b3] = e.both(a1, a3);
  b3 = e.turn(b3, inverse);
  auto [b5, b7] = e.both(a5, a7);
  b5 = e.turnHalf(b5, inverse);
  // Three eighths of a turn, which is a half and an eighth back.
  Value less = inverse ? e.sub(b7.real, b7.imaginary) : e.sub(b7.imaginary, b7.real);
  Value more = e.sub(e.neg(b7.real), b7.imaginary);
  b7 = e.mul(inverse ? Complex{more, less} : Complex{less, more}, llvm::numbers::sqrt2 / 2);
  auto [a0, a4] = e.both(x[0], x[4]);
  auto [a2, a6] = e.both(x[2], x[6]);
  a6 = e.turn(a6, inverse);
  auto [y0, y4] = e.both(e.add(a0, a2), b1);
  auto [y2, y6] = e.both(e.sub(a0, a2), b3);
  auto [y1, y5] = e.both(e.add(a4, a6), b5);
  auto [y3, y7] = e.both(e.sub(a4, a6), b7);
  return {y0, y1, y2, y3, y4, y5, y6, y7};
}

// An odd radix: results come in pairs that share their sums. Radices above 11 add up two terms at a
// time.
static SmallVector<Complex> transformOdd(const Exact &e, ArrayRef<Complex> x, bool inverse) {
  int64_t radix = x.size(), half = (radix + 1) / 2;
  bool inPairs = radix > 11;
  SmallVector<Complex> plus(half), minus(half), y(radix);
  y[0] = x[0];
  for (int64_t j = 1; j < half; ++j) {
    std::tie(plus[j], minus[j]) = e.both(x[j], x[radix - j]);
    y[0] = e.add(y[0], plus[j]);
  }
  for (int64_t k = 1; k < half; ++k) {
    Complex even = x[0], odd;
    auto cosine = [&](int64_t j) { return angle(k * j % radix, radix).first; };
    auto sine = [&](int64_t j) {
      double value = angle(k * j % radix, radix).second;
      return inverse ? value : -value;
    };
    for (int64_t j = 1; j < half;) {
      Complex evenTerm = e.mul(plus[j], cosine(j)), oddTerm = e.mul(minus[j], sine(j));
      // The first two terms join the sum one by one.
      bool two = inPairs && j > 1 && j + 1 < half;
      if (inPairs && j >= 3 && two) {
        evenTerm = e.add(evenTerm, e.mul(plus[j + 1], cosine(j + 1)));
        oddTerm = e.add(oddTerm, e.mul(minus[j + 1], sine(j + 1)));
      } else {
        two = false;
      }
      even = e.add(even, evenTerm);
      odd = j == 1 ? oddTerm : e.add(odd, oddTerm);
      j += two ? 2 : 1;
    }
    std::tie(y[k], y[radix - k]) = e.both(even, e.turn(odd, true));
  }
  return y;
}

static SmallVector<Complex> transformAny(const Exact &e, ArrayRef<Complex> x, bool inverse) {
  switch (x.size()) {
  case 2:
    return {e.add(x[0], x[1]), e.sub(x[0], x[1])};
  case 4:
    return transform4(e, x, inverse);
  case 8:
    return transform8(e, x, inverse);
  default:
    return transformOdd(e, x, inverse);
  }
}

namespace {

/// A transform under way: real and imaginary parts of [outer, size, inner].
struct Steps {
  Lowering &l;
  Type element;
  OpFoldResult outer, inner;
  int64_t size;
  bool inverse;
  Tensor parts[2];

  void step(int64_t radix, int64_t done, bool isLast);
  Tensor turns(int64_t radix, int64_t done, int64_t result, bool sine);
};

} // namespace

/// The factors of one result of a step, [rest].
Tensor Steps::turns(int64_t radix, int64_t done, int64_t result, bool sine) {
  int64_t rest = size / (radix * done);
  SmallVector<APFloat> values;
  for (int64_t i = 0; i < rest; ++i) {
    auto [re, im] = angle(result * done * i, size);
    APFloat value(!sine ? re : inverse ? im : -im);
    bool inexact;
    value.convert(cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &inexact);
    values.push_back(value);
  }
  return l.constantTensor(DenseElementsAttr::get(RankedTensorType::get({rest}, element), values));
}

void Steps::step(int64_t radix, int64_t done, bool isLast) {
  int64_t rest = size / (radix * done);
  // Loops: outer, one that stands for the result's place, done, rest, inner.
  constexpr int64_t loops = 5;
  Sizes from{outer, l.size(done), l.size(radix), l.size(rest), inner};
  Sizes piece{outer, l.size(1), l.size(done), l.size(rest), inner};
  SmallVector<Operand> inputs;
  auto dim = [&](int64_t i) { return l.b.getAffineDimExpr(i); };
  for (Tensor &part : parts) {
    Tensor split = part.splat ? part : l.reshape(part, from);
    for (int64_t j = 0; j < radix; ++j)
      inputs.emplace_back(
          split,
          AffineMap::get(loops, 0, {dim(0), dim(2), l.b.getAffineConstantExpr(j), dim(3), dim(4)},
                         l.context));
  }
  if (rest > 1)
    for (bool sine : {false, true})
      for (int64_t j = 1; j < radix; ++j)
        inputs.emplace_back(turns(radix, done, j, sine), l.dimMap(loops, {3}));
  SmallVector<Value> outs(2 * radix, l.empty(piece, element));
  SmallVector<AffineMap> maps(outs.size(), l.b.getMultiDimIdentityMap(loops));
  SmallVector<utils::IteratorType> iterators(loops, utils::IteratorType::parallel);
  ResultRange results =
      l.generic(inputs, outs, maps, iterators, [&](const Scalars &s, ValueRange values) {
        Exact e{s.b, s.loc};
        SmallVector<Complex> x;
        for (int64_t j = 0; j < radix; ++j)
          x.push_back({values[j], values[radix + j]});
        SmallVector<Complex> y = transformAny(e, x, inverse);
        for (int64_t j = 1; j < radix && rest > 1; ++j)
          y[j] = e.mul(y[j], {values[2 * radix + j - 1], values[3 * radix + j - 2]});
        SmallVector<Value> stored;
        for (bool imaginary : {false, true})
          for (Complex value : y) {
            Value part = imaginary ? value.imaginary : value.real;
            if (isLast && inverse) {
              // 1 / size in the type itself, as the factor that NumPy gives.
              bool isSingle = element.isF32();
              part = e.mul(part, isSingle ? double(1.0f / float(size)) : 1.0 / double(size));
            }
            stored.push_back(part);
          }
        return stored;
      });
  Sizes whole{outer, l.size(radix), l.size(done), l.size(rest), inner};
  Sizes flat{outer, l.size(size), inner};
  for (int64_t part = 0; part < 2; ++part) {
    Value into = l.empty(whole, element);
    for (int64_t j = 0; j < radix; ++j) {
      Tensor result{results[part * radix + j], piece, element};
      into = l.insert(result, into, {l.size(0), l.size(j), l.size(0), l.size(0), l.size(0)});
    }
    parts[part] = l.reshape({into, whole, element}, flat);
  }
}

static LogicalResult lowerFourier(graph::FourierOp op, Lowering &l) {
  Tensor real = l.get(op.getReal());
  Sizes sizes = real.sizes;
  int64_t axis = op.getAxis();
  std::optional<int64_t> size = getConstantIntValue(sizes[axis]);
  if (!size)
    return l.unsupported(op) << "a size that is not known when compiling";
  Tensor imaginary;
  if (op.getImaginary())
    imaginary = l.get(op.getImaginary());
  else
    imaginary.splat = l.number(real.element, 0);
  Steps steps{l,
              real.element,
              l.product(ArrayRef(sizes).take_front(axis)),
              l.product(ArrayRef(sizes).drop_front(axis + 1)),
              *size,
              op.getInverse(),
              {real, imaginary}};
  std::optional<SmallVector<int64_t>> radices = graph::FourierOp::getRadices(*size);
  if (!radices)
    return l.unsupported(op) << "a size of " << *size;
  int64_t done = 1;
  for (auto [i, radix] : llvm::enumerate(*radices)) {
    steps.step(radix, done, i + 1 == radices->size());
    done *= radix;
  }
  // A single number is its own transform.
  if (radices->empty() && imaginary.splat)
    steps.parts[1] = {l.filled(sizes, imaginary.splat), sizes, real.element, imaginary.splat};
  l.set(op.getRealResult(), l.reshape(steps.parts[0], sizes));
  l.set(op.getImaginaryResult(), l.reshape(steps.parts[1], sizes));
  return success();
}

void lathe::g2l::addFourier(LoweringTable &table) { table.add(lowerFourier); }
