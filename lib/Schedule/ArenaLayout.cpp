// Places of intermediates in the arena.
//
// Values of static size are placed by decreasing size at the lowest offset that no value living at
// the same time covers. Where the larger run-time sizes are all multiples of one product, as with a
// network whose batch is unknown, they are placed in the same way, in units of that product.
// Otherwise, and for small ones, values that never live at the same time share slots.
// Apache-2.0 WITH LLVM-exception
#include "ArenaLayout.h"
#include "lathe/ArtifactFormat.h"
#include <map>

using namespace lathe;
using namespace lathe::schedule;

// Multiples below this would grow too much by rounding them up to the alignment: at this size by
// 6 % at most.
static constexpr int64_t leastScaled = 1024;

static uint64_t alignUp(uint64_t bytes) { return llvm::alignTo(bytes, LATHE_ALIGNMENT); }

// First fit by decreasing size; returns the end. Intervals are kept by offset, so one placement
// costs the number of values that live at the same time.
static uint64_t placeByConstant(std::vector<Lifetime *> values, ArenaPart part) {
  llvm::stable_sort(values,
                    [](Lifetime *a, Lifetime *b) { return a->bytes.constant > b->bytes.constant; });
  uint64_t end = 0;
  std::multimap<uint64_t, Lifetime *> placed; // by offset
  for (Lifetime *value : values) {
    uint64_t offset = 0, bytes = alignUp(value->bytes.constant);
    for (auto &[otherOffset, other] : placed) {
      if (!other->overlaps(*value))
        continue;
      if (offset + bytes <= otherOffset)
        break;
      offset = std::max(offset, otherOffset + alignUp(other->bytes.constant));
    }
    value->part = part;
    value->offset = offset;
    placed.insert({offset, value});
    end = std::max(end, offset + bytes);
  }
  return end;
}

namespace {
struct Slot {
  llvm::SmallVector<Size> sizes; // multiples of different products
  int64_t last = -1;

  Size *find(const Size &size) {
    auto *found =
        llvm::find_if(sizes, [&](const Size &other) { return other.factors == size.factors; });
    return found == sizes.end() ? nullptr : found;
  }
  /// By how much of its own product `size` differs from what the slot holds already; the greatest
  /// number where the slot holds no multiple of that product.
  uint64_t distance(const Size &size) {
    Size *own = find(size);
    return own ? std::abs(own->constant - size.constant) : std::numeric_limits<uint64_t>::max();
  }
  void add(const Size &size) {
    if (Size *own = find(size))
      own->constant = std::max(own->constant, size.constant);
    else
      sizes.push_back(size);
  }
};
} // namespace

// In order of first use; of the slots that are free the one of the nearest size.
static void placeInSlots(std::vector<Lifetime *> values, ArenaLayout &layout) {
  llvm::stable_sort(values, [](Lifetime *a, Lifetime *b) { return a->first < b->first; });
  std::vector<Slot> slots;
  for (Lifetime *value : values) {
    Slot *best = nullptr;
    for (Slot &slot : slots)
      if (slot.last < value->first &&
          (!best || slot.distance(value->bytes) < best->distance(value->bytes)))
        best = &slot;
    if (!best)
      best = &slots.emplace_back();
    best->add(value->bytes);
    best->last = value->last;
    value->part = ArenaPart::Slot;
    value->slot = best - slots.data();
  }
  for (Slot &slot : slots)
    layout.slots.push_back(std::move(slot.sizes));
}

ArenaLayout lathe::schedule::layoutArena(llvm::MutableArrayRef<Lifetime> values) {
  std::vector<Lifetime *> fixed, scaled, others;
  for (Lifetime &value : values) {
    if (value.bytes.isStatic())
      fixed.push_back(&value);
    else
      (value.bytes.constant >= leastScaled ? scaled : others).push_back(&value);
  }
  // What is small, of whatever product, does not matter to the large ones.
  bool oneProduct =
      llvm::all_of(
          scaled,
          [&](Lifetime *value) { return value->bytes.factors == scaled.front()->bytes.factors; }) &&
      llvm::all_of(others, [&](Lifetime *value) {
        return scaled.empty() || value->bytes.factors == scaled.front()->bytes.factors;
      });
  ArenaLayout layout;
  layout.staticBytes = placeByConstant(std::move(fixed), ArenaPart::Static);
  if (oneProduct && !scaled.empty()) {
    layout.scale.factors = scaled.front()->bytes.factors;
    layout.scaledBytes = placeByConstant(std::move(scaled), ArenaPart::Scaled);
  } else {
    others.insert(others.end(), scaled.begin(), scaled.end());
  }
  placeInSlots(std::move(others), layout);
  return layout;
}
