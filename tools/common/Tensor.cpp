// Tensors as the tools hold them: owned bytes with a type and a shape.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Tensor.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

namespace lathe::tools {

namespace {

using enum TypeKind;

constexpr TypeInfo types[] = {
    {LATHE_F32, "f32", Float, 32, 23, "<f4"},
    {LATHE_U8, "u8", Unsigned, 8, 0, "|u1"},
    {LATHE_I8, "i8", Signed, 8, 0, "|i1"},
    {LATHE_U16, "u16", Unsigned, 16, 0, "<u2"},
    {LATHE_I16, "i16", Signed, 16, 0, "<i2"},
    {LATHE_I32, "i32", Signed, 32, 0, "<i4"},
    {LATHE_I64, "i64", Signed, 64, 0, "<i8"},
    {LATHE_STRING, "string", String, 0, 0, ""},
    {LATHE_BOOL, "bool", Bool, 8, 0, "|b1"},
    {LATHE_F16, "f16", Float, 16, 10, "<f2"},
    {LATHE_F64, "f64", Float, 64, 52, "<f8"},
    {LATHE_U32, "u32", Unsigned, 32, 0, "<u4"},
    {LATHE_U64, "u64", Unsigned, 64, 0, "<u8"},
    {LATHE_C64, "c64", Complex, 64, 23, "<c8"},
    {LATHE_C128, "c128", Complex, 128, 52, "<c16"},
    {LATHE_BF16, "bf16", Float, 16, 7, "<u2"},
    {LATHE_F8E4M3FN, "f8e4m3fn", Float, 8, 3, "|u1"},
    {LATHE_F8E4M3FNUZ, "f8e4m3fnuz", Float, 8, 3, "|u1"},
    {LATHE_F8E5M2, "f8e5m2", Float, 8, 2, "|u1"},
    {LATHE_F8E5M2FNUZ, "f8e5m2fnuz", Float, 8, 2, "|u1"},
    {LATHE_U4, "u4", Unsigned, 4, 0, "|u1"},
    {LATHE_I4, "i4", Signed, 4, 0, "|i1"},
    {LATHE_F4E2M1, "f4e2m1", Float, 4, 1, "|u1"},
    {LATHE_F8E8M0, "f8e8m0", Float, 8, 0, "|u1"},
    {LATHE_U2, "u2", Unsigned, 2, 0, "|u1"},
    {LATHE_I2, "i2", Signed, 2, 0, "|i1"},
};

// Looked up by number for every element.
static_assert([] {
  for (uint32_t i = 0; i < std::size(types); ++i)
    if (types[i].dtype != i + 1)
      return false;
  return true;
}());

/// How a small float codes what is not a number.
struct SmallFloat {
  uint32_t dtype;
  int exponentBits, fractionBits, bias;
  bool hasInfinity;      ///< the largest exponent means infinity and NaN, as in IEEE 754
  bool zeroSignMeansNan; ///< "fnuz": the code of minus zero is the only NaN
  uint64_t largestIsNan; ///< magnitude code that means NaN, 0: none
};

constexpr SmallFloat smallFloats[] = {
    {LATHE_F16, 5, 10, 15, true, false, 0},        {LATHE_BF16, 8, 7, 127, true, false, 0},
    {LATHE_F8E4M3FN, 4, 3, 7, false, false, 0x7f}, {LATHE_F8E4M3FNUZ, 4, 3, 8, false, true, 0},
    {LATHE_F8E5M2, 5, 2, 15, true, false, 0},      {LATHE_F8E5M2FNUZ, 5, 2, 16, false, true, 0},
    {LATHE_F4E2M1, 2, 1, 1, false, false, 0},
};

int64_t signExtend(uint64_t bits, unsigned width) {
  unsigned shift = 64 - width;
  return static_cast<int64_t>(bits << shift) >> shift;
}

std::string elementText(const Tensor &tensor, int64_t index) {
  const TypeInfo &type = *findType(tensor.dtype);
  switch (type.kind) {
  case String:
    return '"' + printable(tensor.strings[index]) + '"';
  case Signed:
    return std::to_string(signExtend(elementBits(tensor, index), type.bits));
  case Unsigned:
    return std::to_string(elementBits(tensor, index));
  case Bool:
    return elementBits(tensor, index) ? "true" : "false";
  case Float:
  case Complex:
    return formatNumber(elementAsDouble(tensor, index), 6);
  }
  return "";
}

} // namespace

const TypeInfo *findType(uint32_t dtype) {
  return dtype >= 1 && dtype <= std::size(types) ? &types[dtype - 1] : nullptr;
}

std::string typeName(uint32_t dtype) {
  const TypeInfo *type = findType(dtype);
  return type ? type->name : "type " + std::to_string(dtype);
}

int64_t Tensor::elementCount() const { return tools::elementCount(dims); }

int64_t elementCount(std::span<const int64_t> dims) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return -1;
    empty |= dim == 0;
    if (dim != 0 && __builtin_mul_overflow(count, dim, &count))
      return -1;
  }
  return empty ? 0 : count;
}

