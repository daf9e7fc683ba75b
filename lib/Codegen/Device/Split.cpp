// Which kernels of a scheduled module run on a device, and where the host waits for it.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/DeviceCode.h"
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
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

static bool runsOnDevice(func::FuncOp kernel) {
  auto fits = [](Operation *op) {
    return rt::runsOnDevice(op) ? WalkResult::advance() : WalkResult::interrupt();
  };
  return !kernel.getBody().walk(fits).wasInterrupted();
}

static bool isLaunch(Operation &op) { return op.hasAttr(launchAttr); }

/// Whether the host itself looks at, or changes, what kernels read and write.
static bool touchesMemory(Operation &op) {
  if (isa<rt::DispatchOp>(op))
    return !isLaunch(op);
  return isa<LLVM::LoadOp, LLVM::StoreOp, rt::InvokeOp, rt::ReserveOp, rt::OutputValueOp>(op);
}

/// Where an address leads: the operation that gives the memory, or null.
static Operation *findMemory(Value address) {
  while (auto place = address.getDefiningOp<LLVM::GEPOp>())
    address = place.getBase();
  return address.getDefiningOp();
}

/// LATHE_DEVICE_...: what an operation of the host program looks at or changes.
static uint32_t getTouched(Operation &op) {
  if (isa<rt::AllocateOp, rt::AllocateOutputOp>(op)) // with a head that the runtime writes
    return LATHE_DEVICE_HOST_VALUES;
  if (!touchesMemory(op))
    return 0;
  Value address = isa<LLVM::LoadOp>(op)    ? cast<LLVM::LoadOp>(op).getAddr()
                  : isa<LLVM::StoreOp>(op) ? cast<LLVM::StoreOp>(op).getAddr()
                                           : Value();
  if (isa<rt::ReserveOp>(op) ||
      (address && isa_and_nonnull<rt::ArenaOp, rt::InputOp, rt::OutputOp, rt::SlotOp,
                                  rt::AllocateOp, rt::ReserveOp>(findMemory(address))))
    return LATHE_DEVICE_HOST_VALUES;
  return LATHE_DEVICE_HOST_VALUES | LATHE_DEVICE_HOST_WEIGHTS;
}

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

/// Puts waits before what touches memory, but where nothing was launched since the last.
static void addWaits(Block &block, Value call) {
  bool isPending = true;
  for (Operation &op : block) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        addWaits(inner, call);
    if (op.getNumRegions() > 0 || isLaunch(op)) {
      isPending = true;
    } else if (isPending && touchesMemory(op)) {
      OpBuilder builder(&op);
      rt::WaitOp::create(builder, op.getLoc(), call);
      isPending = false;
    }
  }
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
    if (!function.isPrivate() || function.isDeclaration() || !runsOnDevice(function))
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
    for (Block &block : run.getBody())
      addWaits(block, run.getArgument(0));
    run.walk([&](Operation *op) { kernels.hostFlags |= getTouched(*op); });
    skipAfterFaults(run, *kernels.module);
  }
  return success();
}
