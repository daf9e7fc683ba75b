// What this machine can do at most, measured.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_PEAK_H
#define LATHE_TOOLS_LATHE_PEAK_H

#include <cstdint>

namespace lathe::tools {

struct Peak {
  double gflops = 0;             ///< f32 multiply-adds in registers, counted as two
  double gigabytesPerSecond = 0; ///< reading memory far larger than the caches
};

/// Measures both with `threads` threads at once; takes about a tenth of a second.
Peak measurePeak(uint32_t threads);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_PEAK_H
