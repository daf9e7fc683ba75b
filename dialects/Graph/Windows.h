// Windows over spatial dimensions, as convolutions and pools have them.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_WINDOWS_H
#define LATHE_DIALECTS_GRAPH_WINDOWS_H

#include "dialects/Graph/SymbolicShapes.h"

namespace lathe::graph {

/// The window attributes that convolutions and pools share.
struct Windows {
  llvm::ArrayRef<int64_t> strides, dilations, pads; // pads: all begins, then all ends
  AutoPad autoPad;
  bool ceilMode = false;
};

/// Checks the number and the range of the attributes.
mlir::LogicalResult verifyWindows(mlir::Operation *op, const Windows &windows);

/// How many windows fit in each spatial dimension. `kernel` may hold unknown (null) sizes. When
/// auto_pad is given and all sizes are static, `resolvedPads` gets the explicit pads.
mlir::FailureOr<llvm::SmallVector<mlir::AffineExpr>>
countWindows(mlir::Operation *op, SymbolicShapes &shapes, const Windows &windows,
             llvm::ArrayRef<mlir::AffineExpr> input, llvm::ArrayRef<mlir::AffineExpr> kernel,
             std::optional<llvm::SmallVector<int64_t>> &resolvedPads);

/// (kernel - 1) * dilation + 1
mlir::AffineExpr getWindowExtent(SymbolicShapes &shapes, mlir::AffineExpr kernel, int64_t dilation);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_WINDOWS_H
