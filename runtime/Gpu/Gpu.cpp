// What modules and contexts do with a GPU: code, memory, queues.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Gpu/Gpu.h"

#include <algorithm>
#include <cstring>

using namespace lathe::runtime;

namespace {

/// CU_MEMHOSTALLOC_PORTABLE and DEVICEMAP, hipHostMallocPortable and Mapped.
constexpr unsigned portableAndMapped = 1 | 2;
constexpr unsigned nonBlocking = 1;       ///< CU_STREAM_NON_BLOCKING, hipStreamNonBlocking
constexpr uint64_t maxBlocks = INT32_MAX; ///< Of a launch, by both vendors.
constexpr uint32_t maxParameters = 512;   ///< 4 KiB, what all devices of NVIDIA take.
constexpr uint32_t maxParameterBytes = 8 * maxParameters, mapAlignment = 64;

/// The kernels of one module.
struct Program {
  const lathe_device_variant *code = nullptr;
  void *module = nullptr;  ///< Null where there is no kernel.
  Array<void *> functions; ///< As code->kernels.
};

/// A stream: one for each context.
struct Queue {
  Gpu *gpu = nullptr;
  void *stream = nullptr;
  void *before = nullptr; ///< Where the thread was that captures.
  /// An error where kernels may still go on that nobody could wait for: none may follow them.
  int broken = driverSuccess;
  char failure[480] = {};
};

int32_t codeOf(int error) {
  return error == driverSuccess || error == driverOutOfMemory ? LATHE_STATUS_MEMORY
                                                              : LATHE_STATUS_DEVICE;
}

Gpu &of(lathe_device *device) { return *static_cast<Gpu *>(device); }

const lathe_image *findImage(const lathe_device_variant &code, uint32_t kind) {
  for (uint32_t i = 0; i < code.image_count; ++i)
    if (code.images[i].kind == kind)
      return &code.images[i];
  return nullptr;
}

void destroy(lathe_device *device) {
  Gpu &gpu = of(device);
  gpu.vendor->shutDown(gpu);
  // The driver's library stays: drivers have threads and handlers that do not expect it to go.
  destroyObject(&gpu);
}

uint32_t fit(const lathe_device *device, const lathe_device_variant *code) {
  const auto &gpu = *static_cast<const Gpu *>(device);
  size_t length = strlen(gpu.vendor->targets);
  if (strncmp(code->host.name, gpu.vendor->targets, length) ||
      !findImage(*code, gpu.vendor->imageKind))
    return 0;
  return gpu.vendor->fit(gpu, code->host.name + length);
}

/// What shared memory a launch has to ask for.
uint32_t sharedOfLaunch(const Gpu &gpu, const lathe_device_kernel &kernel) {
  return kernel.shared_bytes > gpu.vendor->mostShared ? kernel.shared_bytes : 0;
}

/// The first kernel that needs what the driver cannot make; null where there is none.
const lathe_device_kernel *findUnmappable(const Gpu &gpu, const lathe_device_variant &code) {
  for (uint32_t i = 0; i < code.kernel_count; ++i)
    if (code.kernels[i].tensor_map_count && (!gpu.vendor->encode || !gpu.driver.encodeTensorMap))
      return code.kernels + i;
  return nullptr;
}

int32_t load(lathe_device *device, const lathe_device_variant *code, void **result,
             lathe_status *status) {
  Gpu &gpu = of(device);
  if (const lathe_device_kernel *kernel = findUnmappable(gpu, *code))
    return fail(status, LATHE_STATUS_DEVICE,
                "%s: kernel '%.200s' needs tensor maps, which the driver does not make%s", gpu.name,
                kernel->name,
                gpu.vendor->encode ? " (it lacks cuTensorMapEncodeTiled, of CUDA 12.0); update it"
                                   : "");
  Inside inside(gpu);
  if (inside.error())
    return gpu.fail(status, "its context", inside.error());
  auto *program = createObject<Program>();
  if (!program || !program->functions.create(code->kernel_count)) {
    destroyObject(program);
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  }
  program->code = code;
  // Without kernels the host does it all.
  if (!code->kernel_count) {
    *result = program;
    return LATHE_STATUS_OK;
  }
  char log[400] = "";
  // What the driver need not compile loads at once. Where it does not take that, its text is there.
  const Vendor &vendor = *gpu.vendor;
  const lathe_image *binary =
      vendor.binaryKind && vendor.takesBinary(gpu, code->host.name + strlen(vendor.targets))
          ? findImage(*code, vendor.binaryKind)
          : nullptr;
  int error = binary ? vendor.load(gpu, binary->data, &program->module, log, sizeof(log) - 1) : 0;
  if (!binary || error) {
    log[0] = 0;
    error = vendor.load(gpu, findImage(*code, vendor.imageKind)->data, &program->module, log,
                        sizeof(log) - 1);
  }
  if (error) {
    destroyObject(program);
    char what[600];
    for (size_t i = strlen(log); i && log[i - 1] == '\n';)
      log[--i] = 0;
    TextBuilder(what, sizeof(what))
        .add("the driver does not take the code for %s%s%s", code->host.name, *log ? ": " : "",
             log);
    return gpu.fail(status, what, error);
  }
  for (uint32_t i = 0; i < code->kernel_count && !error; ++i) {
    error =
        gpu.driver.moduleFunction(&program->functions[i], program->module, code->kernels[i].name);
    if (uint32_t bytes = sharedOfLaunch(gpu, code->kernels[i]); bytes && !error)
      error = gpu.vendor->allowShared(gpu.driver, program->functions[i], bytes);
    if (!error)
      continue;
    char what[300];
    TextBuilder(what, sizeof(what)).add("kernel '%.200s'", code->kernels[i].name);
    gpu.fail(status, what, error);
  }
  if (error) {
    gpu.driver.moduleUnload(program->module);
    destroyObject(program);
    return codeOf(error);
  }
  *result = program;
  return LATHE_STATUS_OK;
}

// Failures on the way back leave nothing to do: a driver that refuses to free has lost the device,
// and its memory with it.
void unload(lathe_device *device, void *given) {
  Gpu &gpu = of(device);
  Inside inside(gpu);
  auto *program = static_cast<Program *>(given);
  if (program->module)
    gpu.driver.moduleUnload(program->module);
  destroyObject(program);
}

void giveBack(Gpu &gpu, void *memory, DeviceMemory kind) {
  if (kind == DeviceMemory::Local)
    gpu.driver.releaseLocal(memory);
  else
    gpu.driver.releaseShared(memory);
}

// Shared memory is the host's, pinned, which kernels reach at the same address: slow, but small or
// rarely used. Nothing is managed memory, which moves in pages by faults.
void *allocate(lathe_device *device, uint64_t bytes, uint64_t alignment, DeviceMemory kind) {
  Gpu &gpu = of(device);
  Inside inside(gpu);
  void *memory = nullptr;
  int error = inside.error();
  // Drivers refuse to give no byte at all.
  size_t wanted = std::max<uint64_t>(bytes, 1);
  if (!error)
    error = kind == DeviceMemory::Local
                ? gpu.driver.allocateLocal(&memory, wanted)
                : gpu.driver.allocateShared(&memory, wanted, portableAndMapped);
  if (!error && reinterpret_cast<uint64_t>(memory) % alignment) {
    giveBack(gpu, memory, kind);
    error = driverOutOfMemory; // drivers align to 256 at least, more than anything asks for
  }
  gpu.refusal.store(error, std::memory_order_relaxed);
  return error ? nullptr : memory;
}

void release(lathe_device *device, void *memory, uint64_t, DeviceMemory kind) {
  Gpu &gpu = of(device);
  Inside inside(gpu);
  giveBack(gpu, memory, kind);
}

int32_t upload(lathe_device *device, void *to, const void *from, uint64_t bytes) {
  Gpu &gpu = of(device);
  Inside inside(gpu);
  int error = inside.error();
  if (!error)
    error = gpu.vendor->copy(gpu.driver, to, from, bytes, nullptr);
  gpu.refusal.store(error, std::memory_order_relaxed);
  return error ? LATHE_CODE_DEVICE : LATHE_CODE_OK;
}

void *openQueue(lathe_device *device) {
  Gpu &gpu = of(device);
  Inside inside(gpu);
  auto *queue = createObject<Queue>();
  int error = queue ? inside.error() : driverOutOfMemory;
  if (!error) {
    queue->gpu = &gpu;
    error = gpu.driver.streamCreate(&queue->stream, nonBlocking);
  }
  gpu.refusal.store(error, std::memory_order_relaxed);
  if (!error)
    return queue;
  destroyObject(queue);
  return nullptr;
}

void closeQueue(lathe_device *device, void *given) {
  Gpu &gpu = of(device);
  Inside inside(gpu);
  auto *queue = static_cast<Queue *>(given);
  gpu.driver.streamDestroy(queue->stream);
  destroyObject(queue);
}

int32_t noteFailure(Queue &queue, const char *kernel, int error) {
  TextBuilder text(queue.failure, sizeof(queue.failure));
  text.add("%s: ", queue.gpu->name);
  if (kernel)
    text.add("kernel '%.160s': ", kernel);
  queue.gpu->describe(text, error);
  return LATHE_CODE_DEVICE;
}

/// The tensor maps of a launch.
struct alignas(mapAlignment) EncodedMap {
  char bytes[LATHE_MAP_BYTES];
};

// A tensor without elements has a map of zeros, which nobody takes.
int32_t encodeMaps(Queue &queue, const lathe_device_kernel &kernel, const uint64_t *args,
                   EncodedMap *maps) {
  Gpu &gpu = *queue.gpu;
  for (uint32_t i = 0; i < kernel.tensor_map_count; ++i) {
    TensorMap map;
    char why[240];
    bool isFit = resolveTensorMap(kernel.tensor_maps[i], args, map, why, sizeof(why));
    maps[i] = {};
    int error = !isFit || map.isEmpty() ? 0 : gpu.vendor->encode(gpu.driver, map, &maps[i]);
    if (isFit && !error)
      continue;
    TextBuilder text(queue.failure, sizeof(queue.failure));
    text.add("%s: kernel '%.100s': tensor map %u: ", gpu.name, kernel.name, i);
    if (error)
      gpu.describe(text, error);
    else
      text.add("%s", why);
    return LATHE_CODE_DEVICE;
  }
  return LATHE_CODE_OK;
}

int32_t launch(void *given, void *givenProgram, lathe_call *, uint32_t number, uint64_t *args,
               uint32_t argCount, int64_t count) {
  Queue &queue = *static_cast<Queue *>(given);
  Gpu &gpu = *queue.gpu;
  const auto &program = *static_cast<const Program *>(givenProgram);
  const lathe_device_kernel &kernel = program.code->kernels[number];
  uint64_t threads = kernel.block_threads;
  uint64_t blocks = (uint64_t(count) + kernel.block_items - 1) / kernel.block_items;
  TextBuilder text(queue.failure, sizeof(queue.failure));
  if (blocks > std::min(maxBlocks, gpu.vendor->maxThreads / threads)) {
    text.add("%s: kernel '%.160s': %llu blocks of %llu threads are more than a launch can have",
             gpu.name, kernel.name, static_cast<unsigned long long>(blocks),
             static_cast<unsigned long long>(threads));
    return LATHE_CODE_DEVICE;
  }
  uint32_t mapCount = kernel.tensor_map_count;
  uint64_t before = (8 * uint64_t(argCount) + mapAlignment - 1) / mapAlignment * mapAlignment;
  if (argCount > maxParameters) {
    text.add("%s: kernel '%.160s': %u parameters are more than the %u that a kernel can have",
             gpu.name, kernel.name, argCount, maxParameters);
    return LATHE_CODE_DEVICE;
  }
  if (mapCount && before + uint64_t(mapCount) * LATHE_MAP_BYTES > maxParameterBytes) {
    text.add(
        "%s: kernel '%.160s': %u parameters and %u tensor maps are more than the %u bytes that "
        "a kernel can have",
        gpu.name, kernel.name, argCount, mapCount, maxParameterBytes);
    return LATHE_CODE_DEVICE;
  }
  if (queue.broken)
    return noteFailure(queue, kernel.name, queue.broken);
  Inside inside(gpu);
  int error = inside.error();
  // The driver copies what they point to before it returns.
  void *parameters[maxParameters];
  EncodedMap maps[maxParameterBytes / LATHE_MAP_BYTES];
  for (uint32_t i = 0; i < argCount; ++i)
    parameters[i] = args + i;
  for (uint32_t i = 0; i < mapCount; ++i)
    parameters[argCount + i] = maps + i;
  if (int32_t code = error ? LATHE_CODE_OK : encodeMaps(queue, kernel, args, maps))
    return code;
  if (!error)
    error = gpu.driver.launch(program.functions[number], unsigned(blocks), 1, 1, unsigned(threads),
                              1, 1, sharedOfLaunch(gpu, kernel), queue.stream, parameters, nullptr);
  return error ? noteFailure(queue, kernel.name, error) : int32_t(LATHE_CODE_OK);
}

int synchronize(const Queue &queue) {
  Inside inside(*queue.gpu);
  int error = inside.error();
  return error ? error : queue.gpu->driver.streamSynchronize(queue.stream);
}

int32_t wait(void *given) {
  Queue &queue = *static_cast<Queue *>(given);
  int error = synchronize(queue);
  // The caller will free what kernels use, so that they have to end even so.
  queue.broken = error ? synchronize(queue) : driverSuccess;
  // What a launch that failed has noted is the cause, if both fail.
  if (error && !*queue.failure)
    noteFailure(queue, nullptr, error);
  return error ? LATHE_CODE_DEVICE : LATHE_CODE_OK;
}

int32_t copy(void *given, void *to, const void *from, uint64_t bytes) {
  Queue &queue = *static_cast<Queue *>(given);
  if (queue.broken)
    return noteFailure(queue, nullptr, queue.broken);
  Inside inside(*queue.gpu);
  int error = inside.error();
  if (!error)
    error = queue.gpu->vendor->copy(queue.gpu->driver, to, from, bytes, queue.stream);
  return error ? noteFailure(queue, nullptr, error) : int32_t(LATHE_CODE_OK);
}

int32_t beginCapture(void *given) {
  Queue &queue = *static_cast<Queue *>(given);
  const Driver &driver = queue.gpu->driver;
  if (!driver.captureBegin || !driver.captureEnd || !driver.graphInstantiate ||
      !driver.graphDestroy || !driver.graphLaunch || !driver.executableDestroy || queue.broken)
    return LATHE_CODE_DEVICE;
  // The thread stays there until the end, which no failure to enter may keep from coming.
  const Vendor &vendor = *queue.gpu->vendor;
  if (vendor.enter(*queue.gpu, &queue.before))
    return LATHE_CODE_DEVICE;
  constexpr int threadLocal = 1; // other threads may do what they want meanwhile
  if (!driver.captureBegin(queue.stream, threadLocal))
    return LATHE_CODE_OK;
  vendor.leave(*queue.gpu, queue.before);
  return LATHE_CODE_DEVICE;
}

int32_t endCapture(void *given, void **executable) {
  Queue &queue = *static_cast<Queue *>(given);
  const Driver &driver = queue.gpu->driver;
  void *graph = nullptr;
  int error = driver.captureEnd(queue.stream, &graph);
  if (!error && graph) {
    error = driver.graphInstantiate(executable, graph, 0);
    driver.graphDestroy(graph);
  }
  queue.gpu->vendor->leave(*queue.gpu, queue.before);
  queue.failure[0] = 0; // what a launch has noted counts when it is done again
  return error || !graph ? LATHE_CODE_DEVICE : LATHE_CODE_OK;
}

int32_t replay(void *given, void *executable) {
  Queue &queue = *static_cast<Queue *>(given);
  if (queue.broken)
    return noteFailure(queue, nullptr, queue.broken);
  Inside inside(*queue.gpu);
  int error =
      inside.error() ? inside.error() : queue.gpu->driver.graphLaunch(executable, queue.stream);
  return error ? noteFailure(queue, nullptr, error) : int32_t(LATHE_CODE_OK);
}

void dropGraph(void *given, void *executable) {
  Queue &queue = *static_cast<Queue *>(given);
  Inside inside(*queue.gpu);
  queue.gpu->driver.executableDestroy(executable);
}

void explain(void *given, char *text, size_t capacity) {
  Queue &queue = *static_cast<Queue *>(given);
  TextBuilder(text, capacity).add("%s", queue.failure);
  queue.failure[0] = 0;
}

int32_t explainRefusal(lathe_device *device, char *text, size_t capacity) {
  Gpu &gpu = of(device);
  TextBuilder builder(text, capacity);
  int error = gpu.refusal.load(std::memory_order_relaxed);
  if (error)
    gpu.describe(builder, error);
  return codeOf(error);
}

/// What errors mean to a user, where the driver's text does not say it.
constexpr struct Advice {
  int from, to;
  const char *text;
} advices[] = {
    {100, 100, "; is a device there, and visible to this process?"},
    {209, 209, "; the code was made for other devices"},
    {218, 218, "; the driver may be older than the code: update it"},
    {222, 222, "; the driver is older than the code: update it"},
    // The driver gives the same answer to all that follows.
    {700, 700, "; the process cannot use the device any more"},
    {702, 702, "; the process cannot use the device any more"},
    {714, 719, "; the process cannot use the device any more"},
    {803, 804, "; the driver's library and its kernel module are of different versions"},
};

} // namespace

void Gpu::describe(TextBuilder &text, int error) const {
  const char *errorName = nullptr, *meaning = nullptr;
  vendor->explain(driver, error, &errorName, &meaning);
  text.add("%s", errorName ? errorName : "error");
  if (!errorName)
    text.add(" %d", error);
  if (meaning && *meaning)
    text.add(" (%s)", meaning);
  for (const Advice &advice : advices)
    if (error >= advice.from && error <= advice.to)
      text.add("%s", advice.text);
}

int32_t Gpu::fail(lathe_status *status, const char *what, int error) const {
  int32_t code = codeOf(error);
  if (!status)
    return code;
  char text[400];
  TextBuilder builder(text, sizeof(text));
  describe(builder, error);
  return runtime::fail(status, code, "%s: %s: %s", name, what, text);
}

const DeviceOps lathe::runtime::gpuOps = {
    sizeof(DeviceOps),
    destroy,
    fit,
    load,
    unload,
    allocate,
    release,
    upload,
    openQueue,
    closeQueue,
    launch,
    wait,
    copy,
    beginCapture,
    endCapture,
    replay,
    dropGraph,
    explain,
    explainRefusal,
    /*takesExtents=*/false,
};
