// Element types.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/ElementTypes.h"
#include "dialects/Graph/Graph.h"
#include "lib/Import/onnx.pb.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lathe::import;

namespace {

template <typename T> Type simple(MLIRContext *context) { return T::get(context); }
template <unsigned Bits> Type signless(MLIRContext *context) {
  return IntegerType::get(context, Bits);
}
template <unsigned Bits> Type unsignedInt(MLIRContext *context) {
  return IntegerType::get(context, Bits, IntegerType::Unsigned);
}
template <typename T> Type complexOf(MLIRContext *context) {
  return ComplexType::get(T::get(context));
}
Type none(MLIRContext *) { return {}; }

struct ElementType {
  const char *name;
  Type (*get)(MLIRContext *);
};

// Indexed by TensorProto.DataType.
const ElementType elementTypes[] = {
    {"undefined", none},
    {"float", simple<Float32Type>},
    {"uint8", unsignedInt<8>},
    {"int8", signless<8>},
    {"uint16", unsignedInt<16>},
    {"int16", signless<16>},
    {"int32", signless<32>},
    {"int64", signless<64>},
    {"string", simple<lathe::graph::StringType>},
    {"bool", signless<1>},
    {"float16", simple<Float16Type>},
    {"double", simple<Float64Type>},
    {"uint32", unsignedInt<32>},
    {"uint64", unsignedInt<64>},
    {"complex64", complexOf<Float32Type>},
    {"complex128", complexOf<Float64Type>},
    {"bfloat16", simple<BFloat16Type>},
    {"float8e4m3fn", simple<Float8E4M3FNType>},
    {"float8e4m3fnuz", simple<Float8E4M3FNUZType>},
    {"float8e5m2", simple<Float8E5M2Type>},
    {"float8e5m2fnuz", simple<Float8E5M2FNUZType>},
    {"uint4", unsignedInt<4>},
    {"int4", signless<4>},
    {"float4e2m1", simple<Float4E2M1FNType>},
    {"float8e8m0", simple<Float8E8M0FNUType>},
    {"uint2", unsignedInt<2>},
    {"int2", signless<2>},
    // Six bits to an element: named in errors, computed by nothing yet.
    {"float6e2m3", none},
    {"float6e3m2", none},
};

} // namespace

uint32_t lathe::import::typeSetOf(Type type) {
  if (type.isF32())
    return kF32;
  if (isa<Float16Type, BFloat16Type, Float64Type>(type))
    return kOtherFloats;
  if (isa<FloatType>(type))
    return kFloat8;
  if (isa<ComplexType>(type))
    return kComplex;
  if (isa<lathe::graph::StringType>(type))
    return kString;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return 0;
  if (integer.getWidth() == 1)
    return kBool;
  if (integer.getWidth() < 8)
    return kNarrow;
  return integer.isUnsigned() ? kUnsigned : kSigned;
}

std::string lathe::import::describeTypeSet(uint32_t set) {
  if (set == kAny)
    return "all";
  static constexpr std::pair<uint32_t, const char *> phrases[] = {{kFloats, "floats"},
                                                                  {kF32, "f32"},
                                                                  {kOtherFloats, "other floats"},
                                                                  {kIntegers, "integers"},
                                                                  {kSigned, "signed integers"},
                                                                  {kUnsigned, "unsigned integers"},
                                                                  {kBool, "bool"},
                                                                  {kFloat8, "float8 and float4"},
                                                                  {kNarrow, "int4 and int2"},
                                                                  {kComplex, "complex"},
                                                                  {kString, "strings"}};
  std::string text;
  for (auto [bits, phrase] : phrases) {
    if ((set & bits) != bits)
      continue;
    set &= ~bits;
    text += (text.empty() ? "" : ", ") + std::string(phrase);
  }
  return text;
}

Type lathe::import::elementTypeOf(MLIRContext *context, int32_t onnxType) {
  if (onnxType < 0 || size_t(onnxType) >= std::size(elementTypes))
    return {};
  return elementTypes[onnxType].get(context);
}

std::string lathe::import::onnxTypeName(int32_t onnxType) {
  if (onnxType < 0 || size_t(onnxType) >= std::size(elementTypes))
    return "type " + std::to_string(onnxType);
  return elementTypes[onnxType].name;
}
