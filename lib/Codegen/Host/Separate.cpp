// Kernels that need nothing of the program that calls them become modules of their own.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lathe/Codegen.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

// Whether the code of `kernel` depends on its own text alone: checks have numbers by module. Small
// ones stay with their callers, where LLVM sees the arguments; they take no time to compile.
static bool standsAlone(func::FuncOp kernel) {
  constexpr unsigned leastOperations = 128;
  unsigned operations = 0;
  WalkResult closed = kernel.getBody().walk([&](Operation *op) {
    ++operations;
    bool isOfHost = isa<rt::RtDialect>(op->getDialect()) && !isa<rt::ViewOp>(op);
    return isOfHost || isa<SymbolUserOpInterface>(op) ? WalkResult::interrupt()
                                                      : WalkResult::advance();
  });
  return !closed.wasInterrupted() && operations >= leastOperations;
}

SmallVector<SeparateKernel> lathe::codegen::separateKernels(ModuleOp scheduled,
                                                            const HostTarget &target) {
  SmallVector<SeparateKernel> kernels;
  OpBuilder builder(scheduled.getContext());
  for (auto function : llvm::make_early_inc_range(scheduled.getOps<func::FuncOp>())) {
    if (!function.isPrivate() || function.isDeclaration() || !standsAlone(function))
      continue;
    std::string symbol = (function.getName() + "." + target.name).str();
    llvm::replace(symbol, '@', '.'); // what follows would be a version to the linker
    function->setAttr(kernelSymbolAttr, builder.getStringAttr(symbol));
    builder.setInsertionPoint(function);
    builder.insert(function.cloneWithoutRegions());
    OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
    function->moveBefore(module->getBody(), module->getBody()->end());
    kernels.push_back({std::move(symbol), std::move(module)});
  }
  return kernels;
}
