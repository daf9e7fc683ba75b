// Entry functions that look at the inputs' dims: code for certain sizes beside the general code,
// and code that runs once for each sample of a batch. Apache-2.0 WITH LLVM-exception
#include "lathe/ArtifactFormat.h"
#include "lathe/Codegen.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include <array>

using namespace llvm;

namespace lathe::codegen {

/// The size of dimension `dim` of input number `input`.
static Value *loadDim(IRBuilder<> &builder, Value *inputs, unsigned input, unsigned dim) {
  uint64_t offset = uint64_t(input) * sizeof(lathe_value) + offsetof(lathe_value, dims) +
                    uint64_t(dim) * sizeof(int64_t);
  Value *address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), inputs, offset);
  return builder.CreateAlignedLoad(builder.getInt64Ty(), address, Align(alignof(int64_t)));
}

namespace {
/// The functions of an entry.
struct EntryFunction {
  const char *suffix;
  FunctionType *type;
};
} // namespace

static std::array<EntryFunction, 2> entryFunctions(LLVMContext &context) {
  PointerType *pointer = PointerType::get(context, 0);
  Type *code = Type::getInt32Ty(context);
  return {{{"_run", FunctionType::get(code, {pointer}, false)},
           {"_plan", FunctionType::get(code, {pointer, pointer}, false)}}};
}

/// A function that may be in another object of the artifact.
static FunctionCallee declareEntry(Module &module, const Twine &name, FunctionType *type) {
  FunctionCallee callee = module.getOrInsertFunction(name.str(), type);
  auto *function = cast<Function>(callee.getCallee());
  function->setDSOLocal(true);
  if (function->isDeclaration())
    function->setVisibility(GlobalValue::HiddenVisibility);
  return callee;
}

void addSizeDispatch(Module &module, StringRef prefix, StringRef general,
                     ArrayRef<SizeCase> cases) {
  LLVMContext &context = module.getContext();
  PointerType *pointer = PointerType::get(context, 0);
  for (auto [suffix, type] : entryFunctions(context)) {
    auto *entry = Function::Create(type, GlobalValue::ExternalLinkage, prefix + suffix, module);
    IRBuilder<> builder(BasicBlock::Create(context, "", entry));
    SmallVector<Value *> arguments(make_pointer_range(entry->args()));
    auto call = [&](StringRef target) {
      CallInst *result = builder.CreateCall(declareEntry(module, target + suffix, type), arguments);
      result->setTailCall();
      builder.CreateRet(result);
    };
    Value *inputs = builder.CreateAlignedLoad(
        pointer,
        builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), entry->getArg(0),
                                           offsetof(lathe_call, inputs)),
        Align(alignof(void *)));
    for (const SizeCase &sizes : cases) {
      Value *fits = builder.getTrue();
      for (const SizeTest &test : sizes.tests)
        fits = builder.CreateAnd(
            fits, builder.CreateICmpEQ(loadDim(builder, inputs, test.input, test.dim),
                                       builder.getInt64(test.size)));
      BasicBlock *taken = BasicBlock::Create(context, "", entry);
      BasicBlock *next = BasicBlock::Create(context, "", entry);
      builder.CreateCondBr(fits, taken, next);
      builder.SetInsertPoint(taken);
      call(sizes.prefix);
      builder.SetInsertPoint(next);
    }
    call(general);
  }
}

void addSampleDispatch(Module &module, StringRef prefix, StringRef code,
                       ArrayRef<SampleValue> values, unsigned inputCount, int64_t leastSize,
                       int64_t count) {
  LLVMContext &context = module.getContext();
  std::array<EntryFunction, 2> functions = entryFunctions(context);
  SmallVector<Value *> callees;
  for (auto [suffix, type] : functions)
    callees.push_back(declareEntry(module, code + suffix, type).getCallee());
  Type *word = Type::getInt32Ty(context);
  SmallVector<uint32_t> words;
  for (const SampleValue &value : values)
    words.append({value.elementBytes, value.openDims});
  Constant *numbers = ConstantDataArray::get(context, words);
  auto *table = new GlobalVariable(module, numbers->getType(), /*isConstant=*/true,
                                   GlobalValue::PrivateLinkage, numbers, prefix + "_values");
  for (auto [suffix, type] : functions) {
    auto *entry = Function::Create(type, GlobalValue::ExternalLinkage, prefix + suffix, module);
    IRBuilder<> builder(BasicBlock::Create(context, "", entry));
    SmallVector<Value *> arguments(make_pointer_range(entry->args()));
    append_range(arguments, callees);
    arguments.append({table, ConstantInt::get(word, inputCount),
                      ConstantInt::get(word, values.size() - inputCount),
                      builder.getInt64(leastSize), builder.getInt64(count)});
    SmallVector<Type *> types;
    for (Value *argument : arguments)
      types.push_back(argument->getType());
    FunctionCallee builtin =
        module.getOrInsertFunction((Twine("lathe_samples") + suffix).str(),
                                   FunctionType::get(type->getReturnType(), types, false));
    builder.CreateRet(builder.CreateCall(builtin, arguments));
  }
}

} // namespace lathe::codegen
