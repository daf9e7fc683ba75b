// Streams: runs beside the caller, in order.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_STREAM_H
#define LATHE_RUNTIME_CORE_STREAM_H

#include "runtime/Core/Status.h"

#include <atomic>
#include <pthread.h>
#include <sys/types.h>

/// A queue of contexts whose runs one thread does, in their order. A context is in it once at most,
/// so the links are in the contexts (Async::next) and nothing is allocated.
struct lathe_stream {
public:
  lathe_stream() = default;
  lathe_stream(const lathe_stream &) = delete;
  /// Does what is in it first, but in a forked child, which has no thread for it.
  ~lathe_stream();

  /// Starts the thread; called once.
  int32_t start(lathe_status *status);

  /// ARGUMENT in a forked child.
  int32_t check(lathe_status *status) const;

  /// Puts a run, which is ready, behind all others.
  void put(lathe_context &context);

  int32_t wait(int64_t timeoutNs, lathe_status *status);

private:
  static void *threadMain(void *stream);
  lathe_context *take();

  std::atomic<uint32_t> lock{0};    ///< Held for moments, by whoever changes the queue.
  std::atomic<uint32_t> changes{0}; ///< Of the queue; the thread sleeps on it.
  std::atomic<uint32_t> done{0};    ///< Runs that have ended; waiters sleep on it.
  std::atomic<bool> stopping{false};
  uint32_t count = 0; ///< Runs that were put here ever; modulo 2^32, as `done`.
  lathe_context *first = nullptr, *last = nullptr;
  pthread_t thread;
  bool started = false;
  pid_t owner = 0; ///< The process that has the thread.
};

#endif // LATHE_RUNTIME_CORE_STREAM_H
