// The inverse trigonometric functions, all through the angle of a point.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "Tables.h"

using namespace lathe::builtins;

namespace lathe::builtins {

Pair angleOf(Pair y, Pair x) {
  static constexpr double terms[] = {-1.0 / 3,  1.0 / 5,  -1.0 / 7,  1.0 / 9,
                                     -1.0 / 11, 1.0 / 13, -1.0 / 15, 1.0 / 17};
  bool isLeft = x.high < 0;
  if (isLeft)
    x = negate(x);
  bool isSteep = y.high > x.high;
  Pair quotient = isSteep ? divide(x, y) : divide(y, x);
  // atan q = atan c + atan((q - c) / (1 + q c)), c the nearest multiple of 1/8.
  int index = int(quotient.high * 8 + 0.5);
  double c = index * 0.125;
  Pair rest = quotient;
  if (index) {
    Pair product = exactProduct(quotient.high, c);
    Pair denominator = add({1, 0}, fastSum(product.high, product.low + quotient.low * c));
    rest = divide(add(quotient, {-c, 0}), denominator);
  }
  double square = rest.high * rest.high;
  Pair angle = fastSum(rest.high, fma(rest.high * square, polynomial(terms, square), rest.low));
  if (index)
    angle = add(atanTable[index], angle);
  if (isSteep)
    angle = add(piHalf, negate(angle));
  if (isLeft)
    angle = add(pi, negate(angle));
  return angle;
}

namespace {

/// sqrt(1 - x^2) for |x| < 1.
Pair complementOf(double x) {
  Pair rest = add({1, 0}, negate(exactProduct(x, x)));
  double root = __builtin_sqrt(rest.high);
  return fastSum(root, (fma(-root, root, rest.high) + rest.low) / (2 * root));
}

double arcTangent(double x) {
  double magnitude = absolute(x);
  if (isNaN(x) || magnitude < 0x1p-27)
    return x;
  if (magnitude > 0x1p66)
    return withSign(piHalf.high, x);
  return withSign(angleOf({magnitude, 0}, {1, 0}).high, x);
}

double arcTangent2(double y, double x) {
  if (isNaN(x) || isNaN(y))
    return notANumber;
  bool isLeft = bitsOf(x) & signBit;
  if (y == 0)
    return isLeft ? withSign(pi.high, y) : y;
  if (absolute(y) == infinity && absolute(x) == infinity)
    return withSign(isLeft ? 3 * (pi.high / 4) : pi.high / 4, y);
  if (x == 0 || absolute(y) == infinity)
    return withSign(piHalf.high, y);
  if (absolute(x) == infinity)
    return withSign(isLeft ? pi.high : 0, y);
  Split a = split(absolute(y)), b = split(absolute(x));
  int difference = a.exponent - b.exponent;
  if (difference > 66)
    return withSign(piHalf.high, y);
  if (difference < -66)
    return isLeft ? withSign(pi.high, y) : y / x;
  Pair angle = angleOf({scale(a.mantissa, difference), 0}, {isLeft ? -b.mantissa : b.mantissa, 0});
  return withSign(angle.high, y);
}

double arcSine(double x) {
  double magnitude = absolute(x);
  if (!(magnitude <= 1))
    return notANumber;
  if (magnitude == 1)
    return withSign(piHalf.high, x);
  if (magnitude < 0x1p-27)
    return x;
  return withSign(angleOf({magnitude, 0}, complementOf(x)).high, x);
}

double arcCosine(double x) {
  double magnitude = absolute(x);
  if (!(magnitude <= 1))
    return notANumber;
  if (magnitude == 1)
    return x > 0 ? 0 : pi.high;
  if (magnitude < 0x1p-60)
    return piHalf.high;
  return angleOf(complementOf(x), {x, 0}).high;
}

} // namespace
} // namespace lathe::builtins

LATHE_BUILTIN double atan(double x) { return arcTangent(x); }
LATHE_BUILTIN double atan2(double y, double x) { return arcTangent2(y, x); }
LATHE_BUILTIN double asin(double x) { return arcSine(x); }
LATHE_BUILTIN double acos(double x) { return arcCosine(x); }
LATHE_BUILTIN float atanf(float x) { return float(arcTangent(x)); }
LATHE_BUILTIN float atan2f(float y, float x) { return float(arcTangent2(y, x)); }
LATHE_BUILTIN float asinf(float x) { return float(arcSine(x)); }
LATHE_BUILTIN float acosf(float x) { return float(arcCosine(x)); }
