// Exponentials: k = round(x / ln 2), then a polynomial in the rest.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace lathe::builtins {
namespace {

/// x = exponent * ln 2 + rest.
struct Reduction {
  Pair rest;
  int exponent;
};

Reduction reduce(Pair x) {
  double k = __builtin_rint(x.high * log2E.high);
  Pair low = exactProduct(-k, ln2Split.low);
  Pair rest = exactSum(fma(-k, ln2Split.high, x.high), low.high);
  return {fastSum(rest.high, rest.low + (low.low + x.low)), int(k)};
}

/// exp(r) - 1 for |r| <= 0.36; the terms up to r^2 are exact.
Pair expm1Reduced(Pair r) {
  static constexpr double rest[] = {1.0 / 6,
                                    1.0 / 24,
                                    1.0 / 120,
                                    1.0 / 720,
                                    1.0 / 5040,
                                    1.0 / 40320,
                                    1.0 / 362880,
                                    1.0 / 3628800,
                                    1.0 / 39916800,
                                    1.0 / 479001600,
                                    1.0 / 6227020800.0,
                                    1.0 / 87178291200.0,
                                    1.0 / 1307674368000.0,
                                    1.0 / 20922789888000.0};
  double h = r.high;
  Pair square = exactProduct(h, h);
  double tail = fma(h * square.high, polynomial(rest, h), fma(r.low, h, r.low));
  Pair sum = fastSum(h, 0.5 * square.high);
  return fastSum(sum.high, sum.low + (0.5 * square.low + tail));
}

Pair expReduced(Pair r) {
  Pair part = expm1Reduced(r);
  Pair sum = fastSum(1, part.high);
  return fastSum(sum.high, sum.low + part.low);
}

double power(Pair reduced, double exponent) {
  Pair value = expReduced(reduced);
  return scale(value.high, int(exponent));
}

} // namespace

Scaled expOf(Pair x) {
  Reduction reduction = reduce(x);
  return {expReduced(reduction.rest), reduction.exponent};
}

Pair expm1Of(Pair x) {
  Reduction reduction = reduce(x);
  Pair part = expm1Reduced(reduction.rest);
  if (reduction.exponent == 0)
    return part;
  double factor = scale(1, reduction.exponent);
  return add(exactSum(factor, -1), {part.high * factor, part.low * factor});
}

double expLite(double x) {
  static constexpr double terms[] = {
      1,         1,          1.0 / 2,     1.0 / 6,      1.0 / 24,      1.0 / 120,
      1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800};
  if (isNaN(x))
    return x;
  if (x > 710)
    return infinity;
  if (x < -746)
    return 0;
  double k = __builtin_rint(x * log2E.high);
  double rest = fma(-k, ln2Split.low, fma(-k, ln2Split.high, x));
  return scale(polynomial(terms, rest), int(k));
}

namespace {

double expWhole(double x) {
  if (isNaN(x))
    return x;
  if (x > 710)
    return infinity;
  if (x < -746)
    return 0;
  Scaled result = expOf({x, 0});
  return scale(result.value.high, result.exponent);
}

double exp2Whole(double x) {
  if (isNaN(x))
    return x;
  if (x >= 1024)
    return infinity;
  if (x < -1076)
    return 0;
  double k = __builtin_rint(x);
  return power(multiply({x - k, 0}, ln2), k);
}

double exp10Whole(double x) {
  if (isNaN(x))
    return x;
  if (x > 309)
    return infinity;
  if (x < -325)
    return 0;
  double k = __builtin_rint(x * (ln10.high * log2E.high));
  Pair low = exactProduct(-k, log10Of2Split.low);
  Pair rest = exactSum(fma(-k, log10Of2Split.high, x), low.high);
  return power(multiply(fastSum(rest.high, rest.low + low.low), ln10), k);
}

double expm1Whole(double x) {
  if (isNaN(x) || absolute(x) < 0x1p-54)
    return x;
  if (x > 39) // the one is far below the last place
    return expWhole(x) - 1;
  if (x < -39)
    return -1;
  return expm1Of({x, 0}).high;
}

} // namespace
} // namespace lathe::builtins

LATHE_BUILTIN double exp(double x) { return expWhole(x); }
LATHE_BUILTIN double exp2(double x) { return exp2Whole(x); }
LATHE_BUILTIN double exp10(double x) { return exp10Whole(x); }
LATHE_BUILTIN double expm1(double x) { return expm1Whole(x); }
LATHE_BUILTIN float expf(float x) { return float(expLite(x)); }
LATHE_BUILTIN float exp2f(float x) {
  // The product with ln 2 would lose bits of a large x.
  double k = absolute(x) < 2000 ? __builtin_rint(double(x)) : 0;
  if (isNaN(x) || absolute(x) >= 2000)
    return x < 0 ? 0 : x * float(infinity);
  return float(scale(expLite((x - k) * ln2.high), int(k)));
}
LATHE_BUILTIN float exp10f(float x) { return float(exp10Whole(x)); }
LATHE_BUILTIN float expm1f(float x) { return float(expm1Whole(x)); }
