// Control flow: verifiers, shapes, canonical forms.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Sequence.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace lathe::graph;

using Dims = SmallVector<AffineExpr>;

bool lathe::graph::isSameKind(Type a, Type b) {
  if (isa<NoneType>(a) || isa<NoneType>(b))
    return true; // items of a sequence without any
  auto first = dyn_cast<TensorType>(a), second = dyn_cast<TensorType>(b);
  if (first && second)
    return first.getElementType() == second.getElementType();
  if (auto sequence = dyn_cast<SequenceType>(a))
    return isa<SequenceType>(b) &&
           isSameKind(sequence.getElement(), cast<SequenceType>(b).getElement());
  if (auto optional = dyn_cast<OptionalType>(a))
    return isa<OptionalType>(b) &&
           isSameKind(optional.getElement(), cast<OptionalType>(b).getElement());
  return a == b;
}

Type lathe::graph::joinTypes(Type a, Type b) {
  if (a == b || isa<NoneType>(b))
    return a;
  if (isa<NoneType>(a))
    return b;
  if (auto sequence = dyn_cast<SequenceType>(a))
    return SequenceType::get(a.getContext(),
                             joinTypes(sequence.getElement(), cast<SequenceType>(b).getElement()));
  if (auto optional = dyn_cast<OptionalType>(a))
    return OptionalType::get(a.getContext(),
                             joinTypes(optional.getElement(), cast<OptionalType>(b).getElement()));
  auto first = dyn_cast<RankedTensorType>(a), second = dyn_cast<RankedTensorType>(b);
  Type element = cast<TensorType>(a).getElementType();
  if (!first || !second || first.getRank() != second.getRank())
    return UnrankedTensorType::get(element);
  SmallVector<int64_t> shape(first.getShape());
  for (auto [size, other] : llvm::zip_equal(shape, second.getShape()))
    if (size != other)
      size = ShapedType::kDynamic;
  return RankedTensorType::get(shape, element);
}

static LogicalResult verifyYield(Operation *op, Region &region, unsigned count) {
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  if (!yield)
    return op->emitOpError("region must end with graph.yield");
  if (yield.getNumOperands() != count)
    return op->emitOpError("region yields ")
           << yield.getNumOperands() << " values, expected are " << count;
  return success();
}

static LogicalResult verifyKind(Operation *op, StringRef what, unsigned index, Type a, Type b) {
  if (isSameKind(a, b))
    return success();
  return op->emitOpError(what) << " " << index << " has type " << a << " and " << b;
}

//===----------------------------------------------------------------------===//
// if
//===----------------------------------------------------------------------===//

LogicalResult IfOp::verify() {
  if (failed(verifyScalar(*this, "condition", getCondition())))
    return failure();
  for (Region *region : {&getThenRegion(), &getElseRegion()}) {
    if (failed(verifyYield(*this, *region, getNumResults())))
      return failure();
    for (auto [i, value] : llvm::enumerate(region->front().getTerminator()->getOperands()))
      if (failed(verifyKind(*this, "result", i, getResult(i).getType(), value.getType())))
        return failure();
  }
  return success();
}

/// What is known of the elements of a value; empty when nothing is.
static Dims getElements(SymbolicShapes &shapes, Value value) {
  auto elements = shapes.getElements(value);
  return elements ? Dims(*elements) : Dims();
}

/// Whether the run ends before there is such a value.
static bool isNothing(Value value) {
  auto get = value.getDefiningOp<OptionalGetOp>();
  auto construct = get ? get.getOptional().getDefiningOp<OptionalConstructOp>() : nullptr;
  return construct && !construct.getValue();
}

