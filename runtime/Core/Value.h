// What the runtime asks of values: sizes, layout, names.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_VALUE_H
#define LATHE_RUNTIME_CORE_VALUE_H

#include "runtime/Core/Memory.h"

namespace lathe::runtime {

/// Elements of such a shape; -1 for negative dims, or where even with zeros counted as ones the
/// bytes would reach maxBytes.
int64_t countElements(uint32_t dtype, uint32_t rank, const int64_t *dims);

/// Bytes that `elements` take, packed elements rounded up.
int64_t countBytes(uint32_t dtype, int64_t elements);

/// What the address of a tensor's elements is a multiple of. Complex numbers and strings align as
/// their halves do.
uint64_t elementAlignment(uint32_t dtype);

/// Sets the strides of a contiguous tensor of the value's dims (none LATHE_DYNAMIC).
void setStrides(lathe_value &value);

/// True where the strides, or all zeros in their place, describe a contiguous tensor.
bool isContiguous(const lathe_value &value);

/// False where a debug build knows that the value's memory was released, or is smaller than its
/// dims say. Of other builds, and of borrowed values, nothing is known.
bool isAlive(const lathe_value &value);

/// Whether values of a kind hold others.
inline bool isContainer(uint32_t kind) {
  return kind == LATHE_VALUE_SEQUENCE || kind == LATHE_VALUE_OPTIONAL || kind == LATHE_VALUE_MAP;
}

/// What a value holds, null where nothing is said of it.
inline const lathe_tensor_spec *itemsOf(const lathe_tensor_spec &spec) {
  return isContainer(spec.kind) && spec.rank == 0 ? spec.items : nullptr;
}

/// Bytes that a copy of all that a value refers to takes in one block; UINT64_MAX where they are
/// too many. The value is one that compiled code made.
uint64_t copiedBytes(const lathe_value &value);

/// Makes `copy` a value whose data, and all that it refers to, lie in `memory`, which has that size
/// and LATHE_ALIGNMENT; returns the end of what it took.
char *copyInto(const lathe_value &value, char *memory, lathe_value &copy);

/// "tensor", "sequence"; "unknown kind" for others.
const char *kindName(uint32_t kind);

/// The name of a dtype, or "unknown dtype".
const char *dtypeName(uint32_t dtype);

/// Writes "[1, 3, ?]".
struct DimsText {
  DimsText(uint32_t rank, const int64_t *dims);
  char text[16 * 22];
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_VALUE_H
