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

/// A scale or zero point beside x: one number for all of it, one for each index of `axis`, or a
/// tensor of the rank of x. Of vectors of unknown size the run sees which.
mlir::Value besideAxis(Node &node, mlir::Value parameter, mlir::Value x, int64_t axis);

/// x - zero point (null for none; as above) in i32, of float8 in f32.
mlir::Value centred(Node &node, mlir::Value x, mlir::Value zero, int64_t axis);

/// (a - aZero) (b - bZero) as integers, times both scales. Zero points may be null; those of `a`
/// are one number, those of `b` may be one for each column.
mlir::Value integerProduct(Node &node, mlir::Value a, mlir::Value b, mlir::Value aScale,
                           mlir::Value bScale, mlir::Value aZero, mlir::Value bZero);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_QUANTIZEDLINEAR_H
