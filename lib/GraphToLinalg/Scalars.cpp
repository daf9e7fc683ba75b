// Scalar arithmetic for the bodies of generics and for sizes.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Scalars.h"
#include "dialects/Rt/Rt.h"
#include "lib/GraphToLinalg/NarrowTypes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

Type lathe::g2l::getStorageType(Type element) {
  if (element.isInteger(1))
    return IntegerType::get(element.getContext(), 8);
  // What is narrower than a byte has one to itself; narrow floats are their bits.
  if (element.isIntOrFloat() && element.getIntOrFloatBitWidth() <= 8)
    return IntegerType::get(element.getContext(), 8);
  if (auto type = dyn_cast<IntegerType>(element); type && !type.isSignless())
    return IntegerType::get(element.getContext(), type.getWidth());
  if (isa<graph::StringType>(element)) // a lathe_string, moved as it is
    return IntegerType::get(element.getContext(), 128);
  if (auto type = dyn_cast<ComplexType>(element)) // both parts side by side, moved as they are
    return IntegerType::get(element.getContext(),
                            2 * type.getElementType().getIntOrFloatBitWidth());
  return element;
}

Type lathe::g2l::getComputeType(Type element) {
  if (element.isInteger(1))
    return element;
  if (auto type = dyn_cast<FloatType>(element); type && type.getWidth() < 32)
    return Float32Type::get(element.getContext());
  return getStorageType(element);
}

Value Scalars::constant(Type type, double value) const {
  if (auto floatType = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(floatType, value));
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, int64_t(value)));
}

