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

// Numbers of the top-level operations that use memory reached from `pointer`.
static void collectUses(Value pointer, Block *top, const DenseMap<Operation *, int64_t> &numbers,
                        Lifetime &lifetime) {
  for (Operation *user : pointer.getUsers()) {
    if (auto address = dyn_cast<LLVM::GEPOp>(user)) {
      collectUses(address, top, numbers, lifetime);
      continue;
    }
    int64_t number = numbers.lookup(top->findAncestorOpInBlock(*user));
    lifetime.first = std::min(lifetime.first, number);
    lifetime.last = std::max(lifetime.last, number);
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

LogicalResult lathe::schedule::planMemory(ModuleOp module) {
  auto run = module.lookupSymbol<func::FuncOp>("run");
  auto plan = module.lookupSymbol<func::FuncOp>("plan");
  if (!run || !plan)
    return module.emitError("the module has no host program; run form-dispatches first");
  Block &body = run.getBody().front();
  DenseMap<Operation *, int64_t> numbers;
  int64_t next = 0;
  for (Operation &op : body)
    numbers[&op] = next++;

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
      Value memory =
          rt::AllocateOp::create(builder, alloc.getLoc(), alloc.getType(), call, alloc.getBytes());
      alloc.replaceAllUsesWith(memory);
      alloc.erase();
      continue;
    }
    Lifetime lifetime;
    lifetime.alloc = alloc;
    APInt constant;
    if (matchPattern(alloc.getBytes(), m_ConstantInt(&constant)))
      lifetime.bytes = constant.getZExtValue();
    collectUses(alloc, &body, numbers, lifetime);
    lifetimes.push_back(lifetime);
  }

  std::vector<Lifetime *> fixed, sized;
  for (Lifetime &lifetime : lifetimes)
    (lifetime.bytes ? fixed : sized).push_back(&lifetime);
  uint64_t staticBytes = placeStatic(fixed);

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
