// Barriers with phases, as the emulator has them, and who knows of what.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_EMULATOR_PHASES_H
#define LATHE_RUNTIME_EMULATOR_PHASES_H

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace lathe::emulator {

/// Up to where somebody knows what was done, a vector clock: of each thread the stretch, behind
/// these of each barrier with phases the number of phases, and of each warp the number of the last
/// product that it has waited for.
using Clocks = std::vector<uint32_t>;

constexpr size_t mostPhases = 64; ///< In a block.

/// A barrier of 8 bytes in shared memory.
struct Phases {
  uint32_t at;             ///< Where it lies.
  uint32_t count, missing; ///< Arrivals of a phase, and those that are still to come.
  int64_t bytes;           ///< That are expected and not there yet.
  uint32_t over;           ///< Phases that have ended.
  uint32_t last;           ///< The number, from 1, of the last in which bytes arrived.
  uint32_t maker, made;    ///< The thread that made it, and its stretch.
  bool isFenced;
  Clocks arrived;  ///< What those know who have arrived.
  Clocks released; ///< What those know who have waited for the last phase that is over.
};

/// Lists of those who read a byte since it was last written. Bytes that were read by the same
/// threads have the same list.
class ReaderLists {
public:
  struct Reader {
    uint32_t who, when, next; ///< `next`: another one's number, 0 for none.
  };
  const Reader &operator[](uint32_t number) const { return all[number - 1]; }
  /// The number of the list that begins with these.
  uint32_t add(uint32_t who, uint32_t when, uint32_t next);
  void clear() {
    all.clear();
    known.clear();
  }

private:
  std::vector<Reader> all;
  std::unordered_multimap<uint64_t, uint32_t> known;
};

} // namespace lathe::emulator

#endif // LATHE_RUNTIME_EMULATOR_PHASES_H
