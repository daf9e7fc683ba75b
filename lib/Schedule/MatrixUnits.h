// Instructions of GPUs that multiply small matrices, each lane of a warp with a part of them.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_MATRIXUNITS_H
#define LATHE_LIB_SCHEDULE_MATRIXUNITS_H

#include "Kernel.h"

namespace lathe::schedule {

/// A coordinate of the elements that a lane has: (lane / divisor % modulus) * scale + offsets[i],
/// for element number i.
struct LanePlace {
  int64_t divisor, modulus, scale;
  llvm::ArrayRef<int64_t> offsets;
};

/// Which elements of a small matrix a lane has, in order.
struct Fragment {
  LanePlace across; ///< its row of the left matrix and of the sums, its column of the right one
  LanePlace along;  ///< of the sums: the column; else the position in what is added up
  int64_t size() const { return across.offsets.size(); }
  /// How many elements, from each multiple of that number on, are neighbours in what is added up,
  /// at a multiple of it: a power of two.
  int64_t countNeighbours() const;
};

/// What a unit multiplies.
enum class MatrixKind {
  half,    ///< both operands f16 or both bf16, sums f32
  tf32,    ///< f32, of which it takes the ten upper bits of the mantissa; sums f32
  int8,    ///< i8, signed, sums i32
  anyInt8, ///< the same, each operand signed or not
  fp8      ///< each operand f8E4M3FN or f8E5M2, sums f32
};

/// A tile of a block of so many warps, parts of how many steps it has in shared memory at most, and
/// what of the unit's speed it reaches, in percent: an estimate, as nothing was measured.
struct TileShape {
  int64_t rows, columns, warps, stages, rate;
};

/// sums[rows x columns] += left[rows x depth] * right[depth x columns].
struct MatrixUnit {
  llvm::StringLiteral name; ///< as in rt.multiply_matrices
  MatrixKind kind;
  int64_t lanes, rows, columns, depth;
  Fragment left, right, sums;
  /// The lanes of a warp load fragments of the operands together (rt.load_matrices): each is made
  /// of matrices of 8 x 8, of which a lane has elements 2 * i and 2 * i + 1 of number i, as these
  /// load.
  bool loadsMatrices;
  /// Of what is added up, in each step of a product.
  int64_t tileDepth;
  llvm::ArrayRef<TileShape> tiles;
  /// More than one: warps that multiply operands in shared memory together (rt.multiply_shared),
  /// their rows one above the other, as many columns as the tile has.
  int64_t groupWarps = 1;

  bool takes(mlir::Type left, mlir::Type right, bool areUnsigned) const;
};

/// The first unit of the list, names separated by commas, that takes such elements, one of them
/// perhaps unsigned; null where there is none.
const MatrixUnit *findMatrixUnit(llvm::StringRef names, mlir::Type left, mlir::Type right,
                                 bool areUnsigned = false);

/// What a stage adds up, where units may multiply it: products of these elements.
struct UnitProduct {
  mlir::Type left, right;
  bool leftUnsigned = false, rightUnsigned = false;
};

/// nullopt where `stage` is not a sum, in f32 or i32, of products of its operands as they are, or
/// widened.
std::optional<UnitProduct> findUnitProduct(const Stage &stage);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_MATRIXUNITS_H
