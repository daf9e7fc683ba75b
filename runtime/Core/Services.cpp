// What compiled code may ask for while it runs.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Clock.h"
#include "runtime/Core/Context.h"
#include "runtime/Core/Device.h"
#include "runtime/Core/Value.h"
#include "runtime/Cpu/FloatState.h"

#include <algorithm>
#include <cstring>

using namespace lathe::runtime;

namespace {

// The first refusal of a run is the one that its failure is about.
void *refuse(lathe_context &context, Refusal::Kind kind, uint64_t wanted, uint64_t available) {
  uint32_t none = Refusal::None;
  if (context.refusal.kind.compare_exchange_strong(none, kind)) {
    context.refusal.wanted = wanted;
    context.refusal.available = available;
  }
  return nullptr;
}

// Memory against the run's limit; null, with the reason noted, when refused.
bool charge(lathe_context &context, uint64_t bytes) {
  uint64_t limit = context.options.dynamic_limit;
  uint64_t before = context.dynamicBytes.load(std::memory_order_relaxed);
  do {
    if (bytes > limit || before > limit - bytes) {
      refuse(context, Refusal::OverLimit, bytes, limit - before);
      return false;
    }
  } while (!context.dynamicBytes.compare_exchange_weak(before, before + bytes,
                                                       std::memory_order_relaxed));
  return true;
}

void *allocate(lathe_call *call, uint64_t bytes) {
  lathe_context &context = contextOf(call);
  context.pollDeadline();
  if (!charge(context, bytes))
    return nullptr;
  const lathe_allocator &allocator = context.options.allocator;
  uint64_t total = bytes + sizeof(DynamicBlock);
  void *memory = bytes <= uint64_t(maxBytes)
                     ? allocator.allocate(allocator.user, total, LATHE_ALIGNMENT)
                     : nullptr;
  if (!memory)
    return refuse(context, Refusal::OutOfMemory, bytes, 0);
  auto *block = static_cast<DynamicBlock *>(memory);
  block->bytes = total;
  block->next = context.dynamicBlocks.load(std::memory_order_relaxed);
  while (!context.dynamicBlocks.compare_exchange_weak(block->next, block, std::memory_order_release,
                                                      std::memory_order_relaxed))
    ;
  return block + 1;
}

void *allocateDevice(lathe_call *call, uint64_t bytes) {
  lathe_context &context = contextOf(call);
  if (!context.module->device)
    return allocate(call, bytes);
  if (context.endsRecording())
    return nullptr;
  context.pollDeadline();
  if (!charge(context, bytes))
    return nullptr;
  void *memory = context.allocateOnDevice(bytes);
  return memory ? memory : refuse(context, Refusal::OutOfMemory, bytes, 0);
}

void *allocateOutput(lathe_call *call, uint32_t index, uint32_t rank, const int64_t *dims) {
  lathe_context &context = contextOf(call);
  if (index >= context.entry->output_count)
    return refuse(context, Refusal::Shape, index, 0);
  if (context.endsRecording())
    return nullptr;
  lathe_value &value = context.outputs[index];
  OutputState &state = context.outputStates[index];
  int64_t elements = -1;
  // The planned rank and dims must be kept where the plan knew them.
  bool fits = rank == value.rank && (dims || !rank);
  for (uint32_t i = 0; fits && i < rank; ++i)
    fits = dims[i] == value.dims[i] ||
           (state.dynamic && value.dims[i] == LATHE_DYNAMIC && dims[i] >= 0 &&
            dims[i] <= context.entry->outputs[index].dims[i].max);
  if (fits)
    elements = countElements(value.dtype, rank, dims);
  if (elements < 0)
    return refuse(context, Refusal::Shape, index, 0);
  if (state.memory != OutputMemory::Unset)
    return value.data; // the same shape as before
  uint64_t bytes = countBytes(value.dtype, elements);
  if (state.fromCaller && bytes > uint64_t(state.callerBytes))
    return refuse(context, Refusal::Capacity, bytes, state.callerBytes);
  if (context.module->device && context.entry->outputs[index].state < 0 &&
      value.kind == LATHE_VALUE_TENSOR && value.dtype != LATHE_C128) {
    value.data = allocateDevice(call, bytes);
    if (!value.data)
      return nullptr;
    state.memory = OutputMemory::Device;
  } else if (state.fromCaller) {
    value.data = state.callerData;
    state.memory = OutputMemory::Caller;
  } else if (context.entry->outputs[index].state >= 0) {
    value.data = context.reserveOutputState(index, bytes);
    if (!value.data)
      return refuse(context, Refusal::OutOfMemory, bytes, 0);
    state.memory = OutputMemory::State;
  } else {
    if (!charge(context, bytes))
      return nullptr;
    value.data = allocateOwned(context.options.allocator, bytes);
    if (!value.data)
      return refuse(context, Refusal::OutOfMemory, bytes, 0);
    state.memory = OutputMemory::Owned;
  }
  for (uint32_t i = 0; i < rank; ++i)
    value.dims[i] = dims[i];
  setStrides(value, context.entry->outputs[index]);
  return value.data;
}

int32_t attend(lathe_call *call, const char *kernel, uint64_t flops, uint64_t bytes) {
  lathe_context &context = contextOf(call);
  if (context.isCancelled())
    return LATHE_CODE_CANCELLED;
  // What the traced kernel took is not known before it is done.
  if (context.module->device)
    if (int32_t code = context.waitForDevice())
      return code;
  int64_t now = nowNs();
  if (context.traced.kernel)
    context.endTraced(now);
  context.traced = {kernel, flops, bytes, now};
  return LATHE_CODE_OK;
}

void runOnExecutor(void *argument) {
  FloatState floatState;
  static_cast<Region *>(argument)->work();
}

void parallel(lathe_call *call, lathe_body body, const uint64_t *args, int64_t count,
              int64_t grain) {
  lathe_context &context = contextOf(call);
  if (count <= 0)
    return;
  // Inside a region the threads are busy: a nested one runs where it is.
  bool nested = context.inRegion.load(std::memory_order_relaxed);
  if (nested) {
    body(args, 0, count);
    return;
  }
  context.pollDeadline();
  const lathe_executor &executor = context.options.executor;
  const lathe_tracer &tracer = context.options.tracer;
  int64_t begin = tracer.region ? nowNs() : 0;
  if (count <= grain || !(context.pool || executor.parallel)) {
    body(args, 0, count);
  } else {
    uint32_t threads = context.threads();
    Region region(body, args, count, grain, threads);
    context.inRegion.store(true, std::memory_order_relaxed);
    if (context.pool)
      context.pool->run(region);
    else
      executor.parallel(executor.user, threads, runOnExecutor, &region);
    region.work(); // what an executor may have left
    context.inRegion.store(false, std::memory_order_relaxed);
  }
  if (tracer.region)
    tracer.region(tracer.user, reinterpret_cast<const void *>(body), count, begin, nowNs());
}

int32_t poll(lathe_call *call) {
  lathe_context &context = contextOf(call);
  context.pollDeadline();
  return context.isCancelled() ? LATHE_CODE_CANCELLED : LATHE_CODE_OK;
}

uint32_t threads(lathe_call *call) { return contextOf(call).threads(); }

// What lies behind addresses of inputs and outputs, which compiled code does not say.
void addExtents(const lathe_context &context, uint64_t *args, uint32_t argCount) {
  args[argCount] = DeviceRun::faultBytes;
  auto add = [&](const lathe_value &value, const lathe_tensor_spec &spec) {
    if (value.kind != LATHE_VALUE_TENSOR || spec.state >= 0)
      return;
    auto bytes = uint64_t(std::max<int64_t>(lathe_value_bytes(&value), 0));
    for (uint32_t i = 1; i + 1 < argCount; ++i)
      if (args[i] == reinterpret_cast<uint64_t>(value.data))
        args[argCount + i] = std::max(args[argCount + i], bytes);
  };
  for (uint32_t i = 0; i < context.entry->input_count; ++i)
    add(context.inputs[i], context.entry->inputs[i]);
  for (uint32_t i = 0; i < context.entry->output_count; ++i)
    add(context.outputs[i], context.entry->outputs[i]);
}

int32_t launch(lathe_call *call, uint32_t kernel, uint64_t *args, uint32_t argCount,
               int64_t count) {
  lathe_context &context = contextOf(call);
  lathe_device *device = context.module->device;
  if (!device || kernel >= context.module->deviceCode->kernel_count || !argCount ||
      argCount != context.module->deviceCode->kernels[kernel].arg_count)
    return LATHE_CODE_DEVICE;
  args[0] = reinterpret_cast<uint64_t>(context.deviceRun.deviceFaults());
  context.deviceRun.seenBegin = context.deviceRun.seenEnd = nullptr;
  context.pollDeadline();
  if (count <= 0)
    return LATHE_CODE_OK;
  if (device->ops->takesExtents && context.module->deviceCode->flags & LATHE_DEVICE_EXTENTS)
    addExtents(context, args, argCount);
  return device->ops->launch(context.deviceRun.queue, context.module->program, call, kernel, args,
                             argCount, count);
}

int32_t copy(lathe_call *call, void *to, const void *from, uint64_t bytes, uint32_t direction) {
  lathe_context &context = contextOf(call);
  context.pollDeadline();
  if (!context.module->device) {
    if (bytes)
      memcpy(to, from, bytes);
    return LATHE_CODE_OK;
  }
  return context.copyTo(static_cast<char *>(to), static_cast<const char *>(from), bytes, direction);
}

} // namespace

const lathe_services lathe::runtime::services = {LATHE_ABI_VERSION,
                                                 sizeof(lathe_services),
                                                 parallel,
                                                 allocate,
                                                 allocateOutput,
                                                 attend,
                                                 poll,
                                                 threads,
                                                 launch,
                                                 copy,
                                                 allocateDevice,
                                                 {}};

void lathe_context::pollDeadline() {
  uint32_t none = notCancelled();
  int64_t end = deadline.load(std::memory_order_relaxed);
  if (end && nowNs() >= end)
    cancel.compare_exchange_strong(none, none | CancelledByDeadline, std::memory_order_relaxed);
}

void lathe_context::endTraced(int64_t now) {
  options.tracer.dispatch(options.tracer.user, traced.kernel, traced.flops, traced.bytes,
                          traced.begin, now);
  traced.kernel = nullptr;
}
