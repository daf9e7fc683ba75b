// The attributes that convolutions and pools share: strides, pads, dilations.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_WINDOWS_H
#define LATHE_LIB_IMPORT_WINDOWS_H

#include "lib/Import/Node.h"

namespace lathe::import {

struct Windows {
  Ints strides, pads, dilations;
  graph::AutoPad autoPad = graph::AutoPad::none;
};

/// Reads and checks them for `spatial` dimensions; nullopt after an error.
std::optional<Windows> readWindows(Node &node, int64_t spatial, bool hasAutoPad = true);

/// An attribute of one positive number (or, with `zeroAllowed`, 0) per spatial dimension.
std::optional<Ints> readSizes(Node &node, llvm::StringRef name, int64_t spatial, int64_t otherwise,
                              bool zeroAllowed = false);

/// The weights, whose kernel must be `kernel_shape` where that is given; null after an error.
mlir::Value withKernelShape(Node &node, mlir::Value weight, int64_t spatial);

/// A pooling of the node's windows over `x`; null after an error.
graph::PoolOp buildPool(Node &node, graph::PoolKind kind, mlir::Value x, bool channelsLast = false);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_WINDOWS_H
