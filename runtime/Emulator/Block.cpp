// Blocks of threads: fibers, shared memory, and what is checked.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <sys/mman.h>

namespace lathe::emulator {

static constexpr size_t stackBytes = 64 << 10;

Order::Order(uint64_t count, uint64_t seed)
    : count(count), start(scatter(seed) % count), step(scatter(seed + 1) % count) {
  while (std::gcd(step, count) != 1)
    step = (step + 1) % count;
}

void Launch::fail(const lathe_emulated_thread &thread, const char *what) const {
  char text[440];
  snprintf(text, sizeof(text), "kernel '%.100s', block %u of %u, thread %u: %.240s", kernel->name,
           thread.block, thread.block_count, thread.thread, what);
  queue->fail(text);
}

BlockRunner::BlockRunner(const Launch &launch)
    : launch(launch), threads(launch.kernel->shared_bytes ? launch.kernel->block_threads : 1),
      sharedBytes(launch.kernel->shared_bytes), shadow(launch.kernel->shared_bytes) {
  if (!sharedBytes)
    return;
  shared.reset(static_cast<char *>(
      aligned_alloc(sharedSpan, (sharedBytes + sharedSpan - 1) / sharedSpan * sharedSpan)));
  if (!shared)
    throw std::bad_alloc();
  void *memory = mmap(nullptr, stackBytes * threads.size(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  stacks = memory == MAP_FAILED ? nullptr : static_cast<char *>(memory);
}

BlockRunner::~BlockRunner() {
  if (stacks)
    munmap(stacks, stackBytes * threads.size());
}

void BlockRunner::start(Thread &thread, uint32_t block, uint32_t number) {
  thread.thread = number;
  thread.block = block;
  thread.block_threads = launch.kernel->block_threads;
  thread.block_count = launch.blocks;
  thread.shared = shared.get();
  thread.check = check;
  thread.barrier = wait;
  thread.multiply = multiply;
  thread.copy = copy;
  thread.commit_copies = commitCopies;
  thread.wait_copies = waitCopies;
  thread.load_matrices = loadMatrices;
  thread.watch_mask = launch.watchMask;
  thread.watched = launch.watched;
  thread.multiply_shared = multiplyShared;
  thread.fence_products = fenceProducts;
  thread.fence_shared = fenceShared;
  thread.commit_products = commitProducts;
  thread.wait_products = waitProducts;
  thread.init_phases = initPhases;
  thread.fence_phases = fencePhases;
  thread.arrive = arrive;
  thread.wait_phase = waitPhase;
  thread.copy_tensor = copyTensor;
  thread.runner = this;
  thread.copies.clear();
  thread.group = thread.productGroup = thread.fencedAt = 0;
  thread.fenced = false;
  thread.state = Thread::Ready;
}

void BlockRunner::run(uint32_t block) {
  if (sharedBytes)
    return runTogether(block);
  uint32_t count = launch.kernel->block_threads;
  Order order(count, launch.seed + block);
  for (uint32_t i = 0; i < count; ++i) {
    start(threads.front(), block, uint32_t(order(i)));
    launch.function(launch.args, &threads.front());
  }
}

// Where a fiber begins; makecontext passes numbers of 32 bits alone.
void BlockRunner::begin(unsigned high, unsigned low) {
  auto &thread = *reinterpret_cast<Thread *>(uint64_t(high) << 32 | low);
  thread.runner->launch.function(thread.runner->launch.args, &thread);
  thread.state = Thread::Done;
}

void BlockRunner::runTogether(uint32_t block) {
  if (!stacks) {
    start(threads.front(), block, 0);
    return launch.fail(threads.front(), "there is no memory for the stacks of the block");
  }
  memset(shared.get(), poison, sharedBytes);
  std::fill(shadow.begin(), shadow.end(), Shadow());
  products.clear();
  accumulators.clear();
  moment = 1;
  productCount = 0;
  forgetPhases();
  chance = scatter(launch.seed + 31 * uint64_t(block));
  for (uint32_t i = 0; i < threads.size(); ++i) {
    Thread &thread = threads[i];
    start(thread, block, i);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = stacks + i * stackBytes;
    thread.context.uc_stack.ss_size = stackBytes;
    thread.context.uc_link = &scheduler;
    auto address = reinterpret_cast<uint64_t>(&thread);
    makecontext(&thread.context, reinterpret_cast<void (*)()>(begin), 2, unsigned(address >> 32),
                unsigned(address));
  }
  auto isIn = [&](auto state) {
    return [state](const Thread &thread) { return thread.state == state; };
  };
  for (epoch = 1;; ++epoch) {
    uint32_t turn = 0;
    do
      runReady(block, turn++);
    while (goOnTogether());
    auto waiting = std::find_if(threads.begin(), threads.end(), isIn(Thread::Waiting));
    if (waiting == threads.end()) {
      if (!products.empty() && goesOn())
        launch.fail(threads[products.front().first], "it ends while products are under way");
      break;
    }
    if (std::any_of(threads.begin(), threads.end(), isIn(Thread::Done)) && goesOn())
      launch.fail(*waiting, "it waits at a barrier that others of the block never reach");
    if (hasPhases())
      meetAll();
    // After a fault all of them end at their barrier.
    for (Thread &thread : threads)
      if (thread.state == Thread::Waiting)
        thread.state = Thread::Ready;
  }
  checkCopiesWaitedFor();
}

// All threads that can go on do, up to where they wait for others.
void BlockRunner::runReady(uint32_t block, uint32_t turn) {
  Order order(threads.size(), launch.seed + block + 977 * epoch + 7919 * turn);
  for (uint32_t i = 0; i < threads.size(); ++i)
    if (Thread &thread = threads[order(i)]; thread.state == Thread::Ready) {
      swapcontext(&scheduler, &thread.context);
      landSomeTensors();
    }
}

// Where no thread is ready: whether one is after what they wait for has been done.
bool BlockRunner::goOnTogether() {
  if (wakeParked() || workTogether())
    return true;
  if (!tensorCopies.empty() && goesOn()) {
    landTensor(scatter(++chance) % tensorCopies.size());
    return true;
  }
  return failParked();
}

// Does the work of the warps that are together at the same; false where there is none.
bool BlockRunner::workTogether() {
  bool isDone = false;
  for (Thread &thread : threads)
    if (thread.state == Thread::Meeting)
      isDone |= workTogether(thread);
  return isDone;
}

bool BlockRunner::workTogether(Thread &first) {
  uint32_t unit = first.unit;
  uint32_t size = unit & multiplying           ? groupThreads
                  : unit & (loading | waiting) ? warpLanes
                                               : matrixLanes(unit);
  std::vector<MatrixOperands> lanes(size);
  size_t warp = first.thread / size * size, end = std::min(threads.size(), warp + size);
  uint32_t together = 0, apart = 0, parked = 0;
  for (size_t i = warp; i < end; ++i) {
    bool isHere = threads[i].state == Thread::Meeting && threads[i].unit == unit;
    (isHere ? together : apart) += 1;
    // Warps of a group may have something to do before they come to it.
    bool isOnItsWay = unit & multiplying && threads[i].state == Thread::Meeting && !isHere;
    parked += threads[i].state == Thread::Parked || isOnItsWay;
    lanes[i - warp] = threads[i].operands;
  }
  // Those that wait for a phase, or for their warp, may come later.
  if (parked && goesOn())
    return false;
  if ((apart || together < size) && goesOn())
    launch.fail(first, unit & multiplying ? "not all threads of its warpgroup multiply together"
                       : unit & waiting   ? "not all lanes of its warp wait for products together"
                       : unit & loading
                           ? "not all lanes of its warp load matrices together"
                           : "not all lanes of its warp are together in the matrix unit");
  if (goesOn() && unit & multiplying)
    beginProducts(warp);
  else if (goesOn() && unit & waiting)
    for (size_t i = warp; i < end; ++i)
      waitProducts(threads[i]);
  else if (goesOn() && unit & loading)
    loadTogether(warp, lanes.data(), unit);
  else if (goesOn())
    multiplyMatrices(unit, lanes.data());
  for (size_t i = warp; i < end; ++i)
    if (threads[i].state == Thread::Meeting)
      threads[i].state = Thread::Ready;
  return true;
}

// A thread waits for its warp.
int32_t BlockRunner::meet(Thread &thread) {
  BlockRunner &runner = *thread.runner;
  runner.landSome(thread);
  thread.state = Thread::Meeting;
  swapcontext(&thread.context, &runner.scheduler);
  return runner.goesOn();
}

int32_t BlockRunner::multiply(lathe_emulated_thread *given, uint32_t unit, const void *left,
                              const void *right, const void *sums, void *result) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  if (!runner.stacks || !matrixLanes(unit)) {
    runner.launch.fail(thread, "it multiplies matrices by a unit that is not there");
    return 0;
  }
  thread.unit = unit;
  thread.operands = {left, right, sums, result};
  return meet(thread);
}

int32_t BlockRunner::loadMatrices(lathe_emulated_thread *given, uint32_t count,
                                  uint32_t isTransposed, const void *row, void *result) {
  auto &thread = *static_cast<Thread *>(given);
  if (!thread.runner->stacks) {
    thread.runner->launch.fail(thread,
                               "it loads matrices from shared memory, of which it has none");
    return 0;
  }
  thread.unit = loading | count | (isTransposed ? transposed : 0);
  thread.operands = {row, nullptr, nullptr, result};
  return meet(thread);
}

// Each lane reads what it gets, two numbers of each matrix.
bool BlockRunner::loadTogether(size_t warp, const MatrixOperands *lanes, uint32_t unit) {
  uint32_t count = unit & (loading - 1);
  std::vector<uint64_t> rows(8 * count);
  for (uint32_t i = 0; i < rows.size(); ++i) {
    const void *row = lanes[i].left;
    const char *fault = !findShared(row, 16, rows[i])               ? "not all shared memory"
                        : reinterpret_cast<uint64_t>(row) % 16 != 0 ? "no multiple of 16"
                                                                    : nullptr;
    if (!fault)
      continue;
    char what[120];
    snprintf(what, sizeof(what), "it loads a row of a matrix at %p, which is %s", row, fault);
    launch.fail(threads[warp + i], what);
    return false;
  }
  for (uint32_t lane = 0; lane < warpLanes; ++lane)
    for (uint32_t matrix = 0; matrix < count; ++matrix)
      for (uint32_t i = 0; i < 2; ++i) {
        MatrixPlace place = loadedPlace(lane, i, unit & transposed);
        uint64_t offset = rows[8 * matrix + place.row] + 2 * place.column;
        if (!touchShared(threads[warp + lane], offset, 2, /*isWrite=*/false))
          return false;
        memcpy(static_cast<char *>(lanes[lane].result) + 4 * matrix + 2 * i, shared.get() + offset,
               2);
      }
  return true;
}

int32_t BlockRunner::wait(lathe_emulated_thread *given) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  // A kernel that shares nothing has no fibers, and no reason to wait.
  if (!runner.stacks)
    return 1;
  runner.landSome(thread);
  thread.state = Thread::Waiting;
  swapcontext(&thread.context, &runner.scheduler);
  return runner.goesOn();
}

// Between two barriers a byte is one thread's, or is only read.
bool BlockRunner::touchShared(const Thread &thread, uint64_t offset, uint64_t bytes, bool isWrite) {
  const char *verb = isWrite ? "writes" : "reads", *fault = nullptr;
  uint32_t other = 0;
  char what[200];
  auto place = [](uint64_t i) { return static_cast<unsigned long long>(i); };
  auto fail = [&] {
    launch.fail(thread, what);
    return false;
  };
  for (uint64_t i = offset; i < offset + bytes; ++i) {
    Shadow &byte = shadow[i];
    if (byte.copier == isPhases) {
      snprintf(what, sizeof(what), "it %s byte %llu of shared memory, which is of a barrier", verb,
               place(i));
      return fail();
    }
    if (byte.copier) {
      snprintf(what, sizeof(what),
               "it %s byte %llu of shared memory while a copy of thread %u to it is under way",
               verb, place(i), byte.copier - 1);
      return fail();
    }
    if (isWrite && byte.products) {
      snprintf(what, sizeof(what),
               "it writes byte %llu of shared memory, which a product under way reads", place(i));
      return fail();
    }
    if (byte.writeEpoch && !knows(thread, byte.writer, byte.writeEpoch)) {
      fault = verb;
      other = byte.writer;
    } else if (isWrite && !knowsReads(thread, byte, &other)) {
      fault = verb;
    } else if (!isWrite && !byte.writeEpoch) {
      snprintf(what, sizeof(what), "it reads byte %llu of shared memory, which nobody has written",
               place(i));
      return fail();
    }
    if (isWrite) {
      byte.writeEpoch = now(thread);
      byte.writer = thread.thread;
      byte.writtenAt = moment;
    } else {
      noteRead(thread, byte);
    }
  }
  if (!fault)
    return true;
  if (other == several)
    snprintf(what, sizeof(what),
             "it %s shared memory at byte %llu that others read, without a "
             "barrier between",
             fault, place(offset));
  else if (other >= threads.size() + mostPhases)
    snprintf(what, sizeof(what),
             "it %s shared memory at byte %llu that a product of warp %llu has read, without an "
             "arrival of that between",
             fault, place(offset), place(other - threads.size() - mostPhases));
  else if (other >= threads.size())
    snprintf(what, sizeof(what),
             "it %s shared memory at byte %llu that a copy of a tensor has brought, without a wait "
             "for its phase",
             fault, place(offset));
  else
    snprintf(what, sizeof(what),
             "it %s shared memory at byte %llu that thread %u used, without a "
             "barrier between",
             fault, place(offset), other);
  return fail();
}

bool BlockRunner::findShared(const void *address, uint64_t bytes, uint64_t &offset) const {
  auto *begin = static_cast<const char *>(address);
  const char *memory = shared.get();
  if (begin < memory || begin >= memory + sharedBytes ||
      bytes > uint64_t(memory + sharedBytes - begin))
    return false;
  offset = uint64_t(begin - memory);
  return true;
}

int32_t BlockRunner::check(lathe_emulated_thread *given, const void *address, uint64_t bytes,
                           uint32_t alignment, uint32_t access, const char **range) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  auto *begin = static_cast<const char *>(address);
  bool isWrite = access & 1;
  if (reinterpret_cast<uint64_t>(address) % alignment) {
    char what[160];
    snprintf(what, sizeof(what), "it %s %llu bytes at %p, which is no multiple of %u",
             isWrite ? "writes" : "reads", static_cast<unsigned long long>(bytes), address,
             alignment);
    runner.launch.fail(thread, what);
    return 0;
  }
  if (uint64_t offset; runner.findShared(address, bytes, offset))
    return runner.touchShared(thread, offset, bytes, isWrite);
  return runner.findMemory(thread, begin, bytes, access, range);
}

} // namespace lathe::emulator
