// Element types: ONNX numbers, MLIR types, and the sets that operators accept.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_IMPORT_ELEMENTTYPES_H
#define LATHE_LIB_IMPORT_ELEMENTTYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include <cstdint>
#include <string>

namespace lathe::import {

/// Sets of element types, as bits.
enum TypeSet : uint32_t {
  kF32 = 1,
  kOtherFloats = 2, // f16, bf16, f64
  kSigned = 4,
  kUnsigned = 8,
  kBool = 16,
  kFloat8 = 32, // and float4
  kNarrow = 64, // 2-bit and 4-bit integers
  kComplex = 128,
  kString = 256,
  kFloats = kF32 | kOtherFloats,
  kIntegers = kSigned | kUnsigned,
  kNumbers = kFloats | kIntegers,
  kAny = 511,
};

/// The bit of the set that `type` is in; 0 for other types.
uint32_t typeSetOf(mlir::Type type);

/// "floats, integers, bool".
std::string describeTypeSet(uint32_t set);

/// The MLIR type of TensorProto.DataType `onnxType`; null for unknown numbers.
mlir::Type elementTypeOf(mlir::MLIRContext *context, int32_t onnxType);

/// The name that ONNX gives the type: "float16"; for unknown numbers "type 77".
std::string onnxTypeName(int32_t onnxType);

} // namespace lathe::import

#endif // LATHE_LIB_IMPORT_ELEMENTTYPES_H
