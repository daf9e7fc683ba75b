// Sizes as expressions of symbols, each computed once.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

AffineExpr Lowering::newSymbol(Value value, bool atEntry) {
  AffineExpr symbol = getAffineSymbolExpr(symbols.size(), context);
  symbols.push_back(value);
  symbolAtEntry.push_back(atEntry);
  exprs[value] = symbol;
  expanded[symbol] = value;
  return symbol;
}

// A place at the level of the function where what is made now is visible from here on.
OpBuilder Lowering::topLevel() {
  OpBuilder builder(context);
  Block *block = b.getInsertionBlock();
  if (block == body) {
    builder.restoreInsertionPoint(b.saveInsertionPoint());
    return builder;
  }
  Operation *ancestor = body->findAncestorOpInBlock(*block->getParentOp());
  builder.setInsertionPoint(ancestor);
  return builder;
}

bool Lowering::isEntry(AffineExpr expr) {
  bool entryOnly = true;
  expr.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      entryOnly &= symbolAtEntry[symbol.getPosition()];
  });
  return entryOnly;
}

bool Lowering::isNonNegative(AffineExpr expr) {
  if (!expr || graph::getLowerBound(expr).value_or(-1) < 0)
    return false;
  bool sizesOnly = true;
  expr.walk([&](AffineExpr part) { sizesOnly &= !dataSymbols.contains(part); });
  return sizesOnly;
}

Value Lowering::expand(AffineExpr expr, const Scalars &) {
  auto it = expanded.find(expr);
  if (it != expanded.end())
    return it->second;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return value(size(constant.getValue()));
  auto binary = cast<AffineBinaryOpExpr>(expr);
  OpBuilder builder = isEntry(expr) ? entryBuilder : topLevel();
  Scalars s{builder, loc};
  Value lhs = expand(binary.getLHS(), s), rhs = expand(binary.getRHS(), s);
  // What the operands needed was inserted before the same place.
  Value result;
  // Symbols may be 0 at run time.
  auto divisor = [&] {
    if (isNonNegative(binary.getRHS()) && *graph::getLowerBound(binary.getRHS()) > 0)
      return rhs;
    return s.max(rhs, value(size(1)));
  };
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    result = s.add(lhs, rhs);
    break;
  case AffineExprKind::Mul:
    result = s.mul(lhs, rhs);
    break;
  case AffineExprKind::FloorDiv:
    if (isNonNegative(binary.getLHS()))
      result = arith::DivSIOp::create(builder, loc, lhs, divisor());
    else
      result = s.floorDiv(lhs, divisor());
    break;
  case AffineExprKind::CeilDiv:
    result = s.neg(s.floorDiv(s.neg(lhs), divisor()));
    break;
  default: { // Mod
    Value d = divisor();
    result = s.sub(lhs, s.mul(s.floorDiv(lhs, d), d));
    break;
  }
  }
  expanded[expr] = result;
  exprs.try_emplace(result, expr);
  return result;
}

OpFoldResult Lowering::size(AffineExpr expr) {
  if (std::optional<int64_t> constant = graph::getConstant(expr))
    return size(*constant);
  return expand(expr, scalars());
}

AffineExpr Lowering::expr(OpFoldResult size) {
  if (std::optional<int64_t> constant = getConstantIntValue(size))
    return getAffineConstantExpr(*constant, context);
  Value value = cast<Value>(size);
  auto it = exprs.find(value);
  if (it != exprs.end())
    return it->second;
  // Nothing is known of a value that was computed elsewhere, not even its sign.
  AffineExpr symbol = newSymbol(value, /*atEntry=*/false);
  dataSymbols.insert(symbol);
  return symbol;
}

OpFoldResult Lowering::markSize(Value value) {
  dataSymbols.erase(expr(OpFoldResult(value)));
  return value;
}

Value Lowering::value(OpFoldResult size) {
  std::optional<int64_t> constant = getConstantIntValue(size);
  if (!constant)
    return cast<Value>(size);
  Value &made = indexConstants[*constant];
  if (!made)
    made = arith::ConstantIndexOp::create(entryBuilder, source.getLoc(), *constant);
  return made;
}

