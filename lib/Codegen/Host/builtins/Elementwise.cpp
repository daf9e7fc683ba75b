// f32 math without branches, on one number or on vectors of 4, 8 and 16: the same bits for both.
// Each is inlined where it is called, so that loops over it vectorize and constants are shared.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace {

template <int N> struct Vector {
  typedef float F32 __attribute__((vector_size(4 * N)));
};

/// The integers, and the f64, with as many lanes as F.
template <typename F> struct Lanes {
  static constexpr int count = sizeof(F) / sizeof(float);
  typedef int Int __attribute__((vector_size(sizeof(F))));
  typedef i64 Long __attribute__((vector_size(2 * sizeof(F))));
  typedef double Double __attribute__((vector_size(2 * sizeof(F))));
};
template <> struct Lanes<float> {
  static constexpr int count = 1;
  using Int = int;
  using Long = i64;
  using Double = double;
};
template <typename F> using IntOf = typename Lanes<F>::Int;
template <typename F> using DoubleOf = typename Lanes<F>::Double;

#define LATHE_INLINE [[gnu::always_inline]] inline

template <typename F> LATHE_INLINE F all(float value) { return F{} + value; }
template <typename F> LATHE_INLINE IntOf<F> bits(F x) { return __builtin_bit_cast(IntOf<F>, x); }
template <typename F> LATHE_INLINE F fromBits(IntOf<F> x) { return __builtin_bit_cast(F, x); }
template <typename F> LATHE_INLINE F multiplyAdd(F a, F b, F c) {
  return __builtin_elementwise_fma(a, b, c);
}
template <typename F>
  requires(!__is_same(F, float))
LATHE_INLINE F multiplyAdd(F a, float b, F c) {
  return multiplyAdd(a, all<F>(b), c);
}
template <typename F> LATHE_INLINE F magnitude(F x) { return __builtin_elementwise_abs(x); }
template <typename F> LATHE_INLINE F signOf(F x, F sign) {
  return __builtin_elementwise_copysign(x, sign);
}
template <typename F> LATHE_INLINE F root(F x) { return __builtin_elementwise_sqrt(x); }

template <typename To, typename From> LATHE_INLINE To convert(From x) {
  if constexpr (__is_arithmetic(From))
    return To(x);
  else
    return __builtin_convertvector(x, To);
}
template <typename Mask> LATHE_INLINE bool any(Mask mask) {
  if constexpr (__is_same(Mask, bool))
    return mask;
  else
    return __builtin_reduce_or(mask) != 0;
}

template <typename F, int N> LATHE_INLINE F evaluate(const float (&terms)[N], F x) {
  F sum = all<F>(terms[N - 1]);
  for (int i = N - 2; i >= 0; --i)
    sum = multiplyAdd(sum, x, all<F>(terms[i]));
  return sum;
}

constexpr float infinityF32 = __builtin_huge_valf();
constexpr float nanF32 = __builtin_nanf("");

/// Rounds to an integer, |x| < 2^22, by adding a number whose last bit is worth one. What comes out
/// for a NaN is a NaN and some integer: no conversion is undefined.
template <typename F> struct Rounded {
  F value;
  IntOf<F> integer;
};
template <typename F> LATHE_INLINE Rounded<F> round(F x) {
  constexpr float shift = 0x1.8p23f;
  F sum = x + shift;
  return {sum - shift, bits(sum) - __builtin_bit_cast(int, shift)};
}

template <typename F> LATHE_INLINE F powerOfTwo(IntOf<F> n) { return fromBits<F>((n + 127) << 23); }

/// x * 2^n for a result of any size: two steps, of which the last rounds.
template <typename F> LATHE_INLINE F scaleBy(F x, IntOf<F> n) {
  IntOf<F> half = n >> 1;
  return x * powerOfTwo<F>(half) * powerOfTwo<F>(n - half);
}

/// exp(x) = (1 + part) * 2^exponent.
template <typename F> struct Power {
  F part;
  IntOf<F> exponent;
};
template <typename F> LATHE_INLINE Power<F> powerOf(F x) {
  Rounded<F> k = round<F>(x * log2EF32[0]);
  F rest = multiplyAdd(k.value, -ln2F32[1], multiplyAdd(k.value, -ln2F32[0], x));
  return {multiplyAdd(rest * rest, evaluate(expF32, rest), rest), k.integer};
}

template <typename F> LATHE_INLINE F clamp(F x, float low, float high) {
  x = x < low ? all<F>(low) : x;
  return x > high ? all<F>(high) : x; // a NaN stays
}

