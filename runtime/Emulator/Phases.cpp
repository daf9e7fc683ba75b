// Barriers with phases: mbarrier of NVIDIA (PTX ISA 9.0, "Parallel Synchronization and
// Communication Instructions: mbarrier"). Where a block has none, whoever meets at its barriers
// knows all that was done before. Where it has, threads learn from those who arrived in a phase
// that they wait for. Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>

namespace lathe::emulator {

static constexpr int64_t mostBytes = (1 << 20) - 1;

uint32_t ReaderLists::add(uint32_t who, uint32_t when, uint32_t next) {
  uint64_t key = (uint64_t(who) << 32 | when) ^ uint64_t(next) << 20;
  auto [begin, end] = known.equal_range(key);
  for (auto it = begin; it != end; ++it)
    if (const Reader &reader = (*this)[it->second];
        reader.who == who && reader.when == when && reader.next == next)
      return it->second;
  all.push_back({who, when, next});
  known.emplace(key, uint32_t(all.size()));
  return uint32_t(all.size());
}

static void learn(Clocks &clocks, const Clocks &from) {
  for (size_t i = 0; i < from.size(); ++i)
    clocks[i] = std::max(clocks[i], from[i]);
}

// A block has its first one: from here on each thread has a stretch of its own.
void BlockRunner::watchPhases() {
  for (Thread &thread : threads) {
    thread.known.assign(clocks(), 0);
    std::fill_n(thread.known.begin(), threads.size(), epoch - 1);
    thread.known[thread.thread] = epoch;
  }
  uint32_t all = 0;
  for (Shadow &byte : shadow)
    if (byte.reader == several)
      byte.readEpoch = all ? all : all = readers.add(several, epoch, 0);
}

void BlockRunner::forgetPhases() {
  for (Thread &thread : threads)
    thread.known.clear();
  phases.clear();
  readers.clear();
  tensorCopies.clear();
}

// All threads are at a barrier of the block.
void BlockRunner::meetAll() {
  Clocks all = threads.front().known;
  for (const Thread &thread : threads)
    learn(all, thread.known);
  for (Thread &thread : threads) {
    thread.known = all;
    ++thread.known[thread.thread];
  }
}

bool BlockRunner::knows(const Thread &thread, uint32_t who, uint32_t when) const {
  if (who == thread.thread)
    return true;
  if (thread.known.empty())
    return when < epoch;
  if (who != several)
    return when <= thread.known[who];
  auto end = thread.known.begin() + ptrdiff_t(threads.size());
  return std::all_of(thread.known.begin(), end, [&](uint32_t known) { return when <= known; });
}

// Whether a thread knows of all who read a byte; if not, `other` is one that it does not know of.
bool BlockRunner::knowsReads(const Thread &thread, const Shadow &byte, uint32_t *other) {
  if (!byte.readEpoch)
    return true;
  *other = byte.reader;
  if (byte.reader != several || thread.known.empty())
    return knows(thread, byte.reader, byte.readEpoch);
  for (uint32_t i = byte.readEpoch; i; i = readers[i].next)
    if (!knows(thread, readers[i].who, readers[i].when)) {
      *other = readers[i].who;
      return false;
    }
  return true;
}

void BlockRunner::noteRead(const Thread &thread, Shadow &byte) {
  uint32_t when = now(thread);
  bool isNew = !byte.readEpoch || byte.reader == thread.thread;
  if (thread.known.empty()) {
    byte.reader = isNew || byte.readEpoch < epoch ? thread.thread : several;
    byte.readEpoch = when;
    return;
  }
  uint32_t other;
  if (isNew || knowsReads(thread, byte, &other)) {
    byte.reader = thread.thread;
    byte.readEpoch = when;
    return;
  }
  uint32_t list =
      byte.reader == several ? byte.readEpoch : readers.add(byte.reader, byte.readEpoch, 0);
  for (uint32_t i = list; i; i = readers[i].next)
    if (readers[i].who == thread.thread && readers[i].when == when)
      return;
  byte.reader = several;
  byte.readEpoch = readers.add(thread.thread, when, list);
}

int32_t BlockRunner::initPhases(lathe_emulated_thread *given, void *barrier, uint32_t count) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  const char *fault = nullptr;
  uint64_t offset;
  if (!runner.stacks || !runner.findShared(barrier, 8, offset))
    fault = "it makes a barrier of what is no shared memory";
  else if (offset % 8)
    fault = "it makes a barrier at no multiple of 8";
  else if (!count || count > mostBytes)
    fault = "it makes a barrier for no arrivals, or for too many";
  else if (runner.phases.size() == mostPhases)
    fault = "it makes more than 64 barriers";
  else if (runner.shadow[offset].copier == isPhases)
    fault = "it makes a barrier of one that is there";
  if (fault) {
    runner.launch.fail(thread, fault);
    return 0;
  }
  if (!runner.hasPhases())
    runner.watchPhases();
  if (!runner.touchShared(thread, offset, 8, /*isWrite=*/true))
    return 0;
  for (uint64_t i = offset; i < offset + 8; ++i)
    runner.shadow[i].copier = isPhases;
  Clocks none(runner.clocks(), 0);
  runner.phases.push_back({uint32_t(offset), count, count, 0, 0, 0, thread.thread,
                           runner.now(thread),
                           /*isFenced=*/false, none, none});
  return runner.goesOn();
}