// Shape analysis has symbols of its own; each is a dimension of a value that is lowered by now, or
// not known yet.
std::optional<AffineExpr> Lowering::translate(AffineExpr expr) {
  if (isa<AffineConstantExpr>(expr))
    return expr;
  auto it = translated.find(expr);
  if (it != translated.end())
    return it->second;
  AffineExpr own;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    const graph::SymbolicShapes::Symbol &known = shapes.getSymbols()[symbol.getPosition()];
    if (known.dim == graph::SymbolicShapes::Symbol::element) {
      auto counter = counters.find(known.value);
      if (counter == counters.end())
        return std::nullopt;
      return translated[expr] = counter->second;
    }
    auto tensor = tensors.find(known.value);
    if (tensor == tensors.end() || known.dim >= tensor->second.sizes.size())
      return std::nullopt;
    own = this->expr(tensor->second.sizes[known.dim]);
  } else {
    auto binary = cast<AffineBinaryOpExpr>(expr);
    std::optional<AffineExpr> lhs = translate(binary.getLHS()), rhs = translate(binary.getRHS());
    if (!lhs || !rhs)
      return std::nullopt;
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      own = graph::addExprs(*lhs, *rhs);
      break;
    case AffineExprKind::Mul:
      own = graph::multiplyExprs(*lhs, *rhs);
      break;
    case AffineExprKind::FloorDiv:
      own = graph::floorDivideExprs(*lhs, *rhs);
      break;
    default:
      break;
    }
    if (!own)
      own = getAffineBinaryOpExpr(expr.getKind(), *lhs, *rhs);
  }
  return translated[expr] = own;
}

// ---- Arithmetic --------------------------------------------------------------------------------

// What has no expression is computed and is a symbol from then on.
OpFoldResult Lowering::viaArith(OpFoldResult lhs, OpFoldResult rhs, char operation) {
  AffineExpr left = expr(lhs), right = expr(rhs);
  Value &made = computed[{operation, {left, right}}];
  if (made)
    return made;
  bool atEntry = isEntry(left) && isEntry(right);
  Value l = value(lhs), r = value(rhs);
  OpBuilder builder = atEntry ? entryBuilder : topLevel();
  Scalars s{builder, loc};
  switch (operation) {
  case '+':
    made = s.add(l, r);
    break;
  case '-':
    made = s.sub(l, r);
    break;
  case '*':
    made = s.mul(l, r);
    break;
  case '/':
    made = s.floorDiv(l, s.max(r, value(size(1))));
    break;
  case '>':
    made = s.max(l, r);
    break;
  default: // '<'
    made = s.min(l, r);
    break;
  }
  if (exprs.contains(made) || getConstantIntValue(made))
    return getAsOpFoldResult(made); // arithmetic folded
  AffineExpr symbol = newSymbol(made, atEntry);
  // Of sizes, only a difference may be negative; max with a size is one.
  bool sizesOnly = isNonNegative(left) && isNonNegative(right);
  bool bounded = operation == '>' && (isNonNegative(left) || isNonNegative(right));
  if ((!sizesOnly || operation == '-') && !bounded)
    dataSymbols.insert(symbol);
  return made;
}

OpFoldResult Lowering::add(OpFoldResult lhs, OpFoldResult rhs) {
  AffineExpr sum = graph::addExprs(expr(lhs), expr(rhs));
  return sum ? size(sum) : viaArith(lhs, rhs, '+');
}

OpFoldResult Lowering::sub(OpFoldResult lhs, OpFoldResult rhs) {
  AffineExpr difference = graph::subtractExprs(expr(lhs), expr(rhs));
  return difference ? size(difference) : viaArith(lhs, rhs, '-');
}

OpFoldResult Lowering::mul(OpFoldResult lhs, OpFoldResult rhs) {
  AffineExpr product = graph::multiplyExprs(expr(lhs), expr(rhs));
  return product ? size(product) : viaArith(lhs, rhs, '*');
}

OpFoldResult Lowering::floorDiv(OpFoldResult lhs, OpFoldResult rhs) {
  if (AffineExpr exact = graph::divideExactly(expr(lhs), expr(rhs)))
    return size(exact);
  AffineExpr quotient = graph::floorDivideExprs(expr(lhs), expr(rhs));
  return quotient ? size(quotient) : viaArith(lhs, rhs, '/');
}

OpFoldResult Lowering::ceilDiv(OpFoldResult lhs, OpFoldResult rhs) {
  return floorDiv(add(lhs, sub(rhs, size(1))), rhs);
}

