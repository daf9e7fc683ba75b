// Constant evaluation by compiling and running.
//
// What can be computed from constants alone is cut out of the function: for each value that leaves
// such a subgraph, one function without arguments that holds its backward slice. They go to the
// evaluator together, since compiling has a fixed cost, and constants take their place.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Weights.h"
#include "lathe/Graph.h"
#include "lib/Graph/Rewrite.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_EVALUATECONSTANTSPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

/// Bytes of a constant, or of a value whose size is known; 0 where only the run knows it.
static int64_t getBytes(Type type, Attribute value = {}) {
  auto ranked = cast<RankedTensorType>(type);
  if (auto strings = dyn_cast_or_null<DenseStringElementsAttr>(value)) {
    int64_t bytes = 0;
    for (StringRef text : strings.getRawStringData())
      bytes += text.size();
    return bytes;
  }
  if (!ranked.hasStaticShape() || isa<StringType>(ranked.getElementType()))
    return 0;
  return std::min<uint64_t>(getStorageBytes(ranked).value_or(INT64_MAX), INT64_MAX);
}

/// Whether a value can be a constant: a tensor, whose sizes the run may decide.
static bool canBeConstant(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked)
    return false;
  return isa<StringType>(ranked.getElementType()) || !ranked.hasStaticShape() ||
         getStorageBytes(ranked);
}

namespace {
/// A value to compute, and what it is computed from.
struct Slice {
  Value root;
  SmallVector<Operation *> ops; // in program order, constants included
  int64_t sourceBytes = 0;      // of the constants
};
} // namespace

/// What an operation is computed from: its operands, and what its regions see of the values around.
static llvm::SetVector<Value> getSources(Operation *op) {
  llvm::SetVector<Value> sources(op->operand_begin(), op->operand_end());
  op->walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (inner != op && !op->isAncestor(operand.getParentBlock()->getParentOp()))
        sources.insert(operand);
  });
  return sources;
}

/// Whether all loops of the operation end after few iterations.
static bool isBounded(Operation *op) {
  constexpr int64_t maxIterations = 1 << 20;
  return !op->walk([&](LoopOp loop) {
              int64_t total = 1;
              for (Operation *at = loop; at && op->isAncestor(at); at = at->getParentOp())
                if (auto outer = dyn_cast<LoopOp>(at)) {
                  std::optional<SmallVector<int64_t>> trip = getIntegers(outer.getTrip());
                  if (!trip || trip->size() != 1 || trip->front() > maxIterations)
                    return WalkResult::interrupt();
                  total = std::min(total * std::max<int64_t>(trip->front(), 1), maxIterations + 1);
                }
              return total > maxIterations ? WalkResult::interrupt() : WalkResult::advance();
            }).wasInterrupted();
}

/// Operations whose operands are all constants or results of such operations, in program order.
static llvm::SetVector<Operation *> findConstantOps(func::FuncOp function) {
  llvm::SetVector<Operation *> known;
  for (Block &block : function.getBody())
    for (Operation &op : block) {
      if (!isa<ShapeInferenceInterface>(op) || !isPure(&op) || !isBounded(&op))
        continue;
      if (llvm::all_of(getSources(&op), [&](Value operand) {
            return operand.getDefiningOp() && known.contains(operand.getDefiningOp());
          }))
        known.insert(&op);
    }
  return known;
}

/// The backward slice of a root; nullopt when its value would be too large.
static std::optional<Slice> makeRegion(Value root, int64_t maxGrowth, size_t maxOps) {
  llvm::SetVector<Operation *> ops;
  ops.insert(root.getDefiningOp());
  int64_t source = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (ops.size() > maxOps)
      return std::nullopt;
    if (isa<ConstantOp>(ops[i]))
      source = llvm::SaturatingAdd<uint64_t>(
          source, getBytes(ops[i]->getResult(0).getType(), cast<ConstantOp>(ops[i]).getValue()));
    for (Value source : getSources(ops[i]))
      ops.insert(source.getDefiningOp());
  }
  if (getBytes(root.getType()) - source > maxGrowth)
    return std::nullopt;
  // Nor may what lies between be much larger than what it is computed from.
  constexpr uint64_t mostTimes = 16, spare = 16 << 20;
  uint64_t most = llvm::SaturatingMultiplyAdd<uint64_t>(source, mostTimes, spare);
  for (Operation *op : ops)
    for (Type type : op->getResultTypes())
      if (uint64_t(getBytes(type)) > most)
        return std::nullopt;
  Slice slice{root, ops.takeVector(), source};
  llvm::sort(slice.ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return slice;
}

