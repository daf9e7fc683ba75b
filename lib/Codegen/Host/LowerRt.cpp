// The rt dialect in terms of the call ABI (lathe/ArtifactFormat.h).
// Apache-2.0 WITH LLVM-exception
#include "LowerRt.h"
#include "RtLowering.h"
#include "dialects/Graph/Weights.h"
#include "lib/Codegen/Device/Device.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

uint64_t WeightLayout::place(Attribute value) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(value, storage);
  uint64_t hash =
      llvm::xxh3_64bits(ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  auto [it, inserted] = byHash.try_emplace({hash, bytes.size()}, end);
  if (inserted) {
    order.push_back({end, value});
    // Vector loads of the last elements may reach past them.
    end = llvm::alignTo(end + bytes.size() + LATHE_ALIGNMENT, LATHE_ALIGNMENT);
  }
  return known[value] = it->second;
}

uint32_t SiteList::add(StringRef message) {
  auto [it, inserted] = known.try_emplace(message, list.size());
  if (inserted)
    list.push_back(message.str());
  return it->second;
}

Value RtLowering::at(Location loc, Value base, uint64_t offset) {
  if (offset == 0)
    return base;
  return LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), base,
                             ArrayRef<LLVM::GEPArg>{LLVM::GEPArg(int32_t(offset))});
}

Value RtLowering::load(Location loc, Type type, Value base, uint64_t offset) {
  return LLVM::LoadOp::create(builder, loc, type, at(loc, base, offset));
}

void RtLowering::store(Location loc, Value value, Value base, uint64_t offset) {
  LLVM::StoreOp::create(builder, loc, value, at(loc, base, offset));
}

Value RtLowering::toI64(Location loc, Value value) {
  if (value.getType().isIndex())
    return arith::IndexCastOp::create(builder, loc, i64, value);
  if (value.getType().getIntOrFloatBitWidth() < 64)
    return arith::ExtSIOp::create(builder, loc, i64, value);
  return value;
}

void RtLowering::returnIf(Location loc, Value failed, Value code) {
  Block *block = builder.getInsertionBlock();
  Block *rest = block->splitBlock(builder.getInsertionPoint());
  Block *exit = builder.createBlock(rest->getParent(), rest->getParent()->end());
  func::ReturnOp::create(builder, loc, code);
  builder.setInsertionPointToEnd(block);
  cf::CondBranchOp::create(builder, loc, failed, exit, rest);
  builder.setInsertionPointToStart(rest);
}

void RtLowering::returnIfFailed(Location loc, Value code) {
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 32);
  returnIf(loc, arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, code, zero), code);
}

Value RtLowering::callService(Location loc, Type result, uint64_t offset, Value call,
                              ArrayRef<Value> arguments) {
  Value services = load(loc, pointer, call, offsetof(lathe_call, services));
  SmallVector<Value> operands{load(loc, pointer, services, offset), call};
  llvm::append_range(operands, arguments);
  SmallVector<Type> types(ValueRange(operands).drop_front().getTypes());
  auto type = LLVM::LLVMFunctionType::get(result, types);
  return LLVM::CallOp::create(builder, loc, type, operands).getResult();
}

/// A function of the builtins.
LLVM::LLVMFuncOp RtLowering::getBuiltin(StringRef name, LLVM::LLVMFunctionType type) {
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return known;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  return LLVM::LLVMFuncOp::create(builder, module.getLoc(), name, type);
}

