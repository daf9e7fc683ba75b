// Who used a byte of the device's memory in the launch in progress: races between its threads.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_WATCH_H
#define LATHE_RUNTIME_EMULATOR_WATCH_H

#include <cstddef>
#include <cstdint>

namespace lathe::emulator {

/// Of every so many lines one is watched, in each launch another.
constexpr uint64_t lineBytes = 64;
constexpr uint64_t mostEvery = 1 << 20;

/// A thread at a moment, in 64 bits: launch, block, thread and the stretch between two barriers of
/// the block. Of blocks too many for that some are taken for one.
struct Tag {
  static constexpr uint64_t epochBits = 11, threadBits = 11, blockBits = 18;
  static constexpr uint64_t maxLaunch = (1 << (64 - epochBits - threadBits - blockBits)) - 1;
  static constexpr uint64_t maxEpoch = (1 << epochBits) - 1;
  /// In place of a thread or a block.
  static constexpr uint64_t severalThreads = (1 << threadBits) - 1;
  static constexpr uint64_t severalBlocks = (1 << blockBits) - 1;

  uint64_t bits;

  static Tag of(uint64_t launch, uint64_t block, uint64_t thread, uint64_t epoch) {
    return {((launch << blockBits | block) << threadBits | thread) << epochBits | epoch};
  }
  uint64_t epoch() const { return bits & maxEpoch; }
  uint64_t thread() const { return bits >> epochBits & severalThreads; }
  uint64_t block() const { return bits >> (epochBits + threadBits) & severalBlocks; }
  uint64_t launch() const { return bits >> (epochBits + threadBits + blockBits); }
  /// Whether `other`, of the same launch, may come before or after: nothing orders them.
  bool meets(Tag other) const {
    return launch() == other.launch() &&
           (block() != other.block() || (epoch() == other.epoch() && thread() != other.thread()));
  }
};

/// Of a byte: who wrote it last, and who read it.
struct Uses {
  uint64_t writer, reader;
};

/// Of as many bytes of memory.
constexpr uint64_t shadowBytes(uint64_t bytes, uint64_t every) {
  return (bytes / (lineBytes * every) + 1) * lineBytes * sizeof(Uses);
}

/// Where that of a byte is, which is in a line that is watched.
inline size_t shadowIndex(uint64_t offset, uint64_t every) {
  return offset / (lineBytes * every) * lineBytes + offset % lineBytes;
}

/// What is wrong with an access; `isOtherWrite`: what the other did.
struct Race {
  bool isFound = false, isOtherWrite = false;
  uint64_t byte = 0; ///< of the access
  Tag other = {};
};

/// Notes that `self` reads or writes bytes of a line that is watched. Threads of the host may do so
/// side by side: then a race may be missed, and none is invented.
Race touch(Uses *shadow, uint64_t bytes, Tag self, bool isWrite);

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_WATCH_H
