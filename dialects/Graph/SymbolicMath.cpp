// Exact arithmetic on sizes.
//
// An expression is parsed to a polynomial, the operation is done on that, and the result is emitted
// as an expression again, always in the same order. The factors of a monomial are symbols and
// floor divisions; x mod d is x - d * (x floordiv d). Both sizes are small and bounded, so each
// operation takes constant time whatever a model contains.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicMath.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe::graph;

namespace {

constexpr unsigned maxTerms = 12;
constexpr unsigned maxFactors = 8;
constexpr unsigned maxNodes = 64;

struct Term {
  SmallVector<AffineExpr, 4> factors; // sorted by compare
  int64_t coefficient = 0;
};

using Polynomial = SmallVector<Term, 4>; // sorted by factors, no zero coefficients

} // namespace

/// A total order that does not depend on addresses, so that output is reproducible.
static int compare(AffineExpr lhs, AffineExpr rhs) {
  if (lhs == rhs)
    return 0;
  if (lhs.getKind() != rhs.getKind())
    return lhs.getKind() < rhs.getKind() ? -1 : 1;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(lhs))
    return symbol.getPosition() < cast<AffineSymbolExpr>(rhs).getPosition() ? -1 : 1;
  if (auto dim = dyn_cast<AffineDimExpr>(lhs))
    return dim.getPosition() < cast<AffineDimExpr>(rhs).getPosition() ? -1 : 1;
  if (auto constant = dyn_cast<AffineConstantExpr>(lhs))
    return constant.getValue() < cast<AffineConstantExpr>(rhs).getValue() ? -1 : 1;
  auto lhsBinary = cast<AffineBinaryOpExpr>(lhs), rhsBinary = cast<AffineBinaryOpExpr>(rhs);
  int order = compare(lhsBinary.getLHS(), rhsBinary.getLHS());
  return order ? order : compare(lhsBinary.getRHS(), rhsBinary.getRHS());
}

static int compare(const Term &lhs, const Term &rhs) {
  // Higher degrees first, the constant last.
  if (lhs.factors.size() != rhs.factors.size())
    return lhs.factors.size() > rhs.factors.size() ? -1 : 1;
  for (auto [l, r] : llvm::zip(lhs.factors, rhs.factors))
    if (int order = compare(l, r))
      return order;
  return 0;
}

static bool exceedsNodes(AffineExpr expr, unsigned &budget) {
  if (budget-- == 0)
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  return binary && (exceedsNodes(binary.getLHS(), budget) || exceedsNodes(binary.getRHS(), budget));
}

static std::optional<Polynomial> addScaled(const Polynomial &lhs, const Polynomial &rhs,
                                           int64_t scale) {
  Polynomial sum;
  const Term *l = lhs.begin(), *r = rhs.begin();
  while (l != lhs.end() || r != rhs.end()) {
    int order = l == lhs.end() ? 1 : r == rhs.end() ? -1 : compare(*l, *r);
    Term term = order <= 0 ? *l : *r;
    if (order >= 0) {
      int64_t scaled;
      if (llvm::MulOverflow(r->coefficient, scale, scaled) ||
          llvm::AddOverflow(order == 0 ? l->coefficient : int64_t(0), scaled, term.coefficient))
        return std::nullopt;
    }
    l += order <= 0;
    r += order >= 0;
    if (term.coefficient)
      sum.push_back(std::move(term));
  }
  if (sum.size() > maxTerms)
    return std::nullopt;
  return sum;
}

static std::optional<Polynomial> multiply(const Polynomial &lhs, const Polynomial &rhs) {
  Polynomial product;
  for (const Term &l : lhs) {
    Polynomial row;
    for (const Term &r : rhs) {
      Term term;
      if (llvm::MulOverflow(l.coefficient, r.coefficient, term.coefficient) ||
          l.factors.size() + r.factors.size() > maxFactors)
        return std::nullopt;
      term.factors = l.factors;
      term.factors.append(r.factors.begin(), r.factors.end());
      llvm::sort(term.factors, [](AffineExpr a, AffineExpr b) { return compare(a, b) < 0; });
      row.push_back(std::move(term));
    }
    llvm::sort(row, [](const Term &a, const Term &b) { return compare(a, b) < 0; });
    std::optional<Polynomial> sum = addScaled(product, row, 1);
    if (!sum)
      return std::nullopt;
    product = std::move(*sum);
  }
  return product;
}

static Polynomial makeConstant(int64_t value) {
  Polynomial polynomial;
  if (value) {
    polynomial.emplace_back();
    polynomial.back().coefficient = value;
  }
  return polynomial;
}