int32_t BlockRunner::fencePhases(lathe_emulated_thread *given) {
  auto &thread = *static_cast<Thread *>(given);
  for (Phases &phases : thread.runner->phases)
    phases.isFenced |= phases.maker == thread.thread;
  return thread.runner->goesOn();
}

// Null, and the fault noted, where there is none that the thread may use.
Phases *BlockRunner::findPhases(const Thread &thread, const void *barrier) {
  uint64_t offset;
  char what[160];
  bool isShared = findShared(barrier, 8, offset);
  auto found = std::find_if(phases.begin(), phases.end(),
                            [&](const Phases &known) { return isShared && known.at == offset; });
  if (found != phases.end() && knows(thread, found->maker, found->made))
    return &*found;
  if (!isShared)
    snprintf(what, sizeof(what), "it uses a barrier at %p, which is no shared memory", barrier);
  else if (found == phases.end())
    snprintf(what, sizeof(what),
             "it uses the barrier at byte %llu of shared memory, which nobody "
             "has made",
             static_cast<unsigned long long>(offset));
  else
    snprintf(
        what, sizeof(what),
        "it uses the barrier at byte %u of shared memory that thread %u made, without a barrier "
        "between",
        found->at, found->maker);
  launch.fail(thread, what);
  return nullptr;
}

// A phase ends when all have arrived and all bytes are there.
void BlockRunner::endPhases(Phases &of) {
  if (of.missing || of.bytes)
    return;
  ++of.over;
  of.missing = of.count;
  of.arrived[threads.size() + size_t(&of - phases.data())] = of.over;
  of.released = of.arrived;
}

int32_t BlockRunner::arrive(lathe_emulated_thread *given, void *barrier, uint32_t bytes) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  runner.landSome(thread);
  runner.landSomeTensors();
  Phases *phases = runner.findPhases(thread, barrier);
  if (!phases)
    return 0;
  char what[160];
  if (!phases->missing || phases->bytes + bytes > mostBytes) {
    snprintf(
        what, sizeof(what),
        "it arrives at the barrier at byte %u of shared memory, which has all %u arrivals of its "
        "phase, or expects too many bytes",
        phases->at, phases->count);
    runner.launch.fail(thread, what);
    return 0;
  }
  learn(phases->arrived, thread.known);
  ++thread.known[thread.thread];
  phases->bytes += bytes;
  --phases->missing;
  runner.endPhases(*phases);
  return runner.goesOn();
}

int32_t BlockRunner::waitPhase(lathe_emulated_thread *given, void *barrier, uint32_t parity) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  runner.landSome(thread);
  runner.landSomeTensors();
  Phases *found = runner.findPhases(thread, barrier);
  if (!found)
    return 0;
  if (parity > 1) {
    runner.launch.fail(thread, "it waits for a phase whose parity is neither 0 nor 1");
    return 0;
  }
  size_t number = size_t(found - runner.phases.data());
  while ((runner.phases[number].over & 1) == parity) {
    thread.phases = uint32_t(number);
    thread.parity = parity;
    thread.state = Thread::Parked;
    swapcontext(&thread.context, &runner.scheduler);
    if (!runner.goesOn())
      return 0;
  }
  learn(thread.known, runner.phases[number].released);
  return runner.goesOn();
}

// Threads whose phase is over go on; false where there are none.
bool BlockRunner::wakeParked() {
  bool isAwake = false;
  for (Thread &thread : threads)
    if (thread.state == Thread::Parked &&
        (!goesOn() || (phases[thread.phases].over & 1) != thread.parity)) {
      thread.state = Thread::Ready;
      isAwake = true;
    }
  return isAwake;
}

// Nobody else can go on; false where none waits for a phase.
bool BlockRunner::failParked() {
  // Those that wait for bytes are the cause where others wait for them.
  auto parked = threads.end();
  for (auto thread = threads.begin(); thread != threads.end(); ++thread)
    if (thread->state == Thread::Parked &&
        (parked == threads.end() ||
         (!phases[thread->phases].missing && phases[parked->phases].missing)))
      parked = thread;
  if (parked == threads.end())
    return false;
  const Phases &of = phases[parked->phases];
  char what[230];
  snprintf(
      what, sizeof(what),
      "it waits for phase %u (parity %u) of the barrier at byte %u of shared memory, which never "
      "ends: %u of %u arrivals and %lld bytes are missing",
      of.over, parked->parity, of.at, of.missing, of.count, static_cast<long long>(of.bytes));
  launch.fail(*parked, what);
  return true;
}

} // namespace lathe::emulator
