// A libcuda.so.1 without a GPU. Licensed under Apache-2.0 WITH LLVM-exception.
#include "Fake.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace lathe::fake;
using lathe::runtime::DeviceMemory;

Fake &lathe::fake::fake() {
  static Fake made("CUDA", LATHE_IMAGE_PTX);
  return made;
}

namespace {

char theContext;

// Most functions want a context.
int beginInside(const char *function) {
  if (int error = fake().begin(function))
    return error;
  if (Fake::current)
    return Success;
  fake().misuse(std::string(function) + " is called outside of the context");
  return InvalidContext;
}

int capability() { return atoi(fake().architecture.c_str() + 3); }

} // namespace

extern "C" {

LATHE_API int cuInit(unsigned flags) { return fake().begin("cuInit"); }

LATHE_API int cuDriverGetVersion(int *version) {
  if (int error = fake().begin("cuDriverGetVersion"))
    return error;
  *version = fake().version;
  return Success;
}

LATHE_API int cuDeviceGetCount(int *count) {
  if (int error = fake().begin("cuDeviceGetCount"))
    return error;
  *count = fake().devices;
  return Success;
}

LATHE_API int cuDeviceGet(int *device, int ordinal) {
  if (int error = fake().begin("cuDeviceGet"))
    return error;
  *device = 40 + ordinal; // what it is, only the driver knows
  return ordinal < fake().devices ? Success : InvalidDevice;
}

LATHE_API int cuDeviceGetName(char *name, int capacity, int device) {
  if (int error = fake().begin("cuDeviceGetName"))
    return error;
  snprintf(name, size_t(capacity), "Fake %s", fake().architecture.c_str());
  return Success;
}

LATHE_API int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  if (int error = fake().begin("cuDeviceTotalMem_v2"))
    return error;
  *bytes = size_t(1) << 30;
  return Success;
}

LATHE_API int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (int error = fake().begin("cuDeviceGetAttribute"))
    return error;
  switch (attribute) {
  case 16:
    *value = 4;
    return Success;
  case 41:
    *value = fake().unified;
    return Success;
  case 75:
    *value = capability() / 10;
    return Success;
  case 76:
    *value = capability() % 10;
    return Success;
  default:
    return InvalidValue;
  }
}

LATHE_API int cuDevicePrimaryCtxRetain(void **context, int device) {
  if (int error = fake().begin("cuDevicePrimaryCtxRetain"))
    return error;
  fake().retainContext();
  *context = &theContext;
  return Success;
}

LATHE_API int cuDevicePrimaryCtxRelease_v2(int device) {
  int error = fake().begin("cuDevicePrimaryCtxRelease_v2");
  fake().releaseContext();
  return error;
}

LATHE_API int cuCtxPushCurrent_v2(void *context) {
  if (int error = fake().begin("cuCtxPushCurrent_v2"))
    return error;
  if (context != &theContext)
    return InvalidContext;
  ++Fake::current;
  return Success;
}

LATHE_API int cuCtxPopCurrent_v2(void **context) {
  int error = fake().begin("cuCtxPopCurrent_v2");
  if (--Fake::current < 0)
    fake().misuse("a context is popped where none is");
  *context = &theContext;
  return error;
}

LATHE_API int cuModuleLoadDataEx(void **module, const void *image, unsigned count,
                                 const int *options, void **values) {
  if (int error = beginInside("cuModuleLoadDataEx")) {
    char *log = nullptr;
    size_t capacity = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (options[i] == 5)
        log = static_cast<char *>(values[i]);
      if (options[i] == 6)
        capacity = reinterpret_cast<size_t>(values[i]);
    }
    if (log)
      snprintf(log, capacity, "ptxas fatal: as planned\n");
    return error;
  }
  return fake().load(image, module);
}

LATHE_API int cuModuleGetFunction(void **function, void *module, const char *name) {
  if (int error = beginInside("cuModuleGetFunction"))
    return error;
  return fake().findFunction(function, module, name);
}

// What gives back does so also where it then fails: the caller cannot do more.

LATHE_API int cuModuleUnload(void *module) {
  int error = fake().begin("cuModuleUnload");
  fake().unload(module);
  return error;
}

LATHE_API int cuMemAlloc_v2(void **memory, size_t bytes) {
  if (int error = beginInside("cuMemAlloc_v2"))
    return error;
  return fake().allocate(memory, bytes, DeviceMemory::Local);
}

LATHE_API int cuMemFree_v2(void *memory) {
  int error = fake().begin("cuMemFree_v2");
  fake().release(memory, DeviceMemory::Local);
  return error;
}

LATHE_API int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  if (int error = beginInside("cuMemHostAlloc"))
    return error;
  return flags == 3 ? fake().allocate(memory, bytes, DeviceMemory::Shared) : int(InvalidValue);
}

LATHE_API int cuMemFreeHost(void *memory) {
  int error = fake().begin("cuMemFreeHost");
  fake().release(memory, DeviceMemory::Shared);
  return error;
}

LATHE_API int cuMemcpy(void *to, const void *from, size_t bytes) {
  if (int error = beginInside("cuMemcpy"))
    return error;
  return fake().copy(to, from, bytes, nullptr, /*isNow=*/true);
}

LATHE_API int cuMemcpyAsync(void *to, const void *from, size_t bytes, void *stream) {
  if (int error = beginInside("cuMemcpyAsync"))
    return error;
  return fake().copy(to, from, bytes, stream, /*isNow=*/false);
}

