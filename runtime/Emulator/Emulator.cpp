// Runs kernels for GPUs on the host, thread by thread and in an order that no kernel may count on.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace lathe::runtime;
using namespace lathe::emulator;

namespace {

int32_t answer(lathe_status *status, int32_t code, const char *message = "") {
  if (!status)
    return code;
  *status = lathe_status();
  status->code = code;
  status->site = UINT32_MAX;
  snprintf(status->message, sizeof(status->message), "%s", message);
  return code;
}

// Called through the runtime, which no exception may pass.
void runBlocks(const uint64_t *argument, int64_t begin, int64_t end) {
  const auto &launch = *reinterpret_cast<const Launch *>(argument[0]);
  Order blocks(launch.blocks, launch.seed);
  try {
    BlockRunner runner(launch);
    for (int64_t i = begin; i < end && !launch.queue->failed.load(std::memory_order_relaxed); ++i)
      runner.run(uint32_t(blocks(uint64_t(i))));
  } catch (const std::bad_alloc &) {
    launch.fail(lathe_emulated_thread(), "the host has no memory for its threads");
  }
}

const lathe_image *emulatedImage(const lathe_device_variant &code) {
  for (uint32_t i = 0; i < code.image_count; ++i)
    if (code.images[i].kind == LATHE_IMAGE_EMULATOR)
      return &code.images[i];
  return nullptr;
}

Emulator *of(lathe_device *device) { return static_cast<Emulator *>(device); }

void giveBack(void *memory, uint64_t mapped) {
  if (mapped)
    munmap(memory, mapped);
  else
    free(memory);
}

struct Inside {
  explicit Inside(Emulator &emulator) : emulator(emulator) { emulator.enter(); }
  ~Inside() { emulator.leave(); }
  Emulator &emulator;
};

int32_t copyBytes(Emulator &emulator, void *to, const void *from, uint64_t bytes) {
  Inside inside(emulator);
  memcpy(to, from, bytes);
  return LATHE_CODE_OK;
}

// At least a byte, so that every piece has an address of its own.
void *allocate(lathe_device *device, uint64_t bytes, uint64_t alignment, DeviceMemory kind) {
  Emulator &emulator = *of(device);
  uint64_t size = std::max<uint64_t>(bytes, 1), page = uint64_t(sysconf(_SC_PAGESIZE));
  void *memory = nullptr;
  uint64_t mapped = kind == DeviceMemory::Local ? (size + page - 1) / page * page : 0;
  if ((kind == DeviceMemory::Local && mapped < size) || alignment > page)
    return nullptr;
  if (mapped) {
    memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return nullptr;
  } else if (posix_memalign(&memory, std::max<uint64_t>(alignment, sizeof(void *)), size)) {
    return nullptr;
  }
  memset(memory, poison, size);
  auto *begin = static_cast<const char *>(memory);
  std::unique_lock<std::shared_mutex> lock(emulator.mutex);
  try {
    emulator.pieces[begin] = {begin + bytes, mapped};
  } catch (const std::bad_alloc &) {
    giveBack(memory, mapped);
    return nullptr;
  }
  if (mapped && !emulator.users)
    mprotect(memory, mapped, PROT_NONE);
  return memory;
}

void release(lathe_device *device, void *memory, uint64_t, DeviceMemory) {
  Emulator &emulator = *of(device);
  std::unique_lock<std::shared_mutex> lock(emulator.mutex);
  auto piece = emulator.pieces.find(static_cast<const char *>(memory));
  uint64_t mapped = piece->second.mapped;
  emulator.pieces.erase(piece);
  giveBack(memory, mapped);
}

const DeviceOps ops = {
    sizeof(DeviceOps),
    [](lathe_device *device) { delete of(device); },
    [](const lathe_device *device, const lathe_device_variant *code) -> uint32_t {
      // "nvidia:sm_80" is for "sm_80".
      const char *colon = strchr(code->host.name, ':');
      const auto *emulator = static_cast<const Emulator *>(device);
      return colon && emulator->architecture == colon + 1 && emulatedImage(*code) ? 1 : 0;
    },
    [](lathe_device *, const lathe_device_variant *code, void **program, lathe_status *status) {
      // There is nothing to load: the kernels are part of the artifact's own code.
      *program = const_cast<lathe_device_variant *>(code);
      return answer(status, LATHE_STATUS_OK);
    },
    [](lathe_device *, void *) {},
    allocate,
    release,
    [](lathe_device *device, void *to, const void *from, uint64_t bytes) -> int32_t {
      return copyBytes(*of(device), to, from, bytes);
    },
    [](lathe_device *device) -> void * {
      auto *queue = new (std::nothrow) Queue;
      if (queue)
        queue->device = of(device);
      return queue;
    },
    [](lathe_device *, void *queue) { delete static_cast<Queue *>(queue); },
    [](void *given, void *program, lathe_call *call, uint32_t number, uint64_t *args, uint32_t,
       int64_t count) -> int32_t {
      Queue &queue = *static_cast<Queue *>(given);
      const auto &code = *static_cast<const lathe_device_variant *>(program);
      const lathe_device_kernel &kernel = code.kernels[number];
      uint64_t blocks = (uint64_t(count) + kernel.block_items - 1) / kernel.block_items;
      if (blocks > INT32_MAX) { // as a GPU would
        snprintf(queue.failure, sizeof(queue.failure), "kernel '%.100s': %llu blocks are too many",
                 kernel.name, static_cast<unsigned long long>(blocks));
        return LATHE_CODE_DEVICE;
      }
      auto *functions = static_cast<const lathe_emulated_kernel *>(emulatedImage(code)->data);
      queue.failed.store(false, std::memory_order_relaxed);
      Launch launch{
          &queue, &kernel,          functions[number],
          args,   uint32_t(blocks), queue.device->seed * 0x9e3779b97f4a7c15 + queue.launches++};
      uint64_t argument = reinterpret_cast<uint64_t>(&launch);
      // Some thousand threads are worth the hand-over.
      int64_t grain = std::max<int64_t>(1, 4096 / kernel.block_threads);
      Inside inside(*queue.device);
      call->services->parallel(call, runBlocks, &argument, int64_t(blocks), grain);
      return queue.failed.load(std::memory_order_relaxed) ? LATHE_CODE_DEVICE : LATHE_CODE_OK;
    },
    [](void *) -> int32_t { return LATHE_CODE_OK; },
    [](void *given, void *to, const void *from, uint64_t bytes) -> int32_t {
      return copyBytes(*static_cast<Queue *>(given)->device, to, from, bytes);
    },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    [](void *given, char *text, size_t capacity) {
      Queue &queue = *static_cast<Queue *>(given);
      std::lock_guard<std::mutex> lock(queue.mutex);
      snprintf(text, capacity, "%s", queue.failure);
    },
    nullptr,
};

} // namespace