/// What lies below `limit` is 0 without a product that underflows: masked values of a softmax do,
/// and processors are slow at it.
template <typename F> struct Vanishing {
  IntOf<F> isZero;
  F x;
};
template <typename F> LATHE_INLINE Vanishing<F> vanishingBelow(F x, float limit) {
  IntOf<F> isZero = convert<IntOf<F>>(x < limit);
  return {isZero, isZero != 0 ? F{} : x};
}

/// exp(x) * 2^shift.
template <typename F> LATHE_INLINE F expTimes(F x, int shift) {
  Vanishing<F> input = vanishingBelow(x, -104.0f);
  Power<F> power = powerOf(input.x > 90.0f ? all<F>(90) : input.x);
  F result = scaleBy<F>(1.0f + power.part, power.exponent + shift);
  return input.isZero != 0 ? F{} : result;
}

template <typename F> LATHE_INLINE F exp_(F x) { return expTimes(x, 0); }

template <typename F> LATHE_INLINE F exp2_(F x) {
  Vanishing<F> input = vanishingBelow(x, -150.0f);
  x = input.x > 129.0f ? all<F>(129) : input.x;
  Rounded<F> k = round(x);
  F rest = x - k.value;
  F result = scaleBy<F>(multiplyAdd(rest, evaluate(exp2F32, rest), all<F>(1)), k.integer);
  return input.isZero != 0 ? F{} : result;
}

/// (exp(x) - 1) / 2 for -18 <= x <= 89: half of it, since 2^128 is no f32.
template <typename F> LATHE_INLINE F halfExpm1(F x) {
  Power<F> power = powerOf(x);
  F half = powerOfTwo<F>(power.exponent - 1);
  return multiplyAdd(half, power.part, half - 0.5f);
}

template <typename F> LATHE_INLINE F expm1Within(F x) { return 2.0f * halfExpm1(x); }

template <typename F> LATHE_INLINE F expm1_(F x) {
  return signOf(expm1Within(clamp(x, -18.0f, 89.0f)), x);
}

/// x = 2^exponent (1 + rest), rest from sqrt(1/2) - 1 to sqrt(2) - 1; and the terms of log(1 +
/// rest) from the third on.
template <typename F> struct Logarithm {
  F exponent, rest, tail;
};
template <typename F> LATHE_INLINE Logarithm<F> logarithmOf(F x) {
  auto isSmall = x < 0x1p-126f;
  x = isSmall ? x * 0x1p23f : x;
  IntOf<F> k = (bits(x) - 0x3f3504f3) >> 23;
  F rest = fromBits<F>(bits(x) - (k << 23)) - 1.0f;
  F exponent = convert<F>(k) - (isSmall ? all<F>(23) : all<F>(0));
  return {exponent, rest, rest * rest * rest * evaluate(logF32, rest)};
}

/// What a logarithm is outside its domain and at its ends.
template <typename F> LATHE_INLINE F logEnds(F x, F result) {
  F outside = x == 0.0f ? all<F>(-infinityF32) : all<F>(nanF32);
  return x > 0.0f ? (x == infinityF32 ? x : result) : outside;
}

template <typename F> LATHE_INLINE F sumOf(Logarithm<F> parts, F correction) {
  F half = 0.5f * parts.rest * parts.rest;
  F low = multiplyAdd(parts.exponent, ln2F32[1], parts.tail + correction);
  return multiplyAdd(parts.exponent, ln2F32[0], parts.rest - (half - low));
}

template <typename F> LATHE_INLINE F log_(F x) { return logEnds(x, sumOf(logarithmOf(x), F{})); }

template <typename F> LATHE_INLINE F log1p_(F x) {
  F sum = 1.0f + x;
  // What the sum lost counts where the logarithm is small.
  F lost = x < 1.0f ? x - (sum - 1.0f) : 1.0f - (sum - x);
  F result = logEnds(sum, sumOf<F>(logarithmOf(sum), lost / sum));
  return magnitude(x) < 0x1p-24f ? x : result;
}

/// log(1 + rest) as a sum, for products with a constant in two parts.
template <typename F> struct Sum {
  F high, low;
};
template <typename F> LATHE_INLINE Sum<F> mantissaLog(Logarithm<F> parts) {
  F half = 0.5f * parts.rest * parts.rest;
  F high = parts.rest - half;
  return {high, ((parts.rest - high) - half) + parts.tail};
}

