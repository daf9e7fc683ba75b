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
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_EVALUATECONSTANTSPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

static std::optional<int64_t> getBytes(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (ranked && isa<StringType>(ranked.getElementType()))
    return std::nullopt; // what a run gives cannot be kept as bytes
  std::optional<uint64_t> bytes =
      ranked && ranked.hasStaticShape() ? getStorageBytes(ranked) : std::nullopt;
  return bytes ? std::optional<int64_t>(*bytes) : std::nullopt;
}

namespace {
/// A value to compute, and what it is computed from.
struct Slice {
  Value root;
  SmallVector<Operation *> ops; // in program order, constants included
};
} // namespace

/// Operations whose operands are all constants or results of such operations, in program order.
static llvm::SetVector<Operation *> findConstantOps(func::FuncOp function) {
  llvm::SetVector<Operation *> known;
  for (Block &block : function.getBody())
    for (Operation &op : block) {
      if (!isa<ShapeInferenceInterface>(op) || !isPure(&op) || op.getNumRegions() ||
          !llvm::all_of(op.getResultTypes(), [](Type type) { return getBytes(type); }))
        continue;
      if (llvm::all_of(op.getOperands(), [&](Value operand) {
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
      source = llvm::SaturatingAdd<uint64_t>(source, *getBytes(ops[i]->getResult(0).getType()));
    for (Value operand : ops[i]->getOperands())
      ops.insert(operand.getDefiningOp());
  }
  if (*getBytes(root.getType()) - source > maxGrowth)
    return std::nullopt;
  Slice slice{root, ops.takeVector()};
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

LogicalResult lathe::evaluateConstants(func::FuncOp function, const ConstantEvaluator &evaluator,
                                       int64_t maxGrowth) {
  if (!evaluator || function.isExternal())
    return success();
  llvm::SetVector<Operation *> known = findConstantOps(function);
  SmallVector<Slice> slices;
  size_t budget = 100000; // operations cloned in all, as slices may overlap
  for (Operation *op : known) {
    if (isa<ConstantOp>(op))
      continue;
    for (Value result : op->getResults()) {
      bool leaves =
          llvm::any_of(result.getUsers(), [&](Operation *user) { return !known.contains(user); });
      if (!leaves)
        continue;
      std::optional<Slice> slice = makeRegion(result, maxGrowth, std::min<size_t>(budget, 4096));
      if (!slice)
        continue;
      budget -= slice->ops.size();
      slices.push_back(std::move(*slice));
    }
  }
  if (slices.empty())
    return success();

  OwningOpRef<ModuleOp> module = ModuleOp::create(function.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (auto [i, slice] : llvm::enumerate(slices))
    outline(builder, slice, i);
  auto values = evaluator(*module);
  if (failed(values) || values->size() != slices.size())
    return success(); // they are computed when running, then
  for (auto [slice, results] : llvm::zip(slices, *values)) {
    if (results.size() != 1 || !results[0] || results[0].getType() != slice.root.getType())
      continue;
    OpBuilder at(slice.root.getDefiningOp());
    auto constant = ConstantOp::create(at, slice.root.getLoc(), results[0].getType(), results[0]);
    slice.root.replaceAllUsesWith(constant.getResult());
  }
  for (Operation *op : llvm::reverse(known.getArrayRef()))
    if (isOpTriviallyDead(op))
      op->erase();
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
