// Parts of operands that one thread of a block brings for all, as boxes of tensors.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_TENSORPARTS_H
#define LATHE_LIB_SCHEDULE_TENSORPARTS_H

#include "BlockTile.h"

namespace lathe::schedule {

/// Whether the part of an operand is boxes of one tensor, whose address and strides are multiples
/// of 16 bytes wherever the program gets its memory from: its rows (or columns) are as good as one
/// loop, what is added up is, and few others walk through it.
bool isTensorPart(const Stage &root, unsigned input, const JoinedLoops &batch,
                  const JoinedLoops &across, const JoinedLoops &depth, const BlockPart &part);

/// The stages of both operands' parts as a pipeline: a warp of its own fills them (its first thread
/// does), the others use them. Each stage has two barriers with phases, one that tells the users
/// that it is full, and one that tells the warp that it is empty.
class TensorStages {
public:
  struct Operand {
    const JoinedLoops &across;
    Value memory; ///< of all stages
    Value first;  ///< row or column of the block
  };

  /// Makes the barriers in `barriers`, two for each stage; all threads have to meet behind this.
  TensorStages(Kernel &kernel, const Stage &root, const BlockTile &tile, AddressOf addressOf,
               const JoinedLoops &batch, const JoinedLoops &depth, Value thread, Value barriers);
  /// Emits the loop that fills one stage after the other; for the first thread of the warp.
  void fill(llvm::ArrayRef<Operand> operands, llvm::ArrayRef<Value> outer);
  /// Waits until a stage is full, in the round of this parity.
  void waitFull(Value slot, Value parity);
  /// The warp of the thread is through with a stage, where `isThere`.
  void release(Value slot, Value isThere);
  /// The next stage, and its parity, which changes with each round.
  std::pair<Value, Value> next(Value slot, Value parity);

private:
  Value makeMap(unsigned input, const Operand &operand);
  void copy(unsigned input, const Operand &operand, Value map, llvm::ArrayRef<Value> outer,
            Value slot, Value depthBegin);
  Value emptyOf(Value slot) { return kernel.add(slot, constant(tile.stages)); }
  Value isEqual(Value a, Value b);
  Value constant(int64_t value) { return kernel.constant(value); }

  Kernel &kernel;
  const Stage &root;
  const BlockTile &tile;
  AddressOf addressOf;
  const JoinedLoops &batch, &depth;
  Value thread, barriers;
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_TENSORPARTS_H
