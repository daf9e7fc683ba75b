// Kernels for a GPU: entries with one thread for each item, math from the builtins, PTX or objects.
// Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Device/Device.h"
#include "lib/Codegen/Host/Host.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicsAMDGPU.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace llvm;

namespace lathe::codegen {
namespace {

Expected<std::unique_ptr<TargetMachine>> createMachine(const DeviceTarget &target,
                                                       unsigned optLevel) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    LLVMInitializeAMDGPUTargetInfo();
    LLVMInitializeAMDGPUTarget();
    LLVMInitializeAMDGPUTargetMC();
    LLVMInitializeAMDGPUAsmPrinter();
  });
  Triple triple(target.triple);
  std::string message;
  const Target *backend = TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return createStringError(
        formatv("this LLVM has no backend for device '{0}': {1}", target.name, message).str());
  TargetOptions options;
  // Only what the IR allows to be contracted is.
  options.AllowFPOpFusion = FPOpFusion::Standard;
  std::unique_ptr<TargetMachine> machine(
      backend->createTargetMachine(triple, target.cpu, target.features, options, Reloc::PIC_,
                                   std::nullopt, *CodeGenOpt::getLevel(std::min(optLevel, 3u))));
  if (!machine)
    return createStringError(formatv("LLVM cannot make a machine for '{0}'", target.name).str());
  return machine;
}

/// What a special register holds, as 64 bits.
Value *readRegister(IRBuilder<> &builder, Intrinsic::ID id) {
  return builder.CreateZExt(builder.CreateIntrinsic(builder.getInt32Ty(), id, {}),
                            builder.getInt64Ty());
}

/// The number of the thread in its block.
Value *readThread(IRBuilder<> &builder, const DeviceTarget &target) {
  return readRegister(builder, target.isNvidia()
                                   ? Intrinsic::ID(Intrinsic::nvvm_read_ptx_sreg_tid_x)
                                   : Intrinsic::ID(Intrinsic::amdgcn_workitem_id_x));
}

/// Makes `kernel`, a function of the items [begin, end), one that an entry of the same name calls
/// for the item of its thread.
void addEntry(Module &module, const DeviceKernel &kernel, const DeviceTarget &target) {
  Function *body = module.getFunction(kernel.name);
  body->setName(kernel.name + ".item");
  body->removeFnAttr(Attribute::NoInline);
  body->addFnAttr(Attribute::AlwaysInline);
  SmallVector<Type *> types(body->getFunctionType()->params());
  // [begin, end) becomes the count, and the tensor maps are parameters as such.
  unsigned maps = kernel.tensorMaps.size(), count = types.size() - maps - 2;
  types.erase(types.begin() + count);
  IRBuilder<> builder(module.getContext());
  auto *entry = Function::Create(FunctionType::get(builder.getVoidTy(), types, false),
                                 GlobalValue::ExternalLinkage, kernel.name, module);
  for (unsigned i = 0; i < count; ++i)
    entry->addParamAttrs(i,
                         AttrBuilder(module.getContext(), body->getAttributes().getParamAttrs(i)));
  auto *map = ArrayType::get(builder.getInt64Ty(), LATHE_MAP_BYTES / 8);
  for (unsigned i = count + 1; i < types.size(); ++i) {
    AttrBuilder attributes(module.getContext());
    attributes.addByValAttr(map).addAlignmentAttr(64).addAttribute("nvvm.grid_constant");
    entry->addParamAttrs(i, attributes);
  }
  entry->setDoesNotThrow();
  Intrinsic::ID block;
  if (target.isNvidia()) {
    entry->setCallingConv(CallingConv::PTX_Kernel);
    entry->addFnAttr("nvvm.maxntid", utostr(kernel.blockThreads));
    block = Intrinsic::nvvm_read_ptx_sreg_ctaid_x;
  } else {
    entry->setCallingConv(CallingConv::AMDGPU_KERNEL);
    entry->setVisibility(GlobalValue::ProtectedVisibility);
    entry->addFnAttr("amdgpu-flat-work-group-size", formatv("{0},{0}", kernel.blockThreads).str());
    entry->addFnAttr("uniform-work-group-size", "true");
    block = Intrinsic::amdgcn_workgroup_id_x;
  }
  auto *start = BasicBlock::Create(module.getContext(), "", entry);
  auto *inside = BasicBlock::Create(module.getContext(), "item", entry);
  auto *exit = BasicBlock::Create(module.getContext(), "exit", entry);
  builder.SetInsertPoint(start);
  Value *item = readRegister(builder, block);
  if (!kernel.isBlockItem)
    item = builder.CreateNUWAdd(builder.CreateNUWMul(item, builder.getInt64(kernel.blockThreads)),
                                readThread(builder, target));
  builder.CreateCondBr(builder.CreateICmpULT(item, entry->getArg(count)), inside, exit);
  builder.SetInsertPoint(inside);
  SmallVector<Value *> arguments;
  for (Argument &argument : entry->args())
    if (argument.getArgNo() != count) {
      arguments.push_back(&argument);
    } else {
      arguments.push_back(item);
      arguments.push_back(builder.CreateAdd(item, builder.getInt64(1), "", true, true));
    }
  builder.CreateCall(body, arguments);
  builder.CreateBr(exit);
  builder.SetInsertPoint(exit);
  builder.CreateRetVoid();
}

