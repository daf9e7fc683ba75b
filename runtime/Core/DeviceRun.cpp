// Runs of modules for a device: its memory, and the way of inputs and outputs there and back.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Context.h"
#include "runtime/Core/Device.h"
#include "runtime/Core/Value.h"

#include <cstring>

using namespace lathe::runtime;

namespace {

template <DeviceMemory kind>
void *allocateOnDevice(void *user, uint64_t bytes, uint64_t alignment) {
  auto *device = static_cast<lathe_device *>(user);
  return device->ops->allocate(device, bytes, alignment, kind);
}

template <DeviceMemory kind> void releaseOnDevice(void *user, void *memory, uint64_t bytes) {
  auto *device = static_cast<lathe_device *>(user);
  device->ops->release(device, memory, bytes, kind);
}

template <DeviceMemory kind> lathe_allocator allocatorOf(lathe_device *device) {
  return {device, allocateOnDevice<kind>, releaseOnDevice<kind>};
}

uint64_t aligned(uint64_t bytes) {
  return (bytes + LATHE_ALIGNMENT - 1) / LATHE_ALIGNMENT * LATHE_ALIGNMENT;
}

int32_t refuseMemory(lathe_device *device, lathe_status *status, uint64_t bytes, const char *what) {
  char why[400];
  int32_t code = device->explainRefusal(why, sizeof(why));
  return fail(status, code, "%s has no memory for %llu bytes of %s%s", device->name,
              static_cast<unsigned long long>(bytes), what, why);
}

// Nothing may have no address, which memcpy does not take.
void copyBytes(void *to, const void *from, int64_t bytes) {
  if (bytes > 0)
    memcpy(to, from, bytes);
}

// Kernels on strings, and on numbers as large as those, run on the host, and so does what works
// with values that are no tensors; they need no copy.
bool staysOnHost(const lathe_value &value) {
  return value.kind != LATHE_VALUE_TENSOR || value.dtype == LATHE_C128;
}

} // namespace

void lathe_device_close(lathe_device *device) {
  if (device)
    device->release();
}

const char *lathe_device_name(const lathe_device *device) { return device ? device->name : ""; }

int32_t lathe_module::loadOnDevice(lathe_status *status) {
  if (!deviceCode)
    return LATHE_STATUS_OK;
  const DeviceOps &ops = *device->ops;
  if (int32_t code = ops.load(device, deviceCode, &program, status))
    return code;
  uint64_t bytes = deviceCode->host.weights_bytes;
  if (!bytes)
    return LATHE_STATUS_OK;
  auto *memory =
      static_cast<char *>(ops.allocate(device, bytes, LATHE_ALIGNMENT, DeviceMemory::Local));
  if (!memory)
    return refuseMemory(device, status, bytes, "weights");
  deviceWeights = memory;
  if (ops.upload(device, memory, weights, bytes)) {
    char why[400];
    int32_t code = device->explainRefusal(why, sizeof(why));
    return fail(status, code, "%s does not take the weights%s", device->name, why);
  }
  hostWeights = weights;
  weights = memory;
  return LATHE_STATUS_OK;
}

lathe_module::~lathe_module() {
  if (!device)
    return;
  if (deviceWeights)
    device->ops->release(device, deviceWeights, deviceCode->host.weights_bytes,
                         DeviceMemory::Local);
  if (program)
    device->ops->unload(device, program);
  device->release();
}

int32_t lathe_context::openDevice(lathe_status *status) {
  workAllocator = stateAllocator = options.allocator;
  lathe_device *device = module->device;
  if (!device)
    return LATHE_STATUS_OK;
  if (options.arena)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "an arena is given, but a run on %s uses memory of the device; leave it out",
                device->name);
  workAllocator = allocatorOf<DeviceMemory::Local>(device);
  stateAllocator = allocatorOf<DeviceMemory::Shared>(device);
  deviceRun.queue = device->ops->openQueue(device);
  if (deviceRun.queue)
    return LATHE_STATUS_OK;
  char why[400];
  int32_t code = device->explainRefusal(why, sizeof(why));
  return fail(status, code, "%s gives no queue for a context%s", device->name, why);
}

