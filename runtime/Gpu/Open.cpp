// Opening devices by name: "cuda:0", "hip:0".
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Options.h"
#include "runtime/Gpu/Gpu.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

using namespace lathe::runtime;

namespace {

void *openLibrary(const Gpu &gpu, lathe_status *status) {
  const Vendor &vendor = *gpu.vendor;
  // Not that of another user: it is code.
  const char *other = secure_getenv(vendor.variable);
  char why[600] = "";
  TextBuilder reasons(why, sizeof(why));
  const char *const *names = other && *other ? &other : vendor.libraries;
  size_t count = names == &other ? 1 : sizeof(vendor.libraries) / sizeof(*vendor.libraries);
  for (size_t i = 0; i < count && names[i]; ++i) {
    if (void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL))
      return library;
    const char *reason = dlerror();
    reasons.add("%s%s", i ? "; " : "", reason ? reason : names[i]);
  }
  fail(status, LATHE_STATUS_DEVICE, "%s: there is no driver (%s)", gpu.name, why);
  return nullptr;
}

int32_t findSymbols(Gpu &gpu, void *library, lathe_status *status) {
  for (size_t i = 0; i < gpu.vendor->symbolCount; ++i) {
    const DriverSymbol &symbol = gpu.vendor->symbols[i];
    char *place = reinterpret_cast<char *>(&gpu.driver) + symbol.offset;
    void *function = nullptr;
    memcpy(&function, place, sizeof(function));
    if (function)
      continue; // an earlier row's
    function = dlsym(library, symbol.name);
    if (!function && symbol.isRequired)
      return fail(status, LATHE_STATUS_DEVICE,
                  "%s: the driver lacks '%s', so it is too old; update it", gpu.name, symbol.name);
    memcpy(place, &function, sizeof(function));
  }
  return LATHE_STATUS_OK;
}

int32_t findDevice(Gpu &gpu, lathe_status *status) {
  const Driver &driver = gpu.driver;
  if (int error = driver.init(0))
    return gpu.fail(status, "the driver does not start", error);
  int version = 0, count = 0;
  int least = gpu.vendor->leastVersion;
  if (int error = least ? driver.version(&version) : driverSuccess)
    return gpu.fail(status, "the driver's version", error);
  if (version < least) {
    char has[40], needs[40];
    gpu.vendor->formatVersion(version, has, sizeof(has));
    gpu.vendor->formatVersion(least, needs, sizeof(needs));
    return fail(status, LATHE_STATUS_DEVICE,
                "%s: the driver is for %s, which is too old; %s is needed", gpu.name, has, needs);
  }
  if (int error = driver.deviceCount(&count))
    return gpu.fail(status, "the number of devices", error);
  if (gpu.ordinal >= count)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "%s: there is no such device; the driver has %d that this process can see",
                gpu.name, count);
  if (int error = driver.deviceGet(&gpu.device, gpu.ordinal))
    return gpu.fail(status, "the device", error);
  lathe_device_info &info = gpu.info;
  info.kind = gpu.vendor->kind;
  info.streams = 1;
  if (!driver.deviceName || driver.deviceName(info.name, sizeof(info.name) - 1, gpu.device))
    TextBuilder(info.name, sizeof(info.name)).add("%s", gpu.name);
  size_t bytes = 0;
  if (driver.deviceMemory && !driver.deviceMemory(&bytes, gpu.device))
    info.memory_bytes = bytes;
  return gpu.vendor->setUp(gpu, status);
}

// The number behind "cuda:"; -1 where there is none.
int parseOrdinal(const char *text) {
  size_t digits = strspn(text, "0123456789");
  return digits && digits <= 4 && !text[digits] ? atoi(text) : -1;
}

const Vendor *findVendor(const char *name, int &ordinal) {
  for (const Vendor *vendor : {&cudaVendor, &hipVendor}) {
    size_t length = strlen(vendor->prefix);
    if (strncmp(name, vendor->prefix, length) || name[length] != ':')
      continue;
    ordinal = parseOrdinal(name + length + 1);
    return ordinal < 0 ? nullptr : vendor;
  }
  return nullptr;
}

} // namespace

int32_t lathe_device_open(const char *name, lathe_device **device, lathe_status *status) {
  if (!name || !device)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", name ? "device" : "name");
  if (!strcmp(name, "cpu"))
    return fail(status, LATHE_STATUS_ARGUMENT,
                "'cpu' needs no device: NULL in lathe_module_options.device is the host");
  if (!strncmp(name, "emulator:", 9))
    return fail(status, LATHE_STATUS_ARGUMENT,
                "'%.60s' is opened by lathe_emulator_open, of liblathe-emulator", name);
  int ordinal = -1;
  const Vendor *vendor = findVendor(name, ordinal);
  if (!vendor)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "device '%.60s' is not known; known are cuda:N and hip:N, with a number such as 0",
                name);
  auto *gpu = createObject<Gpu>();
  if (!gpu)
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  gpu->ops = &gpuOps;
  gpu->vendor = vendor;
  gpu->ordinal = ordinal;
  TextBuilder(gpu->name, sizeof(gpu->name)).add("%s:%d", vendor->prefix, ordinal);
  void *library = openLibrary(*gpu, status);
  int32_t code = library ? findSymbols(*gpu, library, status) : int32_t(LATHE_STATUS_DEVICE);
  if (!code)
    code = findDevice(*gpu, status);
  if (code) {
    gpu->release();
    return code;
  }
  *device = gpu;
  return succeed(status);
}

int32_t lathe_device_describe(const lathe_device *device, lathe_device_info *info,
                              lathe_status *status) {
  if (!device || !info)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", device ? "info" : "device");
  return answer(info, "lathe_device_info", device->info, status);
}
