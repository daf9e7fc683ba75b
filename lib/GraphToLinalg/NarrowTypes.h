// Elements of 8 bits and less: floats as bytes, and integers and floats that share bytes.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_GRAPHTOLINALG_NARROWTYPES_H
#define LATHE_LIB_GRAPHTOLINALG_NARROWTYPES_H

#include "lib/GraphToLinalg/Lowering.h"

namespace lathe::g2l {

/// Whether elements are less than a byte wide; booleans are not, they are bytes.
bool sharesBytes(mlir::Type element);

/// The element type in which a model's caller holds a tensor: that in memory, but for elements that
/// share bytes an integer of their width.
mlir::Type getBoundaryType(mlir::Type element);

/// A float of 8 or 4 bits, from its bits in an `i8`, as f32.
mlir::Value decodeFloat(const Scalars &s, mlir::Value bits, mlir::FloatType type);

/// f32 or f64 rounded to a float of 8 or 4 bits, as `i8`. What is out of range becomes the largest
/// number with `saturate`, else infinity or NaN as the type has them.
mlir::Value encodeFloat(const Scalars &s, mlir::Value value, mlir::FloatType type, bool saturate,
                        graph::CastRounding rounding = graph::CastRounding::up);

/// An `i8` whose low bits are an integer of less than a byte, with that integer's sign.
mlir::Value extendNarrow(const Scalars &s, mlir::Value byte, mlir::Type element);

/// An argument whose elements share bytes, with a byte for each.
Tensor unpack(Lowering &l, mlir::Value packed, llvm::ArrayRef<mlir::OpFoldResult> sizes,
              mlir::Type element);

/// The other way, for a result.
mlir::Value pack(Lowering &l, const Tensor &tensor);

/// Constant data of elements narrower than a byte, `perByte` in each, with a byte for each; what is
/// missing is 0.
std::vector<char> unpackConstant(llvm::ArrayRef<char> packed, mlir::Type element, int64_t count,
                                 unsigned perByte);

} // namespace lathe::g2l

#endif // LATHE_LIB_GRAPHTOLINALG_NARROWTYPES_H
