// Dispatches of kernels, calls of builtins, and the failures that either may report.
// Apache-2.0 WITH LLVM-exception
#include "RtLowering.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

// Where failures are noted: kernels on a device are given that, and no call.
Value RtLowering::errorOf(Location loc, Value call) {
  return isForDevice ? call : load(loc, pointer, call, offsetof(lathe_call, error));
}

// void lathe_fail(error, site, code, six arguments): the first failure of a run is recorded.
LLVM::LLVMFuncOp RtLowering::getFail() {
  if (fail)
    return fail;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  Location loc = module.getLoc();
  SmallVector<Type> types{pointer, i32, i32};
  types.append(LATHE_ERROR_ARGS, i64);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), types);
  fail = LLVM::LLVMFuncOp::create(builder, loc, "lathe_fail", type, LLVM::Linkage::Internal);
  fail.setPassthroughAttr(builder.getStrArrayAttr({"noinline", "cold"}));
  Block *entry = fail.addEntryBlock(builder);
  Block *write = builder.createBlock(&fail.getBody());
  Block *exit = builder.createBlock(&fail.getBody());
  builder.setInsertionPointToStart(entry);
  Value error = entry->getArgument(0);
  Value code = at(loc, error, offsetof(lathe_error, code));
  Value none = arith::ConstantIntOp::create(builder, loc, 0, 32);
  Value result =
      LLVM::AtomicCmpXchgOp::create(builder, loc, code, none, entry->getArgument(2),
                                    LLVM::AtomicOrdering::acq_rel, LLVM::AtomicOrdering::acquire);
  Value won = LLVM::ExtractValueOp::create(builder, loc, result, ArrayRef<int64_t>{1});
  LLVM::CondBrOp::create(builder, loc, won, write, exit);
  builder.setInsertionPointToStart(write);
  store(loc, entry->getArgument(1), error, offsetof(lathe_error, site));
  for (unsigned i = 0; i < LATHE_ERROR_ARGS; ++i)
    store(loc, entry->getArgument(3 + i), error, offsetof(lathe_error, args) + 8 * i);
  LLVM::BrOp::create(builder, loc, exit);
  builder.setInsertionPointToStart(exit);
  LLVM::ReturnOp::create(builder, loc, ValueRange{});
  return fail;
}

void RtLowering::lower(rt::CheckOp op) {
  Location loc = op.getLoc();
  auto function = op->getParentOfType<func::FuncOp>();
  LLVM::LLVMFuncOp failFunction = getFail();
  std::string message = op.getMessage().str();
  if (!function.isPrivate())
    if (std::string node = rt::describeNode(loc); !node.empty())
      message = node + ": " + message;
  Value call = function.getArgument(0);
  Block *block = op->getBlock();
  Block *rest = block->splitBlock(op);
  Block *failed = builder.createBlock(rest);
  SmallVector<Value> arguments{errorOf(loc, call),
                               arith::ConstantIntOp::create(builder, loc, sites.add(message), 32),
                               arith::ConstantIntOp::create(builder, loc, op.getCode(), 32)};
  for (unsigned i = 0; i < LATHE_ERROR_ARGS; ++i)
    arguments.push_back(i < op.getArgs().size() ? toI64(loc, op.getArgs()[i]) : constant(loc, 0));
  LLVM::CallOp::create(builder, loc, failFunction, arguments);
  // The host program stops here; a kernel goes on, since others may run beside it.
  if (function.isPrivate())
    cf::BranchOp::create(builder, loc, rest);
  else
    func::ReturnOp::create(
        builder, loc, arith::ConstantIntOp::create(builder, loc, op.getCode(), 32).getResult());
  builder.setInsertionPointToEnd(block);
  cf::CondBranchOp::create(builder, loc, op.getCondition(), rest, failed);
  op.erase();
}

