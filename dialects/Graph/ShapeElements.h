// Shape arithmetic: elementwise operations on the elements of small tensors.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_SHAPEELEMENTS_H
#define LATHE_DIALECTS_GRAPH_SHAPEELEMENTS_H

#include "dialects/Graph/SymbolicShapes.h"

namespace lathe::graph {

/// One element of an elementwise operation on integers of `width` bits; null when not known.
mlir::AffineExpr computeElement(BinaryKind kind, mlir::AffineExpr lhs, mlir::AffineExpr rhs,
                                unsigned width);
mlir::AffineExpr computeElement(UnaryKind kind, mlir::AffineExpr input, unsigned width);

using Real = SymbolicShapes::Real;

/// As above for floats; `single` rounds constants to f32 after the operation.
std::optional<Real> computeElement(BinaryKind kind, Real lhs, Real rhs, bool single);
std::optional<Real> computeElement(UnaryKind kind, Real input, bool single);

/// A float with an integer value.
Real toReal(mlir::AffineExpr integer, bool single);
/// The integer part (towards zero), null when not known.
mlir::AffineExpr truncate(const Real &real, mlir::MLIRContext *context);
/// floor(integer * factor), null when not known.
mlir::AffineExpr floorOfProduct(mlir::AffineExpr integer, const Real &factor);

/// The expression when it is no constant out of the range of a signed integer of `width` bits.
mlir::AffineExpr checkRange(mlir::AffineExpr expr, unsigned width);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_SHAPEELEMENTS_H
