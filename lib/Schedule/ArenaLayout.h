// Places of intermediates in the arena.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_ARENALAYOUT_H
#define LATHE_LIB_SCHEDULE_ARENALAYOUT_H

#include "Kernel.h"
#include <limits>

namespace lathe::schedule {

/// The parts of an arena, in their order in memory.
enum class ArenaPart {
  Static, ///< sizes that are known
  Scaled, ///< sizes that are multiples of one and the same product of run-time sizes
  Slot    ///< other sizes
};

/// From when to when a value's memory is used, how large it is, and where it lies.
struct Lifetime {
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
  Size bytes;

  ArenaPart part = ArenaPart::Static;
  uint64_t offset = 0; // within Static in bytes, within Scaled in bytes for a scale of 1
  unsigned slot = 0;

  bool overlaps(const Lifetime &other) const { return first <= other.last && other.first <= last; }
};

struct ArenaLayout {
  uint64_t staticBytes = 0;
  uint64_t scaledBytes = 0; // the scaled part takes these times `scale`
  Size scale;
  /// Each slot is as large as the largest of these, which are all multiples of different products.
  std::vector<llvm::SmallVector<Size>> slots;
};

/// Gives every value a place such that those living at the same time don't overlap. A part begins
/// at a multiple of LATHE_ALIGNMENT, and so does every value.
ArenaLayout layoutArena(llvm::MutableArrayRef<Lifetime> values);

} // namespace lathe::schedule

#endif
