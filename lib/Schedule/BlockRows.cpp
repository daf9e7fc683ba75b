// Rows on a GPU: the threads of a block compute all that the stages of a group do with one row.
// Each thread has every so-manieth element, the same ones in every stage, so that what it computed
// it finds in its registers, or reads back itself where rows are long; threads beside each other
// read what lies together. What is added up they combine in shared memory, and all of them know the
// result. Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "Rows.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// Stages that run together, for one element after the other; of those that compute what a row has
/// one of, each is for itself.
struct Pass {
  SmallVector<unsigned> stages;
  bool isSingle = false;
};

/// What memory is known to hold: of a thread's elements one value for each of its steps (null: not
/// known yet), of what a row has one of a single value.
struct Held {
  View view;
  SmallVector<Size> coefficients;
  bool isElement = false;
  SmallVector<Value> values;
};

class BlockRows {
public:
  BlockRows(Kernel &kernel, Group &group, const Rows &rows, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group), rows(rows),
        addressOf(addressOf) {}
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  }
  void formPasses();
  void chooseBlock();
  bool isMoving(const Stage &stage, const Access &access) const;
  Value place(const Access &access, ArrayRef<Value> indices) {
    return kernel.linear(access.coefficients, indices);
  }
  Held &find(const Stage &stage, const Access &access);
  Value read(const Stage &stage, const Access &access, ArrayRef<Value> indices);
  void write(unsigned number, ArrayRef<Value> results, ArrayRef<Value> indices);
  bool isStored(unsigned stage, unsigned output) const;
  SmallVector<Value> indicesOf(const Stage &stage, Value number);
  SmallVector<Value> runElement(const Pass &pass, Value number, ArrayRef<Value> sums);
  SmallVector<Value> runLastElement(const Pass &pass, Value number, ArrayRef<Value> sums);
  void run(const Pass &pass);
  Value combine(const Stage &stage, Value a, Value b) {
    return schedule::combine(builder, stage, *findCombiner(stage), a, b);
  }
  Value combineParts(const Stage &stage, Value part);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  Group &group;
  const Rows &rows;
  AddressOf addressOf;

  SmallVector<Pass> passes;
  unsigned passNumber = 0, step = 0; // where the emitter is
  int64_t threads = 0;
  int64_t steps = 0; // elements of a thread; 0: that many only the run knows, or too many to hold
  Value thread;
  SmallVector<Value> shared; // indices of the row
  std::vector<Held> held;
  llvm::DenseMap<Type, std::pair<Value, Value>> parts; // in shared memory
};

} // namespace

bool BlockRows::isMoving(const Stage &stage, const Access &access) const {
  for (unsigned i = group.sharedLoops; i < stage.numLoops(); ++i)
    if (!stage.extents[i].is(1) && !access.coefficients[i].isZero())
      return true;
  return false;
}

// A stage runs with those before it, unless it needs what they add up.
void BlockRows::formPasses() {
  auto readsSum = [&](const Stage &stage) {
    return llvm::any_of(passes.back().stages, [&](unsigned number) {
      const View &sum = group.stages[number].outputs[0].view;
      return rows.parts[number] == Rows::Sum &&
             llvm::any_of(llvm::concat<const Access>(stage.inputs, stage.outputs),
                          [&](const Access &access) { return sameMemory(access.view, sum); });
    });
  };
  for (auto [number, part] : llvm::enumerate(rows.parts)) {
    bool isSingle = part == Rows::Single;
    if (passes.empty() || isSingle || passes.back().isSingle || readsSum(group.stages[number]))
      passes.push_back({{}, isSingle});
    passes.back().stages.push_back(number);
  }
}

