// Shape arithmetic: elementwise operations on the elements of small tensors.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/ShapeElements.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

AffineExpr lathe::graph::checkRange(AffineExpr expr, unsigned width) {
  std::optional<int64_t> known = getConstant(expr);
  return known && width < 64 && width > 1 && !llvm::isIntN(width, *known) ? AffineExpr() : expr;
}

/// Whether lhs < rhs, where the bounds tell.
static std::optional<bool> isLess(AffineExpr lhs, AffineExpr rhs) {
  if (getLowerBound(subtractExprs(rhs, lhs)).value_or(0) > 0)
    return true;
  if (getLowerBound(subtractExprs(lhs, rhs)).value_or(-1) >= 0)
    return false;
  return std::nullopt;
}

static AffineExpr divide(AffineExpr lhs, AffineExpr rhs) {
  std::optional<int64_t> l = getConstant(lhs), r = getConstant(rhs);
  if (r == 0)
    return {};
  if (l && r)
    return *l == INT64_MIN && *r == -1 ? AffineExpr()
                                       : getAffineConstantExpr(*l / *r, lhs.getContext());
  // Truncation is floor for operands that are not negative.
  return getLowerBound(lhs).value_or(-1) >= 0 ? floorDivideExprs(lhs, rhs) : AffineExpr();
}

AffineExpr lathe::graph::computeElement(BinaryKind kind, AffineExpr lhs, AffineExpr rhs,
                                        unsigned width) {
  if (!lhs || !rhs)
    return {};
  MLIRContext *context = lhs.getContext();
  auto constant = [&](int64_t value) { return getAffineConstantExpr(value, context); };
  auto truth = [&](std::optional<bool> value, bool negate = false) {
    return value ? constant(*value != negate) : AffineExpr();
  };
  std::optional<int64_t> l = getConstant(lhs), r = getConstant(rhs);
  switch (kind) {
  case BinaryKind::add:
    return checkRange(addExprs(lhs, rhs), width);
  case BinaryKind::sub:
    return checkRange(subtractExprs(lhs, rhs), width);
  case BinaryKind::mul:
    return checkRange(multiplyExprs(lhs, rhs), width);
  case BinaryKind::div:
    return checkRange(divide(lhs, rhs), width);
  case BinaryKind::mod:
  case BinaryKind::fmod:
    if (!r || *r <= 0 || (kind == BinaryKind::fmod && getLowerBound(lhs).value_or(-1) < 0))
      return {};
    return subtractExprs(lhs, multiplyExprs(floorDivideExprs(lhs, rhs), rhs));
  case BinaryKind::min:
  case BinaryKind::max: {
    std::optional<bool> less = lhs == rhs ? std::optional(true) : isLess(lhs, rhs);
    // lhs >= rhs is what a refuted "less" says, which serves min and max as well.
    return less ? (*less == (kind == BinaryKind::min) ? lhs : rhs) : AffineExpr();
  }
  case BinaryKind::pow: {
    if (!r || *r < 0 || *r > 8)
      return {};
    AffineExpr result = constant(1);
    for (int64_t i = 0; i < *r; ++i)
      result = multiplyExprs(result, lhs);
    return checkRange(result, width);
  }
  case BinaryKind::equal: {
    if (lhs == rhs)
      return constant(1);
    bool differ = isLess(lhs, rhs).value_or(false) || isLess(rhs, lhs).value_or(false);
    return differ ? constant(0) : AffineExpr();
  }
  case BinaryKind::less:
    return truth(isLess(lhs, rhs));
  case BinaryKind::greater_equal:
    return truth(isLess(lhs, rhs), true);
  case BinaryKind::greater:
    return truth(isLess(rhs, lhs));
  case BinaryKind::less_equal:
    return truth(isLess(rhs, lhs), true);
  case BinaryKind::logical_and:
  case BinaryKind::bitwise_and:
    return l && r ? constant(*l & *r) : AffineExpr();
  case BinaryKind::logical_or:
  case BinaryKind::bitwise_or:
    return l && r ? constant(*l | *r) : AffineExpr();
  case BinaryKind::logical_xor:
  case BinaryKind::bitwise_xor:
    return l && r ? constant(*l ^ *r) : AffineExpr();
  default:
    return {};
  }
}