LogicalResult IfOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(shapes.inferRegion(getThenRegion())) || failed(shapes.inferRegion(getElseRegion())))
    return failure();
  auto condition = shapes.getConstantElements(getCondition());
  std::optional<bool> taken;
  if (condition && condition->size() == 1)
    taken = condition->front() != 0;
  for (auto [result, yes, no] :
       llvm::zip_equal(getResults(), getThenRegion().front().getTerminator()->getOperands(),
                       getElseRegion().front().getTerminator()->getOperands())) {
    if (!isa<TensorType>(result.getType())) {
      result.setType(joinTypes(yes.getType(), no.getType()));
      continue;
    }
    bool neverYes = taken == false || isNothing(yes), neverNo = taken == true || isNothing(no);
    Value first = neverYes ? no : yes, second = neverNo ? yes : no;
    auto dims = shapes.getDims(first), others = shapes.getDims(second);
    if (!dims || !others || dims->size() != others->size())
      continue;
    auto join = [&](ArrayRef<AffineExpr> a, ArrayRef<AffineExpr> b) {
      Dims joined(a);
      for (auto [expr, other] : llvm::zip_equal(joined, b))
        if (expr != other || (expr && !shapes.isVisibleAt(expr, *this)))
          expr = {};
      return joined;
    };
    if (failed(shapes.setDims(result, join(Dims(*dims), Dims(*others)))))
      return failure();
    Dims elements = getElements(shapes, first), otherElements = getElements(shapes, second);
    if (!elements.empty() && elements.size() == otherElements.size())
      shapes.setElements(result, join(elements, otherElements));
  }
  return success();
}

namespace {

std::optional<bool> getConstantCondition(Value condition) {
  std::optional<double> value = getSplat(condition);
  return value ? std::optional<bool>(*value != 0) : std::nullopt;
}

struct ConstantIf : OpRewritePattern<IfOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(IfOp op, PatternRewriter &rewriter) const override {
    std::optional<bool> condition = getConstantCondition(op.getCondition());
    if (!condition)
      return rewriter.notifyMatchFailure(op, "condition is not constant");
    Block &taken = (*condition ? op.getThenRegion() : op.getElseRegion()).front();
    SmallVector<Value> values(taken.getTerminator()->getOperands());
    rewriter.eraseOp(taken.getTerminator());
    rewriter.inlineBlockBefore(&taken, op, {});
    rewriter.replaceOp(op, values);
    return success();
  }
};

/// The op with only those results (and, through `operands`, what they are computed from) kept.
template <typename Op>
void replaceKeeping(PatternRewriter &rewriter, Op op, Op replacement, ArrayRef<bool> keep) {
  unsigned next = 0;
  for (auto [i, result] : llvm::enumerate(op.getResults()))
    if (keep[i])
      rewriter.replaceAllUsesWith(result, replacement.getResult(next++));
  rewriter.eraseOp(op);
}

void dropYielded(PatternRewriter &rewriter, Operation *yield, unsigned first, ArrayRef<bool> keep) {
  rewriter.modifyOpInPlace(yield, [&] {
    for (unsigned i = keep.size(); i-- > 0;)
      if (!keep[i])
        yield->eraseOperand(first + i);
  });
}

struct UnusedIfResults : OpRewritePattern<IfOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(IfOp op, PatternRewriter &rewriter) const override {
    SmallVector<bool> keep;
    SmallVector<Type> types;
    for (Value result : op.getResults()) {
      keep.push_back(!result.use_empty());
      if (keep.back())
        types.push_back(result.getType());
    }
    if (!llvm::is_contained(keep, false) || types.empty())
      return rewriter.notifyMatchFailure(op, "all results are used, or none");
    auto smaller = IfOp::create(rewriter, op.getLoc(), types, op.getCondition());
    for (auto [from, to] : llvm::zip_equal(op->getRegions(), smaller->getRegions())) {
      to.takeBody(from);
      dropYielded(rewriter, to.front().getTerminator(), 0, keep);
    }
    replaceKeeping(rewriter, op, smaller, keep);
    return success();
  }
};

} // namespace

void IfOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ConstantIf, UnusedIfResults>(context);
}

//===----------------------------------------------------------------------===//
// loop
//===----------------------------------------------------------------------===//

