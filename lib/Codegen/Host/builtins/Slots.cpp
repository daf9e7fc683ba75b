// Memory that host programs use again and again.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Common.h"
#include "lathe/ArtifactFormat.h"

using namespace lathe::builtins;

extern "C" void *memcpy(void *, const void *, usize);

namespace {
struct Slot {
  void *data;
  uint64_t capacity;
};
} // namespace

/// Whether the run has ended: the runtime looks at the deadline, and at who has cancelled it.
extern "C" int32_t rt_poll(lathe_call *call) {
  if (call->services->poll)
    return call->services->poll(call);
  return *call->cancel && !call->services->attend ? LATHE_CODE_CANCELLED : LATHE_CODE_OK;
}

/// At least `bytes` of memory whose first `keep` bytes are those of the slot; null when there is
/// none. Memory comes in doubling sizes, so that all that a slot ever had is twice what it has.
extern "C" void *rt_reserve(lathe_call *call, Slot *slot, uint64_t bytes, uint64_t keep) {
  if (slot->data && bytes <= slot->capacity)
    return slot->data;
  uint64_t capacity = bytes > 2 * slot->capacity ? bytes : 2 * slot->capacity;
  if (capacity < LATHE_ALIGNMENT)
    capacity = LATHE_ALIGNMENT;
  void *data = call->services->allocate(call, capacity);
  if (!data && capacity > bytes && bytes) {
    capacity = bytes;
    data = call->services->allocate(call, capacity);
  }
  if (!data)
    return nullptr;
  if (keep)
    memcpy(data, slot->data, keep);
  slot->data = data;
  slot->capacity = capacity;
  return data;
}
