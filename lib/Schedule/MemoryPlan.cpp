// The memory plan: every intermediate in one arena.
//
// When values live is found here, where they lie by `layoutArena`. The arena's size is a formula of
// the inputs' dims, which @plan computes before the run. Apache-2.0 WITH LLVM-exception
#include "ArenaLayout.h"
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

// The operations that use memory reached from `pointer`, also by what control flow passes on.
static void collectUses(Value pointer, llvm::DenseSet<Value> &seen,
                        SmallVectorImpl<Operation *> &uses) {
  if (!seen.insert(pointer).second)
    return;
  for (OpOperand &use : pointer.getUses()) {
    Operation *user = use.getOwner();
    unsigned index = use.getOperandNumber();
    if (isa<LLVM::GEPOp, arith::SelectOp>(user)) {
      collectUses(user->getResult(0), seen, uses);
      continue;
    }
    uses.push_back(user);
    Operation *parent = user->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(user)) {
      unsigned position = index - loop.getNumControlOperands();
      collectUses(loop.getRegionIterArg(position), seen, uses);
      collectUses(loop.getResult(position), seen, uses);
    } else if (auto loop = dyn_cast<scf::WhileOp>(user)) {
      collectUses(loop.getBeforeArguments()[index], seen, uses);
    } else if (isa<scf::ConditionOp>(user)) {
      auto loop = cast<scf::WhileOp>(parent);
      collectUses(loop.getAfterArguments()[index - 1], seen, uses);
      collectUses(loop.getResult(index - 1), seen, uses);
    } else if (isa<scf::YieldOp>(user)) {
      if (auto loop = dyn_cast<scf::ForOp>(parent))
        collectUses(loop.getRegionIterArg(index), seen, uses);
      else if (auto loop = dyn_cast<scf::WhileOp>(parent))
        collectUses(loop.getBeforeArguments()[index], seen, uses);
      if (isa<scf::ForOp, scf::IfOp>(parent))
        collectUses(parent->getResult(index), seen, uses);
    }
  }
}

namespace {
/// Where an operation, with all that is in its regions, stands among all operations.
struct Span {
  int64_t first = 0, last = 0;
};
} // namespace

static void number(Block &block, int64_t &next, DenseMap<Operation *, Span> &spans) {
  for (Operation &op : block) {
    Span span;
    span.first = next++;
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        number(inner, next, spans);
    span.last = next++;
    spans[&op] = span;
  }
}

// From the first use to the last, in the innermost block that all uses are in: a value does not
// outlive the iteration of a loop that all its uses are in, and in a loop that uses memory from
// outside all of the loop needs it.
static void setSpan(ArrayRef<Operation *> uses, const DenseMap<Operation *, Span> &spans,
                    Lifetime &lifetime) {
  if (uses.empty())
    return;
  Block *common = uses.front()->getBlock();
  for (bool holds = false; !holds;) {
    holds = llvm::all_of(uses, [&](Operation *use) { return common->findAncestorOpInBlock(*use); });
    if (!holds)
      common = common->getParentOp()->getBlock();
  }
  for (Operation *use : uses) {
    Span span = spans.lookup(common->findAncestorOpInBlock(*use));
    lifetime.first = std::min(lifetime.first, span.first);
    lifetime.last = std::max(lifetime.last, span.last);
  }
}

// In a loop the memory of an earlier iteration serves again, so that it does not grow with them.
static Value allocateWhenRunning(OpBuilder &builder, rt::AllocOp alloc, Value call) {
  Location loc = alloc.getLoc();
  Type pointer = alloc.getType();
  bool repeats = alloc->getParentOfType<scf::ForOp>() || alloc->getParentOfType<scf::WhileOp>();
  if (!repeats)
    return rt::AllocateOp::create(builder, loc, pointer, call, alloc.getBytes(), alloc.getHost(),
                                  /*device=*/false);
  Value slot;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(cast<BlockArgument>(call).getOwner());
    slot = rt::SlotOp::create(builder, loc, pointer);
  }
  Value none = arith::ConstantIndexOp::create(builder, loc, 0);
  return rt::ReserveOp::create(builder, loc, pointer, call, slot, alloc.getBytes(), none,
                               alloc.getHost(), /*device=*/false);
}

