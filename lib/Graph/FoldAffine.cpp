// Folding of per-channel scales and shifts (batch normalization above all) into weights.
//
// A batch normalization with constant statistics is x * s + t. A product with a constant that
// varies along the channels only moves into the weights of a convolution or matrix product before
// it, a sum into its bias. The new weights are graph operations on constants, which constant
// folding evaluates.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lathe/Graph.h"
#include "lib/Graph/Rewrite.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_FOLDBATCHNORMPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

static RankedTensorType getType(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }

static bool isFloatConstant(Value value) {
  RankedTensorType type = value ? getType(value) : RankedTensorType();
  return type && type.hasStaticShape() && isa<FloatType>(type.getElementType()) &&
         getConstantValue(value);
}

static Value makeBinary(OpBuilder &builder, Location loc, BinaryKind kind, Value lhs, Value rhs,
                        RankedTensorType type) {
  return BinaryOp::create(builder, loc, type, kind, lhs, rhs).getResult();
}

namespace {

/// batch_norm with constant parameters is a product and a sum. Of half-precision numbers only where
/// weights may take both: x * s + t cancels what (x - mean) does not, and there the lowering counts
/// in f32.
struct DecomposeBatchNorm : OpRewritePattern<BatchNormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BatchNormOp op, PatternRewriter &rewriter) const override {
    RankedTensorType type = getType(op.getInput());
    if (!type || type.getRank() < 2 || type != op.getResult().getType())
      return rewriter.notifyMatchFailure(op, "rank is not known");
    RankedTensorType vector;
    for (Value value : {op.getScale(), op.getBias(), op.getMean(), op.getVariance()}) {
      if (!isFloatConstant(value) || (vector && getType(value) != vector) ||
          getType(value).getRank() != 1 || getType(value).getElementType() != type.getElementType())
        return rewriter.notifyMatchFailure(op, "parameters are not constants of one type");
      vector = getType(value);
    }
    Operation *source = op.getInput().getDefiningOp();
    Type element = type.getElementType();
    bool isNarrow = element.getIntOrFloatBitWidth() < 32;
    if (isNarrow && !isa_and_nonnull<ConvOp, ConvTransposeOp, MatMulOp>(source))
      return rewriter.notifyMatchFailure(op, "nothing takes the scale of half-precision numbers");
    Location loc = op.getLoc();
    // The parameters are computed in f32 and rounded once.
    RankedTensorType given = vector;
    if (isNarrow)
      vector = given.clone(rewriter.getF32Type());
    auto cast = [&](Value value, RankedTensorType to) -> Value {
      return value.getType() == to ? value : CastOp::create(rewriter, loc, to, value).getResult();
    };
    auto scalar = RankedTensorType::get({}, vector.getElementType());
    Value epsilon =
        ConstantOp::create(
            rewriter, loc, scalar,
            DenseElementsAttr::get(scalar, rewriter.getFloatAttr(vector.getElementType(),
                                                                 op.getEpsilon().convertToFloat())))
            .getResult();
    Value shifted =
        makeBinary(rewriter, loc, BinaryKind::add, cast(op.getVariance(), vector), epsilon, vector);
    Value deviation = UnaryOp::create(rewriter, loc, vector, UnaryKind::sqrt, shifted).getResult();
    Value scale =
        makeBinary(rewriter, loc, BinaryKind::div, cast(op.getScale(), vector), deviation, vector);
    Value moved =
        makeBinary(rewriter, loc, BinaryKind::mul, cast(op.getMean(), vector), scale, vector);
    Value shift =
        makeBinary(rewriter, loc, BinaryKind::sub, cast(op.getBias(), vector), moved, vector);
    SmallVector<int64_t> shape(type.getRank() - 1, 1);
    shape[0] = vector.getDimSize(0);
    auto perChannel = RankedTensorType::get(shape, element);
    Value product = makeBinary(rewriter, loc, BinaryKind::mul, op.getInput(),
                               makeReshape(rewriter, loc, cast(scale, given), perChannel), type);
    rewriter.replaceOpWithNewOp<BinaryOp>(
        op, type, BinaryKind::add, product,
        makeReshape(rewriter, loc, cast(shift, given), perChannel));
    return success();
  }
};

/// The constant operand of a product or sum, and the other one.
struct ConstantOperand {
  Value constant, other;
};

} // namespace

static std::optional<ConstantOperand> getConstantOperand(BinaryOp op) {
  if (isFloatConstant(op.getRhs()))
    return ConstantOperand{op.getRhs(), op.getLhs()};
  if (isFloatConstant(op.getLhs()))
    return ConstantOperand{op.getLhs(), op.getRhs()};
  return std::nullopt;
}

