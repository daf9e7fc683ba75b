// Sleeping on a word, and threads that sleep so.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CPU_FUTEX_H
#define LATHE_RUNTIME_CPU_FUTEX_H

#include <atomic>
#include <csignal>
#include <ctime>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lathe::runtime {

/// Sleeps while `word` is `expected`, at most `timeoutNs` (negative: no limit); may wake for
/// nothing.
inline void futexWait(std::atomic<uint32_t> &word, uint32_t expected, int64_t timeoutNs = -1) {
  timespec timeout = {time_t(timeoutNs / 1'000'000'000), long(timeoutNs % 1'000'000'000)};
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, timeoutNs < 0 ? nullptr : &timeout,
          nullptr, 0);
}

/// Wakes up to `count` threads. Only the address is used: the word may be gone already.
inline void futexWake(std::atomic<uint32_t> *word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

inline void futexWake(std::atomic<uint32_t> &word, int count) { futexWake(&word, count); }

/// Starts a thread that gets no signals, as these are for the application's own. False on failure.
inline bool startThread(pthread_t &thread, void *(*main)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = pthread_create(&thread, nullptr, main, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CPU_FUTEX_H
