// What host programs ask for on a device beside launches: memory, and copies of what they look at
// and change themselves. Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Context.h"
#include "runtime/Core/Device.h"

#include <algorithm>
#include <cstring>

using namespace lathe::runtime;

namespace {

/// A copy to the host takes so much, if there is that much: what is looked at next is often near.
constexpr uint64_t windowBytes = 4096;
constexpr uint64_t leastBounce = uint64_t(64) << 10, mostBounce = uint64_t(4) << 20;

bool holds(const void *begin, uint64_t size, const char *address, uint64_t bytes) {
  auto offset = reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(begin);
  return begin && offset <= size && bytes <= size - offset;
}

} // namespace

void *lathe_context::allocateOnDevice(uint64_t bytes) {
  lathe_device *device = module->device;
  auto *block = static_cast<DeviceBlock *>(malloc(sizeof(DeviceBlock)));
  void *memory = block && bytes <= uint64_t(maxBytes)
                     ? device->ops->allocate(device, bytes, LATHE_ALIGNMENT, DeviceMemory::Local)
                     : nullptr;
  if (!memory) {
    free(block);
    return nullptr;
  }
  *block = {deviceBlocks, static_cast<char *>(memory), bytes};
  deviceBlocks = block;
  return memory;
}

void lathe_context::releaseOnDevice() {
  while (DeviceBlock *block = deviceBlocks) {
    deviceBlocks = block->next;
    module->device->ops->release(module->device, block->memory, block->bytes, DeviceMemory::Local);
    free(block);
  }
}

bool lathe_context::findOnDevice(const char *address, uint64_t bytes, const char *&begin,
                                 const char *&end) const {
  auto isIn = [&](const void *memory, uint64_t size) {
    if (!holds(memory, size, address, bytes))
      return false;
    begin = static_cast<const char *>(memory);
    end = begin + size;
    return true;
  };
  if (isIn(arena, arenaBytes) || isIn(deviceRun.values, deviceRun.capacity) ||
      isIn(module->weights, module->chosen->weights_bytes))
    return true;
  for (const DeviceBlock *block = deviceBlocks; block; block = block->next)
    if (isIn(block->memory, block->bytes))
      return true;
  for (const State &state : states)
    for (uint32_t slot = 0; slot < 2; ++slot)
      if (isIn(state.memory[slot], state.capacity[slot]))
        return true;
  return false;
}

int32_t lathe_context::refuseCopy(const void *address, uint64_t bytes) {
  TextBuilder(deviceRun.refusal, sizeof(deviceRun.refusal))
      .add("%s: the host program copies %llu bytes at %p, which are not memory of the device",
           module->device->name, static_cast<unsigned long long>(bytes), address);
  return LATHE_CODE_DEVICE;
}

int32_t lathe_context::waitForDevice() {
  int32_t code = module->device->ops->wait(deviceRun.queue);
  deviceRun.isBouncing = false;
  return code;
}

// Whatever it held is lost.
int32_t lathe_context::reserveBounce(uint64_t bytes) {
  lathe_device *device = module->device;
  DeviceRun &run = deviceRun;
  run.seenBegin = run.seenEnd = nullptr;
  uint64_t wanted = std::clamp(bytes, leastBounce, mostBounce);
  if (wanted <= run.bounceBytes)
    return LATHE_CODE_OK;
  if (run.isBouncing)
    if (int32_t code = waitForDevice())
      return code;
  if (run.bounce)
    device->ops->release(device, run.bounce, run.bounceBytes, DeviceMemory::Shared);
  run.bounce = static_cast<char *>(
      device->ops->allocate(device, wanted, LATHE_ALIGNMENT, DeviceMemory::Shared));
  run.bounceBytes = run.bounce ? wanted : 0;
  if (run.bounce)
    return LATHE_CODE_OK;
  uint32_t none = Refusal::None;
  if (refusal.kind.compare_exchange_strong(none, Refusal::OutOfMemory))
    refusal.wanted = wanted;
  return LATHE_CODE_MEMORY;
}