/// The constant as a vector (or scalar) over `channels`, when it varies along dimension `axis` of a
/// tensor of the given rank only; null otherwise.
static Value getPerChannel(OpBuilder &builder, Location loc, Value constant, int64_t rank,
                           int64_t axis, int64_t channels) {
  RankedTensorType type = getType(constant);
  if (type.getRank() > rank)
    return {};
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    bool isChannel = int64_t(i) + rank - type.getRank() == axis;
    if (size != 1 && (!isChannel || size != channels))
      return {};
  }
  // One number for all channels is spread, so that both cases go the same way.
  auto vector = RankedTensorType::get({type.getNumElements()}, type.getElementType());
  Value flat = makeReshape(builder, loc, constant, vector);
  if (vector.getDimSize(0) == channels)
    return flat;
  auto full = RankedTensorType::get({channels}, type.getElementType());
  return ExpandOp::create(builder, loc, full, flat, makeIntegers(builder, loc, {channels}))
      .getResult();
}

namespace {

/// What the patterns need to know about a convolution: where its channels are.
struct Channels {
  int64_t axis;       // in the result
  int64_t count;      // filters
  int64_t weightAxis; // in the weight
};

std::optional<Channels> getChannels(ConvOp op) {
  RankedTensorType weight = getType(op.getWeight());
  if (!weight || !getType(op.getResult()) || !isFloatConstant(op.getWeight()))
    return std::nullopt;
  int64_t last = weight.getRank() - 1, axis = op.getChannelsLast() ? last : 0;
  return Channels{op.getChannelsLast() ? last : 1, weight.getDimSize(axis), axis};
}

std::optional<Channels> getChannels(ConvTransposeOp op) {
  // With groups a filter's channel is spread over two dimensions of the weight.
  RankedTensorType weight = getType(op.getWeight());
  if (!weight || !getType(op.getResult()) || !isFloatConstant(op.getWeight()) || op.getGroup() != 1)
    return std::nullopt;
  return Channels{1, weight.getDimSize(1), 1};
}

template <typename Conv> struct ScaleIntoConv : OpRewritePattern<BinaryOp> {
  using OpRewritePattern<BinaryOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    bool isQuotient = op.getKind() == BinaryKind::div;
    if (op.getKind() != BinaryKind::mul && !isQuotient)
      return rewriter.notifyMatchFailure(op, "not a product");
    std::optional<ConstantOperand> operands = getConstantOperand(op);
    if (!operands || (isQuotient && operands->constant != op.getRhs()))
      return rewriter.notifyMatchFailure(op, "no constant factor");
    auto conv = operands->other.template getDefiningOp<Conv>();
    if (!conv || !conv.getResult().hasOneUse() ||
        conv.getResult().getType() != op.getResult().getType())
      return rewriter.notifyMatchFailure(op, "not the only use of a convolution");
    std::optional<Channels> channels = getChannels(conv);
    if (!channels || (conv.getBias() && !isFloatConstant(conv.getBias())))
      return rewriter.notifyMatchFailure(op, "weights are not constant");
    Location loc = rewriter.getFusedLoc({conv.getLoc(), op.getLoc()});
    RankedTensorType weightType = getType(conv.getWeight());
    Value factor = getPerChannel(rewriter, loc, operands->constant, weightType.getRank(),
                                 channels->axis, channels->count);
    if (!factor)
      return rewriter.notifyMatchFailure(op, "the factor varies within channels");
    SmallVector<int64_t> shape(weightType.getRank(), 1);
    shape[channels->weightAxis] = channels->count;
    Value spread = makeReshape(rewriter, loc, factor,
                               RankedTensorType::get(shape, weightType.getElementType()));
    Value weight = makeBinary(rewriter, loc, op.getKind(), conv.getWeight(), spread, weightType);
    Value bias = conv.getBias();
    if (bias)
      bias = makeBinary(rewriter, loc, op.getKind(), bias, factor, getType(bias));
    rewriter.modifyOpInPlace(conv, [&] {
      conv.getWeightMutable().assign(weight);
      if (bias)
        conv.getBiasMutable().assign(bias);
      conv->setLoc(loc);
    });
    rewriter.replaceOp(op, conv.getResult());
    return success();
  }
};

