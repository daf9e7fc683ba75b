// What products of bytes and of 8-bit floats have in common, before they take their operands'
// bytes. Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_NARROWBYTES_H
#define LATHE_LIB_SCHEDULE_NARROWBYTES_H

#include "Kernel.h"

namespace lathe::schedule {

/// What `value` was before it was only moved; the moves are added, the last first.
Value skipMoves(Value value, llvm::SmallVectorImpl<mlir::Operation *> &moves);

/// The same moves of bytes; what pads adds is `padding`.
Value repeatMoves(mlir::OpBuilder &builder, Value bytes, llvm::ArrayRef<mlir::Operation *> moves,
                  int64_t padding);

/// Turns constant bytes so that what is added up comes in the last dimensions, as units have it
/// together.
void turnWeights(mlir::OpBuilder &builder, mlir::linalg::GenericOp op, unsigned input,
                 llvm::ArrayRef<char> bytes);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_NARROWBYTES_H
