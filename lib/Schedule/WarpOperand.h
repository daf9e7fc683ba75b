// Operands of matrix units in shared memory, and who of a warp has what of them.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_WARPOPERAND_H
#define LATHE_LIB_SCHEDULE_WARPOPERAND_H

#include "BlockPart.h"

namespace lathe::schedule {

/// Where element number `element` of the lane lies, `before` and `outer` further on.
Value laneCoordinate(Kernel &kernel, Value lane, const LanePlace &place, unsigned element,
                     int64_t before, Value outer);

/// The rows of the left operand of a product, or the columns of the right one, that are a warp's:
/// `count` fragments beside each other, from row or column `first` of a part on.
class WarpOperand {
public:
  WarpOperand(Kernel &kernel, const MatrixUnit &unit, bool isLeft, const BlockPart &part,
              Value memory, Value lane, Value first, int64_t count);

  /// The fragments at position `depthBegin` of what is added up, of the part that begins at `base`.
  llvm::SmallVector<Value> load(Value base, int64_t depthBegin) const;

private:
  Value loadFragment(Value base, Value firstAcross, Value firstAlong) const;
  std::pair<int64_t, int64_t> countMatrices() const;
  Value placeMatrices() const;

  Kernel &kernel;
  const MatrixUnit &unit;
  const Fragment &fragment;
  const BlockPart &part;
  Value memory, lane, first;
  int64_t step, count;
  Value row; ///< that the lane names where its warp loads the first fragments
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_WARPOPERAND_H
