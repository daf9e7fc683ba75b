// Checks that verifiers of graph operations share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_VERIFY_H
#define LATHE_DIALECTS_GRAPH_VERIFY_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/TypeUtilities.h"
#include <optional>

namespace lathe::graph {

/// The rank of a tensor value; nullopt for an unranked or absent one.
std::optional<int64_t> getRank(mlir::Value value);

/// `axis` counted from the end when negative. The verifier has checked the range.
inline int64_t normalizeAxis(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// -rank <= axis < rank (<= rank with `inclusive`); unknown ranks pass.
mlir::LogicalResult verifyAxis(mlir::Operation *op, llvm::StringRef name, int64_t axis,
                               std::optional<int64_t> rank, bool inclusive = false);

/// As verifyAxis for each, and that none is given twice.
mlir::LogicalResult verifyAxes(mlir::Operation *op, llvm::StringRef name,
                               llvm::ArrayRef<int64_t> axes, std::optional<int64_t> rank);

/// The axes, non-negative and sorted.
llvm::SmallVector<int64_t> normalizeAxes(llvm::ArrayRef<int64_t> axes, int64_t rank);

/// Absent and unranked values pass.
mlir::LogicalResult verifyRank(mlir::Operation *op, llvm::StringRef name, mlir::Value value,
                               int64_t rank);
mlir::LogicalResult verifyRankAtLeast(mlir::Operation *op, llvm::StringRef name, mlir::Value value,
                                      int64_t rank);

/// A scalar, or a tensor of one element.
mlir::LogicalResult verifyScalar(mlir::Operation *op, llvm::StringRef name, mlir::Value value);

/// All present values have one element type.
mlir::LogicalResult verifySameElementTypes(mlir::Operation *op, llvm::ArrayRef<mlir::Value> values);

/// The operands of a product have the result's element type, or a narrower one that loses nothing
/// when it is multiplied: i32 of integers of at most 16 bits (signed), f32 of bf16.
mlir::LogicalResult verifyProduct(mlir::Operation *op, mlir::Value lhs, mlir::Value rhs,
                                  mlir::Value result);

/// 0 <= each (or 1 <= each with `positive`), and at most 2^31, so that sums don't overflow.
mlir::LogicalResult verifySizes(mlir::Operation *op, llvm::StringRef name,
                                llvm::ArrayRef<int64_t> sizes, bool positive);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_VERIFY_H
