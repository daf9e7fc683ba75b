// Steps that the operators on quantized tensors share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_QUANTIZEDLINEAR_H
#define LATHE_LIB_IMPORT_QUANTIZEDLINEAR_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// A tensor as 8-bit numbers, with the scale and the zero point that its own range gives.
struct DynamicQuantization {
  mlir::Value quantized, scale, zero; ///< null after an error
};
DynamicQuantization quantizeDynamically(Node &node, mlir::Value x);

/// (a - aZero) (b - bZero) as integers, times both scales. Zero points may be null; those of `a`
/// are one number, those of `b` may be one for each column.
mlir::Value integerProduct(Node &node, mlir::Value a, mlir::Value b, mlir::Value aScale,
                           mlir::Value bScale, mlir::Value aZero, mlir::Value bZero);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_QUANTIZEDLINEAR_H
