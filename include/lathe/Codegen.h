// Codegen for processors: targets by name, LLVM modules to objects.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_CODEGEN_H
#define LATHE_CODEGEN_H

#include "lathe/SampleValues.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace lathe::codegen {

/// A processor level that code is generated for. Schedules read the numbers, never the name.
struct HostTarget {
  std::string name;     ///< "x86-64-v4-vnni-bf16", with "@znver5" when tuned for one processor.
  std::string triple;   ///< LLVM's; the same for all levels of an architecture.
  std::string cpu;      ///< LLVM's processor: decides which instructions may be used.
  std::string tune;     ///< LLVM's processor to tune for, or "" (as `cpu`); adds no instructions.
  std::string features; ///< What is added to `cpu`, in LLVM's form: "+avx512vnni,+avx512bf16".
  uint64_t featureBits = 0; ///< LATHE_X86_..., LATHE_AARCH64_...: what the runtime asks for.
  unsigned vectorBits = 0;
  unsigned vectorRegisters = 0;
  uint64_t l1Bytes = 0; ///< Data caches per core, the smallest that is common for the level.
  uint64_t l2Bytes = 0;
  unsigned memoryBytes = 0; ///< What one core reads from memory in a nanosecond.
  /// LLVM's intrinsics that multiply pairs of i16 and of bf16 and add the products up; "": none.
  /// The sum of the former with an accumulator is one instruction with VNNI.
  std::string dotI16, dotBF16;
  /// LLVM's intrinsic that multiplies tiles of bf16; "": none.
  std::string matrixBF16;

  bool isX86() const { return llvm::StringRef(triple).starts_with("x86_64"); }
};

/// Every level that has a name, least capable first.
llvm::ArrayRef<HostTarget> knownTargets();

/// The targets of `--target=`: names separated by commas, each a known one, optionally with
/// "@PROCESSOR" to tune for it, or `host`: the best level that this machine runs, tuned for it.
/// Empty: x86-64-v4 and x86-64-v3. The result is ordered best first, as the artifact wants it, and
/// holds no name twice. All targets must be of one architecture, as one artifact is one ELF file.
llvm::Expected<std::vector<HostTarget>> resolveTargets(llvm::StringRef list);

struct HostOptions {
  unsigned optLevel = 3;     ///< 0 to 3.
  bool emitAssembly = false; ///< Text instead of an object.
  /// A function whose frame is larger is reported to `warn`.
  uint64_t maxStackBytes = 16384;
  /// Called with each warning of the backend. Not called from another thread.
  std::function<void(llvm::StringRef)> warn;
};

/// LLVM's machine for `target`; for its data layout or for cost questions.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const HostTarget &target,
                                                                         unsigned optLevel = 3);

/// Optimizes `module` for `target` and emits a relocatable object (or assembly). The module's
/// triple, data layout and per-function processor are set here. Whatever the code needs from a C
/// library (mem*, math, conversions, wide division) is linked in as local functions, so that the
/// object has no undefined symbol unless the module names one that is no such function.
/// Definitions that are not local become hidden; only hidden `dso_local` names leave the object.
/// Same module, target and options: same bytes. May run on several threads at once, each with a
/// module of its own context.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
compileHost(std::unique_ptr<llvm::Module> module, const HostTarget &target,
            const HostOptions &options = {});

/// The weights that lowered code refers to, each content once, at offsets that are final.
class WeightLayout {
public:
  struct Chunk {
    uint64_t offset;
    mlir::Attribute value;
  };
  /// The offset of a constant's bytes; equal bytes share one place.
  uint64_t place(mlir::Attribute value);
  uint64_t bytes() const { return end; }
  llvm::ArrayRef<Chunk> chunks() const { return order; }

private:
  uint64_t end = 0;
  std::vector<Chunk> order;
  llvm::DenseMap<mlir::Attribute, uint64_t> known;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> byHash; // hash and length -> offset
};

/// Messages of the places that can fail while running, each once.
class SiteList {
public:
  uint32_t add(llvm::StringRef message);
  const std::vector<std::string> &messages() const { return list; }

private:
  std::vector<std::string> list{"the run failed"};
  llvm::StringMap<uint32_t> known;
};

