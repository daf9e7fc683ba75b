// Patterns and settings that the rewriting passes of this stage share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_REWRITE_H
#define LATHE_LIB_GRAPH_REWRITE_H

#include "dialects/Graph/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace lathe::graph {

/// How the greedy driver runs in this stage.
mlir::GreedyRewriteConfig getRewriteConfig();

/// Canonicalization of all graph operations and direct folding of constants.
void populateSimplifyPatterns(mlir::RewritePatternSet &patterns);

/// Gives the function the types of what it returns, whose sizes a rewrite may have found.
void updateResultTypes(mlir::func::FuncOp function);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_REWRITE_H
