// Calls of builtins on whole tensors and on values that are no tensors.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_BUILTINS_H
#define LATHE_LIB_GRAPHTOLINALG_BUILTINS_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

/// A result of a builtin: its sizes, null where the builtin decides. Without an element type it is
/// no tensor but a value.
struct Made {
  Sizes sizes;
  mlir::Type element;
};

/// An rt.call; where it fails, the run ends with `message`, in which %0 and %1 are what the builtin
/// leaves in the sizes of its first result.
llvm::SmallVector<Tensor> callBuiltin(Lowering &l, llvm::StringRef callee,
                                      llvm::ArrayRef<Tensor> inputs,
                                      llvm::ArrayRef<int64_t> parameters,
                                      llvm::ArrayRef<Made> results, llvm::StringRef message);

/// Whether a graph value is no tensor of known rank, and so an rt.value.
bool isValue(mlir::Type type);

/// A lowered value as one of the graph type `type`, which says less: a tensor becomes a value where
/// that knows no rank.
mlir::Value castToValue(Lowering &l, mlir::Type type, const Tensor &tensor);

/// The family that is made of nothing else.
void addSequence(LoweringTable &table);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_BUILTINS_H