LogicalResult LoopOp::verify() {
  if (failed(verifyScalar(*this, "trip", getTrip())) ||
      failed(verifyScalar(*this, "condition", getCondition())))
    return failure();
  unsigned carried = getNumCarried();
  if (getNumResults() < carried)
    return emitOpError("has ") << getNumResults() << " results for " << carried
                               << " carried values";
  if (failed(verifyYield(*this, getBody(), 1 + getNumResults())))
    return failure();
  Block &block = getBlock();
  if (block.getNumArguments() != 1 + carried)
    return emitOpError("body has ")
           << block.getNumArguments() << " arguments, expected are " << 1 + carried;
  auto counter = dyn_cast<RankedTensorType>(block.getArgument(0).getType());
  if (!counter || counter.getRank() != 0 || !counter.getElementType().isSignlessInteger(64))
    return emitOpError("body's first argument must be tensor<i64>, got ")
           << block.getArgument(0).getType();
  Operation *yield = block.getTerminator();
  auto condition = dyn_cast<TensorType>(yield->getOperand(0).getType());
  if (!condition || !condition.getElementType().isInteger(1))
    return emitOpError("the first yielded value must be a tensor of i1, got ")
           << yield->getOperand(0).getType();
  if (failed(verifyScalar(*this, "the yielded condition", yield->getOperand(0))))
    return failure();
  for (unsigned i = 0; i < carried; ++i)
    for (Type type : {block.getArgument(1 + i).getType(), yield->getOperand(1 + i).getType(),
                      getResult(i).getType()})
      if (failed(verifyKind(*this, "carried value", i, getInits()[i].getType(), type)))
        return failure();
  for (unsigned i = carried; i < getNumResults(); ++i) {
    Type part = yield->getOperand(1 + i).getType();
    if (!isa<TensorType>(part))
      return emitOpError("stacked result ") << i - carried << " must be a tensor, got " << part;
    if (failed(verifyKind(*this, "stacked result", i - carried, getResult(i).getType(), part)))
      return failure();
  }
  return success();
}

/// The types of all values that a region defines.
static SmallVector<std::pair<Value, Type>> saveTypes(Region &region) {
  SmallVector<std::pair<Value, Type>> types;
  region.walk([&](Block *block) {
    for (Value argument : block->getArguments())
      types.emplace_back(argument, argument.getType());
    for (Operation &op : *block)
      for (Value result : op.getResults())
        types.emplace_back(result, result.getType());
  });
  return types;
}

