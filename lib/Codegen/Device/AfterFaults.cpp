// Kernels after one that has found a fault in the data. The host learns of a fault when it waits,
// so that later kernels run on what the first one has left: wrong numbers, which do no harm, unless
// they say where to read or write, or how often. A kernel that asks its data so does nothing once a
// fault is known. Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lib/Codegen/Device/Device.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

static bool isLaunchOfCheckedKernel(rt::DispatchOp dispatch) {
  return dispatch.getChecked() && dispatch->hasAttr(launchAttr);
}

static bool holdsCheckedLaunch(Operation &op) {
  auto isOne = [](rt::DispatchOp inner) {
    return isLaunchOfCheckedKernel(inner) ? WalkResult::interrupt() : WalkResult::advance();
  };
  return op.walk(isOne).wasInterrupted();
}

/// Kernels that a block launches after one that may find a fault. What is in a loop comes after all
/// that is in it.
static void collectLater(Block &block, bool &isAfter, llvm::StringSet<> &later) {
  for (Operation &op : block) {
    if (auto dispatch = dyn_cast<rt::DispatchOp>(op); dispatch && op.hasAttr(launchAttr)) {
      if (isAfter)
        later.insert(dispatch.getKernel());
      isAfter |= isLaunchOfCheckedKernel(dispatch);
    } else if (op.getNumRegions() > 0) {
      isAfter |= holdsCheckedLaunch(op);
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          collectLater(inner, isAfter, later);
    }
  }
}

namespace {

/// What of a kernel's values depends on what it reads from memory.
class FromData {
public:
  explicit FromData(func::FuncOp kernel) {
    do {
      changed = false;
      kernel.getBody().walk([&](Operation *op) { visit(op); });
    } while (changed);
    kernel.getBody().walk([&](Operation *op) { decides |= isDecided(op); });
  }

  /// Whether such values say where the kernel reads or writes, or how often.
  bool decidesPlaces() const { return decides; }

private:
  bool has(Value value) const { return values.contains(value); }
  bool hasAny(ValueRange range) const {
    return llvm::any_of(range, [&](Value value) { return has(value); });
  }
  void add(Value value) { changed |= values.insert(value).second; }
  void addAll(ValueRange range) {
    for (Value value : range)
      add(value);
  }
  /// Each of `to` whose value of `from` is there.
  void pass(ValueRange from, ValueRange to) {
    for (auto [source, target] : llvm::zip_equal(from, to))
      if (has(source))
        add(target);
  }
  void visit(Operation *op);
  bool isDecided(Operation *op) const;

  llvm::DenseSet<Value> values;
  bool changed = false, decides = false;
};

} // namespace

void FromData::visit(Operation *op) {
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    ValueRange yielded = loop.getBody()->getTerminator()->getOperands();
    for (ValueRange from : {ValueRange(loop.getInitArgs()), yielded}) {
      pass(from, loop.getRegionIterArgs());
      pass(from, loop.getResults());
    }
    return;
  }
  if (auto choice = dyn_cast<scf::IfOp>(op)) {
    if (has(choice.getCondition()))
      addAll(choice.getResults());
    for (Region *region : {&choice.getThenRegion(), &choice.getElseRegion()})
      if (!region->empty())
        pass(region->front().getTerminator()->getOperands(), choice.getResults());
    return;
  }
  if (isa<rt::ThreadOp, rt::FailedOp>(op))
    return;
  bool isFromData = hasEffect<MemoryEffects::Read>(op) || hasAny(op->getOperands());
  auto eachBlock = [op](auto visitor) {
    for (Region &region : op->getRegions())
      llvm::for_each(region, visitor);
  };
  eachBlock([&](Block &block) { isFromData |= hasAny(block.getTerminator()->getOperands()); });
  if (!isFromData)
    return;
  // Of other loops nothing more is known.
  addAll(op->getResults());
  eachBlock([&](Block &block) { addAll(block.getArguments()); });
  for (Block *next : op->getSuccessors())
    addAll(next->getArguments());
}

bool FromData::isDecided(Operation *op) const {
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return has(loop.getLowerBound()) || has(loop.getUpperBound()) || has(loop.getStep());
  if (isa<scf::ConditionOp, cf::CondBranchOp, cf::SwitchOp>(op))
    return has(op->getOperand(0));
  auto isMemory = [](Type type) { return isa<BaseMemRefType, LLVM::LLVMPointerType>(type); };
  if (llvm::none_of(op->getOperandTypes(), isMemory) &&
      llvm::none_of(op->getResultTypes(), isMemory))
    return false;
  // What is stored comes first, before the memory.
  auto operands = op->getOperands();
  if (hasEffect<MemoryEffects::Write>(op) && !operands.empty() && !isMemory(operands[0].getType()))
    operands = operands.drop_front();
  return hasAny(operands);
}

/// The answer that all threads of a block get, although the kernel itself may find a fault.
static Value shareAnswer(OpBuilder &builder, Location loc, Value answer) {
  Type i32 = builder.getI32Type();
  Value shared = rt::SharedOp::create(builder, loc, MemRefType::get({1}, i32));
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, thread, zero);
  OpBuilder first = scf::IfOp::create(builder, loc, isFirst).getThenBodyBuilder();
  memref::StoreOp::create(first, loc, arith::ExtUIOp::create(first, loc, i32, answer), shared,
                          zero);
  rt::BarrierOp::create(builder, loc);
  Value number = memref::LoadOp::create(builder, loc, shared, zero);
  return arith::TruncIOp::create(builder, loc, builder.getI1Type(), number);
}

static void skipAfterFault(func::FuncOp kernel) {
  Location loc = kernel.getLoc();
  auto isCheck = [](rt::CheckOp) { return WalkResult::interrupt(); };
  bool isChecked = kernel.getBody().walk(isCheck).wasInterrupted();
  Block *entry = &kernel.getBody().front();
  if (isa<rt::FailedOp>(entry->front())) // for another form of the model
    return;
  Block *work = entry->splitBlock(entry->begin());
  Block *skip = kernel.addBlock();
  OpBuilder builder = OpBuilder::atBlockEnd(entry);
  Value failed = rt::FailedOp::create(builder, loc, builder.getI1Type(), kernel.getArgument(0));
  // Where it changes while the kernel runs, the threads of a block could part before a barrier.
  if (kernel->hasAttr(rt::blockAttrName) && isChecked)
    failed = shareAnswer(builder, loc, failed);
  cf::CondBranchOp::create(builder, loc, failed, skip, work);
  builder.setInsertionPointToEnd(skip);
  func::ReturnOp::create(builder, loc);
}

void lathe::codegen::skipAfterFaults(func::FuncOp run, ModuleOp kernels) {
  llvm::StringSet<> later;
  // Several blocks may be a loop.
  bool isAfter = !run.getBody().hasOneBlock() && holdsCheckedLaunch(*run);
  for (Block &block : run.getBody())
    collectLater(block, isAfter, later);
  for (auto kernel : kernels.getOps<func::FuncOp>())
    if (later.contains(kernel.getName()) && FromData(kernel).decidesPlaces())
      skipAfterFault(kernel);
}
