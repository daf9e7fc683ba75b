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
template <typename Allocate, typename Copy>
static void *reserve(Slot *slot, uint64_t bytes, uint64_t keep, Allocate allocate, Copy copy) {
  if (slot->data && bytes <= slot->capacity)
    return slot->data;
  uint64_t capacity = bytes > 2 * slot->capacity ? bytes : 2 * slot->capacity;
  if (capacity < LATHE_ALIGNMENT)
    capacity = LATHE_ALIGNMENT;
  void *data = allocate(capacity);
  if (!data && capacity > bytes && bytes) {
    capacity = bytes;
    data = allocate(capacity);
  }
  if (!data || (keep && !copy(data, slot->data, keep)))
    return nullptr;
  slot->data = data;
  slot->capacity = capacity;
  return data;
}

extern "C" void *rt_reserve(lathe_call *call, Slot *slot, uint64_t bytes, uint64_t keep) {
  return reserve(
      slot, bytes, keep, [&](uint64_t wanted) { return call->services->allocate(call, wanted); },
      [](void *to, const void *from, uint64_t size) {
        memcpy(to, from, size);
        return true;
      });
}

/// The same for a slot of memory that the device works with.
extern "C" void *rt_reserve_on_device(lathe_call *call, Slot *slot, uint64_t bytes, uint64_t keep) {
  return reserve(
      slot, bytes, keep,
      [&](uint64_t wanted) { return call->services->allocate_device(call, wanted); },
      [&](void *to, const void *from, uint64_t size) {
        return !call->services->copy(call, to, from, size, LATHE_COPY_ON_DEVICE);
      });
}