int64_t byteSize(const TypeInfo &type, int64_t count) {
  int64_t bits;
  if (count < 0 || type.kind == String || __builtin_mul_overflow(count, int64_t(type.bits), &bits))
    return -1;
  return bits / 8 + (bits % 8 != 0);
}

Tensor makeTensor(uint32_t dtype, std::vector<int64_t> dims) {
  const TypeInfo *type = findType(dtype);
  int64_t count = elementCount(dims);
  if (!type || count < 0)
    throw Failure("cannot make a tensor of type " + describeType(dtype, dims));
  Tensor tensor{dtype, std::move(dims), {}, {}};
  if (type->kind == String) {
    tensor.strings.resize(count);
    return tensor;
  }
  int64_t size = byteSize(*type, count);
  if (size < 0)
    throw Failure("a tensor of type " + describeType(dtype, tensor.dims) + " is too large");
  tensor.bytes.resize(size);
  return tensor;
}

uint64_t elementBits(const Tensor &tensor, int64_t index) {
  unsigned bits = findType(tensor.dtype)->bits;
  if (bits < 8) {
    unsigned perByte = 8 / bits;
    auto byte = static_cast<uint8_t>(tensor.bytes[index / perByte]);
    return (byte >> (index % perByte * bits)) & ((1u << bits) - 1);
  }
  uint64_t result = 0;
  std::memcpy(&result, tensor.bytes.data() + index * (bits / 8), bits / 8);
  return result;
}

double floatFromBits(const TypeInfo &type, uint64_t bits) {
  if (type.dtype == LATHE_F32)
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  if (type.dtype == LATHE_F8E8M0)
    return bits == 0xff ? std::numeric_limits<double>::quiet_NaN()
                        : std::ldexp(1.0, static_cast<int>(bits) - 127);
  const SmallFloat &format = *std::ranges::find(smallFloats, type.dtype, &SmallFloat::dtype);
  int magnitudeBits = format.exponentBits + format.fractionBits;
  bool negative = bits >> magnitudeBits & 1;
  uint64_t magnitude = bits & ((uint64_t(1) << magnitudeBits) - 1);
  uint64_t fraction = magnitude & ((uint64_t(1) << format.fractionBits) - 1);
  int exponent = static_cast<int>(magnitude >> format.fractionBits);
  double value;
  if (format.zeroSignMeansNan && negative && magnitude == 0)
    return std::numeric_limits<double>::quiet_NaN();
  if (format.largestIsNan && magnitude == format.largestIsNan)
    return std::numeric_limits<double>::quiet_NaN();
  if (format.hasInfinity && exponent == (1 << format.exponentBits) - 1)
    value = fraction ? std::numeric_limits<double>::quiet_NaN()
                     : std::numeric_limits<double>::infinity();
  else if (exponent == 0)
    value = std::ldexp(static_cast<double>(fraction), 1 - format.bias - format.fractionBits);
  else
    value = std::ldexp(static_cast<double>(fraction + (uint64_t(1) << format.fractionBits)),
                       exponent - format.bias - format.fractionBits);
  return negative ? -value : value;
}

