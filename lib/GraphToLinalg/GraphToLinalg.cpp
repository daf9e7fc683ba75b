// The stage: every function of a module, and the table of lowerings.
// Apache-2.0 WITH LLVM-exception
#include "lathe/GraphToLinalg.h"
#include "dialects/Rt/Rt.h"
#include "lib/GraphToLinalg/Builtins.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

namespace lathe {
#define GEN_PASS_DEF_GRAPHTOLINALGPASS
#include "lib/GraphToLinalg/Passes.h.inc"
} // namespace lathe

const LoweringTable &LoweringTable::get() {
  static const LoweringTable table = [] {
    LoweringTable families;
    addControl(families);
    addElementwise(families);
    addContraction(families);
    addReshape(families);
    addReduction(families);
    addConv(families);
    addPool(families);
    addNormalization(families);
    addSlice(families);
    addPad(families);
    addGather(families);
    addFill(families);
    addAttention(families);
    addQuantization(families);
    addRecurrent(families);
    addScan(families);
    addResize(families);
    addScatter(families);
    addSort(families);
    addTree(families);
    addText(families);
    addSelect(families);
    addSequence(families);
    addDetection(families);
    addColumnsToImage(families);
    addDeterminant(families);
    addLinearAttention(families);
    addRandom(families);
    addFourier(families);
    return families;
  }();
  return table;
}

void lathe::loadGraphToLinalgDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                      math::MathDialect, scf::SCFDialect, tensor::TensorDialect,
                      graph::GraphDialect, rt::RtDialect, sched::SchedDialect>();
}

LogicalResult lathe::convertGraphToLinalg(ModuleOp module) {
  loadGraphToLinalgDialects(*module.getContext());
  SmallVector<std::pair<func::FuncOp, OwningOpRef<func::FuncOp>>> lowered;
  bool ok = true;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isDeclaration())
      continue;
    FailureOr<graph::SymbolicShapes> shapes = graph::SymbolicShapes::compute(function);
    if (failed(shapes)) {
      ok = false;
      continue;
    }
    OwningOpRef<func::FuncOp> result = Lowering(function, *shapes).run();
    ok &= bool(result);
    lowered.emplace_back(function, std::move(result));
  }
  if (!ok)
    return failure();
  for (auto &[source, target] : lowered) {
    source->getBlock()->getOperations().insert(source->getIterator(), target.release());
    source.erase();
  }
  return success();
}

namespace {
struct GraphToLinalgPass : lathe::impl::GraphToLinalgPassBase<GraphToLinalgPass> {
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                    math::MathDialect, scf::SCFDialect, tensor::TensorDialect, graph::GraphDialect,
                    rt::RtDialect, sched::SchedDialect>();
  }
  void runOnOperation() override {
    if (failed(convertGraphToLinalg(getOperation())))
      signalPassFailure();
  }
};
} // namespace

void lathe::registerGraphToLinalgPasses() { registerPass(createGraphToLinalgPass); }
