// How a block of threads goes through an attention. Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_ATTENTIONTILE_H
#define LATHE_LIB_SCHEDULE_ATTENTIONTILE_H

#include "AttentionOperand.h"

namespace lathe::schedule {

/// The queries of a block and the keys of each of its steps, which lie in shared memory. On a
/// matrix unit its warps stand in rows and columns, each with neighbouring scores and results;
/// without one threads do, each with every so-manieth row and column.
struct AttentionTile {
  const MatrixUnit *unit = nullptr;
  mlir::Type stored; ///< of the operands in shared memory
  int64_t rows = 0, keys = 0, threads = 0;
  int64_t warpsAcross = 1, warpsDown = 1;
  int64_t gridAcross = 16, gridDown = 16; ///< of threads
  int64_t head = 0, valueHead = 0;        ///< sizes, padded to whole pieces
  bool joined = false; ///< keys and values lie in the same memory, one after the other
  /// So many parts of keys and of values are in shared memory. One: values are on their way while
  /// scores are computed, the next keys from then on. Two: both are during all of a step.
  int64_t stages = 1;
  /// The layouts of the operands in shared memory. On a matrix unit queries stay in registers, and
  /// come there by way of the memory of scores.
  BlockPart queryPart{}, keyPart{}, valuePart{};

  /// Threads that share a row of scores.
  int64_t perRow() const { return threads / rows; }
  int64_t scoreStride() const { return keys + perRow(); }
  bool copies() const { return queryPart.chunk || keyPart.chunk || valuePart.chunk; }
  int64_t queryBytes() const { return queryPart.elements() * (stored.getIntOrFloatBitWidth() / 8); }
  int64_t scoreBytes() const { return std::max(rows * scoreStride() * 4, unit ? queryBytes() : 0); }
  int64_t sharedBytes() const;
};

/// The tile for an attention that has one (canEmitBlockAttention). `mostRows` is the number of rows
/// that have the same keys, where no more than one block shall have them.
AttentionTile chooseAttentionTile(const AttentionShape &shape, const TargetInfo &target,
                                  std::optional<int64_t> mostRows = std::nullopt);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_ATTENTIONTILE_H
