// Elements of 8 bits and less.
//
// Arithmetic runs in f32, as for half precision. Conversions are integer arithmetic on whole
// vectors: no table, no branch, and the same bits on every target. Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/NarrowTypes.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

bool lathe::g2l::sharesBytes(Type element) {
  return element.isIntOrFloat() && !element.isInteger(1) && element.getIntOrFloatBitWidth() < 8;
}

Type lathe::g2l::getBoundaryType(Type element) {
  if (sharesBytes(element))
    return IntegerType::get(element.getContext(), element.getIntOrFloatBitWidth());
  return getStorageType(element);
}

// ---- Floats ------------------------------------------------------------------------------------

namespace {
/// A float with a sign bit. All are as IEEE 754 has them but for what is beyond the largest number.
struct Format {
  unsigned width, mantissa;
  int bias;
  /// The largest number, without the sign.
  unsigned largest;
  /// What overflow and NaN become, without the sign.
  unsigned overflow, nan;
  /// Its only NaN is what would be -0.
  bool isUnsignedZero;
};
} // namespace

static Format getFormat(FloatType type) {
  if (isa<Float8E4M3FNType>(type))
    return {8, 3, 7, 0x7e, 0x7f, 0x7f, false};
  if (isa<Float8E5M2Type>(type))
    return {8, 2, 15, 0x7b, 0x7c, 0x7e, false};
  if (isa<Float8E4M3FNUZType>(type))
    return {8, 3, 8, 0x7f, 0x80, 0x80, true};
  if (isa<Float8E5M2FNUZType>(type))
    return {8, 2, 16, 0x7f, 0x80, 0x80, true};
  // Neither infinity nor NaN: NaN becomes -0, as other implementations have it.
  return {4, 1, 1, 0x7, 0x7, 0x8, false};
}

static Value bitcast(const Scalars &s, Type to, Value value) {
  return arith::BitcastOp::create(s.b, s.loc, to, value);
}

static Value constant(const Scalars &s, Type type, uint64_t bits) {
  return s.constant(type, APInt(type.getIntOrFloatBitWidth(), bits));
}

static Value shiftLeft(const Scalars &s, Value value, unsigned by) {
  return arith::ShLIOp::create(s.b, s.loc, value, constant(s, value.getType(), by));
}

static Value shiftRight(const Scalars &s, Value value, unsigned by) {
  return arith::ShRUIOp::create(s.b, s.loc, value, constant(s, value.getType(), by));
}

// 2^(x - 127), all exponent; 255 is NaN.
static Value decodePower(const Scalars &s, Value bits) {
  Type i32 = s.b.getI32Type(), f32 = s.b.getF32Type();
  Value exponent = arith::ExtUIOp::create(s.b, s.loc, i32, bits);
  Value power = shiftLeft(s, exponent, 23);
  using I = arith::CmpIPredicate;
  power =
      s.select(s.cmp(I::eq, exponent, constant(s, i32, 0)), constant(s, i32, 0x00400000), power);
  power =
      s.select(s.cmp(I::eq, exponent, constant(s, i32, 255)), constant(s, i32, 0x7fc00000), power);
  return bitcast(s, f32, power);
}

Value lathe::g2l::decodeFloat(const Scalars &s, Value bits, FloatType type) {
  if (isa<Float8E8M0FNUType>(type))
    return decodePower(s, bits);
  Format format = getFormat(type);
  Type i32 = s.b.getI32Type(), f32 = s.b.getF32Type();
  using I = arith::CmpIPredicate;
  Value wide = arith::ExtUIOp::create(s.b, s.loc, i32, bits);
  Value sign = s.andI(shiftLeft(s, wide, 32 - format.width), constant(s, i32, 0x80000000));
  Value magnitude = s.andI(wide, constant(s, i32, (1u << (format.width - 1)) - 1));
  Value normal = s.add(shiftLeft(s, magnitude, 23 - format.mantissa),
                       constant(s, i32, uint64_t(127 - format.bias) << 23));
  Value count = arith::UIToFPOp::create(s.b, s.loc, f32, magnitude);
  Value step = s.constant(f32, std::ldexp(1.0, 1 - format.bias - int(format.mantissa)));
  Value small = bitcast(s, i32, arith::MulFOp::create(s.b, s.loc, count, step));
  Value isSmall = s.cmp(I::ult, magnitude, constant(s, i32, 1u << format.mantissa));
  Value result = s.select(isSmall, small, normal);
  Value quiet = constant(s, i32, 0x7fc00000);
  if (format.isUnsignedZero) {
    Value isNaN = s.cmp(I::eq, wide, constant(s, i32, format.nan));
    result = s.select(isNaN, quiet, result);
  } else if (format.overflow > format.largest) {
    Value beyond = s.cmp(I::ugt, magnitude, constant(s, i32, format.largest));
    result = s.select(beyond, quiet, result);
    if (format.overflow != format.nan)
      result = s.select(s.cmp(I::eq, magnitude, constant(s, i32, format.overflow)),
                        constant(s, i32, 0x7f800000), result);
  }
  return bitcast(s, f32, s.orI(result, sign));
}

