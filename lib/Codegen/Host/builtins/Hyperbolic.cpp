// Hyperbolic functions and their inverses.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace {

/// exp(x) / 2 for a large x, without overflow before the end.
double halfExp(double x) {
  if (x > 720)
    return infinity;
  Scaled power = expOf({x, 0});
  return scale(power.value.high, power.exponent - 1);
}

double sineOf(double x) {
  double magnitude = absolute(x);
  if (isNaN(x) || magnitude < 0x1p-27)
    return x;
  if (magnitude > 22)
    return withSign(halfExp(magnitude), x);
  // With t = exp|x| - 1: (t + t / (t + 1)) / 2.
  Pair t = expm1Of({magnitude, 0});
  Pair sum = add(t, divide(t, add(t, {1, 0})));
  return withSign(0.5 * sum.high, x);
}

double cosineOf(double x) {
  double magnitude = absolute(x);
  if (isNaN(x))
    return x;
  if (magnitude > 22)
    return halfExp(magnitude);
  Scaled power = expOf({magnitude, 0});
  double factor = scale(1, power.exponent);
  Pair value = {power.value.high * factor, power.value.low * factor};
  return 0.5 * add(value, divide({1, 0}, value)).high;
}

double tangentOf(double x) {
  double magnitude = absolute(x);
  if (isNaN(x) || magnitude < 0x1p-27)
    return x;
  if (magnitude > 19.5)
    return withSign(1, x);
  Pair t = expm1Of({2 * magnitude, 0});
  return withSign(divide(t, add(t, {2, 0})).high, x);
}

Pair rootOf(Pair x) {
  double root = __builtin_sqrt(x.high);
  return fastSum(root, (fma(-root, root, x.high) + x.low) / (2 * root));
}

double arcSine(double x) {
  double magnitude = absolute(x);
  if (isNaN(x) || magnitude == infinity || magnitude < 0x1p-27)
    return x;
  if (magnitude > 0x1p40)
    return withSign(add(logOf({magnitude, 0}), ln2).high, x);
  // log1p(x + x^2 / (1 + sqrt(1 + x^2)))
  Pair square = exactProduct(magnitude, magnitude);
  Pair root = rootOf(add({1, 0}, square));
  Pair rest = divide(square, add({1, 0}, root));
  return withSign(log1pOf(add({magnitude, 0}, rest)).high, x);
}

double arcCosine(double x) {
  if (!(x >= 1))
    return notANumber;
  if (x == 1 || x == infinity)
    return x == 1 ? 0 : x;
  if (x > 0x1p40)
    return add(logOf({x, 0}), ln2).high;
  // log1p(t + sqrt(t (t + 2))) with t = x - 1
  Pair t = exactSum(x, -1);
  return log1pOf(add(t, rootOf(multiply(t, add(t, {2, 0}))))).high;
}

double arcTangent(double x) {
  double magnitude = absolute(x);
  if (!(magnitude <= 1))
    return notANumber;
  if (magnitude == 1)
    return withSign(infinity, x);
  if (magnitude < 0x1p-27)
    return x;
  Pair quotient = divide({2 * magnitude, 0}, exactSum(1, -magnitude));
  return withSign(0.5 * log1pOf(quotient).high, x);
}

} // namespace

LATHE_BUILTIN double sinh(double x) { return sineOf(x); }
LATHE_BUILTIN double cosh(double x) { return cosineOf(x); }
LATHE_BUILTIN double tanh(double x) { return tangentOf(x); }
LATHE_BUILTIN double asinh(double x) { return arcSine(x); }
LATHE_BUILTIN double acosh(double x) { return arcCosine(x); }
LATHE_BUILTIN double atanh(double x) { return arcTangent(x); }
LATHE_BUILTIN float sinhf(float x) { return float(sineOf(x)); }
LATHE_BUILTIN float coshf(float x) { return float(cosineOf(x)); }
LATHE_BUILTIN float tanhf(float x) { return float(tangentOf(x)); }
LATHE_BUILTIN float asinhf(float x) { return float(arcSine(x)); }
LATHE_BUILTIN float acoshf(float x) { return float(arcCosine(x)); }
LATHE_BUILTIN float atanhf(float x) { return float(arcTangent(x)); }
