// What can be part of a kernel for a device. Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_RT_DEVICECODE_H
#define LATHE_DIALECTS_RT_DEVICECODE_H

#include "mlir/IR/Operation.h"

namespace lathe::rt {

/// Whether values of `type` are strings, whose bytes lie in memory of the host.
bool isText(mlir::Type type);

/// Whether a device can run `op`, apart from what is in its regions: no strings, no call, nothing
/// that only the host has.
bool runsOnDevice(mlir::Operation *op);

/// The same for all that is in a region.
bool regionRunsOnDevice(mlir::Region &region);

} // namespace lathe::rt

#endif // LATHE_DIALECTS_RT_DEVICECODE_H
