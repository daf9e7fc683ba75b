// Types and helpers of the builtins: freestanding, no library, exact arithmetic in pairs.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_BUILTINS_COMMON_H
#define LATHE_BUILTINS_COMMON_H

#define LATHE_BUILTIN extern "C"

namespace lathe::builtins {

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;
using usize = __SIZE_TYPE__;
using u128 = unsigned __int128;
using i128 = __int128;

constexpr double infinity = __builtin_huge_val();
constexpr double notANumber = __builtin_nan("");
constexpr u64 signBit = u64(1) << 63;

inline u64 bitsOf(double x) { return __builtin_bit_cast(u64, x); }
inline u32 bitsOf(float x) { return __builtin_bit_cast(u32, x); }
inline double doubleOf(u64 bits) { return __builtin_bit_cast(double, bits); }
inline float floatOf(u32 bits) { return __builtin_bit_cast(float, bits); }

inline bool isNaN(double x) { return x != x; }
inline double absolute(double x) { return __builtin_fabs(x); }
inline double withSign(double x, double sign) { return __builtin_copysign(x, sign); }
// Every processor that Lathe knows has this as one instruction.
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

/// The unevaluated sum of two numbers; `low` is at most half a unit in the last place of `high`.
struct Pair {
  double high, low;
};

/// a + b exactly, for |a| >= |b| or a == 0.
inline Pair fastSum(double a, double b) {
  double sum = a + b;
  return {sum, b - (sum - a)};
}

/// a + b exactly.
inline Pair exactSum(double a, double b) {
  double sum = a + b;
  double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

/// a * b exactly, short of underflow.
inline Pair exactProduct(double a, double b) {
  double product = a * b;
  return {product, fma(a, b, -product)};
}

inline Pair add(Pair a, Pair b) {
  Pair high = exactSum(a.high, b.high);
  Pair low = exactSum(a.low, b.low);
  Pair sum = fastSum(high.high, high.low + low.high);
  return fastSum(sum.high, sum.low + low.low);
}

inline Pair multiply(Pair a, Pair b) {
  Pair product = exactProduct(a.high, b.high);
  return fastSum(product.high, product.low + fma(a.high, b.low, a.low * b.high));
}

inline Pair divide(Pair a, Pair b) {
  double high = a.high / b.high;
  double rest = fma(-high, b.high, a.high) + (a.low - high * b.low);
  return fastSum(high, rest / b.high);
}

inline Pair negate(Pair a) { return {-a.high, -a.low}; }

/// x * 2^n, rounded once.
inline double scale(double x, int n) {
  n = n > 3000 ? 3000 : n < -3000 ? -3000 : n;
  for (; n > 1023; n -= 1023)
    x *= 0x1p1023;
  // A step ends 53 bits above the subnormal numbers, so that only the last one rounds.
  for (; n < -1022; n += 969)
    x *= 0x1p-969;
  return x * doubleOf(u64(1023 + n) << 52);
}

/// The polynomial with these coefficients, lowest first.
template <int N> inline double polynomial(const double (&coefficients)[N], double x) {
  double sum = coefficients[N - 1];
  for (int i = N - 2; i >= 0; --i)
    sum = fma(sum, x, coefficients[i]);
  return sum;
}

/// The power of two of |x| > 0, and x with it taken away: 1 <= |mantissa| < 2.
struct Split {
  double mantissa;
  int exponent;
};
inline Split split(double x) {
  int extra = 0;
  if (absolute(x) < 0x1p-1022) {
    x *= 0x1p54;
    extra = -54;
  }
  u64 bits = bitsOf(x);
  int exponent = int((bits >> 52) & 0x7ff) - 1023;
  return {doubleOf((bits & ~(u64(0x7ff) << 52)) | (u64(1023) << 52)), exponent + extra};
}

/// value * 2^exponent, with a value near 1.
struct Scaled {
  Pair value;
  int exponent;
};
/// exp(x.high + x.low) for a finite x of magnitude below 2000.
Scaled expOf(Pair x);
/// exp(x.high + x.low) - 1 for a magnitude below 40.
Pair expm1Of(Pair x);
/// log(x.high + x.low) for a positive finite x.
Pair logOf(Pair x);
/// log(1 + x.high + x.low) for a finite x above -1.
Pair log1pOf(Pair x);
/// The angle of the point (x, y) for y >= 0; the magnitudes are normal and within 2^70 of another.
Pair angleOf(Pair y, Pair x);
/// exp, and log of a positive finite number, to about 50 bits: enough for f32.
double expLite(double x);
double logLite(double x);

} // namespace lathe::builtins

#endif // LATHE_BUILTINS_COMMON_H