// The form in which the runtime calls a kernel: (const uint64_t *args, begin, end).
LLVM::LLVMFuncOp RtLowering::getBodyOf(func::FuncOp kernel) {
  LLVM::LLVMFuncOp &body = bodies[kernel];
  if (body)
    return body;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfter(kernel);
  Location loc = kernel.getLoc();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()),
                                          {pointer, i64, i64});
  body = LLVM::LLVMFuncOp::create(builder, loc, (kernel.getName() + "_body").str(), type,
                                  LLVM::Linkage::Internal);
  Block *entry = body.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  SmallVector<Value> arguments;
  for (auto [i, type] : llvm::enumerate(kernel.getArgumentTypes().drop_back(2))) {
    if (isa<LLVM::LLVMPointerType>(type)) {
      arguments.push_back(load(loc, pointer, entry->getArgument(0), 8 * i));
      continue;
    }
    Value number = load(loc, i64, entry->getArgument(0), 8 * i);
    arguments.push_back(arith::IndexCastOp::create(builder, loc, type, number));
  }
  for (unsigned i : {1, 2})
    arguments.push_back(
        arith::IndexCastOp::create(builder, loc, builder.getIndexType(), entry->getArgument(i)));
  func::CallOp::create(builder, loc, kernel, arguments);
  LLVM::ReturnOp::create(builder, loc, ValueRange{});
  return body;
}

Value RtLowering::argumentArray(func::FuncOp host, unsigned count) {
  auto &[array, length] = arrays[host];
  if (!array) {
    host.walk([&, &length = length](rt::DispatchOp op) {
      // The call, and for a launch the count, and as many extents.
      unsigned parameters = 2 + op.getBuffers().size() + op.getSizes().size();
      length = std::max(length, op->hasAttr(launchAttr) ? 2 * parameters : parameters);
    });
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&host.getBody().front());
    array = LLVM::AllocaOp::create(builder, host.getLoc(), pointer, i64,
                                   constant(host.getLoc(), length), 8);
  }
  return array;
}

// int32_t lathe_attend(call, kernel, flops, bytes): asks the runtime what the flag is about.
LLVM::LLVMFuncOp RtLowering::getAttend() {
  if (attendFunction)
    return attendFunction;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  Location loc = module.getLoc();
  auto type = LLVM::LLVMFunctionType::get(i32, {pointer, pointer, i64, i64});
  attendFunction =
      LLVM::LLVMFuncOp::create(builder, loc, "lathe_attend", type, LLVM::Linkage::Internal);
  attendFunction.setPassthroughAttr(builder.getStrArrayAttr({"noinline", "cold"}));
  Block *entry = attendFunction.addEntryBlock(builder);
  Block *ask = builder.createBlock(&attendFunction.getBody());
  Block *stop = builder.createBlock(&attendFunction.getBody());
  builder.setInsertionPointToStart(entry);
  Value services = load(loc, pointer, entry->getArgument(0), offsetof(lathe_call, services));
  Value service = load(loc, pointer, services, offsetof(lathe_services, attend));
  Value null = LLVM::ZeroOp::create(builder, loc, pointer);
  Value given = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, service, null);
  LLVM::CondBrOp::create(builder, loc, given, ask, stop);
  builder.setInsertionPointToStart(ask);
  SmallVector<Value> arguments{service};
  llvm::append_range(arguments, entry->getArguments());
  auto answer = LLVM::CallOp::create(builder, loc, type, arguments);
  LLVM::ReturnOp::create(builder, loc, answer.getResult());
  builder.setInsertionPointToStart(stop);
  Value cancelled =
      LLVM::ConstantOp::create(builder, loc, i32, builder.getI32IntegerAttr(LATHE_CODE_CANCELLED));
  LLVM::ReturnOp::create(builder, loc, cancelled);
  return attendFunction;
}

