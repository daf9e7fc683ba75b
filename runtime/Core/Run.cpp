// Planning and running an entry.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Clock.h"
#include "runtime/Core/Context.h"
#include "runtime/Core/Device.h"
#include "runtime/Core/OwnedBlocks.h"
#include "runtime/Core/Value.h"
#include "runtime/Cpu/FloatState.h"

#include <cstring>

using namespace lathe::runtime;

namespace {

// Stands in for the data of tensors without elements.
alignas(LATHE_ALIGNMENT) char emptyData[LATHE_ALIGNMENT];

// What a code of compiled code means, where no site tells more.
const char *describe(int32_t code) {
  static constexpr const char *texts[] = {
      "no error",
      "the shape of an input does not fit the model",
      "an index is out of range",
      "an integer is divided by zero, or the quotient overflows",
      "a tensor cannot be reshaped as asked",
      "a size is negative or too large",
      "memory was refused",
      "the run was cancelled",
      "a loop runs too often",
      "a string is not what it must be",
      "the device failed",
  };
  bool known = code >= 0 && size_t(code) < sizeof(texts) / sizeof(texts[0]);
  return known ? texts[code] : "compiled code returned an unknown code";
}

// Writes a site's message with %0 to %5 replaced.
void addMessage(TextBuilder &builder, const char *message, const int64_t *args) {
  while (*message) {
    unsigned index = unsigned(message[1]) - '0';
    if (message[0] == '%' && index < LATHE_ERROR_ARGS) {
      builder.add("%lld", static_cast<long long>(args[index]));
      message += 2;
      continue;
    }
    size_t length = 1 + strcspn(message + 1, "%");
    builder.add("%.*s", int(length), message);
    message += length;
  }
}

// A piece of memory.
struct Range {
  const void *data;
  int64_t bytes;

  bool meets(const Range &other) const {
    auto begin = reinterpret_cast<uint64_t>(data), end = begin + uint64_t(bytes);
    auto from = reinterpret_cast<uint64_t>(other.data);
    return bytes > 0 && other.bytes > 0 && from < end && begin < from + uint64_t(other.bytes);
  }

  // A value, or what it holds: items, or the bytes of strings. It was checked before.
  bool meetsValue(const lathe_value &value) const {
    if (isContainer(value.kind)) {
      auto *items = static_cast<const lathe_value *>(value.data);
      if (meets({items, value.dims[0] * int64_t(sizeof(lathe_value))}))
        return true;
      for (int64_t i = 0; i < value.dims[0]; ++i)
        if (meetsValue(items[i]))
          return true;
      return false;
    }
    if (meets({value.data, lathe_value_bytes(&value)}))
      return true;
    if (value.dtype != LATHE_STRING)
      return false;
    auto *strings = static_cast<const lathe_string *>(value.data);
    for (int64_t i = 0, count = lathe_value_elements(&value); i < count; ++i)
      if (meets({strings[i].data, int64_t(strings[i].size)}))
        return true;
    return false;
  }
};

void addRefusal(TextBuilder &builder, const Refusal &refusal) {
  unsigned long long wanted = refusal.wanted, available = refusal.available;
  switch (refusal.kind.load(std::memory_order_acquire)) {
  case Refusal::OverLimit:
    builder.add(": %llu bytes are wanted where dynamic_limit leaves %llu", wanted, available);
    break;
  case Refusal::OutOfMemory:
    builder.add(": the allocator refused %llu bytes", wanted);
    break;
  case Refusal::Capacity:
    builder.add(": an output needs %llu bytes where the caller gave %llu", wanted, available);
    break;
  case Refusal::Shape:
    builder.add(": output %llu got a shape that contradicts the plan", wanted);
    break;
  }
}

} // namespace

