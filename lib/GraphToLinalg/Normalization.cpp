// Lowering of softmax and the normalizations.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Normalization.h"
#include "lib/GraphToLinalg/Contraction.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

static SmallVector<int64_t> axesFrom(int64_t begin, int64_t end) {
  return llvm::to_vector(llvm::seq(begin, end));
}

// ---- Softmax -----------------------------------------------------------------------------------

Tensor lathe::g2l::softmax(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes, bool log) {
  AffineMap row = l.dropDims(input.rank(), axes);
  Tensor max = reduceMax(l, input, axes);
  Tensor exps = l.elementwise({input, {max, row}}, input.sizes, max.element,
                              [](const Scalars &s, ValueRange x) -> Value {
                                return math::ExpOp::create(s.b, s.loc, s.sub(x[0], x[1]));
                              });
  Tensor sum = reduceSum(l, exps, axes);
  if (log)
    return l.elementwise({input, {max, row}, {sum, row}}, input.sizes, input.element,
                         [](const Scalars &s, ValueRange x) -> Value {
                           Value logSum = math::LogOp::create(s.b, s.loc, x[2]);
                           return s.sub(s.sub(x[0], x[1]), logSum);
                         });
  // One division for a row: one for each element takes as long as all the rest.
  return l.elementwise({exps, {sum, row}}, input.sizes, input.element,
                       [](const Scalars &s, ValueRange x) {
                         Value one = s.constant(x[1].getType(), 1.0);
                         return s.mul(x[0], s.divf(one, x[1]));
                       });
}

static LogicalResult lowerSoftmax(graph::SoftmaxOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  if (!isa<FloatType>(input.element))
    return l.unsupported(op) << "element type " << input.element;
  l.set(op.getResult(), softmax(l, input, axesFrom(op.getAxis(), op.getAxisEnd()), op.getLog()));
  return success();
}

// ---- Statistics --------------------------------------------------------------------------------

namespace {
/// Mean (absent for RMS) and 1 / sqrt(variance + epsilon), without the reduced dimensions.
struct Statistics {
  std::optional<Tensor> mean;
  Tensor inverse;
};
} // namespace

// sum / (number of reduced elements)
static Tensor divideByCount(Lowering &l, const Tensor &sum, const Tensor &input,
                            ArrayRef<int64_t> axes) {
  OpFoldResult count = l.size(1);
  for (int64_t axis : axes)
    count = l.mul(count, input.sizes[axis]);
  std::optional<int64_t> known = getConstantIntValue(count);
  Value n = known ? Value() : l.value(count);
  return l.elementwise({sum}, sum.sizes, sum.element, [&](const Scalars &s, ValueRange x) {
    if (known)
      return s.mul(x[0], s.constant(sum.element, 1.0 / double(*known)));
    return s.divf(x[0], s.fromIndex(n, sum.element));
  });
}

static Statistics computeStatistics(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes,
                                    double epsilon, bool rms) {
  Statistics statistics;
  TypedAttr zero = l.number(getAccumulatorType(input.element), 0);
  SmallVector<Operand> operands{input};
  if (!rms) {
    statistics.mean = divideByCount(l, reduceSum(l, input, axes), input, axes);
    operands.emplace_back(*statistics.mean, l.dropDims(input.rank(), axes));
  }
  Tensor squares = l.reduce(operands, axes, zero, [&](const Scalars &s, ValueRange x) {
    Value centered = rms ? x[0] : s.sub(x[0], x[1]);
    return sumBody(s, {s.mul(centered, centered), x.back()});
  });
  Tensor variance = divideByCount(l, squares, input, axes);
  statistics.inverse = l.elementwise(
      {variance}, variance.sizes, variance.element, [&](const Scalars &s, ValueRange x) {
        Type type = x[0].getType();
        Value root = math::SqrtOp::create(s.b, s.loc, s.add(x[0], s.constant(type, epsilon)));
        return s.divf(s.constant(type, 1), root);
      });
  return statistics;
}

