// The memory of states, and how tensors lie in it.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/State.h"
#include "runtime/Core/Layout.h"
#include "runtime/Core/Value.h"

#include <cstring>

namespace lathe::runtime {

namespace {

// A state that grows by a little each run is moved to larger memory rarely.
uint64_t grown(uint64_t bytes) { return bytes + bytes / 2; }

} // namespace

StateSize inputStateSize(const lathe_tensor_spec &spec, const lathe_value &value) {
  if (spec.layout == LATHE_LAYOUT_CAPACITY)
    return {capacityBytes(spec), true};
  int64_t elements = countElements(value.dtype, value.rank, value.dims);
  return {elements < 0 ? -1 : countBytes(value.dtype, elements), true};
}

StateSize outputStateSize(const lathe_tensor_spec &spec, uint64_t bytes) {
  if (spec.layout == LATHE_LAYOUT_CAPACITY)
    return {capacityBytes(spec), true};
  bool grows = false;
  for (uint32_t d = 0; d < spec.rank; ++d)
    grows |= spec.dims[d].size == LATHE_DYNAMIC;
  return {int64_t(bytes), !grows};
}

uint64_t stateCapacity(uint64_t capacity, uint64_t bytes, bool exact) {
  if (!bytes)
    bytes = LATHE_ALIGNMENT;
  return bytes <= capacity ? capacity : exact ? bytes : grown(bytes);
}

void *reserveState(State &state, uint32_t slot, StateSize size, const lathe_allocator &allocator) {
  if (size.bytes < 0)
    return nullptr;
  uint64_t wanted = stateCapacity(state.capacity[slot], size.bytes, size.exact);
  if (wanted == state.capacity[slot])
    return state.memory[slot];
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

void copyToState(lathe_value from, const lathe_value &to) {
  if (from.data == to.data)
    return;
  setStrides(from);
  copyElements(from, to);
}

} // namespace lathe::runtime
