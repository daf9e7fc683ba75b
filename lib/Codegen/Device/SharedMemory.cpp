// What a block of an NVIDIA GPU shares: up to 48 KiB are part of a kernel's code, more is asked for
// when it is launched.
// Apache-2.0 WITH LLVM-exception
#include "lathe/ArtifactFormat.h"
#include "lib/Codegen/Device/Device.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"

using namespace llvm;

namespace lathe::codegen {

static constexpr unsigned sharedSpace = 3;

// Kernels that have more take all of it from one variable without a size, so that no other moves
// where it begins: at a multiple of what swizzles repeat after.
void takeSharedFromLaunch(Module &module, ArrayRef<DeviceKernel> kernels) {
  constexpr uint64_t alignment = 1024;
  SmallVector<GlobalVariable *> shared;
  for (GlobalVariable &global : module.globals())
    if (global.getAddressSpace() == sharedSpace)
      shared.push_back(&global);
  SmallVector<Constant *> constants(shared.begin(), shared.end());
  convertUsersOfConstantsToInstructions(constants);
  IRBuilder<> builder(module.getContext());
  GlobalVariable *all = nullptr;
  for (const DeviceKernel &kernel : kernels) {
    if (kernel.sharedBytes <= LATHE_MOST_STATIC_SHARED)
      continue;
    if (!all) {
      all = new GlobalVariable(module, ArrayType::get(builder.getInt8Ty(), 0), false,
                               GlobalValue::ExternalLinkage, nullptr, "lathe_launch_shared",
                               nullptr, GlobalValue::NotThreadLocal, sharedSpace);
      all->setAlignment(Align(alignment));
    }
    Function *body = module.getFunction((kernel.name + ".item"));
    uint64_t end = 0;
    for (GlobalVariable *global : shared) {
      SmallVector<Use *> uses;
      for (Use &use : global->uses())
        if (auto *user = dyn_cast<Instruction>(use.getUser()); user && user->getFunction() == body)
          uses.push_back(&use);
      if (uses.empty())
        continue;
      end = alignTo(end, global->getAlign().valueOrOne());
      builder.SetInsertPoint(&*body->getEntryBlock().getFirstInsertionPt());
      Value *place = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), all, end);
      for (Use *use : uses)
        use->set(place);
      end += module.getDataLayout().getTypeAllocSize(global->getValueType());
    }
  }
  for (GlobalVariable *global : shared)
    if (global->use_empty())
      global->eraseFromParent();
}

} // namespace lathe::codegen
