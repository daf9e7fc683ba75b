// The steps of the stage as passes.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "dialects/Graph/Graph.h"
#include "dialects/Rt/Rt.h"
#include "dialects/Sched/Sched.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"

namespace lathe::schedule {
#define GEN_PASS_DECL
#define GEN_PASS_DEF_SCHEDULEFUSEPASS
#define GEN_PASS_DEF_SCHEDULEMARKSAMPLESPASS
#define GEN_PASS_DEF_SCHEDULENARROWOPERANDSPASS
#define GEN_PASS_DEF_SCHEDULEFORMDISPATCHESPASS
#define GEN_PASS_DEF_SCHEDULEPLANMEMORYPASS
#define GEN_PASS_REGISTRATION
#include "lib/Schedule/Passes.h.inc"

namespace {
struct ScheduleFusePass : impl::ScheduleFusePassBase<ScheduleFusePass> {
  void runOnOperation() override {
    if (failed(fuseOnTensors(getOperation())))
      signalPassFailure();
  }
};

struct ScheduleMarkSamplesPass : impl::ScheduleMarkSamplesPassBase<ScheduleMarkSamplesPass> {
  using Base::Base;
  void runOnOperation() override { markSamples(getOperation(), always); }
};

struct ScheduleNarrowOperandsPass
    : impl::ScheduleNarrowOperandsPassBase<ScheduleNarrowOperandsPass> {
  using Base::Base;
  void runOnOperation() override {
    if (precision == "bf16") {
      roundAttentions(getOperation());
      roundProducts(getOperation());
    }
    narrowFloat8(getOperation(), matrixUnit);
    narrowOperands(getOperation());
    narrowBytes(getOperation(), matrixUnit);
  }
};

struct ScheduleFormDispatchesPass
    : impl::ScheduleFormDispatchesPassBase<ScheduleFormDispatchesPass> {
  using Base::Base;
  void runOnOperation() override {
    Options options;
    options.target = {vectorBits, vectorRegisters, l1Bytes,       l2Bytes,       memoryBytes,
                      dotI16,     dotBF16,         matrixBF16,    itemPerThread, copyStages,
                      matrixUnit, groupUnit,       copiesTensors, processors,    sharedBytes};
    options.optLevel = optLevel;
    options.strict = strict;
    options.deterministic = deterministic;
    if (!scheduleFile.empty()) {
      llvm::Expected<ScheduleTable> table = ScheduleTable::read(scheduleFile);
      if (!table) {
        emitError(getOperation().getLoc()) << llvm::toString(table.takeError());
        return signalPassFailure();
      }
      options.table = std::make_shared<ScheduleTable>(std::move(*table));
    }
    if (failed(formDispatches(getOperation(), options)))
      return signalPassFailure();
    fixRounding(getOperation(), deterministic);
  }
};

struct SchedulePlanMemoryPass : impl::SchedulePlanMemoryPassBase<SchedulePlanMemoryPass> {
  using SchedulePlanMemoryPassBase::SchedulePlanMemoryPassBase;
  void runOnOperation() override {
    if (failed(planMemory(getOperation(), forDevice)))
      signalPassFailure();
  }
};
} // namespace

void registerPasses() { registerSchedulePasses(); }

} // namespace lathe::schedule