// Four elements for each thread, but at least a warp, or half a wave. Where threads have few
// elements and use them again, they hold them.
void BlockRows::chooseBlock() {
  constexpr int64_t least = 32, most = 512, each = 4, whereUnknown = 128;
  constexpr int64_t mostSteps = 16, mostCode = 1024;
  threads = whereUnknown;
  if (!rows.length.isStatic())
    return;
  int64_t wanted = llvm::PowerOf2Ceil(llvm::divideCeil(rows.length.constant, each));
  threads = std::clamp(wanted, least, most);
  int64_t perThread = llvm::divideCeil(rows.length.constant, threads);
  bool usesAgain = llvm::count_if(passes, [](const Pass &pass) { return !pass.isSingle; }) > 1;
  if (usesAgain && perThread <= mostSteps && perThread * group.codeSize <= mostCode)
    steps = perThread;
}

Held &BlockRows::find(const Stage &stage, const Access &access) {
  SmallVector<Size> coefficients;
  for (auto [extent, coefficient] : llvm::zip_equal(stage.extents, access.coefficients))
    if (!extent.is(1))
      coefficients.push_back(coefficient);
  while (!coefficients.empty() && coefficients.back().isZero())
    coefficients.pop_back();
  for (Held &known : held)
    if (sameMemory(known.view, access.view) && known.view.element == access.view.element &&
        known.coefficients == coefficients)
      return known;
  bool isElement = isMoving(stage, access);
  int64_t count = isElement ? std::max<int64_t>(steps, 1) : 1;
  held.push_back({access.view, coefficients, isElement, SmallVector<Value>(count)});
  return held.back();
}

Value BlockRows::read(const Stage &stage, const Access &access, ArrayRef<Value> indices) {
  Held &known = find(stage, access);
  Value &value = known.values[known.isElement ? step : 0];
  if (!value)
    value = memref::LoadOp::create(builder, loc,
                                   kernel.buffer(addressOf(access.view), access.view.element),
                                   place(access, indices));
  return value;
}

/// Whether anyone reads a result in memory: outside of the kernel, or in a later pass where threads
/// do not hold their elements.
bool BlockRows::isStored(unsigned number, unsigned output) const {
  const Stage &stage = group.stages[number];
  if (stage.storesOutput[output])
    return true;
  if (steps || rows.parts[number] != Rows::Elements)
    return false;
  for (const Pass &pass : ArrayRef(passes).drop_front(passNumber + 1))
    for (unsigned reader : pass.stages)
      for (const Access &input : group.stages[reader].inputs)
        if (sameMemory(input.view, stage.outputs[output].view))
          return true;
  return false;
}

void BlockRows::write(unsigned number, ArrayRef<Value> results, ArrayRef<Value> indices) {
  const Stage &stage = group.stages[number];
  auto store = [&](Value value, const Access &output) {
    memref::StoreOp::create(builder, loc, value,
                            kernel.buffer(addressOf(output.view), output.view.element),
                            place(output, indices));
  };
  for (auto [i, output, value] : llvm::enumerate(stage.outputs, results)) {
    Held &known = find(stage, output);
    known.values[known.isElement ? step : 0] = value;
    if (!isStored(number, i))
      continue;
    if (rows.parts[number] == Rows::Elements) {
      store(value, output);
      continue;
    }
    Value isFirst = compare(arith::CmpIPredicate::eq, thread, constant(0));
    auto choice = scf::IfOp::create(builder, loc, isFirst, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&choice.getThenRegion().front());
    store(value, output);
  }
}

SmallVector<Value> BlockRows::indicesOf(const Stage &stage, Value number) {
  SmallVector<Value> indices(shared);
  indices.append(kernel.split(number, ArrayRef(stage.extents).drop_front(shared.size())));
  return indices;
}