// (x - mean) * inverse * scale + bias; maps tell how scale and bias are read.
static Tensor normalize(Lowering &l, const Tensor &input, const Statistics &statistics,
                        ArrayRef<int64_t> axes, Operand scale, std::optional<Operand> bias) {
  AffineMap row = l.dropDims(input.rank(), axes);
  SmallVector<Operand> operands{input, {statistics.inverse, row}, scale};
  if (statistics.mean)
    operands.emplace_back(*statistics.mean, row);
  if (bias)
    operands.push_back(*bias);
  bool centered = statistics.mean.has_value();
  // Half-precision parameters are read in the type of the statistics.
  Type type = statistics.inverse.element;
  return l.elementwise(operands, input.sizes, input.element, [&](const Scalars &s, ValueRange x) {
    Value value = centered ? s.sub(x[0], x[3]) : x[0];
    value = s.mul(s.mul(value, x[1]), s.convert(x[2], scale.tensor.element, type));
    return bias ? s.add(value, s.convert(x.back(), bias->tensor.element, type)) : value;
  });
}

static LogicalResult lowerLayerNorm(graph::LayerNormOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t rank = input.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  SmallVector<int64_t> axes = axesFrom(axis, rank);
  Statistics statistics =
      computeStatistics(l, input, axes, op.getEpsilon().convertToDouble(), op.getRms());
  std::optional<Operand> bias;
  if (op.getBias())
    bias = Operand(l.get(op.getBias()));
  l.set(op.getResult(), normalize(l, input, statistics, axes, l.get(op.getScale()), bias));
  Sizes kept = input.sizes;
  std::fill(kept.begin() + axis, kept.end(), l.size(1));
  auto setStatistic = [&](Value result, const Tensor &statistic) {
    Type element = cast<RankedTensorType>(result.getType()).getElementType();
    l.set(result, l.reshape(l.convert(statistic, element), kept));
  };
  if (op.getMean()) {
    if (!statistics.mean)
      return l.unsupported(op) << "the mean of an RMS normalization";
    setStatistic(op.getMean(), *statistics.mean);
  }
  if (op.getInvStdDev())
    setStatistic(op.getInvStdDev(), statistics.inverse);
  return success();
}

static LogicalResult lowerGroupNorm(graph::GroupNormOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  Tensor scale = l.get(op.getScale()), bias = l.get(op.getBias());
  double epsilon = op.getEpsilon().convertToDouble();
  if (op.getGroups() == 0) {
    SmallVector<int64_t> axes = axesFrom(2, input.rank());
    AffineMap channel = l.dimMap(input.rank(), 1);
    Statistics statistics = computeStatistics(l, input, axes, epsilon, false);
    l.set(op.getResult(),
          normalize(l, input, statistics, axes, {scale, channel}, Operand(bias, channel)));
    return success();
  }
  // [N, C, ...] as [N, groups, C / groups, ...].
  OpFoldResult groups = l.size(op.getGroups()), inGroup = l.floorDiv(input.sizes[1], groups);
  Sizes split{input.sizes[0], groups, inGroup};
  split.append(input.sizes.begin() + 2, input.sizes.end());
  Tensor grouped = l.reshape(input, split);
  SmallVector<int64_t> axes = axesFrom(2, grouped.rank());
  AffineMap channel = l.dimMap(grouped.rank(), {1, 2});
  Statistics statistics = computeStatistics(l, grouped, axes, epsilon, false);
  Tensor result =
      normalize(l, grouped, statistics, axes, {l.reshape(scale, {groups, inGroup}), channel},
                Operand(l.reshape(bias, {groups, inGroup}), channel));
  l.set(op.getResult(), l.reshape(result, input.sizes));
  return success();
}

static LogicalResult lowerBatchNorm(graph::BatchNormOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  Tensor scale = l.get(op.getScale()), variance = l.get(op.getVariance());
  if (input.rank() < 2)
    return l.unsupported(op) << "rank " << input.rank();
  double epsilon = op.getEpsilon().convertToDouble();
  Type type = getAccumulatorType(input.element);
  Tensor factor = l.elementwise(
      {scale, variance}, scale.sizes, type, [&](const Scalars &s, ValueRange x) -> Value {
        Value v = s.convert(x[1], variance.element, type);
        Value root = math::SqrtOp::create(s.b, s.loc, s.add(v, s.constant(type, epsilon)));
        return s.divf(s.convert(x[0], scale.element, type), root);
      });
  AffineMap channel = l.dimMap(input.rank(), 1);
  Tensor mean = l.get(op.getMean()), bias = l.get(op.getBias());
  l.set(op.getResult(),
        l.elementwise({input, {mean, channel}, {factor, channel}, {bias, channel}}, input.sizes,
                      input.element, [&](const Scalars &s, ValueRange x) {
                        Value centered = s.sub(x[0], s.convert(x[1], mean.element, type));
                        return s.add(s.mul(centered, x[2]), s.convert(x[3], bias.element, type));
                      }));
  return success();
}

