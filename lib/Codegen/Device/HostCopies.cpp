// What the host program of a device looks at and changes itself: memory of the device, which it
// reaches by copies alone. Scalars that decide what is done come to its frame; builtins and kernels
// that need the host, such as those on strings, work on copies of numbers. Strings, and values that
// are no tensors, lie with the host. Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/DeviceCode.h"
#include "dialects/Rt/Rt.h"
#include "lib/Codegen/Device/Device.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

/// The beginning of the memory that an address leads to.
static Value findBase(Value address) {
  while (auto place = address.getDefiningOp<LLVM::GEPOp>())
    address = place.getBase();
  return address;
}

static bool isWeight(Value base) { return !!base.getDefiningOp<rt::WeightAddressOp>(); }

namespace {

/// How a kernel of the host uses a buffer.
struct BufferUse {
  bool isOfHost = false; ///< It holds strings.
  bool isWritten = false;
};

class HostCopies {
public:
  HostCopies(func::FuncOp run) : run(run), call(run.getArgument(0)), builder(run.getContext()) {}
  LogicalResult insert();
  bool looks() const { return looksAtValues; }

private:
  void insert(LLVM::LoadOp op);
  void insert(LLVM::StoreOp op);
  void insert(rt::InvokeOp op);
  LogicalResult insert(rt::DispatchOp op);

  Value fetch(Location loc, Value from, Value bytes) {
    looksAtValues |= !isWeight(findBase(from));
    return rt::FetchOp::create(builder, loc, from.getType(), call, from, bytes);
  }
  Value number(Location loc, int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value toIndex(Location loc, Value address) {
    Value number = LLVM::PtrToIntOp::create(builder, loc, builder.getI64Type(), address);
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), number);
  }
  /// Memory of the device for what an operation of the host has made.
  Value allocateBehind(Operation *op, Value bytes);

  func::FuncOp run;
  Value call;
  OpBuilder builder;
  bool looksAtValues = false;
};

} // namespace

LogicalResult HostCopies::insert() {
  SmallVector<Operation *> found;
  run.walk([&](Operation *op) { found.push_back(op); });
  for (Operation *op : found) {
    builder.setInsertionPoint(op);
    LogicalResult result = llvm::TypeSwitch<Operation *, LogicalResult>(op)
                               .Case<rt::AllocateOp, rt::ReserveOp>([&](auto memory) {
                                 memory.setDevice(!memory.getHost());
                                 return success();
                               })
                               .Case<LLVM::LoadOp, LLVM::StoreOp, rt::InvokeOp>([&](auto touching) {
                                 insert(touching);
                                 return success();
                               })
                               .Case([&](rt::DispatchOp dispatch) {
                                 return op->hasAttr(launchAttr) ? success() : insert(dispatch);
                               })
                               .Default([](Operation *) { return success(); });
    if (failed(result))
      return failure();
  }
  return success();
}

// Which is in the frame of the host program already.
static bool isOfFrame(Value address) {
  return isa_and_nonnull<rt::SlotOp, LLVM::AllocaOp>(findBase(address).getDefiningOp());
}

/// Bytes of a scalar in memory.
static int64_t widthOf(Type type) {
  return isa<LLVM::LLVMPointerType>(type)
             ? 8
             : std::max<int64_t>(1, llvm::divideCeil(type.getIntOrFloatBitWidth(), 8));
}

void HostCopies::insert(LLVM::LoadOp op) {
  if (isOfFrame(op.getAddr()) || rt::isText(op.getType()))
    return;
  Location loc = op.getLoc();
  op.getAddrMutable().assign(fetch(loc, op.getAddr(), number(loc, widthOf(op.getType()))));
}

void HostCopies::insert(LLVM::StoreOp op) {
  Type type = op.getValue().getType();
  if (isOfFrame(op.getAddr()) || rt::isText(type))
    return;
  Location loc = op.getLoc();
  Value place;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&run.getBody().front());
    Value one = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(1));
    place = LLVM::AllocaOp::create(builder, loc, op.getAddr().getType(), type, one);
  }
  builder.setInsertionPointAfter(op);
  rt::PutOp::create(builder, loc, call, place, op.getAddr(), number(loc, widthOf(type)));
  op.getAddrMutable().assign(place);
}

// In a loop it serves again, as what is planned does.
Value HostCopies::allocateBehind(Operation *op, Value bytes) {
  Location loc = op->getLoc();
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  if (!op->getParentOfType<LoopLikeOpInterface>())
    return rt::AllocateOp::create(builder, loc, pointer, call, bytes, /*host=*/false,
                                  /*device=*/true);
  Value slot;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&run.getBody().front());
    slot = rt::SlotOp::create(builder, loc, pointer);
  }
  return rt::ReserveOp::create(builder, loc, pointer, call, slot, bytes, number(loc, 0),
                               /*host=*/false, /*device=*/true);
}

