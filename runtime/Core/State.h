// States: tensors that stay in a context between runs.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_STATE_H
#define LATHE_RUNTIME_CORE_STATE_H

#include "runtime/Core/Memory.h"

namespace lathe::runtime {

/// One state. Contiguous ones write their next value beside the current one and change places when
/// the run has succeeded, so a run that fails changes nothing; those of layout CAPACITY grow where
/// they lie.
struct State {
  lathe_value value;    ///< What the next run finds; kind NONE: the initial one.
  void *memory[2];      ///< CAPACITY: the first alone.
  uint64_t capacity[2]; ///< Bytes of each.
  uint32_t current;     ///< Which of them `value` lies in.
};

/// Where the next value of a state goes.
inline uint32_t nextSlot(const State &state, const lathe_tensor_spec &spec) {
  return spec.layout == LATHE_LAYOUT_CAPACITY ? 0 : 1 - state.current;
}

/// What a slot is to hold: at least `bytes` (-1: more than can be counted), and where `exact` not a
/// byte more.
struct StateSize {
  int64_t bytes;
  bool exact;
};

/// Of the slot that an input reads, and of the one that an output of so many bytes writes.
StateSize inputStateSize(const lathe_tensor_spec &spec, const lathe_value &value);
StateSize outputStateSize(const lathe_tensor_spec &spec, uint64_t bytes);

/// The capacity of a slot that had `capacity` once it holds such a size.
uint64_t stateCapacity(uint64_t capacity, uint64_t bytes, bool exact);

/// Makes a slot hold a size, with its old bytes lost where it must grow. Null when refused.
void *reserveState(State &state, uint32_t slot, StateSize size, const lathe_allocator &allocator);
void releaseState(State &state, const lathe_allocator &allocator);

/// Bytes of a full state: each dynamic dim at its max; -1 where that is too much to count with.
int64_t capacityBytes(const lathe_tensor_spec &spec);

/// Sets the strides of a value as its spec lays it out.
void setStrides(lathe_value &value, const lathe_tensor_spec &spec);

/// Copies a contiguous tensor to where a CAPACITY state lies; both have the same dims.
void copyToState(lathe_value from, const lathe_value &to);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_STATE_H
