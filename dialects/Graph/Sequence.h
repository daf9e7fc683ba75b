// What is known of sequences when compiling.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_SEQUENCE_H
#define LATHE_DIALECTS_GRAPH_SEQUENCE_H

#include "dialects/Graph/Graph.h"

namespace lathe::graph {

/// The most precise type that both values have, which are tensors of one element type or sequences
/// or optionals of such. A sequence without items has elements of type `none`.
mlir::Type joinTypes(mlir::Type a, mlir::Type b);

/// Whether both are tensors of one element type, or sequences or optionals of such.
bool isSameKind(mlir::Type a, mlir::Type b);

/// Of an operation on sequences or optionals that are known when compiling: makes the operations on
/// tensors (or the sequence_construct) that give the same value, and returns it; null otherwise.
mlir::Value resolveSequence(mlir::OpBuilder &builder, mlir::Operation *op);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_SEQUENCE_H