// The name of a kernel as a string of the object.
Value RtLowering::nameOf(Location loc, StringRef kernel) {
  std::string symbol = ("name_" + kernel).str();
  if (!module.lookupSymbol(symbol)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    std::string text = (kernel + Twine('\0')).str();
    LLVM::GlobalOp::create(
        builder, module.getLoc(), LLVM::LLVMArrayType::get(builder.getI8Type(), text.size()),
        /*isConstant=*/true, LLVM::Linkage::Private, symbol, builder.getStringAttr(text));
  }
  return LLVM::AddressOfOp::create(builder, loc, pointer, symbol);
}

// Between dispatches: has the caller cancelled the run, or does a tracer want to know?
void RtLowering::attend(rt::DispatchOp op, Value zero) {
  Location loc = op.getLoc();
  Value call = op.getCall();
  Value cancel = load(loc, pointer, call, offsetof(lathe_call, cancel));
  Value flag = LLVM::LoadOp::create(builder, loc, i32, cancel, 4, /*isVolatile=*/true);
  Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, flag, zero);
  Block *block = builder.getInsertionBlock();
  Block *rest = block->splitBlock(op);
  Block *ask = builder.createBlock(rest->getParent(), rest->getParent()->end());
  Block *stop = builder.createBlock(rest->getParent(), rest->getParent()->end());
  builder.setInsertionPointToEnd(block);
  cf::CondBranchOp::create(builder, loc, any, ask, rest);
  builder.setInsertionPointToStart(ask);
  auto counted = [&](StringRef name, unsigned index) {
    if (!op.getWork().empty())
      return toI64(loc, op.getWork()[index]);
    auto attribute = op->getAttrOfType<IntegerAttr>(name);
    return constant(loc, attribute ? attribute.getInt() : 0);
  };
  Value code = LLVM::CallOp::create(builder, loc, getAttend(),
                                    ValueRange{call, nameOf(loc, op.getKernel()),
                                               counted("flops", 0), counted("bytes", 1)})
                   .getResult();
  Value stopped = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, code, zero);
  cf::CondBranchOp::create(builder, loc, stopped, stop, rest);
  builder.setInsertionPointToStart(stop);
  func::ReturnOp::create(builder, loc, code);
  builder.setInsertionPointToStart(rest);
}

void RtLowering::lower(rt::DispatchOp op) {
  Location loc = op.getLoc();
  auto host = op->getParentOfType<func::FuncOp>();
  Value call = op.getCall();
  auto kernel = module.lookupSymbol<func::FuncOp>(op.getKernel());
  builder.setInsertionPoint(op);

  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 32);
  attend(op, zero);

  auto launch = op->getAttrOfType<IntegerAttr>(launchAttr);
  if (launch) {
    Value array = argumentArray(host, 0);
    unsigned count = 1; // the runtime sets the first
    auto add = [&](Value argument) { store(loc, argument, array, 8 * count++); };
    for (Value buffer : op.getBuffers())
      add(buffer);
    for (Value size : op.getSizes())
      add(toI64(loc, size));
    Value items = toI64(loc, op.getCount());
    add(items);
    unsigned parameters = count++; // the first, too, has an extent, which the runtime knows
    for (Value extent : op.getExtents())
      add(toI64(loc, extent));
    while (count < 2 * parameters)
      add(constant(loc, 0));
    auto number = [&](uint64_t value) {
      return arith::ConstantIntOp::create(builder, loc, value, 32).getResult();
    };
    returnIfFailed(loc, callService(loc, i32, offsetof(lathe_services, launch), call,
                                    {number(launch.getInt()), array, number(parameters), items}));
  } else if (op.getSerial()) {
    SmallVector<Value> arguments{call};
    llvm::append_range(arguments, op.getBuffers());
    llvm::append_range(arguments, op.getSizes());
    arguments.push_back(arith::ConstantIndexOp::create(builder, loc, 0));
    arguments.push_back(op.getCount());
    func::CallOp::create(builder, loc, kernel, arguments);
  } else {
    Value array = argumentArray(host, 0);
    store(loc, call, array, 0);
    uint64_t offset = 8;
    for (Value buffer : op.getBuffers()) {
      store(loc, buffer, array, offset);
      offset += 8;
    }
    for (Value size : op.getSizes()) {
      store(loc, toI64(loc, size), array, offset);
      offset += 8;
    }
    LLVM::LLVMFuncOp body = getBodyOf(kernel);
    Value function = LLVM::AddressOfOp::create(builder, loc, pointer, body.getName());
    Value services = load(loc, pointer, call, offsetof(lathe_call, services));
    Value parallel = load(loc, pointer, services, offsetof(lathe_services, parallel));
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()),
                                            {pointer, pointer, pointer, i64, i64});
    Value grain = op.getPiece() ? toI64(loc, op.getPiece()) : constant(loc, op.getGrain());
    LLVM::CallOp::create(
        builder, loc, type,
        ValueRange{parallel, call, function, array, toI64(loc, op.getCount()), grain});
  }
  // What a kernel on a device finds is known when the host waits.
  if (op.getChecked() && !launch) {
    Value found = load(loc, i32, errorOf(loc, call), offsetof(lathe_error, code));
    Value failed = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, found, zero);
    returnIf(loc, failed, found);
  }
  op.erase();
}

