// Matching the spellings that exporters use.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPH_MATCH_H
#define LATHE_LIB_GRAPH_MATCH_H

#include "dialects/Graph/SymbolicShapes.h"

namespace lathe::graph {

/// A product taken apart: constant * factors[0] * factors[1] * ...
struct Product {
  double constant = 1;
  llvm::SmallVector<mlir::Value, 4> factors;
};

/// Follows products, quotients by constants, and squares, a few levels deep.
Product matchProduct(mlir::Value value);

/// The other operand when `value` is a sum with the number `constant`.
struct Sum {
  mlir::Value value;
  double constant;
};
std::optional<Sum> matchSumWithConstant(mlir::Value value);

/// Equal up to the rounding of constants in f32 (or in 16 bits for such types).
bool isClose(double value, double expected, mlir::Type elementType);

/// The input when `value` is the function `kind` of it.
mlir::Value matchUnary(mlir::Value value, UnaryKind kind);

/// The reduction when `value` is one of that kind that keeps its dimensions.
ReduceOp matchReduction(mlir::Value value, ReduceKind kind);

/// The operation of that kind which gives the value.
BinaryOp matchBinary(mlir::Value value, BinaryKind kind);

/// Recognises one composite whose last operation is `op`; builds it before `op` and returns its
/// result, or null.
mlir::Value recomposeGelu(mlir::OpBuilder &builder, BinaryOp op);
mlir::Value recomposeSoftmax(mlir::OpBuilder &builder, mlir::Operation *op);
mlir::Value recomposeLayerNorm(mlir::OpBuilder &builder, BinaryOp op);
mlir::Value recomposeAttention(mlir::OpBuilder &builder, MatMulOp op, SymbolicShapes &shapes);

} // namespace lathe::graph

#endif // LATHE_LIB_GRAPH_MATCH_H