// Slots are two words each, an address and a size, which are 0 when a run begins. (Where the arena
// is a device's, they stay in the frame of the host program.)
static uint64_t placeSlots(func::FuncOp run, uint64_t offset) {
  constexpr uint64_t slotBytes = 16;
  SmallVector<rt::SlotOp> slots;
  run.walk([&](rt::SlotOp slot) { slots.push_back(slot); });
  for (rt::SlotOp slot : slots) {
    OpBuilder builder(slot);
    Location loc = slot.getLoc();
    Value place = rt::ArenaOp::create(builder, loc, slot.getType(), run.getArgument(0),
                                      arith::ConstantIndexOp::create(builder, loc, offset));
    Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
    for (int32_t byte : {0, 8}) {
      Value word = LLVM::GEPOp::create(builder, loc, slot.getType(), builder.getI8Type(), place,
                                       ArrayRef<LLVM::GEPArg>{byte});
      LLVM::StoreOp::create(builder, loc, zero, word);
    }
    slot.replaceAllUsesWith(place);
    slot.erase();
    offset += slotBytes;
  }
  return llvm::alignTo(offset, LATHE_ALIGNMENT);
}

namespace {
/// Where the parts of an arena begin, as values of the host program.
struct Arena {
  Value scale; // null without a scaled part
  uint64_t scaledBegin = 0;
  SmallVector<Value> slots;
  Value end;

  Value offsetOf(OpBuilder &builder, Location loc, const Lifetime &value) const {
    if (value.part == ArenaPart::Slot)
      return slots[value.slot];
    if (value.part == ArenaPart::Static || value.offset == 0)
      return arith::ConstantIndexOp::create(
          builder, loc, value.offset + (value.part == ArenaPart::Scaled ? scaledBegin : 0));
    return plus(builder, loc, scaledBegin, times(builder, loc, value.offset));
  }
  Value times(OpBuilder &builder, Location loc, uint64_t bytes) const {
    return arith::MulIOp::create(builder, loc, scale,
                                 arith::ConstantIndexOp::create(builder, loc, bytes));
  }
  static Value plus(OpBuilder &builder, Location loc, uint64_t bytes, Value added) {
    if (!bytes)
      return added;
    return arith::AddIOp::create(builder, loc, arith::ConstantIndexOp::create(builder, loc, bytes),
                                 added);
  }
};
} // namespace

// `valueOf` gives a size's value at the builder's place.
static Arena emitArena(OpBuilder &builder, Location loc, const ArenaLayout &layout,
                       const SizeTable &table, llvm::function_ref<Value(Value)> valueOf) {
  auto materialize = [&](const Size &size) {
    return table.materialize(builder, loc, size, valueOf);
  };
  Arena arena;
  arena.scaledBegin = layout.staticBytes;
  if (layout.scaledBytes) {
    arena.scale = materialize(layout.scale);
    arena.end = Arena::plus(builder, loc, layout.staticBytes,
                            arena.times(builder, loc, layout.scaledBytes));
  } else {
    arena.end = arith::ConstantIndexOp::create(builder, loc, layout.staticBytes);
  }
  Value mask = arith::ConstantIndexOp::create(builder, loc, -int64_t(LATHE_ALIGNMENT));
  Value round = arith::ConstantIndexOp::create(builder, loc, LATHE_ALIGNMENT - 1);
  for (ArrayRef<Size> sizes : layout.slots) {
    arena.slots.push_back(arena.end);
    Value largest;
    for (const Size &size : sizes) {
      Value bytes = materialize(size);
      largest = largest ? arith::MaxUIOp::create(builder, loc, largest, bytes).getResult() : bytes;
    }
    Value aligned = arith::AddIOp::create(builder, loc, largest, round);
    aligned = arith::AndIOp::create(builder, loc, aligned, mask);
    arena.end = arith::AddIOp::create(builder, loc, arena.end, aligned);
  }
  return arena;
}