AffineExpr lathe::graph::computeElement(UnaryKind kind, AffineExpr input, unsigned width) {
  if (!input)
    return {};
  MLIRContext *context = input.getContext();
  std::optional<int64_t> bound = getLowerBound(input), known = getConstant(input);
  AffineExpr zero = getAffineConstantExpr(0, context);
  switch (kind) {
  case UnaryKind::neg:
    return checkRange(subtractExprs(zero, input), width);
  case UnaryKind::abs:
    if (bound && *bound >= 0)
      return input;
    return known && *known < 0 ? checkRange(subtractExprs(zero, input), width) : AffineExpr();
  case UnaryKind::relu:
    if (bound && *bound >= 0)
      return input;
    return known ? zero : AffineExpr();
  case UnaryKind::sign:
    if (bound && *bound >= 1)
      return getAffineConstantExpr(1, context);
    return known ? getAffineConstantExpr(*known < 0 ? -1 : *known > 0, context) : AffineExpr();
  case UnaryKind::logical_not:
    return known ? getAffineConstantExpr(*known == 0, context) : AffineExpr();
  default:
    return {};
  }
}

/// The real as numerator / denominator, for constants with a short binary fraction.
static std::optional<Real> toFraction(const Real &real, MLIRContext *context) {
  if (!real.constant)
    return real.numerator ? std::optional(real) : std::nullopt;
  double value = *real.constant;
  int64_t denominator = 1;
  while (value != std::floor(value) && denominator < (1 << 16)) {
    value *= 2;
    denominator *= 2;
  }
  if (!(std::abs(value) < 0x1p48) || value != std::floor(value))
    return std::nullopt;
  Real fraction;
  fraction.numerator = getAffineConstantExpr(int64_t(value), context);
  fraction.denominator = denominator;
  return fraction;
}

/// Cancels the denominator where the numerator divides, and turns constants back to doubles.
static std::optional<Real> simplify(AffineExpr numerator, int64_t denominator, bool single) {
  if (!numerator || denominator <= 0)
    return std::nullopt;
  Real real;
  if (std::optional<int64_t> known = getConstant(numerator)) {
    double value = double(*known) / double(denominator);
    real.constant = single ? double(float(value)) : value;
    return real;
  }
  real.numerator = numerator;
  real.denominator = denominator;
  MLIRContext *context = numerator.getContext();
  if (AffineExpr exact = divideExactly(numerator, getAffineConstantExpr(denominator, context))) {
    real.numerator = exact;
    real.denominator = 1;
  }
  return real;
}

static std::optional<Real> fromDouble(double value, bool single) {
  Real real;
  real.constant = single ? double(float(value)) : value;
  return real;
}

static std::optional<Real> computeConstant(BinaryKind kind, double lhs, double rhs, bool single) {
  // One double operation rounded to f32 is the correctly rounded f32 operation for these.
  switch (kind) {
  case BinaryKind::add:
    return fromDouble(lhs + rhs, single);
  case BinaryKind::sub:
    return fromDouble(lhs - rhs, single);
  case BinaryKind::mul:
    return fromDouble(lhs * rhs, single);
  case BinaryKind::div:
    return fromDouble(lhs / rhs, single);
  default:
    return std::nullopt;
  }
}

