// The memory of states, and how tensors lie in it.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/State.h"
#include "runtime/Core/Value.h"

#include <cstring>

namespace lathe::runtime {

namespace {

// A state that grows by a little each run is moved to larger memory rarely.
uint64_t grown(uint64_t bytes) { return bytes + bytes / 2; }

} // namespace

void *reserveState(State &state, uint32_t slot, uint64_t bytes, bool exact,
                   const lathe_allocator &allocator) {
  if (!bytes)
    bytes = LATHE_ALIGNMENT;
  if (bytes <= state.capacity[slot])
    return state.memory[slot];
  uint64_t wanted = exact ? bytes : grown(bytes);
  if (state.memory[slot])
    allocator.release(allocator.user, state.memory[slot], state.capacity[slot]);
  state.capacity[slot] = 0;
  state.memory[slot] = wanted <= uint64_t(maxBytes)
                           ? allocator.allocate(allocator.user, wanted, LATHE_ALIGNMENT)
                           : nullptr;
  if (state.memory[slot])
    state.capacity[slot] = wanted;
  return state.memory[slot];
}

void releaseState(State &state, const lathe_allocator &allocator) {
  for (uint32_t slot = 0; slot < 2; ++slot)
    if (state.memory[slot])
      allocator.release(allocator.user, state.memory[slot], state.capacity[slot]);
  state = State();
}

int64_t capacityBytes(const lathe_tensor_spec &spec) {
  int64_t dims[LATHE_MAX_RANK];
  for (uint32_t d = 0; d < spec.rank; ++d)
    dims[d] = spec.dims[d].size == LATHE_DYNAMIC ? spec.dims[d].max : spec.dims[d].size;
  int64_t elements = countElements(spec.dtype, spec.rank, dims);
  return elements < 0 ? -1 : countBytes(spec.dtype, elements);
}

void setStrides(lathe_value &value, const lathe_tensor_spec &spec) {
  setStrides(value);
  if (spec.layout != LATHE_LAYOUT_CAPACITY)
    return;
  int64_t stride = 1;
  for (uint32_t d = spec.rank; d-- > 0;) {
    value.strides[d] = stride;
    stride *= spec.dims[d].size == LATHE_DYNAMIC ? spec.dims[d].max : spec.dims[d].size;
  }
}

void copyToState(const lathe_value &from, const lathe_value &to) {
  int64_t elements = countElements(from.dtype, from.rank, from.dims);
  if (elements <= 0 || from.data == to.data)
    return;
  uint64_t elementBytes = lathe_dtype_bits(from.dtype) / 8;
  int64_t row = from.rank ? from.dims[from.rank - 1] : 1;
  int64_t index[LATHE_MAX_RANK] = {};
  const char *source = static_cast<const char *>(from.data);
  for (int64_t done = 0; done < elements; done += row) {
    int64_t offset = 0;
    for (uint32_t d = 0; d < from.rank; ++d)
      offset += index[d] * to.strides[d];
    memcpy(static_cast<char *>(to.data) + offset * elementBytes, source, row * elementBytes);
    source += row * elementBytes;
    for (uint32_t d = from.rank ? from.rank - 1 : 0; d-- > 0;) {
      if (++index[d] < from.dims[d])
        break;
      index[d] = 0;
    }
  }
}

} // namespace lathe::runtime
