// Plain loops: elementwise operations, reductions along rows, irregular bodies. Where the innermost
// loop cannot be emitted on vectors, it is left to LLVM's vectorizer.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "Rows.h"

using namespace mlir;
using namespace lathe::schedule;

static void eraseLoop(Stage &stage, unsigned loop) {
  stage.extents.erase(stage.extents.begin() + loop);
  stage.reduction.erase(stage.reduction.begin() + loop);
  for (auto *accesses : {&stage.inputs, &stage.outputs})
    for (Access &access : *accesses)
      if (!access.coefficients.empty())
        access.coefficients.erase(access.coefficients.begin() + loop);
}

static bool areJoined(const Stage &stage, unsigned outer, unsigned inner) {
  if (stage.reduction[outer] != stage.reduction[inner])
    return false;
  for (const auto *accesses : {&stage.inputs, &stage.outputs})
    for (const Access &access : *accesses)
      if (!access.coefficients.empty() &&
          access.coefficients[outer] != access.coefficients[inner] * stage.extents[inner])
        return false;
  return true;
}

static void joinLoops(Stage &stage, unsigned outer) {
  stage.extents[outer + 1] = stage.extents[outer] * stage.extents[outer + 1];
  eraseLoop(stage, outer);
}

void lathe::schedule::sortLoops(Stage &stage) {
  if (stage.irregular)
    return;
  SmallVector<unsigned> order;
  for (bool reduces : {false, true})
    for (unsigned i = 0; i < stage.numLoops(); ++i)
      if (stage.reduction[i] == reduces)
        order.push_back(i);
  auto sort = [&](auto &values) {
    if (values.empty())
      return;
    auto sorted = values;
    for (auto [place, loop] : llvm::enumerate(order))
      sorted[place] = values[loop];
    values = std::move(sorted);
  };
  sort(stage.extents);
  sort(stage.reduction);
  for (auto *accesses : {&stage.inputs, &stage.outputs})
    for (Access &access : *accesses)
      sort(access.coefficients);
}

void lathe::schedule::collapseLoops(Stage &stage) {
  if (stage.irregular)
    return;
  for (unsigned i = stage.numLoops(); i-- > 0;)
    if (stage.extents[i].is(1))
      eraseLoop(stage, i);
  for (unsigned i = stage.numLoops(); i-- > 1;)
    if (areJoined(stage, i - 1, i))
      joinLoops(stage, i - 1);
}

// Rough cost of the operations of a block, in units of a simple vectorized operation.
static int64_t blockCost(Block &block) {
  int64_t cost = 1;
  for (Operation &op : block.without_terminator()) {
    cost += isa<math::MathDialect>(op.getDialect()) ? 8 : isa<tensor::ExtractOp>(op) ? 4 : 1;
    // Loops inside a body are short where nothing is known of them: searches, walks.
    int64_t rounds = 8;
    if (auto loop = dyn_cast<scf::ForOp>(op))
      if (std::optional<llvm::APInt> trips = loop.getStaticTripCount())
        rounds = std::clamp<int64_t>(trips->getLimitedValue(1 << 20), 1, 1 << 20);
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        cost += rounds * blockCost(inner);
  }
  return cost;
}

// Rough cost of one iteration.
static int64_t bodyCost(const Stage &stage) {
  int64_t cost = blockCost(*stage.body);
  return stage.irregular ? cost * 4 : cost;
}

namespace {
/// Emits the loops of one stage inside the shared ones.
struct StageLoops {
  Kernel &kernel;
  const Stage &stage;
  llvm::function_ref<Value(const View &)> addressOf;
  SmallVector<Value> indices;

  Value load(const Access &access) {
    Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
    return memref::LoadOp::create(kernel.builder, stage.loc, buffer,
                                  kernel.linear(access.coefficients, indices));
  }

  void store(Value value, const Access &access) {
    Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
    memref::StoreOp::create(kernel.builder, stage.loc, value, buffer,
                            kernel.linear(access.coefficients, indices));
  }

