// Canonicalization: one form for what models write in many.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe::graph;

//===----------------------------------------------------------------------===//
// Reshapes
//===----------------------------------------------------------------------===//

namespace {

/// A reshape by a constant shape to known sizes has these as its shape. Where only the run knows
/// part of either, it is the shape that says whether the elements fit.
struct ConstantShape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getResult().getType());
    if (!type || !isReshapeTarget(type))
      return rewriter.notifyMatchFailure(op, "sizes are not known");
    std::optional<SmallVector<int64_t>> given = getIntegers(op.getShape());
    if (!given || (!type.hasStaticShape() && llvm::is_contained(*given, 0)))
      return rewriter.notifyMatchFailure(op, "the shape decides");
    SmallVector<int64_t> shape(type.getShape());
    for (int64_t &size : shape)
      if (ShapedType::isDynamic(size))
        size = -1;
    if (given == shape)
      return rewriter.notifyMatchFailure(op, "shape is canonical");
    Value constant = makeIntegers(rewriter, op.getLoc(), shape);
    rewriter.modifyOpInPlace(op, [&] {
      op.getShapeMutable().assign(constant);
      op.setAllowZero(false);
    });
    return success();
  }
};

bool isReshaping(Operation *op) {
  return isa_and_nonnull<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(op);
}

} // namespace

bool lathe::graph::alwaysFits(Operation *op) {
  if (isa<FlattenOp, UnsqueezeOp>(op))
    return true;
  auto from = cast<ShapedType>(op->getOperand(0).getType());
  auto to = cast<ShapedType>(op->getResult(0).getType());
  if (!from.hasRank() || !to.hasRank())
    return false;
  // Static sizes, of the dimensions that are not copied, and how many others there are.
  int64_t held = 1, wanted = 1, unknown = 0;
  bool hasComputed = false;
  llvm::SmallBitVector copied(from.getRank());
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    std::optional<SmallVector<int64_t>> shape = getIntegers(reshape.getShape());
    if (!shape)
      return false;
    for (auto [i, size] : llvm::enumerate(*shape)) {
      if (size == 0 && (reshape.getAllowZero() || int64_t(i) >= from.getRank()))
        return false;
      if (size == 0)
        copied.set(i);
      else if (size < 0)
        hasComputed = true;
      else if (llvm::MulOverflow(wanted, size, wanted))
        return false;
    }
  } else { // a squeeze: what it drops must be known to be 1
    for (int64_t size : to.getShape()) {
      unknown -= ShapedType::isDynamic(size);
      if (!ShapedType::isDynamic(size) && llvm::MulOverflow(wanted, size, wanted))
        return false;
    }
  }
  for (auto [i, size] : llvm::enumerate(from.getShape())) {
    if (copied.test(i))
      continue;
    unknown += ShapedType::isDynamic(size);
    if (!ShapedType::isDynamic(size) && llvm::MulOverflow(held, size, held))
      return false;
  }
  return hasComputed ? held % wanted == 0 : unknown == 0 && held == wanted;
}

namespace {

/// reshape(reshape(x)) is one reshape, whichever operations did it.
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    Operation *inner = op.getData().getDefiningOp();
    if (!isReshaping(inner))
      return rewriter.notifyMatchFailure(op, "data is not reshaped before");
    if (!alwaysFits(inner))
      return rewriter.notifyMatchFailure(op, "the reshape before may be impossible");
    std::optional<SmallVector<int64_t>> shape = getIntegers(op.getShape());
    if (!shape)
      return rewriter.notifyMatchFailure(op, "shape is computed");
    // A size copied from the inner result must be known to be that of the source.
    if (!op.getAllowZero() && llvm::is_contained(*shape, 0))
      return rewriter.notifyMatchFailure(op, "copies sizes");
    rewriter.modifyOpInPlace(op, [&] { op.getDataMutable().assign(inner->getOperand(0)); });
    return success();
  }
};

