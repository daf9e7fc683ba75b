// Stages that walk the same rows, which a GPU runs as one kernel: softmax, normalizations, sums.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_ROWS_H
#define LATHE_LIB_SCHEDULE_ROWS_H

#include "Kernel.h"

namespace lathe::schedule {

/// What stages do with each of the rows that their shared loops count. Whatever is inside these
/// loops all of them walk in the same order, so that an element of a row is read where it was
/// written.
struct Rows {
  enum Part {
    Single,   ///< computes what a row has one of
    Elements, ///< computes the elements of a row
    Sum       ///< adds up a row, or takes its maximum, in any order
  };
  llvm::SmallVector<Part> parts; // of the stages
  Size count, length;
  /// What is added up lies together, and so does what is written.
  bool liesTogether = true;

  /// So long must a row be for a block of threads: shorter ones leave some of a warp without work,
  /// and what a thread reads of them is in few cache lines.
  static constexpr int64_t leastLength = 32;
  bool areShort() const { return length.isStatic() && length.constant < leastLength; }
  /// Whether one kernel is better than one for each part: not where few rows are so long that their
  /// elements keep more blocks busy than there are rows.
  bool areWorthOneKernel() const;
};

/// Null where the stages do not form rows, or where what they share is not the leading loops of
/// each.
std::optional<Rows> findRows(llvm::ArrayRef<const Stage *> stages, unsigned sharedLoops);

/// Drops loops of size 1, and joins those that all stages walk as one, alike in all of them.
void collapseRows(Group &group);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_ROWS_H
