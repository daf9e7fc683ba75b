// The order of the passes of stage Graph.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Graph.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace lathe;

void lathe::buildGraphPipeline(OpPassManager &passes, ConstantEvaluator evaluator, bool strict,
                               llvm::StringRef precision) {
  OpPassManager &functions = passes.nest<func::FuncOp>();
  functions.addPass(graph::createInferShapesPass());
  functions.addPass(graph::createSimplifyPass());
  if (!strict) {
    functions.addPass(graph::createFoldQuantizationPass());
    if (precision == "fp8")
      functions.addPass(graph::createScaleProductsPass());
    // Before batch normalizations dissolve into arithmetic that could be mistaken for something
    // else.
    functions.addPass(graph::createRecomposePass());
    functions.addPass(graph::createFoldBatchNormPass());
  }
  if (evaluator)
    functions.addPass(createEvaluateConstantsPass(std::move(evaluator)));
  // Weights are constants now.
  if (!strict)
    functions.addPass(graph::createDropSubnormalsPass());
  functions.addPass(graph::createNarrowProductsPass({precision == "bf16"}));
  // Layout is chosen once there is nothing left that would disappear.
  functions.addPass(graph::createChannelsLastPass());
  // Constants and canonical forms may have made more sizes known.
  functions.addPass(graph::createInferShapesPass());
  functions.addPass(graph::createSimplifyPass());
}
