// Detection of processor features, by the instructions themselves: no library, no /proc.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Cpu/Features.h"
#include "runtime/Core/Status.h"

#include <atomic>
#include <elf.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

using namespace lathe::runtime;

namespace {

struct FeatureName {
  uint64_t feature;
  const char *name;
};
constexpr FeatureName featureNames[] = {
    {LATHE_X86_V3, "x86-64-v3"},      {LATHE_X86_V4, "x86-64-v4"},
    {LATHE_X86_VNNI, "avx512-vnni"},  {LATHE_X86_BF16, "avx512-bf16"},
    {LATHE_X86_AMX_BF16, "amx-bf16"}, {LATHE_AARCH64_BASE, "armv8-a"},
};

#if defined(__x86_64__)
enum Register { Eax, Ebx, Ecx, Edx };

// A feature needs all its bits and the operating system's word that it saves these registers.
struct Requirement {
  uint64_t feature;
  uint32_t leaf, subleaf;
  Register reg;
  uint32_t bits;
  uint32_t savedState; // bits of XCR0
};

constexpr uint32_t bit(int index) { return uint32_t(1) << index; }
constexpr uint32_t avxState = 0x06, avx512State = 0xe6, tileState = 0x600e6;

constexpr Requirement requirements[] = {
    // FMA, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C
    {LATHE_X86_V3, 1, 0, Ecx,
     bit(12) | bit(19) | bit(20) | bit(22) | bit(23) | bit(27) | bit(28) | bit(29), avxState},
    {LATHE_X86_V3, 7, 0, Ebx, bit(3) | bit(5) | bit(8), avxState}, // BMI1, AVX2, BMI2
    {LATHE_X86_V3, 0x80000001u, 0, Ecx, bit(5), avxState},         // LZCNT
    // F, DQ, CD, BW, VL
    {LATHE_X86_V4, 7, 0, Ebx, bit(16) | bit(17) | bit(28) | bit(30) | bit(31), avx512State},
    {LATHE_X86_VNNI, 7, 0, Ecx, bit(11), avx512State},
    {LATHE_X86_BF16, 7, 1, Eax, bit(5), avx512State},
    {LATHE_X86_AMX_BF16, 7, 0, Edx, bit(22) | bit(24), tileState}, // BF16, TILE
};

bool isMet(const Requirement &requirement, uint32_t savedState) {
  uint32_t registers[4];
  return (savedState & requirement.savedState) == requirement.savedState &&
         __get_cpuid_count(requirement.leaf, requirement.subleaf, &registers[Eax], &registers[Ebx],
                           &registers[Ecx], &registers[Edx]) &&
         (registers[requirement.reg] & requirement.bits) == requirement.bits;
}

uint32_t readSavedState() {
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit(27)))
    return 0; // no xgetbv
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

uint64_t detect() {
  uint32_t savedState = readSavedState();
  uint64_t features =
      LATHE_X86_V3 | LATHE_X86_V4 | LATHE_X86_VNNI | LATHE_X86_BF16 | LATHE_X86_AMX_BF16;
  for (const Requirement &requirement : requirements)
    if (!isMet(requirement, savedState))
      features &= ~requirement.feature;
  // A level includes those below it.
  if (!(features & LATHE_X86_V3))
    features = 0;
  if (!(features & LATHE_X86_V4))
    features &= LATHE_X86_V3;
  return features;
}
#elif defined(__aarch64__)
uint64_t detect() { return LATHE_AARCH64_BASE; }
#else
uint64_t detect() { return 0; }
#endif

} // namespace

uint64_t lathe::runtime::hostFeatures() {
  // cpuid is slow on virtual machines (it leaves to the host), so ask once. Threads that come here
  // at the same time find the same.
  constexpr uint64_t known = uint64_t(1) << 63;
  static std::atomic<uint64_t> cached{0};
  uint64_t features = cached.load(std::memory_order_relaxed);
  if (!features) {
    features = detect() | known;
    cached.store(features, std::memory_order_relaxed);
  }
  return features & ~known;
}

uint64_t lathe::runtime::requestFeatures(uint64_t features) {
#if defined(__x86_64__) && defined(SYS_arch_prctl)
  // Linux 5.16 and later (Documentation/arch/x86/xstate.rst): the tiles take 8 KiB in every frame
  // of a signal, so a process says that it is prepared. Asking again is no error.
  constexpr int requestPermission = 0x1023, tileData = 18;
  if ((features & LATHE_X86_AMX_BF16) && syscall(SYS_arch_prctl, requestPermission, tileData))
    features &= ~uint64_t(LATHE_X86_AMX_BF16);
#endif
  return features;
}

uint16_t lathe::runtime::hostMachine() {
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#else
  return EM_NONE;
#endif
}

const char *lathe::runtime::machineName(uint16_t machine) {
  return machine == EM_X86_64 ? "x86-64" : machine == EM_AARCH64 ? "AArch64" : nullptr;
}

uint64_t lathe_host_features() { return hostFeatures(); }

uint32_t lathe_host_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return CPU_COUNT(&set);
  // More processors than a cpu_set_t holds.
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? count : 1;
}

size_t lathe_features_format(uint64_t features, char *text, size_t capacity) {
  TextBuilder builder(text, text ? capacity : 0);
  for (const FeatureName &entry : featureNames)
    if (features & entry.feature) {
      builder.add("%s%s", builder.length() ? ", " : "", entry.name);
      features &= ~entry.feature;
    }
  if (features)
    builder.add("%sunknown 0x%llx", builder.length() ? ", " : "",
                static_cast<unsigned long long>(features));
  if (!builder.length())
    builder.add("none");
  return builder.length();
}
