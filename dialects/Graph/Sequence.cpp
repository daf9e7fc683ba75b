// Sequences and optionals: verifiers, types, and what is known of them when compiling.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Sequence.h"
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe::graph;

/// Longer splits are left to the run.
static constexpr int64_t kMaxItems = 1024;

static Type elementOf(Value sequence) {
  return cast<SequenceType>(sequence.getType()).getElement();
}

static LogicalResult verifyItem(Operation *op, Type element, Type item) {
  if (isSameKind(element, item))
    return success();
  return op->emitOpError("item of type ") << item << " in a sequence of " << element;
}

/// The type of an item; a declared type that says more is kept.
static void setItemType(SymbolicShapes &shapes, Value result, Type element) {
  if (isa<NoneType>(element) || isa<RankedTensorType>(result.getType()))
    return;
  result.setType(element);
}

LogicalResult SequenceConstructOp::verify() {
  for (Value item : getItems())
    if (failed(verifyItem(*this, elementOf(getResult()), item.getType())))
      return failure();
  return success();
}

LogicalResult SequenceConstructOp::inferShapes(SymbolicShapes &) {
  if (getItems().empty())
    return success();
  Type element = getItems().front().getType();
  for (Value item : getItems().drop_front())
    element = joinTypes(element, item.getType());
  getResult().setType(SequenceType::get(getContext(), element));
  return success();
}

LogicalResult SequenceInsertOp::verify() {
  if (getPosition() && failed(verifyScalar(*this, "position", getPosition())))
    return failure();
  return verifyItem(*this, elementOf(getSequence()), getItem().getType());
}

LogicalResult SequenceInsertOp::inferShapes(SymbolicShapes &) {
  getResult().setType(
      SequenceType::get(getContext(), joinTypes(elementOf(getSequence()), getItem().getType())));
  return success();
}

LogicalResult SequenceEraseOp::verify() {
  return getPosition() ? verifyScalar(*this, "position", getPosition()) : success();
}

LogicalResult SequenceEraseOp::inferShapes(SymbolicShapes &) {
  getResult().setType(getSequence().getType());
  return success();
}

LogicalResult SequenceAtOp::verify() {
  if (failed(verifyScalar(*this, "position", getPosition())))
    return failure();
  return verifyItem(*this, elementOf(getSequence()), getResult().getType());
}

LogicalResult SequenceAtOp::inferShapes(SymbolicShapes &shapes) {
  setItemType(shapes, getResult(), elementOf(getSequence()));
  return success();
}

LogicalResult SequenceLengthOp::verify() { return success(); }

LogicalResult SequenceLengthOp::inferShapes(SymbolicShapes &shapes) {
  return shapes.setDims(getResult(), {});
}

LogicalResult SplitToSequenceOp::verify() {
  if (getSplit() && getRank(getSplit()).value_or(0) > 1)
    return emitOpError("split must be a scalar or have rank 1, got ") << getSplit().getType();
  if (failed(verifyRankAtLeast(*this, "data", getData(), 1)) ||
      failed(verifyAxis(*this, "axis", getAxis(), getRank(getData()))))
    return failure();
  return verifyItem(*this, elementOf(getResult()), getData().getType());
}

LogicalResult SplitToSequenceOp::inferShapes(SymbolicShapes &shapes) {
  auto type = dyn_cast<RankedTensorType>(getData().getType());
  if (!type)
    return success();
  int64_t axis = normalizeAxis(getAxis(), type.getRank());
  setAxis(axis);
  SmallVector<int64_t> shape(type.getShape());
  if (getSplit())
    shape[axis] = ShapedType::kDynamic;
  else if (getKeepDims())
    shape[axis] = 1;
  else
    shape.erase(shape.begin() + axis);
  getResult().setType(
      SequenceType::get(getContext(), RankedTensorType::get(shape, type.getElementType())));
  return success();
}

static std::optional<int64_t> itemRank(Value sequence) {
  auto item = dyn_cast<RankedTensorType>(elementOf(sequence));
  return item ? std::optional(item.getRank()) : std::nullopt;
}

LogicalResult ConcatFromSequenceOp::verify() {
  std::optional<int64_t> rank = itemRank(getSequence());
  if (rank && getNewAxis())
    ++*rank;
  if (failed(verifyAxis(*this, "axis", getAxis(), rank)))
    return failure();
  return verifyItem(*this, elementOf(getSequence()), getResult().getType());
}

LogicalResult ConcatFromSequenceOp::inferShapes(SymbolicShapes &shapes) {
  auto item = dyn_cast<RankedTensorType>(elementOf(getSequence()));
  if (!item)
    return success();
  int64_t axis = normalizeAxis(getAxis(), item.getRank() + getNewAxis());
  setAxis(axis);
  SmallVector<AffineExpr> dims;
  for (int64_t size : item.getShape())
    dims.push_back(ShapedType::isDynamic(size) ? AffineExpr() : shapes.constant(size));
  if (getNewAxis())
    dims.insert(dims.begin() + axis, AffineExpr());
  else
    dims[axis] = AffineExpr();
  return shapes.setDims(getResult(), dims);
}

