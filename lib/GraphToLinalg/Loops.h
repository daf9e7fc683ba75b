// Control flow inside the bodies of generics, for what no indexing map describes.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_LOOPS_H
#define LATHE_LIB_GRAPHTOLINALG_LOOPS_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
    const Scalars &, mlir::Value index, mlir::ValueRange carried)>;

/// Runs the body for 0 <= index < count; each run gets what the one before returned.
llvm::SmallVector<mlir::Value> forLoop(const Scalars &s, mlir::Value count,
                                       mlir::ValueRange initial, LoopBody body);

/// The value of `then` where the condition holds, else `otherwise`; `then` is computed only there.
mlir::Value ifElse(const Scalars &s, mlir::Value condition,
                   llvm::function_ref<mlir::Value(const Scalars &)> then, mlir::Value otherwise);

/// An element of a tensor (in storage type) where `inside` holds, else 0.
mlir::Value extractIf(const Scalars &s, mlir::Value inside, mlir::Value tensor,
                      mlir::ValueRange place);

/// `flat` as an index in each dimension of a tensor of these sizes, which are not 0.
llvm::SmallVector<mlir::Value> delinearize(const Scalars &s, mlir::Value flat,
                                           mlir::ValueRange sizes);

/// The index of the element at hand in a tensor of these sizes, in row-major order.
mlir::Value linearize(const Scalars &s, mlir::ValueRange indices, mlir::ValueRange sizes);

/// The sizes as index values.
llvm::SmallVector<mlir::Value> sizeValues(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> sizes);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_LOOPS_H
