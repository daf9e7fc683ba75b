// Code for certain sizes beside the general code: entry functions that look at the inputs' dims.
// Apache-2.0 WITH LLVM-exception
#include "lathe/ArtifactFormat.h"
#include "lathe/Codegen.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace lathe::codegen {

/// The size of dimension `dim` of input number `input`.
static Value *loadDim(IRBuilder<> &builder, Value *inputs, unsigned input, unsigned dim) {
  uint64_t offset = uint64_t(input) * sizeof(lathe_value) + offsetof(lathe_value, dims) +
                    uint64_t(dim) * sizeof(int64_t);
  Value *address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), inputs, offset);
  return builder.CreateAlignedLoad(builder.getInt64Ty(), address, Align(alignof(int64_t)));
}

void addSizeDispatch(Module &module, StringRef prefix, StringRef general,
                     ArrayRef<SizeCase> cases) {
  LLVMContext &context = module.getContext();
  PointerType *pointer = PointerType::get(context, 0);
  Type *code = Type::getInt32Ty(context);
  struct {
    StringRef suffix;
    FunctionType *type;
  } functions[] = {{"_run", FunctionType::get(code, {pointer}, false)},
                   {"_plan", FunctionType::get(code, {pointer, pointer}, false)}};
  for (auto [suffix, type] : functions) {
    auto *entry = Function::Create(type, GlobalValue::ExternalLinkage, prefix + suffix, module);
    IRBuilder<> builder(BasicBlock::Create(context, "", entry));
    SmallVector<Value *> arguments(make_pointer_range(entry->args()));
    auto call = [&](StringRef target) {
      FunctionCallee callee = module.getOrInsertFunction((target + suffix).str(), type);
      auto *function = cast<Function>(callee.getCallee());
      function->setDSOLocal(true);
      if (function->isDeclaration())
        function->setVisibility(GlobalValue::HiddenVisibility);
      CallInst *result = builder.CreateCall(callee, arguments);
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

} // namespace lathe::codegen
