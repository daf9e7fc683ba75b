// How a block of threads brings a part of an operand into shared memory.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_BLOCKPART_H
#define LATHE_LIB_SCHEDULE_BLOCKPART_H

#include "KernelBuilder.h"
#include "MatrixUnits.h"

namespace lathe::schedule {

/// Several loops counted as one, the last of them fastest.
struct JoinedLoops {
  llvm::SmallVector<unsigned> loops;
  Size extent;

  void add(unsigned loop, const Size &size) {
    loops.push_back(loop);
    extent = extent * size;
  }
  bool isAtLeast(int64_t size) const { return !extent.isStatic() || extent.constant >= size; }
};

/// The loops of a sum of products of two tensors by which of them they go through: both or none,
/// the left one (rows), the right one; and what is added up. False where `root` is no such sum.
bool joinLoops(const Stage &root, JoinedLoops &batch, JoinedLoops &rows, JoinedLoops &columns,
               JoinedLoops &depth);

/// Whether a view lies at a known place of memory that begins at a multiple of 16 bytes.
bool hasAlignedBase(const View &view);

/// A part of an operand: `size` rows (of the left operand) or columns, and `depth` positions in
/// what is added up.
struct BlockPart {
  int64_t size, depth;
  /// Neighbours in what is added up lie together in the tensor; else rows or columns may.
  bool depthIsFastest;
  /// Elements from one row or column to the next in shared memory, and from one position in what is
  /// added up to the next; one of both is 1.
  int64_t across, along;
  /// Neighbours that one copy brings at once; 0: each element is loaded and stored by itself.
  int64_t chunk;
  /// A matrix unit reads it in shared memory: in lines of 64 numbers, 128 bytes, of which eight
  /// follow each other at multiples of 1024 bytes, and the 16 bytes number i of line l are at place
  /// i ^ l % 8. Lines are rows or columns, along what is added up, or where `across` is 1 they are
  /// positions in that, of 64 rows or columns, and then of the next 64.
  bool isSwizzled = false;
  static constexpr int64_t lineNumbers = 64, lineBytes = 128;

  int64_t elements() const {
    return isSwizzled ? size * depth : along == 1 ? size * across : depth * along;
  }
};

/// Chooses the layout of the part of an operand, by how it lies in the tensor and by who reads it:
/// a matrix unit, or where `unit` is null the threads, each for itself.
BlockPart planPart(const Stage &root, unsigned input, const JoinedLoops &across,
                   const JoinedLoops &depth, int64_t size, int64_t tileDepth,
                   const MatrixUnit *unit);

/// The index of each of the loops that `number` counts as one.
void spread(Kernel &kernel, const Stage &root, const JoinedLoops &joined, Value number,
            llvm::MutableArrayRef<Value> indices);

/// Where a row or column is in a part, at a position in what is added up.
Value placeIn(Kernel &kernel, const BlockPart &part, Value across, Value along);

/// Emits what brings parts of an operand into shared memory.
struct PartEmitter {
  Kernel &kernel;
  const Stage &root;
  AddressOf addressOf;
  unsigned input;
  const JoinedLoops &across, &depth;
  const BlockPart &part;
  int64_t threads; ///< of the block
  Value thread;
  Value memory;                ///< of the parts of all stages
  llvm::ArrayRef<Value> outer; ///< an index for each loop that the block has one of

  /// The part that begins with row or column `first` and with position `depthBegin`, to where
  /// `base` says.
  void bring(Value first, Value depthBegin, Value base);

private:
  /// An element or chunk of the part, and of the operand.
  struct Place {
    Value inPart, across, depth;
  };
  void store(Value first, Value depthBegin, Value base);
  void copy(Value first, Value depthBegin, Value base);
  Place findPlace(Value number, int64_t beyond, Value first, Value depthBegin, int64_t chunk);
  Value linear(const Place &place);
  Value countValid(const Place &place);
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_BLOCKPART_H
