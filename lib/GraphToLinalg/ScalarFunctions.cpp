// The functions of graph.unary and graph.binary on scalars.
// Apache-2.0 WITH LLVM-exception
#include "lathe/ArtifactFormat.h"
#include "lib/GraphToLinalg/Scalars.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::BinaryKind;
using graph::UnaryKind;

// ---- Unary -------------------------------------------------------------------------------------

template <typename Op> static Value math1(const Scalars &s, Value x) {
  return Op::create(s.b, s.loc, x);
}

static Value sigmoid(const Scalars &s, Value x) {
  Value one = s.constant(x.getType(), 1);
  return s.divf(one, s.add(one, math1<math::ExpOp>(s, s.neg(x))));
}

// max(x, 0) + log1p(exp(-|x|)) overflows nowhere.
static Value softplus(const Scalars &s, Value x) {
  Value tail = math1<math::Log1pOp>(s, math1<math::ExpOp>(s, s.neg(math1<math::AbsFOp>(s, x))));
  return s.add(s.max(x, s.constant(x.getType(), 0)), tail);
}

static Value gelu(const Scalars &s, Value x) {
  Type type = x.getType();
  Value erf = math1<math::ErfOp>(s, s.mul(x, s.constant(type, 0.70710678118654752440)));
  return s.mul(s.mul(s.constant(type, 0.5), x), s.add(s.constant(type, 1), erf));
}

static Value geluTanh(const Scalars &s, Value x) {
  Type type = x.getType();
  Value cube = s.mul(s.mul(x, x), x);
  Value inner = s.mul(s.constant(type, 0.79788456080286535588),
                      s.add(x, s.mul(s.constant(type, 0.044715), cube)));
  return s.mul(s.mul(s.constant(type, 0.5), x),
               s.add(s.constant(type, 1), math1<math::TanhOp>(s, inner)));
}

static Value signFloat(const Scalars &s, Value x) {
  Type type = x.getType();
  Value zero = s.constant(type, 0);
  Value result = s.select(s.cmp(arith::CmpFPredicate::OEQ, x, zero), zero, x); // NaN stays
  result = s.select(s.cmp(arith::CmpFPredicate::OLT, x, zero), s.constant(type, -1), result);
  return s.select(s.cmp(arith::CmpFPredicate::OGT, x, zero), s.constant(type, 1), result);
}

static Value reciprocal(const Scalars &s, Value x) { return s.divf(s.constant(x.getType(), 1), x); }
static Value relu(const Scalars &s, Value x) { return s.max(x, s.constant(x.getType(), 0)); }
static Value isNaN(const Scalars &s, Value x) { return s.cmp(arith::CmpFPredicate::UNO, x, x); }
static Value negate(const Scalars &s, Value x) { return s.neg(x); }

static Value signInteger(const Scalars &s, Value x) {
  Value one = s.constant(x.getType(), 1);
  return s.min(s.max(x, s.neg(one)), one);
}
static Value signUnsigned(const Scalars &s, Value x) {
  return s.min(x, s.constant(x.getType(), 1), /*isUnsigned=*/true);
}
static Value identity(const Scalars &, Value x) { return x; }
static Value bitwiseNot(const Scalars &s, Value x) { return s.notI(x); }

using UnaryFunction = Value (*)(const Scalars &, Value);

namespace {
struct UnaryEntry {
  UnaryKind kind;
  UnaryFunction onFloat, onSigned, onUnsigned, onBool;
};
} // namespace

