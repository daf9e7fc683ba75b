// The types that a model declares for values.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_VALUETYPES_H
#define LATHE_LIB_IMPORT_VALUETYPES_H

#include "lib/Import/onnx.pb.h"
#include "mlir/IR/Types.h"

namespace lathe::import {

/// The type of a value of the graph; what `refuse` returns, told why, where it is not supported.
mlir::Type importType(mlir::MLIRContext *context, const onnx::TypeProto &type,
                      llvm::function_ref<mlir::Type(const llvm::Twine &why)> refuse);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_VALUETYPES_H
