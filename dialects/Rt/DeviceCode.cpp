// What can be part of a kernel for a device. Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/DeviceCode.h"
#include "dialects/Rt/Rt.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace lathe;

bool lathe::rt::isText(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isInteger() && element.getIntOrFloatBitWidth() > 64;
}

bool lathe::rt::runsOnDevice(Operation *op) {
  bool isOfHost =
      isa<RtDialect>(op->getDialect()) &&
      !isa<ViewOp, CheckOp, FailedOp, ThreadOp, BarrierOp, SharedOp, MultiplyMatricesOp,
           CopyAsyncOp, CommitCopiesOp, WaitCopiesOp, LoadMatricesOp, DescribeMatrixOp,
           MultiplySharedOp, FenceProductsOp, FenceSharedOp, CommitProductsOp, WaitProductsOp,
           TensorMapOp, InitPhasesOp, FencePhasesOp, ArriveOp, WaitPhaseOp, CopyTensorOp>(op);
  return !isOfHost && !isa<SymbolUserOpInterface>(op) &&
         llvm::none_of(op->getOperandTypes(), isText) &&
         llvm::none_of(op->getResultTypes(), isText);
}

bool lathe::rt::regionRunsOnDevice(Region &region) {
  auto fits = [](Operation *op) {
    return runsOnDevice(op) ? WalkResult::advance() : WalkResult::interrupt();
  };
  return !region.walk(fits).wasInterrupted();
}
