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

/// Moves quantizations before what only moves elements, and turns products of dequantized 8-bit
/// numbers into integer products.
llvm::LogicalResult foldQuantization(mlir::func::FuncOp function);

/// Gives i32 products whose operands hold small numbers operands of 16 and 8 bits. With `bf16`, f32
/// products with constant weights get operands that are rounded to bf16. Simplifies afterwards.
llvm::LogicalResult narrowProducts(mlir::func::FuncOp function, bool bf16 = false);

/// Zeroes subnormal f32 weights of convolutions (channels first) and matrix products where that
/// changes less than rounding does: where the filter has a weight of at least 2^-101. Where the
/// input may be infinite they become 2^-126.
void dropSubnormalWeights(mlir::func::FuncOp function);

/// Runs convolutions and what surrounds them with channels last; simplifies afterwards.
llvm::LogicalResult convertToChannelsLast(mlir::func::FuncOp function);

/// Recognises layer normalization, GELU, softmax and attention; simplifies afterwards.
llvm::LogicalResult recomposeGraph(mlir::func::FuncOp function);

/// Evaluates a module of functions without arguments: the values of each function's results, in
/// order. The pipeline supplies one that compiles and runs them.
using ConstantEvaluator =
    std::function<llvm::FailureOr<llvm::SmallVector<llvm::SmallVector<mlir::TypedAttr>>>(
        mlir::ModuleOp)>;

/// Replaces subgraphs of constants by their values. All of them go to `evaluator` as one module, a
/// function each; where it fails they stay. Values that would take more than `maxGrowth` bytes
/// above the constants they are computed from are left to be computed when running.
llvm::LogicalResult evaluateConstants(mlir::func::FuncOp function,
                                      const ConstantEvaluator &evaluator,
                                      int64_t maxGrowth = 1 << 20);

std::unique_ptr<mlir::Pass> createEvaluateConstantsPass(ConstantEvaluator evaluator);

/// The passes of this stage in order. Without an evaluator only what ConstantFold.cpp knows is
/// folded. `strict` leaves out those that compute by another formula than the model's. `precision`:
/// "bf16", see narrowProducts, or "fp8", by which scales of 8-bit floats go behind products.
void buildGraphPipeline(mlir::OpPassManager &passes, ConstantEvaluator evaluator = {},
                        bool strict = false, llvm::StringRef precision = "model");

namespace graph {
#define GEN_PASS_DECL
#include "lib/Graph/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Graph/Passes.h.inc"
} // namespace graph
} // namespace lathe

#endif // LATHE_GRAPH_H
