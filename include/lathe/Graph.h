// Stage Graph: graph to graph. Shapes, folding, recomposition, layout.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_GRAPH_H
#define LATHE_GRAPH_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include <functional>
#include <memory>

namespace lathe {

/// Infers the shapes of every function (see dialects/Graph/SymbolicShapes.h) and replaces small
/// tensors whose elements follow from sizes by constants. Errors name the node.
llvm::LogicalResult inferGraphShapes(mlir::ModuleOp module);
llvm::LogicalResult inferFunctionShapes(mlir::func::FuncOp function);

/// Folders, canonicalization, direct evaluation of operations on constants, and CSE.
llvm::LogicalResult simplifyGraph(mlir::func::FuncOp function);

/// Moves per-channel scales and shifts with constant parameters into the weights before them.
llvm::LogicalResult foldBatchNorm(mlir::func::FuncOp function);

/// Runs convolutions and what surrounds them with channels last; simplifies afterwards.
llvm::LogicalResult convertToChannelsLast(mlir::func::FuncOp function);

/// Recognises layer normalization, GELU, softmax and attention; simplifies afterwards.
llvm::LogicalResult recomposeGraph(mlir::func::FuncOp function);

namespace graph {
#define GEN_PASS_DECL
#include "lib/Graph/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Graph/Passes.h.inc"
} // namespace graph
} // namespace lathe

#endif // LATHE_GRAPH_H
