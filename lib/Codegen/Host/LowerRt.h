// The rt dialect in terms of the call ABI.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_CODEGEN_HOST_LOWERRT_H
#define LATHE_LIB_CODEGEN_HOST_LOWERRT_H

#include "lathe/Codegen.h"

namespace lathe::codegen {

/// Replaces all rt operations but `rt.view` by loads from lathe_call, stores to lathe_value, and
/// calls of services. Runs after structured control flow is gone, since failures return early.
mlir::LogicalResult lowerRt(mlir::ModuleOp module, WeightLayout &weights, SiteList &sites);

} // namespace lathe::codegen

#endif // LATHE_LIB_CODEGEN_HOST_LOWERRT_H