/// cp.async, which leaves the first-level cache alone where it copies 16 bytes.
void copyOnNvidia(IRBuilder<> &builder, Value *to, Value *from, uint64_t bytes, Value *valid) {
  struct Copy {
    uint64_t bytes;
    Intrinsic::ID whole, part;
  };
  static constexpr Copy copies[] = {
      {4, Intrinsic::nvvm_cp_async_ca_shared_global_4,
       Intrinsic::nvvm_cp_async_ca_shared_global_4_s},
      {8, Intrinsic::nvvm_cp_async_ca_shared_global_8,
       Intrinsic::nvvm_cp_async_ca_shared_global_8_s},
      {16, Intrinsic::nvvm_cp_async_cg_shared_global_16,
       Intrinsic::nvvm_cp_async_cg_shared_global_16_s},
  };
  const Copy &copy = *find_if(copies, [&](const Copy &known) { return known.bytes == bytes; });
  // Not folded, so that the emulator finds the address as it was.
  auto in = [&](Value *address, unsigned space) -> Value * {
    return builder.Insert(new AddrSpaceCastInst(address, builder.getPtrTy(space)));
  };
  constexpr unsigned global = 1, shared = 3;
  SmallVector<Value *> arguments{in(to, shared), in(from, global)};
  bool isWhole = isa<ConstantInt>(valid) && cast<ConstantInt>(valid)->getZExtValue() == bytes;
  if (!isWhole)
    arguments.push_back(valid);
  builder.CreateIntrinsic(builder.getVoidTy(), isWhole ? copy.whole : copy.part, arguments);
}

/// What a copy is on GPUs without asynchronous ones: a load and a store, or byte by byte where not
/// all are read.
Function *addPlainCopy(Module &module, uint64_t bytes) {
  std::string name = "lathe.copy." + utostr(bytes);
  if (Function *known = module.getFunction(name))
    return known;
  IRBuilder<> builder(module.getContext());
  Type *pointer = builder.getPtrTy(), *i32 = builder.getInt32Ty(), *byte = builder.getInt8Ty();
  auto *function =
      Function::Create(FunctionType::get(builder.getVoidTy(), {pointer, pointer, i32}, false),
                       GlobalValue::InternalLinkage, name, module);
  Value *to = function->getArg(0), *from = function->getArg(1), *valid = function->getArg(2);
  auto addBlock = [&](const char *label) {
    return BasicBlock::Create(module.getContext(), label, function);
  };
  BasicBlock *entry = addBlock(""), *whole = addBlock("whole"), *part = addBlock("part"),
             *head = addBlock("head"), *next = addBlock("next"), *exit = addBlock("exit");
  auto *words = FixedVectorType::get(i32, bytes / 4);
  builder.SetInsertPoint(entry);
  builder.CreateCondBr(builder.CreateICmpEQ(valid, builder.getInt32(bytes)), whole, part);
  builder.SetInsertPoint(whole);
  builder.CreateAlignedStore(builder.CreateAlignedLoad(words, from, Align(bytes)), to,
                             Align(bytes));
  builder.CreateBr(exit);
  builder.SetInsertPoint(part);
  builder.CreateAlignedStore(Constant::getNullValue(words), to, Align(bytes));
  builder.CreateBr(head);
  builder.SetInsertPoint(head);
  PHINode *i = builder.CreatePHI(i32, 2);
  i->addIncoming(builder.getInt32(0), part);
  builder.CreateCondBr(builder.CreateICmpULT(i, valid), next, exit);
  builder.SetInsertPoint(next);
  Value *value = builder.CreateLoad(byte, builder.CreateInBoundsGEP(byte, from, i));
  builder.CreateStore(value, builder.CreateInBoundsGEP(byte, to, i));
  i->addIncoming(builder.CreateNUWAdd(i, builder.getInt32(1)), next);
  builder.CreateBr(head);
  builder.SetInsertPoint(exit);
  builder.CreateRetVoid();
  return function;
}

