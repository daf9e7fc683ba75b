// Lowering of control flow to scf on tensors.
//
// A branch or a loop is a level of its own: sizes that depend on what is computed in it are made in
// it, and are forgotten when it is left. Sizes that come out of it are dimensions of its results.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lib/GraphToLinalg/Builtins.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

// ---- Regions -----------------------------------------------------------------------------------

void Lowering::setCounter(Value graphValue, Value induction) {
  counters[graphValue] = newSymbol(induction, /*atEntry=*/false);
}

LogicalResult Lowering::lowerRegion(Region &region, Block *target, function_ref<void()> begin,
                                    function_ref<void(ValueRange)> end) {
  OpBuilder::InsertionGuard guard(b);
  Block *outside = std::exchange(body, target);
  bool wasInRegion = std::exchange(inRegion, true);
  b.setInsertionPointToEnd(target);
  size_t marks[] = {tensors.mark(),      expanded.mark(),    extracted.mark(),
                    computed.mark(),     dataSymbols.mark(), checkedSizes.mark(),
                    checkedEqual.mark(), checkedFits.mark()};
  Location before = loc;
  begin();
  bool ok = true;
  Block &block = region.front();
  for (Operation &op : block.without_terminator())
    ok &= succeeded(lowerOp(op));
  loc = before;
  for (Value operand : block.getTerminator()->getOperands())
    ok &= has(operand);
  if (ok)
    end(block.getTerminator()->getOperands());
  tensors.rollBack(marks[0]);
  expanded.rollBack(marks[1]);
  extracted.rollBack(marks[2]);
  computed.rollBack(marks[3]);
  dataSymbols.rollBack(marks[4]);
  checkedSizes.rollBack(marks[5]);
  checkedEqual.rollBack(marks[6]);
  checkedFits.rollBack(marks[7]);
  body = outside;
  inRegion = wasInRegion;
  return success(ok);
}

Value Lowering::castTo(Type type, const Tensor &tensor) {
  if (tensor.value.getType() == type)
    return tensor.value;
  return tensor::CastOp::create(b, loc, type, tensor.value);
}

Tensor Lowering::withOwnSizes(Value value, Sizes sizes, Type element) {
  for (auto [i, size] : llvm::enumerate(sizes))
    if (!size)
      size = markSize(tensor::DimOp::create(b, loc, value, i));
  return {value, sizes, element};
}

/// The type of a value in memory; null sizes of a tensor are dynamic.
static Type storageType(Lowering &l, Value graphValue, ArrayRef<OpFoldResult> sizes) {
  if (isValue(graphValue.getType()))
    return rt::ValueType::get(l.context);
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(size ? getConstantIntValue(size).value_or(ShapedType::kDynamic)
                         : ShapedType::kDynamic);
  return RankedTensorType::get(
      shape, getStorageType(cast<RankedTensorType>(graphValue.getType()).getElementType()));
}

/// What is known of the sizes of a tensor; nothing of another value.
static Sizes sizesOf(Lowering &l, Value graphValue) {
  return isValue(graphValue.getType()) ? Sizes() : l.resultSizes(graphValue);
}

/// A value as what control flow passes on, of graph type `type` and in memory `storage`.
static Value asResult(Lowering &l, Type type, Type storage, const Tensor &value) {
  return isValue(type) ? castToValue(l, type, value) : l.castTo(storage, value);
}

/// What control flow passed on stands for a graph value.
static void setPassed(Lowering &l, Value graphValue, Value passed, const Sizes &sizes) {
  if (isValue(graphValue.getType()))
    return l.set(graphValue, {passed, {}, Type()});
  Type element = cast<RankedTensorType>(graphValue.getType()).getElementType();
  l.set(graphValue, l.withOwnSizes(passed, sizes, element));
}

static Type elementOf(Value graphValue) {
  return cast<RankedTensorType>(graphValue.getType()).getElementType();
}

/// The one element of a tensor of booleans.
static Value readCondition(Lowering &l, Value graphValue) {
  Scalars s = l.scalars();
  if (std::optional<SmallVector<int64_t>> known = l.getConstantElements(graphValue))
    return s.boolean(known->front() != 0);
  Tensor condition = l.get(graphValue);
  SmallVector<Value> position(condition.rank(), l.value(l.size(0)));
  return s.load(s.extract(condition.value, position), condition.element);
}

// ---- if ----------------------------------------------------------------------------------------

static LogicalResult lowerIf(graph::IfOp op, Lowering &l) {
  Value condition = readCondition(l, op.getCondition());
  SmallVector<Sizes> sizes;
  SmallVector<Type> types;
  for (Value result : op.getResults()) {
    sizes.push_back(sizesOf(l, result));
    types.push_back(storageType(l, result, sizes.back()));
  }
  auto branch = scf::IfOp::create(l.b, l.loc, types, condition, /*withElse=*/true);
  bool ok = true;
  for (auto [from, to] : llvm::zip_equal(op->getRegions(), branch->getRegions())) {
    Block &target = to.front();
    if (!target.empty())
      target.back().erase();
    ok &= succeeded(l.lowerRegion(
        from, &target, [] {},
        [&](ValueRange values) {
          SmallVector<Value> yielded;
          for (auto [result, type, value] : llvm::zip_equal(op.getResults(), types, values))
            yielded.push_back(asResult(l, result.getType(), type, l.get(value)));
          scf::YieldOp::create(l.b, l.loc, yielded);
        }));
  }
  if (!ok)
    return failure();
  for (auto [i, result] : llvm::enumerate(op.getResults()))
    setPassed(l, result, branch.getResult(i), sizes[i]);
  return success();
}

