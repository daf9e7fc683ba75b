// Exact arithmetic on sizes: polynomials of symbols, written as semi-affine expressions.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_SYMBOLICMATH_H
#define LATHE_DIALECTS_GRAPH_SYMBOLICMATH_H

#include "mlir/IR/AffineExpr.h"
#include <optional>

namespace lathe::graph {

// Every function returns null when an operand is null, on overflow, and when the result would be
// too large to be worth carrying. Results are in one canonical form (a sum of monomials in a fixed
// order; divisions with the divisible part split off), so equal values are mostly equal pointers.

mlir::AffineExpr addExprs(mlir::AffineExpr lhs, mlir::AffineExpr rhs);
mlir::AffineExpr subtractExprs(mlir::AffineExpr lhs, mlir::AffineExpr rhs);
mlir::AffineExpr multiplyExprs(mlir::AffineExpr lhs, mlir::AffineExpr rhs);

/// floor(lhs / rhs); null unless rhs is provably positive.
mlir::AffineExpr floorDivideExprs(mlir::AffineExpr lhs, mlir::AffineExpr rhs);

/// lhs / rhs where the polynomials divide (rhs a single monomial, or lhs a constant multiple of
/// rhs), else null. Symbols are taken to be nonzero.
mlir::AffineExpr divideExactly(mlir::AffineExpr lhs, mlir::AffineExpr rhs);

/// A proven lower bound, with symbols being at least 0.
std::optional<int64_t> getLowerBound(mlir::AffineExpr expr);

/// The value of a constant expression.
std::optional<int64_t> getConstant(mlir::AffineExpr expr);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_SYMBOLICMATH_H