/// flatten, squeeze and unsqueeze after another reshape become a reshape, which then merges.
template <typename Op> struct ToReshape : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Operation *inner = op.getData().getDefiningOp();
    if (!isReshaping(inner) || !alwaysFits(inner) || !alwaysFits(op) ||
        !isReshapeTarget(op.getResult().getType()))
      return rewriter.notifyMatchFailure(op, "not after a reshape, or sizes unknown");
    Value reshaped = makeReshape(rewriter, op.getLoc(), inner->getOperand(0),
                                 cast<RankedTensorType>(op.getResult().getType()));
    if (reshaped.getType() != op.getResult().getType())
      return failure();
    rewriter.replaceOp(op, reshaped);
    return success();
  }
};

/// matmul(reshape(x), W) with a matrix W and rows of x merged before: multiplies first, so that the
/// reshape meets the one that usually follows.
struct MatMulBeforeReshape : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    auto reshape = op.getLhs().getDefiningOp<ReshapeOp>();
    auto weight = dyn_cast<RankedTensorType>(op.getRhs().getType());
    auto result = dyn_cast<RankedTensorType>(op.getResult().getType());
    if (!reshape || !weight || weight.getRank() != 2 || !result || result.getRank() != 2 ||
        !isReshapeTarget(result) || ShapedType::isDynamic(weight.getDimSize(0)))
      return rewriter.notifyMatchFailure(op, "not a reshaped matrix times a matrix");
    auto source = dyn_cast<RankedTensorType>(reshape.getData().getType());
    if (!source || source.getRank() < 3 ||
        source.getDimSize(source.getRank() - 1) != weight.getDimSize(0))
      return rewriter.notifyMatchFailure(op, "the reshape does not merge rows only");
    SmallVector<int64_t> shape(source.getShape().drop_back());
    shape.push_back(weight.getDimSize(1));
    auto type = RankedTensorType::get(shape, result.getElementType());
    Value product =
        MatMulOp::create(rewriter, op.getLoc(), type, reshape.getData(), op.getRhs()).getResult();
    rewriter.replaceOp(op, makeReshape(rewriter, op.getLoc(), product, result));
    return success();
  }
};

/// The reshape that gives the value and nothing else, when its last dimension stays.
ReshapeOp getSinkable(Value value) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  return reshape && reshape.getResult().hasOneUse() &&
                 isa<RankedTensorType>(reshape.getData().getType()) &&
                 isa<RankedTensorType>(reshape.getResult().getType())
             ? reshape
             : ReshapeOp();
}

/// Replaces `op` by the reshape of what `clone`, a copy of it on the unreshaped operand, gives.
void sinkReshape(PatternRewriter &rewriter, Operation *op, ReshapeOp reshape, unsigned operand) {
  Operation *clone = rewriter.clone(*op);
  clone->setOperand(operand, reshape.getData());
  clone->getResult(0).setType(
      RankedTensorType::get(cast<RankedTensorType>(reshape.getData().getType()).getShape(),
                            getElementTypeOrSelf(op->getResult(0).getType())));
  rewriter.replaceOpWithNewOp<ReshapeOp>(op, op->getResult(0).getType(), clone->getResult(0),
                                         reshape.getShape(), reshape.getAllowZero());
}

/// f(reshape(x)) is reshape(f(x)): functions stay with what they follow, and reshapes meet.
template <typename Op> struct SinkBelowUnary : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    ReshapeOp reshape = getSinkable(op.getInput());
    if (!reshape || cast<RankedTensorType>(reshape.getResult().getType()).getShape() !=
                        cast<ShapedType>(op.getResult().getType()).getShape())
      return rewriter.notifyMatchFailure(op, "not of a reshape");
    sinkReshape(rewriter, op, reshape, 0);
    return success();
  }
};