static void outline(OpBuilder &builder, const Slice &slice, unsigned index) {
  Location loc = slice.root.getLoc();
  auto type = builder.getFunctionType({}, slice.root.getType());
  auto function = func::FuncOp::create(builder, loc, "constant_" + std::to_string(index), type);
  OpBuilder body = OpBuilder::atBlockBegin(function.addEntryBlock());
  IRMapping mapping;
  for (Operation *op : slice.ops)
    body.clone(*op, mapping);
  func::ReturnOp::create(body, loc, mapping.lookup(slice.root));
}

/// Whether a value that the run gave can stand for one of that type.
static bool refines(Type given, Type type) {
  auto constant = cast<RankedTensorType>(given), ranked = cast<RankedTensorType>(type);
  return constant.getElementType() == ranked.getElementType() &&
         succeeded(verifyCompatibleShape(constant, ranked));
}

/// One round; whether a value became constant.
static bool evaluateOnce(func::FuncOp function, const ConstantEvaluator &evaluator,
                         int64_t maxGrowth) {
  llvm::SetVector<Operation *> known = findConstantOps(function);
  SmallVector<Slice> slices;
  size_t budget = 100000; // operations cloned in all, as slices may overlap
  for (Operation *op : known) {
    if (isa<ConstantOp>(op))
      continue;
    for (Value result : op->getResults()) {
      bool leaves =
          llvm::any_of(result.getUsers(), [&](Operation *user) { return !known.contains(user); });
      if (!leaves || !canBeConstant(result.getType()))
        continue;
      std::optional<Slice> slice = makeRegion(result, maxGrowth, std::min<size_t>(budget, 4096));
      if (!slice)
        continue;
      budget -= slice->ops.size();
      slices.push_back(std::move(*slice));
    }
  }
  if (slices.empty())
    return false;

  OwningOpRef<ModuleOp> module = ModuleOp::create(function.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (auto [i, slice] : llvm::enumerate(slices))
    outline(builder, slice, i);
  auto values = evaluator(*module);
  if (failed(values) || values->size() != slices.size())
    return false; // they are computed when running, then
  bool changed = false;
  for (auto [slice, results] : llvm::zip(slices, *values)) {
    if (results.size() != 1 || !results[0] ||
        !refines(results[0].getType(), slice.root.getType()) ||
        getBytes(results[0].getType(), results[0]) - slice.sourceBytes > maxGrowth)
      continue;
    OpBuilder at(slice.root.getDefiningOp());
    auto constant = ConstantOp::create(at, slice.root.getLoc(), results[0].getType(), results[0]);
    slice.root.replaceAllUsesWith(constant.getResult());
    changed = true;
  }
  for (Operation *op : llvm::reverse(known.getArrayRef()))
    if (isOpTriviallyDead(op))
      op->erase();
  updateResultTypes(function);
  return changed;
}

/// The same loop with at most so many iterations, which returns their number alone.
static LoopOp makeCounter(LoopOp loop, int64_t most) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  auto type = RankedTensorType::get({}, builder.getI64Type());
  auto constant = [&](OpBuilder &at, int64_t value) {
    return ConstantOp::create(at, loc, type,
                              DenseElementsAttr::get(type, at.getI64IntegerAttr(value)))
        .getResult();
  };
  unsigned carried = loop.getNumCarried();
  SmallVector<Type> types(loop.getResults().take_front(carried).getTypes());
  SmallVector<Value> inits(loop.getInits());
  types.push_back(type);
  inits.push_back(constant(builder, 0));
  auto counter =
      LoopOp::create(builder, loc, types, constant(builder, most), loop.getCondition(), inits);
  IRMapping mapping;
  loop.getBody().cloneInto(&counter.getBody(), mapping);
  Block &block = counter.getBlock();
  block.addArgument(type, loc);
  Operation *yield = block.getTerminator();
  OpBuilder inside(yield);
  Value next = BinaryOp::create(inside, loc, type, BinaryKind::add, block.getArgument(0),
                                constant(inside, 1));
  SmallVector<Value> yielded(yield->getOperands().take_front(1 + carried));
  yielded.push_back(next);
  yield->setOperands(yielded);
  return counter;
}