// Strings are a table of addresses and sizes, which the loader relocates, and their bytes. The
// table is an array of arrays, since LLVM builds a constant anew for each element that is set in
// it.
Value RtLowering::addressOfStrings(Location loc, DenseStringElementsAttr strings) {
  std::string &name = stringTables[strings];
  if (name.empty()) {
    name = "lathe_strings_" + std::to_string(stringTables.size());
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    constexpr uint64_t chunk = 256;
    auto list = strings.getRawStringData();
    uint64_t count = strings.isSplat() ? strings.getNumElements() : list.size();
    auto textOf = [&](uint64_t i) { return strings.isSplat() ? list.front() : list[i]; };
    std::string bytes;
    for (StringRef text : list)
      bytes += text;
    bytes += '\0';
    auto bytesType = LLVM::LLVMArrayType::get(builder.getI8Type(), bytes.size());
    auto data =
        LLVM::GlobalOp::create(builder, loc, bytesType, /*isConstant=*/true, LLVM::Linkage::Private,
                               name + "_bytes", builder.getStringAttr(bytes));
    auto entryType = LLVM::LLVMStructType::getLiteral(module.getContext(), {pointer, i64});
    uint64_t chunks = std::max<uint64_t>(1, llvm::divideCeil(count, chunk));
    auto tableType = LLVM::LLVMArrayType::get(LLVM::LLVMArrayType::get(entryType, chunk), chunks);
    auto table =
        LLVM::GlobalOp::create(builder, loc, tableType, /*isConstant=*/true, LLVM::Linkage::Private,
                               name, Attribute(), /*alignment=*/16);
    Block *body = builder.createBlock(&table.getInitializerRegion());
    builder.setInsertionPointToStart(body);
    Value base = LLVM::AddressOfOp::create(builder, loc, data);
    Value value = LLVM::ZeroOp::create(builder, loc, tableType);
    uint64_t offset = 0;
    for (uint64_t i = 0; i < count; ++i) {
      StringRef text = textOf(i);
      auto place = [&](int64_t field) {
        return SmallVector<int64_t>{int64_t(i / chunk), int64_t(i % chunk), field};
      };
      value = LLVM::InsertValueOp::create(builder, loc, value, at(loc, base, offset), place(0));
      Value size =
          LLVM::ConstantOp::create(builder, loc, i64, builder.getI64IntegerAttr(text.size()));
      value = LLVM::InsertValueOp::create(builder, loc, value, size, place(1));
      if (!strings.isSplat())
        offset += text.size();
    }
    LLVM::ReturnOp::create(builder, loc, value);
  }
  return LLVM::AddressOfOp::create(builder, loc, pointer, name);
}

// A null pointer ends the run; the builder is before `op` then.
void RtLowering::checkMemory(Operation *op, Value memory, Value bytes) {
  Location loc = op->getLoc();
  Value null = LLVM::ZeroOp::create(builder, loc, pointer);
  Value given = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, memory, null);
  builder.setInsertionPoint(op);
  lower(rt::CheckOp::create(builder, loc, given, LATHE_CODE_MEMORY,
                            bytes ? "no memory for %0 bytes" : "no memory for an output",
                            bytes ? ValueRange{bytes} : ValueRange{}));
  builder.setInsertionPoint(op);
}

void RtLowering::lowerAllocation(Operation *op, Value memory, Value bytes) {
  op->getResult(0).replaceAllUsesWith(memory);
  checkMemory(op, memory, bytes);
  op->erase();
}

Value RtLowering::reserve(Location loc, StringRef builtin, Value call, Value slot, Value bytes,
                          Value keep) {
  auto type = LLVM::LLVMFunctionType::get(pointer, {pointer, pointer, i64, i64});
  return LLVM::CallOp::create(builder, loc, getBuiltin(builtin, type),
                              ValueRange{call, slot, toI64(loc, bytes), toI64(loc, keep)})
      .getResult();
}

