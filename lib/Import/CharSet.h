// Sets of characters.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_CHARSET_H
#define LATHE_LIB_IMPORT_CHARSET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <utility>

namespace lathe::import {

/// A set of characters: ranges of code points, in order and apart.
class CharSet {
public:
  using Range = std::pair<uint32_t, uint32_t>; // both ends are in it
  static constexpr uint32_t kLast = 0x10ffff;

  void add(uint32_t first, uint32_t last);
  void add(const CharSet &set);
  void invert();
  /// Adds what differs from a member in case alone, as Unicode folds it.
  void addOtherCases();
  llvm::ArrayRef<Range> ranges() const { return all; }

private:
  bool contains(uint32_t c) const;
  void merge();

  llvm::SmallVector<Range, 4> all;
};

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_CHARSET_H
