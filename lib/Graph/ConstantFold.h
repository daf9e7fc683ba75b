// Direct evaluation of the commonest operations on constants.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_CONSTANTFOLD_H
#define LATHE_LIB_GRAPH_CONSTANTFOLD_H

#include "dialects/Graph/Graph.h"
#include "mlir/IR/PatternMatch.h"

namespace lathe::graph {

/// The values of the results when all operands are constants and the operation is one of those that
/// exporters apply to weights: data movement, simple arithmetic, casts. Empty when it is not, when
/// operands are malformed, or when the result would take more than `maxGrowth` bytes above its
/// largest operand.
llvm::SmallVector<mlir::TypedAttr> foldConstants(mlir::Operation *op,
                                                 int64_t maxGrowth = 64 * 1024);

/// Patterns that replace such operations.
void populateConstantFoldPatterns(mlir::RewritePatternSet &patterns);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_CONSTANTFOLD_H