LogicalResult OptionalConstructOp::verify() {
  Type element = cast<OptionalType>(getResult().getType()).getElement();
  return getValue() ? verifyItem(*this, element, getValue().getType()) : success();
}

LogicalResult OptionalConstructOp::inferShapes(SymbolicShapes &) {
  if (getValue())
    getResult().setType(OptionalType::get(getContext(), getValue().getType()));
  return success();
}

LogicalResult OptionalGetOp::verify() {
  return verifyItem(*this, cast<OptionalType>(getOptional().getType()).getElement(),
                    getResult().getType());
}

LogicalResult OptionalGetOp::inferShapes(SymbolicShapes &shapes) {
  setItemType(shapes, getResult(), cast<OptionalType>(getOptional().getType()).getElement());
  return success();
}

LogicalResult OptionalHasOp::verify() { return success(); }

LogicalResult OptionalHasOp::inferShapes(SymbolicShapes &shapes) {
  return shapes.setDims(getResult(), {});
}

//===----------------------------------------------------------------------===//
// What is known when compiling
//===----------------------------------------------------------------------===//

/// The position in a sequence of `size` items; nullopt when not known or out of range.
static std::optional<int64_t> getPosition(Value position, int64_t size, bool inserts) {
  int64_t end = inserts ? size : size - 1;
  if (!position)
    return end >= 0 ? std::optional(end) : std::nullopt;
  std::optional<SmallVector<int64_t>> known = getIntegers(position);
  if (!known || known->size() != 1)
    return std::nullopt;
  int64_t at = known->front() < 0 ? known->front() + size : known->front();
  return at >= 0 && at <= end ? std::optional(at) : std::nullopt;
}

static Value makeScalar(OpBuilder &builder, Location loc, int64_t value, Type element) {
  auto type = RankedTensorType::get({}, element);
  return ConstantOp::create(builder, loc, type,
                            DenseElementsAttr::get(type, builder.getIntegerAttr(element, value)))
      .getResult();
}

/// The sizes of the parts along the axis; nullopt where the number of parts is not known.
static std::optional<SmallVector<int64_t>> getPartSizes(SplitToSequenceOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getData().getType());
  if (!type)
    return std::nullopt;
  int64_t size = type.getDimSize(normalizeAxis(op.getAxis(), type.getRank()));
  int64_t part = 1;
  if (op.getSplit()) {
    auto split = dyn_cast<RankedTensorType>(op.getSplit().getType());
    if (!split || !split.hasStaticShape())
      return std::nullopt;
    if (split.getRank() == 1) // sizes that only the run knows are not needed
      return SmallVector<int64_t>(std::min(split.getDimSize(0), kMaxItems + 1),
                                  ShapedType::kDynamic);
    std::optional<SmallVector<int64_t>> known = getIntegers(op.getSplit());
    if (!known || known->size() != 1 || known->front() < 1)
      return std::nullopt;
    part = known->front();
  }
  if (ShapedType::isDynamic(size) || size / part > kMaxItems)
    return std::nullopt;
  SmallVector<int64_t> sizes(size / part, part);
  if (size % part)
    sizes.push_back(size % part);
  return sizes;
}

static Value resolve(OpBuilder &builder, SplitToSequenceOp op) {
  std::optional<SmallVector<int64_t>> parts = getPartSizes(op);
  if (!parts || int64_t(parts->size()) > kMaxItems || parts->empty())
    return {};
  Location loc = op.getLoc();
  bool isList = op.getSplit() && cast<RankedTensorType>(op.getSplit().getType()).getRank() == 1;
  Value sizes = isList ? op.getSplit() : makeIntegers(builder, loc, *parts);
  auto type = cast<RankedTensorType>(op.getData().getType());
  int64_t axis = normalizeAxis(op.getAxis(), type.getRank());
  SmallVector<Type> types;
  for (int64_t size : *parts) {
    SmallVector<int64_t> shape(type.getShape());
    shape[axis] = size;
    types.push_back(RankedTensorType::get(shape, type.getElementType()));
  }
  auto split = SplitOp::create(builder, loc, types, op.getData(), sizes, axis);
  SmallVector<Value> items(split.getResults());
  if (!op.getSplit() && !op.getKeepDims())
    for (Value &item : items)
      item = SqueezeOp::create(builder, loc, elementOf(op.getResult()), item,
                               builder.getDenseI64ArrayAttr({axis}))
                 .getResult();
  return SequenceConstructOp::create(builder, loc, op.getResult().getType(), items).getResult();
}

static std::optional<SmallVector<Value>> getItems(Value sequence) {
  auto construct = sequence.getDefiningOp<SequenceConstructOp>();
  return construct ? std::optional(SmallVector<Value>(construct.getItems())) : std::nullopt;
}

