// Logarithms: x = 2^k m with m near 1, and log m = 2 artanh((m - 1) / (m + 1)).
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace lathe::builtins {
namespace {

constexpr double sqrt2 = 0x1.6a09e667f3bcdp0;

/// 2 artanh(numerator / denominator) for a quotient of at most 0.18 in magnitude.
Pair twiceArtanh(Pair numerator, Pair denominator) {
  static constexpr double rest[] = {1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13, 1.0 / 15,
                                    1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27};
  Pair s = divide(numerator, denominator);
  Pair square = multiply(s, s);
  // 1/3 as a pair; the terms from s^4 on need 53 bits only.
  Pair series = multiply(square, {0x1.5555555555555p-2, 0x1.5555555555555p-56});
  series =
      fastSum(series.high, series.low + square.high * square.high * polynomial(rest, square.high));
  Pair twice = {2 * s.high, 2 * s.low};
  return add(twice, multiply(twice, series));
}

/// log x = mantissaLog + exponent * ln 2.
struct Parts {
  Pair mantissaLog;
  int exponent;
};

Parts partsOf(Pair x) {
  Split parts = split(x.high);
  if (parts.mantissa > sqrt2) {
    parts.mantissa *= 0.5;
    ++parts.exponent;
  }
  double low = x.low == 0 ? 0 : scale(x.low, -parts.exponent);
  Pair numerator = exactSum(parts.mantissa - 1, low); // the difference is exact
  Pair denominator = add({parts.mantissa, low}, {1, 0});
  return {twiceArtanh(numerator, denominator), parts.exponent};
}

Pair multipleOf(Pair split, int k) {
  Pair low = exactProduct(k, split.low);
  Pair sum = fastSum(k * split.high, low.high);
  return {sum.high, sum.low + low.low};
}

/// What log is where no number follows from the formula; false elsewhere.
bool isSpecial(double x, double &result) {
  if (x > 0 && x < infinity)
    return false;
  result = x == 0 ? -infinity : x < 0 ? notANumber : x;
  return true;
}

} // namespace

Pair logOf(Pair x) {
  Parts parts = partsOf(x);
  return add(multipleOf(ln2Split, parts.exponent), parts.mantissaLog);
}

Pair log1pOf(Pair x) {
  if (absolute(x.high) < 0.25)
    return twiceArtanh(x, add({2, 0}, x));
  return logOf(add({1, 0}, x));
}

double logLite(double x) {
  static constexpr double terms[] = {2.0,      2.0 / 3,  2.0 / 5,  2.0 / 7, 2.0 / 9,
                                     2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17};
  Split parts = split(x);
  if (parts.mantissa > sqrt2) {
    parts.mantissa *= 0.5;
    ++parts.exponent;
  }
  double s = (parts.mantissa - 1) / (parts.mantissa + 1);
  return fma(parts.exponent, ln2.high, s * polynomial(terms, s * s));
}

namespace {

double logWhole(double x) {
  double result;
  return isSpecial(x, result) ? result : logOf({x, 0}).high;
}

double log2Whole(double x) {
  double result;
  if (isSpecial(x, result))
    return result;
  Parts parts = partsOf({x, 0});
  return add({double(parts.exponent), 0}, multiply(parts.mantissaLog, log2E)).high;
}

double log10Whole(double x) {
  double result;
  if (isSpecial(x, result))
    return result;
  Parts parts = partsOf({x, 0});
  return add(multipleOf(log10Of2Split, parts.exponent), multiply(parts.mantissaLog, log10E)).high;
}

double log1pWhole(double x) {
  if (absolute(x) < 0x1p-54)
    return x;
  double result;
  return isSpecial(1 + x, result) ? result : log1pOf({x, 0}).high;
}

} // namespace
} // namespace lathe::builtins

LATHE_BUILTIN double log(double x) { return logWhole(x); }
LATHE_BUILTIN double log2(double x) { return log2Whole(x); }
LATHE_BUILTIN double log10(double x) { return log10Whole(x); }
LATHE_BUILTIN double log1p(double x) { return log1pWhole(x); }
LATHE_BUILTIN float logf(float x) {
  double result;
  return float(isSpecial(x, result) ? result : logLite(x));
}
LATHE_BUILTIN float log2f(float x) { return float(log2Whole(x)); }
LATHE_BUILTIN float log10f(float x) { return float(log10Whole(x)); }
LATHE_BUILTIN float log1pf(float x) { return float(log1pWhole(x)); }
