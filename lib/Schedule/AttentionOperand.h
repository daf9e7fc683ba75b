// Queries, keys and values of an attention on a GPU: how parts of them lie in shared memory, and
// what brings them there. Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_ATTENTIONOPERAND_H
#define LATHE_LIB_SCHEDULE_ATTENTIONOPERAND_H

#include "BlockPart.h"

namespace lathe::schedule {

enum class AttentionRole { query, key, value };

/// An operand as that of a product: queries are the rows of the left one; keys, which the elements
/// of a head are added up for, are the columns of the right one, and so are the elements of a
/// value, which keys are added up for.
class AttentionOperand {
public:
  AttentionOperand(const AttentionShape &shape, AttentionRole role);

  /// The layout of a part of so many queries or keys, and what can be copied of it, for a unit or,
  /// where that is null, for threads that multiply for themselves. `operand` null: the largest of
  /// any.
  static BlockPart plan(const AttentionOperand *operand, AttentionRole role, int64_t rows,
                        int64_t columns, const MatrixUnit *unit, mlir::Type stored);

  const View &view() const { return root.inputs[0].view; }
  const JoinedLoops &across() const { return role == AttentionRole::value ? columns : rows; }
  const JoinedLoops &depth() const { return role == AttentionRole::value ? rows : columns; }
  /// How many elements that lie together in each row can be read at once.
  int64_t chunkOfRow() const;

  AttentionRole role;
  /// Batch, head, heads that have the same keys, queries or keys, and the elements of one.
  Stage root;
  JoinedLoops rows, columns;
};

/// Emits what brings parts of one of the operands into shared memory.
struct AttentionPartEmitter {
  Kernel &kernel;
  AddressOf addressOf;
  const AttentionOperand &operand;
  const BlockPart &part;
  int64_t threads; ///< of the block
  Value thread;
  Value memory;
  Value batch, head; ///< of the block, of several the first

  /// The part that begins with query or key `first`, to where `base` says; zeros for what is not
  /// there.
  void bring(Value first, Value base);

private:
  void fill(Value first, Value base, Value number);
};

/// A number or a vector of them as such of another floating-point type.
Value convertFloats(Kernel &kernel, Value value, mlir::Type element);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_ATTENTIONOPERAND_H
