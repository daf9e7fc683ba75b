// Convolutions that see one pixel at a time, as products.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_POINTWISECONV_H
#define LATHE_LIB_GRAPH_POINTWISECONV_H

#include "dialects/Graph/Graph.h"
#include "mlir/IR/Builders.h"

namespace lathe::graph {

/// Whether a convolution with channels first is a product of its weights and its input as they lie
/// in memory: a kernel of one pixel without stride, pads or groups, floating-point numbers, a known
/// image.
bool isProduct(ConvOp op);

/// The product of an operation for which isProduct() holds.
mlir::Value makeProduct(mlir::OpBuilder &builder, ConvOp op);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_POINTWISECONV_H