int32_t lathe_context::plan(const lathe_entry &newEntry, const lathe_value *given,
                            uint32_t inputCount, bool needData, uint64_t &planned,
                            lathe_status *status) {
  entry = &newEntry;
  if (int32_t code = checkInputs(given, inputCount, needData, status))
    return code;
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    const lathe_tensor_spec &spec = entry->outputs[i];
    outputs[i] = lathe_value();
    outputs[i].kind = spec.kind;
    outputs[i].dtype = spec.dtype;
    outputs[i].rank = spec.rank;
    for (uint32_t d = 0; d < spec.rank; ++d)
      outputs[i].dims[d] = spec.dims[d].size;
    outputStates[i] = OutputState();
    outputStates[i].isContainer = isContainer(spec.kind);
  }
  error = lathe_error();
  refusal.kind.store(Refusal::None, std::memory_order_relaxed);
  call = lathe_call();
  call.abi_version = LATHE_ABI_VERSION;
  call.inputs = inputs.data();
  call.outputs = outputs.data();
  call.weights = module->weights;
  call.services = &services;
  call.runtime = this;
  call.cancel = reinterpret_cast<const volatile uint32_t *>(&cancel);
  call.error = &error;
  for (size_t i = 0; i < states.size(); ++i)
    stateMemory[i] = states[i].memory[states[i].current];
  call.states = stateMemory.data();

  lathe_plan result = {};
  int32_t code;
  {
    FloatState floatState;
    code = entry->plan(&call, &result);
  }
  if (code || error.code)
    return convertError(code, status);
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    lathe_value &value = outputs[i];
    if (value.rank != entry->outputs[i].rank)
      return fail(status, LATHE_STATUS_MODEL, "output '%.200s': planned with rank %u, declared %u",
                  entry->outputs[i].name, value.rank, entry->outputs[i].rank);
    for (uint32_t d = 0; d < value.rank; ++d)
      outputStates[i].dynamic |= value.dims[d] == LATHE_DYNAMIC;
    if (outputStates[i].dynamic)
      continue;
    if (countElements(value.dtype, value.rank, value.dims) < 0)
      return fail(status, LATHE_STATUS_SIZE, "output '%.200s': dims %s are negative or too large",
                  entry->outputs[i].name, DimsText(value.rank, value.dims).text);
    setStrides(value, entry->outputs[i]);
  }
  planned = result.arena_bytes;
  return LATHE_STATUS_OK;
}

int32_t lathe_context::run(const lathe_entry &newEntry, const lathe_value *given,
                           uint32_t inputCount, lathe_value *results, lathe_status *status) {
  RunTimes times = {};
  times.begin = nowNs();
  int32_t code = prepare(newEntry, given, inputCount, results, status);
  times.prepared = nowNs();
  if (!code) {
    pinValues();
    code = module->device ? stage(status) : int32_t(LATHE_STATUS_OK);
    bool isStaged = module->device && !code;
    if (!code)
      code = execute(status);
    if (isStaged)
      code = unstage(code, status);
    code = unpinValues(code, status);
  }
  times.executed = nowNs();
  code = finish(code, results, status);
  times.end = nowNs();
  if (!warming)
    statistics.count(code, times);
  return code;
}

// Checks and plans, and settles where everything lies.
int32_t lathe_context::prepare(const lathe_entry &newEntry, const lathe_value *given,
                               uint32_t inputCount, const lathe_value *results,
                               lathe_status *status) {
  prepared = false;
  uint64_t needed = 0;
  if (int32_t code = plan(newEntry, given, inputCount, true, needed, status))
    return code;
  if (int32_t code = reserve(needed, status))
    return code;
  for (uint32_t i = 0; i < entry->input_count; ++i)
    if (!inputs[i].data)
      inputs[i].data = emptyData;
  dynamicBytes.store(0, std::memory_order_relaxed);
  prepared = true;
  static constexpr lathe_value nothing = {};
  for (uint32_t i = 0; i < entry->output_count; ++i)
    if (int32_t code = bindOutput(i, results ? results[i] : nothing, status))
      return code;
  for (uint32_t i = 0; i < entry->output_count; ++i)
    if (outputStates[i].callerData)
      if (int32_t code = checkOverlap(i, status))
        return code;
  return LATHE_STATUS_OK;
}

// Debug builds notice what the caller releases although the run uses it.
void lathe_context::pinValues() const {
  for (uint32_t i = 0; i < entry->input_count; ++i)
    pinOwnedBlock(inputs[i].data);
  for (uint32_t i = 0; i < entry->output_count; ++i)
    pinOwnedBlock(outputStates[i].callerData);
}

