// Lowering of what threads of a GPU's block do together.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_CODEGEN_HOST_LOWERBLOCKS_H
#define LATHE_LIB_CODEGEN_HOST_LOWERBLOCKS_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/IR/PatternMatch.h"

namespace lathe::codegen {

/// Patterns for rt.shared, rt.copy_async, rt.load_matrices and rt.multiply_matrices.
void populateBlocksToLLVM(const mlir::LLVMTypeConverter &converter,
                          mlir::RewritePatternSet &patterns);
/// Patterns for products of a warpgroup, and what orders them.
void populateProductsToLLVM(const mlir::LLVMTypeConverter &converter,
                            mlir::RewritePatternSet &patterns);

/// Patterns for rt.copy_tensor, and for the barriers with phases that it needs.
void populateTensorsToLLVM(const mlir::LLVMTypeConverter &converter,
                           mlir::RewritePatternSet &patterns);

} // namespace lathe::codegen

#endif // LATHE_LIB_CODEGEN_HOST_LOWERBLOCKS_H
