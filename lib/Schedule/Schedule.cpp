// The stage: its steps in order.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

static LogicalResult cleanUp(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createCanonicalizerPass());
  // Sizes of padded tensors come out of upstream's canonicalization as affine.apply.
  passes.addPass(createLowerAffinePass());
  passes.addPass(createCSEPass());
  return passes.run(module);
}

void lathe::schedule::fixRounding(ModuleOp module, bool zeroSigns) {
  auto kept = zeroSigns ? arith::FastMathFlags::none : arith::FastMathFlags::nsz;
  module.walk([&](arith::ArithFastMathInterface op) {
    arith::FastMathFlagsAttr flags = op.getFastMathFlagsAttr();
    if (flags && (flags.getValue() & ~kept) != arith::FastMathFlags::none)
      op->setAttr(op.getFastMathAttrName(),
                  arith::FastMathFlagsAttr::get(module.getContext(), flags.getValue() & kept));
  });
}

LogicalResult lathe::schedule::scheduleModule(ModuleOp module, const Options &options) {
  if (failed(cleanUp(module)))
    return failure();
  bool hasUnits = options.optLevel > 0 && !options.target.matrixUnit.empty();
  bool rounds = hasUnits && options.precision == "bf16";
  if (rounds)
    roundAttentions(module);
  if (failed(expandComposites(module, options)))
    return failure();
  if (rounds)
    roundProducts(module);
  if (hasUnits) {
    narrowFloat8(module, options.target.matrixUnit);
    narrowOperands(module);
    narrowBytes(module, options.target.matrixUnit);
  }
  if (options.optLevel > 0 && (failed(fuseOnTensors(module)) || failed(cleanUp(module))))
    return failure();
  if (failed(formDispatches(module, options)))
    return failure();
  fixRounding(module, options.deterministic);
  if (failed(cleanUp(module)))
    return failure();
  return planMemory(module, /*isForDevice=*/options.target.itemPerThread);
}