// Carried values are taken to keep the sizes they start with; what the body then contradicts
// changes from one iteration to the next, and the body is inferred again without it.
LogicalResult LoopOp::inferShapes(SymbolicShapes &shapes) {
  SmallVector<std::pair<Value, Type>> types = saveTypes(getBody());
  auto &varying = shapes.getVarying(getOperation());
  Block &block = getBlock();
  shapes.setCounter(block.getArgument(0));
  auto yielded = [&](unsigned i) { return block.getTerminator()->getOperand(1 + i); };
  SmallVector<std::optional<Dims>> dims;
  SmallVector<Type> held(getInits().getTypes()); // of sequences and optionals, so far
  for (bool changed = true; changed;) {
    changed = false;
    dims.clear();
    for (auto [i, init] : llvm::enumerate(getInits())) {
      BlockArgument argument = block.getArgument(1 + i);
      auto declared = dyn_cast<RankedTensorType>(argument.getType());
      auto known = shapes.getDims(init);
      dims.emplace_back();
      if (!declared || !known || declared.getRank() != int64_t(known->size())) {
        shapes.setArgument(argument, std::nullopt);
        if (!isa<TensorType>(init.getType()))
          argument.setType(held[i]);
        continue;
      }
      dims.back() = Dims(*known);
      for (auto [d, expr] : llvm::enumerate(*dims.back()))
        if (varying.contains({i, d}))
          expr = {};
      shapes.setArgument(argument, *dims.back());
    }
    if (failed(shapes.inferRegion(getBody())))
      return failure();
    for (unsigned i = 0; i < getNumCarried(); ++i) {
      if (!isa<TensorType>(held[i])) {
        Type joined = joinTypes(held[i], yielded(i).getType());
        changed |= joined != held[i];
        held[i] = joined;
      }
      if (!dims[i])
        continue;
      auto next = shapes.getDims(yielded(i));
      for (unsigned d = 0; d < dims[i]->size(); ++d) {
        bool same = next && next->size() == dims[i]->size() && (*next)[d] == (*dims[i])[d];
        if ((*dims[i])[d] && !same)
          changed |= varying.insert({i, d}).second;
      }
    }
    // Types under the wrong assumption are too precise.
    if (changed)
      for (auto [value, type] : types)
        value.setType(type);
  }
  for (auto [i, result] : llvm::enumerate(getResults().take_front(getNumCarried()))) {
    if (!isa<TensorType>(result.getType()))
      result.setType(held[i]);
    else if (dims[i] && failed(shapes.setDims(result, *dims[i])))
      return failure();
  }
  // The number of iterations is known when only the number ends the loop.
  AffineExpr count;
  auto trip = shapes.getElements(getTrip());
  auto isTrue = [&](Value condition) {
    auto known = shapes.getConstantElements(condition);
    return known && known->size() == 1 && known->front() != 0;
  };
  if (trip && trip->size() == 1 && trip->front() && isTrue(getCondition()) &&
      isTrue(block.getTerminator()->getOperand(0))) {
    count = trip->front();
    std::optional<int64_t> least = getLowerBound(count);
    if (std::optional<int64_t> known = getConstant(count))
      count = shapes.constant(std::max<int64_t>(*known, 0));
    else if (!least || *least < 0)
      count = {};
  }
  for (unsigned i = getNumCarried(); i < getNumResults(); ++i) {
    auto part = shapes.getDims(yielded(i));
    if (!part)
      continue;
    Dims all{count};
    for (AffineExpr expr : *part)
      all.push_back(shapes.isVisibleAt(expr, *this) ? expr : AffineExpr());
    if (failed(shapes.setDims(getResult(i), all)))
      return failure();
  }
  return success();
}

namespace {

/// Drops the results, carried values and stacked parts that `keep` (one per result) does not name.
void shrinkLoop(PatternRewriter &rewriter, LoopOp op, ArrayRef<bool> keep) {
  SmallVector<Type> types;
  SmallVector<Value> inits;
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    if (!keep[i])
      continue;
    types.push_back(result.getType());
    if (i < op.getNumCarried())
      inits.push_back(op.getInits()[i]);
  }
  auto smaller =
      LoopOp::create(rewriter, op.getLoc(), types, op.getTrip(), op.getCondition(), inits);
  unsigned carried = op.getNumCarried();
  smaller.getBody().takeBody(op.getBody());
  Block &block = smaller.getBlock();
  dropYielded(rewriter, block.getTerminator(), 1, keep);
  for (unsigned i = carried; i-- > 0;)
    if (!keep[i])
      block.eraseArgument(1 + i);
  replaceKeeping(rewriter, op, smaller, keep);
}

/// A value that the body passes on as it is, is the one before the loop.
struct InvariantCarried : OpRewritePattern<LoopOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LoopOp op, PatternRewriter &rewriter) const override {
    SmallVector<bool> keep(op.getNumResults(), true);
    Block &block = op.getBlock();
    for (auto [i, init] : llvm::enumerate(op.getInits())) {
      Value next = block.getTerminator()->getOperand(1 + i);
      if (next != block.getArgument(1 + i) && next != init)
        continue;
      // A stronger type than the argument's is a fact about the value before the loop.
      keep[i] = false;
      rewriter.replaceAllUsesWith(block.getArgument(1 + i), init);
      rewriter.replaceAllUsesWith(op.getResult(i), init);
    }
    if (!llvm::is_contained(keep, false))
      return rewriter.notifyMatchFailure(op, "every carried value changes");
    shrinkLoop(rewriter, op, keep);
    return success();
  }
};