/// A kernel in a module of its own, and the symbol that its object defines.
struct SeparateKernel {
  std::string symbol;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// Takes the kernels whose code depends on their own text alone, and takes long enough to compile,
/// out of a scheduled module; declarations stay. A symbol names its kernel's content and target.
llvm::SmallVector<SeparateKernel> separateKernels(mlir::ModuleOp scheduled,
                                                  const HostTarget &target);

/// Lowers a scheduled module (`@run`, `@plan`, kernels; consumed), or that of a separate kernel, to
/// LLVM IR for `target` in `context`. `@run` and `@plan` become `PREFIX_run` and `PREFIX_plan`.
mlir::FailureOr<std::unique_ptr<llvm::Module>>
lowerHost(mlir::ModuleOp module, const HostTarget &target, llvm::StringRef prefix,
          WeightLayout &weights, SiteList &sites, llvm::LLVMContext &context);

/// The first operation of `module` whose rounding is LLVM's to choose, as "'FUNCTION': fadd
/// reassoc"; empty: there is none.
std::string findLooseRounding(const llvm::Module &module);

/// A size that a dimension of an input must have.
struct SizeTest {
  unsigned input, dim;
  int64_t size;
};

/// Code for certain sizes: its functions are `PREFIX_run` and `PREFIX_plan`.
struct SizeCase {
  std::string prefix;
  llvm::SmallVector<SizeTest> tests;
};

/// Adds `PREFIX_run` and `PREFIX_plan` to `module`: they go on with the first case whose tests the
/// call's inputs pass, else with `GENERAL_run` and `GENERAL_plan`. Those may be in other objects.
void addSizeDispatch(llvm::Module &module, llvm::StringRef prefix, llvm::StringRef general,
                     llvm::ArrayRef<SizeCase> cases);

/// Adds `PREFIX_run` and `PREFIX_plan` to `module`, which run `CODE_run` once for each sample of a
/// batch, as `CODE_plan` plans it for a batch of one (builtins/Samples.cpp). `values` are those of
/// the inputs, then of the outputs, at most mostSampleValues; at least one input has samples, and
/// every output. Where a dimension of `openDims` is smaller than `leastSize` the samples stay
/// together. A `count` that is not 0 is the number of samples of every call, and the code is for a
/// batch of one alone.
void addSampleDispatch(llvm::Module &module, llvm::StringRef prefix, llvm::StringRef code,
                       llvm::ArrayRef<SampleValue> values, unsigned inputCount, int64_t leastSize,
                       int64_t count);

/// A GPU that code is generated for.
struct DeviceTarget {
  std::string name;     ///< "nvidia:sm_80"
  std::string triple;   ///< LLVM's
  std::string cpu;      ///< LLVM's
  std::string features; ///< in LLVM's form
  /// Its instructions that multiply small matrices, as rt.multiply_matrices names them, separated
  /// by commas.
  std::string matrixUnit;
  /// Parts of a product's operands in shared memory: more than one where copies are asynchronous.
  unsigned copyStages = 1;
  /// Its instruction by which a group of warps multiplies larger ones in shared memory; "": none.
  std::string groupUnit;
  /// How many of its processors (SMs, CUs, with RDNA WGPs) work at once: of the chip of that
  /// architecture that has the most of them in servers.
  unsigned processors = 0;
  unsigned sharedBytes = 0; ///< What a block can have at most.

