// Axes that only the run knows: shapes are computed from them, and reshapes do the rest.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_RUNTIMEAXES_H
#define LATHE_LIB_IMPORT_RUNTIMEAXES_H

#include "lib/Import/Node.h"

namespace lathe::import {

/// The operand as axes [count] of type i64, of which the elements need not be known. Null after an
/// error.
mlir::Value runTimeAxes(Node &node, unsigned input);

/// The number of `axes` where it is known when compiling; an error otherwise.
std::optional<int64_t> axisCount(Node &node, mlir::Value axes);

/// i64 [rank] that is 1 at the dimensions among `axes` and 0 elsewhere. Negative axes count from
/// the end; the run fails for those out of range.
mlir::Value axisMask(Node &node, mlir::Value axes, int64_t rank);

/// Reduces the dimensions at which `mask` is 1: in a shape where each dimension stands beside a
/// second one, which has its size if it is reduced, all second ones are reduced.
mlir::Value reduceMasked(Node &node, graph::ReduceKind kind, mlir::Value x, mlir::Value mask);

/// `x` without the dimensions (of size 1) at which `mask` is 1, of which there are `count`.
mlir::Value squeezeMasked(Node &node, mlir::Value x, mlir::Value mask, int64_t count);

/// `x` with dimensions of size 1 at which `mask`, for the rank of the result, is 1.
mlir::Value unsqueezeMasked(Node &node, mlir::Value x, mlir::Value mask, int64_t rank);

/// `x` as [before, size, after] around one axis that only the run knows.
mlir::Value splitAtAxis(Node &node, mlir::Value x, mlir::Value axis);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_RUNTIMEAXES_H