/// Results that no one reads: stacked ones, and carried values that reach no other.
struct UnusedLoopResults : OpRewritePattern<LoopOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LoopOp op, PatternRewriter &rewriter) const override {
    SmallVector<bool> keep;
    Block &block = op.getBlock();
    for (auto [i, result] : llvm::enumerate(op.getResults()))
      keep.push_back(!result.use_empty() ||
                     (i < op.getNumCarried() && !block.getArgument(1 + i).use_empty()));
    if (!llvm::is_contained(keep, false))
      return rewriter.notifyMatchFailure(op, "all values are used");
    shrinkLoop(rewriter, op, keep);
    return success();
  }
};

/// Without an iteration the carried values are those before the loop.
struct LoopWithoutIteration : OpRewritePattern<LoopOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LoopOp op, PatternRewriter &rewriter) const override {
    std::optional<SmallVector<int64_t>> trip = getIntegers(op.getTrip());
    bool never = trip && trip->size() == 1 && trip->front() <= 0;
    if (!never && getConstantCondition(op.getCondition()) != false)
      return rewriter.notifyMatchFailure(op, "there may be iterations");
    SmallVector<Value> values(op.getInits());
    for (Value result : op.getStacked()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (!type || llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic))
        return rewriter.notifyMatchFailure(op, "the shape of a stacked result is not known");
      SmallVector<int64_t> shape(type.getShape());
      shape[0] = 0;
      auto none = RankedTensorType::get(shape, type.getElementType());
      auto value = DenseElementsAttr::get(none, ArrayRef<Attribute>());
      values.push_back(ConstantOp::create(rewriter, op.getLoc(), none, value).getResult());
    }
    rewriter.replaceOp(op, values);
    return success();
  }
};

/// A short loop that carries a sequence or an optional: unrolled, what they hold may be known.
struct UnrollSequences : OpRewritePattern<LoopOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LoopOp op, PatternRewriter &rewriter) const override {
    constexpr int64_t maxIterations = 64, maxOps = 4096;
    std::optional<SmallVector<int64_t>> trip = getIntegers(op.getTrip());
    bool isCounted = getConstantCondition(op.getCondition()) == true &&
                     getConstantCondition(op.getYielded()[0]) == true;
    bool isKnown = llvm::any_of(op.getInits(), [](Value init) {
      return isa_and_nonnull<SequenceConstructOp, OptionalConstructOp>(init.getDefiningOp());
    });
    if (!trip || trip->size() != 1 || trip->front() > maxIterations || !isCounted || !isKnown ||
        !op.getStacked().empty())
      return rewriter.notifyMatchFailure(op, "no short loop that carries a known sequence");
    int64_t ops = 0;
    op.getBody().walk([&](Operation *) { ++ops; });
    if (ops * trip->front() > maxOps)
      return rewriter.notifyMatchFailure(op, "the body is too long");
    SmallVector<Value> carried(op.getInits());
    Block &block = op.getBlock();
    auto counter = cast<RankedTensorType>(block.getArgument(0).getType());
    for (int64_t i = 0; i < trip->front(); ++i) {
      IRMapping mapping;
      mapping.map(block.getArgument(0),
                  ConstantOp::create(rewriter, op.getLoc(), counter,
                                     DenseElementsAttr::get(counter, rewriter.getI64IntegerAttr(i)))
                      .getResult());
      for (auto [argument, value] : llvm::zip_equal(block.getArguments().drop_front(), carried))
        mapping.map(argument, value);
      for (Operation &inner : block.without_terminator())
        rewriter.clone(inner, mapping);
      for (auto [value, next] : llvm::zip_equal(carried, op.getYielded().drop_front()))
        value = mapping.lookupOrDefault(next);
    }
    rewriter.replaceOp(op, carried);
    return success();
  }
};

} // namespace

void LoopOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<InvariantCarried, UnusedLoopResults, LoopWithoutIteration, UnrollSequences>(context);
}
