// Normalizations, softmax and the losses made of it.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;
using graph::UnaryKind;

/// In half precision squares soon have no bounds, and small epsilons are zero.
static Type statisticsType(Node &node, Type element) {
  return element.isF64() ? element : Type(node.builder().getF32Type());
}

// ---- Batch, layer, group

/// (x - mean) / sqrt(variance + epsilon) * scale + bias, all broadcast as NumPy does.
static Value normalize(Node &node, Value x, Value scale, Value bias, Value mean, Value variance,
                       double epsilon) {
  Value deviation = node.unary(UnaryKind::sqrt, node.binary(BinaryKind::add, variance, epsilon));
  Value centred = node.binary(BinaryKind::sub, x, mean);
  Value unit = node.binary(BinaryKind::div, centred, deviation);
  return node.binary(BinaryKind::add, node.binary(BinaryKind::mul, unit, scale), bias);
}

static LogicalResult importBatchNorm(Node &node) {
  node.ignore({"consumed_inputs", "is_test"});
  Value x = node.input(0), scale = node.input(1), bias = node.input(2);
  Value mean = node.input(3), variance = node.input(4);
  double epsilon = node.floatAttribute("epsilon", 1e-5f);
  double momentum = node.floatAttribute("momentum", 0.9f);
  bool spatial = node.version() >= 9 || node.flag("spatial", true);
  bool training = node.version() >= 14 && node.flag("training_mode");
  if (!training)
    for (unsigned i = 1; i < node.outputCount(); ++i)
      if (node.wantsOutput(i))
        return node.error() << "output " << i << " of BatchNormalization-" << node.version()
                            << " is for training, which is not supported";
  if (node.hasFailed())
    return failure();
  if (!spatial)
    return node.result(normalize(node, x, scale, bias, mean, variance, epsilon));
  bool single = Node::rankOf(x) == 1; // samples of one channel
  if (single)
    x = node.unsqueeze(x, {1});
  if (training) {
    std::optional<int64_t> rank = node.requireRank(x, "input 0");
    if (!rank)
      return failure();
    Ints axes = {0};
    for (int64_t axis = 2; axis < *rank; ++axis)
      axes.push_back(axis);
    Type given = Node::elementOf(mean), statistics = statisticsType(node, given);
    Value wide = node.cast(x, statistics);
    Value kept = node.reduce(ReduceKind::mean, wide, axes, true);
    Value centred = node.binary(BinaryKind::sub, wide, kept);
    Value now =
        node.reduce(ReduceKind::mean, node.binary(BinaryKind::mul, centred, centred), axes, false);
    Value nowMean = node.reduce(ReduceKind::mean, wide, axes, false);
    auto blend = [&](Value old, Value current) {
      old = node.binary(BinaryKind::mul, node.cast(old, statistics), momentum);
      current = node.binary(BinaryKind::mul, current, 1 - momentum);
      return node.cast(node.binary(BinaryKind::add, old, current), given);
    };
    node.setResult(1, blend(mean, nowMean));
    node.setResult(2, blend(variance, now));
    mean = nowMean;
    variance = now;
  }
  if (!mean || !variance)
    return failure();
  auto op = node.create<graph::BatchNormOp>(node.likeOf(x), x, scale, bias, mean, variance,
                                            node.builder().getF32FloatAttr(epsilon));
  if (!op)
    return failure();
  return node.result(single ? node.squeeze(op.getResult(), {1}) : op.getResult());
}

/// The type of the statistics. Those of f64 are computed in f64 all the same, as ONNX Runtime does.
static Type stashType(Node &node) {
  Type type = node.typeAttribute("stash_type", node.builder().getF32Type());
  if (type && !isa<FloatType>(type))
    node.error() << "attribute 'stash_type' of " << node.opType() << " is " << type
                 << ", it must be a floating-point type";
  return type;
}

