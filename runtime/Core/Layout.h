// Tensors that are not contiguous.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_LAYOUT_H
#define LATHE_RUNTIME_CORE_LAYOUT_H

#include "lathe-c/Runtime.h"

namespace lathe::runtime {

/// Copies the elements of one tensor to where those of another of the same dtype and dims lie. Both
/// have strides; elements are whole bytes.
void copyElements(const lathe_value &from, const lathe_value &to);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CORE_LAYOUT_H