uint16_t bitsFromFloat(uint32_t dtype, float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | (dtype == LATHE_F16 ? 0x7e00 : 0x7fc0);
  if (dtype == LATHE_BF16)
    return sign | static_cast<uint16_t>((magnitude + 0x7fff + (magnitude >> 16 & 1)) >> 16);
  if (magnitude >= 0x477ff000) // rounds to 65536 or more
    return sign | 0x7c00;
  // Below the smallest normal number a step is 2^-24; above, the exponent's bias is shifted.
  if (magnitude < 0x38800000)
    return sign | static_cast<uint16_t>(
                      std::nearbyint(std::ldexp(double(std::bit_cast<float>(magnitude)), 24)));
  uint32_t rebiased = magnitude - (uint32_t(127 - 15) << 23);
  return sign | static_cast<uint16_t>((rebiased + 0xfff + (rebiased >> 13 & 1)) >> 13);
}

double elementAsDouble(const Tensor &tensor, int64_t index) {
  const TypeInfo &type = *findType(tensor.dtype);
  if (type.dtype == LATHE_F64 || type.dtype == LATHE_C128) {
    double value;
    std::memcpy(&value, tensor.bytes.data() + index * (type.bits / 8), sizeof value);
    return value;
  }
  if (type.dtype == LATHE_C64) {
    float value;
    std::memcpy(&value, tensor.bytes.data() + index * 8, sizeof value);
    return value;
  }
  uint64_t bits = elementBits(tensor, index);
  switch (type.kind) {
  case Float:
    return floatFromBits(type, bits);
  case Signed:
    return static_cast<double>(signExtend(bits, type.bits));
  default:
    return static_cast<double>(bits);
  }
}

std::string describeType(uint32_t dtype, std::span<const int64_t> dims) {
  std::string text = typeName(dtype) + "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + (dims[i] < 0 ? std::string("?") : std::to_string(dims[i]));
  return text + "]";
}

/// Up to five of `count` texts, and whether there are more.
static std::string listElements(int64_t count, const std::function<std::string(int64_t)> &text) {
  constexpr int64_t shown = 5;
  std::string list;
  for (int64_t i = 0; i < std::min(count, shown); ++i)
    list += (i ? ", " : "") + text(i);
  return list + (count > shown ? ", ..." : "");
}

std::string describeType(const Value &value) {
  switch (value.kind) {
  case LATHE_VALUE_SEQUENCE:
    return "sequence of " + std::to_string(value.elements.size());
  case LATHE_VALUE_OPTIONAL:
    return value.elements.empty() ? "optional without value"
                                  : "optional " + describeType(value.elements[0]);
  case LATHE_VALUE_MAP:
    return "map of " + std::to_string(value.elements[0].tensor.elementCount());
  case LATHE_VALUE_NONE:
    return "nothing";
  default:
    return describeType(value.tensor.dtype, value.tensor.dims);
  }
}

std::string summarize(const Value &value) {
  std::string text = describeType(value);
  if (value.kind == LATHE_VALUE_MAP) {
    const Tensor &keys = value.elements[0].tensor, &values = value.elements[1].tensor;
    return text + "  {" +
           listElements(
               keys.elementCount(),
               [&](int64_t i) { return elementText(keys, i) + ": " + elementText(values, i); }) +
           "}";
  }
  if (value.kind == LATHE_VALUE_SEQUENCE)
    return text + "  [" +
           listElements(static_cast<int64_t>(value.elements.size()),
                        [&](int64_t i) { return describeType(value.elements[i]); }) +
           "]";
  if (value.kind != LATHE_VALUE_TENSOR && value.kind != LATHE_VALUE_STRINGS)
    return text;
  const Tensor &tensor = value.tensor;
  int64_t count = tensor.elementCount();
  TypeKind kind = findType(tensor.dtype)->kind;
  if (count > 1 && kind != String && kind != Bool && kind != Complex) {
    double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0;
    int64_t nans = 0;
    for (int64_t i = 0; i < count; ++i) {
      double element = elementAsDouble(tensor, i);
      if (std::isnan(element)) {
        ++nans;
        continue;
      }
      low = std::min(low, element);
      high = std::max(high, element);
      sum += element;
    }
    if (nans < count)
      text += "  min " + formatNumber(low) + "  max " + formatNumber(high) + "  mean " +
              formatNumber(sum / static_cast<double>(count - nans));
    if (nans)
      text += "  nan " + std::to_string(nans);
  }
  return text + "  [" + listElements(count, [&](int64_t i) { return elementText(tensor, i); }) +
         "]";
}

} // namespace lathe::tools
