// What this machine can do at most, measured.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_PEAK_H
#define LATHE_TOOLS_LATHE_PEAK_H

#include <cstdint>
#include <utility>
#include <vector>

namespace lathe::tools {

struct Peak {
  double gflops = 0;             ///< f32 multiply-adds in registers, counted as two
  double gigabytesPerSecond = 0; ///< reading memory far larger than the caches
  /// Reading that many bytes over and over, by size; the last is `gigabytesPerSecond`.
  std::vector<std::pair<double, double>> bySize;

  /// Bandwidth of the memory that holds `bytes`.
  double bandwidthOf(double bytes) const;
  /// Seconds that so much work takes at least: whichever of arithmetic and memory bounds it.
  double floorSeconds(double flops, double bytes) const;
};

/// Measures with `threads` threads at once; takes a quarter of a second.
Peak measurePeak(uint32_t threads);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_PEAK_H
