// Kernels of a GPU as functions of the host, one call for each thread, every access checked.
// Apache-2.0 WITH LLVM-exception
#include "lathe/ArtifactFormat.h"
#include "lib/Codegen/Device/Device.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsAMDGPU.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <cstddef>

using namespace llvm;

namespace lathe::codegen {
namespace {

/// Where a thread finds what a special register holds; nothing where the emulator has no such
/// thing.
std::optional<size_t> fieldOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_read_ptx_sreg_tid_x:
  case Intrinsic::amdgcn_workitem_id_x:
    return offsetof(lathe_emulated_thread, thread);
  case Intrinsic::nvvm_read_ptx_sreg_ctaid_x:
  case Intrinsic::amdgcn_workgroup_id_x:
    return offsetof(lathe_emulated_thread, block);
  default:
    return std::nullopt;
  }
}

/// The same function with the thread as its last parameter. The old one is gone.
Function *addThread(Function &function) {
  SmallVector<Type *> types(function.getFunctionType()->params());
  types.push_back(PointerType::get(function.getContext(), 0));
  auto *made = Function::Create(FunctionType::get(function.getReturnType(), types, false),
                                GlobalValue::InternalLinkage, "", function.getParent());
  made->takeName(&function);
  ValueToValueMapTy map;
  for (auto [from, to] : zip(function.args(), made->args()))
    map[&from] = &to;
  SmallVector<ReturnInst *> returns;
  CloneFunctionInto(made, &function, map, CloneFunctionChangeType::LocalChangesOnly, returns);
  made->setCallingConv(CallingConv::C);
  made->setVisibility(GlobalValue::DefaultVisibility);
  made->setLinkage(GlobalValue::InternalLinkage);
  AttributeList attributes;
  for (unsigned i = 0; i < function.arg_size(); ++i) {
    AttrBuilder own(function.getContext(), function.getAttributes().getParamAttrs(i));
    own.removeAttribute(Attribute::ByVal); // tensor maps are passed by their addresses
    attributes = attributes.addParamAttributes(function.getContext(), i, own);
  }
  made->setAttributes(attributes);
  return made;
}

Value *threadOf(Function &function) { return &*std::prev(function.arg_end()); }

Value *fieldAddress(IRBuilder<> &builder, Value *thread, uint64_t offset) {
  return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), thread, offset);
}

/// Whether an intrinsic is the barrier of a block.
bool isBarrier(Intrinsic::ID id) {
  return id == Intrinsic::nvvm_barrier_cta_sync_aligned_all || id == Intrinsic::amdgcn_s_barrier;
}

/// cp.async: how many bytes.
uint64_t copiedBytes(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_cp_async_ca_shared_global_4:
  case Intrinsic::nvvm_cp_async_ca_shared_global_4_s:
    return 4;
  case Intrinsic::nvvm_cp_async_ca_shared_global_8:
  case Intrinsic::nvvm_cp_async_ca_shared_global_8_s:
    return 8;
  case Intrinsic::nvvm_cp_async_cg_shared_global_16:
  case Intrinsic::nvvm_cp_async_cg_shared_global_16_s:
    return 16;
  default:
    return 0;
  }
}

/// ldmatrix: how many matrices.
struct MatrixLoad {
  uint32_t count = 0;
  bool isTransposed = false;
};

MatrixLoad matrixLoadOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x1_b16:
    return {1, false};
  case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x2_b16:
    return {2, false};
  case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_b16:
    return {4, false};
  case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x1_trans_b16:
    return {1, true};
  case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x2_trans_b16:
    return {2, true};
  case Intrinsic::nvvm_ldmatrix_sync_aligned_m8n8_x4_trans_b16:
    return {4, true};
  default:
    return {};
  }
}

/// An instruction of a matrix unit: its numbers of operands, and where they begin.
struct MatrixCall {
  uint32_t unit;
  unsigned left, right, sums;
  bool hasSigns = false; ///< operands that say whether the next one is signed
};

