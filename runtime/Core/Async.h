// Runs beside the caller.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_ASYNC_H
#define LATHE_RUNTIME_CORE_ASYNC_H

#include "runtime/Core/Memory.h"

#include <atomic>
#include <pthread.h>
#include <sched.h>
#include <sys/types.h>

namespace lathe::runtime {

/// Holds a word for some instructions at a time; so the other side is soon done, unless it was
/// interrupted.
class Locked {
public:
  explicit Locked(std::atomic<uint32_t> &word) : word(word) {
    while (word.exchange(1, std::memory_order_acquire))
      sched_yield();
  }
  ~Locked() { word.store(0, std::memory_order_release); }
  Locked(const Locked &) = delete;

private:
  std::atomic<uint32_t> &word;
};

/// The run that a context does beside its caller: at most one at a time. It holds the context
/// (lathe_context::busy) from lathe_context_run_async until it has ended, and its fields belong to
/// whoever holds the context; but `status`, `waited` and changes of `state` to whoever has `lock`,
/// which is held for moments.
struct Async {
  enum State : uint32_t { Never, Pending, Ended };
  enum Job : uint32_t { Nothing, Run, Stop };

  std::atomic<uint32_t> state{Never}; ///< Waiters sleep on it.
  std::atomic<uint32_t> tasks{0};     ///< Runs whose thread still touches the context.
  std::atomic<uint32_t> lock{0};
  lathe_status status;
  bool waited = true; ///< Somebody has waited for the latest run.
  int descriptor = -1;

  const lathe_entry *entry = nullptr;
  Array<lathe_value> inputs; ///< The caller's array, copied; made at the first run.
  uint32_t inputCount = 0;
  lathe_value *outputs = nullptr;
  lathe_completion completion = {};

  std::atomic<uint32_t> job{Nothing}; ///< The context's own thread sleeps on it.
  pthread_t thread;
  bool threadStarted = false;
  pid_t owner = 0; ///< The process that has the thread, or whose run was the latest.

  lathe_context *next = nullptr; ///< In the queue of its stream.
};

/// Does the run that a context, a lathe_context, was given; once, on any thread.
void runTask(void *context);

/// Stops what goes on and frees everything; the context is going away.
void endAsync(lathe_context &context);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_ASYNC_H
