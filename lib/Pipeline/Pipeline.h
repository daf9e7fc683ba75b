// The parts of a compilation that lib/Pipeline's files share.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_PIPELINE_PIPELINE_H
#define LATHE_LIB_PIPELINE_PIPELINE_H

#include "lathe/Artifact.h"
#include "lathe/Codegen.h"
#include "lathe/Compiler.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <future>

namespace lathe::pipeline {

/// Sizes of symbolic dimensions, by name.
using Sizes = std::vector<std::pair<std::string, int64_t>>;

/// A dimension of an input, and its symbol.
struct DimPlace {
  unsigned input, dim;
  llvm::StringRef symbol;
};

/// Fails where no input of `main` has such a dimension, listing those that are there.
llvm::Error checkNames(mlir::func::FuncOp main,
                       llvm::ArrayRef<std::pair<std::string, int64_t>> sizes);

/// The same for the bounds and sizes of the options, and fails where they contradict each other.
llvm::Error checkDims(mlir::func::FuncOp main, const CompileOptions &options);

/// Makes the symbols numbers in the types of the inputs.
void fixDims(mlir::func::FuncOp main, llvm::ArrayRef<std::pair<std::string, int64_t>> sizes);

/// Bounds travel with the module, so that a stage written out keeps them.
void recordBounds(mlir::ModuleOp module, llvm::ArrayRef<DimBounds> bounds);
void applyBounds(mlir::ModuleOp module, artifact::Entry &entry);

/// Where a run sees that it has these sizes.
llvm::SmallVector<codegen::SizeTest> findTests(mlir::func::FuncOp main, const Sizes &sizes);

/// "batch=8, sequence=128"
std::string describeSizes(const Sizes &sizes);

/// What the entry of a model whose samples are run apart is told.
struct Samples {
  llvm::SmallVector<SampleValue> values; ///< none: they are not
  int64_t count = 0; ///< where it is fixed, and the code is that of one sample; else 0
};
/// By `sched.samples` or `sched.sample_count` of @main.
Samples describeSamples(mlir::func::FuncOp main, const artifact::Entry &entry);

/// A batch whose size is fixed and that is computed sample by sample.
struct FixedBatch {
  std::string name;
  int64_t count = 0;
  llvm::SmallVector<unsigned> inputs; ///< that have samples
};

/// Marks `main`, which is for one sample, as code of such a batch: `sched.sample_count`.
void markFixedBatch(mlir::func::FuncOp main, const FixedBatch &batch);

/// Has `entry`, which is that of one sample, take and give as many as `main` is marked with.
mlir::LogicalResult applySampleCount(mlir::func::FuncOp main, artifact::Entry &entry);

/// The greatest value that host arithmetic on the inputs' dims takes while they are within their
/// bounds, or a number above it; nothing where they have none that matter.
std::optional<uint64_t> boundFormula(mlir::Value value,
                                     llvm::ArrayRef<artifact::TensorSpec> inputs);

/// What `lathe inspect` shows of one dispatch kernel.
struct KernelInfo {
  std::string name;
  std::string kind;               ///< "tile" or "loop"
  std::string shape;              ///< by which tables of schedules name it; empty: they do not
  std::vector<std::string> nodes; ///< names of the model's nodes that it computes
  uint64_t calls = 0;
  int64_t flops = 0, bytes = 0;            ///< of one call; 0 when they depend on the inputs' dims
  std::optional<codegen::KernelCode> code; ///< on a device
};

/// What `lathe inspect` shows of the code for one target, or for certain sizes there.
struct VariantInfo {
  std::string name;
  std::string registers;               ///< as tables of schedules name them: "512x32"
  bool isGeneral = false;              ///< no code of its own: the general code is as fast there
  Sizes sizes;                         ///< that it is specialised to; none: the general code
  std::optional<uint64_t> arenaBytes;  ///< absent when it depends on the inputs' dims
  std::string arenaFormula;            ///< then: the bytes in terms of the dims
  std::optional<uint64_t> arenaMost;   ///< then: the bytes at most, where the dims' bounds tell
  std::string sampleFormula;           ///< the bytes for each thread, where samples are run apart
  std::optional<uint64_t> sampleBytes; ///< the same where it is known
  int64_t sampleCount = 0;             ///< where all runs have so many: there is no other arena
  std::vector<KernelInfo> kernels;
  std::vector<VariantInfo> specialized;
};

/// Fills the inputs and outputs of an entry from those of @main, before or after graph-to-linalg.
mlir::LogicalResult describeEntry(mlir::func::FuncOp main, artifact::Entry &entry);

/// Counts dispatches per kernel, and the nodes they came from, in a scheduled module.
VariantInfo describeVariant(mlir::ModuleOp scheduled, const codegen::HostTarget &target,
                            const artifact::Entry &entry);

/// Says in `code` what memory its samples take that are run apart.
void describeSampleMemory(mlir::ModuleOp scheduled, const artifact::Entry &entry,
                          const Samples &samples, VariantInfo &code);

/// Host arithmetic on the inputs' dims as a formula to read: "64 + up64(max(8*batch, 16))", where
/// up64 rounds up to a multiple of 64. Dims are called by their symbols, else "NAME[d]". What
/// occurs several times is named: "t1*t1, where t1 = batch + 3".
std::string formatFormula(mlir::Value value, llvm::ArrayRef<artifact::TensorSpec> inputs);

/// Floating-point operations of the model's contractions and reductions, from linalg on tensors;
/// dynamic loops count once.
uint64_t countFlops(mlir::ModuleOp linalgModule);

/// The SHA-256 of a file, in hexadecimal, from a thread of its own (LLVM's takes 3 s for 1 GB); ""
/// where it cannot be read.
std::future<std::string> digestFile(std::string path);

/// The JSON manifest of the artifact.
std::string writeManifest(mlir::ModuleOp imported, const CompileOptions &options,
                          llvm::ArrayRef<VariantInfo> variants, uint64_t flops,
                          uint64_t weightBytes);

/// The level that constants are evaluated for: the least one of this machine's architecture.
std::string baselineTarget();

/// How many products of numbers the convolutions and matrix products of `subgraphs` add up, as far
/// as sizes are known.
uint64_t countProducts(mlir::ModuleOp subgraphs);

/// Evaluates the functions of `subgraphs`, which take no arguments: joins them to one program, has
/// `compile` make an artifact of it, and runs that in a child process with limits on time and
/// memory. Fails, without a diagnostic, when any of this does.
mlir::FailureOr<llvm::SmallVector<llvm::SmallVector<mlir::TypedAttr>>>
evaluateByRunning(mlir::ModuleOp subgraphs,
                  llvm::function_ref<bool(mlir::ModuleOp, llvm::StringRef path)> compile);

/// Writes `module` as text to `path` and the weights that it refers to as `path` with the extension
/// `.weights` (no file when there are none). "-" writes to standard output, weights left out.
llvm::Error writeStage(mlir::ModuleOp module, llvm::StringRef path);

/// Reads what writeStage wrote.
mlir::OwningOpRef<mlir::ModuleOp> readStage(mlir::MLIRContext &context, llvm::StringRef path);

} // namespace lathe::pipeline

#endif // LATHE_LIB_PIPELINE_PIPELINE_H