template <typename F> LATHE_INLINE F log2_(F x) {
  Logarithm<F> parts = logarithmOf(x);
  Sum<F> sum = mantissaLog(parts);
  F low = multiplyAdd(sum.high, log2EF32[1], sum.low * log2EF32[0]);
  return logEnds(x, multiplyAdd(sum.high, log2EF32[0], low) + parts.exponent);
}

template <typename F> LATHE_INLINE F log10_(F x) {
  Logarithm<F> parts = logarithmOf(x);
  Sum<F> sum = mantissaLog(parts);
  F low = multiplyAdd(sum.high, log10EF32[1], sum.low * log10EF32[0]);
  low = multiplyAdd(parts.exponent, log10Of2F32[1], low);
  low = multiplyAdd(sum.high, log10EF32[0], low);
  return logEnds(x, multiplyAdd(parts.exponent, log10Of2F32[0], low));
}

template <typename F> LATHE_INLINE F tanh_(F x) {
  F size = magnitude(x);
  F half = halfExpm1<F>(2.0f * (size > 9.5f ? all<F>(9.5f) : size));
  return signOf(half / (half + 1.0f), x);
}

/// 1 / (1 + exp(-x)) as exp(x) / (1 + exp(x)), both 2^64 times as large: then neither leaves the
/// range of normal numbers, and the quotient alone rounds to what is small.
template <typename F> LATHE_INLINE F logistic_(F x) {
  Power<F> power = powerOf(clamp(x, -104.0f, 43.0f));
  F scale = powerOfTwo<F>(power.exponent + 64);
  F scaled = multiplyAdd(scale, power.part, scale);
  return scaled / (scaled + 0x1p64f);
}

template <typename F> LATHE_INLINE F sinh_(F x) {
  F size = magnitude(x);
  F t = expm1Within(clamp(size, 0.0f, 20.0f));
  F result = size < 20.0f ? 0.5f * (t + t / (t + 1.0f)) : expTimes(size, -1);
  return size < 0x1p-13f ? x : signOf(result, x);
}

template <typename F> LATHE_INLINE F cosh_(F x) {
  F half = expTimes(magnitude(x), -1);
  return half + 0.25f / half;
}

template <typename F> LATHE_INLINE F asinh_(F x) {
  F size = magnitude(x), square = size * size;
  F within = log1p_<F>(size + square / (1.0f + root<F>(square + 1.0f)));
  F beyond = log_(size) + 0x1.62e43p-1f;
  return signOf(size < 4096.0f ? within : beyond, x);
}

template <typename F> LATHE_INLINE F acosh_(F x) {
  F t = x - 1.0f;
  F within = log1p_<F>(t + root<F>(t * (t + 2.0f)));
  F beyond = log_(x) + 0x1.62e43p-1f;
  F result = x > 4096.0f ? beyond : within;
  return x < 1.0f ? all<F>(nanF32) : result;
}

template <typename F> LATHE_INLINE F atanh_(F x) {
  F size = magnitude(x);
  return signOf<F>(0.5f * log1p_<F>((2.0f * size) / (1.0f - size)), x);
}

template <typename F> LATHE_INLINE F erf_(F x) {
  F size = magnitude(x), square = size * size;
  F small = multiplyAdd(x, evaluate(erfF32, square), x);
  Power<F> power = powerOf(evaluate(logErfcF32, clamp(size, 0.0f, 4.0f) - 2.0f));
  F scale = powerOfTwo<F>(power.exponent);
  F large = (1.0f - scale) - scale * power.part;
  return square < 0.9f ? small : signOf(large, x);
}

/// |x| beyond which the reduction below is not exact enough.
constexpr float angleLimit = 32768.0f;

/// x = quadrant * pi/2 + high + low.
template <typename F> struct Angle {
  F high, low;
  IntOf<F> quadrant;
};
template <typename F> LATHE_INLINE Angle<F> angleOf(F x) {
  Rounded<F> k = round<F>(x * 0x1.45f306p-1f);
  F first = multiplyAdd(k.value, -piHalfF32[0], x); // exact
  // first - k * (second part), exactly, as a sum of two.
  F product = k.value * piHalfF32[1], productLow = multiplyAdd(k.value, piHalfF32[1], -product);
  F high = first - product, part = high - first;
  F low = (first - (high - part)) - (product + part);
  return {high, multiplyAdd(k.value, -piHalfF32[2], low - productLow), k.integer};
}

template <typename F> LATHE_INLINE F sineReduced(Angle<F> angle) {
  F square = angle.high * angle.high;
  return angle.high + multiplyAdd(angle.high * square, evaluate(sinF32, square), angle.low);
}

