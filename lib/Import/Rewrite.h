// Changes to a model that the caller asks for, before it is imported.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_REWRITE_H
#define LATHE_LIB_IMPORT_REWRITE_H

#include "lathe/Import.h"
#include "lib/Import/onnx.pb.h"
#include "llvm/Support/Error.h"

namespace lathe::import {

/// Does what ImportOptions::constantInputs, dynamicDims and dims say.
llvm::Error rewriteModel(onnx::ModelProto &model, const ImportOptions &options);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_REWRITE_H
