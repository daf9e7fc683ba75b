// Products of numbers that were dequantized from 8-bit floats: the product of these, times the
// scales afterwards. So units that multiply 8-bit floats get them as they are; sums are rounded
// otherwise, which is why it is done on request only. Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lathe/Graph.h"
#include "lib/Graph/ConstantData.h"
#include "lib/Graph/Rewrite.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_SCALEPRODUCTSPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

namespace {

/// An operand of a product: 8-bit floats, and what each is multiplied by.
struct Scaled {
  Value numbers;
  Value scale;         ///< null: nothing
  bool varies = false; ///< a scale for each row, column or filter, not one for all
};

} // namespace

static RankedTensorType getType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

static bool isFloat8(Value value) {
  return isa<Float8E4M3FNType, Float8E5M2Type>(getElementTypeOrSelf(value.getType()));
}

static bool isSingle(Value value) {
  RankedTensorType type = getType(value);
  return type && type.getRank() <= 1 && type.hasStaticShape() && type.getNumElements() == 1;
}

/// Zero points of floats are there to name a type; all bits but the sign are 0.
static bool isZero(Value value) {
  Data data;
  return getConstantValue(value) && load(value, data) &&
         llvm::all_of(data.bytes, [](char byte) { return (byte & 0x7f) == 0; });
}

/// `axis`: the dimension along which scales may lie.
static std::optional<Scaled> matchScaled(Value value, int64_t axis) {
  RankedTensorType type = getType(value);
  if (auto cast = value.getDefiningOp<CastOp>(); cast && type && isFloat8(cast.getInput()))
    return Scaled{cast.getInput(), {}};
  auto op = value.getDefiningOp<DequantizeOp>();
  if (!op || !type || !isFloat8(op.getInput()) || op.getBlockSize() != 0 ||
      (op.getZeroPoint() && !isZero(op.getZeroPoint())))
    return std::nullopt;
  RankedTensorType scales = getType(op.getScale());
  bool varies = !isSingle(op.getScale());
  int64_t given = int64_t(op.getAxis());
  given += given < 0 ? type.getRank() : 0;
  // Of as many as there are of something else the run sees which.
  if (varies && (!scales || scales.getRank() != 1 || given != axis || scales.isDynamicDim(0)))
    return std::nullopt;
  return Scaled{op.getInput(), op.getScale(), varies};
}

static Value castTo(OpBuilder &builder, Location loc, Value value, Type element) {
  RankedTensorType type = getType(value);
  if (type.getElementType() == element)
    return value;
  return CastOp::create(builder, loc, type.clone(element), value).getResult();
}

/// The product times the scale, which lies along the dimension with so many behind it.
static Value multiplyScale(OpBuilder &builder, Value product, const Scaled &operand,
                           int64_t trailing) {
  if (!operand.scale)
    return product;
  Location loc = product.getLoc();
  Value scale = castTo(builder, loc, operand.scale, builder.getF32Type());
  SmallVector<int64_t> shape;
  if (operand.varies) {
    shape.assign(1, getType(scale).getDimSize(0));
    shape.append(trailing, 1);
  }
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  if (type != scale.getType())
    scale = makeReshape(builder, loc, scale, type);
  return BinaryOp::create(builder, loc, product.getType(), BinaryKind::mul, product, scale)
      .getResult();
}

namespace {

struct MatMulOfScaled : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    RankedTensorType left = getType(op.getLhs()), right = getType(op.getRhs()),
                     result = getType(op.getResult());
    if (!left || !right || !result || left.getRank() < 2 || right.getRank() < 2)
      return rewriter.notifyMatchFailure(op, "not a product of matrices");
    auto a = matchScaled(op.getLhs(), left.getRank() - 2),
         b = matchScaled(op.getRhs(), right.getRank() - 1);
    if (!a || !b || (!a->scale && !b->scale))
      return rewriter.notifyMatchFailure(op, "operands are not scaled 8-bit floats");
    Type f32 = rewriter.getF32Type();
    Location loc = op.getLoc();
    Value product =
        MatMulOp::create(rewriter, loc, result.clone(f32), castTo(rewriter, loc, a->numbers, f32),
                         castTo(rewriter, loc, b->numbers, f32))
            .getResult();
    product = multiplyScale(rewriter, product, *a, 1);
    product = multiplyScale(rewriter, product, *b, 0);
    rewriter.replaceOp(op, castTo(rewriter, loc, product, result.getElementType()));
    return success();
  }
};

struct ConvOfScaled : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    RankedTensorType result = getType(op.getResult()), weight = getType(op.getWeight());
    RankedTensorType bias = getType(op.getBias());
    if (!result || !weight || op.getChannelsLast() ||
        (op.getBias() && !(bias && bias.hasStaticShape())))
      return rewriter.notifyMatchFailure(op, "not a convolution with channels first");
    int64_t spatial = weight.getRank() - 2;
    auto x = matchScaled(op.getInput(), -1), w = matchScaled(op.getWeight(), 0);
    if (!x || !w || (!x->scale && !w->scale))
      return rewriter.notifyMatchFailure(op, "operands are not scaled 8-bit floats");
    Type f32 = rewriter.getF32Type();
    Location loc = op.getLoc();
    Value product =
        ConvOp::create(rewriter, loc, result.clone(f32), castTo(rewriter, loc, x->numbers, f32),
                       castTo(rewriter, loc, w->numbers, f32), Value(), op.getStrides(),
                       op.getPads(), op.getDilations(), op.getGroup(), op.getAutoPad(), false)
            .getResult();
    product = multiplyScale(rewriter, product, *x, 0);
    product = multiplyScale(rewriter, product, *w, spatial);
    if (op.getBias()) {
      SmallVector<int64_t> shape(bias.getShape());
      shape.append(spatial, 1);
      Value added = makeReshape(rewriter, loc, castTo(rewriter, loc, op.getBias(), f32),
                                RankedTensorType::get(shape, f32));
      product = BinaryOp::create(rewriter, loc, product.getType(), BinaryKind::add, product, added)
                    .getResult();
    }
    rewriter.replaceOp(op, castTo(rewriter, loc, product, result.getElementType()));
    return success();
  }
};

struct ScaleProductsPass : graph::impl::ScaleProductsPassBase<ScaleProductsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MatMulOfScaled, ConvOfScaled>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), getRewriteConfig())))
      signalPassFailure();
  }
};

} // namespace