static std::optional<Polynomial> parse(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return makeConstant(constant.getValue());
  auto atom = [](AffineExpr factor) {
    Polynomial polynomial(1);
    polynomial[0].factors.push_back(factor);
    polynomial[0].coefficient = 1;
    return polynomial;
  };
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || expr.getKind() == AffineExprKind::FloorDiv ||
      expr.getKind() == AffineExprKind::CeilDiv)
    return atom(expr);
  if (expr.getKind() == AffineExprKind::Mod) {
    AffineExpr quotient = floorDivideExprs(binary.getLHS(), binary.getRHS());
    AffineExpr result = subtractExprs(binary.getLHS(), multiplyExprs(quotient, binary.getRHS()));
    // A quotient that MLIR writes as this very mod again stays one factor.
    return result && result != expr ? parse(result) : atom(expr);
  }
  std::optional<Polynomial> lhs = parse(binary.getLHS()), rhs = parse(binary.getRHS());
  if (!lhs || !rhs)
    return std::nullopt;
  return expr.getKind() == AffineExprKind::Add ? addScaled(*lhs, *rhs, 1) : multiply(*lhs, *rhs);
}

static AffineExpr emit(const Polynomial &polynomial, MLIRContext *context) {
  AffineExpr sum = getAffineConstantExpr(0, context);
  for (const Term &term : polynomial) {
    AffineExpr product = getAffineConstantExpr(1, context);
    for (AffineExpr factor : term.factors)
      product = product * factor;
    sum = sum + product * term.coefficient;
  }
  unsigned budget = maxNodes;
  return exceedsNodes(sum, budget) ? AffineExpr() : sum;
}

static AffineExpr emit(const std::optional<Polynomial> &polynomial, MLIRContext *context) {
  return polynomial ? emit(*polynomial, context) : AffineExpr();
}

static AffineExpr
combine(AffineExpr lhs, AffineExpr rhs,
        llvm::function_ref<std::optional<Polynomial>(const Polynomial &, const Polynomial &)>
            operation) {
  if (!lhs || !rhs)
    return {};
  std::optional<Polynomial> left = parse(lhs), right = parse(rhs);
  if (!left || !right)
    return {};
  return emit(operation(*left, *right), lhs.getContext());
}

AffineExpr lathe::graph::addExprs(AffineExpr lhs, AffineExpr rhs) {
  return combine(lhs, rhs, [](auto &l, auto &r) { return addScaled(l, r, 1); });
}

AffineExpr lathe::graph::subtractExprs(AffineExpr lhs, AffineExpr rhs) {
  return combine(lhs, rhs, [](auto &l, auto &r) { return addScaled(l, r, -1); });
}

AffineExpr lathe::graph::multiplyExprs(AffineExpr lhs, AffineExpr rhs) {
  return combine(lhs, rhs, [](auto &l, auto &r) { return multiply(l, r); });
}

std::optional<int64_t> lathe::graph::getConstant(AffineExpr expr) {
  if (auto constant = dyn_cast_if_present<AffineConstantExpr>(expr))
    return constant.getValue();
  return std::nullopt;
}

AffineExpr lathe::graph::floorDivideExprs(AffineExpr lhs, AffineExpr rhs) {
  if (!lhs || !rhs)
    return {};
  MLIRContext *context = lhs.getContext();
  std::optional<int64_t> divisor = getConstant(rhs);
  if (!divisor) {
    if (AffineExpr exact = divideExactly(lhs, rhs))
      return exact;
    std::optional<int64_t> bound = getLowerBound(rhs);
    if (!bound || *bound < 1)
      return {};
    AffineExpr quotient = lhs.floorDiv(rhs);
    unsigned budget = maxNodes;
    return exceedsNodes(quotient, budget) ? AffineExpr() : quotient;
  }
  if (*divisor < 1)
    return {};
  if (std::optional<int64_t> dividend = getConstant(lhs))
    return getAffineConstantExpr(llvm::divideFloorSigned(*dividend, *divisor), context);
  // (d * a + r) floordiv d = a + (r floordiv d)
  std::optional<Polynomial> dividend = parse(lhs);
  if (!dividend)
    return {};
  Polynomial whole, rest;
  for (Term &term : *dividend) {
    if (term.coefficient % *divisor == 0) {
      whole.push_back(term);
      whole.back().coefficient /= *divisor;
    } else if (term.factors.empty()) {
      int64_t quotient = llvm::divideFloorSigned(term.coefficient, *divisor);
      if (quotient)
        whole.push_back({{}, quotient});
      rest.push_back({{}, term.coefficient - quotient * *divisor});
    } else {
      rest.push_back(term);
    }
  }
  if (rest.empty())
    return emit(whole, context);
  if (rest.size() == 1 && rest[0].factors.empty())
    return emit(whole, context); // 0 <= rest < divisor
  // ((x floordiv a) + c) floordiv d = (x + a * c) floordiv (a * d)
  int64_t constant = rest.back().factors.empty() ? rest.back().coefficient : 0;
  if (rest[0].factors.size() == 1 && rest[0].coefficient == 1 && rest.size() == 1 + (constant != 0))
    if (auto inner = dyn_cast<AffineBinaryOpExpr>(rest[0].factors[0]))
      if (std::optional<int64_t> a = getConstant(inner.getRHS());
          a && *a > 0 && inner.getKind() == AffineExprKind::FloorDiv) {
        int64_t product, shift;
        if (llvm::MulOverflow(*a, *divisor, product) || llvm::MulOverflow(*a, constant, shift))
          return {};
        AffineExpr quotient =
            floorDivideExprs(addExprs(inner.getLHS(), getAffineConstantExpr(shift, context)),
                             getAffineConstantExpr(product, context));
        return addExprs(quotient, emit(whole, context));
      }
  AffineExpr numerator = emit(rest, context);
  if (!numerator)
    return {};
  return addExprs(numerator.floorDiv(*divisor), emit(whole, context));
}