/// reshape(x) + b is reshape(x + b) for a scalar b, or a vector along a last dimension that stays.
struct SinkBelowBinary : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    auto result = dyn_cast<RankedTensorType>(op.getResult().getType());
    for (unsigned i : {0u, 1u}) {
      ReshapeOp reshape = result ? getSinkable(op->getOperand(i)) : ReshapeOp();
      auto other = dyn_cast<RankedTensorType>(op->getOperand(1 - i).getType());
      if (!reshape || !other || other.getRank() > 1)
        continue;
      auto from = cast<RankedTensorType>(reshape.getData().getType());
      auto to = cast<RankedTensorType>(reshape.getResult().getType());
      if (to.getShape() != result.getShape() || from.getRank() == 0)
        continue;
      // The reshape must keep the columns that a vector belongs to.
      int64_t last = from.getShape().back();
      bool isScalar = other.getRank() == 0 || other.getDimSize(0) == 1;
      if (!isScalar && (ShapedType::isDynamic(last) || other.getDimSize(0) != last ||
                        to.getShape().back() != last))
        continue;
      sinkReshape(rewriter, op, reshape, i);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "not of a reshape and a vector");
  }
};

/// Zeros put around the image are pads of the convolution.
struct PadIntoConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    auto pad = op.getInput().getDefiningOp<PadOp>();
    if (!pad || pad.getMode() != PadMode::constant || op.getAutoPad() != AutoPad::none)
      return rewriter.notifyMatchFailure(op, "input is not padded, or pads are not known");
    if (pad.getValue() && getSplat(pad.getValue()) != 0.0)
      return rewriter.notifyMatchFailure(op, "padded by something else than 0");
    std::optional<SmallVector<int64_t>> sizes = getIntegers(pad.getPads());
    int64_t spatial = op.getStrides().size(), first = op.getChannelsLast() ? 1 : 2;
    SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, spatial + 2));
    if (pad.getAxes()) {
      auto given = getIntegers(pad.getAxes());
      if (!given)
        return rewriter.notifyMatchFailure(op, "padded dimensions are computed");
      axes = *given;
    }
    if (!sizes || sizes->size() != 2 * axes.size())
      return rewriter.notifyMatchFailure(op, "sizes of pads are computed");
    SmallVector<int64_t> pads(op.getPads());
    for (auto [i, axis] : llvm::enumerate(axes)) {
      int64_t begin = (*sizes)[i], end = (*sizes)[i + axes.size()];
      int64_t dim = (axis < 0 ? axis + spatial + 2 : axis) - first;
      if (begin == 0 && end == 0)
        continue;
      if (dim < 0 || dim >= spatial || begin < 0 || end < 0 || begin > (1 << 30) || end > (1 << 30))
        return rewriter.notifyMatchFailure(op, "pads other dimensions, or crops");
      pads[dim] += begin;
      pads[dim + spatial] += end;
    }
    if (llvm::any_of(pads, [](int64_t size) { return size > (int64_t(1) << 31); }))
      return rewriter.notifyMatchFailure(op, "pads are too large");
    rewriter.modifyOpInPlace(op, [&] {
      op.getInputMutable().assign(pad.getData());
      op.setPads(pads);
    });
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Transposes
//===----------------------------------------------------------------------===//

struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getData().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "data is not transposed before");
    SmallVector<int64_t> perm;
    for (int64_t dim : op.getPerm())
      perm.push_back(inner.getPerm()[dim]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getResult().getType(), inner.getData(), perm);
    return success();
  }
};

/// A transpose that moves only dimensions of size 1 is a reshape.
struct TransposeToReshape : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getData().getType());
    if (!type || !isReshapeTarget(op.getResult().getType()))
      return rewriter.notifyMatchFailure(op, "sizes are not known");
    int64_t last = -1;
    for (int64_t dim : op.getPerm()) {
      if (type.getDimSize(dim) == 1)
        continue;
      if (dim < last)
        return rewriter.notifyMatchFailure(op, "moves data");
      last = dim;
    }
    auto resultType = cast<RankedTensorType>(op.getResult().getType());
    if (resultType == type && !type.hasStaticShape() &&
        !llvm::equal(op.getPerm(), llvm::seq<int64_t>(0, type.getRank())))
      return rewriter.notifyMatchFailure(op, "types hide what moves");
    rewriter.replaceOp(op, makeReshape(rewriter, op.getLoc(), op.getData(), resultType));
    return success();
  }
};

