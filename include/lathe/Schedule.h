// Schedule: linalg on tensors becomes kernels of vector loops and a host program of dispatches.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_SCHEDULE_H
#define LATHE_SCHEDULE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace lathe::schedule {

/// What a schedule needs to know of a processor. No field names a chip.
struct TargetInfo {
  unsigned vectorBits = 256;
  unsigned vectorRegisters = 16;
  uint64_t l1Bytes = 32 << 10;
  uint64_t l2Bytes = 512 << 10;
  /// What one core reads from memory in a nanosecond.
  unsigned memoryBytes = 10;
  /// LLVM's names of the instructions that multiply pairs of 16 bits in each 32-bit lane; empty
  /// where there is none. The products of a pair of i16 added up; those of a pair of bf16 added to
  /// an f32 accumulator, the first operand.
  std::string dotI16, dotBF16;
  /// LLVM's name of the instruction that multiplies tiles of bf16; empty where there is none.
  std::string matrixBF16;
  /// A GPU: every item of a kernel is a thread of its own, or a block of threads.
  bool itemPerThread = false;
  /// How many parts of its operands a product has in shared memory, where copies to it go on while
  /// threads multiply; 1: they do not.
  unsigned copyStages = 1;
  /// Its instructions that multiply small matrices (MatrixUnits.h), separated by commas; empty:
  /// none.
  std::string matrixUnit;
  /// Its instruction by which several warps together multiply larger ones; empty: none.
  std::string groupUnit;
  /// Copies to shared memory are of boxes of tensors, by rt.copy_tensor.
  bool copiesTensors = false;
  /// Of a GPU: work that is too little for so many, each with a few blocks, is cut into more blocks
  /// where that can be done. 0: it is not.
  unsigned processors = 0;
  /// What memory the threads of a block share at most.
  unsigned sharedBytes = 48 << 10;

  bool operator==(const TargetInfo &) const = default;
};

/// How a kernel that adds up products is computed. What is not set is left to the next table, and
/// in the end to the rule.
struct Tiling {
  std::optional<int64_t> rows;    ///< most rows of a register tile
  std::optional<int64_t> vectors; ///< vectors of each of its rows
  std::optional<bool> winograd;   ///< where the convolution is one for Winograd's algorithm

  bool operator==(const Tiling &) const = default;
  /// Takes over what is set in `other` and not here.
  void complete(const Tiling &other);
  /// "rows=12 vectors=2"; parse reads it.
  std::string toString() const;
};

/// How tables name registers: "512x32" for 32 vectors of 512 bits.
std::string describeRegisters(unsigned vectorBits, unsigned vectorRegisters);

/// Lines `REGISTERS KERNELS: NAME=VALUE ...`, `#` begins a comment. REGISTERS are the bits of a
/// vector and the number of vectors, as in 512x32 or, of any width, *x32. KERNELS are a shape, such
/// as `f32 product 128x768 by 768`, or a class of shapes: narrow, few, aliased, wide
/// (TileChoice.cpp says which shapes these are). Of several lines about the same, the last one
/// counts.
class ScheduleTable {
public:
  /// `name` stands in errors for the file: "tiles.schedule:3: ...".
  static llvm::Expected<ScheduleTable> parse(llvm::StringRef text, llvm::StringRef name);
  static llvm::Expected<ScheduleTable> read(llvm::StringRef path);
  /// By which all is compiled that no other table is about.
  static const ScheduleTable &builtin();

  /// What the table says of these kernels on a target with such registers; nothing is set where it
  /// says nothing.
  Tiling find(const TargetInfo &target, llvm::StringRef kernels) const;
  /// The kernels of lines that are about none of these shapes, nor about a class.
  std::vector<std::string> findUnused(const llvm::StringSet<> &shapes) const;

private:
  struct Line {
    unsigned vectorBits = 0; ///< 0: any
    unsigned vectorRegisters = 0;
    std::string kernels;
    Tiling tiling;
  };
  static llvm::Expected<Line> parseLine(llvm::StringRef text);
  std::vector<Line> lines;
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
  /// "bf16" or "tf32": on a GPU, the operands of f32 products are rounded to that where a matrix
  /// unit takes it. What "fp8" means is in the list of units.
  std::string precision = "model";
  /// What comes before the built-in table; null: nothing.
  std::shared_ptr<const ScheduleTable> table;

  /// What the tables say of kernels of that shape or class.
  Tiling findTiling(llvm::StringRef kernels) const;
  bool operator==(const Options &) const = default;
};

/// What is known of a model that computes each sample of a batch from that sample alone.
struct SampleSplit {
  std::string symbol; ///< names the first dimension of those inputs that have samples
  /// Name the dimensions of inputs that say how many rows a sample has for weights.
  std::vector<std::string> rows;
  bool isWorthwhile; ///< enough work for each sample, of which weights that all share are little
};

/// Where a model is not found to be of that kind, and why.
struct SampleRefusal {
  mlir::Location where;
  std::string why;
};

/// The attribute of @main by which its code runs once for each sample: the name of the first
/// dimension, then those of others that must be at least leastOpenSize.
inline constexpr llvm::StringLiteral samplesAttrName = "sched.samples";
/// The same for a @main whose code is that of a batch of one: how many samples the entry takes. The
/// inputs that have them carry `batchInputAttrName`.
inline constexpr llvm::StringLiteral sampleCountAttrName = "sched.sample_count";
inline constexpr llvm::StringLiteral batchInputAttrName = "sched.has_samples";
/// With fewer rows weights cost more than the products with them, and samples do better together.
inline constexpr int64_t leastOpenSize = 16;

/// Finds out whether `main`, on tensors, gives for each sample what it would give for a batch of
/// that sample alone. Then all of its outputs have the samples in their first dimension.
std::optional<SampleSplit> findSampleSplit(mlir::func::FuncOp main,
                                           std::optional<SampleRefusal> *refusal = nullptr);

/// The name that the first dimension of an input has, where only the run knows its size; else null.
mlir::StringAttr findBatchName(mlir::func::FuncOp main, unsigned input);

/// Sets `sched.samples` on @main where its samples are apart and that is worthwhile, or `always`;
/// what it found then.
std::optional<SampleSplit> markSamples(mlir::ModuleOp module, bool always);

/// Fuses elementwise producers into their consumers, on tensors; knows no target.
mlir::LogicalResult fuseOnTensors(mlir::ModuleOp module);

/// Has products of numbers that were widened from f16 or bf16 take the narrow ones, and constants
/// that are narrow in truth become so. Pre-condition: linalg on tensors.
void narrowOperands(mlir::ModuleOp module);

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

/// Puts every `rt.alloc` into one arena by liveness, and its size into `@plan`. For a
/// device each place in the arena tells how large its value is, and slots are not in it.
mlir::LogicalResult planMemory(mlir::ModuleOp module, bool isForDevice = false);

/// All of the above, in order.
mlir::LogicalResult scheduleModule(mlir::ModuleOp module, const Options &options);

/// Makes the steps known to textual pipelines, as `schedule-fuse`, `schedule-form-dispatches` and
/// `schedule-plan-memory`.
void registerPasses();

} // namespace lathe::schedule

#endif // LATHE_SCHEDULE_H
