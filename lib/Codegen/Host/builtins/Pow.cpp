// Powers and roots, as C's Annex F wants the special cases.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"

using namespace lathe::builtins;

namespace {

/// A result that needs no logarithm, or the sign of one that does.
struct Case {
  bool isDecided;
  double result; ///< Or the sign, 1 or -1.
};

Case decide(double x, double y) {
  if (y == 0 || x == 1)
    return {true, 1};
  if (isNaN(x) || isNaN(y))
    return {true, notANumber};
  double magnitude = absolute(x);
  if (absolute(y) == infinity) {
    if (magnitude == 1)
      return {true, 1};
    return {true, (magnitude < 1) == (y < 0) ? infinity : 0};
  }
  bool isInteger = __builtin_trunc(y) == y;
  bool isOdd = isInteger && __builtin_trunc(y * 0.5) != y * 0.5;
  double sign = (bitsOf(x) & signBit) && isOdd ? -1 : 1;
  if (magnitude == 0 || magnitude == infinity)
    return {true, sign * ((magnitude == 0) == (y < 0) ? infinity : 0.0)};
  if (x < 0 && !isInteger)
    return {true, notANumber};
  return {false, sign};
}

double powOf(double x, double y) {
  Case special = decide(x, y);
  if (special.isDecided)
    return special.result;
  Pair logarithm = logOf({absolute(x), 0});
  double estimate = y * logarithm.high;
  if (estimate > 710)
    return special.result * infinity;
  if (estimate < -746)
    return special.result * 0.0;
  if (absolute(estimate) < 0x1p-60)
    return special.result;
  Scaled power = expOf(multiply({y, 0}, logarithm));
  return special.result * scale(power.value.high, power.exponent);
}

double cbrtOf(double x) {
  if (x == 0 || isNaN(x) || absolute(x) == infinity)
    return x;
  Scaled root = expOf(divide(logOf({absolute(x), 0}), {3, 0}));
  return withSign(scale(root.value.high, root.exponent), x);
}

double integerPower(double x, int n) {
  u32 magnitude = n < 0 ? -u32(n) : u32(n);
  double result = 1;
  for (; magnitude; magnitude >>= 1, x *= x)
    if (magnitude & 1)
      result *= x;
  return n < 0 ? 1 / result : result;
}

} // namespace

LATHE_BUILTIN double pow(double x, double y) { return powOf(x, y); }
LATHE_BUILTIN float powf(float x, float y) {
  Case special = decide(x, y);
  if (special.isDecided)
    return float(special.result);
  return float(special.result * expLite(y * logLite(absolute(double(x)))));
}
LATHE_BUILTIN double cbrt(double x) { return cbrtOf(x); }
LATHE_BUILTIN float cbrtf(float x) { return float(cbrtOf(x)); }
LATHE_BUILTIN double __powidf2(double x, int n) { return integerPower(x, n); }
LATHE_BUILTIN float __powisf2(float x, int n) { return float(integerPower(x, n)); }