  SmallVector<Value> element(ArrayRef<Value> accumulators) {
    SmallVector<Value> operands;
    for (const Access &input : stage.inputs)
      operands.push_back(input.view.base ? load(input) : Value());
    operands.append(accumulators.begin(), accumulators.end());
    return emitBody(kernel, stage, operands, indices, 0, addressOf);
  }

  SmallVector<Value> initials() {
    SmallVector<Value> values;
    for (auto [output, init, reads] :
         llvm::zip_equal(stage.outputs, stage.inits, stage.readsOutput)) {
      if (!reads)
        values.push_back(Value());
      else if (init)
        values.push_back(arith::ConstantOp::create(kernel.builder, stage.loc, init));
      else
        values.push_back(load(output));
    }
    return values;
  }

  SmallVector<Value> reduce(ArrayRef<unsigned> loops, ArrayRef<Value> accumulators) {
    if (loops.empty())
      return element(accumulators);
    OpBuilder &builder = kernel.builder;
    auto loop = scf::ForOp::create(builder, stage.loc, kernel.constant(0),
                                   kernel.size(stage.extents[loops.front()]), kernel.constant(1),
                                   accumulators);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    indices[loops.front()] = loop.getInductionVar();
    SmallVector<Value> carried(loop.getRegionIterArgs());
    scf::YieldOp::create(builder, stage.loc, reduce(loops.drop_front(), carried));
    return SmallVector<Value>(loop.getResults());
  }

  void parallel(ArrayRef<unsigned> loops, ArrayRef<unsigned> reductions) {
    OpBuilder &builder = kernel.builder;
    if (!loops.empty()) {
      auto loop = scf::ForOp::create(builder, stage.loc, kernel.constant(0),
                                     kernel.size(stage.extents[loops.front()]), kernel.constant(1));
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      indices[loops.front()] = loop.getInductionVar();
      parallel(loops.drop_front(), reductions);
      return;
    }
    SmallVector<Value> values = initials();
    if (reductions.empty()) {
      values = element(values);
    } else {
      // Outputs that the body does not read are those of its last iteration.
      for (auto [value, output] : llvm::zip_equal(values, stage.outputs))
        if (!value)
          value = arith::ConstantOp::create(builder, stage.loc,
                                            builder.getZeroAttr(output.view.element));
      values = reduce(reductions, values);
    }
    for (auto [value, output] : llvm::zip_equal(values, stage.outputs))
      store(value, output);
  }
};
} // namespace

bool lathe::schedule::usesVectors(const Options &options) {
  return options.optLevel > 0 && !options.target.itemPerThread;
}

void lathe::schedule::emitItem(Kernel &kernel, const Stage &stage, ArrayRef<Value> shared,
                               AddressOf addressOf) {
  StageLoops loops{kernel, stage, addressOf, SmallVector<Value>(stage.numLoops())};
  llvm::copy(shared, loops.indices.begin());
  SmallVector<unsigned> parallel, reductions;
  for (unsigned i = shared.size(); i < stage.numLoops(); ++i)
    (stage.reduction[i] ? reductions : parallel).push_back(i);
  loops.parallel(parallel, reductions);
}

