// Contexts: creation, arena, cancellation.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Context.h"
#include "runtime/Core/Device.h"
#include "runtime/Core/Options.h"

#include <algorithm>

using namespace lathe::runtime;

namespace {

constexpr uint64_t defaultDynamicLimit = uint64_t(1) << 30;

int32_t readContextOptions(const lathe_context_options *given, lathe_context_options &options,
                           lathe_status *status) {
  if (int32_t code = readOptions(given, "lathe_context_options",
                                 offsetof(lathe_context_options, pool), options, status))
    return code;
  if (stateOf(options.allocator) == AllocatorState::Partial)
    return fail(status, LATHE_STATUS_ARGUMENT, "the allocator lacks allocate or release");
  if (stateOf(options.allocator) == AllocatorState::None)
    options.allocator = defaultAllocator;
  if (options.executor.parallel && (options.executor.width == 0 || options.pool))
    return fail(status, LATHE_STATUS_ARGUMENT, "%s",
                options.pool ? "both a pool and an executor are given"
                             : "the executor's width is 0");
  if (!options.executor.parallel && options.executor.width)
    return fail(status, LATHE_STATUS_ARGUMENT, "the executor has width %u but no parallel",
                options.executor.width);
  if (options.stream && options.submit)
    return fail(status, LATHE_STATUS_ARGUMENT, "both a stream and submit are given");
  // What a caller gets whose own allocation has failed.
  if (!options.arena && options.arena_bytes)
    return fail(status, LATHE_STATUS_ARGUMENT, "the arena of %llu bytes is NULL",
                static_cast<unsigned long long>(options.arena_bytes));
  if (reinterpret_cast<uint64_t>(options.arena) % LATHE_ALIGNMENT)
    return fail(status, LATHE_STATUS_ARGUMENT, "the arena is not aligned to %u bytes",
                LATHE_ALIGNMENT);
  if (!options.dynamic_limit)
    options.dynamic_limit = defaultDynamicLimit;
  return LATHE_STATUS_OK;
}

} // namespace

int32_t lathe_context::create(lathe_module &owner, const lathe_context_options &given,
                              lathe_status *status) {
  options = given;
  cancel.store(notCancelled(), std::memory_order_relaxed);
  module = &owner;
  module->retain();
  uint32_t inputCount = 0, outputCount = 0, symbolCount = 0;
  for (uint32_t i = 0; i < owner.chosen->entry_count; ++i) {
    inputCount = std::max(inputCount, owner.chosen->entries[i].input_count);
    outputCount = std::max(outputCount, owner.chosen->entries[i].output_count);
    symbolCount = std::max(symbolCount, owner.layouts[i].symbolCount);
  }
  if (!inputs.create(inputCount) || !outputs.create(outputCount) ||
      !outputStates.create(outputCount) || !symbolSizes.create(symbolCount) ||
      !states.create(owner.chosen->state_count) || !stateMemory.create(owner.chosen->state_count))
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  if (int32_t code = openDevice(status))
    return code;
  if (options.arena) {
    arena = static_cast<char *>(options.arena);
    arenaBytes = options.arena_bytes;
  }
  return createPool(status);
}

int32_t lathe_context::createPool(lathe_status *status) {
  if (options.executor.parallel)
    return LATHE_STATUS_OK;
  if (options.pool) {
    pool = options.pool->threads() > 1 ? options.pool : nullptr;
    return LATHE_STATUS_OK;
  }
  uint32_t threads = options.threads ? options.threads : lathe_host_processors();
  if (threads == 1)
    return LATHE_STATUS_OK;
  if (int32_t code = lathe_pool_create(threads, &pool, status))
    return code;
  ownsPool = true;
  return LATHE_STATUS_OK;
}

lathe_context::~lathe_context() {
  endAsync(*this);
  if (ownsPool)
    lathe_pool_destroy(pool);
  if (ownsArena)
    workAllocator.release(workAllocator.user, arena, arenaBytes);
  for (State &state : states)
    releaseState(state, stateAllocator);
  closeDevice();
  if (module)
    module->release();
}

int32_t lathe_context::reserve(uint64_t bytes, lathe_status *status) {
  if (bytes <= arenaBytes)
    return LATHE_STATUS_OK;
  if (options.arena)
    return fail(status, LATHE_STATUS_ARENA, "the arena has %llu bytes where %llu are needed",
                static_cast<unsigned long long>(arenaBytes),
                static_cast<unsigned long long>(bytes));
  // The old one goes first: both together would double the peak.
  if (ownsArena)
    workAllocator.release(workAllocator.user, arena, arenaBytes);
  uint64_t before = arenaBytes;
  arenaBytes = 0;
  arena = nullptr;
  ownsArena = false;
  void *memory = bytes <= uint64_t(maxBytes)
                     ? workAllocator.allocate(workAllocator.user, bytes, LATHE_ALIGNMENT)
                     : nullptr;
  if (!memory) {
    char why[400] = "";
    int32_t code = LATHE_STATUS_MEMORY;
    if (module->device && bytes <= uint64_t(maxBytes))
      code = module->device->explainRefusal(why, sizeof(why));
    return fail(status, code, "an arena of %llu bytes could not be allocated%s",
                static_cast<unsigned long long>(bytes), why);
  }
  arena = static_cast<char *>(memory);
  arenaBytes = bytes;
  ownsArena = true;
  if (options.logger.log) {
    char text[96];
    TextBuilder(text, sizeof(text))
        .add("the arena grew from %llu to %llu bytes", static_cast<unsigned long long>(before),
             static_cast<unsigned long long>(bytes));
    log(LATHE_LOG_INFO, text);
  }
  return LATHE_STATUS_OK;
}

int32_t lathe_context_create(lathe_module *module, const lathe_context_options *given,
                             lathe_context **context, lathe_status *status) {
  if (!module || !context)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", module ? "context" : "module");
  if (!module->chosen)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "the module was opened with LATHE_MODULE_INSPECT and cannot run");
  lathe_context_options options;
  if (int32_t code = readContextOptions(given, options, status))
    return code;
  auto *result = createObject<lathe_context>();
  if (!result)
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  if (int32_t code = result->create(*module, options, status)) {
    destroyObject(result);
    return code;
  }
  *context = result;
  return succeed(status);
}

void lathe_context_reset(lathe_context *context) {
  Occupy occupied(context);
  if (!occupied)
    return; // the run in progress keeps what it reads
  for (State &state : context->states)
    state.value = lathe_value();
}

void lathe_context_destroy(lathe_context *context) { destroyObject(context); }

void lathe_context_cancel(lathe_context *context) {
  if (context)
    context->cancel.store(context->notCancelled() | CancelledByCaller, std::memory_order_relaxed);
}

void lathe_context_resume(lathe_context *context) {
  if (context)
    context->cancel.store(context->notCancelled(), std::memory_order_relaxed);
}

void lathe_context_deadline(lathe_context *context, int64_t monotonicNs) {
  if (context)
    context->deadline.store(monotonicNs, std::memory_order_relaxed);
}

uint64_t lathe_context_arena_bytes(const lathe_context *context) {
  return context ? context->arenaBytes : 0;
}

uint32_t lathe_context_threads(const lathe_context *context) {
  return context ? context->threads() : 0;
}