LogicalResult RtLowering::lower(Operation *op) {
  Location loc = op->getLoc();
  builder.setInsertionPoint(op);
  auto replace = [&](Value value) {
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
    return success();
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](rt::DimOp dim) {
        Value inputs = load(loc, pointer, dim.getCall(), offsetof(lathe_call, inputs));
        Value size = load(loc, i64, inputs,
                          dim.getInput() * sizeof(lathe_value) + offsetof(lathe_value, dims) +
                              8 * dim.getDim());
        return replace(arith::IndexCastOp::create(builder, loc, builder.getIndexType(), size));
      })
      .Case([&](rt::InputOp input) {
        Value inputs = load(loc, pointer, input.getCall(), offsetof(lathe_call, inputs));
        return replace(load(loc, pointer, inputs,
                            input.getIndex() * sizeof(lathe_value) + offsetof(lathe_value, data)));
      })
      .Case([&](rt::InputValueOp input) {
        Value inputs = load(loc, pointer, input.getCall(), offsetof(lathe_call, inputs));
        return replace(at(loc, inputs, input.getIndex() * sizeof(lathe_value)));
      })
      .Case([&](rt::OutputValueOp output) {
        auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()),
                                                {pointer, i64, pointer});
        LLVM::CallOp::create(
            builder, loc, getBuiltin("rt_output_value", type),
            ValueRange{output.getCall(), constant(loc, output.getIndex()), output.getValue()});
        op->erase();
        return success();
      })
      .Case([&](rt::OutputOp output) {
        Value outputs = load(loc, pointer, output.getCall(), offsetof(lathe_call, outputs));
        return replace(load(loc, pointer, outputs,
                            output.getIndex() * sizeof(lathe_value) + offsetof(lathe_value, data)));
      })
      .Case([&](rt::WeightAddressOp weight) {
        if (auto strings = dyn_cast<DenseStringElementsAttr>(weight.getValue()))
          return replace(addressOfStrings(loc, strings));
        Value base = load(loc, pointer, weight.getCall(), offsetof(lathe_call, weights));
        Value offset = constant(loc, weights.place(weight.getValue()));
        return replace(LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), base,
                                           ArrayRef<LLVM::GEPArg>{offset}));
      })
      .Case([&](rt::ArenaOp arena) {
        Value base = load(loc, pointer, arena.getCall(), offsetof(lathe_call, arena));
        return replace(LLVM::GEPOp::create(builder, loc, pointer, builder.getI8Type(), base,
                                           ArrayRef<LLVM::GEPArg>{toI64(loc, arena.getOffset())}));
      })
      .Case([&](rt::AllocateOp allocate) {
        uint64_t service = allocate.getDevice() ? offsetof(lathe_services, allocate_device)
                                                : offsetof(lathe_services, allocate);
        Value memory = callService(loc, pointer, service, allocate.getCall(),
                                   {toI64(loc, allocate.getBytes())});
        lowerAllocation(op, memory, allocate.getBytes());
        return success();
      })
      .Case([&](rt::ReserveOp op) {
        StringRef builtin = op.getDevice() ? "rt_reserve_on_device" : "rt_reserve";
        Value memory =
            reserve(loc, builtin, op.getCall(), op.getSlot(), op.getBytes(), op.getKeep());
        lowerAllocation(op, memory, op.getBytes());
        return success();
      })
      .Case([&](rt::SlotOp slot) { return replace(makeSlot(slot)); })
      .Case([&](rt::PollOp op) {
        auto type = LLVM::LLVMFunctionType::get(i32, {pointer});
        returnIfFailed(loc,
                       LLVM::CallOp::create(builder, loc, getBuiltin("rt_poll", type), op.getCall())
                           .getResult());
        op.erase();
        return success();
      })
      .Case<rt::FetchOp, rt::PutOp>([&](auto copy) {
        lower(copy);
        return success();
      })
      .Case([&](rt::AllocateOutputOp allocate) {
        auto host = op->getParentOfType<func::FuncOp>();
        Value dims;
        {
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToStart(&host.getBody().front());
          dims = LLVM::AllocaOp::create(
              builder, loc, pointer, i64,
              constant(loc, std::max<size_t>(1, allocate.getDims().size())), 8);
        }
        for (auto [i, dim] : llvm::enumerate(allocate.getDims()))
          store(loc, toI64(loc, dim), dims, 8 * i);
        Value index = arith::ConstantIntOp::create(builder, loc, allocate.getIndex(), 32);
        Value rank = arith::ConstantIntOp::create(builder, loc, allocate.getDims().size(), 32);
        lowerAllocation(op, callService(loc, pointer, offsetof(lathe_services, allocate_output),
                                        allocate.getCall(), {index, rank, dims}));
        return success();
      })
      .Case([&](rt::PlanOutputOp plan) {
        Value outputs = load(loc, pointer, plan.getCall(), offsetof(lathe_call, outputs));
        Value output = at(loc, outputs, plan.getIndex() * sizeof(lathe_value));
        store(loc, arith::ConstantIntOp::create(builder, loc, plan.getDims().size(), 32), output,
              offsetof(lathe_value, rank));
        for (auto [i, dim] : llvm::enumerate(plan.getDims())) {
          bool unknown = llvm::is_contained(plan.getUnknown(), int64_t(i));
          store(loc, unknown ? constant(loc, LATHE_DYNAMIC) : toI64(loc, dim), output,
                offsetof(lathe_value, dims) + 8 * i);
        }
        op->erase();
        return success();
      })
      .Case([&](rt::PlanArenaOp plan) {
        store(loc, toI64(loc, plan.getBytes()), plan.getPlan(), offsetof(lathe_plan, arena_bytes));
        op->erase();
        return success();
      })
      .Case<rt::CheckOp, rt::DispatchOp, rt::InvokeOp>([&](auto typed) {
        lower(typed);
        return success();
      })
      .Case([&](rt::ThreadOp thread) {
        auto type = LLVM::LLVMFunctionType::get(i64, {});
        Value number =
            LLVM::CallOp::create(builder, loc, getBuiltin(threadFunction, type), ValueRange{})
                .getResult();
        return replace(arith::IndexCastOp::create(builder, loc, builder.getIndexType(), number));
      })
      .Case([&](rt::FailedOp failed) {
        // Threads note faults meanwhile.
        Value code = LLVM::LoadOp::create(
            builder, loc, i32, at(loc, failed.getFaults(), offsetof(lathe_error, code)),
            /*alignment=*/4, /*isVolatile=*/false, /*isNonTemporal=*/false,
            /*isInvariant=*/false, /*isInvariantGroup=*/false, LLVM::AtomicOrdering::monotonic);
        Value none = arith::ConstantIntOp::create(builder, loc, 0, 32);
        return replace(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, code, none));
      })
      .Case([&](rt::BarrierOp) {
        auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {});
        LLVM::LLVMFuncOp function = getBuiltin(barrierFunction, type);
        function.setConvergent(true);
        LLVM::CallOp::create(builder, loc, function, ValueRange{}).setConvergent(true);
        op->erase();
        return success();
      })
      .Case([&](rt::CommitCopiesOp) {
        auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {});
        LLVM::CallOp::create(builder, loc, getBuiltin(commitFunction, type), ValueRange{});
        op->erase();
        return success();
      })
      .Case([&](rt::WaitCopiesOp wait) {
        auto type =
            LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {i32});
        Value groups = LLVM::ConstantOp::create(builder, loc, wait.getGroupsAttr());
        LLVM::CallOp::create(builder, loc, getBuiltin(waitFunction, type), groups);
        op->erase();
        return success();
      })
      // Patterns of their own, as those of memref.
      .Case<rt::ViewOp, rt::SharedOp, rt::MultiplyMatricesOp, rt::CopyAsyncOp, rt::LoadMatricesOp,
            rt::DescribeMatrixOp, rt::MultiplySharedOp, rt::FenceProductsOp, rt::FenceSharedOp,
            rt::CommitProductsOp, rt::WaitProductsOp, rt::InitPhasesOp, rt::FencePhasesOp,
            rt::ArriveOp, rt::WaitPhaseOp, rt::CopyTensorOp>([&](auto) { return success(); })
      .Default([&](Operation *other) {
        return other->emitError("'") << other->getName() << "' has no lowering";
      });
}

