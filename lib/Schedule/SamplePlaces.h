// Where the samples of a batch lie in a tensor.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_SCHEDULE_SAMPLEPLACES_H
#define LATHE_LIB_SCHEDULE_SAMPLEPLACES_H

#include "mlir/IR/OpDefinition.h"

namespace lathe::schedule {

/// Of what the size of a dimension is a product: numbers, values, and the names of the inputs'
/// dimensions. A null entry is something unknown.
using Factors = llvm::SmallVector<mlir::OpFoldResult>;

/// A dimension of a tensor in which the samples lie in their order, as equal parts: of what its
/// size is a product beside their number.
struct Place {
  int64_t dim = 0;
  Factors factors;
};

bool areKnown(const Factors &factors);

/// Takes a factor out; false, and `factors` are spoilt, where it is not known to be one.
bool divide(Factors &factors, mlir::OpFoldResult by);

/// Whether both are known, and the same product.
bool isSameSize(const Factors &one, const Factors &other);

/// ShapedType::kDynamic where it is no number.
int64_t getStaticSize(mlir::OpFoldResult factor);

} // namespace lathe::schedule

#endif // LATHE_LIB_SCHEDULE_SAMPLEPLACES_H