template <typename F> LATHE_INLINE F cosineReduced(Angle<F> angle) {
  F square = angle.high * angle.high;
  F half = 0.5f * square, sum = 1.0f - half;
  F low = ((1.0f - sum) - half) - angle.high * angle.low;
  return sum + multiplyAdd(square * square, evaluate(cosF32, square), low);
}

/// Sine of x + offset * pi/2.
template <typename F> LATHE_INLINE F turned(F x, int offset) {
  Angle<F> angle = angleOf(x);
  IntOf<F> quadrant = angle.quadrant + offset;
  F value = (quadrant & 1) != 0 ? cosineReduced(angle) : sineReduced(angle);
  return fromBits<F>(bits(value) ^ ((quadrant & 2) << 30));
}

extern "C" float sinf(float), cosf(float), tanf(float);

/// Computes those lanes whose angle is large one by one.
template <float (&function)(float)>
[[gnu::noinline]] void largeAngles(float *result, const float *x, int count) {
  for (int i = 0; i < count; ++i)
    if (__builtin_fabsf(x[i]) > angleLimit)
      result[i] = function(x[i]);
}

template <float (&function)(float), typename F> LATHE_INLINE F withLargeAngles(F x, F result) {
  if (__builtin_expect(any(magnitude(x) > angleLimit), false)) {
    F arguments = x, results = result;
    largeAngles<function>(reinterpret_cast<float *>(&results),
                          reinterpret_cast<const float *>(&arguments), Lanes<F>::count);
    result = results;
  }
  return result;
}

template <typename F> LATHE_INLINE F sin_(F x) {
  return withLargeAngles<sinf>(x, magnitude(x) < 0x1p-13f ? x : turned(x, 0));
}
template <typename F> LATHE_INLINE F cos_(F x) { return withLargeAngles<cosf>(x, turned(x, 1)); }
template <typename F> LATHE_INLINE F tan_(F x) {
  Angle<F> angle = angleOf(x);
  F sine = sineReduced(angle), cosine = cosineReduced(angle);
  auto isOdd = (angle.quadrant & 1) != 0;
  F value = (isOdd ? -cosine : sine) / (isOdd ? sine : cosine);
  return withLargeAngles<tanf>(x, magnitude(x) < 0x1p-13f ? x : value);
}

/// asin(t), t^2 = square, for t <= 1/2.
template <typename F> LATHE_INLINE F asinReduced(F t, F square) {
  return multiplyAdd(t * square, evaluate(asinF32, square), t);
}

template <typename F> LATHE_INLINE F asin_(F x) {
  F size = magnitude(x);
  auto isLarge = size > 0.5f;
  F square = isLarge ? 0.5f * (1.0f - size) : size * size;
  F part = asinReduced(isLarge ? root(square) : size, square);
  F large = (piHalfF32[0] - 2.0f * part) + piHalfF32[1];
  return signOf(isLarge ? large : part, x);
}

template <typename F> LATHE_INLINE F acos_(F x) {
  F size = magnitude(x);
  auto isLarge = size > 0.5f;
  F square = isLarge ? 0.5f * (1.0f - size) : size * size;
  F part = asinReduced(isLarge ? root(square) : x, square);
  F left = (piF32[0] - 2.0f * part) + piF32[1];
  F large = x < 0.0f ? left : 2.0f * part;
  return isLarge ? large : (piHalfF32[0] - part) + piHalfF32[1];
}

template <typename F> LATHE_INLINE F atan_(F x) {
  F size = magnitude(x);
  auto isLarge = size > 1.0f;
  F t = isLarge ? 1.0f / size : size;
  F square = t * t;
  F part = multiplyAdd(t * square, evaluate(atanF32, square), t);
  return signOf(isLarge ? (piHalfF32[0] - part) + piHalfF32[1] : part, x);
}