  bool isNvidia() const;
  /// Whether it copies boxes of tensors to shared memory, and has barriers with phases for that.
  bool copiesTensors() const;
};

/// Every device that has a name.
llvm::ArrayRef<DeviceTarget> knownDevices();

/// Whether a name of `--target=` is one of a device, known or not, or of a vendor.
bool namesDevice(llvm::StringRef name);

/// The devices of a list of names separated by commas; "nvidia" and "amd" alone are what the most
/// devices of theirs can run. The result has the order of the list, and no name twice.
llvm::Expected<std::vector<DeviceTarget>> resolveDevices(llvm::StringRef list);

/// A kernel on a device. Its parameters are those of the scheduled one, the call first, with the
/// number of items in place of begin and end.
struct DeviceKernel {
  std::string name;
  unsigned argumentCount;
  unsigned blockThreads;    ///< of a block, which has an item for each
  bool isBlockItem;         ///< or one item alone, which all threads compute together
  unsigned sharedBytes = 0; ///< what they share for that; filled by compileDevice
  /// Behind its parameters, in the scheduled kernel as well.
  std::vector<lathe_tensor_map> tensorMaps = {};
};

/// Kernels by number, and their module.
struct DeviceKernels {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<DeviceKernel> kernels;
  bool hostLooks = false; ///< The host program looks at values, or computes some itself.
};

/// Takes the kernels that a device can run out of a scheduled module (declarations stay), has its
/// dispatches launch them, and the host copy what it looks at and changes itself. What needs the
/// host, such as kernels on strings, stays. The module is null, and the error emitted, where a
/// tensor map is none that a launch can make.
DeviceKernels takeDeviceKernels(mlir::ModuleOp scheduled);

/// The same for another form of the model; kernels of the same name are the same kernel.
llvm::LogicalResult addDeviceKernels(mlir::ModuleOp scheduled, DeviceKernels &kernels);

/// What a device and the emulator load.
struct DeviceCode {
  std::unique_ptr<llvm::MemoryBuffer> image; ///< PTX as text for NVIDIA, an object for AMD.
  std::string assembly;                      ///< the same as text
  /// The same kernels as an object for the host, whose table (lathe_emulated_kernel) is a hidden
  /// symbol.
  std::unique_ptr<llvm::MemoryBuffer> emulator;
  std::string emulatorSymbol;
};

/// Compiles `module`, the module of `kernels` as lowerHost gives it, for `target`; what the
/// emulator runs is code for `host`. The emulator's symbol begins with `prefix`. Needs no library
/// of device code, and leaves nothing undefined.
llvm::Expected<DeviceCode> compileDevice(std::unique_ptr<llvm::Module> module,
                                         llvm::MutableArrayRef<DeviceKernel> kernels,
                                         const DeviceTarget &target, const HostTarget &host,
                                         llvm::StringRef prefix, unsigned optLevel);

/// How many instructions of a kind stand in the code of a kernel, however often they run.
struct InstructionCounts {
  uint32_t all = 0;
  uint32_t matrix = 0;                    ///< of a matrix unit
  uint32_t loads = 0, stores = 0;         ///< of memory that all blocks see,
  uint32_t wideLoads = 0, wideStores = 0; ///< of these, such of 16 bytes
  uint32_t sharedLoads = 0, sharedStores = 0;
  uint32_t privateAccesses = 0; ///< of memory that is the thread's own, as for what is spilled
  uint32_t atomics = 0;
  uint32_t barriers = 0;
};

/// A kernel's code; what nobody says is absent.
struct KernelCode {
  std::string name;
  unsigned blockThreads = 0;
  std::optional<uint32_t> registers;       ///< of a thread; AMD: vector registers
  std::optional<uint32_t> scalarRegisters; ///< of a wave
  std::optional<uint32_t> spillBytes;      ///< of a thread
  std::optional<uint32_t> stackBytes;      ///< of a thread
  std::optional<uint32_t> sharedBytes;     ///< of a block
  /// Percentage of a processor's warps that are busy where it has all blocks that it can hold.
  std::optional<uint32_t> occupancy;
  InstructionCounts instructions;
};

/// Describes `kernels` by their code, before it is linked. `ptxasLog` is what `ptxas -v` says of
/// code for NVIDIA, which alone knows its registers; empty: they are not known.
llvm::Expected<std::vector<KernelCode>> describeKernels(llvm::ArrayRef<DeviceKernel> kernels,
                                                        const DeviceTarget &target,
                                                        const DeviceCode &code,
                                                        llvm::StringRef ptxasLog);

/// NVIDIA's assembler.
struct Ptxas {
  std::string program, version;
};

/// The one on PATH; nothing where there is none that works.
const std::optional<Ptxas> &findPtxas();

/// What it makes of text, and what it says with -v.
struct AssembledCode {
  std::unique_ptr<llvm::MemoryBuffer> cubin;
  std::string log;
};

/// Assembles the code for `target`; an error where it does not take that, or takes longer than
/// $LATHE_PTXAS_SECONDS, 300 without.
llvm::Expected<AssembledCode> runPtxas(const Ptxas &ptxas, llvm::StringRef ptx,
                                       const DeviceTarget &target);

} // namespace lathe::codegen

#endif // LATHE_CODEGEN_H
