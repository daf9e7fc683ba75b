// Copies of boxes of tensors to shared memory: cp.async.bulk.tensor of NVIDIA (PTX ISA 9.0, "Data
// Movement and Conversion Instructions: Tensor copy", "Swizzling modes").
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace lathe::emulator {

namespace {

constexpr uint64_t piece = 16; ///< What changes its place as one.

/// What a place in shared memory becomes in a swizzle of so many bytes.
uint64_t swizzled(uint64_t at, uint32_t bytes) {
  uint64_t mask = bytes ? bytes / 16 - 1 : 0;
  return at ^ ((at >> 7 & mask) << 4);
}

/// What a place must be a multiple of: 128 bytes, or that after which the swizzle repeats.
uint64_t alignmentOf(uint32_t swizzle) { return swizzle ? 8 * uint64_t(swizzle) : 128; }

/// The part of a dimension of a box that is in the tensor: elements [begin, end) of the box.
struct Part {
  uint64_t begin, end;
};

Part partOf(const EmulatedMap &map, uint32_t dim, int64_t first) {
  int64_t size = map.box[dim], left = int64_t(map.sizes[dim]) - first;
  int64_t begin = std::clamp<int64_t>(-first, 0, size);
  return {uint64_t(begin), uint64_t(std::clamp<int64_t>(left, begin, size))};
}

uint64_t strideOf(const EmulatedMap &map, uint32_t dim) {
  return dim ? map.strides[dim - 1] : map.elementBytes;
}

/// The elements of a box that are in the tensor, from the first to behind the last; false where
/// there are none.
bool findSource(const EmulatedMap &map, const int32_t *coordinates, const char *&begin,
                uint64_t &bytes) {
  uint64_t first = map.address, last = map.address;
  for (uint32_t i = 0; i < map.rank; ++i) {
    Part part = partOf(map, i, coordinates[i]);
    if (part.begin == part.end)
      return false;
    first += uint64_t(coordinates[i] + int64_t(part.begin)) * strideOf(map, i);
    last += uint64_t(coordinates[i] + int64_t(part.end) - 1) * strideOf(map, i);
  }
  begin = reinterpret_cast<const char *>(first);
  bytes = last - first + map.elementBytes;
  return true;
}

uint64_t bytesOf(const EmulatedMap &map) {
  uint64_t bytes = map.elementBytes;
  for (uint32_t i = 0; i < map.rank; ++i)
    bytes *= map.box[i];
  return bytes;
}

} // namespace

int32_t BlockRunner::copyTensor(lathe_emulated_thread *given, void *to, const void *givenMap,
                                void *barrier, uint32_t rank, const int32_t *coordinates) {
  auto &thread = *static_cast<Thread *>(given);
  BlockRunner &runner = *thread.runner;
  runner.landSomeTensors();
  const auto &map = *static_cast<const EmulatedMap *>(givenMap);
  char what[200];
  auto fail = [&] {
    runner.launch.fail(thread, what);
    return 0;
  };
  Phases *phases = runner.findPhases(thread, barrier);
  if (!phases)
    return 0;
  if (!phases->isFenced) {
    snprintf(
        what, sizeof(what),
        "it copies a tensor with the barrier at byte %u of shared memory, which thread %u made "
        "without a fence",
        phases->at, phases->maker);
    return fail();
  }
  if (map.magic != EmulatedMap::known || map.rank != rank) {
    snprintf(what, sizeof(what), "it copies %u dimensions of a tensor %s", rank,
             map.magic == EmulatedMap::known ? "that has others" : "whose map is empty, or none");
    return fail();
  }
  uint64_t bytes = bytesOf(map), offset, sourceBytes, alignment = alignmentOf(map.swizzle);
  const char *source;
  if (!runner.findShared(to, bytes, offset)) {
    snprintf(what, sizeof(what),
             "it copies %llu bytes of a tensor to %p, which is not all shared "
             "memory",
             static_cast<unsigned long long>(bytes), to);
    return fail();
  }
  if (offset % alignment) {
    snprintf(what, sizeof(what),
             "it copies a tensor to byte %llu of shared memory, which is no multiple of %llu",
             static_cast<unsigned long long>(offset), static_cast<unsigned long long>(alignment));
    return fail();
  }
  bool hasSource = findSource(map, coordinates, source, sourceBytes);
  if (hasSource && !runner.findPiece(source, sourceBytes)) {
    snprintf(what, sizeof(what),
             "it copies a tensor from %p, where not all is memory of the device",
             static_cast<const void *>(source));
    return fail();
  }
  if (hasSource && !runner.readSource(thread, source, sourceBytes))
    return 0;
  if (!runner.touchShared(thread, offset, bytes, /*isWrite=*/true))
    return 0;
  for (uint64_t i = offset; i < offset + bytes; ++i)
    runner.shadow[i].copier = thread.thread + 1;
  TensorCopy copy{
      map, {}, uint32_t(offset), uint32_t(bytes), uint32_t(phases - runner.phases.data())};
  std::copy_n(coordinates, rank, copy.coordinates);
  runner.tensorCopies.push_back(copy);
  runner.landSomeTensors();
  return runner.goesOn();
}

// The bytes are there. They are those of the phase that this counts for.
void BlockRunner::landTensor(size_t number) {
  TensorCopy copy = tensorCopies[number];
  tensorCopies.erase(tensorCopies.begin() + ptrdiff_t(number));
  const EmulatedMap &map = copy.map;
  Phases &of = phases[copy.phases];
  for (uint32_t i = copy.to; i < copy.to + copy.bytes; ++i)
    shadow[i] = {of.over + 1, uint32_t(threads.size() + copy.phases), 0, 0, 0, /*writtenAt=*/0, 0};
  Part part = partOf(map, 0, copy.coordinates[0]);
  uint64_t begin = part.begin * map.elementBytes, end = part.end * map.elementBytes;
  uint64_t rowBytes = uint64_t(map.box[0]) * map.elementBytes;
  for (uint64_t row = 0; row < copy.bytes / rowBytes; ++row) {
    uint64_t rest = row;
    uint64_t source = map.address + uint64_t(int64_t(copy.coordinates[0])) * map.elementBytes;
    bool isThere = true;
    for (uint32_t i = 1; i < map.rank; ++i) {
      int64_t at = copy.coordinates[i] + int64_t(rest % map.box[i]);
      rest /= map.box[i];
      isThere &= at >= 0 && uint64_t(at) < map.sizes[i];
      source += uint64_t(at) * strideOf(map, i);
    }
    for (uint64_t x = 0; x < rowBytes; x += piece) {
      char *target = shared.get() + swizzled(copy.to + row * rowBytes + x, map.swizzle);
      memset(target, 0, piece);
      uint64_t from = std::max(x, begin), to = std::min(x + piece, end);
      if (isThere && from < to)
        memcpy(target + (from - x), reinterpret_cast<const char *>(source + from), to - from);
    }
  }
  of.last = of.over + 1;
  of.bytes -= copy.bytes;
  endPhases(of);
}

// A block must not end before its copies: somebody has to know that they are there.
void BlockRunner::checkCopiesWaitedFor() {
  for (size_t i = 0; i < phases.size() && goesOn(); ++i) {
    auto knowsLast = [&](const Thread &thread) {
      return thread.known[threads.size() + i] >= phases[i].last;
    };
    if (std::any_of(threads.begin(), threads.end(), knowsLast))
      continue;
    char what[160];
    snprintf(what, sizeof(what),
             "its block ends, and nobody has waited for the copy of a tensor that the barrier at "
             "byte %u of shared memory tells of",
             phases[i].at);
    launch.fail(threads.front(), what);
  }
}

// At any time one may arrive.
void BlockRunner::landSomeTensors() {
  if (!tensorCopies.empty() && goesOn() && scatter(++chance) % 4 == 0)
    landTensor(scatter(chance + 1) % tensorCopies.size());
}

} // namespace lathe::emulator
