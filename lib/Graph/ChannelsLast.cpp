// Choosing the layout of images: channels last around convolutions, the fewest transposes between.
//
// Every operation that works in both layouts is a node; convolutions must be on the side of
// channels last, everything that knows one layout only (arguments, results, reshapes) on the other.
// A value whose producer and consumer are on different sides costs a transpose of its size. The
// assignment of least cost is a minimum cut, which is found exactly:
//
//   value v of producer P with consumers C1..Ck, moved once for all of them
//     first to last:  P -> a (size of v),  a -> Ci (unlimited)
//     last to first:  Ci -> b (unlimited), b -> P (size of v)
//
// with the source on the side of channels first. A transpose that the model contains is free on one
// side: it cancels against the one that would be inserted. Kernels of one pixel are left where the
// cut puts them: with channels first they are products.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "lathe/Graph.h"
#include "lib/Graph/ChannelLayout.h"
#include "lib/Graph/ChannelShuffle.h"
#include "lib/Graph/MinCut.h"
#include "lib/Graph/PointwiseConv.h"
#include "lib/Graph/Rewrite.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_CHANNELSLASTPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

static RankedTensorType getType(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }

/// What a transpose of the value costs: nothing to speak of when only dimensions of size 1 move.
static int64_t getTransposeCost(Value value) {
  RankedTensorType type = getType(value);
  int64_t large =
      llvm::count_if(type.getShape().drop_front(), [](int64_t size) { return size != 1; });
  bool moves = large > 1 && type.getDimSize(1) != 1;
  return moves ? estimateElements(type) : 1;
}

namespace {

using Plans = llvm::MapVector<Operation *, LayoutPlan>;

class LayoutChoice {
public:
  LayoutChoice(func::FuncOp function, Plans &plans) : function(function), plans(plans) {}

  /// The operations to run with channels last.
  llvm::DenseSet<Operation *> choose();

private:
  void connect(Value value, int64_t rank);
  /// The node on whose side the value comes into being; the source for fixed ones.
  unsigned getProducer(Value value, int64_t rank);

  func::FuncOp function;
  Plans &plans;
  MinCut cut;
  DenseMap<Operation *, unsigned> nodes;
};

} // namespace

unsigned LayoutChoice::getProducer(Value value, int64_t rank) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return cut.getSource();
  if (auto node = nodes.find(op); node != nodes.end())
    return plans.find(op)->second.results.empty() ? cut.getSource() : node->second;
  // A transpose out of channels last comes for free on that side.
  if (auto transpose = dyn_cast<TransposeOp>(op))
    if (llvm::equal(transpose.getPerm(), getToFirstPerm(rank)))
      return cut.getSink();
  return cut.getSource();
}

void LayoutChoice::connect(Value value, int64_t rank) {
  if (getConstantValue(value))
    return;
  unsigned producer = getProducer(value, rank);
  int64_t cost = getTransposeCost(value);
  SmallVector<unsigned> consumers;
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<ShapeOp>(user)) // of sizes, which a constant permutation puts in order
      continue;
    if (auto transpose = dyn_cast<TransposeOp>(user)) {
      if (llvm::equal(transpose.getPerm(), getToLastPerm(rank)))
        cut.addEdge(producer, cut.getSink(), cost);
      continue;
    }
    auto node = nodes.find(user);
    bool carries = node != nodes.end() && plans.find(user)->second.carries(use);
    consumers.push_back(carries ? node->second : cut.getSource());
  }
  llvm::sort(consumers);
  consumers.erase(llvm::unique(consumers), consumers.end());
  if (consumers.empty() || (consumers.size() == 1 && consumers[0] == producer))
    return;
  if (consumers.size() == 1) {
    cut.addEdge(producer, consumers[0], cost);
    cut.addEdge(consumers[0], producer, cost);
    return;
  }
  unsigned toLast = cut.addNode(), toFirst = cut.addNode();
  cut.addEdge(producer, toLast, cost);
  cut.addEdge(toFirst, producer, cost);
  for (unsigned consumer : consumers) {
    cut.addEdge(toLast, consumer, MinCut::unlimited);
    cut.addEdge(consumer, toFirst, MinCut::unlimited);
  }
}

llvm::DenseSet<Operation *> LayoutChoice::choose() {
  for (auto &[op, plan] : plans) {
    nodes[op] = cut.addNode();
    cut.addEdge(nodes[op], cut.getSink(), plan.gain);
  }
  llvm::DenseSet<Value> seen;
  for (auto &[op, plan] : plans) {
    for (OpOperand *operand : plan.operands) {
      RankedTensorType type = getType(operand->get());
      if (type.getRank() < plan.rank) {
        // Lower ranks are brought to full rank and transposed for this operation alone.
        if (!getConstantValue(operand->get()) && type.getNumElements() != 1)
          cut.addEdge(cut.getSource(), nodes[op], estimateElements(type));
      } else if (seen.insert(operand->get()).second) {
        connect(operand->get(), plan.rank);
      }
    }
    for (Value result : plan.results)
      if (seen.insert(result).second)
        connect(result, getType(result).getRank());
  }
  llvm::DenseSet<Operation *> chosen;
  bool isSolved = cut.solve(/*budget=*/int64_t(200) * 1000 * 1000);
  SmallVector<Operation *> queue;
  for (auto &[op, plan] : plans)
    // Without a cut only what must be moved is.
    if (isSolved ? cut.isOnSinkSide(nodes[op]) : plan.gain == MinCut::unlimited)
      if (chosen.insert(op).second)
        queue.push_back(op);
  // Where the cost is the same, operations stay with those they would be fused with: transposes go
  // behind what follows a convolution. Whole connected groups switch, so the cut remains least.
  auto join = [&](Operation *op) {
    auto node = op ? nodes.find(op) : nodes.end();
    if (node != nodes.end() && cut.mayBeOnSinkSide(node->second) && chosen.insert(op).second)
      queue.push_back(op);
  };
  while (isSolved && !queue.empty()) {
    LayoutPlan &plan = plans.find(queue.pop_back_val())->second;
    for (OpOperand *operand : plan.operands)
      join(operand->get().getDefiningOp());
    for (Value result : plan.results)
      for (Operation *user : result.getUsers())
        join(user);
  }
  return chosen;
}