std::optional<Real> lathe::graph::computeElement(BinaryKind kind, Real lhs, Real rhs, bool single) {
  if (lhs.constant && rhs.constant)
    return computeConstant(kind, *lhs.constant, *rhs.constant, single);
  AffineExpr any = lhs.numerator ? lhs.numerator : rhs.numerator;
  if (!any)
    return std::nullopt;
  MLIRContext *context = any.getContext();
  std::optional<Real> l = toFraction(lhs, context), r = toFraction(rhs, context);
  if (!l || !r)
    return std::nullopt;
  auto scale = [&](AffineExpr expr, int64_t factor) {
    return multiplyExprs(expr, getAffineConstantExpr(factor, context));
  };
  int64_t denominator;
  if (kind != BinaryKind::div && llvm::MulOverflow(l->denominator, r->denominator, denominator))
    return std::nullopt;
  AffineExpr left = scale(l->numerator, r->denominator),
             right = scale(r->numerator, l->denominator);
  switch (kind) {
  case BinaryKind::add:
    return simplify(addExprs(left, right), denominator, single);
  case BinaryKind::sub:
    return simplify(subtractExprs(left, right), denominator, single);
  case BinaryKind::mul:
    return simplify(multiplyExprs(l->numerator, r->numerator), denominator, single);
  case BinaryKind::div:
    if (AffineExpr exact = divideExactly(left, right))
      return simplify(exact, 1, single);
    if (std::optional<int64_t> divisor = getConstant(right); divisor && *divisor > 0)
      return simplify(left, *divisor, single);
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

std::optional<Real> lathe::graph::computeElement(UnaryKind kind, Real input, bool single) {
  if (input.constant) {
    double value = *input.constant;
    switch (kind) {
    case UnaryKind::floor:
      return fromDouble(std::floor(value), single);
    case UnaryKind::ceil:
      return fromDouble(std::ceil(value), single);
    case UnaryKind::round:
      return fromDouble(std::nearbyint(value), single);
    case UnaryKind::neg:
      return fromDouble(-value, single);
    case UnaryKind::abs:
      return fromDouble(std::abs(value), single);
    case UnaryKind::sqrt:
      return fromDouble(std::sqrt(value), single);
    case UnaryKind::reciprocal:
      return fromDouble(1.0 / value, single);
    default:
      return std::nullopt;
    }
  }
  if (!input.numerator)
    return std::nullopt;
  MLIRContext *context = input.numerator.getContext();
  AffineExpr denominator = getAffineConstantExpr(input.denominator, context);
  switch (kind) {
  case UnaryKind::floor:
    return simplify(floorDivideExprs(input.numerator, denominator), 1, single);
  case UnaryKind::ceil:
    return simplify(floorDivideExprs(addExprs(input.numerator, getAffineConstantExpr(
                                                                   input.denominator - 1, context)),
                                     denominator),
                    1, single);
  case UnaryKind::round:
    return input.denominator == 1 ? std::optional(input) : std::nullopt;
  case UnaryKind::neg:
    return simplify(subtractExprs(getAffineConstantExpr(0, context), input.numerator),
                    input.denominator, single);
  default:
    return std::nullopt;
  }
}

Real lathe::graph::toReal(AffineExpr integer, bool single) {
  Real real;
  if (std::optional<int64_t> known = getConstant(integer))
    real.constant = single ? double(float(*known)) : double(*known);
  else
    real.numerator = integer;
  return real;
}

AffineExpr lathe::graph::truncate(const Real &real, MLIRContext *context) {
  if (real.constant) {
    double value = std::trunc(*real.constant);
    return std::abs(value) < 0x1p62 ? getAffineConstantExpr(int64_t(value), context) : AffineExpr();
  }
  if (!real.numerator || real.denominator == 1)
    return real.numerator;
  return getLowerBound(real.numerator).value_or(-1) >= 0
             ? floorDivideExprs(real.numerator, getAffineConstantExpr(real.denominator, context))
             : AffineExpr();
}

AffineExpr lathe::graph::floorOfProduct(AffineExpr integer, const Real &factor) {
  if (!integer)
    return {};
  std::optional<int64_t> known = getConstant(integer);
  if (known && factor.constant) {
    // Sizes are computed in f32, as ONNX Runtime does: 160 * 0.7f is 112, not 111.99999.
    float product = float(*known) * float(*factor.constant);
    return std::abs(product) < 0x1p62f
               ? getAffineConstantExpr(int64_t(std::floor(product)), integer.getContext())
               : AffineExpr();
  }
  std::optional<Real> product =
      computeElement(BinaryKind::mul, toReal(integer, true), factor, true);
  if (!product)
    return {};
  product = computeElement(UnaryKind::floor, *product, true);
  return product ? truncate(*product, integer.getContext()) : AffineExpr();
}
