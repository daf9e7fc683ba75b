// AMD's driver: libamdhip64, with what ROCm 5, 6 and 7 have in common.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Gpu/Gpu.h"

#include <cstddef>
#include <cstring>

using namespace lathe::runtime;

namespace {

constexpr DriverSymbol symbols[] = {
    {offsetof(Driver, init), "hipInit", true},
    {offsetof(Driver, deviceCount), "hipGetDeviceCount", true},
    {offsetof(Driver, deviceGet), "hipDeviceGet", true},
    {offsetof(Driver, deviceName), "hipDeviceGetName", false},
    {offsetof(Driver, deviceMemory), "hipDeviceTotalMem", false},
    {offsetof(Driver, moduleLoad), "hipModuleLoadDataEx", true},
    {offsetof(Driver, moduleFunction), "hipModuleGetFunction", true},
    {offsetof(Driver, moduleUnload), "hipModuleUnload", true},
    {offsetof(Driver, allocateLocal), "hipMalloc", true},
    {offsetof(Driver, releaseLocal), "hipFree", true},
    {offsetof(Driver, allocateShared), "hipHostMalloc", true},
    {offsetof(Driver, releaseShared), "hipHostFree", true},
    {offsetof(Driver, copyNowOfKind), "hipMemcpy", true},
    {offsetof(Driver, copyLaterOfKind), "hipMemcpyAsync", true},
    {offsetof(Driver, streamCreate), "hipStreamCreateWithFlags", true},
    {offsetof(Driver, streamSynchronize), "hipStreamSynchronize", true},
    {offsetof(Driver, streamDestroy), "hipStreamDestroy", true},
    {offsetof(Driver, captureBegin), "hipStreamBeginCapture", false},
    {offsetof(Driver, captureEnd), "hipStreamEndCapture", false},
    {offsetof(Driver, graphInstantiate), "hipGraphInstantiateWithFlags", false},
    {offsetof(Driver, graphDestroy), "hipGraphDestroy", false},
    {offsetof(Driver, graphLaunch), "hipGraphLaunch", false},
    {offsetof(Driver, executableDestroy), "hipGraphExecDestroy", false},
    {offsetof(Driver, launch), "hipModuleLaunchKernel", true},
    {offsetof(Driver, getDevice), "hipGetDevice", true},
    {offsetof(Driver, setDevice), "hipSetDevice", true},
    // The first of the two that is there; ROCm 5 has the second alone.
    {offsetof(Driver, properties), "hipGetDevicePropertiesR0600", false},
    {offsetof(Driver, properties), "hipGetDeviceProperties", false},
    {offsetof(Driver, nameOfError), "hipGetErrorName", false},
    {offsetof(Driver, textOfError), "hipGetErrorString", false},
};

// The struct of properties differs between versions, but in each the architecture stands as text,
// such as "gfx942:sramecc+:xnack-".
bool findArchitecture(const char *properties, size_t bytes, char *text, size_t capacity) {
  for (size_t i = 0; i + 3 < bytes; ++i) {
    if ((i && properties[i - 1]) || memcmp(properties + i, "gfx", 3))
      continue;
    size_t length = strcspn(properties + i, ":");
    if (length <= 3 || length >= capacity ||
        strspn(properties + i + 3, "0123456789abcdef") != length - 3)
      continue;
    memcpy(text, properties + i, length);
    text[length] = 0;
    return true;
  }
  return false;
}

int32_t setUp(Gpu &gpu, lathe_status *status) {
  // Larger than that of any version (1472 bytes in 6), and the end stays 0.
  constexpr size_t bytes = 16 << 10;
  Array<char> properties;
  if (!properties.create(bytes))
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  if (!gpu.driver.properties)
    return fail(status, LATHE_STATUS_DEVICE,
                "%s: the driver lacks 'hipGetDeviceProperties'; install ROCm 5 or newer", gpu.name);
  if (int error = gpu.driver.properties(properties.data(), gpu.device))
    return gpu.fail(status, "its architecture", error);
  if (!findArchitecture(properties.data(), bytes, gpu.info.architecture,
                        sizeof(gpu.info.architecture)))
    return fail(status, LATHE_STATUS_DEVICE,
                "%s: the driver does not say what architecture it has (gfx942 or the like)",
                gpu.name);
  return LATHE_STATUS_OK;
}

void shutDown(Gpu &) {}

int enter(Gpu &gpu, void **before) {
  int device = 0;
  if (int error = gpu.driver.getDevice(&device))
    return error;
  *before = reinterpret_cast<void *>(intptr_t(device));
  return device == gpu.device ? driverSuccess : gpu.driver.setDevice(gpu.device);
}

void leave(Gpu &gpu, void *before) {
  int device = int(reinterpret_cast<intptr_t>(before));
  if (device != gpu.device)
    gpu.driver.setDevice(device);
}

// Code runs on the architecture that it was made for alone.
uint32_t fit(const Gpu &gpu, const char *architecture) {
  return strcmp(architecture, gpu.info.architecture) ? 0 : 1;
}

int load(Gpu &gpu, const void *image, void **module, char *, size_t) {
  return gpu.driver.moduleLoad(module, image, 0, nullptr, nullptr);
}

int copy(const Driver &driver, void *to, const void *from, size_t bytes, void *stream) {
  constexpr int anyWay = 4; // hipMemcpyDefault
  return stream ? driver.copyLaterOfKind(to, from, bytes, anyWay, stream)
                : driver.copyNowOfKind(to, from, bytes, anyWay);
}

void explain(const Driver &driver, int error, const char **name, const char **text) {
  *name = driver.nameOfError ? driver.nameOfError(error) : nullptr;
  *text = driver.textOfError ? driver.textOfError(error) : nullptr;
}

} // namespace

const Vendor lathe::runtime::hipVendor = {
    LATHE_DEVICE_HIP,
    "hip",
    "amd:",
    "LATHE_HIP_DRIVER",
    {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"},
    symbols,
    sizeof(symbols) / sizeof(*symbols),
    0, // the name of the library says which
    nullptr,
    UINT32_MAX, // threads are counted in 32 bits
    LATHE_IMAGE_HSACO,
    /*binaryKind=*/0,
    UINT32_MAX,
    setUp,
    shutDown,
    enter,
    leave,
    fit,
    /*takesBinary=*/nullptr,
    load,
    nullptr,
    copy,
    nullptr,
    explain,
};