template <typename Conv> struct ShiftIntoConv : OpRewritePattern<BinaryOp> {
  using OpRewritePattern<BinaryOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    bool isDifference = op.getKind() == BinaryKind::sub;
    if (op.getKind() != BinaryKind::add && !isDifference)
      return rewriter.notifyMatchFailure(op, "not a sum");
    std::optional<ConstantOperand> operands = getConstantOperand(op);
    if (!operands || (isDifference && operands->constant != op.getRhs()))
      return rewriter.notifyMatchFailure(op, "no constant term");
    auto conv = operands->other.template getDefiningOp<Conv>();
    if (!conv || !conv.getResult().hasOneUse() ||
        conv.getResult().getType() != op.getResult().getType())
      return rewriter.notifyMatchFailure(op, "not the only use of a convolution");
    std::optional<Channels> channels = getChannels(conv);
    if (!channels || (conv.getBias() && !isFloatConstant(conv.getBias())))
      return rewriter.notifyMatchFailure(op, "weights are not constant");
    Location loc = rewriter.getFusedLoc({conv.getLoc(), op.getLoc()});
    Value term =
        getPerChannel(rewriter, loc, operands->constant, getType(conv.getWeight()).getRank(),
                      channels->axis, channels->count);
    if (!term)
      return rewriter.notifyMatchFailure(op, "the term varies within channels");
    Value bias = term;
    if (conv.getBias())
      bias = makeBinary(rewriter, loc, op.getKind(), conv.getBias(), term, getType(term));
    else if (isDifference)
      bias = UnaryOp::create(rewriter, loc, getType(term), UnaryKind::neg, term).getResult();
    rewriter.modifyOpInPlace(conv, [&] {
      conv.getBiasMutable().assign(bias);
      conv->setLoc(loc);
    });
    rewriter.replaceOp(op, conv.getResult());
    return success();
  }
};

/// (x W) * s = x (W * s) for a constant s along the columns.
struct ScaleIntoMatMul : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    if (op.getKind() != BinaryKind::mul)
      return rewriter.notifyMatchFailure(op, "not a product");
    std::optional<ConstantOperand> operands = getConstantOperand(op);
    // The sum of a bias may stand between the product and the scale.
    Value source = operands ? operands->other : Value();
    auto sum = source ? source.getDefiningOp<BinaryOp>() : BinaryOp();
    std::optional<ConstantOperand> bias;
    if (sum && sum.getKind() == BinaryKind::add && sum.getResult().hasOneUse())
      if ((bias = getConstantOperand(sum)))
        source = bias->other;
    auto matmul = source ? source.getDefiningOp<MatMulOp>() : MatMulOp();
    if (!matmul || !matmul.getResult().hasOneUse() || !isFloatConstant(matmul.getRhs()) ||
        matmul.getResult().getType() != op.getResult().getType())
      return rewriter.notifyMatchFailure(op, "not the only use of a product with a constant");
    RankedTensorType weight = getType(matmul.getRhs()), type = getType(matmul.getResult());
    if (!type || weight.getRank() != 2)
      return rewriter.notifyMatchFailure(op, "weights are not a matrix");
    if (bias && (getType(bias->constant).getRank() != 1 ||
                 getType(bias->constant).getDimSize(0) != weight.getDimSize(1)))
      return rewriter.notifyMatchFailure(op, "the sum is not a bias");
    Location loc = rewriter.getFusedLoc({matmul.getLoc(), op.getLoc()});
    Value factor = getPerChannel(rewriter, loc, operands->constant, type.getRank(),
                                 type.getRank() - 1, weight.getDimSize(1));
    if (!factor)
      return rewriter.notifyMatchFailure(op, "the factor varies within columns");
    Value scaled = makeBinary(rewriter, loc, BinaryKind::mul, matmul.getRhs(), factor, weight);
    rewriter.modifyOpInPlace(matmul, [&] { matmul.getRhsMutable().assign(scaled); });
    if (!bias) {
      rewriter.replaceOp(op, matmul.getResult());
      return success();
    }
    Value shift =
        makeBinary(rewriter, loc, BinaryKind::mul, bias->constant, factor, getType(bias->constant));
    rewriter.replaceOpWithNewOp<BinaryOp>(op, type, BinaryKind::add, matmul.getResult(), shift);
    return success();
  }
};

} // namespace

LogicalResult lathe::foldBatchNorm(func::FuncOp function) {
  RewritePatternSet patterns(function.getContext());
  patterns.add<DecomposeBatchNorm, ScaleIntoConv<ConvOp>, ScaleIntoConv<ConvTransposeOp>,
               ShiftIntoConv<ConvOp>, ShiftIntoConv<ConvTransposeOp>, ScaleIntoMatMul>(
      function.getContext());
  populateSimplifyPatterns(patterns);
  (void)applyPatternsGreedily(function, std::move(patterns), getRewriteConfig());
  return success();
}

namespace {
struct FoldBatchNormPass : graph::impl::FoldBatchNormPassBase<FoldBatchNormPass> {
  void runOnOperation() override {
    if (failed(foldBatchNorm(getOperation())))
      signalPassFailure();
  }
};
} // namespace
