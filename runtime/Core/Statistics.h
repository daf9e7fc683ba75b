// What the runs of a context came to.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_STATISTICS_H
#define LATHE_RUNTIME_CORE_STATISTICS_H

#include "lathe-c/Runtime.h"

#include <atomic>

namespace lathe::runtime {

/// A number that one thread writes and any may read: no locked instruction.
class Counter {
public:
  void add(uint64_t amount) { value.store(read() + amount, std::memory_order_relaxed); }
  void raise(uint64_t to) {
    if (to > read())
      value.store(to, std::memory_order_relaxed);
  }
  uint64_t read() const { return value.load(std::memory_order_relaxed); }

private:
  std::atomic<uint64_t> value{0};
};

/// When a run began, was prepared, had executed and was over.
struct RunTimes {
  int64_t begin, prepared, executed, end;
};

/// Written by the thread that runs.
struct Statistics {
  Counter runs, failures, cancelled, late, prepareNs, runNs, finishNs, longestNs;

  void count(int32_t code, const RunTimes &times) {
    (code ? failures : runs).add(1);
    if (code == LATHE_STATUS_CANCELLED)
      cancelled.add(1);
    if (code == LATHE_STATUS_DEADLINE)
      late.add(1);
    prepareNs.add(times.prepared - times.begin);
    runNs.add(times.executed - times.prepared);
    finishNs.add(times.end - times.executed);
    longestNs.raise(times.end - times.begin);
  }
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_STATISTICS_H
