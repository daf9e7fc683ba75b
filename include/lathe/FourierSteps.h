// Transforms of a few numbers, of which those of any size are made: for code that the compiler
// emits and for builtins, which have no library. Numbers are combined in the order that pocketfft
// has; where no product is contracted into a sum, a transform has the bits that NumPy's has.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_FOURIERSTEPS_H
#define LATHE_FOURIERSTEPS_H

#include <stdint.h>

namespace lathe::fourier {

/// The largest radix of a step.
constexpr int64_t maxRadix = 31;

/// The sizes of the steps whose product a size is, in their order; none for a size of 1.
struct Radices {
  int64_t sizes[64];
  int count = 0;
  /// What is left of the size: 1, or a factor whose primes are all larger than `maxRadix`.
  int64_t rest;
};

// Steps of 8 do least work for each number that they move; an odd 2 comes first.
inline Radices factorize(int64_t size) {
  Radices radices;
  radices.rest = size;
  auto take = [&](int64_t radix) {
    for (; radices.rest > 1 && radices.rest % radix == 0; radices.rest /= radix)
      radices.sizes[radices.count++] = radix;
  };
  take(8);
  take(4);
  if (radices.rest > 1 && radices.rest % 2 == 0) {
    radices.rest /= 2;
    radices.sizes[radices.count++] = radices.sizes[0];
    radices.sizes[0] = 2;
  }
  for (int64_t radix = 3; radix <= maxRadix; radix += 2)
    take(radix);
  return radices;
}

struct Turn {
  double cosine, sine;
};

/// cos and sin of step / size turns, 0 <= step < size < 2^60; `near` gives those of
/// pi / 2 * part / size for |part| <= size / 2, where both functions are at their best.
template <typename Near> Turn turn(int64_t step, int64_t size, Near near) {
  int64_t quarter = (step * 8 / size + 1) / 2;
  Turn rest = near(step * 4 - quarter * size, size);
  switch (quarter % 4) {
  case 0:
    return rest;
  case 1:
    return {-rest.sine, rest.cosine};
  case 2:
    return {-rest.cosine, -rest.sine};
  default:
    return {rest.sine, -rest.cosine};
  }
}

template <typename Number> struct Complex {
  Number real, imaginary;
};

/// The transforms of a few numbers, forwards or with `inverse` back. `Arithmetic` names a type
/// Number and has add, sub, mul and neg of numbers, mul of a number and a double, and `Turn
/// turn(step, size)`.
template <typename Arithmetic> class Steps : public Arithmetic {
public:
  using Number = typename Arithmetic::Number;
  using Value = Complex<Number>;
  using Arithmetic::add;
  using Arithmetic::mul;
  using Arithmetic::neg;
  using Arithmetic::sub;
  bool inverse;

  Steps(Arithmetic arithmetic, bool inverse) : Arithmetic(arithmetic), inverse(inverse) {}

  Value add(Value x, Value y) const { return {add(x.real, y.real), add(x.imaginary, y.imaginary)}; }
  Value sub(Value x, Value y) const { return {sub(x.real, y.real), sub(x.imaginary, y.imaginary)}; }
  Value mul(Value x, double factor) const {
    return {mul(x.real, factor), mul(x.imaginary, factor)};
  }
  Value mul(Value x, Value y) const {
    return {sub(mul(x.real, y.real), mul(x.imaginary, y.imaginary)),
            add(mul(x.real, y.imaginary), mul(x.imaginary, y.real))};
  }

  /// y = the transform of x, of a radix from 2 to `maxRadix`.
  void transform(int64_t radix, const Value *x, Value *y) const {
    switch (radix) {
    case 2:
      both(x[0], x[1], y[0], y[1]);
      return;
    case 4:
      return transform4(x, y);
    case 8:
      return transform8(x, y);
    default:
      return transformOdd(radix, x, y);
    }
  }

private:
  /// x times i, or times -i.
  Value turned(Value x, bool left) const {
    return left ? Value{neg(x.imaginary), x.real} : Value{x.imaginary, neg(x.real)};
  }
  /// x times (1 + i) / sqrt(2), or times its conjugate.
  Value turnedHalf(Value x, bool left) const {
    Number plus = add(x.real, x.imaginary);
    Value turned =
        left ? Value{sub(x.real, x.imaginary), plus} : Value{plus, sub(x.imaginary, x.real)};
    return mul(turned, sqrtHalf);
  }
  void both(Value x, Value y, Value &sum, Value &difference) const {
    sum = add(x, y);
    difference = sub(x, y);
  }

  void transform4(const Value *x, Value *y) const {
    Value even, evenLess, odd, oddLess;
    both(x[0], x[2], even, evenLess);
    both(x[1], x[3], odd, oddLess);
    oddLess = turned(oddLess, inverse);
    both(even, odd, y[0], y[2]);
    both(evenLess, oddLess, y[1], y[3]);
  }

  void transform8(const Value *x, Value *y) const {
    Value a0, a1, a2, a3, a4, a5, a6, a7, b1, b3, b5, b7;
    both(x[1], x[5], a1, a5);
    both(x[3], x[7], a3, a7);
    a7 = turned(a7, inverse);
    both(a1, a3, b1, b3);
    b3 = turned(b3, inverse);
    both(a5, a7, b5, b7);
    b5 = turnedHalf(b5, inverse);
    // Three eighths of a turn, which is a half and an eighth back.
    Number less = inverse ? sub(b7.real, b7.imaginary) : sub(b7.imaginary, b7.real);
    Number more = sub(neg(b7.real), b7.imaginary);
    b7 = mul(inverse ? Value{more, less} : Value{less, more}, sqrtHalf);
    both(x[0], x[4], a0, a4);
    both(x[2], x[6], a2, a6);
    a6 = turned(a6, inverse);
    both(add(a0, a2), b1, y[0], y[4]);
    both(sub(a0, a2), b3, y[2], y[6]);
    both(add(a4, a6), b5, y[1], y[5]);
    both(sub(a4, a6), b7, y[3], y[7]);
  }

  // Results come in pairs that share their sums. Radices above 11 add up two terms at a time, but
  // for the first two.
  void transformOdd(int64_t radix, const Value *x, Value *y) const {
    int64_t half = (radix + 1) / 2;
    Value plus[(maxRadix + 1) / 2], minus[(maxRadix + 1) / 2];
    y[0] = x[0];
    for (int64_t j = 1; j < half; ++j) {
      both(x[j], x[radix - j], plus[j], minus[j]);
      y[0] = add(y[0], plus[j]);
    }
    for (int64_t k = 1; k < half; ++k) {
      Value even = x[0], odd;
      auto addTerm = [&](int64_t j, Value &evenSum, Value &oddSum, bool isFirst) {
        Turn angle = Arithmetic::turn(k * j % radix, radix);
        Value evenTerm = mul(plus[j], angle.cosine);
        Value oddTerm = mul(minus[j], inverse ? angle.sine : -angle.sine);
        evenSum = isFirst ? evenTerm : add(evenSum, evenTerm);
        oddSum = isFirst ? oddTerm : add(oddSum, oddTerm);
      };
      for (int64_t j = 1; j < half;) {
        Value evenTerm, oddTerm;
        addTerm(j, evenTerm, oddTerm, true);
        bool isPair = radix > 11 && j >= 3 && j + 1 < half;
        if (isPair)
          addTerm(j + 1, evenTerm, oddTerm, false);
        even = add(even, evenTerm);
        odd = j == 1 ? oddTerm : add(odd, oddTerm);
        j += isPair ? 2 : 1;
      }
      both(even, turned(odd, true), y[k], y[radix - k]);
    }
  }

  static constexpr double sqrtHalf = 0x1.6a09e667f3bcdp-1;
};

} // namespace lathe::fourier

#endif // LATHE_FOURIERSTEPS_H
