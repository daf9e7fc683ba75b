// Rounding, remainders and the handling of a number's parts.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"

using namespace lathe::builtins;

namespace {

/// The remainder of |x| by |y|, for finite x and y != 0, exactly, by long division of significands.
double remainderOfMagnitudes(double x, double y) {
  if (x < y)
    return x;
  Split a = split(x), b = split(y);
  u64 dividend = bitsOf(a.mantissa) << 12 >> 12 | u64(1) << 52;
  u64 divisor = bitsOf(b.mantissa) << 12 >> 12 | u64(1) << 52;
  u64 rest = dividend % divisor;
  // Eleven bits fit above the significand.
  for (int left = a.exponent - b.exponent; left > 0 && rest;) {
    int step = left < 11 ? left : 11;
    rest = (rest << step) % divisor;
    left -= step;
  }
  return scale(double(rest), b.exponent - 52);
}

double fmodOf(double x, double y) {
  if (isNaN(x) || isNaN(y) || absolute(x) == infinity || y == 0)
    return notANumber;
  if (absolute(y) == infinity)
    return x;
  return withSign(remainderOfMagnitudes(absolute(x), absolute(y)), x);
}

/// The remainder of the division that rounds to nearest, ties to even.
double ieeeRemainder(double x, double y) {
  if (isNaN(x) || isNaN(y) || absolute(x) == infinity || y == 0)
    return notANumber;
  if (absolute(y) == infinity)
    return x;
  double divisor = absolute(y);
  double rest = absolute(x);
  if (divisor < 0x1p1022)
    rest = remainderOfMagnitudes(rest, 2 * divisor);
  // rest < 2 |y|, and its quotient has the parity of the whole one; halves avoid overflow.
  if (divisor < 0x1p-1021) {
    if (rest + rest > divisor) {
      rest -= divisor;
      if (rest + rest >= divisor)
        rest -= divisor;
    }
  } else if (rest > 0.5 * divisor) {
    rest -= divisor;
    if (rest >= 0.5 * divisor)
      rest -= divisor;
  }
  return bitsOf(x) & signBit ? -rest : rest;
}

double hypotOf(double x, double y) {
  x = absolute(x);
  y = absolute(y);
  if (x == infinity || y == infinity)
    return infinity;
  if (isNaN(x) || isNaN(y))
    return notANumber;
  double larger = x < y ? y : x, smaller = x < y ? x : y;
  if (larger == 0)
    return 0;
  int exponent = split(larger).exponent;
  double a = scale(larger, -exponent), b = scale(smaller, -exponent);
  Pair sum = add(exactProduct(a, a), exactProduct(b, b));
  double root = __builtin_sqrt(sum.high);
  root += (fma(-root, root, sum.high) + sum.low) / (2 * root);
  return scale(root, exponent);
}

template <typename T> T frexpOf(T x, int *exponent) {
  *exponent = 0;
  if (x == 0 || isNaN(x) || absolute(x) == infinity)
    return x;
  Split parts = split(x);
  *exponent = parts.exponent + 1;
  return T(parts.mantissa * 0.5);
}

template <typename T> T modfOf(T x, T *whole) {
  T integral = T(__builtin_trunc(double(x)));
  *whole = integral;
  T fraction = absolute(x) == infinity ? T(0) : x - integral;
  return T(withSign(fraction, x));
}

int clampExponent(i64 n) { return n > 5000 ? 5000 : n < -5000 ? -5000 : int(n); }

} // namespace