int32_t lathe_context::unpinValues(int32_t code, lathe_status *status) const {
  auto unpin = [&](const void *data, const char *which, const char *name) {
    void *toFree = nullptr;
    if (!unpinOwnedBlock(data, toFree))
      return;
    if (!code)
      code = fail(status, LATHE_STATUS_LAYOUT,
                  "%s '%.200s': its memory was released while the run used it", which, name);
    if (toFree)
      freeOwned(toFree);
  };
  for (uint32_t i = 0; i < entry->input_count; ++i)
    unpin(inputs[i].data, "input", entry->inputs[i].name);
  for (uint32_t i = 0; i < entry->output_count; ++i)
    unpin(outputStates[i].callerData, "output", entry->outputs[i].name);
  return code;
}

// Hands the outputs over, or frees them where the run has failed or only warms up.
int32_t lathe_context::finish(int32_t code, lathe_value *results, lathe_status *status) {
  if (!prepared)
    return code; // and nothing was allocated
  for (uint32_t i = 0; i < entry->output_count && !code; ++i)
    if (outputs[i].kind == LATHE_VALUE_STRINGS || outputStates[i].isContainer)
      code = ownCopy(i, status);
  releaseDynamic();
  if (code || !results) {
    releaseOutputs();
    return code ? code : succeed(status);
  }
  keepStates();
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    uint32_t device = outputStates[i].memory == OutputMemory::Owned ? LATHE_VALUE_OWNED
                      : outputStates[i].memory == OutputMemory::State
                          ? 0
                          : results[i].device & LATHE_VALUE_OWNED;
    void *data = outputStates[i].fromCaller ? results[i].data : outputs[i].data;
    results[i] = outputs[i];
    results[i].device = device;
    results[i].data = data;
  }
  return succeed(status);
}

// Settles where an output goes: the caller's memory, memory for the caller, or, where its size
// depends on data, later.
int32_t lathe_context::bindOutput(uint32_t index, const lathe_value &given, lathe_status *status) {
  lathe_value &value = outputs[index];
  OutputState &state = outputStates[index];
  const char *name = entry->outputs[index].name;
  state.memory = OutputMemory::Unset;
  if (entry->outputs[index].state >= 0)
    return bindState(index, given, status);
  if (given.kind == LATHE_VALUE_NONE) {
    if (state.isContainer)
      value.kind = LATHE_VALUE_NONE; // until compiled code writes it
    if (state.dynamic || state.isContainer)
      return LATHE_STATUS_OK;
    uint64_t bytes = lathe_value_bytes(&value);
    value.data = allocateOwned(options.allocator, bytes);
    if (!value.data)
      return fail(status, LATHE_STATUS_MEMORY, "output '%.200s': %llu bytes could not be allocated",
                  name, static_cast<unsigned long long>(bytes));
    state.memory = OutputMemory::Owned;
    return LATHE_STATUS_OK;
  }
  if (value.kind == LATHE_VALUE_STRINGS || state.isContainer)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "output '%.200s': a %s is allocated by the runtime; leave its value zero", name,
                kindName(value.kind));
  if (given.kind != value.kind || given.dtype != value.dtype)
    return fail(status, LATHE_STATUS_TYPE,
                "output '%.200s': a %s of %s is given where the model writes a %s of %s; zero the "
                "value to have it allocated",
                name, kindName(given.kind), dtypeName(given.dtype), kindName(value.kind),
                dtypeName(value.dtype));
  bool fits = given.rank == value.rank;
  for (uint32_t d = 0; fits && !state.dynamic && d < value.rank; ++d)
    fits = given.dims[d] == value.dims[d];
  int64_t bytes = lathe_value_bytes(&given);
  if (!fits || bytes < 0)
    return fail(status, LATHE_STATUS_SHAPE,
                "output '%.200s': dims %s are given where the model writes %s", name,
                DimsText(given.rank, given.dims).text, DimsText(value.rank, value.dims).text);
  if (given.device & ~LATHE_VALUE_OWNED)
    return fail(status, LATHE_STATUS_LAYOUT,
                "output '%.200s': it is on device %u where this runtime takes host memory", name,
                given.device & ~LATHE_VALUE_OWNED);
  if (!isContiguous(given))
    return fail(status, LATHE_STATUS_LAYOUT,
                "output '%.200s': strides %s for dims %s are not contiguous", name,
                DimsText(given.rank, given.strides).text, DimsText(given.rank, given.dims).text);
  if (!given.data && bytes)
    return fail(status, LATHE_STATUS_LAYOUT, "output '%.200s': its data is NULL", name);
  if (!isAlive(given))
    return fail(status, LATHE_STATUS_LAYOUT,
                "output '%.200s': its memory was released, or is too small for dims %s", name,
                DimsText(given.rank, given.dims).text);
  uint64_t alignment = elementAlignment(value.dtype);
  if (reinterpret_cast<uint64_t>(given.data) % alignment)
    return fail(status, LATHE_STATUS_LAYOUT,
                "output '%.200s': its data is not aligned to %llu bytes", name,
                static_cast<unsigned long long>(alignment));
  state.fromCaller = true;
  state.callerData = given.data ? given.data : emptyData;
  state.callerBytes = bytes;
  if (!state.dynamic) {
    value.data = state.callerData;
    state.memory = OutputMemory::Caller;
  }
  return LATHE_STATUS_OK;
}

