// Windows over spatial dimensions, shared by convolutions and pools.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_WINDOWS_H
#define LATHE_LIB_GRAPHTOLINALG_WINDOWS_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

struct WindowShape {
  llvm::ArrayRef<int64_t> strides, dilations, pads; // pads: all begins, then all ends
  graph::AutoPad autoPad;
  bool ceilMode;
  llvm::ArrayRef<mlir::OpFoldResult> input, kernel; // of the spatial dimensions
};

/// (kernel - 1) * dilation + 1
mlir::OpFoldResult getExtent(Lowering &l, mlir::OpFoldResult kernel, int64_t dilation);

/// How many windows there are in each dimension.
Sizes countWindows(Lowering &l, const WindowShape &windows);

/// What to pad before and behind the input so that all windows lie inside.
std::pair<Sizes, Sizes> getPads(Lowering &l, const WindowShape &windows,
                                llvm::ArrayRef<mlir::OpFoldResult> counts);

/// [N, C, spatial...] to [N, spatial..., C] and back.
Tensor toChannelsLast(Lowering &l, const Tensor &tensor);
Tensor toChannelsFirst(Lowering &l, const Tensor &tensor);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_WINDOWS_H
