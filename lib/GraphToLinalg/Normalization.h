// Softmax as attention uses it, too.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_NORMALIZATION_H
#define LATHE_LIB_GRAPHTOLINALG_NORMALIZATION_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

/// exp(x - max) / sum, or its logarithm, over `axes` (sorted).
Tensor softmax(Lowering &l, const Tensor &input, llvm::ArrayRef<int64_t> axes, bool log = false);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_NORMALIZATION_H
