// An LLVM module becomes an object for one processor level: optimize, link builtins, emit.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe/ArtifactFormat.h"
#include "lathe/Codegen.h"
#include "lib/Codegen/Host/Host.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/DiagnosticHandler.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace llvm;

namespace lathe::codegen {
namespace {

/// Turns LLVM's diagnostics into an error and warnings while it lives.
class DiagnosticScope {
public:
  DiagnosticScope(LLVMContext &context, const HostOptions &options) : context(context) {
    previous = context.getDiagnosticHandler();
    context.setDiagnosticHandler(std::make_unique<Handler>(errors, options));
  }
  ~DiagnosticScope() { context.setDiagnosticHandler(std::move(previous)); }

  Error takeError(const HostTarget &target) {
    if (errors.empty())
      return Error::success();
    return createStringError(
        formatv("code generation for '{0}' failed: {1}", target.name, errors).str());
  }

private:
  struct Handler : DiagnosticHandler {
    Handler(std::string &errors, const HostOptions &options) : errors(errors), options(options) {}
    bool handleDiagnostics(const DiagnosticInfo &info) override {
      std::string text;
      raw_string_ostream stream(text);
      DiagnosticPrinterRawOStream printer(stream);
      info.print(printer);
      if (info.getSeverity() == DS_Error)
        errors += (errors.empty() ? "" : "; ") + text;
      else if (info.getSeverity() == DS_Warning && options.warn)
        options.warn(text);
      return true;
    }
    std::string &errors;
    const HostOptions &options;
  };

  LLVMContext &context;
  std::unique_ptr<DiagnosticHandler> previous;
  std::string errors;
};

CodeGenOptLevel codegenLevel(unsigned optLevel) {
  return *CodeGenOpt::getLevel(std::min(optLevel, 3u));
}

/// Tells the optimizer that a library function exists exactly where a builtin does, so that it
/// makes no call that cannot be satisfied.
Expected<TargetLibraryInfoImpl> libraryInfo(const Triple &triple) {
  Expected<const StringSet<> &> names = builtinNames(triple);
  if (!names)
    return names.takeError();
  TargetLibraryInfoImpl info(triple);
  StringSet<> known;
  for (const auto &entry : *names)
    known.insert(entry.getKey());
  info.disableAllFunctions();
  for (const auto &entry : known) {
    LibFunc function;
    if (info.getLibFunc(entry.getKey(), function))
      info.setAvailable(function);
  }
  return info;
}

/// Sets the processor of every function, so that no function differs from the machine's.
void setProcessor(Module &module, const HostTarget &target, const HostOptions &options) {
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty())
      function.addFnAttr("target-features", target.features);
    if (!target.tune.empty())
      function.addFnAttr("tune-cpu", target.tune);
    // LLVM prefers 256 bits on x86-64-v4 for the sake of early AVX-512 clocks.
    function.addFnAttr("prefer-vector-width", utostr(target.vectorBits));
    function.addFnAttr("warn-stack-size", utostr(options.maxStackBytes));
    function.setDoesNotThrow();
    function.setUWTableKind(UWTableKind::Default); // debuggers and profilers unwind by it
  }
}

/// Instruction selection calls builtins by name, and would call the module's own instead.
Error checkNames(const Module &module, const Triple &triple) {
  Expected<const StringSet<> &> names = builtinNames(triple);
  if (!names)
    return names.takeError();
  for (const GlobalValue &value : module.global_values())
    if (!value.isDeclaration() && names->contains(value.getName()))
      return createStringError(
          formatv("the module defines '{0}', which is the name of a builtin; rename it",
                  value.getName())
              .str());
  return Error::success();
}

/// What leaves an object leaves it for the linker alone: no symbol goes through a table.
void hideDefinitions(Module &module) {
  for (GlobalValue &value : module.global_values()) {
    if (value.isDeclaration() || value.hasLocalLinkage() || value.hasAppendingLinkage())
      continue;
    value.setVisibility(GlobalValue::HiddenVisibility);
    value.setDSOLocal(true);
  }
}

