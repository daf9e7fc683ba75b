// What a context says about runs: memory ahead, warming up, statistics.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Context.h"
#include "runtime/Core/Options.h"
#include "runtime/Core/Value.h"

#include <algorithm>
#include <sys/mman.h>
#include <unistd.h>

using namespace lathe::runtime;

namespace {

// Reads, or writes zeros to, one byte of every page.
void touchPages(const char *memory, uint64_t bytes, bool write) {
  uint64_t page = sysconf(_SC_PAGESIZE);
  for (uint64_t at = 0; at < bytes; at += page) {
    auto *byte = const_cast<volatile char *>(memory + at);
    if (write)
      *byte = 0;
    else
      (void)*byte;
  }
}

} // namespace

uint64_t lathe_context::stateBytes(const lathe_value *given) const {
  uint64_t total = 0;
  for (State &state : states) {
    auto number = int32_t(&state - states.begin());
    uint64_t capacity[2] = {state.capacity[0], state.capacity[1]};
    auto grow = [&](uint32_t slot, StateSize size) {
      if (size.bytes >= 0)
        capacity[slot] = stateCapacity(capacity[slot], size.bytes, size.exact);
    };
    for (uint32_t i = 0; i < entry->input_count; ++i) {
      const lathe_tensor_spec &spec = entry->inputs[i];
      if (spec.state != number)
        continue;
      bool capacityLayout = spec.layout == LATHE_LAYOUT_CAPACITY;
      // A tensor in its place is read where it is, unless the state grows where it lies.
      if (given[i].kind == LATHE_VALUE_NONE ? state.value.kind == LATHE_VALUE_NONE : capacityLayout)
        grow(capacityLayout ? 0 : state.current, inputStateSize(spec, inputs[i]));
    }
    for (uint32_t i = 0; i < entry->output_count; ++i)
      if (entry->outputs[i].state == number && !outputStates[i].dynamic)
        grow(nextSlot(state, entry->outputs[i]),
             outputStateSize(entry->outputs[i], lathe_value_bytes(&outputs[i])));
    total += capacity[0] + capacity[1];
  }
  return total;
}

int32_t lathe_context::queryMemory(const lathe_entry &newEntry, const lathe_value *given,
                                   uint32_t inputCount, lathe_memory_info &info,
                                   lathe_status *status) {
  info = lathe_memory_info();
  uint64_t needed = 0;
  if (int32_t code = plan(newEntry, given, inputCount, false, needed, status))
    return code;
  info.dynamic = call.flags & LATHE_CALL_ALLOCATES ? 1 : 0;
  info.arena_bytes = options.arena ? 0 : std::max(needed, arenaBytes);
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    info.dynamic |= outputStates[i].dynamic || outputs[i].kind != LATHE_VALUE_TENSOR;
    if (entry->outputs[i].state < 0 && !outputStates[i].dynamic &&
        outputs[i].kind == LATHE_VALUE_TENSOR)
      info.output_bytes += ownedBytes(lathe_value_bytes(&outputs[i]));
  }
  info.state_bytes = stateBytes(given);
  info.peak_bytes = info.arena_bytes + info.output_bytes + info.state_bytes;
  return LATHE_STATUS_OK;
}

int32_t lathe_context::warmUp(const lathe_entry &newEntry, const lathe_value *given,
                              uint32_t inputCount, lathe_status *status) {
  uint64_t needed = 0;
  if (int32_t code = plan(newEntry, given, inputCount, false, needed, status))
    return code;
  if (int32_t code = reserve(needed, status))
    return code;
  if (!module->device) {
    touchPages(arena, arenaBytes, true);
    touchPages(module->weights, module->chosen->weights_bytes, false);
  }
  for (uint32_t i = 0; i < entry->output_count; ++i)
    if (entry->outputs[i].state >= 0 && entry->outputs[i].layout == LATHE_LAYOUT_CAPACITY)
      return succeed(status);
  warming = true;
  int32_t code = run(newEntry, given, inputCount, nullptr, status);
  warming = false;
  return code;
}

int32_t lathe_context_memory(lathe_context *context, uint32_t index, const lathe_value *inputs,
                             uint32_t inputCount, lathe_memory_info *info, lathe_status *status) {
  if (!context || !info)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", context ? "info" : "context");
  Occupy occupied(context, status);
  const lathe_entry *entry = occupied.findEntry(index, status);
  if (!entry)
    return LATHE_STATUS_ARGUMENT;
  lathe_memory_info filled;
  if (int32_t code = context->queryMemory(*entry, inputs, inputCount, filled, status))
    return code;
  return answer(info, "lathe_memory_info", filled, status);
}

int32_t lathe_context_warm_up(lathe_context *context, uint32_t index, const lathe_value *inputs,
                              uint32_t inputCount, lathe_status *status) {
  Occupy occupied(context, status);
  const lathe_entry *entry = occupied.findEntry(index, status);
  if (!entry)
    return LATHE_STATUS_ARGUMENT;
  return context->warmUp(*entry, inputs, inputCount, status);
}

int32_t lathe_context_statistics(const lathe_context *context, lathe_statistics *statistics,
                                 lathe_status *status) {
  if (!context || !statistics)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", context ? "statistics" : "context");
  const Statistics &from = context->statistics;
  lathe_statistics filled = {};
  filled.runs = from.runs.read();
  filled.failures = from.failures.read();
  filled.cancelled = from.cancelled.read();
  filled.late = from.late.read();
  filled.prepare_ns = from.prepareNs.read();
  filled.run_ns = from.runNs.read();
  filled.finish_ns = from.finishNs.read();
  filled.longest_ns = from.longestNs.read();
  return answer(statistics, "lathe_statistics", filled, status);
}