// ---- loop --------------------------------------------------------------------------------------

namespace {

/// A stacked result: a tensor that parts are written into where all its sizes are known before the
/// loop, else a list that grows.
struct Stack {
  Value result; // of the graph
  Sizes part;   // null where only the body knows
  Value list;
  SmallVector<unsigned> unknown; // dimensions of the part, which the loop carries
};

class LoopLowering {
public:
  LoopLowering(graph::LoopOp op, Lowering &l) : op(op), l(l) {}
  LogicalResult run();

private:
  bool isTrue(Value condition) {
    auto known = l.getConstantElements(condition);
    return known && known->size() == 1 && known->front() != 0;
  }
  void prepare();
  void begin(Value counter, ValueRange carried);
  SmallVector<Value> end(ValueRange yielded, Value counter, ValueRange carried);
  void finish(Value count, ValueRange carried);
  LogicalResult makeFor();
  LogicalResult makeWhile();

  graph::LoopOp op;
  Lowering &l;
  bool isCounted = false; // only the number of iterations ends the loop
  bool varies = false;    // carried values change their sizes
  OpFoldResult trip;
  SmallVector<Sizes> carriedSizes;
  SmallVector<Stack> stacks;
  SmallVector<Value> inits; // carried values, then stacks' tensors and unknown sizes
};

} // namespace

void LoopLowering::prepare() {
  Block &block = op.getBlock();
  isCounted = isTrue(op.getCondition()) && isTrue(op.getYielded()[0]);
  trip = l.getElements(op.getTrip())->front();
  for (auto [i, init] : llvm::enumerate(op.getInits())) {
    Value argument = block.getArgument(1 + i);
    carriedSizes.push_back(sizesOf(l, argument));
    varies |= llvm::is_contained(carriedSizes.back(), OpFoldResult());
    inits.push_back(asResult(l, argument.getType(), storageType(l, argument, carriedSizes.back()),
                             l.get(init)));
  }
  for (Value result : op.getStacked()) {
    Sizes all = l.resultSizes(result);
    Stack stack{result, Sizes(ArrayRef(all).drop_front()), {}, {}};
    for (auto [i, size] : llvm::enumerate(stack.part))
      if (!size)
        stack.unknown.push_back(i);
    if (isCounted && stack.unknown.empty()) {
      Sizes sizes = stack.part;
      sizes.insert(sizes.begin(), all[0] ? all[0] : l.max(trip, l.size(0)));
      inits.push_back(l.empty(sizes, getStorageType(elementOf(result))));
    } else {
      stack.list = rt::ListOp::create(l.b, l.loc, rt::ListType::get(l.context));
      inits.append(stack.unknown.size(), l.value(l.size(-1)));
    }
    stacks.push_back(stack);
  }
}

void LoopLowering::begin(Value counter, ValueRange carried) {
  Block &block = op.getBlock();
  l.setCounter(block.getArgument(0), counter);
  for (auto [argument, sizes, value] :
       llvm::zip(block.getArguments().drop_front(), carriedSizes, carried))
    setPassed(l, argument, value, sizes);
}

/// The values for the next iteration.
SmallVector<Value> LoopLowering::end(ValueRange yielded, Value counter, ValueRange carried) {
  SmallVector<Value> next;
  unsigned count = op.getNumCarried();
  for (auto [value, init, argument] : llvm::zip(yielded.drop_front().take_front(count), inits,
                                                op.getBlock().getArguments().drop_front()))
    next.push_back(asResult(l, argument.getType(), init.getType(), l.get(value)));
  for (auto [stack, value] : llvm::zip_equal(stacks, yielded.drop_front(1 + count))) {
    Tensor part = l.get(value);
    Value before = next.size() < carried.size() ? carried[next.size()] : Value();
    if (!stack.list) {
      Sizes sizes = stack.part, offsets(stack.part.size() + 1, l.size(0));
      sizes.insert(sizes.begin(), l.size(1));
      offsets[0] = counter;
      Value row = l.reshape(l.withSizes(part, stack.part), sizes).value;
      next.push_back(l.insert({row, sizes, part.element}, before, offsets));
      continue;
    }
    // All parts have the sizes of the first.
    Scalars s = l.scalars();
    for (unsigned dim : stack.unknown) {
      Value known = carried[next.size()], size = l.value(part.sizes[dim]);
      Value isFirst = s.cmp(arith::CmpIPredicate::slt, known, l.value(l.size(0)));
      Value isSame = s.cmp(arith::CmpIPredicate::eq, known, size);
      s.check(s.orI(isFirst, isSame), LATHE_CODE_SHAPE,
              "a scan output has size %0 after a part of size %1", {size, known});
      next.push_back(size);
    }
    rt::AppendOp::create(l.b, l.loc, stack.list, counter, part.value);
  }
  return next;
}