// Memory of the host function's frame.
Value RtLowering::stackArray(Operation *user, uint64_t bytes) {
  auto host = user->getParentOfType<func::FuncOp>();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&host.getBody().front());
  return LLVM::AllocaOp::create(builder, host.getLoc(), pointer, builder.getI8Type(),
                                constant(host.getLoc(), std::max<uint64_t>(bytes, 1)), 8);
}

Value RtLowering::makeSlot(Operation *user) {
  constexpr uint64_t slotBytes = 16; // an address and a size
  Value slot = stackArray(user, slotBytes);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(slot);
  for (uint64_t byte : {0, 8})
    store(user->getLoc(), constant(user->getLoc(), 0), slot, byte);
  return slot;
}

void RtLowering::copy(Location loc, Value call, Value to, Value from, Value bytes,
                      uint32_t direction) {
  returnIfFailed(loc, callService(loc, i32, offsetof(lathe_services, copy), call,
                                  {to, from, toI64(loc, bytes),
                                   arith::ConstantIntOp::create(builder, loc, direction, 32)}));
}

void RtLowering::lower(rt::FetchOp op) {
  constexpr int64_t mostOnStack = 256;
  Location loc = op.getLoc();
  builder.setInsertionPoint(op);
  std::optional<int64_t> bytes = getConstantIntValue(op.getBytes());
  Value memory;
  if (bytes && *bytes <= mostOnStack) {
    memory = stackArray(op, *bytes);
  } else {
    memory =
        reserve(loc, "rt_reserve", op.getCall(), makeSlot(op), op.getBytes(), constant(loc, 0));
    checkMemory(op, memory, op.getBytes());
  }
  copy(loc, op.getCall(), memory, op.getFrom(), op.getBytes(), LATHE_COPY_TO_HOST);
  op.getResult().replaceAllUsesWith(memory);
  op.erase();
}

void RtLowering::lower(rt::PutOp op) {
  builder.setInsertionPoint(op);
  copy(op.getLoc(), op.getCall(), op.getTo(), op.getFrom(), op.getBytes(), LATHE_COPY_TO_DEVICE);
  op.erase();
}

