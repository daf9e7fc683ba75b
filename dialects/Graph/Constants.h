// Reading constants of the graph dialect.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_CONSTANTS_H
#define LATHE_DIALECTS_GRAPH_CONSTANTS_H

#include "dialects/Graph/Graph.h"
#include "mlir/IR/PatternMatch.h"

namespace lathe::graph {

/// The attribute of a constant; null for other values.
mlir::TypedAttr getConstantValue(mlir::Value value);

/// All elements of a constant of integers (at most 8 bytes each), up to a limit of elements.
std::optional<llvm::SmallVector<int64_t>> getIntegers(mlir::Value value, int64_t limit = 1024);
std::optional<llvm::SmallVector<int64_t>> getIntegers(mlir::TypedAttr value, int64_t limit = 1024);

/// The one value that all elements of a constant have (floats f16, bf16, f32, f64, integers). Large
/// constants are not searched, only dense ones.
std::optional<double> getSplat(mlir::Value value);

/// The constant of the same bytes under another shape.
mlir::TypedAttr reshapeConstant(mlir::TypedAttr value, mlir::RankedTensorType type);

/// A 1-D `i64` constant.
mlir::Value makeIntegers(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::ArrayRef<int64_t> values);

/// `value` under the sizes of `type`, of which at most one may be unknown and none 0: a reshape.
mlir::Value makeReshape(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                        mlir::RankedTensorType type);

/// Whether `reshaping` (reshape, flatten, squeeze, unsqueeze) succeeds for every input of its type.
/// Only such a one may be left out when another follows: nobody would notice that it fails.
bool alwaysFits(mlir::Operation *reshaping);

/// Whether the type is known to have these sizes, of which -1 is any.
bool hasSizes(mlir::Type type, llvm::ArrayRef<int64_t> sizes);

/// Whether makeReshape can make this type.
bool isReshapeTarget(mlir::Type type);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_CONSTANTS_H
