// Quantization that exporters spell out: between the layers, numbers are dequantized, moved, and
// quantized again; around a layer, operands are dequantized for an f32 product.
//
// A quantization moves before what only moves elements, so that bytes are moved instead of floats
// and it meets the product that it belongs to. A product of dequantized numbers is the product of
// the integers times both scales; its sum is exact.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lathe/Graph.h"
#include "lib/Graph/Rewrite.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_FOLDQUANTIZATIONPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

static RankedTensorType getType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

/// One number for all elements: a scalar or a tensor of one element, of rank at most 1.
static bool isSingle(Value value) {
  RankedTensorType type = getType(value);
  return type && type.getRank() <= 1 && type.hasStaticShape() && type.getNumElements() == 1;
}

static bool isSameConstant(Value a, Value b) {
  if (!a || !b)
    return !a && !b;
  return a == b || (getConstantValue(a) && getConstantValue(a) == getConstantValue(b));
}

namespace {

/// quantize(moved(x)) is moved(quantize(x)).
struct QuantizeBeforeMoving : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    Operation *move = op.getInput().getDefiningOp();
    if (!move || !isa<ReshapeOp, TransposeOp, ConcatOp, UnsqueezeOp, SqueezeOp, FlattenOp>(move) ||
        !op.getInput().hasOneUse())
      return rewriter.notifyMatchFailure(op, "the input is not only moved");
    if (!isSingle(op.getScale()) || (op.getZeroPoint() && !isSingle(op.getZeroPoint())) ||
        op.getBlockSize() != 0 || !getType(op.getResult()))
      return rewriter.notifyMatchFailure(op, "scales vary");
    Type element = getType(op.getResult()).getElementType();
    if (!element.isInteger(8) && !element.isInteger(16))
      return rewriter.notifyMatchFailure(op, "elements are not whole bytes, or need the floats");
    Operation *moved = rewriter.clone(*move);
    rewriter.setInsertionPoint(moved);
    Type source = getElementTypeOrSelf(op.getInput().getType());
    for (OpOperand &operand : moved->getOpOperands()) {
      RankedTensorType type = getType(operand.get());
      // Not the shape of a reshape.
      if (operand.getOperandNumber() > 0 && !isa<ConcatOp>(move))
        break;
      assert((!type || type.getElementType() == source) && "moves keep the type");
      (void)source;
      Type result = type ? Type(RankedTensorType::get(type.getShape(), element))
                         : Type(UnrankedTensorType::get(element));
      operand.set(QuantizeOp::create(rewriter, op.getLoc(), result, operand.get(), op.getScale(),
                                     op.getZeroPoint(), 0, 0, op.getSaturate())
                      .getResult());
    }
    moved->getResult(0).setType(RankedTensorType::get(getType(op.getResult()).getShape(), element));
    rewriter.replaceOp(op, moved->getResults());
    return success();
  }
};

/// quantize(dequantize(x)) with the same scale and zero point is x: at most 16 bits times a normal
/// scale and divided by it again lie next to where they were.
struct QuantizeAgain : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp op, PatternRewriter &rewriter) const override {
    auto source = op.getInput().getDefiningOp<DequantizeOp>();
    if (!source || source.getInput().getType() != op.getResult().getType() ||
        !isSameConstant(source.getScale(), op.getScale()) ||
        !isSameConstant(source.getZeroPoint(), op.getZeroPoint()) || op.getBlockSize() != 0 ||
        source.getBlockSize() != 0)
      return rewriter.notifyMatchFailure(op, "not what was dequantized");
    auto integer = dyn_cast<IntegerType>(getElementTypeOrSelf(op.getResult().getType()));
    auto scale = dyn_cast_or_null<DenseFPElementsAttr>(getConstantValue(op.getScale()));
    bool isNormal = scale && getElementTypeOrSelf(op.getScale().getType()).isF32() &&
                    llvm::all_of(scale.getValues<APFloat>(), [](const APFloat &value) {
                      float number = value.convertToFloat();
                      return number > 1e-30f && number < 1e30f;
                    });
    if (!isNormal || !integer || integer.getWidth() > 16 ||
        (!(isSingle(op.getScale()) && (!op.getZeroPoint() || isSingle(op.getZeroPoint()))) &&
         source.getAxis() != op.getAxis()))
      return rewriter.notifyMatchFailure(op, "rounding might tell");
    rewriter.replaceOp(op, source.getInput());
    return success();
  }
};