static LogicalResult layerNorm(Node &node, Value x, Value scale, Value bias, int64_t axis,
                               double epsilon, bool rms, unsigned meanOutput,
                               unsigned deviationOutput, Type stash) {
  axis = node.axis(axis, Node::rankOf(x));
  if (!x || !scale || node.hasFailed())
    return failure();
  // The result has the type of the scale: of both the wider one is that of the computation.
  Type element = Node::elementOf(scale);
  if (!isa<FloatType>(element))
    return node.error() << "the scale of " << node.opType() << " has element type " << element
                        << ", it must be a floating-point type";
  if (element.getIntOrFloatBitWidth() > Node::elementOf(x).getIntOrFloatBitWidth())
    x = node.cast(x, element);
  Type statistics = node.tensorOf(stash);
  bool wantsMean = !rms && node.wantsOutput(meanOutput);
  bool wantsDeviation = node.wantsOutput(deviationOutput);
  auto op = node.create<graph::LayerNormOp>(
      node.likeOf(x), wantsMean ? statistics : Type(), wantsDeviation ? statistics : Type(), x,
      scale, bias, node.builder().getI64IntegerAttr(axis), node.builder().getF32FloatAttr(epsilon),
      node.builder().getBoolAttr(rms));
  if (!op)
    return failure();
  if (wantsMean)
    node.setResult(meanOutput, op.getMean());
  if (wantsDeviation)
    node.setResult(deviationOutput, op.getInvStdDev());
  return node.result(node.cast(op.getResult(), element));
}

static LogicalResult importLayerNorm(Node &node) {
  return layerNorm(node, node.input(0), node.input(1), node.input(2), node.intAttribute("axis", -1),
                   node.floatAttribute("epsilon", 1e-5f), false, 1, 2, stashType(node));
}

static LogicalResult importRmsNorm(Node &node) {
  return layerNorm(node, node.input(0), node.input(1), Value(), node.intAttribute("axis", -1),
                   node.floatAttribute("epsilon", 1e-5f), true, 2, 1, stashType(node));
}

/// com.microsoft: the sum of input, skip and bias is normalized; output 3 is the sum. Half
/// precision is added up in f32, and what is normalized is not rounded before.
template <bool rms> static LogicalResult importSkipLayerNorm(Node &node) {
  Type element = Node::elementOf(node.input(0)), f32 = node.builder().getF32Type();
  Type wide = element.isF64() ? element : f32;
  auto add = [&](Value sum, unsigned i) {
    return node.binary(BinaryKind::add, sum, node.cast(node.input(i), wide));
  };
  Value sum = add(node.cast(node.input(0), wide), 1);
  unsigned bias = rms ? 3 : 4;
  if (node.hasInput(bias))
    sum = add(sum, bias);
  if (node.wantsOutput(3))
    node.setResult(3, node.cast(sum, element));
  return layerNorm(node, sum, node.require(2), rms ? Value() : node.input(3), -1,
                   node.floatAttribute("epsilon", 1e-12f), rms, 1, 2, f32);
}

