// Scalar arithmetic for the bodies of generics and for sizes.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_SCALARS_H
#define LATHE_LIB_GRAPHTOLINALG_SCALARS_H

#include "dialects/Graph/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace lathe::g2l {

/// The element type in memory: booleans are bytes, integers signless.
mlir::Type getStorageType(mlir::Type element);

/// The type that arithmetic on `element` runs in: booleans are i1, half precision is f32.
mlir::Type getComputeType(mlir::Type element);

/// The type that long sums of `element` run in.
inline mlir::Type getAccumulatorType(mlir::Type element) { return getComputeType(element); }

/// Short names for arithmetic on scalars at one place. Operations pick the float or the signless
/// integer form by the type of their operands.
struct Scalars {
  mlir::OpBuilder &b;
  mlir::Location loc;

  mlir::Value constant(mlir::Type type, double value) const;
  mlir::Value constant(mlir::Type type, const llvm::APInt &value) const;
  mlir::Value index(int64_t value) const;
  mlir::Value boolean(bool value) const;
  /// The value in index type.
  mlir::Value fromOfr(mlir::OpFoldResult value) const;

  mlir::Value add(mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value divf(mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value neg(mlir::Value value) const;
  /// NaN if either is; integers by their sign.
  mlir::Value max(mlir::Value lhs, mlir::Value rhs, bool isUnsigned = false) const;
  mlir::Value min(mlir::Value lhs, mlir::Value rhs, bool isUnsigned = false) const;
  mlir::Value select(mlir::Value condition, mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value cmp(mlir::arith::CmpFPredicate predicate, mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value cmp(mlir::arith::CmpIPredicate predicate, mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value andI(mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value orI(mlir::Value lhs, mlir::Value rhs) const;
  mlir::Value notI(mlir::Value value) const;
  /// value / divisor rounded down, divisor > 0.
  mlir::Value floorDiv(mlir::Value value, mlir::Value divisor) const;

  /// A value as it lies in memory to one to compute with, and back; `element` is the graph type.
  mlir::Value load(mlir::Value stored, mlir::Type element) const;
  mlir::Value store(mlir::Value computed, mlir::Type element) const;
  /// Conversion of a computed value (ONNX Cast); out-of-range floats saturate, NaN becomes 0.
  mlir::Value convert(mlir::Value computed, mlir::Type from, mlir::Type to) const;
  /// An integer (of a graph type, computed form) as index, and an index as an integer.
  mlir::Value toIndex(mlir::Value integer, mlir::Type element) const;
  mlir::Value fromIndex(mlir::Value index, mlir::Type element) const;
  /// One element of a tensor, in storage type.
  mlir::Value extract(mlir::Value tensor, mlir::ValueRange indices) const;
  /// Fails the run with `code` (a lathe_code) unless `condition` holds.
  void check(mlir::Value condition, int32_t code, llvm::StringRef message,
             mlir::ValueRange args = {}) const;
};

/// The functions of graph.unary and graph.binary on computed values; null when the kind does not
/// apply to the type. `node` names the operation in run-time errors.
mlir::Value emitUnary(const Scalars &s, graph::UnaryKind kind, mlir::Value x, mlir::Type element);
mlir::Value emitBinary(const Scalars &s, graph::BinaryKind kind, mlir::Value lhs, mlir::Value rhs,
                       mlir::Type lhsElement, mlir::Type rhsElement, mlir::Attribute rhsConstant);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_SCALARS_H
