// Which kernels of a scheduled module run on a device.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/DeviceCode.h"
#include "dialects/Rt/Rt.h"
#include "lathe/Codegen.h"
#include "lib/Codegen/Device/Device.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

/// How many bytes lie behind a buffer of a launch; 0 where that is not known here.
static Value getExtent(OpBuilder &builder, Location loc, Value buffer) {
  if (auto arena = buffer.getDefiningOp<rt::ArenaOp>(); arena && arena.getBytes())
    return arena.getBytes();
  if (auto memory = buffer.getDefiningOp<rt::AllocateOp>())
    return memory.getBytes();
  uint64_t bytes = 0;
  if (auto weight = buffer.getDefiningOp<rt::WeightAddressOp>()) {
    SmallVector<char> storage;
    bytes = graph::getConstantBytes(weight.getValue(), storage).size();
  }
  return arith::ConstantIndexOp::create(builder, loc, bytes);
}

DeviceKernels lathe::codegen::takeDeviceKernels(ModuleOp scheduled) {
  DeviceKernels kernels;
  OpBuilder builder(scheduled.getContext());
  kernels.module = ModuleOp::create(builder.getUnknownLoc());
  kernels.module.get()->setAttr(deviceAttr, builder.getUnitAttr());
  if (failed(addDeviceKernels(scheduled, kernels)))
    return {};
  return kernels;
}

LogicalResult lathe::codegen::addDeviceKernels(ModuleOp scheduled, DeviceKernels &kernels) {
  OpBuilder builder(scheduled.getContext());
  llvm::StringMap<unsigned> numbers;
  for (auto [number, kernel] : llvm::enumerate(kernels.kernels))
    numbers[kernel.name] = number;
  for (auto function : llvm::make_early_inc_range(scheduled.getOps<func::FuncOp>())) {
    if (!function.isPrivate() || function.isDeclaration() ||
        !rt::regionRunsOnDevice(function.getBody()))
      continue;
    builder.setInsertionPoint(function);
    builder.insert(function.cloneWithoutRegions());
    if (numbers.contains(function.getName())) {
      function.erase();
      continue;
    }
    numbers[function.getName()] = kernels.kernels.size();
    // Without begin and end, and with the count.
    auto block = function->getAttrOfType<IntegerAttr>(rt::blockAttrName);
    kernels.kernels.push_back({function.getName().str(), function.getNumArguments() - 1,
                               block ? unsigned(block.getInt()) : blockThreads, bool(block)});
    FailureOr<std::vector<lathe_tensor_map>> maps = takeTensorMaps(function);
    if (failed(maps))
      return failure();
    kernels.kernels.back().tensorMaps = std::move(*maps);
    function->moveBefore(kernels.module->getBody(), kernels.module->getBody()->end());
  }
  scheduled.walk([&](rt::DispatchOp op) {
    auto number = numbers.find(op.getKernel());
    if (number == numbers.end())
      return;
    op->setAttr(launchAttr, builder.getI32IntegerAttr(number->second));
    builder.setInsertionPoint(op);
    SmallVector<Value> extents(llvm::map_range(
        op.getBuffers(), [&](Value buffer) { return getExtent(builder, op.getLoc(), buffer); }));
    op.getExtentsMutable().assign(extents);
  });
  if (auto run = scheduled.lookupSymbol<func::FuncOp>("run")) {
    bool looks = false;
    if (failed(copyForHost(run, looks)))
      return failure();
    kernels.hostLooks |= looks;
    skipAfterFaults(run, *kernels.module);
  }
  return success();
}
