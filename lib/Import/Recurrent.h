// What recurrent layers share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_RECURRENT_H
#define LATHE_LIB_IMPORT_RECURRENT_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// The functions of a layer: names in ONNX's spelling, with both parameters for each.
struct Activations {
  llvm::SmallVector<mlir::Attribute> names, alphas, betas;
};

/// The attributes of activations, in the order of the functions: `defaults` for each direction.
/// False after an error.
bool readActivations(Node &node, llvm::ArrayRef<llvm::StringRef> defaults, unsigned directions,
                     Activations &result);

/// `data` [time, batch, ...] (or the other way round) with the first lengths[batch] slices of time
/// in reverse order.
mlir::Value reverseInTime(Node &node, mlir::Value data, mlir::Value lengths, int64_t timeAxis);

llvm::LogicalResult importQuantizedLstm(Node &node);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_RECURRENT_H