// Strings that compiled code wrote, and what a sequence, an optional or a map holds, lie in the
// inputs, in the artifact and in the run's memory: the caller gets copies, in one block.
int32_t lathe_context::ownCopy(uint32_t index, lathe_status *status) {
  lathe_value &value = outputs[index];
  OutputState &state = outputStates[index];
  if (value.kind != entry->outputs[index].kind)
    return fail(status, LATHE_STATUS_MODEL, "output '%.200s': compiled code did not write it",
                entry->outputs[index].name);
  lathe_value copy;
  uint64_t bytes = copiedBytes(value);
  void *memory = allocateOwned(options.allocator, bytes);
  if (!memory)
    return fail(status, LATHE_STATUS_MEMORY, "output '%.200s': %llu bytes could not be allocated",
                entry->outputs[index].name, static_cast<unsigned long long>(bytes));
  copyInto(value, static_cast<char *>(memory), copy);
  if (state.memory == OutputMemory::Owned)
    releaseOwned(value.data);
  value = copy;
  state.memory = OutputMemory::Owned;
  return LATHE_STATUS_OK;
}

int32_t lathe_context::bindState(uint32_t index, const lathe_value &given, lathe_status *status) {
  const lathe_tensor_spec &spec = entry->outputs[index];
  if (given.kind != LATHE_VALUE_NONE)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "output '%.200s': it is a state and stays in the context; leave its value zero",
                spec.name);
  lathe_value &value = outputs[index];
  OutputState &output = outputStates[index];
  if (output.dynamic)
    return LATHE_STATUS_OK; // when its size is known
  for (uint32_t d = 0; d < spec.rank; ++d)
    if (spec.dims[d].size == LATHE_DYNAMIC && value.dims[d] > spec.dims[d].max)
      return fail(status, LATHE_STATUS_SHAPE,
                  "output '%.200s': dim %u would be %lld where the state holds %lld; "
                  "lathe_context_reset begins anew",
                  spec.name, d, static_cast<long long>(value.dims[d]),
                  static_cast<long long>(spec.dims[d].max));
  uint64_t bytes = lathe_value_bytes(&value);
  value.data = reserveOutputState(index, bytes);
  if (!value.data)
    return fail(status, LATHE_STATUS_MEMORY, "state '%.200s': %llu bytes could not be allocated",
                spec.name, static_cast<unsigned long long>(bytes));
  output.memory = OutputMemory::State;
  output.callerData = value.data;
  output.callerBytes = bytes;
  return LATHE_STATUS_OK;
}

