// Columns on a GPU: sums of what lies across rows of memory, as a vector by a matrix or a sum over
// the first dimension. Threads beside each other have columns beside each other, so that what they
// read at once lies together; the block's slices of threads share the rows of each column, and
// their parts are added up in shared memory. Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// Columns of a block. A warp of them, or half a wave.
constexpr int64_t width = 32;
/// So many results of a column a thread adds up at once: what it reads once, it uses for each.
constexpr int64_t mostRepeats = 8;
/// Steps of a thread whose reads are under way together.
constexpr int64_t ahead = 4;

class BlockColumns {
public:
  BlockColumns(Kernel &kernel, const Group &group, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group),
        root(group.stages.front()), addressOf(addressOf) {}
  bool choose();
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  int64_t repeats() const { return repeatLoop ? root.extents[*repeatLoop].constant : 1; }
  SmallVector<Value> indicesOf(int64_t repeat);
  SmallVector<Value> addUp(Value number, ArrayRef<Value> sums);
  SmallVector<Value> addUpSlice(Value slice, ArrayRef<Value> sums);
  Value combine(Value a, Value b) { return schedule::combine(builder, root, *combiner, a, b); }
  void finish(Value total, ArrayRef<Value> indices);
  Value loadResult(ArrayRef<Value> indices) {
    const Access &output = root.outputs[0];
    return memref::LoadOp::create(builder, loc,
                                  kernel.buffer(addressOf(output.view), output.view.element),
                                  kernel.linear(output.coefficients, indices));
  }

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  const Group &group;
  const Stage &root;
  AddressOf addressOf;

  std::optional<Combiner> combiner;
  unsigned columnLoop = 0;
  std::optional<unsigned> repeatLoop; // whose iterations use the same elements of the columns
  SmallVector<unsigned> depthLoops;
  Size depth = Size(1);
  int64_t slices = 8;
  SmallVector<Value> outer; // an index for each loop that the block has one of, and the column's
};

} // namespace

bool BlockColumns::choose() {
  constexpr int64_t leastColumns = 16, leastDepth = 32, most = 1 << 16;
  if (root.irregular || root.outputs.size() != 1 || !root.hasReduction() ||
      !(combiner = findCombiner(root)) || (!combiner->neutral && !root.inits[0]))
    return false;
  Size results(1);
  unsigned parallel = 0;
  for (unsigned i = 0; i < root.numLoops(); ++i) {
    if (root.reduction[i]) {
      depthLoops.push_back(i);
      depth = depth * root.extents[i];
    } else {
      results = results * root.extents[i];
      ++parallel;
    }
  }
  // The stages that follow compute one element of each result.
  if (!llvm::all_of(llvm::drop_begin(group.stages), [&](const Stage &stage) {
        return group.sharedLoops == parallel && stage.numLoops() == parallel &&
               !stage.hasReduction();
      }))
    return false;
  // Enough threads have a result each, and read what lies together as well.
  if ((depth.isStatic() && depth.constant < leastDepth) ||
      (results.isStatic() && results.constant >= most))
    return false;
  auto moves = [&](const Access &access, unsigned loop) {
    return access.view.base && !access.coefficients[loop].isZero();
  };
  auto movesInDepth = [&](const Access &access) {
    return llvm::any_of(depthLoops, [&](unsigned loop) { return moves(access, loop); });
  };
  // Along the columns all that moves lies together; along what is added up, nothing of that does.
  std::optional<unsigned> found;
  for (const Access &input : root.inputs)
    for (unsigned i = 0; i < root.numLoops(); ++i)
      if (!root.reduction[i] && moves(input, i) && input.coefficients[i].is(1) &&
          movesInDepth(input))
        found = i;
  if (!found || (root.extents[*found].isStatic() && root.extents[*found].constant < leastColumns))
    return false;
  columnLoop = *found;
  for (const Access &input : root.inputs)
    if (moves(input, columnLoop) &&
        (!input.coefficients[columnLoop].is(1) ||
         llvm::any_of(depthLoops, [&](unsigned loop) { return input.coefficients[loop].is(1); })))
      return false;
  for (unsigned i = 0; i < root.numLoops(); ++i) {
    const Size &extent = root.extents[i];
    bool isShared = !root.reduction[i] && i != columnLoop && extent.isStatic() &&
                    extent.constant > 1 && extent.constant <= mostRepeats;
    if (isShared && llvm::all_of(root.inputs, [&](const Access &input) {
          return !moves(input, columnLoop) || !moves(input, i);
        }))
      repeatLoop = i;
  }
  // Eight steps of a thread or more.
  if (depth.isStatic())
    slices = std::clamp<int64_t>(llvm::bit_floor(uint64_t(depth.constant) / 8), 4, 16);
  return true;
}

SmallVector<Value> BlockColumns::indicesOf(int64_t repeat) {
  SmallVector<Value> indices(outer);
  if (repeatLoop)
    indices[*repeatLoop] = constant(repeat);
  return indices;
}

// The sums with what the step of that number adds to each.
SmallVector<Value> BlockColumns::addUp(Value number, ArrayRef<Value> sums) {
  SmallVector<Size> extents;
  for (unsigned loop : depthLoops)
    extents.push_back(root.extents[loop]);
  SmallVector<Value> inDepth = kernel.split(number, extents), next;
  for (auto [repeat, sum] : llvm::enumerate(sums)) {
    SmallVector<Value> indices = indicesOf(repeat), operands;
    for (auto [loop, index] : llvm::zip_equal(depthLoops, inDepth))
      indices[loop] = index;
    for (const Access &input : root.inputs)
      operands.push_back(
          input.view.base
              ? memref::LoadOp::create(builder, loc,
                                       kernel.buffer(addressOf(input.view), input.view.element),
                                       kernel.linear(input.coefficients, indices))
                    .getResult()
              : Value());
    operands.push_back(sum);
    next.push_back(emitBody(kernel, root, operands, indices, 0, addressOf).front());
  }
  return next;
}

