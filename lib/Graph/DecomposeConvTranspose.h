// Transposed convolutions as convolutions.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_DECOMPOSECONVTRANSPOSE_H
#define LATHE_LIB_GRAPH_DECOMPOSECONVTRANSPOSE_H

#include "dialects/Graph/Graph.h"
#include "mlir/IR/Builders.h"

namespace lathe::graph {

/// Whether decomposeConvTranspose works: one group, no dilation, explicit pads, constant weights,
/// static channels, one or two spatial dimensions.
bool canDecompose(ConvTransposeOp op);

/// The same values with channels last, from the input with channels last: one convolution that
/// computes all phases of the result, whose channels then move into space. Returns the last
/// operation, whose first result is the value.
mlir::Operation *decomposeConvTranspose(mlir::OpBuilder &builder, ConvTransposeOp op,
                                        mlir::Value input);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_DECOMPOSECONVTRANSPOSE_H