// The exponent of a double, rounded by what is below it.
static Value encodePower(const Scalars &s, Value value, bool saturate,
                         graph::CastRounding rounding) {
  Type i64 = s.b.getI64Type(), f64 = s.b.getF64Type();
  using I = arith::CmpIPredicate;
  if (!value.getType().isF64())
    value = arith::ExtFOp::create(s.b, s.loc, f64, value);
  Value bits = s.andI(bitcast(s, i64, value), constant(s, i64, INT64_MAX));
  uint64_t below = (uint64_t(1) << 52) - 1;
  Value fraction = s.andI(bits, constant(s, i64, below));
  Value exponent = s.sub(shiftRight(s, bits, 52), constant(s, i64, 1023 - 127));
  if (rounding != graph::CastRounding::down) {
    // Of ties, `nearest` takes the larger.
    uint64_t least = rounding == graph::CastRounding::up ? 1 : uint64_t(1) << 51;
    Value more = s.cmp(I::uge, fraction, constant(s, i64, least));
    exponent = s.add(exponent, arith::ExtUIOp::create(s.b, s.loc, i64, more));
  }
  Value zero = constant(s, i64, 0), highest = constant(s, i64, 254), nan = constant(s, i64, 255);
  Value isLow = s.cmp(I::slt, exponent, zero), isHigh = s.cmp(I::sgt, exponent, highest);
  exponent = s.select(isLow, saturate ? zero : nan, exponent);
  exponent = s.select(isHigh, saturate ? highest : nan, exponent);
  Value isNaN = s.cmp(I::ugt, bits, constant(s, i64, uint64_t(0x7ff) << 52));
  return arith::TruncIOp::create(s.b, s.loc, s.b.getI8Type(), s.select(isNaN, nan, exponent));
}

Value lathe::g2l::encodeFloat(const Scalars &s, Value value, FloatType type, bool saturate,
                              graph::CastRounding rounding) {
  if (isa<Float8E8M0FNUType>(type))
    return encodePower(s, value, saturate, rounding);
  Format format = getFormat(type);
  auto source = cast<FloatType>(value.getType());
  unsigned width = source.getWidth();
  unsigned mantissa = source.getFPMantissaWidth() - 1;
  int bias = width == 64 ? 1023 : 127;
  Type integer = s.b.getIntegerType(width);
  using I = arith::CmpIPredicate;
  auto number = [&](uint64_t bits) { return constant(s, integer, bits); };
  Value bits = bitcast(s, integer, value);
  Value magnitude = s.andI(bits, number(~uint64_t(0) >> (65 - width)));
  // To nearest, ties to even: half a step less one, and one more where the last bit kept is odd.
  unsigned shift = mantissa - format.mantissa;
  Value odd = s.andI(shiftRight(s, magnitude, shift), number(1));
  Value rounded = s.add(s.add(magnitude, number((uint64_t(1) << (shift - 1)) - 1)), odd);
  Value normal =
      s.sub(shiftRight(s, rounded, shift), number(uint64_t(bias - format.bias) << format.mantissa));
  // Below the normal numbers an addition rounds to their step, that of the last bit of its result.
  uint64_t magic = uint64_t(bias + 1 - format.bias - int(format.mantissa) + int(mantissa))
                   << mantissa;
  Value shifted = arith::AddFOp::create(s.b, s.loc, bitcast(s, source, magnitude),
                                        bitcast(s, source, number(magic)));
  Value small = s.sub(bitcast(s, integer, shifted), number(magic));
  uint64_t leastNormal = uint64_t(bias + 1 - format.bias) << mantissa;
  Value result = s.select(s.cmp(I::ult, magnitude, number(leastNormal)), small, normal);
  Value tooLarge = s.cmp(I::ugt, result, number(format.largest));
  result = s.select(tooLarge, number(saturate ? format.largest : format.overflow), result);
  uint64_t infinity = ((uint64_t(1) << (width - 1 - mantissa)) - 1) << mantissa;
  Value isNaN = s.cmp(I::ugt, magnitude, number(infinity));
  result = s.select(isNaN, number(format.nan), result);
  Value sign = shiftLeft(s, shiftRight(s, bits, width - 1), format.width - 1);
  if (format.isUnsignedZero) {
    Value hasSign = s.cmp(I::ne, result, number(0));
    sign = s.select(hasSign, sign, number(0));
  }
  return arith::TruncIOp::create(s.b, s.loc, s.b.getI8Type(), s.orI(result, sign));
}