/// What is the same everywhere is so in any order.
struct TransposeFull : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto full = op.getData().getDefiningOp<FullOp>();
    auto type = dyn_cast<RankedTensorType>(op.getResult().getType());
    if (!full || !type || !type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "no filled tensor of known sizes");
    Value shape = makeIntegers(rewriter, op.getLoc(), type.getShape());
    rewriter.replaceOpWithNewOp<FullOp>(op, type, shape, full.getValue());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Cuts and joins
//===----------------------------------------------------------------------===//

/// concat(concat(a, b), c) along one axis is concat(a, b, c); empty inputs go.
struct FlattenConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    SmallVector<Value> inputs;
    for (Value input : op.getInputs()) {
      auto type = dyn_cast<RankedTensorType>(input.getType());
      if (!type)
        return rewriter.notifyMatchFailure(op, "unknown rank");
      auto inner = input.getDefiningOp<ConcatOp>();
      if (inner && inner.getAxis() == op.getAxis() && inner.getResult().hasOneUse())
        llvm::append_range(inputs, inner.getInputs());
      else if (type.getDimSize(op.getAxis()) != 0)
        inputs.push_back(input);
    }
    if (inputs.empty() || inputs.size() > 4096 || llvm::equal(inputs, op.getInputs()))
      return rewriter.notifyMatchFailure(op, "nothing to flatten");
    rewriter.modifyOpInPlace(op, [&] { op.getInputsMutable().assign(inputs); });
    return success();
  }
};

/// A split into one part is its input.
struct SingleSplit : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op, PatternRewriter &rewriter) const override {
    if (op.getNumResults() != 1 || op.getResult(0).getType() != op.getData().getType())
      return rewriter.notifyMatchFailure(op, "more than one part");
    rewriter.replaceOp(op, op.getData());
    return success();
  }
};

/// Slices carry their axes and steps, so that later stages need not supply defaults.
struct ExplicitSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getStarts().getType());
    if (op.getAxes() || !type || !type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "axes are given, or their number is unknown");
    Value axes = makeIntegers(rewriter, op.getLoc(),
                              llvm::to_vector(llvm::seq<int64_t>(0, type.getDimSize(0))));
    rewriter.modifyOpInPlace(op, [&] { op.getAxesMutable().assign(axes); });
    return success();
  }
};

/// The sizes of a transposed tensor are those of the tensor in another order.
struct ShapeOfTranspose : OpRewritePattern<ShapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ShapeOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getData().getDefiningOp<TransposeOp>();
    auto type = dyn_cast<RankedTensorType>(op.getResult().getType());
    if (!transpose || !type || !type.hasStaticShape() || op.getStart() < 0 ||
        int64_t(op.getStart()) + type.getDimSize(0) > int64_t(transpose.getPerm().size()))
      return rewriter.notifyMatchFailure(op, "not of a transpose");
    auto all = RankedTensorType::get({int64_t(transpose.getPerm().size())}, rewriter.getI64Type());
    Value sizes = ShapeOp::create(rewriter, op.getLoc(), all, transpose.getData()).getResult();
    Value order = makeIntegers(rewriter, op.getLoc(),
                               transpose.getPerm().slice(op.getStart(), type.getDimSize(0)));
    rewriter.replaceOpWithNewOp<GatherOp>(op, type, sizes, order, /*axis=*/0);
    return success();
  }
};