/// Loops of constants that a condition ends soon get the number of their iterations as their trip
/// count; whether one changed.
static bool countIterations(func::FuncOp function, const ConstantEvaluator &evaluator) {
  constexpr int64_t most = 1 << 16;
  llvm::SetVector<Operation *> known = findConstantOps(function);
  SmallVector<LoopOp> loops, counters;
  for (LoopOp loop : function.getOps<LoopOp>()) {
    std::optional<SmallVector<int64_t>> trip = getIntegers(loop.getTrip());
    bool isEndless = trip && trip->size() == 1 && trip->front() > most && !isBounded(loop);
    auto hasUnboundedLoop = [](Block &block) {
      return llvm::any_of(block, [](Operation &op) { return !isPure(&op) || !isBounded(&op); });
    };
    if (isEndless && !hasUnboundedLoop(loop.getBlock()) &&
        llvm::all_of(getSources(loop), [&](Value operand) {
          return operand.getDefiningOp() && known.contains(operand.getDefiningOp());
        }))
      loops.push_back(loop);
  }
  if (loops.empty())
    return false;
  OwningOpRef<ModuleOp> module = ModuleOp::create(function.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  SmallVector<LoopOp> counted;
  for (LoopOp loop : loops) {
    counters.push_back(makeCounter(loop, most));
    if (auto slice = makeRegion(counters.back().getResults().back(), 8, 4096)) {
      outline(builder, *slice, counted.size());
      counted.push_back(loop);
    }
  }
  FailureOr<SmallVector<SmallVector<TypedAttr>>> values = failure();
  if (!counted.empty())
    values = evaluator(*module);
  for (LoopOp counter : counters)
    counter.erase();
  if (failed(values) || values->size() != counted.size())
    return false;
  bool changed = false;
  for (auto [loop, results] : llvm::zip(counted, *values)) {
    auto count =
        results.empty() ? DenseElementsAttr() : dyn_cast_or_null<DenseElementsAttr>(results[0]);
    if (!count || count.getNumElements() != 1 || count.getValues<int64_t>()[0] >= most)
      continue; // perhaps without an end
    OpBuilder at(loop);
    auto trip = ConstantOp::create(at, loop.getLoc(), count.getType(), count);
    loop.getTripMutable().assign(trip.getResult());
    changed = true;
  }
  return changed;
}

LogicalResult lathe::evaluateConstants(func::FuncOp function, const ConstantEvaluator &evaluator,
                                       int64_t maxGrowth) {
  if (!evaluator || function.isExternal())
    return success();
  // The counts of loops come first; then it is known which loops end soon.
  constexpr int maxRounds = 4;
  for (int round = 0; round < maxRounds; ++round) {
    bool changed = evaluateOnce(function, evaluator, maxGrowth);
    if (!countIterations(function, evaluator) && !changed)
      break;
  }
  return success();
}

namespace {
struct EvaluateConstantsPass : graph::impl::EvaluateConstantsPassBase<EvaluateConstantsPass> {
  using EvaluateConstantsPassBase::EvaluateConstantsPassBase;
  explicit EvaluateConstantsPass(ConstantEvaluator evaluator) : evaluator(std::move(evaluator)) {}
  void runOnOperation() override {
    if (failed(evaluateConstants(getOperation(), evaluator, maxGrowth)))
      signalPassFailure();
  }
  ConstantEvaluator evaluator;
};
} // namespace

std::unique_ptr<Pass> lathe::createEvaluateConstantsPass(ConstantEvaluator evaluator) {
  return std::make_unique<EvaluateConstantsPass>(std::move(evaluator));
}
