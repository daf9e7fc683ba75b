// What the builtins on strings share: views of tensors, memory from the runtime, results.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_BUILTINS_TEXT_H
#define LATHE_BUILTINS_TEXT_H

#include "Common.h"
#include "lathe/ArtifactFormat.h"

/// A builtin on whole tensors: it reads `inputs`, allocates `results` and returns a lathe_code.
#define LATHE_TENSOR_BUILTIN(name)                                                                 \
  extern "C" int name(lathe_call *call, const lathe_value *inputs, lathe_value *results,           \
                      const i64 *parameters)

namespace lathe::builtins {

using Bytes = const unsigned char *;

inline i64 countElements(const lathe_value &value) {
  i64 count = 1;
  for (u32 i = 0; i < value.rank; ++i)
    count *= value.dims[i];
  return count;
}

inline const lathe_string *stringsOf(const lathe_value &value) {
  return static_cast<const lathe_string *>(value.data);
}

inline int compareStrings(const lathe_string &a, const lathe_string &b) {
  u64 common = a.size < b.size ? a.size : b.size;
  for (u64 i = 0; i < common; ++i) {
    auto x = static_cast<unsigned char>(a.data[i]), y = static_cast<unsigned char>(b.data[i]);
    if (x != y)
      return x < y ? -1 : 1;
  }
  return a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

/// Memory that lives as long as the run; null when the runtime refuses it.
inline void *allocate(lathe_call *call, u64 count, u64 size) {
  u64 bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    return nullptr;
  return call->services->allocate(call, bytes ? bytes : 1);
}

/// Gives a result the shape of a tensor, and memory. Null when that is refused.
template <typename T>
T *allocateLike(lathe_call *call, const lathe_value &shape, lathe_value &result) {
  for (u32 i = 0; i < shape.rank; ++i)
    result.dims[i] = shape.dims[i];
  result.data = allocate(call, u64(countElements(shape)), sizeof(T));
  return static_cast<T *>(result.data);
}

} // namespace lathe::builtins

#endif // LATHE_BUILTINS_TEXT_H