Error optimize(Module &module, TargetMachine &machine, unsigned optLevel) {
  Expected<TargetLibraryInfoImpl> library = libraryInfo(machine.getTargetTriple());
  if (!library)
    return library.takeError();
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = optLevel >= 2;
  tuning.SLPVectorization = optLevel >= 2;
  OptNoneInstrumentation skipped(/*DebugLogging=*/false); // without it, `optnone` means nothing
  PassInstrumentationCallbacks callbacks;
  skipped.registerCallbacks(callbacks);
  PassBuilder builder(&machine, tuning, std::nullopt, &callbacks);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager sccs;
  ModuleAnalysisManager modules;
  functions.registerPass([&] { return TargetLibraryAnalysis(*library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  static const OptimizationLevel levels[] = {OptimizationLevel::O0, OptimizationLevel::O1,
                                             OptimizationLevel::O2, OptimizationLevel::O3};
  OptimizationLevel level = levels[std::min(optLevel, 3u)];
  ModulePassManager passes = level == OptimizationLevel::O0
                                 ? builder.buildO0DefaultPipeline(level)
                                 : builder.buildPerModuleDefaultPipeline(level);
  passes.run(module, modules);
  return Error::success();
}

/// LLVM 22 makes a masked store of one lane, when its value is truncated, a store of the wide
/// value, and overwrites what follows (https://github.com/llvm/llvm-project/issues/179489).
void storeSingleLanes(Module &module) {
  for (Function &function : module)
    for (Instruction &inst : make_early_inc_range(instructions(function))) {
      auto *call = dyn_cast<IntrinsicInst>(&inst);
      if (!call || call->getIntrinsicID() != Intrinsic::masked_store)
        continue;
      auto *type = dyn_cast<FixedVectorType>(call->getArgOperand(0)->getType());
      auto *mask = dyn_cast<Constant>(call->getArgOperand(2));
      if (!type || !mask)
        continue;
      std::optional<unsigned> lane;
      unsigned others = 0; // that are set, or may be
      for (unsigned i = 0; i < type->getNumElements(); ++i) {
        Constant *bit = mask->getAggregateElement(i);
        if (bit && bit->isNullValue())
          continue;
        others += lane.has_value();
        lane = i;
      }
      if (!lane || others > 0)
        continue;
      IRBuilder<> builder(call);
      uint64_t offset = *lane * module.getDataLayout().getTypeStoreSize(type->getElementType());
      Value *address =
          builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), call->getArgOperand(1), offset);
      Value *value = builder.CreateExtractElement(call->getArgOperand(0), *lane);
      builder.CreateAlignedStore(value, address,
                                 commonAlignment(call->getParamAlign(1).valueOrOne(), offset));
      call->eraseFromParent();
    }
}

Expected<std::unique_ptr<MemoryBuffer>> emit(Module &module, TargetMachine &machine,
                                             bool assembly) {
  Expected<TargetLibraryInfoImpl> library = libraryInfo(machine.getTargetTriple());
  if (!library)
    return library.takeError();
  SmallVector<char, 0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager passes;
  passes.add(new TargetLibraryInfoWrapperPass(*library));
  if (machine.addPassesToEmitFile(passes, stream, nullptr,
                                  assembly ? CodeGenFileType::AssemblyFile
                                           : CodeGenFileType::ObjectFile))
    return createStringError("LLVM cannot emit this kind of file for the target");
  passes.run(module);
  return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes),
                                                   /*RequiresNullTerminator=*/false);
}

/// The undefined names of an object that builtins could define.
Expected<std::vector<std::string>> missingBuiltins(const MemoryBuffer &object,
                                                   const Triple &triple) {
  Expected<const StringSet<> &> names = builtinNames(triple);
  if (!names)
    return names.takeError();
  auto file = object::ObjectFile::createObjectFile(object.getMemBufferRef());
  if (!file)
    return file.takeError();
  std::vector<std::string> missing;
  for (const object::SymbolRef &symbol : (*file)->symbols()) {
    Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    if (!(*flags & object::SymbolRef::SF_Undefined))
      continue;
    Expected<StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if (names->contains(*name))
      missing.push_back(name->str());
  }
  return missing;
}

