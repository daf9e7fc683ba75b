// Activation functions that other operators apply.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_ACTIVATION_H
#define LATHE_LIB_IMPORT_ACTIVATION_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// A function of recurrent layers or of fused operators: its name in ONNX's spelling (Sigmoid,
/// Tanh, Relu, Softplus, Affine, LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu,
/// Softsign) and what it takes of its parameters.
struct Function {
  llvm::StringRef name;
  double alpha = 0, beta = 0;
};
mlir::Value applyFunction(Node &node, const Function &function, mlir::Value x);

/// x times a slope between 0 and 1.
mlir::Value hardSwish(Node &node, mlir::Value x);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_ACTIVATION_H