/// 2^(y log2 x) for positive finite x, in f64: f32 would lose the bits of the exponent.
template <typename F> LATHE_INLINE F positivePower(F x, F y) {
  using D = DoubleOf<F>;
  auto isSmall = x < 0x1p-126f;
  x = isSmall ? x * 0x1p23f : x;
  IntOf<F> k = (bits(x) - 0x3f3504f3) >> 23;
  D mantissa = convert<D>(fromBits<F>(bits(x) - (k << 23)));
  F exponent = convert<F>(k) - (isSmall ? all<F>(23) : all<F>(0));
  D s = (mantissa - 1.0) / (mantissa + 1.0), square = s * s;
  constexpr double twice = 2 * log2E.high;
  D sum = D{} + twice / 17;
  for (int n = 15; n > 0; n -= 2)
    sum = __builtin_elementwise_fma(sum, square, D{} + twice / n);
  D power = convert<D>(y) * __builtin_elementwise_fma(sum, s, convert<D>(exponent));
  power = power < 140.0 ? power : D{} + 140.0;
  power = power > -160.0 ? power : D{} - 160.0;
  constexpr double shift = 0x1.8p52;
  D rounded = power + shift;
  auto integer =
      __builtin_bit_cast(typename Lanes<F>::Long, rounded) - __builtin_bit_cast(i64, shift);
  D rest = (power - (rounded - shift)) * ln2.high;
  constexpr double terms[] = {1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120,
                              1.0 / 24,     1.0 / 6,     1.0 / 2,    1.0,       1.0};
  D value = D{} + terms[0];
  for (int i = 1; i < 10; ++i)
    value = __builtin_elementwise_fma(value, rest, D{} + terms[i]);
  return convert<F>(value * __builtin_bit_cast(D, (integer + 1023) << 52));
}

/// As C's Annex F has it.
template <typename F> LATHE_INLINE F pow_(F x, F y) {
  F size = magnitude(x), zero = F{}, one = all<F>(1), inf = all<F>(infinityF32);
  F result = positivePower(size, y);
  result = size == 0.0f ? (y < 0.0f ? inf : zero) : result;
  result = size == infinityF32 ? (y < 0.0f ? zero : inf) : result;
  auto isHuge = magnitude(y) == infinityF32;
  F limit = size == 1.0f ? one : (size > 1.0f ? (y > 0.0f ? inf : zero) : (y > 0.0f ? zero : inf));
  result = isHuge ? limit : result;
  F whole = __builtin_elementwise_trunc(y), half = y * 0.5f;
  F sign = __builtin_elementwise_trunc(half) != half ? signOf(one, x) : one;
  auto isInteger = whole == y;
  F negative = isInteger ? result * sign : all<F>(nanF32);
  result = x < 0.0f ? (size == infinityF32 ? (isInteger ? result * sign : result) : negative)
                    : (size == 0.0f ? (isInteger ? result * sign : result) : result);
  result = x != x ? x : y != y ? y : result;
  return y == 0.0f ? one : x == 1.0f ? one : result;
}

} // namespace

#define LATHE_UNARY(name)                                                                          \
  LATHE_BUILTIN [[gnu::always_inline]] float lathe_##name##_f32(float x) { return name##_(x); }    \
  LATHE_UNARY_OF(name, 4)                                                                          \
  LATHE_UNARY_OF(name, 8)                                                                          \
  LATHE_UNARY_OF(name, 16)
// Vectors pass through memory, whose form does not depend on the processor; inlining removes it.
#define LATHE_UNARY_OF(name, lanes)                                                                \
  LATHE_BUILTIN [[gnu::always_inline]] void lathe_##name##_v##lanes##f32(                          \
      Vector<lanes>::F32 *result, const Vector<lanes>::F32 *x) {                                   \
    *result = name##_(*x);                                                                         \
  }
#define LATHE_BINARY(name)                                                                         \
  LATHE_BUILTIN [[gnu::always_inline]] float lathe_##name##_f32(float x, float y) {                \
    return name##_(x, y);                                                                          \
  }                                                                                                \
  LATHE_BINARY_OF(name, 4)                                                                         \
  LATHE_BINARY_OF(name, 8)                                                                         \
  LATHE_BINARY_OF(name, 16)
#define LATHE_BINARY_OF(name, lanes)                                                               \
  LATHE_BUILTIN [[gnu::always_inline]] void lathe_##name##_v##lanes##f32(                          \
      Vector<lanes>::F32 *result, const Vector<lanes>::F32 *x, const Vector<lanes>::F32 *y) {      \
    *result = name##_(*x, *y);                                                                     \
  }

LATHE_UNARY(exp)
LATHE_UNARY(exp2)
LATHE_UNARY(expm1)
LATHE_UNARY(log)
LATHE_UNARY(log2)
LATHE_UNARY(log10)
LATHE_UNARY(log1p)
LATHE_UNARY(sin)
LATHE_UNARY(cos)
LATHE_UNARY(tan)
LATHE_UNARY(asin)
LATHE_UNARY(acos)
LATHE_UNARY(atan)
LATHE_UNARY(sinh)
LATHE_UNARY(cosh)
LATHE_UNARY(tanh)
LATHE_UNARY(asinh)
LATHE_UNARY(acosh)
LATHE_UNARY(atanh)
LATHE_UNARY(erf)
LATHE_UNARY(logistic)
LATHE_BINARY(pow)
