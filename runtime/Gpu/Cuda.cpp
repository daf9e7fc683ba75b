// NVIDIA's driver: libcuda.so.1, with the prototypes of CUDA 11 and later.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Gpu/Gpu.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>

using namespace lathe::runtime;

namespace {

constexpr DriverSymbol symbols[] = {
    {offsetof(Driver, init), "cuInit", true},
    {offsetof(Driver, version), "cuDriverGetVersion", true},
    {offsetof(Driver, deviceCount), "cuDeviceGetCount", true},
    {offsetof(Driver, deviceGet), "cuDeviceGet", true},
    {offsetof(Driver, deviceName), "cuDeviceGetName", false},
    {offsetof(Driver, deviceMemory), "cuDeviceTotalMem_v2", false},
    {offsetof(Driver, deviceAttribute), "cuDeviceGetAttribute", true},
    {offsetof(Driver, moduleLoad), "cuModuleLoadDataEx", true},
    {offsetof(Driver, moduleFunction), "cuModuleGetFunction", true},
    {offsetof(Driver, moduleUnload), "cuModuleUnload", true},
    {offsetof(Driver, allocateLocal), "cuMemAlloc_v2", true},
    {offsetof(Driver, releaseLocal), "cuMemFree_v2", true},
    {offsetof(Driver, allocateShared), "cuMemHostAlloc", true},
    {offsetof(Driver, releaseShared), "cuMemFreeHost", true},
    {offsetof(Driver, copyNow), "cuMemcpy", true},
    {offsetof(Driver, copyLater), "cuMemcpyAsync", true},
    {offsetof(Driver, streamCreate), "cuStreamCreate", true},
    {offsetof(Driver, streamSynchronize), "cuStreamSynchronize", true},
    {offsetof(Driver, streamDestroy), "cuStreamDestroy_v2", true},
    {offsetof(Driver, captureBegin), "cuStreamBeginCapture_v2", false},
    {offsetof(Driver, captureEnd), "cuStreamEndCapture", false},
    {offsetof(Driver, graphInstantiate), "cuGraphInstantiateWithFlags", false},
    {offsetof(Driver, graphDestroy), "cuGraphDestroy", false},
    {offsetof(Driver, graphLaunch), "cuGraphLaunch", false},
    {offsetof(Driver, executableDestroy), "cuGraphExecDestroy", false},
    {offsetof(Driver, launch), "cuLaunchKernel", true},
    {offsetof(Driver, functionAttribute), "cuFuncSetAttribute", true},
    {offsetof(Driver, contextRetain), "cuDevicePrimaryCtxRetain", true},
    {offsetof(Driver, contextRelease), "cuDevicePrimaryCtxRelease_v2", true},
    {offsetof(Driver, contextPush), "cuCtxPushCurrent_v2", true},
    {offsetof(Driver, contextPop), "cuCtxPopCurrent_v2", true},
    {offsetof(Driver, encodeTensorMap), "cuTensorMapEncodeTiled", false},
    {offsetof(Driver, errorName), "cuGetErrorName", false},
    {offsetof(Driver, errorString), "cuGetErrorString", false},
};

// CUdevice_attribute and CUjit_option.
constexpr int multiprocessors = 16, unifiedAddressing = 41, capabilityMajor = 75,
              capabilityMinor = 76;
// CUfunction_attribute.
constexpr int maxDynamicShared = 8;
constexpr int errorLogBuffer = 5, errorLogBytes = 6;

void formatVersion(int version, char *text, size_t capacity) {
  TextBuilder(text, capacity).add("CUDA %d.%d", version / 1000, version % 1000 / 10);
}

int32_t readAttribute(Gpu &gpu, int attribute, const char *what, int &value, lathe_status *status) {
  int error = gpu.driver.deviceAttribute(&value, attribute, gpu.device);
  return error ? gpu.fail(status, what, error) : int32_t(LATHE_STATUS_OK);
}

int32_t setUp(Gpu &gpu, lathe_status *status) {
  int major = 0, minor = 0, isUnified = 0, processors = 0;
  if (int32_t code = readAttribute(gpu, capabilityMajor, "its architecture", major, status))
    return code;
  if (int32_t code = readAttribute(gpu, capabilityMinor, "its architecture", minor, status))
    return code;
  if (int32_t code = readAttribute(gpu, unifiedAddressing, "its addresses", isUnified, status))
    return code;
  gpu.capability = 10 * major + minor;
  TextBuilder(gpu.info.architecture, sizeof(gpu.info.architecture)).add("sm_%d", gpu.capability);
  // Kernels find memory of the host where the host does.
  if (!isUnified)
    return fail(status, LATHE_STATUS_DEVICE,
                "%s: %s (%s) has other addresses than the host, which a run needs (a program of 32 "
                "bits?)",
                gpu.name, gpu.info.name, gpu.info.architecture);
  if (!gpu.driver.deviceAttribute(&processors, multiprocessors, gpu.device))
    gpu.info.processors = uint32_t(processors);
  if (int error = gpu.driver.contextRetain(&gpu.context, gpu.device)) {
    gpu.context = nullptr;
    return gpu.fail(status, "its context", error);
  }
  return LATHE_STATUS_OK;
}

void shutDown(Gpu &gpu) {
  if (gpu.context)
    gpu.driver.contextRelease(gpu.device);
}

int enter(Gpu &gpu, void **) { return gpu.driver.contextPush(gpu.context); }

void leave(Gpu &gpu, void *) {
  void *popped;
  gpu.driver.contextPop(&popped);
}

// Text for sm_80 goes on all that came later; that for sm_90a uses what sm_90 alone has.
uint32_t fit(const Gpu &gpu, const char *architecture) {
  if (strncmp(architecture, "sm_", 3))
    return 0;
  char *rest;
  long made = strtol(architecture + 3, &rest, 10);
  bool isOnlyFor = !strcmp(rest, "a");
  if (made <= 0 || made > gpu.capability || (*rest && !isOnlyFor) ||
      (isOnlyFor && made != gpu.capability))
    return 0;
  return uint32_t(2 * made + isOnlyFor);
}

// A cubin goes on devices of the same generation that came later; of sm_90a `fit` sees to it.
bool takesBinary(const Gpu &gpu, const char *architecture) {
  return strtol(architecture + 3, nullptr, 10) / 10 == gpu.capability / 10;
}

int load(Gpu &gpu, const void *image, void **module, char *log, size_t capacity) {
  const int names[] = {errorLogBuffer, errorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(capacity)};
  return gpu.driver.moduleLoad(module, image, 2, names, values);
}

int allowShared(const Driver &driver, void *function, uint32_t bytes) {
  return driver.functionAttribute(function, maxDynamicShared, int(bytes));
}

int copy(const Driver &driver, void *to, const void *from, size_t bytes, void *stream) {
  return stream ? driver.copyLater(to, from, bytes, stream) : driver.copyNow(to, from, bytes);
}

// CUtensorMapDataType.
int typeOf(const TensorMap &map) {
  constexpr int u8 = 0, u16 = 1, u32 = 2, u64 = 4, f16 = 6, f32 = 7, f64 = 8, bf16 = 9;
  switch (map.dtype) {
  case LATHE_F16:
    return f16;
  case LATHE_BF16:
    return bf16;
  case LATHE_F32:
    return f32;
  case LATHE_F64:
    return f64;
  default:
    return map.elementBytes == 1   ? u8
           : map.elementBytes == 2 ? u16
           : map.elementBytes == 4 ? u32
                                   : u64;
  }
}

// No interleaving, every element, lines of 128 bytes from memory, zeros outside.
int encode(const Driver &driver, const TensorMap &map, void *encoded) {
  constexpr uint32_t steps[LATHE_MAP_RANK] = {1, 1, 1, 1, 1};
  constexpr int noInterleave = 0, promoteTo128 = 2, zeros = 0;
  int swizzle = map.swizzle == 128 ? 3 : map.swizzle == 64 ? 2 : map.swizzle == 32 ? 1 : 0;
  return driver.encodeTensorMap(encoded, typeOf(map), map.rank,
                                reinterpret_cast<void *>(map.address), map.sizes, map.strides + 1,
                                map.box, steps, noInterleave, swizzle, promoteTo128, zeros);
}

void explain(const Driver &driver, int error, const char **name, const char **text) {
  if (!driver.errorName || driver.errorName(error, name))
    *name = nullptr;
  if (!driver.errorString || driver.errorString(error, text))
    *text = nullptr;
}

} // namespace

const Vendor lathe::runtime::cudaVendor = {
    LATHE_DEVICE_CUDA,
    "cuda",
    "nvidia:",
    "LATHE_CUDA_DRIVER",
    {"libcuda.so.1"},
    symbols,
    sizeof(symbols) / sizeof(*symbols),
    11000, // the first that knows sm_80 and its text
    formatVersion,
    UINT64_MAX,
    LATHE_IMAGE_PTX,
    LATHE_IMAGE_CUBIN,
    LATHE_MOST_STATIC_SHARED,
    setUp,
    shutDown,
    enter,
    leave,
    fit,
    takesBinary,
    load,
    allowShared,
    copy,
    encode,
    explain,
};