void lathe_context::closeDevice() {
  lathe_device *device = module ? module->device : nullptr;
  if (!device)
    return;
  for (DeviceRun::Recording &recording : deviceRun.recordings)
    if (recording.graph)
      device->ops->dropGraph(deviceRun.queue, recording.graph);
  releaseStaging();
  if (deviceRun.bounce)
    device->ops->release(device, deviceRun.bounce, deviceRun.bounceBytes, DeviceMemory::Shared);
  if (deviceRun.queue)
    device->ops->closeQueue(device, deviceRun.queue);
}

void lathe_context::releaseStaging() {
  lathe_device *device = module->device;
  DeviceRun &run = deviceRun;
  if (run.values)
    device->ops->release(device, run.values, run.capacity, DeviceMemory::Local);
  if (run.staging)
    device->ops->release(device, run.staging, run.capacity, DeviceMemory::Shared);
  run.staging = run.values = nullptr;
  run.capacity = 0;
}

int32_t lathe_context::reserveStaging(uint64_t bytes, lathe_status *status) {
  lathe_device *device = module->device;
  DeviceRun &run = deviceRun;
  if (bytes <= run.capacity)
    return LATHE_STATUS_OK;
  releaseStaging();
  auto allocate = [&](DeviceMemory kind) {
    return static_cast<char *>(device->ops->allocate(device, bytes, LATHE_ALIGNMENT, kind));
  };
  run.capacity = bytes;
  run.staging = allocate(DeviceMemory::Shared);
  if (run.staging)
    run.values = allocate(DeviceMemory::Local);
  if (run.values)
    return LATHE_STATUS_OK;
  int32_t code = refuseMemory(device, status, bytes, "inputs and outputs");
  releaseStaging();
  return code;
}

// Puts the inputs where they are copied from, and outputs where the device can write.
int32_t lathe_context::stage(lathe_status *status) {
  lathe_device *device = module->device;
  DeviceRun &run = deviceRun;
  // States that are kept lie in memory of the device already.
  auto isCopied = [this](uint32_t input) {
    int32_t state = entry->inputs[input].state;
    bool kept = state >= 0 && inputs[input].data == states[state].value.data;
    return !kept && !staysOnHost(inputs[input]);
  };
  run.inputBytes = run.outputBytes = 0;
  for (uint32_t i = 0; i < entry->input_count; ++i) {
    if (!isCopied(i))
      continue;
    uint64_t size = copiedBytes(inputs[i]);
    if (size > uint64_t(maxBytes) - run.inputBytes)
      return fail(status, LATHE_STATUS_MEMORY, "input '%.200s' is too large for %s",
                  entry->inputs[i].name, device->name);
    run.inputBytes += aligned(size);
  }
  for (uint32_t i = 0; i < entry->output_count; ++i)
    if (isStaged(i))
      run.outputBytes += aligned(lathe_value_bytes(&outputs[i]));
  if (int32_t code =
          reserveStaging(run.inputBytes + DeviceRun::faultBytes + run.outputBytes, status))
    return code;
  *run.faults() = lathe_error();
  uint64_t place = 0;
  for (uint32_t i = 0; i < entry->input_count; ++i) {
    if (!isCopied(i))
      continue;
    lathe_value copy;
    copyInto(inputs[i], run.staging + place, copy);
    copy.data = run.values + place;
    place += aligned(copiedBytes(inputs[i]));
    inputs[i] = copy;
  }
  place += DeviceRun::faultBytes;
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    if (!isStaged(i))
      continue;
    outputStates[i].hostData = outputs[i].data;
    outputs[i].data = run.values + place;
    place += aligned(lathe_value_bytes(&outputs[i]));
  }
  return LATHE_STATUS_OK;
}

