// How long each kernel of a model takes in a run.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_KERNELTIMES_H
#define LATHE_TOOLS_COMMON_KERNELTIMES_H

#include "tools/common/Session.h"
#include <map>

namespace lathe::tools {

/// Runs with a tracer, which times every kernel from its dispatch to the next one's.
class KernelTimes {
public:
  /// All calls of one kernel.
  struct Kernel {
    std::vector<int64_t> nanoseconds; ///< of the first calls
    double calls = 0;
    std::map<std::pair<double, double>, double> work; ///< calls by their FLOPs and bytes

    /// Nearest rank: the least time that `percent` of the calls do not exceed.
    double seconds(double percent) const;
  };

  /// `threads`: 0 is one per processor.
  KernelTimes(const Module &module, uint32_t threads, std::span<const Value> inputs);
  KernelTimes(const KernelTimes &) = delete;
  KernelTimes &operator=(const KernelTimes &) = delete;

  /// Runs so many times; the mean seconds of a run. What was counted before is kept.
  double run(int runs);
  /// Forgets what was counted.
  void clear();

  const std::map<std::string, Kernel, std::less<>> &kernels() const { return sums; }
  /// Runs that are counted.
  int runs() const { return counted; }

private:
  std::map<std::string, Kernel, std::less<>> sums;
  int counted = 0;
  lathe_tracer tracer;
  Session session;
  BorrowedValues inputs;
  OwnedValues outputs;
};

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_KERNELTIMES_H