// With the record of faults, as the host must not go by what follows a fault.
int32_t lathe_context::fetch(char *to, const char *from, uint64_t bytes) {
  DeviceRun &run = deviceRun;
  const DeviceOps &ops = *module->device->ops;
  while (bytes) {
    if (run.seenBegin && holds(run.seenBegin, run.seenEnd - run.seenBegin, from, 1)) {
      uint64_t part = std::min(bytes, uint64_t(run.seenEnd - from));
      memcpy(to, run.bounce + (from - run.seenBegin), part);
      to += part;
      from += part;
      bytes -= part;
      continue;
    }
    const char *begin, *end;
    if (!findOnDevice(from, bytes, begin, end))
      return refuseCopy(from, bytes);
    if (int32_t code = reserveBounce(bytes))
      return code;
    begin = std::max(begin, from - reinterpret_cast<uint64_t>(from) % windowBytes);
    uint64_t before = from - begin;
    uint64_t most = std::min(run.bounceBytes, uint64_t(end - begin));
    uint64_t part = std::min(std::max(before + bytes, windowBytes), most);
    uint64_t faults = DeviceRun::faultBytes;
    int32_t code = ops.copy(run.queue, run.bounce, begin, part);
    if (!code)
      code = ops.copy(run.queue, run.faults(), run.deviceFaults(), faults);
    int32_t waited = waitForDevice();
    if (code || waited)
      return code ? code : waited;
    if (run.faults()->code)
      return run.faults()->code;
    run.seenBegin = begin;
    run.seenEnd = begin + part;
  }
  return LATHE_CODE_OK;
}

int32_t lathe_context::put(char *to, const char *from, uint64_t bytes) {
  DeviceRun &run = deviceRun;
  const char *begin, *end;
  if (!findOnDevice(to, bytes, begin, end) || begin == module->weights)
    return refuseCopy(to, bytes);
  for (uint64_t done = 0; done < bytes;) {
    if (int32_t code = reserveBounce(bytes))
      return code;
    if (run.isBouncing)
      if (int32_t code = waitForDevice())
        return code;
    uint64_t part = std::min(bytes - done, run.bounceBytes);
    memcpy(run.bounce, from + done, part);
    run.isBouncing = true;
    if (int32_t code = module->device->ops->copy(run.queue, to + done, run.bounce, part))
      return code;
    done += part;
  }
  return LATHE_CODE_OK;
}

int32_t lathe_context::copyTo(char *to, const char *from, uint64_t bytes, uint32_t direction) {
  DeviceRun &run = deviceRun;
  const char *begin, *end;
  if (!bytes)
    return LATHE_CODE_OK;
  // Weights never change, and the host has them as well.
  if (direction == LATHE_COPY_TO_HOST &&
      holds(module->weights, module->chosen->weights_bytes, from, bytes)) {
    memcpy(to, module->hostWeights + (from - module->weights), bytes);
    return LATHE_CODE_OK;
  }
  // What the host sees or gives may differ from run to run: that is not to be recorded.
  if (direction != LATHE_COPY_ON_DEVICE && endsRecording())
    return LATHE_CODE_DEVICE;
  int32_t code = LATHE_CODE_OK;
  if (direction == LATHE_COPY_TO_HOST) {
    code = fetch(to, from, bytes);
  } else if (direction == LATHE_COPY_TO_DEVICE) {
    code = put(to, from, bytes);
  } else {
    run.seenBegin = run.seenEnd = nullptr;
    const char *address = findOnDevice(from, bytes, begin, end) ? to : from;
    code = address == to && findOnDevice(to, bytes, begin, end)
               ? module->device->ops->copy(run.queue, to, from, bytes)
               : refuseCopy(address, bytes);
  }
  run.hasFailed |= code == LATHE_CODE_DEVICE;
  return code;
}