// Runs the stages of a pass for one element of the row; returns the sums with that.
SmallVector<Value> BlockRows::runElement(const Pass &pass, Value number, ArrayRef<Value> sums) {
  SmallVector<Value> next;
  for (unsigned stageNumber : pass.stages) {
    const Stage &stage = group.stages[stageNumber];
    SmallVector<Value> indices = indicesOf(stage, number);
    SmallVector<Value> operands;
    for (const Access &input : stage.inputs)
      operands.push_back(input.view.base ? read(stage, input, indices) : Value());
    if (rows.parts[stageNumber] == Rows::Sum) {
      operands.push_back(sums[next.size()]);
      next.push_back(emitBody(kernel, stage, operands, indices, 0, addressOf).front());
      continue;
    }
    for (auto [output, init, reads] :
         llvm::zip_equal(stage.outputs, stage.inits, stage.readsOutput))
      operands.push_back(!reads ? Value()
                         : init ? arith::ConstantOp::create(builder, loc, init).getResult()
                                : read(stage, output, indices));
    write(stageNumber, emitBody(kernel, stage, operands, indices, 0, addressOf), indices);
  }
  return next;
}

// The same for an element that only some of the threads have. What the others hold is never used.
SmallVector<Value> BlockRows::runLastElement(const Pass &pass, Value number, ArrayRef<Value> sums) {
  auto heldInStep = [&] {
    return llvm::map_to_vector(
        held, [&](const Held &known) { return known.isElement ? known.values[step] : Value(); });
  };
  SmallVector<Value> before = heldInStep();
  SmallVector<unsigned> changed;
  Value isThere = compare(arith::CmpIPredicate::ult, number, kernel.size(rows.length));
  auto choice = scf::IfOp::create(
      builder, loc, isThere,
      [&](OpBuilder &, Location) {
        SmallVector<Value> results = runElement(pass, number, sums);
        before.resize(held.size());
        for (auto [i, value] : llvm::enumerate(heldInStep()))
          if (value != before[i]) {
            changed.push_back(i);
            results.push_back(value);
          }
        scf::YieldOp::create(builder, loc, results);
      },
      [&](OpBuilder &, Location) {
        SmallVector<Value> results(sums);
        for (unsigned i : changed)
          results.push_back(
              arith::ConstantOp::create(builder, loc, builder.getZeroAttr(held[i].view.element)));
        scf::YieldOp::create(builder, loc, results);
      });
  for (auto [i, value] : llvm::zip_equal(changed, choice.getResults().drop_front(sums.size())))
    held[i].values[step] = value;
  return llvm::to_vector_of<Value>(choice.getResults().take_front(sums.size()));
}

// What all threads have together, known to each. Some of them combine a share of the parts each,
// then every thread combines what these have: fewer steps that wait than halves on halves.
Value BlockRows::combineParts(const Stage &stage, Value part) {
  auto combineEach = [&](Value memory, Value first, int64_t stride, int64_t count) {
    Value start = memref::LoadOp::create(builder, loc, memory, first);
    auto loop = scf::ForOp::create(builder, loc, constant(1), constant(count), constant(1), start);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value at = kernel.add(first, kernel.mul(loop.getInductionVar(), constant(stride)));
    Value next = memref::LoadOp::create(builder, loc, memory, at);
    scf::YieldOp::create(builder, loc, combine(stage, loop.getRegionIterArg(0), next));
    return loop.getResult(0);
  };
  auto share = [&](int64_t count) {
    return rt::SharedOp::create(builder, loc, MemRefType::get({count}, part.getType()));
  };
  // With one step, what is read must not be what the next sum overwrites.
  constexpr int64_t mostAtOnce = 32;
  if (threads <= mostAtOnce) {
    Value all = share(threads);
    memref::StoreOp::create(builder, loc, part, all, thread);
    rt::BarrierOp::create(builder, loc);
    return combineEach(all, constant(0), 1, threads);
  }
  // With two, each has the other's barrier between.
  int64_t few = int64_t(1) << ((llvm::Log2_64(threads) + 1) / 2);
  auto &[all, some] = parts[part.getType()];
  if (!all) {
    all = share(threads);
    some = share(few);
  }
  memref::StoreOp::create(builder, loc, part, all, thread);
  rt::BarrierOp::create(builder, loc);
  Value isOneOfFew = compare(arith::CmpIPredicate::ult, thread, constant(few));
  scf::IfOp::create(builder, loc, isOneOfFew, [&](OpBuilder &, Location) {
    memref::StoreOp::create(builder, loc, combineEach(all, thread, few, threads / few), some,
                            thread);
    scf::YieldOp::create(builder, loc);
  });
  rt::BarrierOp::create(builder, loc);
  return combineEach(some, constant(0), 1, few);
}

