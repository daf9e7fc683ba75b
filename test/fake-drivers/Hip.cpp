// A libamdhip64.so without a GPU. Licensed under Apache-2.0 WITH LLVM-exception.
#include "Fake.h"

#include <cstdio>
#include <cstring>

using namespace lathe::fake;
using lathe::runtime::DeviceMemory;

Fake &lathe::fake::fake() {
  static Fake made("HIP", LATHE_IMAGE_HSACO);
  return made;
}

extern "C" {

LATHE_API int hipInit(unsigned flags) { return fake().begin("hipInit"); }

LATHE_API int hipGetDeviceCount(int *count) {
  if (int error = fake().begin("hipGetDeviceCount"))
    return error;
  *count = fake().devices;
  return Success;
}

LATHE_API int hipDeviceGet(int *device, int ordinal) {
  if (int error = fake().begin("hipDeviceGet"))
    return error;
  *device = ordinal;
  return ordinal < fake().devices ? Success : InvalidDevice;
}

LATHE_API int hipDeviceGetName(char *name, int capacity, int device) {
  if (int error = fake().begin("hipDeviceGetName"))
    return error;
  snprintf(name, size_t(capacity), "Fake %s", fake().architecture.c_str());
  return Success;
}

LATHE_API int hipDeviceTotalMem(size_t *bytes, int device) {
  if (int error = fake().begin("hipDeviceTotalMem"))
    return error;
  *bytes = size_t(1) << 30;
  return Success;
}

// As large as in ROCm 6, with the architecture where no caller should rely on it.
LATHE_API int hipGetDevicePropertiesR0600(void *properties, int device) {
  if (int error = fake().begin("hipGetDevicePropertiesR0600"))
    return error;
  char *text = static_cast<char *>(properties);
  memset(text, 0, 1472);
  strcpy(text, "Fake gfx card");
  snprintf(text + 1013, 256, "%s:sramecc+:xnack-", fake().architecture.c_str());
  return Success;
}

LATHE_API int hipGetDevice(int *device) {
  if (int error = fake().begin("hipGetDevice"))
    return error;
  *device = Fake::current;
  return Success;
}

LATHE_API int hipSetDevice(int device) {
  int error = fake().begin("hipSetDevice");
  if (!error || device == 0) // going back to where the thread was always succeeds, as below
    Fake::current = device;
  return error;
}

LATHE_API int hipModuleLoadDataEx(void **module, const void *image, unsigned, const int *,
                                  void **) {
  if (int error = fake().begin("hipModuleLoadDataEx"))
    return error;
  return fake().load(image, module);
}

LATHE_API int hipModuleGetFunction(void **function, void *module, const char *name) {
  if (int error = fake().begin("hipModuleGetFunction"))
    return error;
  return fake().findFunction(function, module, name);
}

// What gives back does so also where it then fails: the caller cannot do more.

LATHE_API int hipModuleUnload(void *module) {
  int error = fake().begin("hipModuleUnload");
  fake().unload(module);
  return error;
}

LATHE_API int hipMalloc(void **memory, size_t bytes) {
  if (int error = fake().begin("hipMalloc"))
    return error;
  return fake().allocate(memory, bytes, DeviceMemory::Local);
}

LATHE_API int hipFree(void *memory) {
  int error = fake().begin("hipFree");
  fake().release(memory, DeviceMemory::Local);
  return error;
}

LATHE_API int hipHostMalloc(void **memory, size_t bytes, unsigned flags) {
  if (int error = fake().begin("hipHostMalloc"))
    return error;
  return flags == 3 ? fake().allocate(memory, bytes, DeviceMemory::Shared) : int(InvalidValue);
}

LATHE_API int hipHostFree(void *memory) {
  int error = fake().begin("hipHostFree");
  fake().release(memory, DeviceMemory::Shared);
  return error;
}

LATHE_API int hipMemcpy(void *to, const void *from, size_t bytes, int kind) {
  if (int error = fake().begin("hipMemcpy"))
    return error;
  return kind == 4 ? fake().copy(to, from, bytes, nullptr, /*isNow=*/true) : int(InvalidValue);
}

LATHE_API int hipMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
  if (int error = fake().begin("hipMemcpyAsync"))
    return error;
  return kind == 4 ? fake().copy(to, from, bytes, stream, /*isNow=*/false) : int(InvalidValue);
}

LATHE_API int hipStreamCreateWithFlags(void **stream, unsigned flags) {
  if (int error = fake().begin("hipStreamCreateWithFlags"))
    return error;
  return flags == 1 ? fake().createStream(stream) : int(InvalidValue);
}

LATHE_API int hipStreamSynchronize(void *stream) {
  if (int error = fake().begin("hipStreamSynchronize"))
    return error;
  return fake().synchronize(stream);
}

LATHE_API int hipStreamDestroy(void *stream) {
  int error = fake().begin("hipStreamDestroy");
  fake().destroyStream(stream);
  return error;
}

LATHE_API int hipStreamBeginCapture(void *stream, int mode) {
  if (int error = fake().begin("hipStreamBeginCapture"))
    return error;
  return mode == 1 ? fake().beginCapture(stream) : int(InvalidValue);
}

// What ends or gives back does so also where it then fails.

LATHE_API int hipStreamEndCapture(void *stream, void **graph) {
  int failure = fake().begin("hipStreamEndCapture");
  int error = fake().endCapture(stream, graph);
  if (failure && !error) {
    fake().destroyGraph(*graph, /*isExecutable=*/false);
    *graph = nullptr;
  }
  return failure ? failure : error;
}

LATHE_API int hipGraphInstantiateWithFlags(void **executable, void *graph,
                                           unsigned long long flags) {
  if (int error = fake().begin("hipGraphInstantiateWithFlags"))
    return error;
  return flags ? int(InvalidValue) : fake().instantiate(executable, graph);
}

LATHE_API int hipGraphDestroy(void *graph) {
  int error = fake().begin("hipGraphDestroy");
  fake().destroyGraph(graph, /*isExecutable=*/false);
  return error;
}

LATHE_API int hipGraphLaunch(void *executable, void *stream) {
  if (int error = fake().begin("hipGraphLaunch"))
    return error;
  return fake().launchGraph(executable, stream);
}

LATHE_API int hipGraphExecDestroy(void *executable) {
  int error = fake().begin("hipGraphExecDestroy");
  fake().destroyGraph(executable, /*isExecutable=*/true);
  return error;
}

LATHE_API int hipModuleLaunchKernel(void *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                                    unsigned blockX, unsigned blockY, unsigned blockZ,
                                    unsigned sharedBytes, void *stream, void **parameters,
                                    void **extra) {
  if (int error = fake().begin("hipModuleLaunchKernel"))
    return error;
  if (gridY != 1 || gridZ != 1 || blockY != 1 || blockZ != 1 || sharedBytes || extra)
    return InvalidValue;
  return fake().launch(function, gridX, blockX, sharedBytes, stream, parameters);
}

LATHE_API const char *hipGetErrorName(int error) {
  return error == OutOfMemory      ? "hipErrorOutOfMemory"
         : error == IllegalAddress ? "hipErrorIllegalAddress"
         : error == LaunchFailure  ? "hipErrorLaunchFailure"
                                   : "hipErrorUnknown";
}

LATHE_API const char *hipGetErrorString(int error) {
  return error == OutOfMemory ? "out of memory" : "some failure of the fake";
}
}
