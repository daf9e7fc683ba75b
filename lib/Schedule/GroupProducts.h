// Products by units that several warps share, from parts in shared memory.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_GROUPPRODUCTS_H
#define LATHE_LIB_SCHEDULE_GROUPPRODUCTS_H

#include "BlockTile.h"

namespace lathe::schedule {

/// Emits the products of a block's groups of warps. How parts get to shared memory is no concern of
/// it: they lie there as BlockPart says, one stage behind the other, and what the threads wrote
/// themselves is fenced.
class GroupProducts {
public:
  /// `shared` are the parts of both operands in all stages. Emits what does not change from step to
  /// step.
  GroupProducts(Kernel &kernel, const BlockTile &tile, mlir::Type element, Value thread,
                llvm::ArrayRef<Value> shared);
  /// Begins to add the products of stage number `slot` to the thread's sums; one group of products.
  Value begin(Value slot, Value sums);
  /// Waits until all groups but the last `groups` are done: others may then have their parts,
  /// behind a barrier.
  void wait(int64_t groups);
  /// Waits for all, and gives the sums.
  Value finish(Value sums);

private:
  Value describe(unsigned input, Value at);
  Value constant(int64_t value);

  Kernel &kernel;
  const BlockTile &tile;
  mlir::Type element;
  llvm::ArrayRef<Value> shared;
  llvm::SmallVector<Value, 2> descriptors; // of the first step's, in the first stage
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_GROUPPRODUCTS_H