static LogicalResult groupNorm(Node &node, Value scale, Value bias, int64_t groups) {
  Value x = node.input(0);
  double epsilon = node.floatAttribute("epsilon", 1e-5f);
  if (!scale || !bias || node.hasFailed())
    return failure();
  auto op = node.create<graph::GroupNormOp>(node.likeOf(x), x, scale, bias,
                                            node.builder().getI64IntegerAttr(groups),
                                            node.builder().getF32FloatAttr(epsilon));
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importInstanceNorm(Node &node) {
  node.ignore({"consumed_inputs"});
  return groupNorm(node, node.input(1), node.input(2), 0);
}

static LogicalResult importGroupNorm(Node &node) {
  node.ignore({"stash_type"});
  int64_t groups = node.intAttribute("num_groups", 0);
  if (groups < 1)
    return node.error() << "attribute 'num_groups' of GroupNormalization is " << groups
                        << ", it must be positive";
  // Version 18 has scale and bias per group: repeat them for the channels of each.
  auto perChannel = [&](Value value) {
    if (node.version() >= 21)
      return value;
    Value channels = node.shapeOf(node.input(0), 1, 2);
    Value shape =
        node.concat({node.constant({groups}), node.binary(BinaryKind::div, channels, groups)}, 0);
    return node.reshape(node.expand(node.unsqueeze(value, {1}), shape), {-1});
  };
  return groupNorm(node, perChannel(node.input(1)), perChannel(node.input(2)), groups);
}

static LogicalResult importLrn(Node &node) {
  Value x = node.input(0);
  int64_t size = node.intAttribute("size", 0);
  double alpha = node.floatAttribute("alpha", 1e-4f), beta = node.floatAttribute("beta", 0.75);
  double bias = node.floatAttribute("bias", 1);
  if (size < 1)
    return node.error() << "attribute 'size' of LRN is " << size << ", it must be positive";
  OpBuilder &builder = node.builder();
  auto op = node.create<graph::LrnOp>(node.likeOf(x), x, builder.getI64IntegerAttr(size),
                                      builder.getF32FloatAttr(alpha), builder.getF32FloatAttr(beta),
                                      builder.getF32FloatAttr(bias));
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importLpNorm(Node &node) {
  Value x = node.input(0);
  int64_t axis = node.axis(node.intAttribute("axis", -1), Node::rankOf(x));
  int64_t p = node.intAttribute("p", 2);
  if (p != 1 && p != 2)
    return node.error() << "attribute 'p' of LpNormalization is " << p << ", it must be 1 or 2";
  if (node.hasFailed())
    return failure();
  auto op = node.create<graph::LpNormOp>(node.likeOf(x), x, axis, p);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importMeanVarianceNorm(Node &node) {
  Value x = node.input(0);
  Ints axes = node.axes(node.intsAttribute("axes").value_or(Ints{0, 2, 3}), Node::rankOf(x));
  if (node.hasFailed())
    return failure();
  Type element = Node::elementOf(x);
  x = node.cast(x, statisticsType(node, element));
  Value mean = node.reduce(ReduceKind::mean, x, axes, true);
  Value centred = node.binary(BinaryKind::sub, x, mean);
  Value variance =
      node.reduce(ReduceKind::mean, node.binary(BinaryKind::mul, centred, centred), axes, true);
  Value deviation = node.binary(BinaryKind::add, node.unary(UnaryKind::sqrt, variance), 1e-9);
  return node.result(node.cast(node.binary(BinaryKind::div, centred, deviation), element));
}

// ---- Softmax

/// Before version 13 the dimensions from `axis` on are normalized together.
template <bool log> static LogicalResult importSoftmax(Node &node) {
  Value x = node.input(0);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  bool together = node.version() < 13;
  int64_t axis = node.intAttribute("axis", together ? 1 : -1);
  // The rank itself is a valid axis of a flattening: each element is alone.
  int64_t limit = together && axis == *rank ? *rank + 1 : *rank;
  axis = node.axis(axis, limit);
  if (node.hasFailed())
    return failure();
  auto op =
      node.create<graph::SoftmaxOp>(node.likeOf(x), x, axis, together ? *rank : axis + 1, log);
  return op ? node.result(op.getResult()) : failure();
}

/// 1 at the first largest element along an axis, 0 elsewhere.
static Value hardmax(Node &node, Value x, int64_t axis) {
  if (!x)
    return {};
  Type i64 = node.builder().getI64Type(), element = Node::elementOf(x);
  auto best = node.create<graph::ArgReduceOp>(node.tensorOf(i64), x, /*smallest=*/false, axis,
                                              /*keep_dims=*/true, /*select_last=*/false,
                                              /*may_be_empty=*/true);
  std::optional<int64_t> rank = Node::rankOf(x);
  if (!best || !rank)
    return {};
  Value positions = node.iota(x, axis);
  if (axis < *rank - 1)
    positions = node.unsqueeze(positions, llvm::to_vector(llvm::seq<int64_t>(1, *rank - axis)));
  return node.cast(node.binary(BinaryKind::equal, positions, best.getResult()), element);
}

static LogicalResult importHardmax(Node &node) {
  Value x = node.input(0);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  bool together = node.version() < 13;
  int64_t axis = node.axis(node.intAttribute("axis", together ? 1 : -1), rank);
  if (node.hasFailed())
    return failure();
  if (!together)
    return node.result(hardmax(node, x, axis));
  auto flat = node.create<graph::FlattenOp>(node.likeOf(x), x, axis);
  if (!flat)
    return failure();
  return node.result(
      node.reshape(hardmax(node, flat.getResult(), 1), node.shapeOf(x), /*allowZero=*/true));
}

// ---- Losses

/// -weight[target] * x[target], optionally summed or averaged by weight.
static Value likelihoodLoss(Node &node, Value x, Value target, Value weight) {
  unsigned reduction = node.choice("reduction", {"none", "sum", "mean"}, 2);
  bool ignores = node.hasAttribute("ignore_index");
  int64_t ignored = node.intAttribute("ignore_index", 0);
  if (!x || !target || node.hasFailed())
    return {};
  Type element = Node::elementOf(x), indexType = Node::elementOf(target);
  Value isIgnored, safe = target;
  if (ignores) {
    isIgnored = node.binary(BinaryKind::equal, target, node.scalarInt(ignored, indexType));
    safe = node.select(isIgnored, node.scalarInt(0, indexType), target);
  }
  Value index = node.unsqueeze(safe, {1});
  if (!index)
    return {};
  auto picked = node.create<graph::GatherElementsOp>(node.likeOf(x), x, index, 1);
  if (!picked)
    return {};
  Value loss = node.unary(UnaryKind::neg, node.squeeze(picked.getResult(), {1}));
  Value weights;
  if (weight)
    weights = node.gather(weight, safe, 0);
  if (isIgnored) {
    Value one = weights ? weights : node.scalar(1, element);
    weights = node.select(isIgnored, node.scalar(0, element), one);
  }
  if (weights)
    loss = node.binary(BinaryKind::mul, loss, weights);
  if (reduction == 0)
    return loss;
  if (reduction == 2 && !weights)
    return node.reduce(ReduceKind::mean, loss, std::nullopt, false);
  Value sum = node.reduce(ReduceKind::sum, loss, std::nullopt, false);
  if (reduction == 1)
    return sum;
  return node.binary(BinaryKind::div, sum,
                     node.reduce(ReduceKind::sum, weights, std::nullopt, false));
}

static LogicalResult importLikelihoodLoss(Node &node) {
  return node.result(likelihoodLoss(node, node.input(0), node.input(1), node.input(2)));
}

static LogicalResult importCrossEntropy(Node &node) {
  Value logs = node.softmax(node.input(0), 1, /*log=*/true);
  node.setResult(1, logs);
  return node.result(likelihoodLoss(node, logs, node.input(1), node.input(2)));
}

ArrayRef<Operator> lathe::import::normalizationOperators() {
  static constexpr StringRef microsoft = "com.microsoft";
  static const Operator operators[] = {
      {"BatchNormalization",
       {1, 6, 7, 9, 14, 15},
       5,
       5,
       importBatchNorm,
       kFloats,
       "training mode since version 14"},
      {"LayerNormalization", {1, 17}, 2, 3, importLayerNorm, kFloats},
      {"RMSNormalization", {23}, 2, 2, importRmsNorm, kFloats},
      {"SimplifiedLayerNormalization", {1}, 2, 2, importRmsNorm, kFloats},
      {"SkipLayerNormalization", {1}, 3, 5, importSkipLayerNorm<false>, kFloats, "", microsoft},
      {"SkipSimplifiedLayerNormalization",
       {1},
       3,
       4,
       importSkipLayerNorm<true>,
       kFloats,
       "",
       microsoft},
      {"InstanceNormalization", {1, 6, 22}, 3, 3, importInstanceNorm, kFloats},
      {"GroupNormalization", {18, 21}, 3, 3, importGroupNorm, kFloats},
      {"LRN", {1, 13}, 1, 1, importLrn, kFloats},
      {"LpNormalization", {1, 22}, 1, 1, importLpNorm, kFloats},
      {"MeanVarianceNormalization", {9, 13}, 1, 1, importMeanVarianceNorm, kFloats},
      {"Softmax", {1, 11, 13}, 1, 1, importSoftmax<false>, kFloats},
      {"LogSoftmax", {1, 11, 13}, 1, 1, importSoftmax<true>, kFloats},
      {"Hardmax", {1, 11, 13}, 1, 1, importHardmax, kFloats},
      {"NegativeLogLikelihoodLoss", {12, 13, 22}, 2, 3, importLikelihoodLoss, kFloats},
      {"SoftmaxCrossEntropyLoss", {12, 13}, 2, 3, importCrossEntropy, kFloats},
  };
  return operators;
}
