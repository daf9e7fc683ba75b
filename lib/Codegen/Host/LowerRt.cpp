// The rt dialect in terms of the call ABI (lathe/ArtifactFormat.h).
// Apache-2.0 WITH LLVM-exception
#include "LowerRt.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/xxhash.h"
#include <cstddef>

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

namespace {
class RtLowering {
public:
  RtLowering(ModuleOp module, WeightLayout &weights, SiteList &sites)
      : module(module), weights(weights), sites(sites), builder(module.getContext()),
        pointer(LLVM::LLVMPointerType::get(module.getContext())), i64(builder.getI64Type()),
        i32(builder.getI32Type()) {}

  LogicalResult run();

private:
  LogicalResult lower(Operation *op);
  void lower(rt::DispatchOp op);
  void lower(rt::CheckOp op);
  void lower(rt::InvokeOp op);
  Value stackArray(Operation *user, uint64_t bytes);
  Value addressOfStrings(Location loc, DenseStringElementsAttr strings);
  void lowerAllocation(Operation *op, Value memory, Value bytes = {});
  LLVM::LLVMFuncOp getBodyOf(func::FuncOp kernel);
  LLVM::LLVMFuncOp getFail();
  LLVM::LLVMFuncOp getAttend();
  void attend(rt::DispatchOp op, Value zero);
  Value nameOf(Location loc, StringRef kernel);
  LLVM::LLVMFuncOp getBuiltin(StringRef name, LLVM::LLVMFunctionType type);
  Value load(Location loc, Type type, Value base, uint64_t offset);
  void store(Location loc, Value value, Value base, uint64_t offset);
  Value at(Location loc, Value base, uint64_t offset);
  Value toI64(Location loc, Value index);
  Value constant(Location loc, int64_t value) {
    return arith::ConstantIntOp::create(builder, loc, value, 64);
  }
  /// Returns `code` from the function when `failed`; the builder goes on after that.
  void returnIf(Location loc, Value failed, Value code);
  Value argumentArray(func::FuncOp host, unsigned count);

  ModuleOp module;
  WeightLayout &weights;
  SiteList &sites;
  OpBuilder builder;
  Type pointer, i64, i32;
  LLVM::LLVMFuncOp fail, attendFunction;
  DenseMap<Attribute, std::string> stringTables; // constant -> global
  DenseMap<Operation *, LLVM::LLVMFuncOp> bodies;
  DenseMap<Operation *, std::pair<Value, unsigned>> arrays; // host function -> array, its length
};
} // namespace

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

// void lathe_fail(call, site, code, six arguments): the first failure of a run is recorded.
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
  Value error = load(loc, pointer, entry->getArgument(0), offsetof(lathe_call, error));
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
  SmallVector<Value> arguments{call,
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
      length = std::max<unsigned>(length, 1 + op.getBuffers().size() + op.getSizes().size());
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

/// A function of the builtins.
LLVM::LLVMFuncOp RtLowering::getBuiltin(StringRef name, LLVM::LLVMFunctionType type) {
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return known;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  return LLVM::LLVMFuncOp::create(builder, module.getLoc(), name, type);
}

void RtLowering::lower(rt::DispatchOp op) {
  Location loc = op.getLoc();
  auto host = op->getParentOfType<func::FuncOp>();
  Value call = op.getCall();
  auto kernel = module.lookupSymbol<func::FuncOp>(op.getKernel());
  builder.setInsertionPoint(op);

  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 32);
  attend(op, zero);

  if (op.getSerial()) {
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
  if (op.getChecked()) {
    Value error = load(loc, pointer, call, offsetof(lathe_call, error));
    Value found = load(loc, i32, error, offsetof(lathe_error, code));
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
  SmallVector<Value> arguments{op.getCall(), site, called.getResult()};
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

// A null pointer ends the run.
void RtLowering::lowerAllocation(Operation *op, Value memory, Value bytes) {
  Location loc = op->getLoc();
  op->getResult(0).replaceAllUsesWith(memory);
  Value null = LLVM::ZeroOp::create(builder, loc, pointer);
  Value given = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, memory, null);
  builder.setInsertionPoint(op);
  lower(rt::CheckOp::create(builder, loc, given, LATHE_CODE_MEMORY,
                            bytes ? "no memory for %0 bytes" : "no memory for an output",
                            bytes ? ValueRange{bytes} : ValueRange{}));
  op->erase();
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
        Value services = load(loc, pointer, allocate.getCall(), offsetof(lathe_call, services));
        Value function = load(loc, pointer, services, offsetof(lathe_services, allocate));
        auto type = LLVM::LLVMFunctionType::get(pointer, {pointer, i64});
        auto call = LLVM::CallOp::create(
            builder, loc, type,
            ValueRange{function, allocate.getCall(), toI64(loc, allocate.getBytes())});
        lowerAllocation(op, call.getResult(), allocate.getBytes());
        return success();
      })
      .Case([&](rt::ReserveOp reserve) {
        auto type = LLVM::LLVMFunctionType::get(pointer, {pointer, pointer, i64, i64});
        Value bytes = toI64(loc, reserve.getBytes());
        auto memory = LLVM::CallOp::create(
            builder, loc, getBuiltin("rt_reserve", type),
            ValueRange{reserve.getCall(), reserve.getSlot(), bytes, toI64(loc, reserve.getKeep())});
        lowerAllocation(op, memory.getResult(), reserve.getBytes());
        return success();
      })
      .Case([&](rt::PollOp op) {
        auto type = LLVM::LLVMFunctionType::get(i32, {pointer});
        Value code = LLVM::CallOp::create(builder, loc, getBuiltin("rt_poll", type), op.getCall())
                         .getResult();
        Value zero = arith::ConstantIntOp::create(builder, loc, 0, 32);
        Value stopped = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, code, zero);
        returnIf(loc, stopped, code);
        op.erase();
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
        Value services = load(loc, pointer, allocate.getCall(), offsetof(lathe_call, services));
        Value function = load(loc, pointer, services, offsetof(lathe_services, allocate_output));
        auto type = LLVM::LLVMFunctionType::get(pointer, {pointer, i32, i32, pointer});
        auto call = LLVM::CallOp::create(
            builder, loc, type,
            ValueRange{function, allocate.getCall(),
                       arith::ConstantIntOp::create(builder, loc, allocate.getIndex(), 32),
                       arith::ConstantIntOp::create(builder, loc, allocate.getDims().size(), 32),
                       dims});
        lowerAllocation(op, call.getResult());
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
      .Case([&](rt::ViewOp) { return success(); })
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
