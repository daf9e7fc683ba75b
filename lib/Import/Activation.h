// Activation functions that other operators apply.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_ACTIVATION_H
#define LATHE_LIB_IMPORT_ACTIVATION_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// What is known of a function of recurrent layers or of fused operators, whose parameters are
/// alpha and then beta. Defaults are those of recurrent layers.
struct FunctionInfo {
  llvm::StringRef name; // in ONNX's spelling
  unsigned parameters = 0;
  double alpha = 0, beta = 0;
  bool inRecurrentLayers = true;
};
llvm::ArrayRef<FunctionInfo> listFunctions();

/// One of those, and what it takes of its parameters.
struct Function {
  llvm::StringRef name;
  double alpha = 0, beta = 0;
};
mlir::Value applyFunction(Node &node, const Function &function, mlir::Value x);

/// The function that attribute 'activation' names, one of those given; nullptr without one.
const FunctionInfo *chooseFunction(Node &node, llvm::ArrayRef<llvm::StringRef> names);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_ACTIVATION_H
