// memcpy, memmove, memset, memcmp: overlapping vector moves, no self calls.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"

using namespace lathe::builtins;

namespace {

// Unaligned, aliasing views of memory.
template <typename T> struct [[gnu::packed, gnu::may_alias]] Unaligned {
  T value;
};
using Vector32 = unsigned char __attribute__((vector_size(32)));
using Vector16 = unsigned char __attribute__((vector_size(16)));

template <typename T> inline T load(const char *from) {
  return reinterpret_cast<const Unaligned<T> *>(from)->value;
}
template <typename T> inline void store(char *to, T value) {
  reinterpret_cast<Unaligned<T> *>(to)->value = value;
}

/// Moves between sizeof(T) and 2 * sizeof(T) bytes; all loads come before all stores.
template <typename T> inline void moveEnds(char *to, const char *from, usize size) {
  T first = load<T>(from);
  T last = load<T>(from + size - sizeof(T));
  store<T>(to, first);
  store<T>(to + size - sizeof(T), last);
}

/// Moves up to 64 bytes, overlapping or not.
inline void moveSmall(char *to, const char *from, usize size) {
  if (size >= 32)
    return moveEnds<Vector32>(to, from, size);
  if (size >= 16)
    return moveEnds<Vector16>(to, from, size);
  if (size >= 8)
    return moveEnds<u64>(to, from, size);
  if (size >= 4)
    return moveEnds<u32>(to, from, size);
  if (size >= 2)
    return moveEnds<u16>(to, from, size);
  if (size)
    *to = *from;
}

inline void moveForward(char *to, const char *from, usize size) {
  // The end is read first: a forward move may overwrite it.
  Vector32 end0 = load<Vector32>(from + size - 64), end1 = load<Vector32>(from + size - 32);
  char *end = to + size;
  for (; to + 64 < end; to += 64, from += 64) {
    Vector32 a = load<Vector32>(from), b = load<Vector32>(from + 32);
    store(to, a);
    store(to + 32, b);
  }
  store(end - 64, end0);
  store(end - 32, end1);
}

inline void moveBackward(char *to, const char *from, usize size) {
  Vector32 begin0 = load<Vector32>(from), begin1 = load<Vector32>(from + 32);
  usize left = size;
  for (; left > 64; left -= 64) {
    Vector32 a = load<Vector32>(from + left - 32), b = load<Vector32>(from + left - 64);
    store(to + left - 32, a);
    store(to + left - 64, b);
  }
  store(to, begin0);
  store(to + 32, begin1);
}

} // namespace

LATHE_BUILTIN void *memcpy(void *__restrict to, const void *__restrict from, usize size) {
  if (size <= 64)
    moveSmall(static_cast<char *>(to), static_cast<const char *>(from), size);
  else
    moveForward(static_cast<char *>(to), static_cast<const char *>(from), size);
  return to;
}

LATHE_BUILTIN void *memmove(void *to, const void *from, usize size) {
  char *target = static_cast<char *>(to);
  const char *source = static_cast<const char *>(from);
  if (size <= 64)
    moveSmall(target, source, size);
  else if (usize(target - source) >= size) // also when the target lies below the source
    moveForward(target, source, size);
  else
    moveBackward(target, source, size);
  return to;
}

LATHE_BUILTIN void *memset(void *to, int value, usize size) {
  char *target = static_cast<char *>(to);
  u64 word = (value & 0xff) * 0x0101010101010101ull;
  if (size < 8) {
    for (usize i = 0; i < size; ++i)
      static_cast<volatile char *>(target)[i] = char(value);
    return to;
  }
  if (size < 32) {
    usize i = 0;
    for (; i + 8 < size; i += 8)
      store(target + i, word);
    store(target + size - 8, word);
    return to;
  }
  using Words = u64 __attribute__((vector_size(32)));
  Words words = {word, word, word, word};
  for (usize i = 0; i + 32 < size; i += 32)
    store(target + i, words);
  store(target + size - 32, words);
  return to;
}

LATHE_BUILTIN int memcmp(const void *a, const void *b, usize size) {
  const char *left = static_cast<const char *>(a), *right = static_cast<const char *>(b);
  usize i = 0;
  for (; i + 8 <= size; i += 8) {
    u64 x = load<u64>(left + i), y = load<u64>(right + i);
    if (x != y)
      return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
  }
  for (; i < size; ++i) {
    int difference =
        int(static_cast<unsigned char>(left[i])) - static_cast<unsigned char>(right[i]);
    if (difference)
      return difference;
  }
  return 0;
}
