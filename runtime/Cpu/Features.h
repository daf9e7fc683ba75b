// What this processor can do.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CPU_FEATURES_H
#define LATHE_RUNTIME_CPU_FEATURES_H

#include <cstdint>

namespace lathe::runtime {

/// Features that processor and operating system both offer, as LATHE_X86_V3 and so on.
uint64_t hostFeatures();

/// Asks the kernel for what a process must ask for before it uses `features`, such as the registers
/// of AMX; returns those of `features` that may be used. Threads that start later may as well.
uint64_t requestFeatures(uint64_t features);

/// e_machine of artifacts that this runtime executes.
uint16_t hostMachine();

/// "x86-64", "AArch64", or null for machines we do not know.
const char *machineName(uint16_t machine);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CPU_FEATURES_H