Work lathe::schedule::emitLoops(Kernel &kernel, const Group &original, const Options &options,
                                AddressOf addressOf) {
  int64_t lanes = usesVectors(options) ? options.target.vectorBits / 32 : 0;
  Group group = original;
  if (group.stages.size() == 1) {
    collapseLoops(group.stages[0]);
    const Stage &stage = group.stages[0];
    group.sharedLoops = stage.countLeadingParallel();
    // The last loop stays inside, where it is vectorized, unless there is no other.
    if (!options.target.itemPerThread && !stage.hasReduction() && group.sharedLoops > 1)
      --group.sharedLoops;
    // Nor do the loops around short rows that were not joined: to find the place of an item takes
    // some divisions, as long as a hundred elements. Enough items must be left whatever is open.
    constexpr int64_t shortRow = 128, enoughItems = 16;
    Size row(1), items(1);
    for (unsigned i = 0; i < stage.numLoops(); ++i) {
      Size &part = i + 1 < group.sharedLoops ? items : row;
      if (i + 1 != group.sharedLoops)
        part = part * stage.extents[i];
    }
    if (lanes && !stage.hasReduction() && group.sharedLoops > 1 && row.isStatic() &&
        row.constant < shortRow && items.constant >= enoughItems)
      --group.sharedLoops;
  }

  Work work;
  const Stage &first = group.stages.front();
  for (unsigned i = 0; i < group.sharedLoops; ++i)
    work.count = work.count * first.extents[i];
  for (const Stage &stage : group.stages) {
    Size cost(bodyCost(stage));
    for (unsigned i = group.sharedLoops; i < stage.numLoops(); ++i)
      cost = cost * stage.extents[i];
    work.itemCost.add(cost);
  }
  // A piece of some 10 us pays for its hand-over.
  work.pieceCost = 100000;

  OpBuilder &builder = kernel.builder;
  if (lanes && group.stages.size() == 1 && emitVectorRange(kernel, first, lanes, addressOf))
    return work;
  auto loop =
      scf::ForOp::create(builder, kernel.loc, kernel.begin(), kernel.end(), kernel.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> shared =
      kernel.split(loop.getInductionVar(), ArrayRef(first.extents).take_front(group.sharedLoops));
  for (const Stage &stage : group.stages) {
    if (lanes && emitVectorStage(kernel, stage, group.sharedLoops, shared, lanes, addressOf))
      continue;
    emitItem(kernel, stage, shared, addressOf);
  }
  return work;
}

void lathe::schedule::collapseTiledGroup(Group &group) {
  // Loops of the epilogue are the parallel loops of the root, in order.
  Stage &root = group.stages.front();
  auto epilogueLoop = [&](unsigned loop) {
    return llvm::count(ArrayRef(root.reduction).take_front(loop), false);
  };
  auto forAll = [&](unsigned loop, auto action) {
    if (!root.reduction[loop])
      for (Stage &stage : llvm::drop_begin(group.stages))
        action(stage, epilogueLoop(loop));
    action(root, loop);
  };
  for (unsigned i = root.numLoops(); i-- > 0;)
    if (root.extents[i].is(1) && !(root.reduction[i] && llvm::count(root.reduction, true) == 1))
      forAll(i, eraseLoop);
  for (unsigned i = root.numLoops(); i-- > 1;) {
    bool joined = areJoined(root, i - 1, i);
    if (joined && !root.reduction[i])
      for (const Stage &stage : llvm::drop_begin(group.stages))
        joined &= areJoined(stage, epilogueLoop(i - 1), epilogueLoop(i));
    if (joined)
      forAll(i - 1, joinLoops);
  }
}

void lathe::schedule::collapseRows(Group &group) {
  if (llvm::any_of(group.stages, [](const Stage &stage) { return stage.irregular; }))
    return;
  unsigned numLoops = 0;
  for (Stage &stage : group.stages) {
    for (unsigned i = stage.numLoops(); i-- > group.sharedLoops;)
      if (stage.extents[i].is(1))
        eraseLoop(stage, i);
    numLoops = std::max(numLoops, stage.numLoops());
  }
  for (unsigned i = group.sharedLoops; i-- > 0;)
    if (group.stages.front().extents[i].is(1)) {
      for (Stage &stage : group.stages)
        eraseLoop(stage, i);
      --group.sharedLoops;
      --numLoops;
    }
  for (unsigned i = numLoops; i-- > 1;) {
    auto joins = [&](const Stage &stage) {
      return stage.numLoops() <= i || areJoined(stage, i - 1, i);
    };
    if (i == group.sharedLoops || !llvm::all_of(group.stages, joins))
      continue;
    for (Stage &stage : group.stages)
      if (stage.numLoops() > i)
        joinLoops(stage, i - 1);
    if (i < group.sharedLoops)
      --group.sharedLoops;
  }
}