static constexpr UnaryEntry unaryTable[] = {
    {UnaryKind::abs, math1<math::AbsFOp>, math1<math::AbsIOp>, identity, nullptr},
    {UnaryKind::neg, negate, negate, negate, nullptr},
    {UnaryKind::sign, signFloat, signInteger, signUnsigned, nullptr},
    {UnaryKind::ceil, math1<math::CeilOp>, nullptr, nullptr, nullptr},
    {UnaryKind::floor, math1<math::FloorOp>, nullptr, nullptr, nullptr},
    {UnaryKind::round, math1<math::RoundEvenOp>, nullptr, nullptr, nullptr},
    {UnaryKind::sqrt, math1<math::SqrtOp>, nullptr, nullptr, nullptr},
    {UnaryKind::reciprocal, reciprocal, nullptr, nullptr, nullptr},
    {UnaryKind::exp, math1<math::ExpOp>, nullptr, nullptr, nullptr},
    {UnaryKind::log, math1<math::LogOp>, nullptr, nullptr, nullptr},
    {UnaryKind::sin, math1<math::SinOp>, nullptr, nullptr, nullptr},
    {UnaryKind::cos, math1<math::CosOp>, nullptr, nullptr, nullptr},
    {UnaryKind::tan, math1<math::TanOp>, nullptr, nullptr, nullptr},
    {UnaryKind::asin, math1<math::AsinOp>, nullptr, nullptr, nullptr},
    {UnaryKind::acos, math1<math::AcosOp>, nullptr, nullptr, nullptr},
    {UnaryKind::atan, math1<math::AtanOp>, nullptr, nullptr, nullptr},
    {UnaryKind::sinh, math1<math::SinhOp>, nullptr, nullptr, nullptr},
    {UnaryKind::cosh, math1<math::CoshOp>, nullptr, nullptr, nullptr},
    {UnaryKind::tanh, math1<math::TanhOp>, nullptr, nullptr, nullptr},
    {UnaryKind::asinh, math1<math::AsinhOp>, nullptr, nullptr, nullptr},
    {UnaryKind::acosh, math1<math::AcoshOp>, nullptr, nullptr, nullptr},
    {UnaryKind::atanh, math1<math::AtanhOp>, nullptr, nullptr, nullptr},
    {UnaryKind::erf, math1<math::ErfOp>, nullptr, nullptr, nullptr},
    {UnaryKind::sigmoid, sigmoid, nullptr, nullptr, nullptr},
    {UnaryKind::relu, relu, relu, identity, nullptr},
    {UnaryKind::softplus, softplus, nullptr, nullptr, nullptr},
    {UnaryKind::logical_not, nullptr, nullptr, nullptr, bitwiseNot},
    {UnaryKind::bitwise_not, nullptr, bitwiseNot, bitwiseNot, nullptr},
    {UnaryKind::is_nan, isNaN, nullptr, nullptr, nullptr},
    {UnaryKind::gelu, gelu, nullptr, nullptr, nullptr},
    {UnaryKind::gelu_tanh, geluTanh, nullptr, nullptr, nullptr},
};

// Functions of integers are computed in double and converted back, which ONNX allows for erf alone.
Value lathe::g2l::emitUnary(const Scalars &s, UnaryKind kind, Value x, Type element) {
  for (const UnaryEntry &entry : unaryTable) {
    if (entry.kind != kind)
      continue;
    if (element.isInteger(1))
      return entry.onBool ? entry.onBool(s, x) : nullptr;
    if (isa<FloatType>(element))
      return entry.onFloat ? entry.onFloat(s, x) : nullptr;
    if (auto function = element.isUnsignedInteger() ? entry.onUnsigned : entry.onSigned)
      return function(s, x);
    if (kind != UnaryKind::erf)
      return nullptr;
    Type wide = Float64Type::get(element.getContext());
    return s.convert(entry.onFloat(s, s.convert(x, element, wide)), wide, element);
  }
  return nullptr;
}

// ---- Binary ------------------------------------------------------------------------------------

static std::optional<double> getNumber(Attribute constant) {
  if (auto value = dyn_cast_or_null<FloatAttr>(constant))
    return value.getValueAsDouble();
  return std::nullopt;
}

static Value powFloat(const Scalars &s, Value x, Value y, Attribute constant) {
  Type type = x.getType();
  std::optional<double> exponent = getNumber(constant);
  if (exponent == 1.0)
    return x;
  if (exponent == 2.0)
    return s.mul(x, x);
  if (exponent == 3.0)
    return s.mul(s.mul(x, x), x);
  if (exponent == -1.0)
    return reciprocal(s, x);
  if (exponent == 0.5) {
    // pow(-inf, 0.5) is inf and pow(-0, 0.5) is 0, where sqrt gives NaN and -0.
    double inf = std::numeric_limits<double>::infinity();
    Value root = math1<math::SqrtOp>(s, s.add(x, s.constant(type, 0)));
    return s.select(s.cmp(arith::CmpFPredicate::OEQ, x, s.constant(type, -inf)),
                    s.constant(type, inf), root);
  }
  return math::PowFOp::create(s.b, s.loc, x, y);
}

