// The devices that this runtime can use: the host's processors, so far.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Options.h"

#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace lathe::runtime;

namespace {

// What the processor calls itself, without the blanks that some put before and after.
void readName(char *name, size_t capacity) {
  char text[49] = {};
#if defined(__x86_64__)
  uint32_t words[12], last = __get_cpuid_max(0x80000000u, nullptr);
  for (uint32_t i = 0; i < 3 && last >= 0x80000004u; ++i)
    __get_cpuid(0x80000002u + i, words + 4 * i, words + 4 * i + 1, words + 4 * i + 2,
                words + 4 * i + 3);
  if (last >= 0x80000004u)
    memcpy(text, words, sizeof(words));
#endif
  const char *begin = text + strspn(text, " ");
  size_t length = strlen(begin);
  while (length && begin[length - 1] == ' ')
    --length;
  TextBuilder(name, capacity).add("%.*s", length ? int(length) : 3, length ? begin : "cpu");
}

} // namespace

uint32_t lathe_device_count() { return 1; }

int32_t lathe_device_query(uint32_t device, lathe_device_info *info, lathe_status *status) {
  if (!info)
    return fail(status, LATHE_STATUS_ARGUMENT, "info is NULL");
  if (device >= lathe_device_count())
    return fail(status, LATHE_STATUS_ARGUMENT, "device %u does not exist; there are %u", device,
                lathe_device_count());
  lathe_device_info filled = {};
  filled.kind = LATHE_DEVICE_CPU;
  readName(filled.name, sizeof(filled.name));
  filled.processors = lathe_host_processors();
  filled.streams = filled.processors;
  filled.features = lathe_host_features();
  long pages = sysconf(_SC_PHYS_PAGES), pageBytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && pageBytes > 0)
    filled.memory_bytes = uint64_t(pages) * uint64_t(pageBytes);
  return answer(info, "lathe_device_info", filled, status);
}
