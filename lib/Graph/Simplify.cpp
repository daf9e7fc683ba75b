// Algebraic simplification: folders, canonicalization, constants, common subexpressions.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Graph.h"
#include "lib/Graph/ConstantFold.h"
#include "lib/Graph/Rewrite.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_SIMPLIFYPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

GreedyRewriteConfig lathe::graph::getRewriteConfig() {
  GreedyRewriteConfig config;
  // Each rewrite removes or normalises something, so a worklist ends; rounds are only a backstop.
  config.setMaxIterations(8);
  config.setUseTopDownTraversal(true);
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return config;
}

void lathe::graph::populateSimplifyPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  for (RegisteredOperationName op : context->getRegisteredOperations())
    if (isa<GraphDialect>(op.getDialect()))
      op.getCanonicalizationPatterns(patterns, context);
  populateConstantFoldPatterns(patterns);
}

void lathe::graph::updateResultTypes(func::FuncOp function) {
  Operation *terminator = function.getBody().front().getTerminator();
  function.setFunctionType(FunctionType::get(function.getContext(), function.getArgumentTypes(),
                                             terminator->getOperandTypes()));
}

LogicalResult lathe::simplifyGraph(func::FuncOp function) {
  RewritePatternSet patterns(function.getContext());
  populateSimplifyPatterns(patterns);
  // Stopping at the round limit leaves valid IR.
  (void)applyPatternsGreedily(function, std::move(patterns), getRewriteConfig());
  IRRewriter rewriter(function.getContext());
  DominanceInfo dominance(function);
  eliminateCommonSubExpressions(rewriter, dominance, function);
  // A loop or branch that is decided now gives way to values of known sizes.
  if (!function.isExternal())
    updateResultTypes(function);
  return success();
}

namespace {
struct SimplifyPass : graph::impl::SimplifyPassBase<SimplifyPass> {
  void runOnOperation() override {
    if (failed(simplifyGraph(getOperation())))
      signalPassFailure();
  }
};
} // namespace