LogicalResult lathe::schedule::planMemory(ModuleOp module, bool isForDevice) {
  auto run = module.lookupSymbol<func::FuncOp>("run");
  auto plan = module.lookupSymbol<func::FuncOp>("plan");
  if (!run || !plan)
    return module.emitError("the module has no host program; run form-dispatches first");
  Block &body = run.getBody().front();
  DenseMap<Operation *, Span> spans;
  int64_t next = 0;
  number(body, next, spans);

  Value call = run.getArgument(0);
  SmallVector<rt::AllocOp> allocs;
  run.walk([&](rt::AllocOp alloc) { allocs.push_back(alloc); });

  // What @plan can compute: pure arithmetic on the inputs' dims.
  DenseMap<Value, bool> fromDims;
  std::function<bool(Value)> isFromDims = [&](Value value) -> bool {
    auto [it, inserted] = fromDims.try_emplace(value, false);
    if (!inserted)
      return it->second;
    Operation *def = value.getDefiningOp();
    bool result = def && def->getBlock() == &body &&
                  (isa<rt::DimOp>(def) || (isPure(def) && def->getNumRegions() == 0 &&
                                           llvm::all_of(def->getOperands(), isFromDims)));
    return fromDims[value] = result;
  };

  SizeTable table;
  std::vector<Lifetime> lifetimes;
  SmallVector<rt::AllocOp> planned; // of `lifetimes`
  for (rt::AllocOp alloc : allocs) {
    OpBuilder builder(alloc);
    if (alloc->use_empty()) {
      alloc.erase();
      continue;
    }
    if (alloc.getHost() || !isFromDims(alloc.getBytes())) {
      Value memory = allocateWhenRunning(builder, alloc, call);
      alloc.replaceAllUsesWith(memory);
      alloc.erase();
      continue;
    }
    Lifetime lifetime;
    lifetime.bytes = table.getProduct(alloc.getBytes());
    llvm::DenseSet<Value> seen;
    SmallVector<Operation *> uses;
    collectUses(alloc, seen, uses);
    setSpan(uses, spans, lifetime);
    lifetimes.push_back(lifetime);
    planned.push_back(alloc);
  }
  ArenaLayout layout = layoutArena(lifetimes);
  if (!isForDevice)
    layout.staticBytes = placeSlots(run, layout.staticBytes);

  if (!lifetimes.empty()) {
    // Sizes move to the top of @run, where all offsets are computed.
    OpBuilder builder(module.getContext());
    builder.setInsertionPointToStart(&body);
    Operation *top = LLVM::UndefOp::create(builder, run.getLoc(), builder.getI64Type());
    DenseSet<Operation *> hoisted;
    std::function<void(Value)> hoist = [&](Value value) {
      Operation *def = value.getDefiningOp();
      if (!def || !hoisted.insert(def).second)
        return;
      for (Value operand : def->getOperands())
        hoist(operand);
      def->moveBefore(top);
    };
    for (rt::AllocOp alloc : planned)
      hoist(alloc.getBytes());
    builder.setInsertionPoint(top);
    Arena arena = emitArena(builder, run.getLoc(), layout, table, [](Value size) { return size; });
    for (auto [lifetime, alloc] : llvm::zip_equal(lifetimes, planned)) {
      Value memory = rt::ArenaOp::create(builder, alloc.getLoc(), alloc.getType(), call,
                                         arena.offsetOf(builder, run.getLoc(), lifetime),
                                         isForDevice ? alloc.getBytes() : Value());
      alloc.replaceAllUsesWith(memory);
      alloc.erase();
    }
    top->erase();
  }

  run.walk([](rt::LiveOp live) { live.erase(); });
  auto ret = cast<func::ReturnOp>(plan.getBody().front().getTerminator());
  OpBuilder builder(ret);
  IRMapping mapping;
  mapping.map(call, plan.getArgument(0));
  std::function<Value(Value)> cloneSize = [&](Value value) -> Value {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    Operation *def = value.getDefiningOp();
    for (Value operand : def->getOperands())
      cloneSize(operand);
    builder.clone(*def, mapping);
    return mapping.lookup(value);
  };
  Arena arena = emitArena(builder, plan.getLoc(), layout, table, cloneSize);
  rt::PlanArenaOp::create(builder, plan.getLoc(), plan.getArgument(1), arena.end);
  return success();
}