// Whether the device writes an output beside the memory that the caller gets.
bool lathe_context::isStaged(uint32_t output) const {
  OutputMemory memory = outputStates[output].memory;
  return (memory == OutputMemory::Owned || memory == OutputMemory::Caller) &&
         !staysOnHost(outputs[output]);
}

// Hands over what the device wrote, where the run went well; without, nothing is left to free but
// what the context knows.
int32_t lathe_context::unstage(int32_t code, lathe_status *status) {
  for (uint32_t i = 0; i < entry->output_count; ++i) {
    OutputState &state = outputStates[i];
    lathe_value &value = outputs[i];
    if (state.hostData) {
      const char *written =
          deviceRun.staging + (static_cast<char *>(value.data) - deviceRun.values);
      value.data = state.hostData;
      state.hostData = nullptr;
      if (!code)
        copyBytes(value.data, written, lathe_value_bytes(&value));
    } else if (state.memory == OutputMemory::Device) {
      // Of a size that the run found out.
      auto *written = static_cast<const char *>(value.data);
      int64_t bytes = lathe_value_bytes(&value);
      state.memory = OutputMemory::Unset;
      if (code)
        continue;
      if (state.fromCaller) {
        value.data = state.callerData;
        state.memory = OutputMemory::Caller;
      } else {
        value.data = allocateOwned(options.allocator, bytes);
        if (!value.data) {
          code = fail(status, LATHE_STATUS_MEMORY,
                      "output '%.200s': %lld bytes could not be allocated", entry->outputs[i].name,
                      static_cast<long long>(bytes));
          continue;
        }
        state.memory = OutputMemory::Owned;
      }
      if (int32_t failed = fetch(static_cast<char *>(value.data), written, bytes))
        code = convertError(failed, status);
    }
  }
  return code;
}

// Copies, and all that the host program launches.
int32_t lathe_context::launchAll() {
  DeviceRun &run = deviceRun;
  const DeviceOps &ops = *module->device->ops;
  auto copy = [&](char *to, const char *from, uint64_t bytes) {
    return bytes ? ops.copy(run.queue, to, from, bytes) : int32_t(LATHE_CODE_OK);
  };
  int32_t code = copy(run.values, run.staging, run.inputBytes + DeviceRun::faultBytes);
  if (!code)
    code = entry->run(&call);
  if (code == LATHE_CODE_DEVICE || run.hasFailed)
    return LATHE_CODE_DEVICE;
  // Also where the host has ended the run: what a kernel found before was first.
  uint64_t back = DeviceRun::faultBytes + (code ? 0 : run.outputBytes);
  int32_t failed = copy(run.staging + run.inputBytes, run.values + run.inputBytes, back);
  return failed ? failed : code;
}

