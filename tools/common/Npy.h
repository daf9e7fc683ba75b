// NumPy's .npy files.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_NPY_H
#define LATHE_TOOLS_COMMON_NPY_H

#include "tools/common/Tensor.h"

namespace lathe::tools {

/// Parses the bytes of a .npy file. Either byte order is taken, and Fortran order is rearranged.
/// NumPy has no bf16, f8 or 4-bit types: with `wanted` one of these, the file holds their bits in
/// unsigned (or 4-bit: signed) integers, one element each, or in void elements ("V2") as ml_dtypes
/// writes them. Otherwise the type is the file's own. Throws Failure starting with `name`.
Tensor parseNpy(std::string_view bytes, const std::string &name, uint32_t wanted);

/// The bytes of a .npy file; the types that NumPy lacks are written as parseNpy reads them. Throws
/// Failure for strings, which NumPy stores as pickled objects.
std::string formatNpy(const Tensor &tensor);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_NPY_H