// ---- Elements that share bytes -----------------------------------------------------------------

Value lathe::g2l::extendNarrow(const Scalars &s, Value byte, Type element) {
  unsigned width = element.getIntOrFloatBitWidth();
  if (element.isUnsignedInteger() || isa<FloatType>(element))
    return s.andI(byte, constant(s, byte.getType(), (1u << width) - 1));
  Value shift = constant(s, byte.getType(), 8 - width);
  return arith::ShRSIOp::create(s.b, s.loc, arith::ShLIOp::create(s.b, s.loc, byte, shift), shift);
}

// How many bytes `count` elements share.
static OpFoldResult countBytes(Lowering &l, OpFoldResult count, Type element) {
  return l.ceilDiv(count, l.size(8 / element.getIntOrFloatBitWidth()));
}

Tensor lathe::g2l::unpack(Lowering &l, Value packed, ArrayRef<OpFoldResult> sizes, Type element) {
  unsigned width = element.getIntOrFloatBitWidth(), perByte = 8 / width;
  OpFoldResult count = l.product(sizes), bytes = countBytes(l, count, element);
  Type i8 = l.b.getI8Type();
  RankedTensorType type = l.type({bytes}, i8);
  Value dynamic = type.hasStaticShape() ? Value() : l.value(bytes);
  Value all = rt::BytesOp::create(l.b, l.loc, type, packed, dynamic);
  Tensor flat = l.fromIndices({count}, element, [&](const Scalars &s, ValueRange at) -> Value {
    Value place = arith::DivUIOp::create(s.b, s.loc, at[0], s.index(perByte));
    Value rest = arith::RemUIOp::create(s.b, s.loc, at[0], s.index(perByte));
    Value shift = arith::IndexCastOp::create(s.b, s.loc, i8, s.mul(rest, s.index(width)));
    Value byte = arith::ShRUIOp::create(s.b, s.loc, s.extract(all, place), shift);
    return extendNarrow(s, byte, element);
  });
  return l.reshape(flat, sizes);
}

Value lathe::g2l::pack(Lowering &l, const Tensor &tensor) {
  unsigned width = tensor.element.getIntOrFloatBitWidth(), perByte = 8 / width;
  OpFoldResult count = l.product(tensor.sizes), bytes = countBytes(l, count, tensor.element);
  Type i8 = l.b.getI8Type();
  Tensor flat = l.reshape(tensor, {count});
  Value limit = l.value(count);
  Tensor packed = l.fromIndices({bytes}, i8, [&](const Scalars &s, ValueRange at) -> Value {
    Value first = s.mul(at[0], s.index(perByte)), byte;
    Value last = s.sub(limit, s.index(1));
    for (unsigned i = 0; i < perByte; ++i) {
      Value place = s.add(first, s.index(i));
      Value isThere = s.cmp(arith::CmpIPredicate::slt, place, limit);
      Value element = s.extract(flat.value, s.min(place, last));
      element = s.andI(element, constant(s, i8, (1u << width) - 1));
      element = s.select(isThere, shiftLeft(s, element, i * width), constant(s, i8, 0));
      byte = byte ? s.orI(byte, element) : element;
    }
    return byte;
  });
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamic;
  for (OpFoldResult size : tensor.sizes) {
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
    if (ShapedType::isDynamic(shape.back()))
      dynamic.push_back(l.value(size));
  }
  auto type = RankedTensorType::get(shape, getBoundaryType(tensor.element));
  return rt::PackedOp::create(l.b, l.loc, type, packed.value, dynamic);
}

std::vector<char> lathe::g2l::unpackConstant(ArrayRef<char> packed, Type element, int64_t count,
                                             unsigned perByte) {
  unsigned width = element.getIntOrFloatBitWidth();
  bool isSigned = element.isSignlessInteger();
  std::vector<char> result(count);
  int64_t given = std::min<int64_t>(count, packed.size() * perByte);
  for (int64_t i = 0; i < given; ++i) {
    unsigned bits = uint8_t(packed[i / perByte]) >> (i % perByte * width) & ((1u << width) - 1);
    result[i] = static_cast<char>(isSigned ? llvm::SignExtend64(bits, width) : bits);
  }
  return result;
}