Value Scalars::constant(Type type, const APInt &value) const {
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

Value Scalars::index(int64_t value) const { return arith::ConstantIndexOp::create(b, loc, value); }

Value Scalars::boolean(bool value) const {
  return arith::ConstantOp::create(b, loc, b.getBoolAttr(value));
}

Value Scalars::fromOfr(OpFoldResult value) const {
  if (auto attr = dyn_cast<Attribute>(value))
    return index(cast<IntegerAttr>(attr).getInt());
  return cast<Value>(value);
}

static bool isFloat(Value value) { return isa<FloatType>(value.getType()); }

// Contraction into fused multiply-add is all that elementwise arithmetic may do.
static constexpr auto fast = arith::FastMathFlags::contract;

Value Scalars::add(Value lhs, Value rhs) const {
  if (isFloat(lhs))
    return arith::AddFOp::create(b, loc, lhs, rhs, fast);
  return b.createOrFold<arith::AddIOp>(loc, lhs, rhs);
}

Value Scalars::sub(Value lhs, Value rhs) const {
  if (isFloat(lhs))
    return arith::SubFOp::create(b, loc, lhs, rhs, fast);
  return b.createOrFold<arith::SubIOp>(loc, lhs, rhs);
}

Value Scalars::mul(Value lhs, Value rhs) const {
  if (isFloat(lhs))
    return arith::MulFOp::create(b, loc, lhs, rhs, fast);
  return b.createOrFold<arith::MulIOp>(loc, lhs, rhs);
}

Value Scalars::divf(Value lhs, Value rhs) const { return arith::DivFOp::create(b, loc, lhs, rhs); }

Value Scalars::neg(Value value) const {
  if (isFloat(value))
    return arith::NegFOp::create(b, loc, value);
  return sub(constant(value.getType(), 0), value);
}

Value Scalars::max(Value lhs, Value rhs, bool isUnsigned) const {
  if (isFloat(lhs))
    return arith::MaximumFOp::create(b, loc, lhs, rhs);
  if (isUnsigned)
    return b.createOrFold<arith::MaxUIOp>(loc, lhs, rhs);
  return b.createOrFold<arith::MaxSIOp>(loc, lhs, rhs);
}

Value Scalars::min(Value lhs, Value rhs, bool isUnsigned) const {
  if (isFloat(lhs))
    return arith::MinimumFOp::create(b, loc, lhs, rhs);
  if (isUnsigned)
    return b.createOrFold<arith::MinUIOp>(loc, lhs, rhs);
  return b.createOrFold<arith::MinSIOp>(loc, lhs, rhs);
}

Value Scalars::select(Value condition, Value lhs, Value rhs) const {
  return b.createOrFold<arith::SelectOp>(loc, condition, lhs, rhs);
}

Value Scalars::cmp(arith::CmpFPredicate predicate, Value lhs, Value rhs) const {
  return arith::CmpFOp::create(b, loc, predicate, lhs, rhs);
}

Value Scalars::cmp(arith::CmpIPredicate predicate, Value lhs, Value rhs) const {
  return b.createOrFold<arith::CmpIOp>(loc, predicate, lhs, rhs);
}

Value Scalars::andI(Value lhs, Value rhs) const {
  return b.createOrFold<arith::AndIOp>(loc, lhs, rhs);
}

Value Scalars::orI(Value lhs, Value rhs) const {
  return b.createOrFold<arith::OrIOp>(loc, lhs, rhs);
}

Value Scalars::notI(Value value) const {
  return arith::XOrIOp::create(
      b, loc, value,
      constant(value.getType(), APInt::getAllOnes(value.getType().getIntOrFloatBitWidth())));
}

Value Scalars::floorDiv(Value value, Value divisor) const {
  Value quotient = b.createOrFold<arith::DivSIOp>(loc, value, divisor);
  Value rest = b.createOrFold<arith::RemSIOp>(loc, value, divisor);
  Value zero = constant(value.getType(), 0), one = constant(value.getType(), 1);
  Value below = cmp(arith::CmpIPredicate::slt, rest, zero);
  return select(below, sub(quotient, one), quotient);
}

Value Scalars::load(Value stored, Type element) const {
  if (element.isInteger(1))
    return cmp(arith::CmpIPredicate::ne, stored, constant(stored.getType(), 0));
  if (auto type = dyn_cast<FloatType>(element); type && type.getWidth() <= 8)
    return decodeFloat(*this, stored, type);
  if (Type compute = getComputeType(element); compute != stored.getType())
    return arith::ExtFOp::create(b, loc, compute, stored);
  return stored;
}

Value Scalars::store(Value computed, Type element) const {
  Type storage = getStorageType(element);
  if (computed.getType() == storage)
    return computed;
  if (element.isInteger(1))
    return arith::ExtUIOp::create(b, loc, storage, computed);
  if (auto type = dyn_cast<FloatType>(element); type && type.getWidth() <= 8)
    return encodeFloat(*this, computed, type, /*saturate=*/true);
  return arith::TruncFOp::create(b, loc, storage, computed);
}

// Float to integer: truncates towards zero, saturates, NaN becomes 0.
static Value saturatingToInteger(const Scalars &s, Value x, IntegerType to, bool isUnsigned) {
  unsigned width = to.getWidth();
  auto floatType = cast<FloatType>(x.getType());
  Type result = getComputeType(to);
  // 2^(width - 1) and 2^width are exact in every float type computed with.
  APFloat bound(floatType.getFloatSemantics(), 1);
  bound = scalbn(bound, isUnsigned ? width : width - 1, APFloat::rmNearestTiesToEven);
  APFloat low = bound;
  low.changeSign();
  auto constant = [&](const APFloat &value) -> Value {
    return arith::ConstantOp::create(s.b, s.loc, s.b.getFloatAttr(floatType, value));
  };
  // For unsigned types, what truncates to 0 is in range.
  Value lowest = isUnsigned ? s.constant(floatType, -1.0) : constant(low);
  Value above = s.cmp(arith::CmpFPredicate::OGE, x, constant(bound));
  Value below = isUnsigned ? s.cmp(arith::CmpFPredicate::OLE, x, lowest)
                           : s.cmp(arith::CmpFPredicate::OLT, x, lowest);
  Value outside = s.orI(s.orI(above, below), s.cmp(arith::CmpFPredicate::UNO, x, x));
  Value safe = s.select(outside, s.constant(floatType, 0.0), x);
  Value integer;
  if (isUnsigned)
    integer = arith::FPToUIOp::create(s.b, s.loc, result, safe);
  else
    integer = arith::FPToSIOp::create(s.b, s.loc, result, safe);
  APInt maximum = isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  APInt minimum = isUnsigned ? APInt::getZero(width) : APInt::getSignedMinValue(width);
  integer = s.select(above, s.constant(result, maximum), integer);
  return s.select(below, s.constant(result, minimum), integer);
}

Value Scalars::convert(Value computed, Type from, Type to) const {
  if (from == to)
    return computed;
  Type target = getComputeType(to), source = computed.getType();
  bool fromUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  if (isa<FloatType>(source)) {
    if (to.isInteger(1))
      return cmp(arith::CmpFPredicate::UNE, computed, constant(source, 0));
    // Of integers narrower than a byte the higher bits are discarded.
    if (isa<IntegerType>(target) && sharesBytes(to)) {
      Type wide = b.getI32Type();
      return convert(convert(computed, from, wide), wide, to);
    }
    if (isa<IntegerType>(target))
      return saturatingToInteger(*this, computed, cast<IntegerType>(to), to.isUnsignedInteger());
    if (target == source)
      return computed;
    // Half precision results from f64 are rounded once: here, not again by store().
    if (target.getIntOrFloatBitWidth() > source.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, loc, target, computed);
    return arith::TruncFOp::create(b, loc, target, computed);
  }
  if (isa<FloatType>(target)) {
    if (fromUnsigned)
      return arith::UIToFPOp::create(b, loc, target, computed);
    return arith::SIToFPOp::create(b, loc, target, computed);
  }
  if (to.isInteger(1))
    return cmp(arith::CmpIPredicate::ne, computed, constant(source, 0));
  unsigned sourceWidth = source.getIntOrFloatBitWidth();
  unsigned targetWidth = target.getIntOrFloatBitWidth();
  if (sharesBytes(to)) {
    if (sourceWidth > targetWidth)
      computed = arith::TruncIOp::create(b, loc, target, computed);
    else if (sourceWidth < targetWidth)
      computed = arith::ExtUIOp::create(b, loc, target, computed);
    return extendNarrow(*this, computed, to);
  }
  if (sourceWidth == targetWidth)
    return computed;
  if (sourceWidth > targetWidth)
    return arith::TruncIOp::create(b, loc, target, computed);
  if (fromUnsigned)
    return arith::ExtUIOp::create(b, loc, target, computed);
  return arith::ExtSIOp::create(b, loc, target, computed);
}

Value Scalars::toIndex(Value integer, Type element) const {
  if (element.isUnsignedInteger() || element.isInteger(1))
    return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), integer);
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
}

Value Scalars::fromIndex(Value index, Type element) const {
  Type compute = getComputeType(element);
  if (isa<IntegerType>(compute))
    return arith::IndexCastOp::create(b, loc, compute, index);
  Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  return arith::SIToFPOp::create(b, loc, compute, wide);
}

Value Scalars::extract(Value tensor, ValueRange indices) const {
  return tensor::ExtractOp::create(b, loc, tensor, indices);
}

void Scalars::check(Value condition, int32_t code, StringRef message, ValueRange args) const {
  rt::CheckOp::create(b, loc, condition, b.getI32IntegerAttr(code), b.getStringAttr(message), args);
}
