// Recomposition: composites out of the primitive nodes that exporters write.
//
// One walk in program order. What is recognised is built beside the primitives, which stay until
// the end (so that no address is used twice while facts about values are kept) and then are dead.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lathe/Graph.h"
#include "lib/Graph/Match.h"
#include "lib/Graph/Rewrite.h"
#include <cmath>

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_RECOMPOSEPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

BinaryOp lathe::graph::matchBinary(Value value, BinaryKind kind) {
  auto op = value ? value.getDefiningOp<BinaryOp>() : BinaryOp();
  return op && op.getKind() == kind ? op : BinaryOp();
}

Value lathe::graph::matchUnary(Value value, UnaryKind kind) {
  auto op = value ? value.getDefiningOp<UnaryOp>() : UnaryOp();
  return op && op.getKind() == kind ? op.getInput() : Value();
}

ReduceOp lathe::graph::matchReduction(Value value, ReduceKind kind) {
  auto op = value ? value.getDefiningOp<ReduceOp>() : ReduceOp();
  return op && op.getKind() == kind && op.getKeepDims() && op.getAxes() ? op : ReduceOp();
}

static void collectFactors(Value value, Product &product, unsigned depth) {
  auto op = value.getDefiningOp<BinaryOp>();
  std::optional<double> right = op ? getSplat(op.getRhs()) : std::nullopt;
  if (op && depth > 0 && op.getKind() == BinaryKind::div && right && *right != 0) {
    product.constant /= *right;
    return collectFactors(op.getLhs(), product, depth - 1);
  }
  if (op && depth > 0 && op.getKind() == BinaryKind::pow && right && (*right == 2 || *right == 3)) {
    product.factors.append(size_t(*right), op.getLhs());
    return;
  }
  if (!op || depth == 0 || op.getKind() != BinaryKind::mul) {
    product.factors.push_back(value);
    return;
  }
  for (Value operand : op->getOperands()) {
    if (std::optional<double> constant = getSplat(operand))
      product.constant *= *constant;
    else
      collectFactors(operand, product, depth - 1);
  }
}

Product lathe::graph::matchProduct(Value value) {
  Product product;
  collectFactors(value, product, /*depth=*/4);
  return product;
}

std::optional<Sum> lathe::graph::matchSumWithConstant(Value value) {
  BinaryOp op = matchBinary(value, BinaryKind::add);
  if (!op)
    return std::nullopt;
  if (std::optional<double> constant = getSplat(op.getRhs()))
    return Sum{op.getLhs(), *constant};
  if (std::optional<double> constant = getSplat(op.getLhs()))
    return Sum{op.getRhs(), *constant};
  return std::nullopt;
}

bool lathe::graph::isClose(double value, double expected, Type elementType) {
  bool isHalf = elementType.isF16() || elementType.isBF16();
  // Exporters write 0.7978845608, 0.79788, 1.4142: a few digits of the constant.
  return std::abs(value - expected) <= std::abs(expected) * (isHalf ? 4e-3 : 5e-5);
}

//===----------------------------------------------------------------------===//
// GELU
//===----------------------------------------------------------------------===//

/// 1 + f, with f either erf(x / sqrt(2)) or tanh(sqrt(2 / pi) * (x + 0.044715 x^3)).
static std::optional<UnaryKind> matchGeluGate(Value gate, Value x, Type type) {
  std::optional<Sum> sum = matchSumWithConstant(gate);
  if (!sum || sum->constant != 1)
    return std::nullopt;
  if (Value argument = matchUnary(sum->value, UnaryKind::erf)) {
    Product product = matchProduct(argument);
    if (product.factors.size() == 1 && product.factors[0] == x &&
        isClose(product.constant, M_SQRT1_2, type))
      return UnaryKind::gelu;
    return std::nullopt;
  }
  Value argument = matchUnary(sum->value, UnaryKind::tanh);
  if (!argument)
    return std::nullopt;
  Product outer = matchProduct(argument);
  if (!isClose(outer.constant, std::sqrt(2 / M_PI), type))
    return std::nullopt;
  auto isCubic = [&](Product term, size_t power) {
    return isClose(term.constant, 0.044715, type) && term.factors.size() == power &&
           llvm::all_of(term.factors, [&](Value factor) { return factor == x; });
  };
  if (outer.factors.size() == 1) { // x + 0.044715 x^3
    BinaryOp inner = matchBinary(outer.factors[0], BinaryKind::add);
    if (!inner)
      return std::nullopt;
    bool matches = (inner.getLhs() == x && isCubic(matchProduct(inner.getRhs()), 3)) ||
                   (inner.getRhs() == x && isCubic(matchProduct(inner.getLhs()), 3));
    return matches ? std::optional(UnaryKind::gelu_tanh) : std::nullopt;
  }
  if (outer.factors.size() == 2) // x * (1 + 0.044715 x^2)
    for (unsigned i : {0u, 1u}) {
      std::optional<Sum> inner = matchSumWithConstant(outer.factors[1 - i]);
      if (outer.factors[i] == x && inner && inner->constant == 1 &&
          isCubic(matchProduct(inner->value), 2))
        return UnaryKind::gelu_tanh;
    }
  return std::nullopt;
}