namespace {

/// Carries out a choice.
class LayoutRewriter {
public:
  LayoutRewriter(MLIRContext *context) : builder(context) {}
  void rewrite(ArrayRef<std::pair<Operation *, LayoutPlan *>> ops);

private:
  Value getLast(Value value, int64_t rank);

  OpBuilder builder;
  DenseMap<Value, Value> lastOf;
};

} // namespace

Value LayoutRewriter::getLast(Value value, int64_t rank) {
  RankedTensorType type = getType(value);
  if (type.getRank() == rank) {
    Value &last = lastOf[value];
    if (!last) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointAfterValue(value);
      last = makeTranspose(builder, value.getLoc(), value, getToLastPerm(rank));
    }
    return last;
  }
  // A scalar broadcasts the same way in both layouts.
  if (llvm::all_of(type.getShape(), [](int64_t size) { return size == 1; }))
    return value;
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank - type.getRank()));
  SmallVector<int64_t> shape(axes.size(), 1);
  llvm::append_range(shape, type.getShape());
  auto full = RankedTensorType::get(shape, type.getElementType());
  Value spread = UnsqueezeOp::create(builder, value.getLoc(), full, value, axes).getResult();
  return makeTranspose(builder, value.getLoc(), spread, getToLastPerm(rank));
}

void LayoutRewriter::rewrite(ArrayRef<std::pair<Operation *, LayoutPlan *>> ops) {
  SmallVector<std::pair<Value, Value>> moved; // the old result, the new one with channels last
  for (auto [op, plan] : ops) {
    builder.setInsertionPoint(op);
    int64_t rank = plan->rank;
    Operation *rebuilt = rebuildChannelsLast(
        builder, op, *plan, [&, rank = rank](Value value) { return getLast(value, rank); });
    for (auto [old, result] : llvm::zip(op->getResults(), rebuilt->getResults())) {
      if (plan->results.empty()) {
        old.replaceAllUsesWith(result);
        continue;
      }
      lastOf[old] = result;
      moved.emplace_back(old, result);
    }
  }
  // Whoever still reads an old result works with channels first.
  llvm::DenseSet<Operation *> replaced;
  for (auto [op, plan] : ops)
    replaced.insert(op);
  for (auto [old, result] : moved) {
    auto isOutside = [&](OpOperand &use) { return !replaced.contains(use.getOwner()); };
    if (llvm::none_of(old.getUses(), isOutside))
      continue;
    builder.setInsertionPointAfterValue(result);
    Value first =
        makeTranspose(builder, old.getLoc(), result, getToFirstPerm(getType(result).getRank()));
    first.setType(old.getType());
    old.replaceUsesWithIf(first, isOutside);
  }
  for (auto [op, plan] : llvm::reverse(ops))
    op->erase();
}

static bool hasConvolution(func::FuncOp function) {
  auto isConvolution = [](Operation *op) {
    return isa<ConvOp, ConvTransposeOp>(op) && planChannelsLast(op) ? WalkResult::interrupt()
                                                                    : WalkResult::advance();
  };
  return function.walk(isConvolution).wasInterrupted();
}

/// False where no convolution asks for it.
static bool chooseLayouts(func::FuncOp function) {
  if (!hasConvolution(function))
    return false;
  fuseChannelShuffles(function);
  Plans plans;
  function.walk([&](Operation *op) {
    if (std::optional<LayoutPlan> plan = planChannelsLast(op))
      plans.insert({op, std::move(*plan)});
  });
  llvm::DenseSet<Operation *> chosen = LayoutChoice(function, plans).choose();
  SmallVector<std::pair<Operation *, LayoutPlan *>> ops;
  for (auto &[op, plan] : plans)
    if (chosen.contains(op))
      ops.emplace_back(op, &plan);
  LayoutRewriter(function.getContext()).rewrite(ops);
  expandChannelShuffles(function);
  return true;
}

/// False where nothing is a product.
static bool makeProducts(func::FuncOp function) {
  bool changed = false;
  function.walk([&](ConvOp op) {
    if (!isProduct(op))
      return;
    OpBuilder builder(op);
    op.getResult().replaceAllUsesWith(makeProduct(builder, op));
    op.erase();
    changed = true;
  });
  return changed;
}

LogicalResult lathe::convertToChannelsLast(func::FuncOp function) {
  bool changed = chooseLayouts(function);
  changed |= makeProducts(function);
  // Transposes meet and cancel, those of constants are computed.
  return changed ? simplifyGraph(function) : success();
}

namespace {
struct ChannelsLastPass : graph::impl::ChannelsLastPassBase<ChannelsLastPass> {
  void runOnOperation() override {
    if (failed(convertToChannelsLast(getOperation())))
      signalPassFailure();
  }
};
} // namespace