AffineExpr lathe::graph::divideExactly(AffineExpr lhs, AffineExpr rhs) {
  if (!lhs || !rhs)
    return {};
  MLIRContext *context = lhs.getContext();
  if (lhs == rhs && getConstant(rhs) != 0)
    return getAffineConstantExpr(1, context);
  std::optional<Polynomial> dividend = parse(lhs), divisor = parse(rhs);
  if (!dividend || !divisor || divisor->empty())
    return {};
  const Term &lead = divisor->front();
  Polynomial quotient;
  if (divisor->size() == 1) {
    for (const Term &term : *dividend) {
      // The factors of both are sorted, so one pass finds those to cancel.
      Term result;
      const AffineExpr *next = lead.factors.begin();
      for (AffineExpr factor : term.factors)
        if (next != lead.factors.end() && *next == factor)
          ++next;
        else
          result.factors.push_back(factor);
      if (next != lead.factors.end() || lead.coefficient == -1 ||
          term.coefficient % lead.coefficient != 0)
        return {};
      result.coefficient = term.coefficient / lead.coefficient;
      quotient.push_back(std::move(result));
    }
    return emit(quotient, context);
  }
  // lhs = q * rhs for one monomial q: found from the leading terms, then checked.
  if (dividend->size() != divisor->size())
    return {};
  Polynomial leading(1, dividend->front()), leadingDivisor(1, lead);
  AffineExpr factor = divideExactly(emit(leading, context), emit(leadingDivisor, context));
  AffineExpr product = multiplyExprs(factor, rhs);
  return product && product == emit(*dividend, context) ? factor : AffineExpr();
}

std::optional<int64_t> lathe::graph::getLowerBound(AffineExpr expr) {
  if (!expr)
    return std::nullopt;
  switch (expr.getKind()) {
  case AffineExprKind::Constant:
    return cast<AffineConstantExpr>(expr).getValue();
  case AffineExprKind::SymbolId:
  case AffineExprKind::Mod:
    return 0;
  case AffineExprKind::Add:
  case AffineExprKind::Mul:
  case AffineExprKind::FloorDiv: {
    auto binary = cast<AffineBinaryOpExpr>(expr);
    std::optional<int64_t> lhs = getLowerBound(binary.getLHS());
    std::optional<int64_t> rhs = getLowerBound(binary.getRHS());
    int64_t bound;
    if (!lhs || !rhs)
      return std::nullopt;
    if (expr.getKind() == AffineExprKind::Add)
      return llvm::AddOverflow(*lhs, *rhs, bound) ? std::nullopt : std::optional(bound);
    if (expr.getKind() == AffineExprKind::Mul) {
      if (*lhs < 0 || *rhs < 0 || llvm::MulOverflow(*lhs, *rhs, bound))
        return std::nullopt;
      return bound;
    }
    if (std::optional<int64_t> divisor = getConstant(binary.getRHS()); divisor && *divisor > 0)
      return llvm::divideFloorSigned(*lhs, *divisor);
    return *lhs >= 0 && *rhs > 0 ? std::optional<int64_t>(0) : std::nullopt;
  }
  default:
    return std::nullopt;
  }
}
