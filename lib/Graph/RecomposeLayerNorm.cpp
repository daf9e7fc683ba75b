// Recognising layer and root-mean-square normalization.
//
// The core is d / sqrt(mean(d * d) + epsilon); where d is x - mean(x) it is a layer normalization
// of x, else a root-mean-square one of d. It becomes layer_norm with a scale of ones; the product
// and the sum that follow are absorbed as scale and bias when they are visited. TensorFlow spreads
// the same formula: x * (rsqrt * scale) + (bias - mean * (rsqrt * scale)). Apache-2.0 WITH
// LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lib/Graph/Match.h"

using namespace mlir;
using namespace lathe::graph;

static RankedTensorType getType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

namespace {
/// mean(d * d) + epsilon over the last dimensions.
struct MeanSquare {
  Value input;
  int64_t axis;
  double epsilon;
};
} // namespace

/// The first of the dimensions when they are all from there to the last.
static std::optional<int64_t> getTrailingAxis(ReduceOp op) {
  RankedTensorType type = getType(op.getInput());
  ArrayRef<int64_t> axes = *op.getAxes();
  if (!type || axes.empty() || axes.front() < 0 ||
      !llvm::equal(axes, llvm::seq<int64_t>(axes.front(), type.getRank())))
    return std::nullopt;
  return axes.front();
}

static std::optional<MeanSquare> matchMeanSquare(Value value) {
  std::optional<Sum> sum = matchSumWithConstant(value);
  ReduceOp mean = sum ? matchReduction(sum->value, ReduceKind::mean) : ReduceOp();
  std::optional<int64_t> axis = mean ? getTrailingAxis(mean) : std::nullopt;
  if (!axis || !(sum->constant >= 0))
    return std::nullopt;
  Product square = matchProduct(mean.getInput());
  // Not taken apart further than d * d, which may itself be a product.
  BinaryOp product = matchBinary(mean.getInput(), BinaryKind::mul);
  if (product && product.getLhs() == product.getRhs())
    return MeanSquare{product.getLhs(), *axis, sum->constant};
  if (square.constant == 1 && square.factors.size() == 2 && square.factors[0] == square.factors[1])
    return MeanSquare{square.factors[0], *axis, sum->constant};
  return std::nullopt;
}

/// v for 1 / sqrt(v) in its spellings.
static Value matchReciprocalRoot(Value value) {
  if (Value root = matchUnary(value, UnaryKind::reciprocal))
    return matchUnary(root, UnaryKind::sqrt);
  if (BinaryOp quotient = matchBinary(value, BinaryKind::div))
    return getSplat(quotient.getLhs()) == 1.0 ? matchUnary(quotient.getRhs(), UnaryKind::sqrt)
                                              : Value();
  if (BinaryOp power = matchBinary(value, BinaryKind::pow))
    return getSplat(power.getRhs()) == -0.5 ? power.getLhs() : Value();
  return {};
}

/// v for sqrt(v) in its spellings.
static Value matchRoot(Value value) {
  if (BinaryOp power = matchBinary(value, BinaryKind::pow))
    return getSplat(power.getRhs()) == 0.5 ? power.getLhs() : Value();
  return matchUnary(value, UnaryKind::sqrt);
}

/// x when `value` is x - mean(x) over the dimensions from `axis` on.
static Value matchCentered(Value value, int64_t axis) {
  BinaryOp difference = matchBinary(value, BinaryKind::sub);
  ReduceOp mean = difference ? matchReduction(difference.getRhs(), ReduceKind::mean) : ReduceOp();
  return mean && mean.getInput() == difference.getLhs() && getTrailingAxis(mean) == axis
             ? difference.getLhs()
             : Value();
}

/// The sizes that scale and bias have.
static RankedTensorType getParameterType(RankedTensorType input, int64_t axis) {
  auto type = RankedTensorType::get(input.getShape().drop_front(axis), input.getElementType());
  return type.hasStaticShape() && type.getNumElements() > 0 ? type : RankedTensorType();
}

static Value makeLayerNorm(OpBuilder &builder, Location loc, Value input, Value scale, Value bias,
                           int64_t axis, APFloat epsilon, bool rms) {
  return LayerNormOp::create(builder, loc, input.getType(), Type(), Type(), input, scale, bias,
                             axis, epsilon, rms)
      .getResult();
}

