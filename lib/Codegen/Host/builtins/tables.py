#!/usr/bin/env python3
"""Computes Tables.h, the constants of the math builtins. Needs mpmath.

    python3 tables.py > Tables.h
"""
from struct import pack, unpack

from mpmath import (asin, atan, cos, erf, erfc, exp, expm1, floor, frexp, ldexp, log, log1p, mp, mpf,
                    pi, sin, sqrt)

mp.prec = 2400


def hexa(value):
    return float.hex(float(value))


def top(value, bits):
    """The first `bits` bits of a number, so that its product with a small integer is exact."""
    mantissa, exponent = frexp(value)
    return ldexp(floor(ldexp(mantissa, bits)), int(exponent) - bits)


def pair(value):
    high = float(value)
    return f"{{{hexa(high)}, {hexa(value - mpf(high))}}}"


def chebyshev(f, a, b, degree):
    """Coefficients, lowest first, of a near-minimax polynomial in x - (a + b) / 2."""
    count = degree + 1
    middle, half = (a + b) / 2, (b - a) / 2
    angles = [pi * (2 * i + 1) / (2 * count) for i in range(count)]
    values = [f(middle + half * cos(angle)) for angle in angles]
    result = [mpf(0)] * count
    previous, current = [mpf(0)] * count, [mpf(1)] + [mpf(0)] * degree
    for k in range(count):
        weight = 2 * sum(v * cos(k * angle) for v, angle in zip(values, angles)) / count
        weight = weight / 2 if k == 0 else weight
        result = [r + weight * c for r, c in zip(result, current)]
        step = [mpf(0)] + [(1 if k == 0 else 2) * c for c in current[:-1]]
        previous, current = current, [s - (0 if k == 0 else p) for s, p in zip(step, previous)]
    return middle, [r / half**i for i, r in enumerate(result)]


def floats(values):
    return "{" + ", ".join(hexa(v) for v in values) + "}"


def single(value):
    """The nearest f32."""
    return unpack("f", pack("f", float(value)))[0]


def singles(value, count):
    """A number as a sum of f32, each of the rest."""
    parts = []
    for _ in range(count):
        parts.append(single(value))
        value -= mpf(parts[-1])
    return parts


def plain(f, a, b, degree):
    """Coefficients, lowest first, of a near-minimax polynomial in x itself."""
    middle, fit = chebyshev(f, mpf(a), mpf(b), degree)
    result = [mpf(0)] * len(fit)
    for coefficient in reversed(fit):
        result = [coefficient - middle * result[0]] + [
            result[i - 1] - middle * result[i] for i in range(1, len(fit))]
    return result


def at_zero(f, value):
    """The function with its limit where the formula divides by zero."""
    return lambda x: f(x) if abs(x) > mpf(10)**-40 else mpf(value)


print("// Constants of the math builtins; computed by tables.py, do not edit.")
print("// Licensed under Apache-2.0 WITH LLVM-exception.")
print("#ifndef LATHE_BUILTINS_TABLES_H\n#define LATHE_BUILTINS_TABLES_H\n")
print('#include "Common.h"\n\nnamespace lathe::builtins {\n')
for name, value in [("ln2", log(2)), ("ln10", log(10)), ("log2E", 1 / log(2)),
                    ("log10E", 1 / log(10)), ("piHalf", pi / 2), ("pi", pi)]:
    print(f"constexpr Pair {name} = {pair(value)};")
print("\n// The high part has 32 bits: a multiple by less than 2^21 is exact.")
for name, value in [("ln2", log(2)), ("log10Of2", log(2) / log(10))]:
    high = top(value, 32)
    print(f"constexpr Pair {name}Split = {{{hexa(high)}, {hexa(value - high)}}};")
print("\n// pi / 2 in three parts of 33 bits and the rest.")
rest, parts = pi / 2, []
for _ in range(3):
    parts.append(top(rest, 33))
    rest -= parts[-1]
print(f"constexpr double piHalfParts[4] = {floats(parts + [rest])};")
print("\n// atan(i / 8).")
print("constexpr Pair atanTable[9] = {" +
      ", ".join(pair(atan(mpf(i) / 8)) for i in range(9)) + "};")
print("\n// A word of zeros, then the bits of 2 / pi after the binary point.")
bits = int(floor(2 / pi * mpf(2)**1280))
words = ["0"] + [f"{(bits >> (1280 - 64 * (i + 1))) & (2**64 - 1):#018x}" for i in range(20)]
print(f"constexpr u64 twoOverPi[{len(words)}] = {{{', '.join(words)}}};")