int32_t lathe_emulator_open(const char *architecture, const lathe_emulator_options *options,
                            lathe_device **device, lathe_status *status) {
  if (!architecture || !*architecture || !device)
    return answer(status, LATHE_STATUS_ARGUMENT,
                  device ? "no architecture is named, such as sm_80" : "device is NULL");
  if (options && options->size < sizeof(lathe_emulator_options)) {
    char text[120];
    snprintf(text, sizeof(text),
             "lathe_emulator_options.size is %u; set it to sizeof(lathe_emulator_options)",
             options->size);
    return answer(status, LATHE_STATUS_ARGUMENT, text);
  }
  Emulator *emulator = nullptr;
  try {
    emulator = new Emulator;
    emulator->architecture = architecture;
  } catch (const std::bad_alloc &) {
    delete emulator;
    return answer(status, LATHE_STATUS_MEMORY, "out of memory");
  }
  emulator->ops = &ops;
  emulator->info.kind = LATHE_DEVICE_EMULATOR;
  emulator->info.streams = 1;
  snprintf(emulator->info.name, sizeof(emulator->info.name), "emulated %s", architecture);
  snprintf(emulator->info.architecture, sizeof(emulator->info.architecture), "%s", architecture);
  snprintf(emulator->name, sizeof(emulator->name), "emulator:%s", architecture);
  const char *seed = getenv("LATHE_SEED");
  emulator->seed = options && options->seed ? options->seed : seed ? strtoull(seed, nullptr, 0) : 1;
  *device = emulator;
  return answer(status, LATHE_STATUS_OK);
}
