// Channel shuffles, which models write as reshape, transpose, reshape.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_CHANNELSHUFFLE_H
#define LATHE_LIB_GRAPH_CHANNELSHUFFLE_H

#include "dialects/Graph/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lathe::graph {

/// Writes channel shuffles as gathers along the channels, which work in any layout, ...
void fuseChannelShuffles(mlir::func::FuncOp function);

/// ... and those gathers as reshape, transpose, reshape again, which run faster.
void expandChannelShuffles(mlir::func::FuncOp function);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_CHANNELSHUFFLE_H