static Value matchCore(OpBuilder &builder, BinaryOp op) {
  Value centered = op.getLhs(), variance;
  if (op.getKind() == BinaryKind::div) {
    variance = matchRoot(op.getRhs());
  } else if (op.getKind() == BinaryKind::mul) {
    variance = matchReciprocalRoot(op.getRhs());
    if (!variance) {
      centered = op.getRhs();
      variance = matchReciprocalRoot(op.getLhs());
    }
  }
  std::optional<MeanSquare> square = variance ? matchMeanSquare(variance) : std::nullopt;
  if (!square || square->input != centered)
    return {};
  Value input = matchCentered(centered, square->axis);
  bool rms = !input;
  if (rms)
    input = centered;
  RankedTensorType type = getType(input);
  RankedTensorType parameter = type ? getParameterType(type, square->axis) : RankedTensorType();
  if (!parameter || type != op.getResult().getType() || !isa<FloatType>(type.getElementType()))
    return {};
  Value ones =
      ConstantOp::create(
          builder, op.getLoc(), parameter,
          DenseElementsAttr::get(parameter, builder.getFloatAttr(parameter.getElementType(), 1.0)))
          .getResult();
  return makeLayerNorm(builder, op.getLoc(), input, ones, Value(), square->axis,
                       APFloat(float(square->epsilon)), rms);
}

/// layer_norm(x) * s, layer_norm(x) + b
static Value absorbParameter(OpBuilder &builder, BinaryOp op) {
  bool isScale = op.getKind() == BinaryKind::mul;
  if (!isScale && op.getKind() != BinaryKind::add)
    return {};
  for (auto [value, parameter] :
       {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
    auto norm = value.getDefiningOp<LayerNormOp>();
    if (!norm || !norm.getResult().hasOneUse() || norm.getMean() || norm.getInvStdDev() ||
        norm.getBias() || value.getType() != op.getResult().getType())
      continue;
    RankedTensorType expected = getParameterType(getType(norm.getInput()), norm.getAxis());
    bool hasScale = getSplat(norm.getScale()) != 1.0;
    if (!expected || parameter.getType() != expected || (isScale && hasScale) ||
        (!isScale && norm.getRms()))
      continue;
    return makeLayerNorm(builder, op.getLoc(), norm.getInput(),
                         isScale ? parameter : norm.getScale(), isScale ? Value() : parameter,
                         norm.getAxis(), norm.getEpsilon(), norm.getRms());
  }
  return {};
}

/// x * f + (bias - mean * f) with f = scale / sqrt(variance + epsilon)
static Value matchSpread(OpBuilder &builder, BinaryOp op) {
  if (op.getKind() != BinaryKind::add)
    return {};
  for (auto [first, second] :
       {std::pair(op.getLhs(), op.getRhs()), std::pair(op.getRhs(), op.getLhs())}) {
    BinaryOp scaled = matchBinary(first, BinaryKind::mul);
    BinaryOp shift = matchBinary(second, BinaryKind::sub);
    BinaryOp moved = shift ? matchBinary(shift.getRhs(), BinaryKind::mul) : BinaryOp();
    if (!scaled || !moved)
      continue;
    for (unsigned i : {0u, 1u})
      for (unsigned j : {0u, 1u}) {
        Value x = scaled->getOperand(i), factor = scaled->getOperand(1 - i);
        ReduceOp mean = matchReduction(moved->getOperand(j), ReduceKind::mean);
        BinaryOp product = matchBinary(factor, BinaryKind::mul);
        if (!mean || mean.getInput() != x || moved->getOperand(1 - j) != factor || !product)
          continue;
        for (unsigned k : {0u, 1u}) {
          Value variance = matchReciprocalRoot(product->getOperand(k));
          std::optional<MeanSquare> square = variance ? matchMeanSquare(variance) : std::nullopt;
          RankedTensorType type = getType(x);
          if (!square || matchCentered(square->input, square->axis) != x || !type ||
              getTrailingAxis(mean) != square->axis || type != op.getResult().getType())
            continue;
          Value scale = product->getOperand(1 - k), bias = shift.getLhs();
          RankedTensorType parameter = getParameterType(type, square->axis);
          if (parameter && scale.getType() == parameter && bias.getType() == parameter)
            return makeLayerNorm(builder, op.getLoc(), x, scale, bias, square->axis,
                                 APFloat(float(square->epsilon)), false);
        }
      }
  }
  return {};
}

Value lathe::graph::recomposeLayerNorm(OpBuilder &builder, BinaryOp op) {
  if (Value core = matchCore(builder, op))
    return core;
  if (Value absorbed = absorbParameter(builder, op))
    return absorbed;
  return matchSpread(builder, op);
}