/// Reductions one after another over different dimensions are one.
struct MergeReductions : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ReduceOp>();
    if (!inner || !inner.getResult().hasOneUse() || inner.getKind() != op.getKind() ||
        inner.getKeepDims() != op.getKeepDims() || !inner.getAxes() || !op.getAxes())
      return rewriter.notifyMatchFailure(op, "not a reduction of a like one");
    if (!llvm::is_contained(
            {ReduceKind::sum, ReduceKind::mean, ReduceKind::prod, ReduceKind::max, ReduceKind::min},
            op.getKind()))
      return rewriter.notifyMatchFailure(op, "does not compose");
    auto type = dyn_cast<RankedTensorType>(inner.getInput().getType());
    if (!type)
      return rewriter.notifyMatchFailure(op, "rank is not known");
    SmallVector<int64_t> axes(*inner.getAxes()), outer(*op.getAxes());
    // The outer axes count what the inner reduction has left.
    SmallVector<int64_t> remaining;
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      if (op.getKeepDims() || !llvm::is_contained(*inner.getAxes(), dim))
        remaining.push_back(dim);
    for (int64_t axis : outer) {
      if (axis < 0 || axis >= int64_t(remaining.size()))
        return failure();
      if (!llvm::is_contained(axes, remaining[axis]))
        axes.push_back(remaining[axis]);
    }
    llvm::sort(axes);
    rewriter.replaceOpWithNewOp<ReduceOp>(op, op.getResult().getType(), op.getKind(),
                                          inner.getInput(), rewriter.getDenseI64ArrayAttr(axes),
                                          op.getKeepDims());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// pow(x, 2) is x * x.
struct SquareToMul : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    if (op.getKind() != BinaryKind::pow || getSplat(op.getRhs()) != 2.0 ||
        op.getLhs().getType() != op.getResult().getType())
      return rewriter.notifyMatchFailure(op, "not a square");
    auto exponent = dyn_cast<RankedTensorType>(op.getRhs().getType());
    auto base = dyn_cast<RankedTensorType>(op.getLhs().getType());
    if (!exponent || !base || exponent.getRank() > base.getRank())
      return rewriter.notifyMatchFailure(op, "the exponent may add dimensions");
    rewriter.replaceOpWithNewOp<BinaryOp>(op, op.getResult().getType(), BinaryKind::mul,
                                          op.getLhs(), op.getLhs());
    return success();
  }
};

/// Constants of commutative operations stand on the right.
struct ConstantRight : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BinaryOp op, PatternRewriter &rewriter) const override {
    if ((op.getKind() != BinaryKind::add && op.getKind() != BinaryKind::mul) ||
        !getConstantValue(op.getLhs()) || getConstantValue(op.getRhs()))
      return rewriter.notifyMatchFailure(op, "no constant to move");
    rewriter.modifyOpInPlace(op, [&] {
      Value lhs = op.getLhs();
      op.getLhsMutable().assign(op.getRhs());
      op.getRhsMutable().assign(lhs);
    });
    return success();
  }
};

/// relu(relu(x)) and abs(abs(x)) once; neg(neg(x)) and not(not(x)) not at all.
struct MergeUnary : OpRewritePattern<UnaryOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(UnaryOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<UnaryOp>();
    if (!inner || inner.getKind() != op.getKind())
      return rewriter.notifyMatchFailure(op, "not the same function twice");
    switch (op.getKind()) {
    case UnaryKind::relu:
    case UnaryKind::abs:
    case UnaryKind::floor:
    case UnaryKind::ceil:
    case UnaryKind::round:
      rewriter.replaceOp(op, inner.getResult());
      return success();
    case UnaryKind::neg:
    case UnaryKind::logical_not:
    case UnaryKind::bitwise_not:
      rewriter.replaceOp(op, inner.getInput());
      return success();
    default:
      return failure();
    }
  }
};

} // namespace

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ConstantShape, MergeReshapes>(context);
}

void ConvOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<PadIntoConv>(context);
}

void MatMulOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MatMulBeforeReshape>(context);
}

void FlattenOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ToReshape<FlattenOp>>(context);
}

void SqueezeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ToReshape<SqueezeOp>>(context);
}

void UnsqueezeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ToReshape<UnsqueezeOp>>(context);
}

void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeTransposes, TransposeFull, TransposeToReshape>(context);
}

void ConcatOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<FlattenConcat>(context);
}

void SplitOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SingleSplit>(context);
}

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ExplicitSlice>(context);
}

void ShapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ShapeOfTranspose>(context);
}

void ReduceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeReductions>(context);
}

void BinaryOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SquareToMul, ConstantRight, SinkBelowBinary>(context);
}

void UnaryOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeUnary, SinkBelowUnary<UnaryOp>>(context);
}
