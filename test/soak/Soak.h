// The soak: what its threads share, and what each of them does.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_SOAK_SOAK_H
#define LATHE_TEST_SOAK_SOAK_H

#include "test/soak/Cases.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

namespace lathe::soak {

/// CLOCK_MONOTONIC.
int64_t nowNs();

/// Memory that is counted, and refused by chance.
struct Allocator {
  std::atomic<int64_t> live{0};
  uint32_t refuseOneIn = 0; ///< 0: never
  std::atomic<uint64_t> calls{0};

  lathe_allocator get() { return {this, allocate, release}; }
  static void *allocate(void *user, uint64_t bytes, uint64_t alignment) {
    auto *self = static_cast<Allocator *>(user);
    uint64_t call = self->calls++ * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    void *memory = nullptr;
    if ((self->refuseOneIn && call % self->refuseOneIn == 0) ||
        posix_memalign(&memory, alignment, bytes))
      return nullptr;
    self->live += bytes;
    return memory;
  }
  static void release(void *user, void *memory, uint64_t bytes) {
    static_cast<Allocator *>(user)->live -= bytes;
    free(memory);
  }
};

/// A thread of the program's own, where runs beside the caller may happen.
class Executor {
public:
  Executor() : thread([this] { serve(); }) {}
  ~Executor() {
    submit(this, nullptr, nullptr);
    thread.join();
  }
  static void submit(void *user, void (*task)(void *), void *argument);

private:
  void serve();
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<void (*)(void *), void *>> tasks;
  std::thread thread; ///< Last: it uses the others.
};

struct Soak {
  std::vector<Model> models;
  lathe_pool *pool = nullptr;
  lathe_stream *stream = nullptr;
  Allocator allocator;
  Executor executor;
  std::string folder; ///< for files that come and go
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> opened{0}, refused{0}, contexts{0}, beside{0}, strided{0};
  std::mutex mutex;
  std::map<int32_t, uint64_t> codes;    ///< how runs ended
  std::vector<lathe_context *> running; ///< one per worker; under the mutex
  std::string failure;                  ///< the first; empty: none

  void fail(const std::string &what) {
    std::lock_guard lock(mutex);
    if (failure.empty())
      failure = what;
    stop = true;
  }
};

/// What one thread of the soak does until `soak.stop`; `index` is its place in `running`.
void work(Soak &soak, size_t index);

} // namespace lathe::soak

#endif // LATHE_TEST_SOAK_SOAK_H
