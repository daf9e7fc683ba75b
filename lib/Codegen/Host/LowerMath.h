// Lowering of the math dialect to calls that become inline builtins.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_LIB_CODEGEN_HOST_LOWERMATH_H
#define LATHE_LIB_CODEGEN_HOST_LOWERMATH_H

#include "llvm/Support/LogicalResult.h"

namespace mlir {
class LLVMTypeConverter;
class ModuleOp;
class RewritePatternSet;
} // namespace mlir

namespace lathe::codegen {

/// Adds patterns that go before those of MathToLLVM: transcendental functions of any floating-point
/// type, scalar or vector, become calls of functions named by `mathPrefix`, which compileHost
/// replaces. Upstream has approximations of its own, but they are wrong for large angles and at the
/// ends of ranges, and calls of libm for each lane of a vector.
void populateMathToBuiltins(const mlir::LLVMTypeConverter &converter,
                            mlir::RewritePatternSet &patterns);

/// Makes 1 / (1 + exp(-x)), in f32 and narrower types, a call of one function, which takes half the
/// steps and is exact where exp(-x) is infinite.
void callLogistic(mlir::ModuleOp module);

/// Writes out how f8E4M3FN and f8E5M2 become f32.
llvm::LogicalResult expandFloat8(mlir::ModuleOp module);

} // namespace lathe::codegen

#endif // LATHE_LIB_CODEGEN_HOST_LOWERMATH_H
