// Schedule: linalg on tensors becomes kernels of vector loops and a host program of dispatches.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_SCHEDULE_H
#define LATHE_SCHEDULE_H

#include "mlir/IR/BuiltinOps.h"
#include <cstdint>
#include <string>

namespace lathe::schedule {

/// What a schedule needs to know of a processor. No field names a chip.
struct TargetInfo {
  unsigned vectorBits = 256;
  unsigned vectorRegisters = 16;
  uint64_t l1Bytes = 32 << 10;
  uint64_t l2Bytes = 512 << 10;
  /// LLVM's names of the instructions that multiply pairs of 16 bits in each 32-bit lane; empty
  /// where there is none. The products of a pair of i16 added up; those of a pair of bf16 added to
  /// an f32 accumulator, the first operand.
  std::string dotI16, dotBF16;
  /// LLVM's name of the instruction that multiplies tiles of bf16; empty where there is none.
  std::string matrixBF16;

  bool operator==(const TargetInfo &) const = default;
};

struct Options {
  TargetInfo target;
  /// 0: no fusion and no register tiles, the plain loops of every operation.
  unsigned optLevel = 3;
  /// Leaves out whatever changes the order of rounding beyond the lanes of a vector: Winograd's
  /// algorithm, attention with an online softmax.
  bool strict = false;
  /// Leaves LLVM no choice of results at all: signs of zeros count in maxima as well.
  bool deterministic = false;

  bool operator==(const Options &) const = default;
};

/// Fuses elementwise producers into their consumers, on tensors; knows no target.
mlir::LogicalResult fuseOnTensors(mlir::ModuleOp module);

/// Inlines the calls of composites (`sched.kind`) for which there is no emitter on this target, at
/// optLevel 0 all of them.
mlir::LogicalResult expandComposites(mlir::ModuleOp module, const Options &options);

/// Replaces `@main` on tensors by `@run(call) -> i32`, `@plan(call, plan) -> i32` and the private
/// kernels they dispatch; every intermediate is an `rt.alloc`. Pre-condition: the output of
/// graph-to-linalg. What cannot be scheduled is a located error.
mlir::LogicalResult formDispatches(mlir::ModuleOp module, const Options &options);

/// Takes away the fast-math flags by which LLVM could choose a rounding, which it would do
/// otherwise in the whole vectors of a loop and in its tail: an element has the same bits in
/// whatever piece it is computed. With `zeroSigns` no flag is left at all.
void fixRounding(mlir::ModuleOp module, bool zeroSigns);

/// Puts every `rt.alloc` into one arena by liveness, and its size into `@plan`.
mlir::LogicalResult planMemory(mlir::ModuleOp module);

/// All of the above, in order.
mlir::LogicalResult scheduleModule(mlir::ModuleOp module, const Options &options);

/// Makes the steps known to textual pipelines, as `schedule-fuse`, `schedule-form-dispatches` and
/// `schedule-plan-memory`.
void registerPasses();

} // namespace lathe::schedule

#endif // LATHE_SCHEDULE_H
