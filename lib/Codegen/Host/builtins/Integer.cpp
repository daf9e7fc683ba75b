// 128-bit integer division and multiplication, which no 64-bit processor has as an instruction.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"

using namespace lathe::builtins;

namespace {

struct Division {
  u128 quotient, remainder;
};

int leadingZeros(u128 x) {
  u64 high = u64(x >> 64);
  return high ? __builtin_clzll(high) : 64 + __builtin_clzll(u64(x));
}

/// Shift and subtract. Division by zero gives a quotient of all ones; compiled code checks before.
Division divide(u128 a, u128 b) {
  if (!b)
    return {~u128(0), a};
  if (a < b)
    return {0, a};
  if (!(u64(a >> 64)))
    return {u64(a) / u64(b), u64(a) % u64(b)};
  int shift = leadingZeros(b) - leadingZeros(a);
  u128 quotient = 0;
  b <<= shift;
  for (; shift >= 0; --shift, b >>= 1) {
    quotient <<= 1;
    if (a >= b) {
      a -= b;
      quotient |= 1;
    }
  }
  return {quotient, a};
}

u128 magnitude(i128 x) { return x < 0 ? -u128(x) : u128(x); }

} // namespace

LATHE_BUILTIN u128 __udivti3(u128 a, u128 b) { return divide(a, b).quotient; }
LATHE_BUILTIN u128 __umodti3(u128 a, u128 b) { return divide(a, b).remainder; }
LATHE_BUILTIN i128 __divti3(i128 a, i128 b) {
  u128 quotient = divide(magnitude(a), magnitude(b)).quotient;
  return i128((a < 0) != (b < 0) ? -quotient : quotient);
}
LATHE_BUILTIN i128 __modti3(i128 a, i128 b) {
  u128 remainder = divide(magnitude(a), magnitude(b)).remainder;
  return i128(a < 0 ? -remainder : remainder);
}
LATHE_BUILTIN i128 __multi3(i128 a, i128 b) {
  u64 aLow = u64(a), bLow = u64(b);
  u128 low = u128(aLow) * bLow; // one instruction
  u64 high = u64(u128(a) >> 64) * bLow + aLow * u64(u128(b) >> 64);
  return i128(low + (u128(high) << 64));
}
