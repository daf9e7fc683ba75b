// One run of the compiler.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_PIPELINE_COMPILATION_H
#define LATHE_LIB_PIPELINE_COMPILATION_H

#include "KernelCache.h"
#include "ObjectQueue.h"
#include "Pipeline.h"
#include "llvm/ADT/StringSet.h"

namespace lathe::pipeline {

/// The model for certain sizes beside the general form.
struct Specialized {
  Sizes sizes;
  llvm::SmallVector<codegen::SizeTest> tests;
  std::optional<FixedBatch> batch; ///< sample by sample: the module is that of one
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// What the code of all targets and forms shares.
struct Shared {
  codegen::WeightLayout weights;
  codegen::SiteList sites;
  llvm::StringSet<> kernels; // that have objects of their own
};

/// A scheduled form that the next target can have as well.
struct Reusable {
  schedule::Options options;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// A scheduled module keeps what the rest of the way needs: @main's declaration, which describes
/// the entry, the target that it is for, and the model's operations.
void describeScheduled(mlir::ModuleOp scheduled, mlir::func::FuncOp main, llvm::StringRef target,
                       uint64_t flops);

/// The targets where none are named: those whose instructions the model's products with constant
/// weights gain by, and the usual levels.
std::string defaultTargets(mlir::ModuleOp module, unsigned optLevel);

/// The processors and the devices of a list of targets.
std::pair<std::string, std::string> splitTargets(llvm::StringRef list);

/// The level that the host programs of devices are compiled for, and what the emulator runs.
const codegen::HostTarget &hostOfDevices();

/// What code for devices is made of, and whether text that was asked for is written already.
struct DeviceJob {
  mlir::ModuleOp module;
  bool isScheduled;
  llvm::StringRef output;
  uint64_t flops;
  bool isWritten = false;
};

/// One compilation: its context, its diagnostics, its timer.
class Compilation {
public:
  Compilation(const CompileOptions &options, std::string &errors, llvm::StringRef input,
              mlir::MLIRContext *shared = nullptr);
  bool run(llvm::StringRef output);
  /// From the graph dialect on, for a module that is already in the context.
  bool runModule(mlir::ModuleOp module, llvm::StringRef output);

private:
  /// Runs one stage and reports its time; false when the stage failed.
  bool stage(llvm::StringRef name, llvm::function_ref<bool()> work);
  bool stopsAfter(llvm::StringRef name) const { return options.stopAfter == name; }
  bool write(mlir::ModuleOp module, llvm::StringRef output);
  void recordDigest(mlir::ModuleOp module);
  bool fail(llvm::Error error);
  bool applyDims(mlir::ModuleOp module, bool hasGraph);
  bool runToLinalg(mlir::ModuleOp module);
  /// Finds out whether one of the fixed sizes is that of a batch to be computed sample by sample.
  bool findFixedBatch();
  /// The same where the model's file fixes it: the model for one sample, or null.
  mlir::OwningOpRef<mlir::ModuleOp> loadSample(mlir::func::FuncOp main);
  bool maySplit() const;
  /// Names the batch among `others` (`found` stays empty: there is none), and says why it must stay
  /// whole.
  std::optional<schedule::SampleRefusal> refuseFixedBatch(Sizes others, FixedBatch &found);
  /// The same for the forms of certain sizes, where the general form splits so.
  void splitForms(mlir::func::FuncOp main, const schedule::SampleSplit &split);
  bool isApart(const schedule::SampleSplit &split, const Sizes &sizes) const;
  bool runSpecialized(Specialized &form, bool hasGraph);
  bool isStandalone() const { return !input.empty(); }
  bool isStageFile() const { return input.ends_with(".mlir"); }
  /// Reads the model with these sizes; in a stage file the caller fixes them.
  mlir::OwningOpRef<mlir::ModuleOp> read(const Sizes &sizes, bool dynamicDims);
  mlir::OwningOpRef<mlir::ModuleOp> load(const Sizes &sizes); // the same as a stage
  bool runGraph(mlir::ModuleOp module);
  bool runTargets(mlir::ModuleOp module, llvm::StringRef output);
  // Devices.cpp
  bool hasDevices() const { return !splitTargets(options.target).second.empty(); }
  bool checkDeviceOptions();
  bool addDevices(DeviceJob &job, llvm::ArrayRef<codegen::DeviceTarget> devices,
                  llvm::StringRef prefix, Shared &shared, std::vector<VariantInfo> &variants,
                  artifact::Contents &contents);
  bool addDevice(DeviceJob &job, const codegen::DeviceTarget &device, llvm::StringRef prefix,
                 Shared &shared, std::vector<VariantInfo> &variants, artifact::Contents &contents);
  bool assemble(const codegen::DeviceTarget &device, const codegen::DeviceCode &code,
                codegen::AssembledCode &assembled);
  bool describeCode(llvm::ArrayRef<codegen::DeviceKernel> kernels,
                    const codegen::DeviceTarget &device, const codegen::DeviceCode &code,
                    llvm::StringRef ptxasLog, VariantInfo &variant);
  bool reportFallbacks(mlir::ModuleOp scheduled, const codegen::DeviceTarget &device);
  bool readSchedules();
  void warnOfUnusedSchedules(llvm::ArrayRef<VariantInfo> variants);
  schedule::Options scheduleOptions(const codegen::HostTarget &target) const;
  /// A copy of `form`, scheduled for one of `targets`; null where that failed.
  mlir::OwningOpRef<mlir::ModuleOp>
  scheduleFor(mlir::ModuleOp form, llvm::ArrayRef<codegen::HostTarget> targets, size_t index);
  /// The LLVM IR of a scheduled module, which is consumed; none where that failed.
  LoweredModule lower(mlir::ModuleOp scheduled, const codegen::HostTarget &target,
                      llvm::StringRef prefix, Shared &shared);
  /// Takes the kernels that stand alone out of `scheduled`; those that no form or compilation had
  /// before go into `queue`.
  bool lowerKernels(mlir::ModuleOp scheduled, const codegen::HostTarget &target, Shared &shared,
                    ObjectQueue &queue);
  bool writeText(llvm::StringRef text, llvm::StringRef output);
  bool bindStates();
  bool writeLinked(const artifact::Contents &contents, llvm::StringRef output);
  bool emits(llvm::StringRef form) const {
    return llvm::is_contained(llvm::split(options.emit, ','), form);
  }

  const CompileOptions &options;
  std::string &errors;
  llvm::StringRef input;                    // the file; empty: the module is in the context already
  std::unique_ptr<mlir::MLIRContext> owned; // null when the context is shared
  mlir::MLIRContext &context;
  std::unique_ptr<mlir::ScopedDiagnosticHandler> handler;
  std::future<std::string> digest; // of the model
  KernelCache cache;
  std::shared_ptr<const schedule::ScheduleTable> schedules; // null: the built-in ones alone
  size_t cachedKernels = 0;
  artifact::Entry entry;
  Sizes dims; // the fixed ones, as the code has them
  std::optional<FixedBatch> batch;
  std::vector<Specialized> specialized;
  std::vector<Sizes> generalSizes;      // sizes that the general form serves as well
  const Specialized *current = nullptr; // that is worked on; null: the general form
  llvm::DenseMap<mlir::Operation *, Reusable> reusable; // by form
};

} // namespace lathe::pipeline

#endif // LATHE_LIB_PIPELINE_COMPILATION_H
