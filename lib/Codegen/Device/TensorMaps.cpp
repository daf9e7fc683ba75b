// Tensor maps, which the runtime makes when it launches a kernel, and what devices have that take
// them.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lib/Codegen/Device/Device.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"
#include <cstring>

using namespace mlir;
using namespace lathe;

namespace {

/// The number of a launch's parameter; nothing where a value is none.
std::optional<unsigned> parameterOf(func::FuncOp kernel, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  bool isParameter = argument && argument.getOwner() == &kernel.getBody().front() &&
                     argument.getArgNumber() + 2 < kernel.getNumArguments();
  return isParameter && argument.getArgNumber() ? std::optional(argument.getArgNumber())
                                                : std::nullopt;
}

/// Multiplies `size` by a value; false where that is no product of parameters and constants.
bool multiply(func::FuncOp kernel, Value value, lathe_launch_size &size) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant))) {
    size.constant *= constant.getZExtValue();
    return !constant.isNegative();
  }
  if (auto product = value.getDefiningOp<arith::MulIOp>())
    return multiply(kernel, product.getLhs(), size) && multiply(kernel, product.getRhs(), size);
  std::optional<unsigned> parameter = parameterOf(kernel, value);
  uint32_t *place = llvm::find(size.factors, 0u);
  if (!parameter || place == std::end(size.factors))
    return false;
  *place = *parameter;
  return true;
}

uint32_t dtypeOf(Type element) {
  if (element.isF16())
    return LATHE_F16;
  if (element.isBF16())
    return LATHE_BF16;
  if (element.isF32())
    return LATHE_F32;
  if (element.isF64())
    return LATHE_F64;
  unsigned bits = element.getIntOrFloatBitWidth();
  return bits == 8 ? LATHE_U8 : bits == 16 ? LATHE_U16 : bits == 32 ? LATHE_U32 : LATHE_U64;
}

LogicalResult describe(func::FuncOp kernel, rt::TensorMapOp op, lathe_tensor_map &map) {
  map = {};
  std::optional<unsigned> base = parameterOf(kernel, op.getBase());
  if (!base)
    return op.emitOpError("needs a parameter of the kernel as its base");
  map.buffer = *base;
  map.dtype = dtypeOf(op.getElement());
  map.offset = op.getOffset() * (op.getElement().getIntOrFloatBitWidth() / 8);
  map.rank = op.getSizes().size();
  map.swizzle = op.getSwizzle();
  for (auto [i, value] : llvm::enumerate(op.getSizes())) {
    map.sizes[i].constant = 1;
    map.box[i] = op.getBox()[i];
    if (!multiply(kernel, value, map.sizes[i]))
      return op.emitOpError("needs sizes that are products of up to ")
             << LATHE_SIZE_FACTORS << " parameters of the kernel, not so size " << i;
  }
  map.strides[0].constant = 1;
  for (auto [i, value] : llvm::enumerate(op.getStrides())) {
    map.strides[i + 1].constant = 1;
    if (!multiply(kernel, value, map.strides[i + 1]))
      return op.emitOpError("needs strides that are products of up to ")
             << LATHE_SIZE_FACTORS << " parameters of the kernel, not so stride " << i;
  }
  return success();
}

} // namespace

FailureOr<std::vector<lathe_tensor_map>> lathe::codegen::takeTensorMaps(func::FuncOp kernel) {
  SmallVector<rt::TensorMapOp> ops;
  kernel.walk([&](rt::TensorMapOp op) { ops.push_back(op); });
  std::vector<lathe_tensor_map> maps;
  SmallVector<unsigned> numbers;
  for (rt::TensorMapOp op : ops) {
    lathe_tensor_map map;
    if (failed(describe(kernel, op, map)))
      return failure();
    auto known = llvm::find_if(
        maps, [&](const lathe_tensor_map &other) { return !memcmp(&map, &other, sizeof(map)); });
    numbers.push_back(known - maps.begin());
    if (known == maps.end())
      maps.push_back(map);
  }
  unsigned first = kernel.getNumArguments();
  for (size_t i = 0; i < maps.size(); ++i)
    if (failed(kernel.insertArgument(kernel.getNumArguments(), ops.front().getType(), {},
                                     kernel.getLoc())))
      return failure();
  for (auto [op, number] : llvm::zip_equal(ops, numbers)) {
    op.replaceAllUsesWith(kernel.getArgument(first + number));
    op.erase();
  }
  return maps;
}

void lathe::codegen::expandPhaseWaits(llvm::Module &module) {
  llvm::Function *function = module.getFunction(waitPhaseFunction);
  if (!function)
    return;
  llvm::IRBuilder<> builder(module.getContext());
  for (llvm::User *user : llvm::make_early_inc_range(function->users())) {
    auto *call = llvm::cast<llvm::CallInst>(user);
    llvm::BasicBlock *before = call->getParent();
    llvm::BasicBlock *after = before->splitBasicBlock(call);
    auto *loop = llvm::BasicBlock::Create(module.getContext(), "phase", before->getParent(), after);
    before->getTerminator()->setSuccessor(0, loop);
    builder.SetInsertPoint(loop);
    llvm::Value *isOver = builder.CreateIntrinsic(
        builder.getInt1Ty(), llvm::Intrinsic::nvvm_mbarrier_try_wait_parity_scope_cta_space_cta,
        {call->getArgOperand(0), call->getArgOperand(1)});
    builder.CreateCondBr(isOver, after, loop);
    call->eraseFromParent();
  }
  function->eraseFromParent();
}

std::string lathe::codegen::findTensorCopies(const llvm::Module &module) {
  for (const llvm::Function &function : module)
    for (llvm::StringRef prefix : {"llvm.nvvm.mbarrier", "llvm.nvvm.cp.async.bulk"})
      if (function.getName().starts_with(prefix) && !function.use_empty())
        return function.getName().str();
  return "";
}