LATHE_API int cuStreamCreate(void **stream, unsigned flags) {
  if (int error = beginInside("cuStreamCreate"))
    return error;
  return flags == 1 ? fake().createStream(stream) : int(InvalidValue);
}

LATHE_API int cuStreamSynchronize(void *stream) {
  if (int error = beginInside("cuStreamSynchronize"))
    return error;
  return fake().synchronize(stream);
}

LATHE_API int cuStreamDestroy_v2(void *stream) {
  int error = fake().begin("cuStreamDestroy_v2");
  fake().destroyStream(stream);
  return error;
}

LATHE_API int cuStreamBeginCapture_v2(void *stream, int mode) {
  if (int error = beginInside("cuStreamBeginCapture_v2"))
    return error;
  return mode == 1 ? fake().beginCapture(stream) : int(InvalidValue);
}

// What ends or gives back does so also where it then fails.

LATHE_API int cuStreamEndCapture(void *stream, void **graph) {
  int failure = beginInside("cuStreamEndCapture");
  int error = fake().endCapture(stream, graph);
  if (failure && !error) {
    fake().destroyGraph(*graph, /*isExecutable=*/false);
    *graph = nullptr;
  }
  return failure ? failure : error;
}

LATHE_API int cuGraphInstantiateWithFlags(void **executable, void *graph,
                                          unsigned long long flags) {
  if (int error = beginInside("cuGraphInstantiateWithFlags"))
    return error;
  return flags ? int(InvalidValue) : fake().instantiate(executable, graph);
}

LATHE_API int cuGraphDestroy(void *graph) {
  int error = fake().begin("cuGraphDestroy");
  fake().destroyGraph(graph, /*isExecutable=*/false);
  return error;
}

LATHE_API int cuGraphLaunch(void *executable, void *stream) {
  if (int error = beginInside("cuGraphLaunch"))
    return error;
  return fake().launchGraph(executable, stream);
}

LATHE_API int cuGraphExecDestroy(void *executable) {
  int error = fake().begin("cuGraphExecDestroy");
  fake().destroyGraph(executable, /*isExecutable=*/true);
  return error;
}

LATHE_API int cuLaunchKernel(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                             unsigned blockX, unsigned blockY, unsigned blockZ,
                             unsigned sharedBytes, void *stream, void **parameters, void **extra) {
  if (int error = beginInside("cuLaunchKernel"))
    return error;
  if (gridY != 1 || gridZ != 1 || blockY != 1 || blockZ != 1 || extra)
    return InvalidValue;
  return fake().launch(function, gridX, blockX, sharedBytes, stream, parameters);
}

LATHE_API int cuFuncSetAttribute(void *function, int attribute, int value) {
  if (int error = beginInside("cuFuncSetAttribute"))
    return error;
  return attribute == 8 && value >= 0 ? fake().allowShared(function, unsigned(value))
                                      : int(InvalidValue);
}

// As the documentation of CUDA 12 wants it; the map is one of the emulator's.
LATHE_API int cuTensorMapEncodeTiled(void *encoded, int type, unsigned rank, void *address,
                                     const uint64_t *sizes, const uint64_t *strides,
                                     const uint32_t *box, const uint32_t *steps, int interleave,
                                     int swizzle, int promotion, int fill) {
  if (int error = beginInside("cuTensorMapEncodeTiled"))
    return error;
  constexpr uint8_t bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2};
  constexpr uint8_t swizzles[] = {0, 32, 64, 128};
  auto isOdd = [](uint64_t number, uint64_t of) { return !number || number % of; };
  if (isOdd(reinterpret_cast<uint64_t>(encoded), 64) || type < 0 || type >= int(sizeof(bytes)) ||
      rank < 1 || rank > 5 || isOdd(reinterpret_cast<uint64_t>(address), 16) || interleave ||
      swizzle < 0 || swizzle > 3 || promotion < 0 || promotion > 3 || fill)
    return InvalidValue;
  lathe::emulator::EmulatedMap map = {};
  map.magic = map.known;
  map.address = reinterpret_cast<uint64_t>(address);
  map.rank = uint8_t(rank);
  map.elementBytes = bytes[type];
  map.swizzle = swizzles[swizzle];
  for (unsigned i = 0; i < rank; ++i) {
    if (!sizes[i] || sizes[i] > uint64_t(1) << 32 || !box[i] || box[i] > 256 || steps[i] != 1 ||
        (i && (isOdd(strides[i - 1], 16) || strides[i - 1] >= uint64_t(1) << 40)))
      return InvalidValue;
    map.sizes[i] = sizes[i];
    map.box[i] = uint16_t(box[i]);
    if (i)
      map.strides[i - 1] = strides[i - 1];
  }
  unsigned row = map.box[0] * map.elementBytes;
  if (row % 16 || (map.swizzle && row > map.swizzle))
    return InvalidValue;
  memcpy(encoded, &map, sizeof(map));
  return Success;
}

LATHE_API int cuGetErrorName(int error, const char **text) {
  if (int failure = fake().begin("cuGetErrorName", /*isQuery=*/true))
    return failure;
  *text = error == OutOfMemory      ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == IllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : error == LaunchFailure  ? "CUDA_ERROR_LAUNCH_FAILED"
                                    : "CUDA_ERROR_UNKNOWN";
  return Success;
}

LATHE_API int cuGetErrorString(int error, const char **text) {
  if (int failure = fake().begin("cuGetErrorString", /*isQuery=*/true))
    return failure;
  *text = error == OutOfMemory ? "out of memory" : "some failure of the fake";
  return Success;
}
}