// int32_t callee(lathe_call *, const lathe_value *inputs, lathe_value *results, const int64_t *)
void RtLowering::lower(rt::InvokeOp op) {
  Location loc = op.getLoc();
  builder.setInsertionPoint(op);
  Value inputs = stackArray(op, op.getRanks().size() * sizeof(lathe_value));
  Value results = stackArray(op, op.getResultRanks().size() * sizeof(lathe_value));
  Value parameters = stackArray(op, op.getParameters().size() * sizeof(int64_t));
  auto setRank = [&](Value value, int64_t rank) {
    store(loc, arith::ConstantIntOp::create(builder, loc, rank, 32), value,
          offsetof(lathe_value, rank));
  };
  auto size = op.getSizes().begin();
  for (auto [i, rank] : llvm::enumerate(op.getRanks())) {
    Value value = at(loc, inputs, i * sizeof(lathe_value));
    setRank(value, rank);
    store(loc, op.getBuffers()[i], value, offsetof(lathe_value, data));
    for (int64_t dim = 0; dim < rank; ++dim)
      store(loc, toI64(loc, *size++), value, offsetof(lathe_value, dims) + 8 * dim);
  }
  for (auto [i, rank] : llvm::enumerate(op.getResultRanks()))
    setRank(at(loc, results, i * sizeof(lathe_value)), rank);
  for (auto [i, parameter] : llvm::enumerate(op.getParameters()))
    store(loc, constant(loc, parameter), parameters, 8 * i);

  auto type = LLVM::LLVMFunctionType::get(i32, {pointer, pointer, pointer, pointer});
  if (!module.lookupSymbol(op.getCallee())) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    LLVM::LLVMFuncOp::create(builder, loc, op.getCallee(), type);
  }
  auto called = LLVM::CallOp::create(builder, loc, TypeRange{i32}, op.getCallee(),
                                     ValueRange{op.getCall(), inputs, results, parameters});
  // What the builtin returns says what went wrong; the site says where.
  std::string message = op.getMessage().str();
  if (std::string node = rt::describeNode(loc); !node.empty())
    message = node + ": " + message;
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 32);
  Value bad =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, called.getResult(), zero);
  Block *block = builder.getInsertionBlock();
  Block *rest = block->splitBlock(builder.getInsertionPoint());
  Block *exit = builder.createBlock(rest);
  // Refused memory is no fault of what the message is about.
  std::string noMemory = "no memory for a result";
  if (std::string node = rt::describeNode(loc); !node.empty())
    noMemory = node + ": " + noMemory;
  Value isMemory =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, called.getResult(),
                            arith::ConstantIntOp::create(builder, loc, LATHE_CODE_MEMORY, 32));
  Value site = arith::SelectOp::create(
      builder, loc, isMemory, arith::ConstantIntOp::create(builder, loc, sites.add(noMemory), 32),
      arith::ConstantIntOp::create(builder, loc, sites.add(message), 32));
  SmallVector<Value> arguments{errorOf(loc, op.getCall()), site, called.getResult()};
  // The numbers of a message stand where the sizes of the first result would.
  for (unsigned i = 0; i < LATHE_ERROR_ARGS; ++i)
    arguments.push_back(StringRef(message).contains("%" + std::to_string(i))
                            ? load(loc, i64, results, offsetof(lathe_value, dims) + 8 * i)
                            : constant(loc, 0));
  LLVM::CallOp::create(builder, loc, getFail(), arguments);
  func::ReturnOp::create(builder, loc, called.getResult());
  builder.setInsertionPointToEnd(block);
  cf::CondBranchOp::create(builder, loc, bad, exit, rest);
  builder.setInsertionPointToStart(rest);
  auto made = op.getResultSizes().begin();
  for (auto [i, rank] : llvm::enumerate(op.getResultRanks())) {
    Value value = at(loc, results, i * sizeof(lathe_value));
    op.getResults()[i].replaceAllUsesWith(load(loc, pointer, value, offsetof(lathe_value, data)));
    for (int64_t dim = 0; dim < rank; ++dim) {
      Value dims = load(loc, i64, value, offsetof(lathe_value, dims) + 8 * dim);
      (*made++).replaceAllUsesWith(
          arith::IndexCastOp::create(builder, loc, builder.getIndexType(), dims));
    }
  }
  op->erase();
}