// Builtins get copies of their tensors, and what they make goes to the device, where others of the
// host fetch it again.
void HostCopies::insert(rt::InvokeOp op) {
  looksAtValues = true;
  if (!op.getWidths() || !op.getResultWidths())
    return;
  Location loc = op.getLoc();
  auto bytesOf = [&](int64_t width, ValueRange sizes) {
    Value bytes = number(loc, width);
    for (Value size : sizes)
      bytes = arith::MulIOp::create(builder, loc, bytes, size);
    return bytes;
  };
  ValueRange sizes = op.getSizes();
  for (auto [i, rank, width] : llvm::enumerate(op.getRanks(), *op.getWidths())) {
    if (width)
      op.getBuffersMutable()[i].set(
          fetch(loc, op.getBuffers()[i], bytesOf(width, sizes.take_front(rank))));
    sizes = sizes.drop_front(rank);
  }
  builder.setInsertionPointAfter(op);
  ValueRange made = op.getResultSizes();
  for (auto [result, rank, width] :
       llvm::zip_equal(op.getResults(), op.getResultRanks(), *op.getResultWidths())) {
    if (width) {
      Value bytes = bytesOf(width, made.take_front(rank));
      Value memory = allocateBehind(op, bytes);
      auto put = rt::PutOp::create(builder, loc, call, result, memory, bytes);
      result.replaceAllUsesExcept(memory, put);
    }
    made = made.drop_front(rank);
  }
}

static BufferUse getUse(func::FuncOp kernel, unsigned buffer) {
  BufferUse use;
  SmallVector<Value> values{kernel.getArgument(1 + buffer)};
  llvm::DenseSet<Operation *> seen;
  while (!values.empty()) {
    for (Operation *user : values.pop_back_val().getUsers()) {
      if (!seen.insert(user).second)
        continue;
      bool isView = isPure(user) && user->getNumResults() == 1 &&
                    isa<BaseMemRefType, LLVM::LLVMPointerType>(user->getResult(0).getType());
      if (isView) {
        auto type = dyn_cast<BaseMemRefType>(user->getResult(0).getType());
        use.isOfHost |= type && rt::isText(type.getElementType());
        values.push_back(user->getResult(0));
      } else {
        use.isWritten |= !isMemoryEffectFree(user) && !hasSingleEffect<MemoryEffects::Read>(user);
      }
    }
  }
  return use;
}

// A kernel of the host works on copies of all that its numbers are part of, since two buffers may
// be parts of one value. What it may have written goes back.
LogicalResult HostCopies::insert(rt::DispatchOp op) {
  looksAtValues = true;
  Location loc = op.getLoc();
  auto kernel = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getKernelAttr());
  struct Piece {
    Value bytes, copy;
    bool isWritten = false;
  };
  llvm::MapVector<Value, Piece> pieces; // by where they begin
  SmallVector<std::pair<unsigned, Value>> numbers;
  for (auto [i, buffer] : llvm::enumerate(op.getBuffers())) {
    BufferUse use = kernel ? getUse(kernel, i) : BufferUse();
    Value base = findBase(buffer);
    auto weight = base.getDefiningOp<rt::WeightAddressOp>();
    if (weight ? isa<DenseStringElementsAttr>(weight.getValue()) : use.isOfHost)
      continue;
    if (op.getExtents().empty())
      return op.emitError("the host runs kernel '")
             << op.getKernel() << "', and does not know how many bytes its buffers have";
    numbers.push_back({i, buffer});
    Value before = arith::SubIOp::create(builder, loc, toIndex(loc, buffer), toIndex(loc, base));
    Value bytes = arith::AddIOp::create(builder, loc, before, op.getExtents()[i]);
    Piece &piece = pieces[base];
    piece.bytes =
        piece.bytes ? arith::MaxUIOp::create(builder, loc, piece.bytes, bytes).getResult() : bytes;
    piece.isWritten |= use.isWritten;
  }
  for (auto &[base, piece] : pieces)
    piece.copy = fetch(loc, base, piece.bytes);
  for (auto [i, buffer] : numbers) {
    // The same way from there.
    SmallVector<LLVM::GEPOp> places;
    for (Value at = buffer; auto place = at.getDefiningOp<LLVM::GEPOp>(); at = place.getBase())
      places.push_back(place);
    Value address = pieces[findBase(buffer)].copy;
    for (LLVM::GEPOp place : llvm::reverse(places)) {
      auto copy = cast<LLVM::GEPOp>(builder.clone(*place));
      copy.getBaseMutable().assign(address);
      address = copy;
    }
    op.getBuffersMutable()[i].set(address);
  }
  op.getExtentsMutable().clear();
  builder.setInsertionPointAfter(op);
  for (auto &[base, piece] : pieces)
    if (piece.isWritten)
      rt::PutOp::create(builder, loc, call, piece.copy, base, piece.bytes);
  return success();
}

LogicalResult lathe::codegen::copyForHost(func::FuncOp run, bool &looks) {
  HostCopies copies(run);
  LogicalResult result = copies.insert();
  looks |= copies.looks();
  return result;
}