// Operands may differ in type. Integers go through double: what ONNX Runtime computes.
static Value pow(const Scalars &s, Value x, Value y, Type xType, Type yType, Attribute constant) {
  if (isa<FloatType>(xType)) {
    Type compute = x.getType();
    if (auto integer = dyn_cast_or_null<IntegerAttr>(constant))
      constant = s.b.getF64FloatAttr(integer.getValue().signedRoundToDouble());
    return powFloat(s, x, s.convert(y, yType, compute), constant);
  }
  Type wide = Float64Type::get(xType.getContext());
  Value result =
      math::PowFOp::create(s.b, s.loc, s.convert(x, xType, wide), s.convert(y, yType, wide));
  return s.convert(result, wide, xType);
}

// Reports division by zero and INT_MIN / -1 (whose remainder is 0), and makes the divisor safe. A
// constant divisor needs no check.
static Value guardDivisor(const Scalars &s, Value x, Value y, bool isUnsigned, Attribute constant,
                          bool isRemainder) {
  if (auto known = dyn_cast_or_null<IntegerAttr>(constant))
    if (!known.getValue().isZero() && (isUnsigned || !known.getValue().isAllOnes()))
      return y;
  Type type = x.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  Value bad = s.cmp(arith::CmpIPredicate::eq, y, s.constant(type, 0)), unsafe = bad;
  if (!isUnsigned) {
    Value lowest = s.constant(type, APInt::getSignedMinValue(width));
    Value minusOne = s.constant(type, APInt::getAllOnes(width));
    unsafe = s.orI(bad, s.andI(s.cmp(arith::CmpIPredicate::eq, x, lowest),
                               s.cmp(arith::CmpIPredicate::eq, y, minusOne)));
    if (!isRemainder)
      bad = unsafe;
  }
  s.check(s.notI(bad), LATHE_CODE_DIVISION, "integer division of %0 by %1 has no result", {x, y});
  return s.select(unsafe, s.constant(type, 1), y);
}

static Value divide(const Scalars &s, Value x, Value y, bool isUnsigned, Attribute constant) {
  if (isa<FloatType>(x.getType()))
    return s.divf(x, y);
  y = guardDivisor(s, x, y, isUnsigned, constant, /*isRemainder=*/false);
  if (isUnsigned)
    return arith::DivUIOp::create(s.b, s.loc, x, y);
  return arith::DivSIOp::create(s.b, s.loc, x, y);
}

static Value fmod(const Scalars &s, Value x, Value y, bool isUnsigned, Attribute constant) {
  if (isa<FloatType>(x.getType()))
    return arith::RemFOp::create(s.b, s.loc, x, y);
  y = guardDivisor(s, x, y, isUnsigned, constant, /*isRemainder=*/true);
  if (isUnsigned)
    return arith::RemUIOp::create(s.b, s.loc, x, y);
  return arith::RemSIOp::create(s.b, s.loc, x, y);
}

// The remainder with the sign of the divisor, which a zero has as well.
static Value mod(const Scalars &s, Value x, Value y, bool isUnsigned, Attribute constant) {
  Value rest = fmod(s, x, y, isUnsigned, constant);
  if (isUnsigned)
    return rest;
  bool isFloat = isa<FloatType>(x.getType());
  Value zero = s.constant(x.getType(), 0);
  auto negative = [&](Value v) {
    return isFloat ? s.cmp(arith::CmpFPredicate::OLT, v, zero)
                   : s.cmp(arith::CmpIPredicate::slt, v, zero);
  };
  Value isZero = isFloat ? s.cmp(arith::CmpFPredicate::OEQ, rest, zero)
                         : s.cmp(arith::CmpIPredicate::eq, rest, zero);
  Value differ = s.cmp(arith::CmpIPredicate::ne, negative(rest), negative(y));
  Value none = isFloat ? math::CopySignOp::create(s.b, s.loc, zero, y).getResult() : zero;
  return s.select(isZero, none, s.select(differ, s.add(rest, y), rest));
}

