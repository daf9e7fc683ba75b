// Products of bf16 on tiles of 16 x 16 sums: Intel's Advanced Matrix Extensions.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_MATRIXTILE_H
#define LATHE_LIB_SCHEDULE_MATRIXTILE_H

#include "Tile.h"

namespace lathe::schedule {

/// Whether such tiles can compute `root`: sums in f32 that begin with zero, weights in pairs, and
/// rows of whole steps of 32 numbers.
bool fitsMatrixTiles(const Stage &root, const TileChoice &choice, const TargetInfo &target);

/// Emits the instructions of one kernel. The eight tile registers are used by number: 0 and 1 hold
/// the sums of the upper 16 rows, 2 and 3 those of the lower ones, 4 and 5 the rows' numbers of one
/// step, 6 and 7 the weights of 16 lanes each, in pairs.
class MatrixUnit {
public:
  static constexpr int64_t mostRows = 32, lanes = 16, step = 32;

  explicit MatrixUnit(Kernel &kernel) : kernel(kernel) {}
  /// Sets up tiles of 1 to 32 rows; before all else.
  void configure(int64_t rows);
  void zero(int64_t rows, int64_t vectors);
  /// Adds the products of `step` numbers of each row with the weights. Positions are in elements,
  /// strides in bytes.
  void accumulate(int64_t rows, int64_t vectors, Value buffer, Value position, Value rowStride,
                  Value weights, llvm::ArrayRef<Value> weightPositions, int64_t pairStride);
  /// Writes the sums to scratch memory, which is returned as a memref of f32: 32 lanes for each
  /// row.
  Value store(int64_t rows, int64_t vectors);
  /// The registers are the thread's again: what is in them need not be saved.
  void release();

private:
  void call(llvm::StringRef intrinsic, mlir::ValueRange operands);
  Value tile(int64_t number);
  Value i64(int64_t value);
  Value address(Value pointer, mlir::Type element, Value position);
  Value pointerOf(Value buffer);
  Value allocate(int64_t bytes);

  Kernel &kernel;
  Value configuration, scratch; // on the stack
};

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_MATRIXTILE_H
