// Links the functions of a C library that compiled code needs from embedded bitcode.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Codegen/Host/Host.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/IRMover.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"
#include <map>
#include <mutex>
#include <set>

// The bitcode files lie next to the object that the build makes of this source.
#define LATHE_EMBED(name, file)                                                                    \
  asm(".section .rodata." #name ",\"a\",@progbits\n"                                               \
      ".balign 16\n"                                                                               \
      ".globl lathe_" #name "_begin\n"                                                             \
      ".hidden lathe_" #name "_begin\n"                                                            \
      "lathe_" #name "_begin:\n"                                                                   \
      ".incbin \"" file "\"\n"                                                                     \
      ".globl lathe_" #name "_end\n"                                                               \
      ".hidden lathe_" #name "_end\n"                                                              \
      "lathe_" #name "_end:\n"                                                                     \
      ".byte 0\n"                                                                                  \
      ".previous\n");                                                                              \
  extern "C" const char lathe_##name##_begin[];                                                    \
  extern "C" const char lathe_##name##_end[];

LATHE_EMBED(builtins_x86_64, LATHE_BUILTINS_X86_64)
LATHE_EMBED(builtins_aarch64, LATHE_BUILTINS_AARCH64)
LATHE_EMBED(builtins_nvptx64, LATHE_BUILTINS_NVPTX64)
LATHE_EMBED(builtins_amdgcn, LATHE_BUILTINS_AMDGCN)

using namespace llvm;