// Every so-manieth step from `slice` on, several of them at once as long as there are.
SmallVector<Value> BlockColumns::addUpSlice(Value slice, ArrayRef<Value> sums) {
  Value end = kernel.size(depth);
  auto loop = [&](Value begin, Value end, int64_t steps, ArrayRef<Value> before) {
    auto made = scf::ForOp::create(builder, loc, begin, end, constant(steps * slices), before);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(made.getBody());
    SmallVector<Value> next = llvm::to_vector_of<Value>(made.getRegionIterArgs());
    for (int64_t step = 0; step < steps; ++step)
      next = addUp(kernel.add(made.getInductionVar(), constant(step * slices)), next);
    scf::YieldOp::create(builder, loc, next);
    return llvm::to_vector_of<Value>(made.getResults());
  };
  // Whole rounds of all slices.
  Value round = constant(ahead * slices);
  Value whole = kernel.mul(arith::DivUIOp::create(builder, loc, end, round), round);
  SmallVector<Value> some = loop(slice, whole, ahead, sums);
  return loop(kernel.add(whole, slice), end, 1, some);
}

// Stores a sum, and goes on with what follows it.
void BlockColumns::finish(Value total, ArrayRef<Value> indices) {
  const Access &output = root.outputs[0];
  if (combiner->neutral)
    total =
        combine(root.inits[0] ? arith::ConstantOp::create(builder, loc, root.inits[0]).getResult()
                              : loadResult(indices),
                total);
  memref::StoreOp::create(builder, loc, total,
                          kernel.buffer(addressOf(output.view), output.view.element),
                          kernel.linear(output.coefficients, indices));
  SmallVector<Value> shared(indices.take_front(group.sharedLoops));
  for (const Stage &stage : llvm::drop_begin(group.stages))
    emitItem(kernel, stage, shared, addressOf);
}

Work BlockColumns::emit() {
  int64_t count = repeats();
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(width * slices));
  Value thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  Value lane = arith::RemUIOp::create(builder, loc, thread, constant(width));
  Value slice = arith::DivUIOp::create(builder, loc, thread, constant(width));

  // The block's columns are the fastest of what blocks are counted by.
  Work work;
  SmallVector<unsigned> otherLoops;
  SmallVector<Size> others;
  for (unsigned i = 0; i < root.numLoops(); ++i)
    if (!root.reduction[i] && i != columnLoop && i != repeatLoop) {
      otherLoops.push_back(i);
      others.push_back(root.extents[i]);
      work.count = work.count * root.extents[i];
    }
  work.ceilings = {{root.extents[columnLoop], width}};
  work.itemCost.add(Size(1));
  Value columns = kernel.size(root.extents[columnLoop]);
  Value blocks = arith::CeilDivUIOp::create(builder, loc, columns, constant(width));
  outer.assign(root.numLoops(), Value());
  Value column = kernel.add(
      kernel.mul(arith::RemUIOp::create(builder, loc, kernel.begin(), blocks), constant(width)),
      lane);
  outer[columnLoop] = column;
  Value rest = arith::DivUIOp::create(builder, loc, kernel.begin(), blocks);
  for (auto [loop, index] : llvm::zip_equal(otherLoops, kernel.split(rest, others)))
    outer[loop] = index;

  Type element = root.outputs[0].view.element;
  TypedAttr start = combiner->neutral ? combiner->neutral : root.inits[0];
  SmallVector<Value> sums(count, arith::ConstantOp::create(builder, loc, start));
  Value isThere = less(column, columns);
  auto choice = scf::IfOp::create(
      builder, loc, isThere,
      [&](OpBuilder &, Location) { scf::YieldOp::create(builder, loc, addUpSlice(slice, sums)); },
      [&](OpBuilder &, Location) { scf::YieldOp::create(builder, loc, sums); });

  // A part for each slice and result, columns together.
  Value parts =
      rt::SharedOp::create(builder, loc, MemRefType::get({slices * count * width}, element));
  auto place = [&](Value slice, Value repeat) {
    Value row = kernel.add(kernel.mul(slice, constant(count)), repeat);
    return kernel.add(kernel.mul(row, constant(width)), lane);
  };
  for (auto [repeat, sum] : llvm::enumerate(choice.getResults()))
    memref::StoreOp::create(builder, loc, sum, parts, place(slice, constant(repeat)));
  rt::BarrierOp::create(builder, loc);
  // Some of the slices add up what all have.
  for (int64_t first = 0; first < count; first += slices) {
    Value repeat = kernel.add(slice, constant(first));
    Value isMine = arith::AndIOp::create(builder, loc, isThere, less(repeat, constant(count)));
    auto mine = scf::IfOp::create(builder, loc, isMine, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&mine.getThenRegion().front());
    Value total = memref::LoadOp::create(builder, loc, parts, place(constant(0), repeat));
    for (int64_t other = 1; other < slices; ++other)
      total = combine(total,
                      memref::LoadOp::create(builder, loc, parts, place(constant(other), repeat)));
    SmallVector<Value> indices(outer);
    if (repeatLoop)
      indices[*repeatLoop] = repeat;
    finish(total, indices);
  }
  return work;
}

std::optional<Work> lathe::schedule::emitBlockColumns(Kernel &kernel, const Group &group,
                                                      AddressOf addressOf) {
  BlockColumns emitter(kernel, group, addressOf);
  if (!emitter.choose())
    return std::nullopt;
  return emitter.emit();
}
