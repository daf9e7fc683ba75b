// Shape inference as a pass, and folding of what it determines.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/SymbolicShapes.h"
#include "lathe/Graph.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_INFERSHAPESPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

/// Replaces uses of results that the facts determine by constants.
static void foldKnownValues(func::FuncOp function, SymbolicShapes &shapes) {
  SmallVector<std::pair<Value, TypedAttr>> known;
  function.walk([&](Operation *op) {
    if (isa<ConstantOp>(op) || !isa<ShapeInferenceInterface>(op))
      return;
    for (Value result : op->getResults())
      if (!result.use_empty())
        if (TypedAttr value = shapes.getConstant(result))
          known.emplace_back(result, value);
  });
  SmallVector<Operation *> candidates;
  for (auto [value, attr] : known) {
    OpBuilder builder(value.getDefiningOp());
    auto constant = ConstantOp::create(builder, value.getLoc(), attr.getType(), attr);
    value.replaceAllUsesWith(constant.getResult());
    candidates.append({constant, value.getDefiningOp()});
  }
  // Uses come after definitions, so one pass backwards erases whole chains.
  llvm::SmallDenseSet<Operation *> erased;
  for (Operation *op : llvm::reverse(candidates))
    if (!erased.contains(op) && isOpTriviallyDead(op)) {
      erased.insert(op);
      op->erase();
    }
}

static void attachDims(func::FuncOp function, SymbolicShapes &shapes) {
  function.walk([&](Operation *op) {
    SmallVector<Attribute> texts;
    if (isa<ConstantOp>(op) || !isa<ShapeInferenceInterface>(op))
      return;
    for (Value result : op->getResults())
      if (auto dims = shapes.getDims(result))
        texts.push_back(StringAttr::get(op->getContext(), shapes.toString(*dims)));
    op->setAttr("dims", ArrayAttr::get(op->getContext(), texts));
  });
}

static LogicalResult infer(func::FuncOp function, bool printDims) {
  FailureOr<SymbolicShapes> shapes = SymbolicShapes::compute(function);
  if (failed(shapes))
    return failure();
  if (function.isExternal())
    return success();
  foldKnownValues(function, *shapes);
  if (printDims)
    attachDims(function, *shapes);
  return success();
}

LogicalResult lathe::inferFunctionShapes(func::FuncOp function) { return infer(function, false); }

LogicalResult lathe::inferGraphShapes(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (failed(inferFunctionShapes(function)))
      return failure();
  return success();
}

namespace {
struct InferShapesPass : graph::impl::InferShapesPassBase<InferShapesPass> {
  using InferShapesPassBase::InferShapesPassBase;
  void runOnOperation() override {
    if (failed(infer(getOperation(), printDims)))
      signalPassFailure();
  }
};
} // namespace
