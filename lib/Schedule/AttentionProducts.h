// The two products of an attention on a GPU: scores, and sums of values.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_ATTENTIONPRODUCTS_H
#define LATHE_LIB_SCHEDULE_ATTENTIONPRODUCTS_H

#include "AttentionTile.h"
#include "WarpOperand.h"

namespace lathe::schedule {

/// Where a thread, or its warp, stands in the tiles of scores and of results, which have the same
/// rows, and how it adds up what is its own of them. The sums of a thread are numbers or, on a
/// matrix unit, vectors of them; rows come one after the other.
class AttentionProducts {
public:
  AttentionProducts(Kernel &kernel, const AttentionTile &tile, Value thread);

  /// Sums of one row, with their columns.
  struct Row {
    Value number;
    llvm::SmallVector<std::pair<Value, Value>> sums;
  };
  /// An operand in shared memory, from `base` on.
  struct Factor {
    const BlockPart &part;
    Value memory, base;
  };
  /// The fragments of the left operand at a position of what is added up, each in one or more
  /// parts.
  using LeftsAt =
      llvm::function_ref<llvm::SmallVector<llvm::SmallVector<Value>>(int64_t depthBegin)>;

  /// Zeros, for so many columns of the block.
  llvm::SmallVector<Value> zeros(int64_t columns);
  llvm::SmallVector<Row> rowsOf(llvm::ArrayRef<Value> sums);
  /// Each sum times the number of its row.
  llvm::SmallVector<Value> scale(llvm::ArrayRef<Value> sums, Value numbers);
  /// sums + left * right, without a matrix unit and with one.
  llvm::SmallVector<Value> multiply(const Factor &left, const Factor &right,
                                    llvm::ArrayRef<Value> sums);
  llvm::SmallVector<Value> multiply(LeftsAt leftsAt, const Factor &right,
                                    llvm::ArrayRef<Value> sums);
  /// For each step of what is added up the fragments of the warp's queries.
  llvm::SmallVector<llvm::SmallVector<Value>> loadQueries(Value memory);
  /// The fragments of the warp's exponentials, each in two parts.
  llvm::SmallVector<llvm::SmallVector<Value>> loadExponentials(Value memory, int64_t firstKey);

private:
  Value place(const LanePlace &lanePlace, unsigned element, int64_t before, Value outer) {
    return laneCoordinate(kernel, lane, lanePlace, element, before, outer);
  }

  Kernel &kernel;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  const AttentionTile &tile;
  const MatrixUnit *unit;
  Value lane, row, column; ///< of warps, columns are counted in those of a warp
  int64_t warpRows = 0, down = 0;
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_ATTENTIONPRODUCTS_H