// What there is of a run like this one; null where none is to be recorded, or it is the first.
DeviceRun::Recording *lathe_context::findRecording() {
  DeviceRun &run = deviceRun;
  const DeviceOps &ops = *module->device->ops;
  // A host that looks at values may do another thing each time, and a tracer wants each kernel.
  if (!ops.beginCapture || run.neverRecords || options.tracer.dispatch ||
      module->deviceCode->flags & LATHE_DEVICE_HOST_LOOKS)
    return nullptr;
  auto positionOf = [&](const lathe_value &input) {
    auto position = uint64_t(static_cast<const char *>(input.data) - run.values);
    return position < run.inputBytes ? int64_t(position) : -1;
  };
  auto addressOf = [](const lathe_value &state) {
    return int64_t(reinterpret_cast<uint64_t>(state.data));
  };
  // Whether all that decides what a run does, but for its memory, is as `isSame` wants it.
  auto everySize = [&](auto isSame) {
    size_t place = 0;
    if (!isSame(place++, int64_t(run.inputBytes)))
      return false;
    for (uint32_t i = 0; i < entry->input_count; ++i) {
      if (!isSame(place++, int64_t(inputs[i].kind)) || !isSame(place++, positionOf(inputs[i])))
        return false;
      for (uint32_t d = 0; d < inputs[i].rank; ++d)
        if (!isSame(place++, inputs[i].dims[d]))
          return false;
      if (entry->inputs[i].state >= 0 && !isSame(place++, addressOf(inputs[i])))
        return false;
    }
    for (uint32_t i = 0; i < entry->output_count; ++i)
      if (entry->outputs[i].state >= 0 && !isSame(place++, addressOf(outputs[i])))
        return false;
    return true;
  };
  size_t count = 0;
  everySize([&](size_t, int64_t) { return ++count > 0; });
  auto isThis = [&](const DeviceRun::Recording &recording) {
    return recording.entry == entry && recording.arena == arena && recording.values == run.values &&
           recording.sizes.size() == count &&
           everySize([&](size_t i, int64_t size) { return recording.sizes[i] == size; });
  };
  ++run.runs;
  DeviceRun::Recording *oldest = run.recordings;
  for (DeviceRun::Recording &recording : run.recordings) {
    if (isThis(recording)) {
      recording.lastUse = run.runs;
      return &recording;
    }
    if (!recording.entry || (oldest->entry && recording.lastUse < oldest->lastUse))
      oldest = &recording;
  }
  if (oldest->graph)
    ops.dropGraph(run.queue, oldest->graph);
  oldest->entry = nullptr;
  oldest->graph = nullptr;
  if (!oldest->sizes.create(count))
    return nullptr;
  everySize([&](size_t i, int64_t size) {
    oldest->sizes[i] = size;
    return true;
  });
  oldest->entry = entry;
  oldest->arena = arena;
  oldest->values = run.values;
  oldest->lastUse = run.runs;
  return nullptr;
}

// Where it can't be done, runs go on as the first one did.
void lathe_context::record(DeviceRun::Recording &recording) {
  DeviceRun &run = deviceRun;
  const DeviceOps &ops = *module->device->ops;
  run.neverRecords = true;
  if (ops.beginCapture(run.queue))
    return;
  run.isRecording = true;
  int32_t code = launchAll();
  bool hasLooked = !run.isRecording;
  run.isRecording = run.hasFailed = false;
  error = lathe_error(); // of which more is heard when it is done again
  void *graph = nullptr;
  if (ops.endCapture(run.queue, &graph))
    return;
  // Where the host has ended the run, for its sizes or because it was cancelled, others go through.
  run.neverRecords = hasLooked || code == LATHE_CODE_DEVICE;
  if (hasLooked || code)
    return ops.dropGraph(run.queue, graph);
  recording.graph = graph;
}

int32_t lathe_context::runOnDevice() {
  DeviceRun &run = deviceRun;
  const DeviceOps &ops = *module->device->ops;
  // What went wrong in an earlier run, if nobody has asked.
  char forgotten[1];
  ops.explain(run.queue, forgotten, sizeof(forgotten));
  run.refusal[0] = 0;
  run.seenBegin = run.seenEnd = nullptr;
  run.hasFailed = false;
  DeviceRun::Recording *recording = findRecording();
  if (recording && !recording->graph)
    record(*recording);
  int32_t code =
      recording && recording->graph ? ops.replay(run.queue, recording->graph) : launchAll();
  int32_t waited = waitForDevice();
  if (waited || code == LATHE_CODE_DEVICE)
    return waited ? waited : code;
  if (!run.faults()->code)
    return code;
  error = *run.faults();
  return error.code;
}

void lathe_context::explainDevice(char *text, size_t capacity) const {
  text[0] = 0;
  if (!module->device)
    return;
  module->device->ops->explain(deviceRun.queue, text, capacity);
  if (!*text)
    TextBuilder(text, capacity).add("%s", deviceRun.refusal);
}
