// Fusion of elementwise producers into their consumers, on tensors, by upstream's patterns.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Schedule.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace {

bool isElementwise(linalg::GenericOp op) { return op.getNumParallelLoops() == op.getNumLoops(); }

// Fusing must neither compute anything twice nor take away what register tiles need: plain
// operands.
bool shouldFuse(OpOperand *operand) {
  auto producer = dyn_cast_or_null<linalg::GenericOp>(operand->get().getDefiningOp());
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  if (!producer || !consumer || !isElementwise(producer))
    return false;
  if (!operand->get().hasOneUse())
    return false;
  // What goes on from what was there (a reduction over no dimension) stays a result of its own, and
  // a reduction cannot have that.
  if (llvm::any_of(producer.getRegionOutputArgs(),
                   [](BlockArgument sum) { return !sum.use_empty(); }))
    return false;
  // What is computed before a loop would be computed in every iteration.
  if (producer->getBlock() != consumer->getBlock())
    return false;
  // Each fusion copies both bodies: without a limit a chain of n operations costs n^2. Past some
  // fifty operations a body is bound by arithmetic, and another pass over memory costs little.
  constexpr size_t maxBodyOperations = 64;
  if (producer.getBody()->getOperations().size() + consumer.getBody()->getOperations().size() >
      maxBodyOperations)
    return false;
  // A broadcast of something computed would compute it again for every copy.
  AffineMap map = consumer.getMatchingIndexingMap(operand);
  bool broadcasts = map.getNumResults() < consumer.getNumLoops();
  bool computes = producer.getBody()->getOperations().size() > 1;
  if (!isElementwise(consumer)) {
    // Into a reduction along rows, not into contractions and windows, whose operands are read many
    // times.
    if (consumer.getNumDpsInputs() != 1 || !map.isProjectedPermutation() || broadcasts)
      return false;
    return true;
  }
  return !(broadcasts && computes);
}

} // namespace

LogicalResult lathe::schedule::fuseOnTensors(ModuleOp module) {
  RewritePatternSet patterns(module.getContext());
  linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
  linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
  linalg::GenericOp::getCanonicalizationPatterns(patterns, module.getContext());
  tensor::EmptyOp::getCanonicalizationPatterns(patterns, module.getContext());
  GreedyRewriteConfig config;
  config.setUseTopDownTraversal(true);
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return applyPatternsGreedily(module, std::move(patterns), config);
}