/// Every split of a block moves all that follows: the blocks of programs with very many dispatches
/// are cut into pieces first, from the end.
static void cutLongBlocks(func::FuncOp function) {
  constexpr size_t longest = 4096, piece = 1024;
  for (Block &block : llvm::make_early_inc_range(function.getBody())) {
    SmallVector<Operation *> cuts;
    size_t count = 0;
    for (Operation &op : block)
      if (++count % piece == 0)
        cuts.push_back(&op);
    if (count <= longest)
      continue;
    for (Operation *cut : llvm::reverse(cuts)) {
      Block *rest = block.splitBlock(cut);
      OpBuilder builder = OpBuilder::atBlockEnd(&block);
      cf::BranchOp::create(builder, cut->getLoc(), rest);
    }
  }
}

LogicalResult RtLowering::run() {
  SmallVector<Operation *> ops;
  module.walk([&](Operation *op) {
    if (isa<rt::RtDialect>(op->getDialect()))
      ops.push_back(op);
  });
  llvm::SetVector<func::FuncOp> hosts;
  for (Operation *op : ops)
    if (isa<rt::DispatchOp>(op))
      hosts.insert(op->getParentOfType<func::FuncOp>());
  for (func::FuncOp host : hosts)
    cutLongBlocks(host);
  // Arrays are sized by all dispatches of a function, so they come before the first is gone.
  for (Operation *op : ops)
    if (auto dispatch = dyn_cast<rt::DispatchOp>(op); dispatch && !dispatch.getSerial())
      argumentArray(op->getParentOfType<func::FuncOp>(), 0);
  bool allocates = llvm::any_of(
      ops, [](Operation *op) { return isa<rt::AllocateOp, rt::ReserveOp, rt::InvokeOp>(op); });
  if (auto plan = module.lookupSymbol<func::FuncOp>("plan"); plan && allocates) {
    builder.setInsertionPointToStart(&plan.getBody().front());
    store(plan.getLoc(),
          arith::ConstantIntOp::create(builder, plan.getLoc(), LATHE_CALL_ALLOCATES, 32),
          plan.getArgument(0), offsetof(lathe_call, flags));
  }
  for (Operation *op : ops)
    if (failed(lower(op)))
      return failure();
  return success();
}

LogicalResult lathe::codegen::lowerRt(ModuleOp module, WeightLayout &weights, SiteList &sites) {
  return RtLowering(module, weights, sites).run();
}
