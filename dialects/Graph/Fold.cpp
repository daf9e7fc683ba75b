// Folders: what an operation is when it does nothing, or only gives a constant another shape.
//
// Arithmetic on constants is not here: small shape arithmetic is folded by shape inference, data by
// lib/Graph/ConstantFold.cpp and the constant evaluator.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/SymbolicShapes.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

static bool isStatic(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  return ranked && ranked.hasStaticShape();
}

/// The operand when it has the result's static type, so that nothing changes.
static OpFoldResult foldSameStaticType(Value operand, Value result) {
  return operand.getType() == result.getType() && isStatic(result.getType()) ? operand
                                                                             : OpFoldResult();
}

/// Reshaping operations: identity, or the constant under another type.
static OpFoldResult foldReshape(Value data, Attribute constant, Value result) {
  if (OpFoldResult same = foldSameStaticType(data, result))
    return same;
  if (auto type = dyn_cast<RankedTensorType>(result.getType()))
    if (TypedAttr reshaped = reshapeConstant(dyn_cast_if_present<TypedAttr>(constant), type))
      return reshaped;
  return {};
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  // A shape that only the run knows may be one that does not fit.
  if (!adaptor.getShape())
    return {};
  return foldReshape(getData(), adaptor.getData(), getResult());
}

OpFoldResult FlattenOp::fold(FoldAdaptor adaptor) {
  if (getData().getType() == getResult().getType() && getAxis() == 1)
    return getData();
  return foldReshape(getData(), adaptor.getData(), getResult());
}

OpFoldResult SqueezeOp::fold(FoldAdaptor adaptor) {
  if (getAxes() && getAxes()->empty() && getData().getType() == getResult().getType())
    return getData();
  return foldReshape(getData(), adaptor.getData(), getResult());
}

OpFoldResult UnsqueezeOp::fold(FoldAdaptor adaptor) {
  if (getAxes().empty() && getData().getType() == getResult().getType())
    return getData();
  // unsqueeze(squeeze(x)) of the same dimensions
  if (auto squeeze = getData().getDefiningOp<SqueezeOp>())
    if (squeeze.getAxes() && *squeeze.getAxes() == getAxes() &&
        squeeze.getData().getType() == getResult().getType())
      return squeeze.getData();
  return foldReshape(getData(), adaptor.getData(), getResult());
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (getData().getType() == getResult().getType() &&
      llvm::equal(getPerm(), llvm::seq<int64_t>(0, getPerm().size())))
    return getData();
  return {};
}

OpFoldResult ExpandOp::fold(FoldAdaptor) { return foldSameStaticType(getData(), getResult()); }

OpFoldResult RequireShapeOp::fold(FoldAdaptor) {
  Type type = getData().getType();
  std::optional<SmallVector<int64_t>> shape = getIntegers(getShape());
  bool holds = shape && type == getResult().getType() && hasSizes(type, *shape);
  return holds ? getData() : OpFoldResult();
}

OpFoldResult RequireRangeOp::fold(FoldAdaptor) {
  std::optional<SmallVector<int64_t>> data = getIntegers(getData()), most;
  if (getMost())
    most = getIntegers(getMost());
  if (!data || (getMost() && !most) || getData().getType() != getResult().getType())
    return {};
  int64_t limit = most && most->size() == 1 ? most->front() : std::numeric_limits<int64_t>::max();
  bool holds = llvm::all_of(*data, [&](int64_t each) { return each >= 0 && each <= limit; });
  return holds ? getData() : OpFoldResult();
}

OpFoldResult TileOp::fold(FoldAdaptor) { return foldSameStaticType(getData(), getResult()); }

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  if (getInputs().size() == 1 && getInputs()[0].getType() == getResult().getType())
    return getInputs()[0];
  return {};
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  // Keeping every element is not enough: negative steps reverse.
  if (getSteps()) {
    std::optional<SmallVector<int64_t>> steps = getIntegers(getSteps());
    if (!steps || llvm::any_of(*steps, [](int64_t step) { return step < 1; }))
      return {};
  }
  if (OpFoldResult same = foldSameStaticType(getData(), getResult()))
    return same;
  // Only the dimensions that are cut must be known to keep their size.
  auto type = dyn_cast<RankedTensorType>(getData().getType());
  std::optional<SmallVector<int64_t>> axes = getIntegers(getAxes());
  if (!type || type != getResult().getType() || !axes)
    return {};
  for (int64_t axis : *axes) {
    int64_t dim = axis < 0 ? axis + type.getRank() : axis;
    if (dim < 0 || dim >= type.getRank() || type.isDynamicDim(dim))
      return {};
  }
  return getData();
}

OpFoldResult PadOp::fold(FoldAdaptor) {
  std::optional<SmallVector<int64_t>> pads = getIntegers(getPads());
  if (pads && llvm::all_of(*pads, [](int64_t pad) { return pad == 0; }) &&
      getData().getType() == getResult().getType())
    return getData();
  return {};
}

OpFoldResult ResizeOp::fold(FoldAdaptor) {
  if (getCoordinates() == ResizeCoordinates::tf_crop_and_resize ||
      getData().getType() != getResult().getType())
    return {};
  // A scale near 1 may keep the size and yet move samples.
  if (getScales())
    return getSplat(getScales()) == 1.0 ? OpFoldResult(getData()) : OpFoldResult();
  return foldSameStaticType(getData(), getResult());
}