std::optional<MatrixCall> matrixCallOf(Intrinsic::ID id) {
  constexpr uint32_t mma = LATHE_MATRIX_MMA_SYNC, bf16 = LATHE_MATRIX_BF16, i8 = LATHE_MATRIX_INT8,
                     f8 = LATHE_MATRIX_FP8, tf32 = LATHE_MATRIX_TF32;
  constexpr uint32_t left = LATHE_MATRIX_LEFT_OTHER, right = LATHE_MATRIX_RIGHT_OTHER;
  static const struct {
    Intrinsic::ID id;
    MatrixCall call;
  } calls[] = {
      {Intrinsic::nvvm_mma_m16n8k16_row_col_f32_f32, {mma, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k16_row_col_bf16, {mma | bf16, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k8_row_col_tf32, {mma | tf32, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_s8, {mma | i8, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_s8_u8, {mma | i8 | right, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_u8_s8, {mma | i8 | left, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_u8, {mma | i8 | left | right, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_f32_e4m3_e4m3_f32, {mma | f8, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_f32_e4m3_e5m2_f32, {mma | f8 | right, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_f32_e5m2_e4m3_f32, {mma | f8 | left, 4, 2, 4}},
      {Intrinsic::nvvm_mma_m16n8k32_row_col_f32_e5m2_e5m2_f32, {mma | f8 | left | right, 4, 2, 4}},
      {Intrinsic::amdgcn_mfma_f32_16x16x16f16, {LATHE_MATRIX_MFMA, 1, 1, 1}},
      {Intrinsic::amdgcn_mfma_f32_16x16x16bf16_1k, {LATHE_MATRIX_MFMA | bf16, 1, 1, 1}},
      {Intrinsic::amdgcn_mfma_f32_16x16x8_xf32, {LATHE_MATRIX_MFMA_GFX942 | tf32, 1, 1, 1}},
      {Intrinsic::amdgcn_mfma_i32_16x16x16i8, {LATHE_MATRIX_MFMA | i8, 1, 1, 1}},
      {Intrinsic::amdgcn_mfma_i32_16x16x32_i8, {LATHE_MATRIX_MFMA_GFX942 | i8, 1, 1, 1}},
      {Intrinsic::amdgcn_wmma_f32_16x16x16_f16, {LATHE_MATRIX_WMMA, 1, 1, 1}},
      {Intrinsic::amdgcn_wmma_f32_16x16x16_bf16, {LATHE_MATRIX_WMMA | bf16, 1, 1, 1}},
      {Intrinsic::amdgcn_wmma_i32_16x16x16_iu8, {LATHE_MATRIX_WMMA | i8, 1, 1, 1, true}},
  };
  for (const auto &known : calls)
    if (known.id == id)
      return known.call;
  return std::nullopt;
}

/// cvt.rna.tf32.f32: to ten bits of mantissa, ties away from zero.
Value *roundToTF32(IntrinsicInst &call) {
  IRBuilder<> builder(&call);
  Value *bits = builder.CreateBitCast(call.getArgOperand(0), builder.getInt32Ty());
  Value *isNaN = builder.CreateFCmpUNO(call.getArgOperand(0), call.getArgOperand(0));
  Value *rounded = builder.CreateAnd(builder.CreateAdd(bits, builder.getInt32(0x1000)),
                                     builder.getInt32(0xffffe000));
  return builder.CreateSelect(isNaN, builder.getInt32(0x7fffe000), rounded);
}

/// An instruction without operands that the emulator does by a call without any.
std::optional<size_t> plainServiceOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_cp_async_commit_group:
    return offsetof(lathe_emulated_thread, commit_copies);
  case Intrinsic::nvvm_wgmma_fence_sync_aligned:
    return offsetof(lathe_emulated_thread, fence_products);
  case Intrinsic::nvvm_wgmma_commit_group_sync_aligned:
    return offsetof(lathe_emulated_thread, commit_products);
  case Intrinsic::nvvm_fence_proxy_async_shared_cta:
    return offsetof(lathe_emulated_thread, fence_shared);
  default:
    return isBarrier(id) ? std::optional(offsetof(lathe_emulated_thread, barrier)) : std::nullopt;
  }
}

/// cp.async.bulk.tensor: how many dimensions.
unsigned copiedRank(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_1d:
    return 1;
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_2d:
    return 2;
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_3d:
    return 3;
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_4d:
    return 4;
  case Intrinsic::nvvm_cp_async_bulk_tensor_g2s_tile_5d:
    return 5;
  default:
    return 0;
  }
}

/// What is done with a barrier that has phases: where the service is, and its number of operands.
struct PhaseCall {
  size_t service;
  unsigned operands;
};

std::optional<PhaseCall> phaseCallOf(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::nvvm_mbarrier_init_shared:
    return PhaseCall{offsetof(lathe_emulated_thread, init_phases), 2};
  case Intrinsic::nvvm_fence_mbarrier_init_release_cluster:
    return PhaseCall{offsetof(lathe_emulated_thread, fence_phases), 0};
  case Intrinsic::nvvm_mbarrier_arrive_shared:
    return PhaseCall{offsetof(lathe_emulated_thread, arrive), 1};
  case Intrinsic::nvvm_mbarrier_arrive_expect_tx_scope_cta_space_cta:
    return PhaseCall{offsetof(lathe_emulated_thread, arrive), 2};
  case Intrinsic::nvvm_mbarrier_try_wait_parity_scope_cta_space_cta:
    return PhaseCall{offsetof(lathe_emulated_thread, wait_phase), 2};
  default:
    return std::nullopt;
  }
}

/// Whether the emulator does the work of an intrinsic, after which the thread may have to end.
bool isService(Intrinsic::ID id) {
  return plainServiceOf(id) || matrixCallOf(id) || copiedBytes(id) || matrixLoadOf(id).count ||
         copiedRank(id) || phaseCallOf(id) || id == Intrinsic::nvvm_cp_async_wait_group;
}

StringRef assemblyOf(const CallInst &call) {
  return cast<InlineAsm>(call.getCalledOperand())->getAsmString();
}

/// wgmma.mma_async: its columns, and lathe_product_flags. Of its operands the sums come first.
struct ProductCall {
  uint32_t columns, flags;
};

std::optional<ProductCall> productOf(const CallInst &call) {
  StringRef text = assemblyOf(call);
  size_t at = text.find("wgmma.mma_async.sync.aligned.m64n");
  if (at == StringRef::npos)
    return std::nullopt;
  text = text.drop_front(at + strlen("wgmma.mma_async.sync.aligned.m64n"));
  ProductCall product{};
  if (text.consumeInteger(10, product.columns) || !text.consume_front("k16.f32"))
    return std::nullopt;
  if (text.consume_front(".bf16.bf16 "))
    product.flags = LATHE_PRODUCT_BF16;
  else if (!text.consume_front(".f16.f16 "))
    return std::nullopt;
  // "{sums}, left, right, scale of the sums, of left, of right, transposed left, right;"
  SmallVector<StringRef> parts;
  text.split(';').first.rsplit('}').second.split(parts, ',');
  bool isInRegisters = text.count('{') > 1;
  if (parts.size() != (isInRegisters ? 6 : 8))
    return std::nullopt;
  if (isInRegisters)
    product.flags |= LATHE_PRODUCT_LEFT_REGISTERS;
  else if (parts[6].trim() == "1")
    product.flags |= LATHE_PRODUCT_LEFT_TRANSPOSED;
  if (parts.back().trim() == "1")
    product.flags |= LATHE_PRODUCT_RIGHT_TRANSPOSED;
  return product;
}

/// wgmma.wait_group: how many groups may still be under way.
std::optional<uint32_t> productWaitOf(const CallInst &call) {
  StringRef text = assemblyOf(call);
  uint32_t groups;
  if (!text.consume_front("wgmma.wait_group.sync.aligned ") || text.consumeInteger(10, groups))
    return std::nullopt;
  return groups;
}

Error replaceIntrinsics(Function &function, SmallVectorImpl<CallInst *> &services) {
  SmallVector<IntrinsicInst *> found;
  for (Instruction &inst : instructions(function)) {
    if (auto *intrinsic = dyn_cast<IntrinsicInst>(&inst))
      if (Intrinsic::isTargetIntrinsic(intrinsic->getIntrinsicID()))
        found.push_back(intrinsic);
    if (auto *call = dyn_cast<CallInst>(&inst); call && call->isInlineAsm()) {
      if (!productOf(*call) && !productWaitOf(*call))
        return createStringError(
            formatv("the emulator does not know the assembly '{0}'", assemblyOf(*call)).str());
      services.push_back(call);
    }
  }
  for (IntrinsicInst *intrinsic : found) {
    Intrinsic::ID id = intrinsic->getIntrinsicID();
    if (isService(id)) {
      services.push_back(intrinsic);
      continue;
    }
    if (id == Intrinsic::nvvm_f2tf32_rna) {
      intrinsic->replaceAllUsesWith(roundToTF32(*intrinsic));
      intrinsic->eraseFromParent();
      continue;
    }
    std::optional<size_t> field = fieldOf(id);
    if (!field)
      return createStringError(
          formatv("the emulator does not know '{0}'", intrinsic->getCalledFunction()->getName())
              .str());
    IRBuilder<> builder(intrinsic);
    intrinsic->replaceAllUsesWith(builder.CreateLoad(
        intrinsic->getType(), fieldAddress(builder, threadOf(function), *field)));
    intrinsic->eraseFromParent();
  }
  return Error::success();
}

/// The unit of a call, which for WMMA follows from how large the operand of a lane is.
uint32_t unitOf(const CallInst &call, const MatrixCall &matrix) {
  uint32_t unit = matrix.unit;
  if (matrix.hasSigns)
    for (auto [operand, flag] : {std::pair(0u, uint32_t(LATHE_MATRIX_LEFT_OTHER)),
                                 std::pair(2u, uint32_t(LATHE_MATRIX_RIGHT_OTHER))})
      if (cast<ConstantInt>(call.getArgOperand(operand))->isZero())
        unit |= flag;
  auto *type = dyn_cast<FixedVectorType>(call.getArgOperand(matrix.hasSigns ? 1 : 0)->getType());
  constexpr uint64_t gfx12Bits = 128, gfx12ByteBits = 64;
  bool isGfx12 = (unit & LATHE_MATRIX_UNITS) == LATHE_MATRIX_WMMA && type &&
                 type->getPrimitiveSizeInBits() == (matrix.hasSigns ? gfx12ByteBits : gfx12Bits);
  return isGfx12 ? unit - LATHE_MATRIX_WMMA + LATHE_MATRIX_WMMA_GFX12 : unit;
}

/// The address that an operand was before it was cast to an address of one kind of memory, which
/// are all the same for the host.
Value *genericAddress(IRBuilder<> &builder, const CallInst &call, unsigned operand) {
  Value *address = call.getArgOperand(operand);
  while (auto *cast = dyn_cast<AddrSpaceCastInst>(address))
    address = cast->getPointerOperand();
  return builder.CreateAddrSpaceCast(address, builder.getPtrTy());
}

/// The call of the emulator in place of `call`; its answer is 0 where the thread is to end.
Value *callService(Function &function, CallInst *call) {
  IRBuilder<> builder(call);
  Value *thread = threadOf(function);
  auto serve = [&](uint64_t offset, ArrayRef<Value *> arguments) {
    SmallVector<Value *> all{thread};
    all.append(arguments.begin(), arguments.end());
    SmallVector<Type *> types(map_range(all, [](Value *value) { return value->getType(); }));
    return builder.CreateCall(
        FunctionType::get(builder.getInt32Ty(), types, false),
        builder.CreateLoad(builder.getPtrTy(), fieldAddress(builder, thread, offset)), all);
  };
  auto slot = [&](Type *type) {
    IRBuilder<> entry(&*function.getEntryBlock().getFirstInsertionPt());
    return entry.CreateAlloca(type);
  };
  // Operands lie one behind the other in memory.
  unsigned next = 0;
  auto pass = [&](unsigned count) {
    SmallVector<Type *> types;
    for (unsigned i = 0; i < count; ++i)
      types.push_back(call->getArgOperand(next + i)->getType());
    auto *record = StructType::get(function.getContext(), types);
    Value *place = slot(record);
    for (unsigned i = 0; i < count; ++i)
      builder.CreateStore(call->getArgOperand(next + i), builder.CreateStructGEP(record, place, i));
    next += count;
    return place;
  };
  if (call->isInlineAsm()) {
    if (std::optional<uint32_t> groups = productWaitOf(*call)) {
      Value *sums = pass(call->arg_size());
      Value *answer = serve(offsetof(lathe_emulated_thread, wait_products),
                            {builder.getInt32(*groups), builder.getInt32(next), sums});
      if (next)
        call->replaceAllUsesWith(builder.CreateLoad(call->getType(), sums));
      return answer;
    }
    ProductCall product = *productOf(*call);
    Value *sums = pass(product.columns / 2), *result = slot(call->getType());
    Value *left = product.flags & LATHE_PRODUCT_LEFT_REGISTERS
                      ? builder.CreatePtrToInt(pass(4), builder.getInt64Ty())
                      : call->getArgOperand(next++);
    Value *answer = serve(offsetof(lathe_emulated_thread, multiply_shared),
                          {builder.getInt32(product.columns), builder.getInt32(product.flags), left,
                           call->getArgOperand(next), sums, result});
    call->replaceAllUsesWith(builder.CreateLoad(call->getType(), result));
    return answer;
  }
  Intrinsic::ID id = call->getIntrinsicID();
  if (std::optional<size_t> service = plainServiceOf(id))
    return serve(*service, {});
  if (id == Intrinsic::nvvm_cp_async_wait_group)
    return serve(offsetof(lathe_emulated_thread, wait_copies), {call->getArgOperand(0)});
  if (uint64_t bytes = copiedBytes(id)) {
    Value *all = builder.getInt32(bytes);
    return serve(offsetof(lathe_emulated_thread, copy),
                 {genericAddress(builder, *call, 0), genericAddress(builder, *call, 1), all,
                  call->arg_size() > 2 ? call->getArgOperand(2) : all});
  }
  if (MatrixLoad load = matrixLoadOf(id); load.count) {
    Value *result = slot(call->getType());
    Value *answer = serve(offsetof(lathe_emulated_thread, load_matrices),
                          {builder.getInt32(load.count), builder.getInt32(load.isTransposed),
                           genericAddress(builder, *call, 0), result});
    call->replaceAllUsesWith(builder.CreateLoad(call->getType(), result));
    return answer;
  }
  if (std::optional<PhaseCall> phase = phaseCallOf(id)) {
    SmallVector<Value *> operands;
    if (phase->operands)
      operands.push_back(genericAddress(builder, *call, 0));
    if (phase->operands > 1)
      operands.push_back(call->getArgOperand(1));
    else if (phase->service == offsetof(lathe_emulated_thread, arrive))
      operands.push_back(builder.getInt32(0));
    // A wait comes back when the phase is over.
    if (!call->getType()->isVoidTy())
      call->replaceAllUsesWith(Constant::getAllOnesValue(call->getType()));
    return serve(phase->service, operands);
  }
  if (unsigned rank = copiedRank(id)) {
    constexpr unsigned firstCoordinate = 3;
    auto *type = ArrayType::get(builder.getInt32Ty(), rank);
    Value *coordinates = slot(type);
    for (unsigned i = 0; i < rank; ++i)
      builder.CreateStore(call->getArgOperand(firstCoordinate + i),
                          builder.CreateConstInBoundsGEP2_32(type, coordinates, 0, i));
    return serve(offsetof(lathe_emulated_thread, copy_tensor),
                 {genericAddress(builder, *call, 0), call->getArgOperand(2),
                  genericAddress(builder, *call, 1), builder.getInt32(rank), coordinates});
  }
  std::optional<MatrixCall> matrix = matrixCallOf(id);
  auto passOperand = [&](unsigned count) {
    next += matrix->hasSigns;
    return pass(count);
  };
  Value *left = passOperand(matrix->left), *right = passOperand(matrix->right);
  Value *sums = pass(matrix->sums);
  Value *result = slot(call->getType());
  Value *answer = serve(offsetof(lathe_emulated_thread, multiply),
                        {builder.getInt32(unitOf(*call, *matrix)), left, right, sums, result});
  call->replaceAllUsesWith(builder.CreateLoad(call->getType(), result));
  return answer;
}

/// Has the emulator do what its services are. Comes last, as it splits blocks.
void replaceServices(Function &function, ArrayRef<CallInst *> calls, BasicBlock *leave) {
  for (CallInst *call : calls) {
    IRBuilder<> builder(call);
    Value *goesOn = builder.CreateIsNotNull(callService(function, call));
    BasicBlock *before = call->getParent();
    BasicBlock *after = before->splitBasicBlock(call);
    before->getTerminator()->eraseFromParent();
    builder.SetInsertPoint(before);
    builder.CreateCondBr(goesOn, after, leave);
    call->eraseFromParent();
  }
}

/// Puts what the threads of a block share behind each other, and returns how many bytes that is.
unsigned placeShared(Function &function, ArrayRef<GlobalVariable *> shared) {
  const DataLayout &layout = function.getParent()->getDataLayout();
  uint64_t end = 0;
  for (GlobalVariable *global : shared) {
    SmallVector<Instruction *> users;
    for (User *user : global->users())
      if (auto *inst = dyn_cast<Instruction>(user); inst && inst->getFunction() == &function)
        users.push_back(inst);
    if (users.empty())
      continue;
    end = alignTo(end, std::max(Align(16), global->getAlign().valueOrOne()));
    IRBuilder<> builder(&*function.getEntryBlock().getFirstInsertionPt());
    Value *base = builder.CreateLoad(
        builder.getPtrTy(),
        fieldAddress(builder, threadOf(function), offsetof(lathe_emulated_thread, shared)));
    Value *place = fieldAddress(builder, base, end);
    Value *there =
        nullptr; // the same in the space of the block, which what describes matrices takes
    for (Instruction *user : users) {
      if (auto *cast = dyn_cast<AddrSpaceCastInst>(user)) {
        cast->replaceAllUsesWith(place);
        cast->eraseFromParent();
        continue;
      }
      if (!there)
        there = builder.CreateAddrSpaceCast(place, global->getType());
      user->replaceUsesOfWith(global, there);
    }
    end += layout.getTypeAllocSize(global->getValueType());
  }
  return end;
}

/// What an address is based on; descriptors of memory are not optimized away yet.
const Value *findBase(const Value *address) {
  for (;;) {
    address = getUnderlyingObject(address);
    auto *field = dyn_cast<ExtractValueInst>(address);
    Value *inserted = field ? FindInsertedValue(const_cast<Value *>(field->getAggregateOperand()),
                                                field->getIndices())
                            : nullptr;
    if (!inserted)
      return address;
    address = inserted;
  }
}

/// A read or a write of memory.
struct Access {
  Instruction *inst;
  Value *address;
  Type *type;
  Align alignment;
  bool isWrite;

  /// As lathe_emulated_thread.check wants it; the body of a kernel has its parameters.
  uint32_t flags() const {
    auto *parameter = dyn_cast<Argument>(findBase(address));
    return isWrite | (parameter ? (parameter->getArgNo() + 1) << 8 : 0);
  }
};

std::optional<Access> accessOf(Instruction &inst) {
  if (auto *load = dyn_cast<LoadInst>(&inst))
    return Access{load, load->getPointerOperand(), load->getType(), load->getAlign(), false};
  if (auto *store = dyn_cast<StoreInst>(&inst))
    return Access{store, store->getPointerOperand(), store->getValueOperand()->getType(),
                  store->getAlign(), true};
  return std::nullopt;
}

/// Has every access checked before it happens. Each keeps the piece of memory in which it found its
/// last address, so that a loop asks once, but for memory that is watched.
void checkAccesses(Function &function, BasicBlock *leave) {
  const DataLayout &layout = function.getParent()->getDataLayout();
  Value *thread = threadOf(function);
  SmallVector<Access> accesses;
  for (Instruction &inst : instructions(function))
    if (std::optional<Access> access = accessOf(inst))
      // What the thread itself has, and constants, are not the device's memory.
      if (Value *object = getUnderlyingObject(access->address);
          object != thread && !isa<AllocaInst, GlobalVariable>(object))
        accesses.push_back(*access);
  for (const Access &access : accesses) {
    IRBuilder<> builder(&*function.getEntryBlock().getFirstInsertionPt());
    Type *pointer = builder.getPtrTy(), *word = builder.getInt64Ty();
    Value *range = builder.CreateAlloca(ArrayType::get(pointer, 2));
    Value *rangeEnd = builder.CreateConstInBoundsGEP1_64(pointer, range, 1);
    builder.CreateStore(ConstantPointerNull::get(builder.getPtrTy()), range);
    builder.CreateStore(ConstantPointerNull::get(builder.getPtrTy()), rangeEnd);
    uint64_t bytes = layout.getTypeStoreSize(access.type);
    builder.SetInsertPoint(access.inst);
    auto asNumber = [&](Value *value) { return builder.CreatePtrToInt(value, word); };
    Value *first = asNumber(access.address);
    Value *last = builder.CreateAdd(first, builder.getInt64(bytes));
    Value *isInside = builder.CreateAnd(
        builder.CreateICmpUGE(first, asNumber(builder.CreateLoad(pointer, range))),
        builder.CreateICmpULE(last, asNumber(builder.CreateLoad(pointer, rangeEnd))));
    Value *isAligned = builder.CreateIsNull(
        builder.CreateAnd(first, builder.getInt64(access.alignment.value() - 1)));
    auto field = [&](uint64_t offset) {
      return builder.CreateLoad(word, fieldAddress(builder, thread, offset));
    };
    Value *isPassed = builder.CreateICmpNE(
        builder.CreateAnd(first, field(offsetof(lathe_emulated_thread, watch_mask))),
        field(offsetof(lathe_emulated_thread, watched)));
    Instruction *ask = SplitBlockAndInsertIfThen(
        builder.CreateNot(builder.CreateAnd({isInside, isAligned, isPassed})),
        access.inst->getIterator(), /*Unreachable=*/false);
    builder.SetInsertPoint(ask);
    Value *check = builder.CreateLoad(
        pointer, fieldAddress(builder, thread, offsetof(lathe_emulated_thread, check)));
    Type *number = builder.getInt32Ty();
    auto *type =
        FunctionType::get(number, {pointer, pointer, word, number, number, pointer}, false);
    Value *answer = builder.CreateCall(type, check,
                                       {thread, access.address, builder.getInt64(bytes),
                                        builder.getInt32(access.alignment.value()),
                                        builder.getInt32(access.flags()), range});
    BasicBlock *rest = ask->getSuccessor(0);
    builder.CreateCondBr(builder.CreateIsNotNull(answer), rest, leave);
    ask->eraseFromParent();
  }
}

} // namespace

Error retargetToHost(Module &module, MutableArrayRef<DeviceKernel> kernels, StringRef symbol) {
  SmallVector<GlobalVariable *> shared;
  for (GlobalVariable &global : module.globals())
    if (global.getAddressSpace() != 0)
      shared.push_back(&global);
  SmallVector<Constant *> constants(shared.begin(), shared.end());
  convertUsersOfConstantsToInstructions(constants);
  LLVMContext &context = module.getContext();
  IRBuilder<> builder(context);
  Type *pointer = builder.getPtrTy();
  SmallVector<Constant *> table;
  for (DeviceKernel &kernel : kernels) {
    Function *oldEntry = module.getFunction(kernel.name);
    Function *oldBody = module.getFunction(kernel.name + ".item");
    Function *body = addThread(*oldBody), *entry = addThread(*oldEntry);
    // The entry's one call is that of the body.
    for (Instruction &inst : make_early_inc_range(instructions(*entry)))
      if (auto *call = dyn_cast<CallInst>(&inst); call && call->getCalledFunction() == oldBody) {
        SmallVector<Value *> arguments(call->args());
        arguments.push_back(threadOf(*entry));
        builder.SetInsertPoint(call);
        builder.CreateCall(body, arguments);
        call->eraseFromParent();
      }
    oldEntry->eraseFromParent();
    oldBody->eraseFromParent();
    SmallVector<CallInst *> services;
    for (Function *function : {entry, body})
      if (Error error = replaceIntrinsics(*function, services))
        return error;
    kernel.sharedBytes = placeShared(*body, shared);
    auto *leave = BasicBlock::Create(context, "fault", body);
    IRBuilder<>(leave).CreateRetVoid();
    checkAccesses(*body, leave);
    replaceServices(*body, services, leave);

    auto *caller =
        Function::Create(FunctionType::get(builder.getVoidTy(), {pointer, pointer}, false),
                         GlobalValue::InternalLinkage, kernel.name + ".emulated", module);
    builder.SetInsertPoint(BasicBlock::Create(context, "", caller));
    SmallVector<Value *> arguments;
    for (Argument &parameter : drop_end(entry->args()))
      arguments.push_back(builder.CreateLoad(
          parameter.getType(), fieldAddress(builder, caller->getArg(0), 8 * arguments.size())));
    arguments.push_back(caller->getArg(1));
    builder.CreateCall(entry, arguments);
    builder.CreateRetVoid();
    table.push_back(caller);
  }
  for (GlobalVariable *global : shared) {
    if (!global->use_empty())
      return createStringError(formatv("the emulator cannot place '{0}'", global->getName()).str());
    global->eraseFromParent();
  }
  auto *type = ArrayType::get(pointer, table.size());
  new GlobalVariable(module, type, /*isConstant=*/true, GlobalValue::ExternalLinkage,
                     ConstantArray::get(type, table), symbol);
  return Error::success();
}

} // namespace lathe::codegen