Value lathe::graph::recomposeGelu(OpBuilder &builder, BinaryOp op) {
  if (op.getKind() != BinaryKind::mul && op.getKind() != BinaryKind::div)
    return {};
  Product product = matchProduct(op.getResult());
  Type type = getElementTypeOrSelf(op.getResult().getType());
  if (product.factors.size() != 2 || product.constant != 0.5)
    return {};
  for (unsigned i : {0u, 1u}) {
    Value x = product.factors[i];
    std::optional<UnaryKind> kind = matchGeluGate(product.factors[1 - i], x, type);
    if (kind && x.getType() == op.getResult().getType())
      return UnaryOp::create(builder, op.getLoc(), x.getType(), *kind, x).getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// The single axis of a reduction.
static std::optional<int64_t> getSingleAxis(ReduceOp op) {
  if (!op || op.getAxes()->size() != 1 || op.getAxes()->front() < 0)
    return std::nullopt;
  return op.getAxes()->front();
}

/// x for x - max(x) along the axis, else the value itself: softmax does not change.
static Value stripMaximum(Value value, int64_t axis) {
  BinaryOp difference = matchBinary(value, BinaryKind::sub);
  ReduceOp maximum = difference ? matchReduction(difference.getRhs(), ReduceKind::max) : ReduceOp();
  return maximum && getSingleAxis(maximum) == axis && maximum.getInput() == difference.getLhs()
             ? difference.getLhs()
             : value;
}

static Value makeSoftmax(OpBuilder &builder, Operation *op, Value input, int64_t axis, bool log) {
  if (input.getType() != op->getResult(0).getType())
    return {};
  return SoftmaxOp::create(builder, op->getLoc(), input.getType(), input, axis, axis + 1, log)
      .getResult();
}

Value lathe::graph::recomposeSoftmax(OpBuilder &builder, Operation *op) {
  if (auto unary = dyn_cast<UnaryOp>(op)) { // log(softmax(x))
    auto softmax = unary.getInput().getDefiningOp<SoftmaxOp>();
    if (unary.getKind() != UnaryKind::log || !softmax || softmax.getLog() ||
        softmax.getAxisEnd() != softmax.getAxis() + 1)
      return {};
    return makeSoftmax(builder, op, softmax.getInput(), softmax.getAxis(), true);
  }
  auto binary = dyn_cast<BinaryOp>(op);
  if (!binary)
    return {};
  Value lhs = binary.getLhs(), rhs = binary.getRhs();
  if (binary.getKind() == BinaryKind::sub) { // x - log(sum(exp(x)))
    ReduceOp sum = matchReduction(rhs, ReduceKind::log_sum_exp);
    Value exponent = sum ? sum.getInput() : Value();
    if (!sum)
      if (Value argument = matchUnary(rhs, UnaryKind::log)) {
        sum = matchReduction(argument, ReduceKind::sum);
        exponent = sum ? matchUnary(sum.getInput(), UnaryKind::exp) : Value();
      }
    std::optional<int64_t> axis = sum ? getSingleAxis(sum) : std::nullopt;
    if (!axis || exponent != lhs)
      return {};
    return makeSoftmax(builder, op, stripMaximum(lhs, *axis), *axis, true);
  }
  // exp(x) / sum(exp(x)), or exp(x) * reciprocal of it
  Value numerator = lhs, denominator = rhs;
  if (binary.getKind() == BinaryKind::mul) {
    denominator = matchUnary(rhs, UnaryKind::reciprocal);
    if (!denominator) {
      numerator = rhs;
      denominator = matchUnary(lhs, UnaryKind::reciprocal);
    }
  } else if (binary.getKind() != BinaryKind::div) {
    return {};
  }
  ReduceOp sum = matchReduction(denominator, ReduceKind::sum);
  std::optional<int64_t> axis = sum ? getSingleAxis(sum) : std::nullopt;
  Value exponent = matchUnary(numerator, UnaryKind::exp);
  if (!axis || sum.getInput() != numerator || !exponent)
    return {};
  return makeSoftmax(builder, op, stripMaximum(exponent, *axis), *axis, false);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static Value recompose(OpBuilder &builder, Operation *op, SymbolicShapes &shapes) {
  if (Value softmax = recomposeSoftmax(builder, op))
    return softmax;
  if (auto matmul = dyn_cast<MatMulOp>(op))
    return recomposeAttention(builder, matmul, shapes);
  auto binary = dyn_cast<BinaryOp>(op);
  if (!binary)
    return {};
  if (Value gelu = recomposeGelu(builder, binary))
    return gelu;
  return recomposeLayerNorm(builder, binary);
}

LogicalResult lathe::recomposeGraph(func::FuncOp function) {
  FailureOr<SymbolicShapes> shapes = SymbolicShapes::compute(function);
  if (failed(shapes))
    return failure();
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) {
    if (isa<BinaryOp, UnaryOp, MatMulOp>(op))
      ops.push_back(op);
  });
  for (Operation *op : ops) {
    OpBuilder builder(op);
    Value replacement = recompose(builder, op, *shapes);
    if (!replacement)
      continue;
    if (failed(shapes->inferOp(replacement.getDefiningOp())))
      return failure();
    op->getResult(0).replaceAllUsesWith(replacement);
  }
  return simplifyGraph(function); // which removes what is dead
}

namespace {
struct RecomposePass : graph::impl::RecomposePassBase<RecomposePass> {
  void runOnOperation() override {
    if (failed(recomposeGraph(getOperation())))
      signalPassFailure();
  }
};
} // namespace
