// Memory of the emulated device, and when launches and copies are done: any moment up to the wait,
// until which the host may neither look at what they use nor give it back.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Queue.h"
#include "runtime/Emulator/Watch.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace lathe::emulator {

/// So much of what was ordered is kept at most: a loop without a wait must not fill the memory.
static constexpr size_t mostPending = 1024;

uint64_t scatter(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// ---- Memory ------------------------------------------------------------------------------------

static bool isKept(const Emulator::Piece &piece) {
  return piece.kind == DeviceMemory::Local || piece.isBusy;
}

static void setAccess(const char *begin, const Emulator::Piece &piece, int access) {
  mprotect(const_cast<char *>(begin), piece.mapped, access);
}

// At least a byte, so that every piece has an address of its own.
void *Emulator::allocate(uint64_t bytes, uint64_t alignment, DeviceMemory kind) {
  uint64_t size = std::max<uint64_t>(bytes, 1), page = uint64_t(sysconf(_SC_PAGESIZE));
  uint64_t mapped = (size + page - 1) / page * page;
  if (mapped < size || alignment > page)
    return nullptr;
  void *memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  memset(memory, poison, size);
  auto *begin = static_cast<const char *>(memory);
  std::unique_lock<std::mutex> lock(mutex);
  try {
    pieces[begin] = {begin + bytes, mapped, kind};
  } catch (const std::bad_alloc &) {
    munmap(memory, mapped);
    return nullptr;
  }
  if (kind == DeviceMemory::Local && !users)
    setAccess(begin, pieces[begin], PROT_NONE);
  return memory;
}

void Emulator::release(void *memory) {
  std::unique_lock<std::mutex> lock(mutex);
  auto piece = pieces.find(static_cast<const char *>(memory));
  for (Queue *queue : queues)
    for (const Work &work : queue->pending) {
      bool isUsed = false;
      work.visitAddresses([&](uint64_t address) { isUsed |= pieceOf(address) == piece; });
      if (!isUsed)
        continue;
      char what[200];
      snprintf(what, sizeof(what),
               "the host gives back memory at %p, which %s%.100s%s may use that it has not waited "
               "for",
               memory, work.kernel ? "kernel '" : "a copy", work.kernel ? work.kernel->name : "",
               work.kernel ? "'" : "");
      queue->fail(what);
      break;
    }
  Piece old = piece->second;
  pieces.erase(piece);
  if (old.shadow)
    munmap(old.shadow, old.shadowBytes);
  munmap(memory, old.mapped);
}

void Emulator::upload(void *to, const void *from, uint64_t bytes) {
  Inside inside(*this);
  memcpy(to, from, bytes);
  std::unique_lock<std::mutex> lock(mutex);
  if (auto piece = pieceOf(reinterpret_cast<uint64_t>(to)); piece != pieces.end())
    piece->second.isConstant = true;
}

std::map<const char *, Emulator::Piece>::iterator Emulator::pieceOf(uint64_t address) {
  auto *place = reinterpret_cast<const char *>(address);
  auto after = pieces.upper_bound(place);
  if (after == pieces.begin())
    return pieces.end();
  auto piece = std::prev(after);
  return place < piece->second.end ? piece : pieces.end();
}

Emulator::Watched Emulator::find(const char *address, uint64_t bytes) {
  std::unique_lock<std::mutex> lock(mutex);
  auto found = pieceOf(reinterpret_cast<uint64_t>(address));
  if (found == pieces.end() || bytes > uint64_t(found->second.end - address))
    return {};
  Piece &piece = found->second;
  if (!piece.shadow && !piece.isConstant) {
    piece.shadowBytes = shadowBytes(piece.mapped, watchEvery);
    void *memory = mmap(nullptr, piece.shadowBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw std::bad_alloc();
    piece.shadow = static_cast<Uses *>(memory);
  }
  return {found->first, piece.end, piece.shadow};
}

void Emulator::enter() {
  std::unique_lock<std::mutex> lock(mutex);
  if (users++ == 0)
    for (const auto &[begin, piece] : pieces)
      if (isKept(piece))
        setAccess(begin, piece, PROT_READ | PROT_WRITE);
}

void Emulator::leave() {
  std::unique_lock<std::mutex> lock(mutex);
  if (--users == 0)
    for (const auto &[begin, piece] : pieces)
      if (isKept(piece))
        setAccess(begin, piece, PROT_NONE);
}

void Emulator::unguard() {
  for (auto &[begin, piece] : pieces) {
    if (!piece.isBusy)
      continue;
    piece.isBusy = false;
    setAccess(begin, piece, PROT_READ | PROT_WRITE);
  }
}

// ---- Queues ------------------------------------------------------------------------------------

Queue::Queue(Emulator &device) : device(&device) {
  std::unique_lock<std::mutex> lock(device.mutex);
  device.queues.insert(this);
  if (device.queues.size() > 1)
    device.unguard();
}

// There is nobody to tell, and nothing that would be right to do.
Queue::~Queue() {
  std::unique_lock<std::mutex> lock(device->mutex);
  device->queues.erase(this);
  if (pending.empty())
    return;
  const Work &work = pending.front();
  fprintf(stderr, "%s: the host ends its queue, and has not waited for %s (seed %llu)\n",
          device->name, work.kernel ? work.kernel->name : "a copy",
          static_cast<unsigned long long>(device->seed));
  abort();
}

// Takes Shared memory that work may use away from the host. Of several contexts nobody knows whose
// it is: weights, which the host may read, are all theirs.
void Queue::guard(const Work &work) {
  if (device->queues.size() > 1)
    return;
  work.visitAddresses([&](uint64_t address) {
    auto piece = device->pieceOf(address);
    if (piece == device->pieces.end() || piece->second.kind == DeviceMemory::Local ||
        piece->second.isBusy)
      return;
    piece->second.isBusy = true;
    if (!device->users)
      setAccess(piece->first, piece->second, PROT_NONE);
  });
}

void Queue::fail(const char *what) {
  std::lock_guard<std::mutex> lock(mutex);
  if (failed.exchange(true))
    return;
  snprintf(failure, sizeof(failure), "%.440s (seed %llu)", what,
           static_cast<unsigned long long>(device->seed));
}

static void doWork(Queue &queue, const Work &work) {
  Inside inside(*queue.device);
  if (work.kernel)
    runLaunch(queue, work);
  else
    memcpy(work.to, work.from, work.bytes);
}

// Behind what has failed nothing is done.
void Queue::doSome(size_t count) {
  for (; count; --count) {
    Work work;
    {
      std::unique_lock<std::mutex> lock(device->mutex);
      if (done == pending.size() || failed.load(std::memory_order_relaxed))
        return;
      work = pending[done++];
      if (done > mostPending) {
        pending.pop_front();
        --done;
      }
    }
    doWork(*this, work);
  }
}

int32_t Queue::order(Work work) {
  if (failed.load(std::memory_order_relaxed))
    return LATHE_CODE_DEVICE;
  size_t count;
  {
    std::unique_lock<std::mutex> lock(device->mutex);
    guard(work);
    pending.push_back(std::move(work));
    count = pending.size() - done;
  }
  uint64_t chance = scatter(device->seed * 0xd1342543de82ef95 + ++orders);
  if (count == 1)
    isLate = chance % 4 == 0;
  if (count >= mostPending || (!isLate && chance / 4 % 2))
    doSome(1 + chance / 8 % count);
  return failed.load(std::memory_order_relaxed) ? LATHE_CODE_DEVICE : LATHE_CODE_OK;
}

int32_t Queue::wait() {
  doSome(SIZE_MAX);
  std::unique_lock<std::mutex> lock(device->mutex);
  device->unguard();
  pending.clear();
  done = 0;
  return failed.exchange(false) ? LATHE_CODE_DEVICE : LATHE_CODE_OK;
}

} // namespace lathe::emulator