OpFoldResult Lowering::max(OpFoldResult lhs, OpFoldResult rhs) {
  if (isNonNegative(graph::subtractExprs(expr(lhs), expr(rhs))))
    return lhs;
  if (isNonNegative(graph::subtractExprs(expr(rhs), expr(lhs))))
    return rhs;
  return viaArith(lhs, rhs, '>');
}

OpFoldResult Lowering::min(OpFoldResult lhs, OpFoldResult rhs) {
  if (isNonNegative(graph::subtractExprs(expr(lhs), expr(rhs))))
    return rhs;
  if (isNonNegative(graph::subtractExprs(expr(rhs), expr(lhs))))
    return lhs;
  return viaArith(lhs, rhs, '<');
}

OpFoldResult Lowering::product(ArrayRef<OpFoldResult> sizes) {
  OpFoldResult result = size(1);
  for (OpFoldResult factor : sizes)
    result = mul(result, factor);
  return result;
}

// ---- Shapes ------------------------------------------------------------------------------------

Sizes Lowering::resultSizes(Value graphValue, ArrayRef<OpFoldResult> computedSizes) {
  auto type = cast<RankedTensorType>(graphValue.getType());
  SmallVector<AffineExpr> dims;
  if (std::optional<ArrayRef<AffineExpr>> known = shapes.getDims(graphValue))
    dims.assign(known->begin(), known->end());
  Sizes sizes;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i)) {
      sizes.push_back(size(type.getDimSize(i)));
      continue;
    }
    std::optional<AffineExpr> own = dims.empty() ? std::nullopt : translate(dims[i]);
    if (own)
      sizes.push_back(size(*own));
    else
      sizes.push_back(computedSizes.empty() ? OpFoldResult() : computedSizes[i]);
    if (sizes.back())
      requireNonNegative(sizes.back());
  }
  return sizes;
}

void Lowering::requireEqual(OpFoldResult lhs, OpFoldResult rhs, StringRef message, int32_t code) {
  AffineExpr left = expr(lhs), right = expr(rhs);
  if (left == right || !checkedEqual.insert({left, right}))
    return;
  // In a branch or a loop it need only hold when that runs.
  OpBuilder builder = !inRegion && isEntry(left) && isEntry(right) ? entryBuilder : topLevel();
  Value l = value(lhs), r = value(rhs);
  Scalars s{builder, loc};
  s.check(s.cmp(arith::CmpIPredicate::eq, l, r), code, message, {l, r});
}

void Lowering::requireFits(OpFoldResult small, OpFoldResult large, OpFoldResult input,
                           StringRef message) {
  AffineExpr room = expr(sub(large, small));
  if (isNonNegative(room) || isConstantIntValue(input, 0) ||
      !checkedFits.insert({room, expr(input)}))
    return;
  bool atEntry = isEntry(expr(small)) && isEntry(expr(large)) && isEntry(expr(input));
  OpBuilder builder = !inRegion && atEntry ? entryBuilder : topLevel();
  Value s = value(small), l = value(large), in = value(input), zero = value(size(0));
  Scalars scalars{builder, loc};
  Value fits = scalars.cmp(arith::CmpIPredicate::sle, s, l);
  Value isEmpty = scalars.cmp(arith::CmpIPredicate::eq, in, zero);
  scalars.check(arith::OrIOp::create(builder, loc, fits, isEmpty), LATHE_CODE_SHAPE, message,
                {s, l});
}

Value Lowering::requireBroadcasts(OpFoldResult size, OpFoldResult target, StringRef message) {
  Value actual = value(size), wanted = value(target);
  Scalars s = scalars();
  Value isOne = s.cmp(arith::CmpIPredicate::eq, actual, value(this->size(1)));
  s.check(s.orI(isOne, s.cmp(arith::CmpIPredicate::eq, actual, wanted)), LATHE_CODE_SHAPE, message,
          {actual, wanted});
  return isOne;
}

void Lowering::requireNonNegative(OpFoldResult size) {
  AffineExpr known = expr(size);
  if (isNonNegative(known) || !checkedSizes.insert(known))
    return;
  OpBuilder builder = !inRegion && isEntry(known) ? entryBuilder : topLevel();
  Value number = value(size), zero = value(this->size(0));
  Scalars s{builder, loc};
  s.check(s.cmp(arith::CmpIPredicate::sge, number, zero), LATHE_CODE_SIZE,
          "a size is %0, it must not be negative", {number});
  if (isa<AffineSymbolExpr>(known))
    dataSymbols.erase(known);
}