/// transpose(dequantize(constant)) is dequantize(transpose(constant)); so of 8-bit floats, of which
/// a product may want the bytes.
struct TransposeQuantized : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto source = op.getData().getDefiningOp<DequantizeOp>();
    Type element = source ? getElementTypeOrSelf(source.getInput().getType()) : Type();
    bool isFloat8 = isa_and_nonnull<Float8E4M3FNType, Float8E5M2Type>(element);
    if (!source || !(isFloat8 || getConstantValue(source.getInput())) ||
        source.getBlockSize() != 0 || !getType(op.getResult()))
      return rewriter.notifyMatchFailure(op, "not a dequantized constant, nor 8-bit floats");
    int64_t axis = source.getAxis();
    if (!isSingle(source.getScale())) {
      const int64_t *place = llvm::find(op.getPerm(), axis);
      if (place == op.getPerm().end())
        return rewriter.notifyMatchFailure(op, "scales lie along no dimension");
      axis = place - op.getPerm().begin();
    }
    auto type = RankedTensorType::get(getType(op.getResult()).getShape(), element);
    Value moved = TransposeOp::create(rewriter, op.getLoc(), type, source.getInput(), op.getPerm())
                      .getResult();
    rewriter.replaceOpWithNewOp<DequantizeOp>(op, op.getResult().getType(), moved,
                                              source.getScale(), source.getZeroPoint(), axis, 0);
    return success();
  }
};

/// Builds the integer product that takes the place of an f32 one.
class IntegerProduct {
public:
  IntegerProduct(PatternRewriter &rewriter, Location loc) : rewriter(rewriter), loc(loc) {}

  /// Whether the value is dequantized from 8 bits, with one scale or (of weights, which are
  /// constants) one for each index of `axis`.
  static DequantizeOp match(Value value, std::optional<int64_t> axis) {
    auto op = value.getDefiningOp<DequantizeOp>();
    RankedTensorType type = op ? getType(op.getInput()) : RankedTensorType();
    if (!type || !type.getElementType().isInteger(8) || op.getBlockSize() != 0 ||
        !getElementTypeOrSelf(op.getResult().getType()).isF32() ||
        (axis && !getConstantValue(op.getInput())))
      return {};
    auto isUsable = [&](Value number) {
      RankedTensorType type = getType(number);
      return !number || isSingle(number) ||
             (axis && int64_t(op.getAxis()) == *axis && type && type.getRank() == 1);
    };
    return isUsable(op.getScale()) && isUsable(op.getZeroPoint()) ? op : DequantizeOp();
  }

  /// x - zero point in i32; one per index lies along the first of `rank` dimensions, else the last.
  Value centre(DequantizeOp op, int64_t rank, bool first) {
    Value wide = cast(op.getInput(), rewriter.getI32Type());
    if (!op.getZeroPoint())
      return wide;
    Value zero = align(cast(op.getZeroPoint(), rewriter.getI32Type()), first ? rank - 1 : 0);
    return BinaryOp::create(rewriter, loc, wide.getType(), BinaryKind::sub, wide, zero).getResult();
  }

  /// The i32 sums times both scales, of type `result`.
  Value scale(Value sums, DequantizeOp x, DequantizeOp w, RankedTensorType result,
              int64_t trailing) {
    RankedTensorType type = getType(w.getScale());
    Value first = isSingle(x.getScale()) ? scalar(x.getScale()) : x.getScale();
    Value both =
        BinaryOp::create(rewriter, loc, type, BinaryKind::mul, w.getScale(), first).getResult();
    return BinaryOp::create(rewriter, loc, result, BinaryKind::mul,
                            cast(sums, rewriter.getF32Type()), align(both, trailing))
        .getResult();
  }

