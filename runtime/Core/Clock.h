// The clock of deadlines and traces.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_CLOCK_H
#define LATHE_RUNTIME_CORE_CLOCK_H

#include <cstdint>
#include <ctime>

namespace lathe::runtime {

/// CLOCK_MONOTONIC in nanoseconds; some 20 ns, no system call.
inline int64_t nowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t(1'000'000'000) + time.tv_nsec;
}

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_CLOCK_H