/// Links what instruction selection will call, until what was linked needs nothing more itself.
Error linkPredicted(Module &module, const Triple &triple) {
  StringSet<> done;
  for (;;) {
    std::vector<std::string> names = predictLibcalls(module);
    llvm::erase_if(names, [&](const std::string &name) { return !done.insert(name).second; });
    if (names.empty())
      return Error::success();
    if (Error error = linkBuiltins(module, names))
      return error;
  }
}

} // namespace

void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
}

Expected<std::unique_ptr<TargetMachine>> createTargetMachine(const HostTarget &target,
                                                             unsigned optLevel) {
  initializeTargets();
  Triple triple(target.triple);
  std::string message;
  const Target *backend = TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return createStringError(
        formatv("this LLVM has no backend for target '{0}': {1}", target.name, message).str());
  TargetOptions options;
  // Only what the IR allows to be contracted is; `Standard` means no more than that.
  options.AllowFPOpFusion = FPOpFusion::Standard;
  options.FunctionSections = true;
  options.DataSections = true;
  options.UniqueSectionNames = true;
  std::unique_ptr<TargetMachine> machine(
      backend->createTargetMachine(triple, target.cpu, target.features, options, Reloc::PIC_,
                                   CodeModel::Small, codegenLevel(optLevel)));
  if (!machine)
    return createStringError(
        formatv("LLVM cannot make a machine for target '{0}'", target.name).str());
  return machine;
}

Expected<std::unique_ptr<MemoryBuffer>>
compileHost(std::unique_ptr<Module> module, const HostTarget &target, const HostOptions &options) {
  Expected<std::unique_ptr<TargetMachine>> machine = createTargetMachine(target, options.optLevel);
  if (!machine)
    return machine.takeError();
  Triple triple(target.triple);
  DiagnosticScope diagnostics(module->getContext(), options);
  module->setTargetTriple(triple);
  module->setDataLayout((*machine)->createDataLayout());
  module->setPICLevel(PICLevel::BigPIC);

  std::string broken;
  raw_string_ostream brokenStream(broken);
  if (verifyModule(*module, &brokenStream))
    return createStringError(
        formatv("the module for '{0}' is not valid LLVM IR: {1}", target.name, broken).str());

  if (Error error = checkNames(*module, triple))
    return std::move(error);
  hideDefinitions(*module);
  if (Error error = inlineMath(*module, target.featureBits & LATHE_X86_V4))
    return std::move(error);
  setProcessor(*module, target, options);
  if (Error error = optimize(*module, **machine, options.optLevel))
    return std::move(error);
  storeSingleLanes(*module);
  if (Error error = linkBuiltins(*module, {}))
    return std::move(error);
  if (Error error = linkPredicted(*module, triple))
    return std::move(error);

  // Instruction selection may still call something that the prediction did not foresee; then it is
  // linked into what was before emission, and emitted again.
  for (;;) {
    std::unique_ptr<Module> copy = CloneModule(*module);
    internalizeBuiltins(*copy);
    setProcessor(*copy, target, options);
    Expected<std::unique_ptr<MemoryBuffer>> object = emit(*copy, **machine, false);
    if (Error error = diagnostics.takeError(target)) {
      if (!object)
        consumeError(object.takeError());
      return std::move(error);
    }
    if (!object)
      return object;
    Expected<std::vector<std::string>> missing = missingBuiltins(**object, triple);
    if (!missing)
      return missing.takeError();
    if (missing->empty()) {
      if (!options.emitAssembly)
        return object;
      internalizeBuiltins(*module);
      setProcessor(*module, target, options);
      return emit(*module, **machine, true);
    }
    if (Error error = linkBuiltins(*module, *missing))
      return std::move(error);
    if (Error error = linkPredicted(*module, triple))
      return std::move(error);
  }
}

} // namespace lathe::codegen