// Functions that every supported processor has instructions for, or that LLVM expands.
#define LATHE_ROUND(name, ...)                                                                     \
  LATHE_BUILTIN double name(double x) { return __builtin_##name(x); }                              \
  LATHE_BUILTIN float name##f(float x) { return __builtin_##name##f(x); }
LATHE_ROUND(floor)
LATHE_ROUND(ceil)
LATHE_ROUND(trunc)
LATHE_ROUND(rint)
LATHE_ROUND(nearbyint)
LATHE_ROUND(round)
LATHE_ROUND(roundeven)
LATHE_ROUND(fabs)
LATHE_ROUND(sqrt)

#define LATHE_BINARY(name)                                                                         \
  LATHE_BUILTIN double name(double x, double y) { return __builtin_##name(x, y); }                 \
  LATHE_BUILTIN float name##f(float x, float y) { return __builtin_##name##f(x, y); }
LATHE_BINARY(copysign)

LATHE_BUILTIN double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
LATHE_BUILTIN float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

// A NaN gives way to a number; of two zeros the positive one is larger.
#define LATHE_EXTREMUM(name, better)                                                               \
  template <typename T> T name##Of(T x, T y) {                                                     \
    if (x != x || y != y)                                                                          \
      return x != x ? y : x;                                                                       \
    if (x == y)                                                                                    \
      return __builtin_copysign(1.0, double(x)) better 0 ? x : y;                                  \
    return x better y ? x : y;                                                                     \
  }                                                                                                \
  LATHE_BUILTIN double name(double x, double y) { return name##Of(x, y); }                         \
  LATHE_BUILTIN float name##f(float x, float y) { return name##Of(x, y); }
LATHE_EXTREMUM(fmin, <)
LATHE_EXTREMUM(fmax, >)

LATHE_BUILTIN long lround(double x) { return long(__builtin_round(x)); }
LATHE_BUILTIN long lroundf(float x) { return long(__builtin_roundf(x)); }
LATHE_BUILTIN i64 llround(double x) { return i64(__builtin_round(x)); }
LATHE_BUILTIN i64 llroundf(float x) { return i64(__builtin_roundf(x)); }
LATHE_BUILTIN long lrint(double x) { return long(__builtin_rint(x)); }
LATHE_BUILTIN long lrintf(float x) { return long(__builtin_rintf(x)); }
LATHE_BUILTIN i64 llrint(double x) { return i64(__builtin_rint(x)); }
LATHE_BUILTIN i64 llrintf(float x) { return i64(__builtin_rintf(x)); }

LATHE_BUILTIN double fmod(double x, double y) { return fmodOf(x, y); }
LATHE_BUILTIN float fmodf(float x, float y) { return float(fmodOf(x, y)); }
LATHE_BUILTIN double remainder(double x, double y) { return ieeeRemainder(x, y); }
LATHE_BUILTIN float remainderf(float x, float y) { return float(ieeeRemainder(x, y)); }
LATHE_BUILTIN double fdim(double x, double y) { return x <= y ? 0 : x - y; }
LATHE_BUILTIN float fdimf(float x, float y) { return x <= y ? 0 : x - y; }
LATHE_BUILTIN double hypot(double x, double y) { return hypotOf(x, y); }
LATHE_BUILTIN float hypotf(float x, float y) { return float(hypotOf(x, y)); }

LATHE_BUILTIN double ldexp(double x, int n) { return scale(x, n); }
LATHE_BUILTIN float ldexpf(float x, int n) { return float(scale(x, n)); }
LATHE_BUILTIN double scalbn(double x, int n) { return scale(x, n); }
LATHE_BUILTIN float scalbnf(float x, int n) { return float(scale(x, n)); }
LATHE_BUILTIN double scalbln(double x, long n) { return scale(x, clampExponent(n)); }
LATHE_BUILTIN float scalblnf(float x, long n) { return float(scale(x, clampExponent(n))); }
LATHE_BUILTIN double frexp(double x, int *exponent) { return frexpOf(x, exponent); }
LATHE_BUILTIN float frexpf(float x, int *exponent) { return frexpOf(x, exponent); }
LATHE_BUILTIN double modf(double x, double *whole) { return modfOf(x, whole); }
LATHE_BUILTIN float modff(float x, float *whole) { return modfOf(x, whole); }