/// What kernels ask of their block becomes what the GPU has for it.
void replaceBlockCalls(Module &module, const DeviceTarget &target) {
  IRBuilder<> builder(module.getContext());
  auto replace = [&](StringRef name, auto make) {
    Function *function = module.getFunction(name);
    if (!function)
      return;
    for (User *user : make_early_inc_range(function->users())) {
      auto *call = cast<CallInst>(user);
      builder.SetInsertPoint(call);
      if (Value *value = make(*call))
        call->replaceAllUsesWith(value);
      call->eraseFromParent();
    }
    function->eraseFromParent();
  };
  SmallVector<CallInst *> plainCopies;
  replace(threadFunction, [&](CallInst &) { return readThread(builder, target); });
  replace(copyFunction, [&](CallInst &call) -> Value * {
    Value *to = call.getArgOperand(0), *from = call.getArgOperand(1),
          *valid = call.getArgOperand(3);
    uint64_t bytes = cast<ConstantInt>(call.getArgOperand(2))->getZExtValue();
    if (target.isNvidia())
      copyOnNvidia(builder, to, from, bytes, valid);
    else
      plainCopies.push_back(builder.CreateCall(addPlainCopy(module, bytes), {to, from, valid}));
    return nullptr;
  });
  replace(commitFunction, [&](CallInst &) -> Value * {
    if (target.isNvidia())
      builder.CreateIntrinsic(builder.getVoidTy(), Intrinsic::nvvm_cp_async_commit_group, {});
    return nullptr;
  });
  replace(waitFunction, [&](CallInst &call) -> Value * {
    if (target.isNvidia())
      builder.CreateIntrinsic(builder.getVoidTy(), Intrinsic::nvvm_cp_async_wait_group,
                              {call.getArgOperand(0)});
    return nullptr;
  });
  replace(barrierFunction, [&](CallInst &) -> Value * {
    if (target.isNvidia()) {
      builder.CreateIntrinsic(builder.getVoidTy(), Intrinsic::nvvm_barrier_cta_sync_aligned_all,
                              {builder.getInt32(0)});
      return nullptr;
    }
    SyncScope::ID scope = module.getContext().getOrInsertSyncScopeID("workgroup");
    builder.CreateFence(AtomicOrdering::Release, scope);
    builder.CreateIntrinsic(builder.getVoidTy(), Intrinsic::amdgcn_s_barrier, {});
    builder.CreateFence(AtomicOrdering::Acquire, scope);
    return nullptr;
  });
  // In the kernel, where the emulator checks what it reads and writes.
  for (CallInst *call : plainCopies) {
    Function *function = call->getCalledFunction();
    InlineFunctionInfo info;
    InlineFunction(*call, info);
    if (function->use_empty())
      function->eraseFromParent();
  }
}

/// Assembly that all threads of a warp come to together must not be moved to where some do.
void keepTogether(Module &module) {
  for (Function &function : module)
    for (Instruction &inst : instructions(function))
      if (auto *call = dyn_cast<CallInst>(&inst); call && call->isInlineAsm())
        call->setConvergent();
}

/// The remainder of GPUs is inexact for large quotients.
void callRemainders(Module &module) {
  SmallVector<Instruction *> found;
  for (Function &function : module)
    for (Instruction &inst : instructions(function))
      if (inst.getOpcode() == Instruction::FRem)
        found.push_back(&inst);
  for (Instruction *inst : found) {
    IRBuilder<> builder(inst);
    Type *type = inst->getType();
    Type *wide = type->isDoubleTy() ? type : builder.getFloatTy();
    auto widen = [&](Value *value) { return builder.CreateFPExt(value, wide); };
    FunctionCallee function =
        module.getOrInsertFunction(type->isDoubleTy() ? "fmod" : "fmodf", wide, wide, wide);
    Value *rest =
        builder.CreateCall(function, {widen(inst->getOperand(0)), widen(inst->getOperand(1))});
    inst->replaceAllUsesWith(builder.CreateFPTrunc(rest, type));
    inst->eraseFromParent();
  }
}