static Value resolve(OpBuilder &builder, SequenceInsertOp op) {
  std::optional<SmallVector<Value>> items = getItems(op.getSequence());
  if (!items || items->size() >= size_t(kMaxItems))
    return {};
  std::optional<int64_t> at = getPosition(op.getPosition(), items->size(), true);
  if (!at)
    return {};
  items->insert(items->begin() + *at, op.getItem());
  return SequenceConstructOp::create(builder, op.getLoc(), op.getResult().getType(), *items)
      .getResult();
}

static Value resolve(OpBuilder &builder, SequenceEraseOp op) {
  std::optional<SmallVector<Value>> items = getItems(op.getSequence());
  std::optional<int64_t> at =
      items ? getPosition(op.getPosition(), items->size(), false) : std::nullopt;
  if (!at)
    return {};
  items->erase(items->begin() + *at);
  return SequenceConstructOp::create(builder, op.getLoc(), op.getResult().getType(), *items)
      .getResult();
}

static Value resolve(OpBuilder &, SequenceAtOp op) {
  std::optional<SmallVector<Value>> items = getItems(op.getSequence());
  std::optional<int64_t> at =
      items ? getPosition(op.getPosition(), items->size(), false) : std::nullopt;
  return at ? (*items)[*at] : Value();
}

static Value resolve(OpBuilder &builder, SequenceLengthOp op) {
  std::optional<int64_t> length;
  if (std::optional<SmallVector<Value>> items = getItems(op.getSequence()))
    length = items->size();
  else if (auto split = op.getSequence().getDefiningOp<SplitToSequenceOp>())
    if (auto parts = getPartSizes(split); parts && int64_t(parts->size()) <= kMaxItems)
      length = parts->size();
  return length ? makeScalar(builder, op.getLoc(), *length, builder.getI64Type()) : Value();
}

static Value resolve(OpBuilder &builder, ConcatFromSequenceOp op) {
  std::optional<SmallVector<Value>> items = getItems(op.getSequence());
  auto first = items && !items->empty() ? dyn_cast<RankedTensorType>(items->front().getType())
                                        : RankedTensorType();
  if (!first)
    return {};
  int64_t axis = normalizeAxis(op.getAxis(), first.getRank() + op.getNewAxis());
  Location loc = op.getLoc();
  if (op.getNewAxis())
    for (Value &item : *items) {
      auto type = dyn_cast<RankedTensorType>(item.getType());
      if (!type)
        return {};
      SmallVector<int64_t> shape(type.getShape());
      if (axis > int64_t(shape.size()))
        return {};
      shape.insert(shape.begin() + axis, 1);
      item = UnsqueezeOp::create(builder, loc, RankedTensorType::get(shape, type.getElementType()),
                                 item, builder.getDenseI64ArrayAttr({axis}))
                 .getResult();
    }
  return ConcatOp::create(builder, loc, op.getResult().getType(), *items, axis).getResult();
}

static Value resolve(OpBuilder &, OptionalGetOp op) {
  auto construct = op.getOptional().getDefiningOp<OptionalConstructOp>();
  return construct ? construct.getValue() : Value();
}

static Value resolve(OpBuilder &builder, OptionalHasOp op) {
  auto construct = op.getOptional().getDefiningOp<OptionalConstructOp>();
  return construct
             ? makeScalar(builder, op.getLoc(), bool(construct.getValue()), builder.getI1Type())
             : Value();
}

Value lathe::graph::resolveSequence(OpBuilder &builder, Operation *op) {
  return TypeSwitch<Operation *, Value>(op)
      .Case<SplitToSequenceOp, SequenceInsertOp, SequenceEraseOp, SequenceAtOp, SequenceLengthOp,
            ConcatFromSequenceOp, OptionalGetOp, OptionalHasOp>(
          [&](auto typed) { return resolve(builder, typed); })
      .Default([](Operation *) { return Value(); });
}

namespace {
template <typename Op> struct Resolve : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Value value = resolveSequence(rewriter, op);
    if (!value)
      return rewriter.notifyMatchFailure(op, "only the run knows it");
    rewriter.replaceOp(op, value);
    return success();
  }
};
} // namespace

#define LATHE_RESOLVED(OP)                                                                         \
  void OP::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {        \
    patterns.add<Resolve<OP>>(context);                                                            \
  }
LATHE_RESOLVED(SplitToSequenceOp)
LATHE_RESOLVED(SequenceInsertOp)
LATHE_RESOLVED(SequenceEraseOp)
LATHE_RESOLVED(SequenceAtOp)
LATHE_RESOLVED(SequenceLengthOp)
LATHE_RESOLVED(ConcatFromSequenceOp)
LATHE_RESOLVED(OptionalGetOp)
LATHE_RESOLVED(OptionalHasOp)
#undef LATHE_RESOLVED
