// The pool's threads and their hand-over protocol.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Cpu/Pool.h"
#include "runtime/Core/Clock.h"
#include "runtime/Cpu/FloatState.h"
#include "runtime/Cpu/Futex.h"

#include <climits>

using namespace lathe::runtime;

namespace {

constexpr uint32_t openBit = uint32_t(1) << 31;
constexpr uint32_t maxThreads = 1024;
// Longer than the gaps between the regions of a run, shorter than what anyone notices in power.
constexpr int64_t spinNs = 40'000;
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

// Spins until `done` or for spinNs; true when done.
template <typename Done> bool spin(Done done) {
  int64_t end = 0;
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      if (done())
        return true;
      relax();
    }
    int64_t now = nowNs();
    if (!end)
      end = now + spinNs;
    else if (now >= end)
      return false;
  }
}

} // namespace

Region::Region(lathe_body body, const uint64_t *args, int64_t count, int64_t grain,
               uint32_t threads)
    : body(body), args(args), count(count), threads(threads) {
  this->grain = grain < 1 ? 1 : grain < count ? grain : count;
}

// Guided self-scheduling (Polychronopoulos and Kuck 1987): a piece is a thread's share of what is
// left. Few pieces, as each begins with data that is not in cache, and small ones at the end, so
// that nobody waits for long. Two threads on two processors: ResNet-50 29.6 ms, with 8 equal pieces
// 31.2 ms; where another process takes half of one of them, 58 ms both.
void Region::work() {
  // Relaxed: only the number matters; the data is ordered by joining and leaving.
  int64_t begin = next.load(std::memory_order_relaxed);
  while (begin < count) {
    int64_t left = count - begin, share = left / threads / grain * grain;
    int64_t piece = share > grain ? share : grain < left ? grain : left;
    if (!next.compare_exchange_weak(begin, begin + piece, std::memory_order_relaxed))
      continue;
    body(args, begin, begin + piece);
    begin = next.load(std::memory_order_relaxed);
  }
}

int32_t lathe_pool::start(uint32_t threads, lathe_status *status) {
  threads = threads ? threads : lathe_host_processors();
  if (threads > maxThreads)
    return fail(status, LATHE_STATUS_ARGUMENT, "%u threads are over the limit of %u", threads,
                maxThreads);
  if (!started.create(threads))
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  threadCount = threads;
  owner = getpid();
  while (startedCount + 1 < threads && startThread(started[startedCount], threadMain, this))
    ++startedCount;
  if (startedCount + 1 < threads)
    return fail(status, LATHE_STATUS_THREAD, "only %u of %u threads could be started", startedCount,
                threads - 1);
  return LATHE_STATUS_OK;
}

lathe_pool::~lathe_pool() {
  // In a forked child the threads do not exist: nothing to stop, and joining would wait for ever.
  if (getpid() != owner)
    return;
  stopping.store(true, std::memory_order_seq_cst);
  epoch.fetch_add(1, std::memory_order_seq_cst);
  futexWake(epoch, INT_MAX);
  for (uint32_t i = 0; i < startedCount; ++i)
    pthread_join(started[i], nullptr);
}

void lathe_pool::run(Region &work) {
  bool alone = startedCount == 0 || work.count <= work.grain;
  if (alone || busy.exchange(1, std::memory_order_acquire)) {
    work.work();
    return;
  }
  region = &work;
  state.store(openBit, std::memory_order_release);
  // Sequentially consistent, as is the sleepers' side: either we see the sleeper, or it sees the
  // new epoch and does not sleep.
  epoch.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst)) {
    int64_t pieces = (work.count - 1) / work.grain;
    futexWake(epoch, pieces < startedCount ? int(pieces) : int(startedCount));
  }
  work.work();
  uint32_t left = state.fetch_and(~openBit, std::memory_order_acq_rel) & ~openBit;
  auto allLeft = [&] { return state.load(std::memory_order_acquire) == 0; };
  while (left && !spin(allLeft)) {
    callerSleeps.store(1, std::memory_order_seq_cst);
    if (uint32_t seen = state.load(std::memory_order_seq_cst))
      futexWait(state, seen);
    callerSleeps.store(0, std::memory_order_relaxed);
  }
  busy.store(0, std::memory_order_release);
}

bool lathe_pool::join() {
  uint32_t seen = state.load(std::memory_order_relaxed);
  while (seen & openBit)
    if (state.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                    std::memory_order_relaxed))
      return true;
  return false;
}

void lathe_pool::leave() {
  uint32_t before = state.fetch_sub(1, std::memory_order_seq_cst);
  if (before == 1 && callerSleeps.load(std::memory_order_seq_cst))
    futexWake(state, 1);
}

uint32_t lathe_pool::awaitChange(uint32_t seen) {
  auto changed = [&] { return epoch.load(std::memory_order_acquire) != seen; };
  if (!spin(changed)) {
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (!changed())
      futexWait(epoch, seen); // returns at once where epoch is no longer `seen`
    sleepers.fetch_sub(1, std::memory_order_relaxed);
  }
  return epoch.load(std::memory_order_acquire);
}

void lathe_pool::serve() {
  FloatState floatState;
  uint32_t seen = 0;
  for (;;) {
    // A thread that starts late still sees the regions since: the first epoch is 0.
    seen = awaitChange(seen);
    if (stopping.load(std::memory_order_acquire))
      return;
    if (join()) {
      region->work();
      leave();
    }
  }
}

void *lathe_pool::threadMain(void *pool) {
  static_cast<lathe_pool *>(pool)->serve();
  return nullptr;
}

int32_t lathe_pool_create(uint32_t threads, lathe_pool **pool, lathe_status *status) {
  if (!pool)
    return fail(status, LATHE_STATUS_ARGUMENT, "pool is NULL");
  auto *result = createObject<lathe_pool>();
  if (!result)
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  if (int32_t code = result->start(threads, status)) {
    destroyObject(result);
    return code;
  }
  *pool = result;
  return succeed(status);
}

void lathe_pool_destroy(lathe_pool *pool) { destroyObject(pool); }

uint32_t lathe_pool_threads(const lathe_pool *pool) { return pool ? pool->threads() : 0; }