void LoopLowering::finish(Value count, ValueRange carried) {
  for (auto [i, sizes] : llvm::enumerate(carriedSizes))
    setPassed(l, op.getResult(i), carried[i], sizes);
  unsigned next = carriedSizes.size();
  for (Stack &stack : stacks) {
    Type element = elementOf(stack.result);
    Sizes sizes = stack.part;
    if (!stack.list) {
      sizes.insert(sizes.begin(), OpFoldResult());
      Sizes all = l.resultSizes(stack.result);
      sizes[0] = all[0] ? all[0] : l.max(trip, l.size(0));
      l.set(stack.result, {carried[next++], sizes, element});
      continue;
    }
    // Without a part the sizes that are not known are 0.
    Scalars s = l.scalars();
    for (unsigned dim : stack.unknown)
      sizes[dim] = l.markSize(s.max(carried[next++], l.value(l.size(0))));
    Sizes all = l.resultSizes(stack.result);
    sizes.insert(sizes.begin(), all[0] ? all[0] : l.markSize(count));
    SmallVector<Value> dynamic;
    for (OpFoldResult size : sizes)
      if (auto value = dyn_cast<Value>(size))
        dynamic.push_back(value);
    auto type = l.type(sizes, element);
    Value stacked = rt::StackOp::create(l.b, l.loc, type, stack.list, dynamic);
    l.set(stack.result, {stacked, sizes, element});
  }
}

LogicalResult LoopLowering::makeFor() {
  Value count = l.value(trip);
  auto loop = scf::ForOp::create(l.b, l.loc, l.value(l.size(0)), count, l.value(l.size(1)), inits);
  Block *target = loop.getBody();
  if (!target->empty())
    target->back().erase();
  LogicalResult outcome = l.lowerRegion(
      op.getBody(), target, [&] { begin(loop.getInductionVar(), loop.getRegionIterArgs()); },
      [&](ValueRange yielded) {
        scf::YieldOp::create(l.b, l.loc,
                             end(yielded, loop.getInductionVar(), loop.getRegionIterArgs()));
      });
  if (failed(outcome))
    return failure();
  finish(l.value(l.max(trip, l.size(0))), loop.getResults());
  return success();
}

// Carries the number of the iteration and whether to go on, before the values.
LogicalResult LoopLowering::makeWhile() {
  Location loc = l.loc;
  SmallVector<Value> operands{l.value(l.size(0)), readCondition(l, op.getCondition())};
  llvm::append_range(operands, inits);
  TypeRange types(operands);
  auto loop = scf::WhileOp::create(l.b, loc, types, operands);
  SmallVector<Location> locs(operands.size(), loc);
  {
    OpBuilder::InsertionGuard guard(l.b);
    Block *before = l.b.createBlock(&loop.getBefore(), {}, types, locs);
    Value limit = l.value(trip), index = before->getArgument(0), goes = before->getArgument(1);
    Scalars s = l.scalars();
    if (getConstantIntValue(trip) != INT64_MAX)
      goes = s.andI(goes, s.cmp(arith::CmpIPredicate::slt, index, limit));
    scf::ConditionOp::create(l.b, loc, goes, before->getArguments());
    l.b.createBlock(&loop.getAfter(), {}, types, locs);
  }
  Block *target = &loop.getAfter().front();
  Value counter = target->getArgument(0);
  ValueRange carried = target->getArguments().drop_front(2);
  LogicalResult outcome = l.lowerRegion(
      op.getBody(), target, [&] { begin(counter, carried); },
      [&](ValueRange yielded) {
        SmallVector<Value> next{l.scalars().add(counter, l.value(l.size(1))),
                                readCondition(l, yielded[0])};
        llvm::append_range(next, end(yielded, counter, carried));
        scf::YieldOp::create(l.b, l.loc, next);
      });
  if (failed(outcome))
    return failure();
  finish(loop.getResult(0), loop.getResults().drop_front(2));
  return success();
}

LogicalResult LoopLowering::run() {
  for (Value result : op.getStacked())
    if (isValue(result.getType()))
      return l.unsupported(op) << "parts of which not even the rank is known";
  if (!l.getElements(op.getTrip()))
    return l.unsupported(op) << "a trip count of type " << op.getTrip().getType();
  prepare();
  // Upstream's canonical form of scf.for takes the sizes of the initial values for all iterations.
  return isCounted && !varies ? makeFor() : makeWhile();
}

static LogicalResult lowerLoop(graph::LoopOp op, Lowering &l) { return LoopLowering(op, l).run(); }

void lathe::g2l::addControl(LoweringTable &table) {
  table.add(lowerIf);
  table.add(lowerLoop);
}
