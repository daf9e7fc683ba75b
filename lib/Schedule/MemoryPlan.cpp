// The memory plan: every intermediate in one arena.
//
// Values of static size are placed by decreasing size at the lowest offset that no value living at
// the same time covers. Values whose size depends on the inputs' dims share slots: a slot is as
// large as the largest of its values, which never live at the same time. The arena's size is
// therefore static part + sum of slots, and @plan computes it from the dims alone. Apache-2.0 WITH
// LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include <map>

using namespace mlir;
using namespace lathe;

namespace {
struct Lifetime {
  rt::AllocOp alloc;
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;
  std::optional<uint64_t> bytes; // static
  uint64_t offset = 0;
  unsigned slot = 0;

  bool overlaps(const Lifetime &other) const { return first <= other.last && other.first <= last; }
};
} // namespace

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

static uint64_t alignUp(uint64_t bytes) { return llvm::alignTo(bytes, LATHE_ALIGNMENT); }

// First fit by decreasing size; returns the arena's static part. Intervals are kept by offset, so
// one placement costs the number of values that live at the same time.
static uint64_t placeStatic(std::vector<Lifetime *> &values) {
  llvm::stable_sort(values, [](Lifetime *a, Lifetime *b) { return *a->bytes > *b->bytes; });
  uint64_t end = 0;
  std::multimap<uint64_t, Lifetime *> placed; // by offset
  for (Lifetime *value : values) {
    uint64_t offset = 0, bytes = alignUp(*value->bytes);
    for (auto &[otherOffset, other] : placed) {
      if (!other->overlaps(*value))
        continue;
      if (offset + bytes <= otherOffset)
        break;
      offset = std::max(offset, otherOffset + alignUp(*other->bytes));
    }
    value->offset = offset;
    placed.insert({offset, value});
    end = std::max(end, offset + bytes);
  }
  return end;
}

// In a loop the memory of an earlier iteration serves again, so that it does not grow with them.
static Value allocateWhenRunning(OpBuilder &builder, rt::AllocOp alloc, Value call) {
  Location loc = alloc.getLoc();
  Type pointer = alloc.getType();
  bool repeats = alloc->getParentOfType<scf::ForOp>() || alloc->getParentOfType<scf::WhileOp>();
  if (!repeats)
    return rt::AllocateOp::create(builder, loc, pointer, call, alloc.getBytes());
  Value slot;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(cast<BlockArgument>(call).getOwner());
    slot = rt::SlotOp::create(builder, loc, pointer);
  }
  Value none = arith::ConstantIndexOp::create(builder, loc, 0);
  return rt::ReserveOp::create(builder, loc, pointer, call, slot, alloc.getBytes(), none);
}

// Slots are two words each, an address and a size, which are 0 when a run begins.
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
  return alignUp(offset);
}

LogicalResult lathe::schedule::planMemory(ModuleOp module) {
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

  std::vector<Lifetime> lifetimes;
  for (rt::AllocOp alloc : allocs) {
    OpBuilder builder(alloc);
    if (alloc->use_empty()) {
      alloc.erase();
      continue;
    }
    if (!isFromDims(alloc.getBytes())) {
      Value memory = allocateWhenRunning(builder, alloc, call);
      alloc.replaceAllUsesWith(memory);
      alloc.erase();
      continue;
    }
    Lifetime lifetime;
    lifetime.alloc = alloc;
    APInt constant;
    if (matchPattern(alloc.getBytes(), m_ConstantInt(&constant)))
      lifetime.bytes = constant.getZExtValue();
    llvm::DenseSet<Value> seen;
    SmallVector<Operation *> uses;
    collectUses(alloc, seen, uses);
    setSpan(uses, spans, lifetime);
    lifetimes.push_back(lifetime);
  }

  std::vector<Lifetime *> fixed, sized;
  for (Lifetime &lifetime : lifetimes)
    (lifetime.bytes ? fixed : sized).push_back(&lifetime);
  uint64_t staticBytes = placeSlots(run, placeStatic(fixed));

  // Slots for the others, in order of first use; a slot of the same size is the best fit.
  llvm::stable_sort(sized, [](Lifetime *a, Lifetime *b) { return a->first < b->first; });
  struct Slot {
    SmallVector<Value> sizes;
    int64_t last;
  };
  std::vector<Slot> slots;
  // Equal size expressions are one value after CSE; compare by the operation otherwise.
  for (Lifetime *value : sized) {
    int best = -1;
    for (auto [i, slot] : llvm::enumerate(slots)) {
      if (slot.last >= value->first)
        continue;
      bool same = llvm::is_contained(slot.sizes, value->alloc.getBytes());
      if (best < 0 || same)
        best = i;
      if (same)
        break;
    }
    if (best < 0) {
      best = slots.size();
      slots.emplace_back();
    }
    slots[best].last = value->last;
    if (!llvm::is_contained(slots[best].sizes, value->alloc.getBytes()))
      slots[best].sizes.push_back(value->alloc.getBytes());
    value->slot = best;
  }

  // Offsets, at the top of @run where all sizes are known, and the same sum in @plan.
  auto emitOffsets = [&](OpBuilder &builder, Location loc,
                         llvm::function_ref<Value(Value)> sizeOf) {
    SmallVector<Value> offsets;
    Value end = arith::ConstantIndexOp::create(builder, loc, staticBytes);
    Value mask = arith::ConstantIndexOp::create(builder, loc, -int64_t(LATHE_ALIGNMENT));
    Value round = arith::ConstantIndexOp::create(builder, loc, LATHE_ALIGNMENT - 1);
    for (const Slot &slot : slots) {
      offsets.push_back(end);
      Value largest;
      for (Value size : slot.sizes)
        largest = largest ? arith::MaxUIOp::create(builder, loc, largest, sizeOf(size)).getResult()
                          : sizeOf(size);
      Value aligned = arith::AddIOp::create(builder, loc, largest, round);
      aligned = arith::AndIOp::create(builder, loc, aligned, mask);
      end = arith::AddIOp::create(builder, loc, end, aligned);
    }
    offsets.push_back(end);
    return offsets;
  };

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
    for (Lifetime *value : sized)
      hoist(value->alloc.getBytes());
    builder.setInsertionPoint(top);
    SmallVector<Value> offsets =
        emitOffsets(builder, run.getLoc(), [](Value size) { return size; });
    SmallVector<Value> fixedOffsets;
    for (Lifetime &lifetime : lifetimes) {
      Value offset =
          lifetime.bytes
              ? arith::ConstantIndexOp::create(builder, run.getLoc(), lifetime.offset).getResult()
              : offsets[lifetime.slot];
      Value memory = rt::ArenaOp::create(builder, lifetime.alloc.getLoc(), lifetime.alloc.getType(),
                                         call, offset);
      fixedOffsets.push_back(memory);
    }
    for (auto [lifetime, memory] : llvm::zip_equal(lifetimes, fixedOffsets)) {
      lifetime.alloc.replaceAllUsesWith(memory);
      lifetime.alloc.erase();
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
  Value total = emitOffsets(builder, plan.getLoc(), cloneSize).back();
  rt::PlanArenaOp::create(builder, plan.getLoc(), plan.getArgument(1), total);
  return success();
}
