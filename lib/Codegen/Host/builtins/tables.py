#!/usr/bin/env python3
"""Computes Tables.h, the constants of the math builtins. Needs mpmath.

    python3 tables.py > Tables.h
"""
from mpmath import atan, cos, erf, erfc, exp, floor, frexp, ldexp, log, mp, mpf, pi, sqrt

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


print("// Constants of the math builtins; computed by tables.py, do not edit.")
print("// Licensed under Apache-2.0 WITH LLVM-exception.")
print("#ifndef LATHE_BUILTINS_TABLES_H\n#define LATHE_BUILTINS_TABLES_H\n")
print('#include "Common.h"\n\nnamespace lathe::builtins {\n')
for name, value in [("ln2", log(2)), ("ln10", log(10)), ("log2E", 1 / log(2)),
                    ("log10E", 1 / log(10)), ("piHalf", pi / 2), ("pi", pi)]:
    print(f"inline constexpr Pair {name} = {pair(value)};")
print("\n// The high part has 32 bits: a multiple by less than 2^21 is exact.")
for name, value in [("ln2", log(2)), ("log10Of2", log(2) / log(10))]:
    high = top(value, 32)
    print(f"inline constexpr Pair {name}Split = {{{hexa(high)}, {hexa(value - high)}}};")
print("\n// pi / 2 in three parts of 33 bits and the rest.")
rest, parts = pi / 2, []
for _ in range(3):
    parts.append(top(rest, 33))
    rest -= parts[-1]
print(f"inline constexpr double piHalfParts[4] = {floats(parts + [rest])};")
print("\n// atan(i / 8).")
print("inline constexpr Pair atanTable[9] = {" +
      ", ".join(pair(atan(mpf(i) / 8)) for i in range(9)) + "};")
print("\n// A word of zeros, then the bits of 2 / pi after the binary point.")
bits = int(floor(2 / pi * mpf(2)**1280))
words = ["0"] + [f"{(bits >> (1280 - 64 * (i + 1))) & (2**64 - 1):#018x}" for i in range(20)]
print(f"inline constexpr u64 twoOverPi[{len(words)}] = {{{', '.join(words)}}};")

mp.prec = 300
middle, coefficients = chebyshev(
    lambda z: (erf(sqrt(z)) / sqrt(z) if z > 0 else 2 / sqrt(pi)) - 1, mpf(0), mpf(1), 13)
print("\n// erf(x) / x - 1 as a polynomial in x^2 - 1/2, for x^2 <= 1.")
print(f"inline constexpr double erfTable[{len(coefficients)}] = {floats(coefficients)};")
print("\n// exp(x^2) erfc(x) / t for 0.75 <= x <= 28, as polynomials in t - middle, t = 2 / (2 + x),")
print("// on four pieces of equal length.")
low, high, pieces, degree = mpf(2) / 30, mpf(2) / mpf(2.75), 4, 14
step = (high - low) / pieces
fits = [chebyshev(lambda t: exp((2 / t - 2)**2) * erfc(2 / t - 2) / t, low + step * i,
                  low + step * (i + 1), degree) for i in range(pieces)]
print(f"inline constexpr double erfcxLow = {hexa(low)}, erfcxScale = {hexa(1 / step)};")
# The middle is rounded to a short number, so that t - middle is exact, and the fit is moved to it.
print(f"inline constexpr double erfcxMiddle[{pieces}] = {floats(float(m) for m, _ in fits)};")
print(f"inline constexpr double erfcxTable[{pieces}][{degree + 1}] = {{")
for middle, fit in fits:
    shift, moved = mpf(float(middle)) - middle, [mpf(0)] * len(fit)
    for coefficient in reversed(fit):
        moved = [coefficient + shift * moved[0]] + [
            shift * moved[i] + moved[i - 1] for i in range(1, len(fit))]
    print("    " + floats(moved) + ",")
print("};")
print("\n} // namespace lathe::builtins\n\n#endif // LATHE_BUILTINS_TABLES_H")
