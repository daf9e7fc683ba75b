// A fork-join thread pool for short parallel regions.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CPU_POOL_H
#define LATHE_RUNTIME_CPU_POOL_H

#include "runtime/Core/Memory.h"
#include "runtime/Core/Status.h"

#include <atomic>
#include <pthread.h>
#include <sys/types.h>

namespace lathe::runtime {

/// One parallel region: iterations handed out in pieces to whoever asks.
struct Region {
  lathe_body body;
  const uint64_t *args;
  int64_t count;
  int64_t grain; ///< Iterations that are taken at once are a multiple of it, but for the last.
  int64_t threads;
  alignas(64) std::atomic<int64_t> next{0};

  Region(lathe_body body, const uint64_t *args, int64_t count, int64_t grain, uint32_t threads);

  /// Takes pieces until none are left.
  void work();
};

} // namespace lathe::runtime

/// Threads that wait for regions.
///
/// One region is in progress at a time; a caller that finds the pool busy with another context's
/// region runs its own alone, since all processors have work already.
///
/// `epoch` changes with every region and is what idle threads watch: they spin for some
/// microseconds, then sleep on it (futex). `state` says who may touch `region`: the open bit, while
/// its pieces are handed out, and the number of threads that have joined. A thread joins only while
/// the bit is set, and the caller returns when it has cleared the bit and the number is 0. So
/// nobody waits for threads that came too late, and an empty region costs the caller some 100 ns.
///
/// After fork() the child has none of the threads. Its regions find nobody who joins, so the caller
/// does all pieces; a region that another thread had in progress leaves `busy` set, with the same
/// effect. So a pool goes on working in a child, with one thread.
struct lathe_pool {
public:
  lathe_pool() = default;
  lathe_pool(const lathe_pool &) = delete;
  ~lathe_pool();

  /// Starts threads - 1 threads; called once.
  int32_t start(uint32_t threads, lathe_status *status);

  /// Runs the region, with the caller's help. Any thread.
  void run(lathe::runtime::Region &region);

  uint32_t threads() const { return threadCount; }

private:
  static void *threadMain(void *pool);
  void serve();
  bool join();
  void leave();
  uint32_t awaitChange(uint32_t seen);

  alignas(64) std::atomic<uint32_t> epoch{0};
  alignas(64) std::atomic<uint32_t> state{0};
  std::atomic<uint32_t> callerSleeps{0};
  lathe::runtime::Region *region = nullptr;
  alignas(64) std::atomic<uint32_t> sleepers{0};
  alignas(64) std::atomic<uint32_t> busy{0};
  std::atomic<bool> stopping{false};
  uint32_t threadCount = 1;
  uint32_t startedCount = 0;
  pid_t owner = 0; ///< The process that has the threads.
  lathe::runtime::Array<pthread_t> started;
};

#endif // LATHE_RUNTIME_CPU_POOL_H
