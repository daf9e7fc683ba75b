// Races in the device's memory, byte by byte. Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>

namespace lathe::emulator {

static Tag load(const uint64_t &bits) { return {__atomic_load_n(&bits, __ATOMIC_RELAXED)}; }

static void store(uint64_t &bits, Tag tag) {
  if (load(bits).bits != tag.bits)
    __atomic_store_n(&bits, tag.bits, __ATOMIC_RELAXED);
}

// Who has read a byte, now that `self` does too. What a block read before its last barrier is
// ordered for itself, and for others all of the block is one.
static Tag joinReaders(Tag before, Tag self) {
  if (before.launch() != self.launch())
    return self;
  if (before.block() != self.block())
    return Tag::of(self.launch(), Tag::severalBlocks, 0, 0);
  bool isSame = before.epoch() != self.epoch() || before.thread() == self.thread();
  return isSame ? self : Tag::of(self.launch(), self.block(), Tag::severalThreads, self.epoch());
}

Race touch(Uses *shadow, uint64_t bytes, Tag self, bool isWrite) {
  Race race;
  auto find = [&](uint64_t byte, Tag other, bool isOtherWrite) {
    if (!race.isFound && self.meets(other))
      race = {true, isOtherWrite, byte, other};
  };
  for (uint64_t i = 0; i < bytes; ++i) {
    find(i, load(shadow[i].writer), true);
    Tag reader = load(shadow[i].reader);
    if (isWrite) {
      find(i, reader, false);
      store(shadow[i].writer, self);
    } else {
      store(shadow[i].reader, joinReaders(reader, self));
    }
  }
  return race;
}

void Launch::begin() {
  Emulator &device = *queue->device;
  std::lock_guard<std::mutex> lock(device.mutex);
  number = ++device.launches;
  // Numbers that would begin anew would be taken for those of old launches.
  if (number > Tag::maxLaunch)
    return;
  watchMask = (device.watchEvery - 1) * lineBytes;
  watched = scatter(seed ^ lineBytes) % device.watchEvery * lineBytes;
}

const Emulator::Watched *BlockRunner::findPiece(const char *address, uint64_t bytes) {
  for (const Emulator::Watched &piece : pieces)
    if (address >= piece.begin && address < piece.end && bytes <= uint64_t(piece.end - address))
      return &piece;
  Emulator::Watched piece = launch.queue->device->find(address, bytes);
  if (!piece.begin)
    return nullptr;
  pieces.push_back(piece);
  return &pieces.back();
}

// Of what an address is based on the extent is known mostly. Else it may be in any buffer of the
// launch, and where the extent of one is not known, in all the piece that this is part of.
bool BlockRunner::findMemory(const Thread &thread, const char *address, uint64_t bytes,
                             uint32_t access, const char **range) {
  bool isWrite = access & 1;
  uint32_t parameter = access >> 8;
  char why[120] = "no memory of the device";
  auto holds = [&](const char *begin, uint64_t extent) {
    return address >= begin && bytes <= extent && uint64_t(address - begin) <= extent - bytes;
  };
  auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  const Emulator::Watched *piece = findPiece(address, bytes);
  bool isFound = false;
  for (uint32_t i = 0; piece && i < launch.extents.size() && !isFound; ++i) {
    auto *begin = reinterpret_cast<const char *>(launch.args[i]);
    uint64_t extent = launch.extents[i];
    if (parameter && i + 1 != parameter)
      continue;
    if (extent)
      isFound = holds(begin, extent);
    else if (begin >= piece->begin && begin <= piece->end)
      isFound = true;
    if (isFound) {
      range[0] = extent ? begin : piece->begin;
      range[1] = extent ? begin + extent : piece->end;
    } else if (parameter) {
      snprintf(why, sizeof(why), "outside of buffer %u of the kernel, %llu bytes at %p", i,
               number(extent), static_cast<const void *>(begin));
    } else {
      snprintf(why, sizeof(why), "in no buffer of the kernel");
    }
  }
  if (isFound)
    return watch(thread, *piece, address, bytes, isWrite);
  char what[240];
  snprintf(what, sizeof(what), "it %s %llu bytes at %p, which is %s", isWrite ? "writes" : "reads",
           number(bytes), static_cast<const void *>(address), why);
  launch.fail(thread, what);
  return false;
}

// Only bytes of the first line are looked at: what is aligned lies in one.
bool BlockRunner::watch(const Thread &thread, const Emulator::Watched &piece, const char *address,
                        uint64_t bytes, bool isWrite) {
  char what[200];
  if (!piece.shadow) {
    if (!isWrite)
      return true;
    snprintf(what, sizeof(what), "it writes %llu bytes at %p, which are weights",
             static_cast<unsigned long long>(bytes), static_cast<const void *>(address));
    launch.fail(thread, what);
    return false;
  }
  auto place = reinterpret_cast<uint64_t>(address);
  if ((place & launch.watchMask) != launch.watched || epoch >= Tag::maxEpoch)
    return true;
  Tag self = Tag::of(launch.number, thread.block % Tag::severalBlocks, thread.thread, epoch);
  uint64_t inLine = std::min(bytes, lineBytes - place % lineBytes);
  Uses *shadow =
      piece.shadow + shadowIndex(uint64_t(address - piece.begin), launch.queue->device->watchEvery);
  Race race = touch(shadow, inLine, self, isWrite);
  if (!race.isFound)
    return true;
  char who[60];
  auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  if (race.other.block() == Tag::severalBlocks)
    snprintf(who, sizeof(who), "several blocks");
  else if (race.other.thread() == Tag::severalThreads)
    snprintf(who, sizeof(who), "several threads of block %llu", number(race.other.block()));
  else
    snprintf(who, sizeof(who), "thread %llu of block %llu", number(race.other.thread()),
             number(race.other.block()));
  snprintf(what, sizeof(what), "it %s memory at %p that %s %s, and nothing orders them",
           isWrite ? "writes" : "reads", static_cast<const void *>(address + race.byte), who,
           race.isOtherWrite ? "wrote" : "read");
  launch.fail(thread, what);
  return false;
}

} // namespace lathe::emulator