mp.prec = 300
middle, coefficients = chebyshev(
    lambda z: (erf(sqrt(z)) / sqrt(z) if z > 0 else 2 / sqrt(pi)) - 1, mpf(0), mpf(1), 13)
print("\n// erf(x) / x - 1 as a polynomial in x^2 - 1/2, for x^2 <= 1.")
print(f"constexpr double erfTable[{len(coefficients)}] = {floats(coefficients)};")
print("\n// exp(x^2) erfc(x) / t for 0.75 <= x <= 28, as polynomials in t - middle, t = 2 / (2 + x),")
print("// on four pieces of equal length.")
low, high, pieces, degree = mpf(2) / 30, mpf(2) / mpf(2.75), 4, 14
step = (high - low) / pieces
fits = [chebyshev(lambda t: exp((2 / t - 2)**2) * erfc(2 / t - 2) / t, low + step * i,
                  low + step * (i + 1), degree) for i in range(pieces)]
print(f"constexpr double erfcxLow = {hexa(low)}, erfcxScale = {hexa(1 / step)};")
# The middle is rounded to a short number, so that t - middle is exact, and the fit is moved to it.
print(f"constexpr double erfcxMiddle[{pieces}] = {floats(float(m) for m, _ in fits)};")
print(f"constexpr double erfcxTable[{pieces}][{degree + 1}] = {{")
for middle, fit in fits:
    shift, moved = mpf(float(middle)) - middle, [mpf(0)] * len(fit)
    for coefficient in reversed(fit):
        moved = [coefficient + shift * moved[0]] + [
            shift * moved[i] + moved[i - 1] for i in range(1, len(fit))]
    print("    " + floats(moved) + ",")
print("};")

print("\n// For f32: polynomials, lowest coefficient first, and numbers in parts of 24 bits.")
half = log(2) / 2
root = sqrt(mpf(2))
fits = [
    ("expF32", "(exp(x) - 1 - x) / x^2", plain(
        at_zero(lambda x: (expm1(x) - x) / x**2, mpf(1) / 2), -half, half, 4)),
    ("exp2F32", "(2^x - 1) / x", plain(
        at_zero(lambda x: expm1(x * log(2)) / x, log(2)), -0.5, 0.5, 6)),
    ("logF32", "(log(1 + x) - x + x^2 / 2) / x^3", plain(
        at_zero(lambda x: (log1p(x) - x + x * x / 2) / x**3, mpf(1) / 3), 1 / root - 1, root - 1, 8)),
    ("sinF32", "(sin(x) / x - 1) / x^2 in x^2", plain(
        at_zero(lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z, mpf(-1) / 6), 0, (pi / 4)**2, 3)),
    ("cosF32", "(cos(x) - 1 + x^2 / 2) / x^4 in x^2", plain(
        at_zero(lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, mpf(1) / 24), 0, (pi / 4)**2, 3)),
    ("asinF32", "(asin(x) / x - 1) / x^2 in x^2", plain(
        at_zero(lambda z: (asin(sqrt(z)) / sqrt(z) - 1) / z, mpf(1) / 6), 0, 0.25, 5)),
    ("atanF32", "(atan(x) / x - 1) / x^2 in x^2", plain(
        at_zero(lambda z: (atan(sqrt(z)) / sqrt(z) - 1) / z, mpf(-1) / 3), 0, 1, 9)),
    ("erfF32", "erf(x) / x - 1 in x^2", plain(
        at_zero(lambda z: erf(sqrt(z)) / sqrt(z) - 1, 2 / sqrt(pi) - 1), 0, 0.9, 6)),
    ("logErfcF32", "log(erfc(x)) in x - 2, for 0.9 <= x <= 4",
     plain(lambda x: log(erfc(x + 2)), -1.1, 2, 9)),
]
for name, meaning, fit in fits:
    values = ", ".join(float.hex(single(c)) + "f" for c in fit)
    print(f"// {meaning}\nconstexpr float {name}[{len(fit)}] = {{{values}}};")
for name, value, count in [("ln2F32", log(2), 2), ("log2EF32", 1 / log(2), 2),
                           ("log10EF32", 1 / log(10), 2), ("log10Of2F32", log(2) / log(10), 2),
                           ("piHalfF32", pi / 2, 3), ("piF32", pi, 2)]:
    parts = singles(value, count)
    if name in ("ln2F32", "log10Of2F32"):  # a multiple by less than 2^9 is exact
        parts[0] = float(top(value, 15))
        parts[1] = single(value - mpf(parts[0]))
    print(f"constexpr float {name}[{count}] = {{" +
          ", ".join(float.hex(p) + "f" for p in parts) + "};")
print("\n} // namespace lathe::builtins\n\n#endif // LATHE_BUILTINS_TABLES_H")
