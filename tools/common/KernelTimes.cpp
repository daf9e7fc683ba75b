// Counting the calls of kernels.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/KernelTimes.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <chrono>

namespace lathe::tools {

double KernelTimes::Kernel::seconds(double percent) const {
  if (nanoseconds.empty())
    return 0;
  std::vector<int64_t> sorted = nanoseconds;
  auto place = sorted.begin() + static_cast<ptrdiff_t>(nearestRank(sorted.size(), percent));
  std::ranges::nth_element(sorted, place);
  return static_cast<double>(*place) * 1e-9;
}

KernelTimes::KernelTimes(const Module &module, uint32_t threads, std::span<const Value> inputs)
    : tracer{this, nullptr,
             [](void *user, const char *name, uint64_t flops, uint64_t bytes, int64_t begin,
                int64_t end) {
               constexpr size_t most = 100000;
               auto &kernel = static_cast<KernelTimes *>(user)->sums[name];
               if (kernel.nanoseconds.size() < most)
                 kernel.nanoseconds.push_back(end - begin);
               ++kernel.calls;
               ++kernel.work[{static_cast<double>(flops), static_cast<double>(bytes)}];
             }},
      session(module, threads, &tracer), inputs(inputs), outputs(module.outputs().size()) {
  session.run(this->inputs, outputs);
  clear();
}

double KernelTimes::run(int runs) {
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i)
    session.run(inputs, outputs);
  counted += runs;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs;
}

void KernelTimes::clear() {
  sums.clear();
  counted = 0;
}

} // namespace lathe::tools
