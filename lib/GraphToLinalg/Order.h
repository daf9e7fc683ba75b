// Sorting without moving what is sorted.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_ORDER_H
#define LATHE_LIB_GRAPHTOLINALG_ORDER_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

/// Whether element `a` of a line comes before element `b` of it: a total order, so no two are
/// alike. `place` are the indices of the line (that along it says nothing).
using Before = llvm::function_ref<mlir::Value(const Scalars &, llvm::ArrayRef<mlir::Value> place,
                                              mlir::Value a, mlir::Value b)>;

/// An i64 tensor of `sizes`: along `axis` the indices of the elements in their order, of which the
/// first `wanted` are right. Takes n log(n) log(wanted) steps. Lines of at most `shortest` stay as
/// they are, for a caller who looks at all of them.
Tensor sortLines(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> sizes, int64_t axis,
                 mlir::OpFoldResult wanted, Before before, int64_t shortest = 0);

/// The first number of 0 <= number < count for which `holds` is true, where it is false before and
/// true after; `count` where there is none.
mlir::Value searchFirst(const Scalars &s, mlir::Value count,
                        llvm::function_ref<mlir::Value(const Scalars &, mlir::Value)> holds);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_ORDER_H