// Shifts by the width or more give 0, to the right copies of the sign.
template <typename Op> static Value shift(const Scalars &s, Value x, Value y) {
  Type type = x.getType();
  Value tooFar =
      s.cmp(arith::CmpIPredicate::uge, y, s.constant(type, double(type.getIntOrFloatBitWidth())));
  if (std::is_same_v<Op, arith::ShRSIOp>) { // copies of the sign remain
    Value most = s.constant(type, type.getIntOrFloatBitWidth() - 1);
    return Op::create(s.b, s.loc, x, s.select(tooFar, most, y));
  }
  Value zero = s.constant(type, 0);
  Value amount = s.select(tooFar, zero, y);
  return s.select(tooFar, zero, Op::create(s.b, s.loc, x, amount));
}

static Value compare(const Scalars &s, BinaryKind kind, Value x, Value y, bool isUnsigned) {
  struct Entry {
    BinaryKind kind;
    arith::CmpFPredicate onFloat;
    arith::CmpIPredicate onSigned, onUnsigned;
  };
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  static constexpr Entry table[] = {
      {BinaryKind::equal, F::OEQ, I::eq, I::eq},
      {BinaryKind::less, F::OLT, I::slt, I::ult},
      {BinaryKind::less_equal, F::OLE, I::sle, I::ule},
      {BinaryKind::greater, F::OGT, I::sgt, I::ugt},
      {BinaryKind::greater_equal, F::OGE, I::sge, I::uge},
  };
  for (const Entry &entry : table)
    if (entry.kind == kind)
      return isa<FloatType>(x.getType())
                 ? s.cmp(entry.onFloat, x, y)
                 : s.cmp(isUnsigned ? entry.onUnsigned : entry.onSigned, x, y);
  return nullptr;
}

Value lathe::g2l::emitBinary(const Scalars &s, BinaryKind kind, Value lhs, Value rhs,
                             Type lhsElement, Type rhsElement, Attribute rhsConstant) {
  bool isBool = lhsElement.isInteger(1);
  bool isInteger = isa<IntegerType>(lhsElement);
  bool isUnsigned = lhsElement.isUnsignedInteger() || isBool;
  if (kind == BinaryKind::pow)
    return isBool || rhsElement.isInteger(1)
               ? nullptr
               : pow(s, lhs, rhs, lhsElement, rhsElement, rhsConstant);
  if (lhsElement != rhsElement)
    return nullptr;
  if (Value compared = compare(s, kind, lhs, rhs, isUnsigned))
    return compared;
  switch (kind) {
  case BinaryKind::logical_and:
    return isBool ? s.andI(lhs, rhs) : nullptr;
  case BinaryKind::logical_or:
    return isBool ? s.orI(lhs, rhs) : nullptr;
  case BinaryKind::logical_xor:
    return isBool ? s.cmp(arith::CmpIPredicate::ne, lhs, rhs) : nullptr;
  case BinaryKind::min:
    return s.min(lhs, rhs, isUnsigned);
  case BinaryKind::max:
    return s.max(lhs, rhs, isUnsigned);
  default:
    break;
  }
  if (isBool)
    return nullptr;
  switch (kind) {
  case BinaryKind::add:
    return s.add(lhs, rhs);
  case BinaryKind::sub:
    return s.sub(lhs, rhs);
  case BinaryKind::mul:
    return s.mul(lhs, rhs);
  case BinaryKind::div:
    return divide(s, lhs, rhs, isUnsigned, rhsConstant);
  case BinaryKind::mod:
    return mod(s, lhs, rhs, isUnsigned, rhsConstant);
  case BinaryKind::fmod:
    return fmod(s, lhs, rhs, isUnsigned, rhsConstant);
  default:
    break;
  }
  if (!isInteger)
    return nullptr;
  switch (kind) {
  case BinaryKind::bitwise_and:
    return s.andI(lhs, rhs);
  case BinaryKind::bitwise_or:
    return s.orI(lhs, rhs);
  case BinaryKind::bitwise_xor:
    return arith::XOrIOp::create(s.b, s.loc, lhs, rhs);
  case BinaryKind::shift_left:
    return shift<arith::ShLIOp>(s, lhs, rhs);
  case BinaryKind::shift_right:
    return isUnsigned ? shift<arith::ShRUIOp>(s, lhs, rhs) : shift<arith::ShRSIOp>(s, lhs, rhs);
  default:
    return nullptr;
  }
}
