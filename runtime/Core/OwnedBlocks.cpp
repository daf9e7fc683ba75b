// The list of owned values' memory, for debug builds.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/OwnedBlocks.h"

#ifdef LATHE_CHECK_VALUES
#include <cstdlib>
#include <pthread.h>

namespace {

struct Block {
  uint64_t begin, bytes;
  uint32_t pins; ///< Runs that use it.
  bool released; ///< While it was pinned.
};

// Searched from its end: what is released was mostly made lately. No library's container: the
// runtime needs the C library alone.
Block *blocks;
uint64_t count, capacity;
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

// A child gets the list whole and the mutex free, whatever other threads were at.
void lockList() { pthread_mutex_lock(&mutex); }
void unlockList() { pthread_mutex_unlock(&mutex); }
__attribute__((constructor)) void keepAcrossFork() {
  pthread_atfork(lockList, unlockList, unlockList);
}

struct Lock {
  Lock() { pthread_mutex_lock(&mutex); }
  ~Lock() { pthread_mutex_unlock(&mutex); }
};

// The block that contains the address, or null; under the lock.
Block *find(const void *data) {
  for (uint64_t i = count; i-- > 0;)
    if (reinterpret_cast<uint64_t>(data) - blocks[i].begin < blocks[i].bytes)
      return &blocks[i];
  return nullptr;
}

} // namespace

bool lathe::runtime::addOwnedBlock(const void *data, uint64_t bytes) {
  Lock lock;
  if (count == capacity) {
    uint64_t wanted = capacity ? 2 * capacity : 64;
    void *grown = realloc(blocks, wanted * sizeof(Block));
    if (!grown)
      return false;
    blocks = static_cast<Block *>(grown);
    capacity = wanted;
  }
  blocks[count++] = {reinterpret_cast<uint64_t>(data), bytes, 0, false};
  return true;
}

bool lathe::runtime::removeOwnedBlock(const void *data) {
  Lock lock;
  for (uint64_t i = count; i-- > 0;)
    if (blocks[i].begin == reinterpret_cast<uint64_t>(data)) {
      blocks[i].released = true;
      if (blocks[i].pins)
        return false;
      blocks[i] = blocks[--count];
      return true;
    }
  return false;
}

void lathe::runtime::pinOwnedBlock(const void *data) {
  Lock lock;
  if (Block *block = find(data))
    ++block->pins;
}

bool lathe::runtime::unpinOwnedBlock(const void *data, void *&toFree) {
  Lock lock;
  Block *block = find(data);
  if (!block || !block->pins)
    return false;
  bool released = block->released;
  if (--block->pins == 0 && released) {
    toFree = reinterpret_cast<void *>(block->begin);
    *block = blocks[--count];
  }
  return released;
}

bool lathe::runtime::isOwnedBlock(const void *data, uint64_t bytes) {
  Lock lock;
  for (uint64_t i = count; i-- > 0;) {
    uint64_t within = reinterpret_cast<uint64_t>(data) - blocks[i].begin;
    if (within <= blocks[i].bytes && bytes <= blocks[i].bytes - within)
      return !blocks[i].released;
  }
  return false;
}
#endif
