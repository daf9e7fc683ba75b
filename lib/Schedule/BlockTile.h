// How a block of threads goes through a product. Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_BLOCKTILE_H
#define LATHE_LIB_SCHEDULE_BLOCKTILE_H

#include "BlockPart.h"

namespace lathe::schedule {

/// The results of a block and the parts of both operands that it has in shared memory. Without a
/// matrix unit its threads are `grid` rows by `grid` columns, each with every such row and column
/// of the tile; with one, its warps are, each with neighbouring pieces of the unit's size.
struct BlockTile {
  static constexpr int64_t grid = 16;
  const MatrixUnit *unit = nullptr;
  UnitProduct product; ///< what it multiplies
  int64_t rows = 64, columns = 64, depth = 16;
  int64_t threads = grid * grid;
  int64_t warpRows = 0, warpColumns = 0; ///< of the results of each warp
  llvm::SmallVector<BlockPart, 2> parts; ///< of both operands
  /// So many parts of both operands are in shared memory: one is multiplied, with units that groups
  /// of warps share one before it as well, and the others are on their way.
  int64_t stages = 1;
  int64_t ahead() const { return stages - (isOfGroups() ? 2 : 1); }
  /// A warp behind the others brings the parts (TensorParts.h), with barriers behind them in shared
  /// memory.
  bool bringsTensors = false;
  static constexpr int64_t bringers = 32, barrierBytes = 8;
  int64_t threadsOfBlock() const { return threads + (bringsTensors ? bringers : 0); }
  /// Elements from one row of the sums to the next in shared memory.
  int64_t sumsRow = 0;

  bool isOfGroups() const { return unit && unit->groupWarps > 1; }
  /// Numbers of f32 in each vector of sums that a thread has.
  int64_t sumsOfVector() const {
    return isOfGroups() ? warpRows * warpColumns / unit->lanes : unit->sums.size();
  }
  int64_t bytesOfPart(const Stage &root, unsigned input) const;
  int64_t bytesOfStage(const Stage &root) const {
    return bytesOfPart(root, 0) + bytesOfPart(root, 1);
  }
  int64_t sumsBytes(const Stage &root) const;
  /// Of the parts of all stages or of the sums, which come to the same place.
  int64_t partsBytes(const Stage &root) const {
    return std::max(stages * bytesOfStage(root), sumsBytes(root));
  }
  int64_t barriersBytes() const { return bringsTensors ? 2 * stages * barrierBytes : 0; }
};

/// The tile for a product of `root`, by the loops that are its rows, columns and so on.
BlockTile chooseBlockTile(const Stage &root, const JoinedLoops &batch, const JoinedLoops &rows,
                          const JoinedLoops &columns, const JoinedLoops &depth,
                          const TargetInfo &target);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_BLOCKTILE_H