OpFoldResult ReduceOp::fold(FoldAdaptor) {
  bool keepsValue = llvm::is_contained(
      {ReduceKind::sum, ReduceKind::mean, ReduceKind::prod, ReduceKind::max, ReduceKind::min},
      getKind());
  if (keepsValue && getAxes() && getAxes()->empty() &&
      getInput().getType() == getResult().getType())
    return getInput();
  return {};
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// Whether x `kind` value is x, bit for bit.
static bool isRightIdentity(BinaryKind kind, double value, bool isFloat) {
  switch (kind) {
  case BinaryKind::mul:
  case BinaryKind::div:
  case BinaryKind::pow:
    return value == 1;
  case BinaryKind::add: // -0 + 0 is 0, but x + -0 is x
    return value == 0 && (!isFloat || std::signbit(value));
  case BinaryKind::sub:
    return value == 0 && (!isFloat || !std::signbit(value));
  case BinaryKind::logical_or:
  case BinaryKind::logical_xor:
  case BinaryKind::bitwise_or:
  case BinaryKind::bitwise_xor:
    return value == 0;
  case BinaryKind::logical_and:
    return value == 1;
  default:
    return false;
  }
}

static bool isCommutative(BinaryKind kind) {
  return llvm::is_contained({BinaryKind::mul, BinaryKind::add, BinaryKind::logical_or,
                             BinaryKind::logical_xor, BinaryKind::bitwise_or,
                             BinaryKind::bitwise_xor, BinaryKind::logical_and},
                            kind);
}

/// Whether broadcasting `other` against `value` leaves the value's shape: it has as many dimensions
/// at most, all of size 1, or the types say so. A size that only the run knows may not fit, which
/// must not go unnoticed.
static bool keepsShape(Value value, Value other, Value result) {
  if (value.getType() != result.getType())
    return false;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  auto otherType = dyn_cast<RankedTensorType>(other.getType());
  if (!type || !otherType || otherType.getRank() > type.getRank())
    return false;
  return (type.hasStaticShape() && otherType.hasStaticShape()) ||
         llvm::all_of(otherType.getShape(), [](int64_t size) { return size == 1; });
}

OpFoldResult BinaryOp::fold(FoldAdaptor) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(getLhs().getType()));
  if (std::optional<double> rhs = getSplat(getRhs()))
    if (isRightIdentity(getKind(), *rhs, isFloat) && keepsShape(getLhs(), getRhs(), getResult()))
      return getLhs();
  if (isCommutative(getKind()))
    if (std::optional<double> lhs = getSplat(getLhs()))
      if (isRightIdentity(getKind(), *lhs, isFloat) && keepsShape(getRhs(), getLhs(), getResult()))
        return getRhs();
  return {};
}

/// Whether what makes the value reads sizes that only the run knows, which may not fit: then it
/// must not be dropped.
static bool mayBeRefused(Value value) {
  Operation *op = value.getDefiningOp();
  return op && !llvm::all_of(op->getOperandTypes(), isStatic);
}

OpFoldResult SelectOp::fold(FoldAdaptor) {
  if (getLhs() == getRhs() && keepsShape(getLhs(), getCondition(), getResult()))
    return getLhs();
  std::optional<double> condition = getSplat(getCondition());
  if (!condition)
    return {};
  Value chosen = *condition ? getLhs() : getRhs(), other = *condition ? getRhs() : getLhs();
  if (!mayBeRefused(other) && keepsShape(chosen, getCondition(), getResult()) &&
      keepsShape(chosen, other, getResult()))
    return chosen;
  return {};
}

/// Whether every value of `from` has its exact image in `to`.
static bool isExactCast(Type from, Type to) {
  if (auto a = dyn_cast<FloatType>(from)) {
    auto b = dyn_cast<FloatType>(to);
    if (!b)
      return false;
    const llvm::fltSemantics &s = a.getFloatSemantics(), &t = b.getFloatSemantics();
    return a == b || (a.getWidth() >= 16 && b.getWidth() > a.getWidth() &&
                      APFloat::semanticsPrecision(s) <= APFloat::semanticsPrecision(t) &&
                      APFloat::semanticsMaxExponent(s) <= APFloat::semanticsMaxExponent(t));
  }
  auto a = dyn_cast<IntegerType>(from), b = dyn_cast<IntegerType>(to);
  if (!a || !b)
    return false;
  if (a.getWidth() == 1)
    return true;
  if (a.isUnsigned() == b.isUnsigned())
    return b.getWidth() >= a.getWidth();
  return a.isUnsigned() && b.getWidth() > a.getWidth();
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getInput().getType() == getResult().getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<CastOp>())
    if (inner.getInput().getType() == getResult().getType() &&
        isExactCast(getElementTypeOrSelf(inner.getInput().getType()),
                    getElementTypeOrSelf(inner.getResult().getType())))
      return inner.getInput();
  return {};
}

namespace {
/// cast(cast(x)) is cast(x) when the inner one loses nothing.
struct MergeCasts : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<CastOp>();
    // Text tells types apart: 0.1 as f32 is no 0.1 as f64.
    if (isa<StringType>(getElementTypeOrSelf(op.getResult().getType())))
      return rewriter.notifyMatchFailure(op, "writes text");
    if (!inner || !isExactCast(getElementTypeOrSelf(inner.getInput().getType()),
                               getElementTypeOrSelf(inner.getResult().getType())))
      return rewriter.notifyMatchFailure(op, "not a cast of an exact cast");
    rewriter.modifyOpInPlace(op, [&] { op.getInputMutable().assign(inner.getInput()); });
    return success();
  }
};
} // namespace

void CastOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeCasts>(context);
}