namespace lathe::codegen {
namespace {

/// Marks builtins among the functions of a module.
constexpr const char *builtinMark = "lathe-builtin";

/// Begins the names of builtins that are inlined.
constexpr const char *inlinePrefix = "lathe_";

Expected<StringRef> bitcode(const Triple &triple) {
  switch (triple.getArch()) {
  case Triple::x86_64:
    return StringRef(lathe_builtins_x86_64_begin,
                     lathe_builtins_x86_64_end - lathe_builtins_x86_64_begin);
  case Triple::aarch64:
    return StringRef(lathe_builtins_aarch64_begin,
                     lathe_builtins_aarch64_end - lathe_builtins_aarch64_begin);
  case Triple::nvptx64:
    return StringRef(lathe_builtins_nvptx64_begin,
                     lathe_builtins_nvptx64_end - lathe_builtins_nvptx64_begin);
  case Triple::amdgcn:
    return StringRef(lathe_builtins_amdgcn_begin,
                     lathe_builtins_amdgcn_end - lathe_builtins_amdgcn_begin);
  default:
    return createStringError(
        formatv("there are no builtins for architecture '{0}'", triple.getArchName()).str());
  }
}

Expected<std::unique_ptr<Module>> lazyBuiltins(const Triple &triple, LLVMContext &context) {
  Expected<StringRef> bytes = bitcode(triple);
  if (!bytes)
    return bytes.takeError();
  return getLazyBitcodeModule(MemoryBufferRef(*bytes, "builtins"), context);
}

/// The builtins, ready to be linked into `module`, marked, none of them read yet.
Expected<std::unique_ptr<Module>> builtinsFor(Module &module) {
  Triple triple = module.getTargetTriple();
  Expected<std::unique_ptr<Module>> builtins = lazyBuiltins(triple, module.getContext());
  if (!builtins)
    return builtins.takeError();
  for (Function &function : **builtins) {
    function.removeFnAttr("target-cpu"); // the module's target is set on all functions later
    function.removeFnAttr("target-features");
    function.removeFnAttr("tune-cpu");
    function.removeFnAttr("min-legal-vector-width");
    function.removeFnAttr("frame-pointer");
    if (!function.hasLocalLinkage() && !function.isIntrinsic())
      function.addFnAttr(builtinMark);
  }
  // Names of the command line's target and flags must not fight with the module's own.
  (*builtins)->setTargetTriple(triple);
  (*builtins)->setDataLayout(module.getDataLayout());
  if (NamedMDNode *flags = (*builtins)->getModuleFlagsMetadata())
    flags->eraseFromParent();
  if (NamedMDNode *ident = (*builtins)->getNamedMetadata("llvm.ident"))
    ident->eraseFromParent();
  return builtins;
}

/// Operations of LLVM's math intrinsics that become a call of the C function of that name, with
/// "f" appended for f32 (and for the narrower types, which are computed in f32).
StringRef mathFunctionOf(Intrinsic::ID id) {
  static const std::map<Intrinsic::ID, const char *> table = {
      {Intrinsic::acos, "acos"},   {Intrinsic::asin, "asin"},     {Intrinsic::atan, "atan"},
      {Intrinsic::atan2, "atan2"}, {Intrinsic::cos, "cos"},       {Intrinsic::cosh, "cosh"},
      {Intrinsic::exp, "exp"},     {Intrinsic::exp2, "exp2"},     {Intrinsic::exp10, "exp10"},
      {Intrinsic::ldexp, "ldexp"}, {Intrinsic::frexp, "frexp"},   {Intrinsic::log, "log"},
      {Intrinsic::log2, "log2"},   {Intrinsic::log10, "log10"},   {Intrinsic::modf, "modf"},
      {Intrinsic::pow, "pow"},     {Intrinsic::sin, "sin"},       {Intrinsic::sincos, "sincos"},
      {Intrinsic::sinh, "sinh"},   {Intrinsic::tan, "tan"},       {Intrinsic::tanh, "tanh"},
      {Intrinsic::round, "round"}, {Intrinsic::lround, "lround"}, {Intrinsic::llround, "llround"},
      {Intrinsic::lrint, "lrint"}, {Intrinsic::llrint, "llrint"},
  };
  auto it = table.find(id);
  return it == table.end() ? StringRef() : it->second;
}

bool isDouble(const Type *type) { return type->getScalarType()->isDoubleTy(); }

/// Adds what the conversion or arithmetic in `inst` may call.
void predict(const Instruction &inst, std::set<std::string> &names) {
  Type *type = inst.getType()->getScalarType();
  auto addMath = [&](StringRef base, const Type *operand) {
    names.insert((base + (isDouble(operand) ? "" : "f")).str());
  };
  if (auto *intrinsic = dyn_cast<IntrinsicInst>(&inst)) {
    Intrinsic::ID id = intrinsic->getIntrinsicID();
    if (isa<MemCpyInst>(intrinsic))
      names.insert("memcpy");
    else if (isa<MemMoveInst>(intrinsic))
      names.insert("memmove");
    else if (isa<MemSetInst>(intrinsic))
      names.insert("memset");
    else if (id == Intrinsic::powi)
      names.insert(isDouble(type) ? "__powidf2" : "__powisf2");
    else if (StringRef base = mathFunctionOf(id); !base.empty())
      addMath(base, intrinsic->getArgOperand(0)->getType());
  }
  if (inst.getOpcode() == Instruction::FRem)
    addMath("fmod", type);
  // Narrow floating-point arithmetic is done in f32 and rounded back by a call where the processor
  // has no instruction for it.
  if (type->isBFloatTy())
    names.insert({"__truncsfbf2", "__truncdfbf2"});
  if (type->isHalfTy() && inst.getNumOperands() && isDouble(inst.getOperand(0)->getType()))
    names.insert("__truncdfhf2");
  if (type->isIntegerTy() && type->getIntegerBitWidth() > 64) {
    switch (inst.getOpcode()) {
    case Instruction::SDiv:
      names.insert("__divti3");
      break;
    case Instruction::UDiv:
      names.insert("__udivti3");
      break;
    case Instruction::SRem:
      names.insert("__modti3");
      break;
    case Instruction::URem:
      names.insert("__umodti3");
      break;
    default:
      break;
    }
  }
}

} // namespace

Expected<const StringSet<> &> builtinNames(const Triple &triple) {
  static std::mutex mutex;
  static std::map<Triple::ArchType, StringSet<>> cache;
  std::lock_guard<std::mutex> lock(mutex);
  auto [it, isNew] = cache.try_emplace(triple.getArch());
  if (!isNew)
    return it->second;
  LLVMContext context;
  Expected<std::unique_ptr<Module>> builtins = lazyBuiltins(triple, context);
  if (!builtins) {
    cache.erase(it);
    return builtins.takeError();
  }
  for (const Function &function : **builtins)
    if (!function.isDeclaration() && !function.hasLocalLinkage())
      it->second.insert(function.getName());
  return it->second;
}

Error linkBuiltins(Module &module, ArrayRef<std::string> names) {
  Triple triple = module.getTargetTriple();
  Expected<const StringSet<> &> known = builtinNames(triple);
  if (!known)
    return known.takeError();
  // Only what is declared gets linked: declare what is asked for, with whatever type, which the
  // definition then replaces.
  SmallVector<StringRef> wanted;
  for (const std::string &name : names)
    if (known->contains(name)) {
      if (!module.getNamedValue(name))
        module.getOrInsertFunction(name, FunctionType::get(Type::getVoidTy(module.getContext()),
                                                           /*isVarArg=*/false));
      wanted.push_back(name);
    }
  for (const Function &function : module)
    if (function.isDeclaration() && known->contains(function.getName()))
      wanted.push_back(function.getName());
  if (wanted.empty())
    return Error::success();

  Expected<std::unique_ptr<Module>> builtins = builtinsFor(module);
  if (!builtins)
    return builtins.takeError();
  if (Linker::linkModules(module, std::move(*builtins), Linker::LinkOnlyNeeded))
    return createStringError("the builtins could not be linked into the module");
  return Error::success();
}

Error linkInlineBuiltins(Module &module) {
  Expected<std::unique_ptr<Module>> builtins = builtinsFor(module);
  if (!builtins)
    return builtins.takeError();
  SmallVector<GlobalValue *> wanted;
  SmallVector<std::string> names;
  for (Function &function : **builtins)
    if (function.getName().starts_with(inlinePrefix) && module.getFunction(function.getName())) {
      wanted.push_back(&function);
      names.push_back(function.getName().str());
    }
  if (wanted.empty())
    return Error::success();
  // What they share comes along; functions of C's names are linked after optimization.
  auto addShared = [](GlobalValue &value, IRMover::ValueAdder add) {
    if (value.getName().starts_with("_Z"))
      add(value);
  };
  if (Error error = IRMover(module).move(std::move(*builtins), wanted, addShared,
                                         /*IsPerformingImport=*/false))
    return error;
  for (const std::string &name : names) {
    Function *function = module.getFunction(name);
    function->setVisibility(GlobalValue::DefaultVisibility);
    function->setLinkage(GlobalValue::InternalLinkage);
  }
  return Error::success();
}

void internalizeBuiltins(Module &module) {
  SmallVector<GlobalValue *> kept;
  for (Function &function : module) {
    if (function.isDeclaration() || !function.hasFnAttribute(builtinMark))
      continue;
    function.setVisibility(GlobalValue::DefaultVisibility);
    function.setLinkage(GlobalValue::InternalLinkage);
    function.setDSOLocal(true);
    kept.push_back(&function);
  }
  appendToCompilerUsed(module, kept);
}

std::vector<std::string> predictLibcalls(const Module &module) {
  std::set<std::string> names;
  for (const Function &function : module)
    for (const BasicBlock &block : function)
      for (const Instruction &inst : block)
        predict(inst, names);
  // The backend merges a sine and a cosine of the same angle.
  for (const char *suffix : {"", "f"})
    if (names.count(std::string("sin") + suffix) && names.count(std::string("cos") + suffix))
      names.insert(std::string("sincos") + suffix);
  return {names.begin(), names.end()};
}

} // namespace lathe::codegen