void optimize(Module &module, TargetMachine &machine, unsigned optLevel) {
  // No function of a library is there.
  TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false;
  PassBuilder builder(&machine, tuning);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager sccs;
  ModuleAnalysisManager modules;
  functions.registerPass([&] { return TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  // What is not optimized at all keeps its items in functions that each call.
  OptimizationLevel level = optLevel >= 3   ? OptimizationLevel::O3
                            : optLevel == 2 ? OptimizationLevel::O2
                                            : OptimizationLevel::O1;
  builder.buildPerModuleDefaultPipeline(level).run(module, modules);
}

Expected<std::unique_ptr<MemoryBuffer>> emit(Module &module, TargetMachine &machine,
                                             CodeGenFileType type) {
  SmallVector<char, 0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return createStringError("LLVM cannot emit this kind of file for the device");
  passes.run(module);
  return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes),
                                                   /*RequiresNullTerminator=*/false);
}

/// Code for a device can call nothing that is not in it.
Error checkClosed(const Module &module, const DeviceTarget &target) {
  for (const Function &function : module)
    if (function.isDeclaration() && !function.isIntrinsic() && !function.use_empty())
      return createStringError(formatv("code for '{0}' calls '{1}', which no device has",
                                       target.name, function.getName())
                                   .str());
  return Error::success();
}

Error verify(const Module &module, const DeviceTarget &target) {
  std::string broken;
  raw_string_ostream stream(broken);
  if (!verifyModule(module, &stream))
    return Error::success();
  return createStringError(
      formatv("the kernels for '{0}' are not valid LLVM IR: {1}", target.name, broken).str());
}

/// The device, with the version of PTX that its kernels need: products of 8-bit floats came
/// with 8.4.
DeviceTarget requireFeatures(const Module &module, const DeviceTarget &device) {
  constexpr const char *leastForFloat8 = "+ptx84";
  DeviceTarget target = device;
  bool hasFloat8 = any_of(module, [](const Function &function) {
    return function.getName().starts_with("llvm.nvvm.mma.") &&
           (function.getName().contains(".e4m3") || function.getName().contains(".e5m2"));
  });
  if (hasFloat8 && StringRef(target.features) < leastForFloat8)
    target.features = leastForFloat8;
  return target;
}

} // namespace

Expected<DeviceCode> compileDevice(std::unique_ptr<Module> module,
                                   MutableArrayRef<DeviceKernel> kernels,
                                   const DeviceTarget &device, const HostTarget &host,
                                   StringRef prefix, unsigned optLevel) {
  DeviceTarget target = requireFeatures(*module, device);
  DeviceCode code;
  code.emulatorSymbol = (prefix + "_emulated").str();
  Expected<std::unique_ptr<TargetMachine>> machine = createMachine(target, optLevel);
  if (!machine)
    return machine.takeError();
  for (const DeviceKernel &kernel : kernels)
    addEntry(*module, kernel, target);
  replaceBlockCalls(*module, target);
  keepTogether(*module);
  expandPhaseWaits(*module);
  if (std::string name = findTensorCopies(*module); !name.empty() && !device.copiesTensors())
    return createStringError(
        formatv("code for '{0}' uses '{1}', which it does not have", target.name, name).str());
  callRemainders(*module);

  std::unique_ptr<Module> emulated = CloneModule(*module);
  if (Error error = retargetToHost(*emulated, kernels, code.emulatorSymbol))
    return std::move(error);
  HostOptions options;
  options.optLevel = std::min(optLevel, 1u);
  Expected<std::unique_ptr<MemoryBuffer>> object = compileHost(std::move(emulated), host, options);
  if (!object)
    return object.takeError();
  code.emulator = std::move(*object);

  if (target.isNvidia())
    takeSharedFromLaunch(*module, kernels);
  module->setTargetTriple(Triple(target.triple));
  module->setDataLayout((*machine)->createDataLayout());
  if (Error error = inlineMath(*module, /*hasAvx512=*/false))
    return std::move(error);
  if (Error error = linkBuiltins(*module, predictLibcalls(*module)))
    return std::move(error);
  internalizeBuiltins(*module);
  if (GlobalVariable *used = module->getNamedGlobal("llvm.compiler.used"))
    used->eraseFromParent();
  for (Function &function : *module)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", target.cpu);
      function.addFnAttr("target-features", target.features);
    }
  if (Error error = verify(*module, target))
    return std::move(error);
  optimize(*module, **machine, optLevel);
  if (Error error = checkClosed(*module, target))
    return std::move(error);
  if (!target.isNvidia()) {
    Expected<std::unique_ptr<MemoryBuffer>> object =
        emit(*CloneModule(*module), **machine, CodeGenFileType::ObjectFile);
    if (!object)
      return object.takeError();
    code.image = std::move(*object);
  }
  Expected<std::unique_ptr<MemoryBuffer>> text =
      emit(*module, **machine, CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  code.assembly = (*text)->getBuffer().str();
  if (target.isNvidia())
    code.image = std::move(*text);
  return code;
}

} // namespace lathe::codegen