  /// A vector with dimensions of size 1 behind; single numbers as scalars.
  Value align(Value value, int64_t trailing) {
    if (isSingle(value))
      return scalar(value);
    RankedTensorType type = getType(value);
    SmallVector<int64_t> shape(type.getShape());
    shape.append(trailing, 1);
    return trailing ? makeReshape(rewriter, loc, value,
                                  RankedTensorType::get(shape, type.getElementType()))
                    : value;
  }

private:
  Value scalar(Value value) {
    RankedTensorType type = getType(value);
    return type.getRank() == 0 ? value
                               : makeReshape(rewriter, loc, value,
                                             RankedTensorType::get({}, type.getElementType()));
  }
  Value cast(Value value, Type element) {
    return CastOp::create(rewriter, loc, RankedTensorType::get(getType(value).getShape(), element),
                          value)
        .getResult();
  }

  PatternRewriter &rewriter;
  Location loc;
};

/// Sums of more products of 8 bits might leave 32 bits.
constexpr int64_t maxProducts = 1 << 15;

struct ConvOfQuantized : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    RankedTensorType result = getType(op.getResult()), weight = getType(op.getWeight());
    DequantizeOp x = IntegerProduct::match(op.getInput(), std::nullopt),
                 w = IntegerProduct::match(op.getWeight(), 0);
    if (!x || !w || op.getChannelsLast() || !result || !weight || !weight.hasStaticShape() ||
        weight.getNumElements() > maxProducts * weight.getDimSize(0))
      return rewriter.notifyMatchFailure(op, "operands are not dequantized");
    IntegerProduct product(rewriter, op.getLoc());
    int64_t rank = weight.getRank(), spatial = rank - 2;
    auto sumType = RankedTensorType::get(result.getShape(), rewriter.getI32Type());
    Value sums =
        ConvOp::create(rewriter, op.getLoc(), sumType, product.centre(x, rank, false),
                       product.centre(w, rank, true), Value(), op.getStrides(), op.getPads(),
                       op.getDilations(), op.getGroup(), op.getAutoPad(), false)
            .getResult();
    Value scaled = product.scale(sums, x, w, result, spatial);
    if (!op.getBias()) {
      rewriter.replaceOp(op, scaled);
      return success();
    }
    rewriter.replaceOpWithNewOp<BinaryOp>(op, result, BinaryKind::add, scaled,
                                          product.align(op.getBias(), spatial));
    return success();
  }
};

struct MatMulOfQuantized : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    RankedTensorType result = getType(op.getResult()), weight = getType(op.getRhs());
    DequantizeOp x = IntegerProduct::match(op.getLhs(), std::nullopt),
                 w = IntegerProduct::match(op.getRhs(), 1);
    if (!x || !w || !result || weight.getRank() != 2 || getType(x.getInput()).getRank() < 2 ||
        weight.isDynamicDim(0) || weight.getDimSize(0) > maxProducts)
      return rewriter.notifyMatchFailure(op, "operands are not dequantized");
    IntegerProduct product(rewriter, op.getLoc());
    auto sumType = RankedTensorType::get(result.getShape(), rewriter.getI32Type());
    Value sums = MatMulOp::create(rewriter, op.getLoc(), sumType, product.centre(x, 2, false),
                                  product.centre(w, 2, false))
                     .getResult();
    rewriter.replaceOp(op, product.scale(sums, x, w, result, 0));
    return success();
  }
};

} // namespace

LogicalResult lathe::foldQuantization(func::FuncOp function) {
  RewritePatternSet patterns(function.getContext());
  populateSimplifyPatterns(patterns); // transposes of constants
  patterns.add<QuantizeBeforeMoving, QuantizeAgain, TransposeQuantized, ConvOfQuantized,
               MatMulOfQuantized>(function.getContext());
  return applyPatternsGreedily(function, std::move(patterns), getRewriteConfig());
}

namespace {
struct FoldQuantizationPass : graph::impl::FoldQuantizationPassBase<FoldQuantizationPass> {
  void runOnOperation() override {
    if (failed(foldQuantization(getOperation())))
      signalPassFailure();
  }
};
} // namespace