void BlockRows::run(const Pass &pass) {
  step = 0;
  if (pass.isSingle) {
    runElement(pass, constant(0), {});
    return;
  }
  // What a row has one of is read before the elements are, and before any thread writes it.
  struct Sum {
    unsigned stage;
    SmallVector<Value> indices;
    Value initial; // null: it counts already
  };
  SmallVector<Sum> found;
  SmallVector<Value> sums;
  for (unsigned number : pass.stages) {
    const Stage &stage = group.stages[number];
    SmallVector<Value> indices(shared);
    indices.resize(stage.numLoops());
    for (const Access &input : stage.inputs)
      if (input.view.base && !isMoving(stage, input))
        read(stage, input, indices);
    if (rows.parts[number] != Rows::Sum)
      continue;
    auto init = [&] { return arith::ConstantOp::create(builder, loc, stage.inits[0]); };
    Sum &sum = found.emplace_back(Sum{number, indices, Value()});
    if (TypedAttr neutral = findCombiner(stage)->neutral) {
      sum.initial = stage.inits[0] ? init().getResult() : read(stage, stage.outputs[0], indices);
      sums.push_back(arith::ConstantOp::create(builder, loc, neutral));
    } else {
      sums.push_back(init());
    }
  }
  for (; int64_t(step) < steps; ++step) {
    Value number = kernel.add(thread, constant(step * threads));
    bool haveAllThreads = (step + 1) * threads <= rows.length.constant;
    sums = haveAllThreads ? runElement(pass, number, sums) : runLastElement(pass, number, sums);
  }
  step = 0;
  if (!steps) {
    auto loop =
        scf::ForOp::create(builder, loc, thread, kernel.size(rows.length), constant(threads), sums);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next = runElement(pass, loop.getInductionVar(),
                                         llvm::to_vector_of<Value>(loop.getRegionIterArgs()));
    if (!next.empty())
      scf::YieldOp::create(builder, loc, next);
    sums = llvm::to_vector_of<Value>(loop.getResults());
    llvm::erase_if(held, [](const Held &known) { return known.isElement; });
  }
  for (auto [sum, part] : llvm::zip_equal(found, sums)) {
    const Stage &stage = group.stages[sum.stage];
    Value total = combineParts(stage, part);
    write(sum.stage, sum.initial ? combine(stage, sum.initial, total) : total, sum.indices);
  }
}

Work BlockRows::emit() {
  formPasses();
  chooseBlock();
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(threads));
  thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  shared = kernel.split(kernel.begin(),
                        ArrayRef(group.stages.front().extents).take_front(group.sharedLoops));
  for (; passNumber < passes.size(); ++passNumber)
    run(passes[passNumber]);
  Work work;
  work.count = rows.count;
  work.itemCost.add(Size(1));
  return work;
}

std::optional<Work> lathe::schedule::emitBlockRows(Kernel &kernel, Group &group,
                                                   AddressOf addressOf) {
  auto stages = llvm::map_to_vector(group.stages, [](const Stage &stage) { return &stage; });
  std::optional<Rows> rows = findRows(stages, group.sharedLoops);
  constexpr int64_t fewRows = 1024;
  if (!rows || rows->areShort() ||
      !(rows->liesTogether || (rows->count.isStatic() && rows->count.constant < fewRows)))
    return std::nullopt;
  keepInRegisters(group);
  collapseRows(group);
  return BlockRows(kernel, group, *rows, addressOf).emit();
}
