// Sine, cosine and tangent: exact reduction by multiples of pi/2 for every finite angle.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace {

/// |x| = quadrant * pi/2 + angle, |angle| <= pi/4; the quadrant counts modulo 4.
struct Reduction {
  Pair angle;
  u32 quadrant;
};

/// For large angles: the bits of 2/pi that matter for the product with x modulo 4, 192 of them.
Reduction reduceLarge(double x) {
  u64 bits = bitsOf(x);
  int exponent = int(bits >> 52) - 1075; // x = significand * 2^exponent
  u64 significand = (bits & ((u64(1) << 52) - 1)) | (u64(1) << 52);
  // Bit i of 2/pi (1 is the first after the point) is bit 63 + i of the table; those that give
  // multiples of 4 are skipped.
  u32 position = u32(63 + exponent - 1);
  u32 word = position / 64, shift = position % 64;
  u64 window[3];
  for (u32 i = 0; i < 3; ++i)
    window[i] = shift ? (twoOverPi[word + i] << shift) | (twoOverPi[word + i + 1] >> (64 - shift))
                      : twoOverPi[word + i];
  u128 low = u128(significand) * window[2];
  u128 middle = u128(significand) * window[1] + u64(low >> 64);
  u64 high = significand * window[0] + u64(middle >> 64);

  u32 quadrant = u32(high >> 62);
  u128 fraction = (u128(high) << 64 | u64(middle)) << 2 | u64(low) >> 62;
  u64 below = u64(low) << 2;
  bool isNegative = fraction >> 127;
  if (isNegative) { // nearer to the next multiple
    quadrant = (quadrant + 1) & 3;
    fraction = ~fraction + (below == 0);
    below = -below;
  }
  int zeros = u64(fraction >> 64) ? __builtin_clzll(u64(fraction >> 64))
                                  : 64 + __builtin_clzll(u64(fraction) | 1);
  if (zeros)
    fraction = fraction << zeros | (zeros < 64 ? below >> (64 - zeros) : below << (zeros - 64));
  Pair turn = {scale(double(u64(fraction >> 75)), -53 - zeros),
               scale(double(u64(fraction >> 22) & ((u64(1) << 53) - 1)), -106 - zeros)};
  Pair angle = multiply(fastSum(turn.high, turn.low), piHalf);
  return {isNegative ? negate(angle) : angle, quadrant};
}

/// x >= 0 and finite.
Reduction reduce(double x) {
  if (x <= 0x1.921fb54442d18p-1)
    return {{x, 0}, 0};
  if (x >= 0x1p20)
    return reduceLarge(x);
  double k = __builtin_rint(x * (1 / piHalf.high));
  // The products with the three short parts are exact.
  Pair first = exactSum(fma(-k, piHalfParts[0], x), -k * piHalfParts[1]);
  Pair second = fastSum(-k * piHalfParts[2], -k * piHalfParts[3]);
  return {add(first, second), u32(k) & 3};
}

Pair sineReduced(Pair r) {
  static constexpr double terms[] = {-1.0 / 6,
                                     1.0 / 120,
                                     -1.0 / 5040,
                                     1.0 / 362880,
                                     -1.0 / 39916800,
                                     1.0 / 6227020800.0,
                                     -1.0 / 1307674368000.0,
                                     1.0 / 355687428096000.0};
  double square = r.high * r.high;
  double tail = fma(r.high * square, polynomial(terms, square), fma(-0.5 * square, r.low, r.low));
  return fastSum(r.high, tail);
}

Pair cosineReduced(Pair r) {
  static constexpr double terms[] = {1.0 / 24,
                                     -1.0 / 720,
                                     1.0 / 40320,
                                     -1.0 / 3628800,
                                     1.0 / 479001600,
                                     -1.0 / 87178291200.0,
                                     1.0 / 20922789888000.0,
                                     -1.0 / 6402373705728000.0};
  Pair square = exactProduct(r.high, r.high);
  Pair sum = fastSum(1, -0.5 * square.high);
  double tail = fma(square.high * square.high, polynomial(terms, square.high),
                    fma(-r.high, r.low, -0.5 * square.low));
  return fastSum(sum.high, sum.low + tail);
}

double sineOf(double x) {
  if (isNaN(x) || absolute(x) == infinity)
    return notANumber;
  if (absolute(x) < 0x1p-27)
    return x;
  Reduction reduction = reduce(absolute(x));
  Pair value =
      reduction.quadrant & 1 ? cosineReduced(reduction.angle) : sineReduced(reduction.angle);
  bool isNegative = ((reduction.quadrant & 2) != 0) != (x < 0);
  return isNegative ? -value.high : value.high;
}

double cosineOf(double x) {
  if (isNaN(x) || absolute(x) == infinity)
    return notANumber;
  Reduction reduction = reduce(absolute(x));
  Pair value =
      reduction.quadrant & 1 ? sineReduced(reduction.angle) : cosineReduced(reduction.angle);
  bool isNegative = ((reduction.quadrant + 1) & 2) != 0;
  return isNegative ? -value.high : value.high;
}

double tangentOf(double x) {
  if (isNaN(x) || absolute(x) == infinity)
    return notANumber;
  if (absolute(x) < 0x1p-27)
    return x;
  Reduction reduction = reduce(absolute(x));
  Pair sine = sineReduced(reduction.angle), cosine = cosineReduced(reduction.angle);
  double value = reduction.quadrant & 1 ? -divide(cosine, sine).high : divide(sine, cosine).high;
  return x < 0 ? -value : value;
}

} // namespace

LATHE_BUILTIN double sin(double x) { return sineOf(x); }
LATHE_BUILTIN double cos(double x) { return cosineOf(x); }
LATHE_BUILTIN double tan(double x) { return tangentOf(x); }
LATHE_BUILTIN float sinf(float x) { return float(sineOf(x)); }
LATHE_BUILTIN float cosf(float x) { return float(cosineOf(x)); }
LATHE_BUILTIN float tanf(float x) { return float(tangentOf(x)); }
LATHE_BUILTIN void sincos(double x, double *sine, double *cosine) {
  *sine = sineOf(x);
  *cosine = cosineOf(x);
}
LATHE_BUILTIN void sincosf(float x, float *sine, float *cosine) {
  *sine = float(sineOf(x));
  *cosine = float(cosineOf(x));
}