void *lathe_context::reserveOutputState(uint32_t index, uint64_t bytes) {
  const lathe_tensor_spec &spec = entry->outputs[index];
  State &state = states[spec.state];
  return reserveState(state, nextSlot(state, spec), outputStateSize(spec, bytes), stateAllocator);
}

// The run has succeeded: what it wrote is what the next one finds.
void lathe_context::keepStates() {
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    const lathe_tensor_spec &spec = entry->outputs[i];
    if (spec.state < 0)
      continue;
    State &state = states[spec.state];
    state.current = nextSlot(state, spec);
    state.value = outputs[i];
  }
}

int32_t lathe_context::checkOverlap(uint32_t index, lathe_status *status) const {
  const OutputState &state = outputStates[index];
  Range output = {state.callerData, state.callerBytes};
  const lathe_tensor_spec &spec = entry->outputs[index];
  for (uint32_t i = 0; i < entry->input_count; ++i)
    if (output.meetsValue(inputs[i]) &&
        !((spec.alias == int32_t(i) || spec.layout == LATHE_LAYOUT_CAPACITY) &&
          inputs[i].data == state.callerData))
      return fail(status, LATHE_STATUS_LAYOUT,
                  "output '%.200s': it shares memory with input '%.200s'", spec.name,
                  entry->inputs[i].name);
  for (uint32_t i = 0; i < index; ++i)
    if (outputStates[i].callerData &&
        output.meets({outputStates[i].callerData, outputStates[i].callerBytes}))
      return fail(status, LATHE_STATUS_LAYOUT,
                  "output '%.200s': it shares memory with output '%.200s'", spec.name,
                  entry->outputs[i].name);
  if (output.meets({arena, int64_t(arenaBytes)}))
    return fail(status, LATHE_STATUS_LAYOUT, "output '%.200s': it shares memory with the arena",
                spec.name);
  return LATHE_STATUS_OK;
}

int32_t lathe_context::execute(lathe_status *status) {
  call.arena = arena ? arena : emptyData;
  call.arena_bytes = arenaBytes;
  int32_t code = LATHE_CODE_OK;
  pollDeadline();
  if (isCancelled()) {
    code = LATHE_CODE_CANCELLED;
  } else {
    FloatState floatState;
    code = module->device ? runOnDevice() : entry->run(&call);
    if (traced.kernel)
      endTraced(nowNs());
  }
  // Read once: the caller may cancel, or resume, at any time.
  uint32_t reason = notCancelled() | CancelledByDeadline;
  bool late = cancel.compare_exchange_strong(reason, notCancelled(), std::memory_order_relaxed);
  if (late && (code == LATHE_CODE_CANCELLED || error.code == LATHE_CODE_CANCELLED))
    return fail(status, LATHE_STATUS_DEADLINE, "the deadline of the run has passed");
  if (code || error.code)
    return convertError(code, status);
  for (uint32_t i = 0; i < entry->output_count; ++i)
    if (outputStates[i].memory == OutputMemory::Unset && !outputStates[i].isContainer)
      return fail(status, LATHE_STATUS_MODEL, "output '%.200s': compiled code did not write it",
                  entry->outputs[i].name);
  return LATHE_STATUS_OK;
}

// The record was claimed by the first failure; the return code alone knows no site.
int32_t lathe_context::convertError(int32_t returned, lathe_status *status) {
  int32_t code = error.code ? error.code : returned;
  bool known = code >= LATHE_CODE_SHAPE && code <= LATHE_CODE_DEVICE;
  fail(status, known ? code : int32_t(LATHE_STATUS_MODEL), "%s", describe(code));
  if (!status)
    return known ? code : int32_t(LATHE_STATUS_MODEL);
  TextBuilder builder(status->message, sizeof(status->message));
  if (code == LATHE_CODE_CANCELLED) {
    builder.add("%s", describe(code));
    return status->code;
  }
  if (error.code && error.site < module->table->site_count) {
    status->site = error.site;
    memcpy(status->args, error.args, sizeof(status->args));
    addMessage(builder, module->table->sites[error.site].message, error.args);
  } else {
    builder.add("%s", describe(code));
    if (!known)
      builder.add(" (%d)", code);
  }
  if (code == LATHE_CODE_MEMORY)
    addRefusal(builder, refusal);
  if (code == LATHE_CODE_MEMORY && refusal.kind == Refusal::OutOfMemory && module->device) {
    char why[400];
    if (module->device->explainRefusal(why, sizeof(why)) == LATHE_STATUS_DEVICE)
      status->code = LATHE_STATUS_DEVICE;
    builder.add("%s", why);
  }
  if (code == LATHE_CODE_DEVICE) {
    char why[512];
    explainDevice(why, sizeof(why));
    builder.add("%s%s", *why ? ": " : "", why);
  }
  return status->code;
}

