// Runs kernels for GPUs on the host, thread by thread and in an order that no kernel may count on.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

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

// Called through the runtime, as all functions of a device.
int32_t order(Queue &queue, Work &&work) {
  try {
    return queue.order(std::move(work));
  } catch (const std::bad_alloc &) {
    queue.fail("the host has no memory for what it orders");
    return LATHE_CODE_DEVICE;
  }
}

int32_t launch(void *given, void *program, lathe_call *call, uint32_t number, uint64_t *args,
               uint32_t argCount, int64_t count) {
  Queue &queue = *static_cast<Queue *>(given);
  const auto &code = *static_cast<const lathe_device_variant *>(program);
  const lathe_device_kernel &kernel = code.kernels[number];
  uint64_t blocks = (uint64_t(count) + kernel.block_items - 1) / kernel.block_items;
  if (blocks > INT32_MAX) { // as a GPU would
    char what[200];
    snprintf(what, sizeof(what), "kernel '%.100s': %llu blocks are too many", kernel.name,
             static_cast<unsigned long long>(blocks));
    queue.fail(what);
    return LATHE_CODE_DEVICE;
  }
  Work work;
  work.kernel = &kernel;
  work.function = static_cast<const lathe_emulated_kernel *>(emulatedImage(code)->data)[number];
  work.call = call;
  work.args.assign(args, args + argCount);
  if (code.flags & LATHE_DEVICE_EXTENTS)
    work.extents.assign(args + argCount, args + 2 * argCount);
  else
    work.extents.assign(argCount, 0);
  char why[400];
  if (!makeTensorMaps(kernel, args, argCount, work.maps, why, sizeof(why))) {
    queue.fail(why);
    return LATHE_CODE_DEVICE;
  }
  work.blocks = uint32_t(blocks);
  work.seed = queue.device->seed * 0x9e3779b97f4a7c15 + queue.launches++;
  return order(queue, std::move(work));
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
    [](lathe_device *device, uint64_t bytes, uint64_t alignment, DeviceMemory kind) -> void * {
      return of(device)->allocate(bytes, alignment, kind);
    },
    [](lathe_device *device, void *memory, uint64_t, DeviceMemory) { of(device)->release(memory); },
    [](lathe_device *device, void *to, const void *from, uint64_t bytes) -> int32_t {
      of(device)->upload(to, from, bytes);
      return LATHE_CODE_OK;
    },
    [](lathe_device *device) -> void * { return new (std::nothrow) Queue(*of(device)); },
    [](lathe_device *, void *queue) { delete static_cast<Queue *>(queue); },
    launch,
    [](void *queue) -> int32_t { return static_cast<Queue *>(queue)->wait(); },
    [](void *queue, void *to, const void *from, uint64_t bytes) -> int32_t {
      Work copy;
      copy.to = to;
      copy.from = from;
      copy.bytes = bytes;
      return order(*static_cast<Queue *>(queue), std::move(copy));
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
    /*takesExtents=*/true,
};

} // namespace

void lathe::emulator::runLaunch(Queue &queue, const Work &work) {
  std::vector<uint64_t> args = work.args;
  for (const EmulatedMap &map : work.maps)
    args.push_back(reinterpret_cast<uint64_t>(&map));
  Launch launch{&queue,      work.kernel, work.function, args.data(),
                work.blocks, work.seed,   work.extents};
  launch.begin();
  uint64_t argument = reinterpret_cast<uint64_t>(&launch);
  // Some thousand threads are worth the hand-over.
  int64_t grain = std::max<int64_t>(1, 4096 / work.kernel->block_threads);
  work.call->services->parallel(work.call, runBlocks, &argument, int64_t(work.blocks), grain);
}

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
  const char *variable = getenv("LATHE_WATCH");
  uint64_t every = options && options->watch_every ? options->watch_every
                   : variable                      ? strtoull(variable, nullptr, 0)
                                                   : 8;
  if (!every || every > mostEvery || (every & (every - 1))) {
    char text[120];
    snprintf(text, sizeof(text),
             "one of %llu lines of memory is to be watched; it must be a power of two up to %llu",
             static_cast<unsigned long long>(every), static_cast<unsigned long long>(mostEvery));
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
  emulator->watchEvery = every;
  *device = emulator;
  return answer(status, LATHE_STATUS_OK);
}
