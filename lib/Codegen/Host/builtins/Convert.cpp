// Conversions between floating-point types, and between them and 128-bit integers.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"

using namespace lathe::builtins;

namespace {

/// Rounds to nearest, ties to even, to a 16-bit format with these field widths.
template <int ExponentBits, int MantissaBits> u16 narrow(double x) {
  constexpr int bias = (1 << (ExponentBits - 1)) - 1;
  constexpr u64 infinityBits = u64((1 << ExponentBits) - 1) << MantissaBits;
  u64 bits = bitsOf(x);
  u16 sign = u16(bits >> 48) & 0x8000;
  u64 mantissa = bits & ((u64(1) << 52) - 1);
  int exponent = int(bits >> 52) & 0x7ff;
  if (exponent == 0x7ff) {
    if (!mantissa)
      return sign | u16(infinityBits);
    constexpr u64 quiet = u64(1) << (MantissaBits - 1);
    return sign | u16(infinityBits | quiet | (mantissa >> (52 - MantissaBits)));
  }
  if (exponent == 0)
    return sign; // far below the smallest number of the format
  exponent -= 1023;
  u64 significand = mantissa | (u64(1) << 52);
  int shift = 52 - MantissaBits;
  bool subnormal = exponent < 1 - bias;
  if (subnormal)
    shift += 1 - bias - exponent;
  if (shift > 54)
    return sign;
  u64 result = significand >> shift;
  u64 rest = significand & ((u64(1) << shift) - 1);
  u64 half = u64(1) << (shift - 1);
  if (rest > half || (rest == half && (result & 1)))
    ++result;
  // A subnormal number that rounds up to the smallest normal one has its bits already.
  if (!subnormal)
    result += u64(exponent + bias - 1) << MantissaBits;
  return sign | u16(result < infinityBits ? result : infinityBits);
}

float halfToFloat(u16 half) {
  u32 sign = u32(half & 0x8000) << 16;
  u32 exponent = (half >> 10) & 0x1f;
  u32 mantissa = half & 0x3ff;
  if (exponent == 0x1f)
    return floatOf(sign | 0x7f800000 | (mantissa ? 0x400000 : 0) | (mantissa << 13));
  if (exponent)
    return floatOf(sign | ((exponent + 112) << 23) | (mantissa << 13));
  float magnitude = float(mantissa) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

/// The integer part of |x|, saturated.
u128 magnitudeOf(double x) {
  u64 bits = bitsOf(x);
  int exponent = (int(bits >> 52) & 0x7ff) - 1075;
  u64 significand = (bits & ((u64(1) << 52) - 1)) | (u64(1) << 52);
  if (exponent < -52)
    return 0;
  if (exponent > 75)
    return ~u128(0);
  return exponent < 0 ? u128(significand >> -exponent) : u128(significand) << exponent;
}

i128 toSigned(double x) {
  constexpr u128 limit = u128(1) << 127;
  if (isNaN(x))
    return 0;
  u128 magnitude = magnitudeOf(x);
  if (x < 0)
    return magnitude >= limit ? i128(limit) : -i128(magnitude);
  return magnitude >= limit ? i128(limit - 1) : i128(magnitude);
}

u128 toUnsigned(double x) { return x > 0 ? magnitudeOf(x) : 0; }

/// Rounds once, to a significand of `precision` bits; the result is exact as a double or a float.
double fromUnsigned(u128 value, int precision) {
  if (!value)
    return 0;
  u64 high = u64(value >> 64);
  int zeros = high ? __builtin_clzll(high) : 64 + __builtin_clzll(u64(value));
  int drop = 128 - zeros - precision;
  if (drop <= 0)
    return double(u64(value)); // fits: at most 53 bits
  u128 kept = value >> drop;
  u128 rest = value & ((u128(1) << drop) - 1);
  u128 half = u128(1) << (drop - 1);
  if (rest > half || (rest == half && (kept & 1)))
    ++kept;
  return scale(double(u64(kept)), drop);
}

double fromSigned(i128 value, int precision) {
  return value < 0 ? -fromUnsigned(-u128(value), precision) : fromUnsigned(u128(value), precision);
}

} // namespace

LATHE_BUILTIN float __extendhfsf2(_Float16 x) { return halfToFloat(__builtin_bit_cast(u16, x)); }
LATHE_BUILTIN _Float16 __truncsfhf2(float x) {
  return __builtin_bit_cast(_Float16, narrow<5, 10>(double(x)));
}
LATHE_BUILTIN _Float16 __truncdfhf2(double x) {
  return __builtin_bit_cast(_Float16, narrow<5, 10>(x));
}
LATHE_BUILTIN __bf16 __truncsfbf2(float x) {
  u32 bits = bitsOf(x);
  u32 rounded = x != x ? bits | 0x400000 : bits + 0x7fff + ((bits >> 16) & 1);
  return __builtin_bit_cast(__bf16, u16(rounded >> 16));
}
LATHE_BUILTIN __bf16 __truncdfbf2(double x) { return __builtin_bit_cast(__bf16, narrow<8, 7>(x)); }
LATHE_BUILTIN float __extendbfsf2(__bf16 x) {
  return floatOf(u32(__builtin_bit_cast(u16, x)) << 16);
}

LATHE_BUILTIN i128 __fixsfti(float x) { return toSigned(x); }
LATHE_BUILTIN i128 __fixdfti(double x) { return toSigned(x); }
LATHE_BUILTIN u128 __fixunssfti(float x) { return toUnsigned(x); }
LATHE_BUILTIN u128 __fixunsdfti(double x) { return toUnsigned(x); }
LATHE_BUILTIN float __floattisf(i128 x) { return float(fromSigned(x, 24)); }
LATHE_BUILTIN double __floattidf(i128 x) { return fromSigned(x, 53); }
LATHE_BUILTIN float __floatuntisf(u128 x) { return float(fromUnsigned(x, 24)); }
LATHE_BUILTIN double __floatuntidf(u128 x) { return fromUnsigned(x, 53); }

// From f16 every conversion to f64 is exact; to f16, rounding to f64 first would round twice, so
// the integer is cut to what f16 can tell apart from infinity.
LATHE_BUILTIN i128 __fixhfti(_Float16 x) {
  return toSigned(halfToFloat(__builtin_bit_cast(u16, x)));
}
LATHE_BUILTIN u128 __fixunshfti(_Float16 x) {
  return toUnsigned(halfToFloat(__builtin_bit_cast(u16, x)));
}
LATHE_BUILTIN _Float16 __floattihf(i128 x) {
  i128 limit = 1 << 20;
  i128 cut = x > limit ? limit : x < -limit ? -limit : x;
  return __builtin_bit_cast(_Float16, narrow<5, 10>(double(i64(cut))));
}
LATHE_BUILTIN _Float16 __floatuntihf(u128 x) {
  u128 limit = 1 << 20;
  return __builtin_bit_cast(_Float16, narrow<5, 10>(double(i64(x > limit ? limit : x))));
}
