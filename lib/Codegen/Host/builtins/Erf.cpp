// The error function and its complement.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace {

/// erf(x) for |x| <= 1.
Pair small(double x) { return fastSum(x, x * polynomial(erfTable, fma(x, x, -0.5))); }

/// erfc(x) for 0.75 <= x <= 28, times 2^-exponent.
Scaled large(double x) {
  Pair t = divide({2, 0}, exactSum(2, x));
  int piece = int((t.high - erfcxLow) * erfcxScale);
  piece = piece < 0 ? 0 : piece > 3 ? 3 : piece;
  const double (&terms)[15] = erfcxTable[piece];
  double offset = (t.high - erfcxMiddle[piece]) + t.low;
  double rest = terms[14];
  for (int i = 13; i > 0; --i)
    rest = fma(rest, offset, terms[i]);
  Pair factor = multiply(t, fastSum(terms[0], rest * offset));
  Scaled power = expOf(negate(exactProduct(x, x)));
  return {multiply(factor, power.value), power.exponent};
}

double errorOf(double x) {
  double magnitude = absolute(x);
  if (isNaN(x))
    return x;
  if (magnitude <= 1)
    return magnitude < 0x1p-1000 ? x * 0x1.20dd750429b6dp0 : small(x).high;
  if (magnitude > 6)
    return withSign(1, x);
  Scaled rest = large(magnitude);
  double factor = scale(1, rest.exponent);
  return withSign(add({1, 0}, {-rest.value.high * factor, -rest.value.low * factor}).high, x);
}

double complementOf(double x) {
  if (isNaN(x))
    return x;
  if (x > 28)
    return 0;
  if (x < -6)
    return 2;
  if (absolute(x) < 0.75)
    return add({1, 0}, negate(small(x))).high;
  Scaled value = large(absolute(x));
  if (x > 0)
    return scale(value.value.high, value.exponent);
  double factor = scale(1, value.exponent);
  return add({2, 0}, {-value.value.high * factor, -value.value.low * factor}).high;
}

} // namespace

LATHE_BUILTIN double erf(double x) { return errorOf(x); }
LATHE_BUILTIN double erfc(double x) { return complementOf(x); }
LATHE_BUILTIN float erff(float x) { return float(errorOf(x)); }
LATHE_BUILTIN float erfcf(float x) { return float(complementOf(x)); }
