// Copies to shared memory that go on while the thread does: cp.async of NVIDIA (PTX ISA 9.0, "Data
// Movement and Conversion Instructions: Non-bulk copy").
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <cstdio>
#include <cstring>

namespace lathe::emulator {

/// Of so many calls in a row a copy arrives at one, or at none before it is waited for.
static constexpr uint32_t mostCalls = 6;

// A source is read at some moment between the beginning of the copy and the wait.
bool BlockRunner::readSource(const Thread &thread, const char *from, uint64_t bytes) {
  const char *range[2];
  return !bytes || findMemory(thread, from, bytes, /*access=*/0, range);
}

void BlockRunner::land(const Copy &copy) {
  char *to = shared.get() + copy.to;
  memcpy(to, copy.from, copy.valid);
  memset(to + copy.valid, 0, copy.bytes - copy.valid);
}

// The thread calls: some of its copies arrive. That changes nothing of who may look at them.
void BlockRunner::landSome(Thread &thread) {
  for (Copy &copy : thread.copies)
    if (copy.calls && copy.calls < mostCalls && --copy.calls == 0)
      land(copy);
}

int32_t BlockRunner::copy(lathe_emulated_thread *given, void *to, const void *from, uint32_t bytes,
                          uint32_t valid) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  runner.landSome(thread);
  char what[160];
  uint64_t offset;
  auto isOdd = [&](const void *address) {
    return reinterpret_cast<uint64_t>(address) % bytes != 0;
  };
  if (valid > bytes)
    snprintf(what, sizeof(what), "it copies %u bytes, and reads %u of them", bytes, valid);
  else if (isOdd(to) || isOdd(from))
    snprintf(what, sizeof(what), "it copies %u bytes %s %p, which is no multiple of that", bytes,
             isOdd(to) ? "to" : "from", isOdd(to) ? to : from);
  else if (!runner.findShared(to, bytes, offset))
    snprintf(what, sizeof(what), "it copies %u bytes to %p, which is no shared memory", bytes, to);
  else if (!runner.readSource(thread, static_cast<const char *>(from), valid) ||
           !runner.touchShared(thread, offset, bytes, /*isWrite=*/true))
    return 0;
  else {
    for (uint64_t i = offset; i < offset + bytes; ++i)
      runner.shadow[i].copier = thread.thread + 1;
    uint32_t calls = uint32_t(scatter(++runner.chance) % (mostCalls + 1));
    thread.copies.push_back(
        {static_cast<const char *>(from), uint32_t(offset), bytes, valid, thread.group, calls});
    if (!calls)
      runner.land(thread.copies.back());
    return runner.goesOn();
  }
  runner.launch.fail(thread, what);
  return 0;
}

int32_t BlockRunner::commitCopies(lathe_emulated_thread *given) {
  auto &thread = *static_cast<Thread *>(given);
  thread.runner->landSome(thread);
  ++thread.group;
  return thread.runner->goesOn();
}

// What arrived is as if the thread had written it just now.
int32_t BlockRunner::waitCopies(lathe_emulated_thread *given, uint32_t groups) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  auto left = thread.copies.begin();
  for (const Copy &copy : thread.copies) {
    if (copy.group + uint64_t(groups) >= thread.group) {
      *left++ = copy;
      continue;
    }
    if (!runner.readSource(thread, copy.from, copy.valid))
      return 0;
    if (copy.calls)
      runner.land(copy);
    for (uint32_t i = copy.to; i < copy.to + copy.bytes; ++i) {
      Shadow &byte = runner.shadow[i];
      byte.copier = 0;
      byte.writeEpoch = runner.now(thread);
      byte.writer = thread.thread;
      byte.writtenAt = runner.moment;
    }
  }
  thread.copies.erase(left, thread.copies.end());
  runner.landSome(thread);
  return runner.goesOn();
}

} // namespace lathe::emulator