void lathe_context::releaseDynamic() {
  DynamicBlock *block = dynamicBlocks.exchange(nullptr, std::memory_order_acquire);
  while (block) {
    DynamicBlock *next = block->next;
    options.allocator.release(options.allocator.user, block, block->bytes);
    block = next;
  }
  releaseOnDevice();
}

void lathe_context::releaseOutputs() {
  for (uint32_t i = 0; i < entry->output_count; ++i)
    if (outputStates[i].memory == OutputMemory::Owned) {
      releaseOwned(outputs[i].data);
      outputStates[i].memory = OutputMemory::Unset;
    }
}

const lathe_entry *lathe_context::findEntry(uint32_t index, lathe_status *status) const {
  const lathe_variant &variant = *module->chosen;
  if (index < variant.entry_count)
    return &variant.entries[index];
  fail(status, LATHE_STATUS_ARGUMENT, "entry %u does not exist; there are %u", index,
       variant.entry_count);
  return nullptr;
}

int32_t lathe_context::checkOutputCount(const lathe_entry &called, const lathe_value *given,
                                        uint32_t count, lathe_status *status) const {
  if (count == called.output_count && (given || !count))
    return LATHE_STATUS_OK;
  return fail(status, LATHE_STATUS_ARGUMENT,
              "%u outputs are given%s where entry '%.100s' writes %u", count,
              given ? "" : " as NULL", called.name, called.output_count);
}

int32_t lathe_context::checkInputCount(const lathe_entry &called, const lathe_value *given,
                                       uint32_t count, lathe_status *status) const {
  if (count != called.input_count)
    return fail(status, LATHE_STATUS_ARGUMENT, "%u inputs are given where entry '%.100s' takes %u",
                count, called.name, called.input_count);
  if (count && !given)
    return fail(status, LATHE_STATUS_ARGUMENT, "inputs is NULL");
  return LATHE_STATUS_OK;
}

int32_t lathe_context_plan(lathe_context *context, uint32_t index, const lathe_value *inputs,
                           uint32_t inputCount, lathe_value *outputs, uint64_t *arenaBytes,
                           lathe_status *status) {
  Occupy occupied(context, status);
  const lathe_entry *entry = occupied.findEntry(index, status);
  if (!entry)
    return LATHE_STATUS_ARGUMENT;
  uint64_t needed = 0;
  if (int32_t code = context->plan(*entry, inputs, inputCount, false, needed, status))
    return code;
  if (outputs && entry->output_count)
    memcpy(outputs, context->outputs.data(), entry->output_count * sizeof(lathe_value));
  if (arenaBytes)
    *arenaBytes = needed;
  return succeed(status);
}

int32_t lathe_context_reserve(lathe_context *context, uint64_t bytes, lathe_status *status) {
  Occupy occupied(context, status);
  if (!occupied)
    return LATHE_STATUS_ARGUMENT;
  if (int32_t code = context->reserve(bytes, status))
    return code;
  return succeed(status);
}

int32_t lathe_context_run(lathe_context *context, uint32_t index, const lathe_value *inputs,
                          uint32_t inputCount, lathe_value *outputs, uint32_t outputCount,
                          lathe_status *status) {
  Occupy occupied(context, status);
  const lathe_entry *entry = occupied.findEntry(index, status);
  if (!entry)
    return LATHE_STATUS_ARGUMENT;
  if (int32_t code = context->checkOutputCount(*entry, outputs, outputCount, status))
    return code;
  return context->run(*entry, inputs, inputCount, outputs, status);
}