// ---- Local response, p-norm --------------------------------------------------------------------

static LogicalResult lowerLrn(graph::LrnOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t rank = input.rank(), size = op.getSize();
  Type type = getAccumulatorType(input.element);
  Tensor squares = l.elementwise({input}, input.sizes, type,
                                 [](const Scalars &s, ValueRange x) { return s.mul(x[0], x[0]); });
  Sizes low(rank, l.size(0)), high = low;
  low[1] = l.size((size - 1) / 2);
  high[1] = l.size(size - 1 - (size - 1) / 2);
  Tensor padded = l.pad(squares, low, high, l.number(type, 0));
  SmallVector<AffineExpr> results;
  for (int64_t i = 0; i < rank; ++i)
    results.push_back(l.b.getAffineDimExpr(i));
  results[1] = results[1] + l.b.getAffineDimExpr(rank);
  SmallVector<utils::IteratorType> iterators(rank + 1, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  Tensor window{l.empty({l.size(size)}, type), {l.size(size)}, type};
  Value sums = l.generic({{padded, AffineMap::get(rank + 1, 0, results, l.context)},
                          {window, l.dimMap(rank + 1, rank)}},
                         l.filled(input.sizes, l.number(type, 0)),
                         l.b.getMultiDimIdentityMap(rank + 1).dropResult(rank), iterators,
                         [](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                           return {sumBody(s, {x[0], x[2]})};
                         })
                   .front();
  double alpha = op.getAlpha().convertToDouble() / double(size);
  double beta = op.getBeta().convertToDouble(), bias = op.getBias().convertToDouble();
  Tensor sum{sums, input.sizes, type};
  l.set(op.getResult(),
        l.elementwise(
            {input, sum}, input.sizes, input.element, [&](const Scalars &s, ValueRange x) -> Value {
              Value base = s.add(s.mul(x[1], s.constant(type, alpha)), s.constant(type, bias));
              return s.divf(x[0], math::PowFOp::create(s.b, s.loc, base, s.constant(type, beta)));
            }));
  return success();
}

static LogicalResult lowerLpNorm(graph::LpNormOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + input.rank() : op.getAxis();
  if (op.getP() != 1 && op.getP() != 2)
    return l.unsupported(op) << "p = " << op.getP();
  bool square = op.getP() == 2;
  TypedAttr zero = l.number(getAccumulatorType(input.element), 0);
  Tensor norm = l.reduce({input}, axis, zero, [&](const Scalars &s, ValueRange x) {
    Value term = square ? s.mul(x[0], x[0]) : Value(math::AbsFOp::create(s.b, s.loc, x[0]));
    return sumBody(s, {term, x[1]});
  });
  // A norm of zero divides nothing: the result is zero.
  l.set(op.getResult(),
        l.elementwise({input, {norm, l.dropDims(input.rank(), axis)}}, input.sizes, input.element,
                      [&](const Scalars &s, ValueRange x) -> Value {
                        Value n = square ? Value(math::SqrtOp::create(s.b, s.loc, x[1])) : x[1];
                        Value none = s.constant(n.getType(), 0);
                        Value isZero = s.cmp(arith::CmpFPredicate::OEQ, n, none);
                        return s.select(isZero, none, s.divf(x[0], n));
                      }));
  return success();
}

void lathe::g2l::addNormalization(LoweringTable &table) {
  table.add(lowerSoftmax);
  table.add(lowerLayerNorm);
  table.add(lowerGroupNorm);
  table.add(lowerBatchNorm);
  table.add(lowerLrn);
  table.add(lowerLpNorm);
}
