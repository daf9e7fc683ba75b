// Sums of products, shared by the families that have them.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_CONTRACTION_H
#define LATHE_LIB_GRAPHTOLINALG_CONTRACTION_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

/// accumulator + lhs * rhs, as the schedules recognise it.
mlir::Value multiplyAccumulate(const Scalars &s, mlir::Value lhs, mlir::Value rhs,
                               mlir::Value accumulator);

/// accumulator + value, for reductions.
mlir::Value sumBody(const Scalars &s, mlir::ValueRange valueAndAccumulator);

/// The neutral element of max or min (computed type).
mlir::TypedAttr extremeIdentity(Lowering &l, mlir::Type element, bool isMax);

/// Sum and maximum over `axes` in the accumulator's type; the dimensions go away.
Tensor reduceSum(Lowering &l, const Tensor &input, llvm::ArrayRef<int64_t> axes);
Tensor reduceMax(Lowering &l, const Tensor &input, llvm::ArrayRef<int64_t> axes);

/// A contraction over a zero-filled result of the given sizes; half precision sums in f32.
Tensor contract(Lowering &l, const Tensor &lhs, mlir::AffineMap lhsMap, const Tensor &rhs,
                mlir::AffineMap rhsMap, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                mlir::AffineMap resultMap, llvm::ArrayRef<mlir::utils::IteratorType> iterators,
                mlir::Type element);

/// Product of the last two dimensions (both operands of rank >= 2), the others broadcast.
Tensor matmul(Lowering &l, Tensor lhs, Tensor rhs, mlir::Type element);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_CONTRACTION_H
