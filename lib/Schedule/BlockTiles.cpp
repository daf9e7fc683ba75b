// Products on a GPU: the threads of a block compute a tile of results together, from parts of both
// operands that they bring into shared memory. Convolutions are products of the same kind: rows,
// columns and what is added up are each several loops counted as one.
// Apache-2.0 WITH LLVM-exception
#include "GroupProducts.h"
#include "KernelBuilder.h"
#include "TensorParts.h"
#include "WarpOperand.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

class BlockTiles {
public:
  BlockTiles(Kernel &kernel, const Group &group, const TargetInfo &target, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group),
        root(group.stages.front()), target(target), addressOf(addressOf) {}

  bool choose();
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  /// Where the part of an operand begins that is number `slot` of those in shared memory.
  Value beginOf(unsigned input, Value slot) {
    return kernel.mul(slot, constant(tile.parts[input].elements()));
  }
  /// Where a row or column is in a part, at a position in what is added up.
  Value placeIn(unsigned input, Value across, Value along) {
    return lathe::schedule::placeIn(kernel, tile.parts[input], across, along);
  }
  Value rem(Value a, Value b) { return arith::RemUIOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivUIOp::create(builder, loc, a, b); }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  /// Not so those that bring the parts.
  Value hasSums() { return less(thread, constant(tile.threads)); }
  Value ceilDiv(const Size &size, int64_t divisor) {
    return div(kernel.add(kernel.size(size), constant(divisor - 1)), constant(divisor));
  }
  void placeThreads();
  void placeResults();
  SmallVector<Value> loadFactors(unsigned input, int64_t depthBegin);
  SmallVector<Value> multiplyByUnit(ArrayRef<Value> sums);
  void share();
  Value viewShared(int64_t byte, int64_t length, Type element);
  void bring(Value slot, Value depthBegin);
  SmallVector<Value> addUp(ArrayRef<Value> sums);
  SmallVector<Value> addUpTensors(ArrayRef<Value> sums);
  SmallVector<Value> multiply(Value slot, Value depthBegin, ArrayRef<Value> sums);
  SmallVector<Value> initials();
  int64_t countTogether();
  Value resultBuffer(const View &view);
  void emitFollowing(Value sum, ArrayRef<Value> indices);
  void forEachResult(llvm::function_ref<void(Value, ArrayRef<Value>)> body);
  void finish(ArrayRef<Value> sums);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  const Group &group;
  const Stage &root;
  const TargetInfo &target;
  AddressOf addressOf;
  JoinedLoops batch, rows, columns, depth;
  BlockTile tile;
  const MatrixUnit *unit = nullptr; // null: each thread multiplies for itself
  std::optional<GroupProducts> products;
  std::optional<TensorStages> stages; // where a warp of its own brings the parts
  /// Of the thread, or of its warp and the lane in it.
  Value thread, threadRow, threadColumn, lane, firstRow, firstColumn;
  Value sumsPart;                           // the tile of results in shared memory, over the parts
  SmallVector<Value> places;                // there, of each result of the thread
  Value memory;                             // that the block shares
  SmallVector<Value, 2> shared;             // the parts of the operands, those of all stages
  SmallVector<Value, 2> begins;             // where in there those begin that are multiplied
  SmallVector<WarpOperand, 2> warpOperands; // and what of these is the warp's
  SmallVector<bool> stores;                 // of each stage, whether anyone else reads its results
  SmallVector<Value> outer;                 // an index for each loop that the block has one of
};

} // namespace

bool BlockTiles::choose() {
  if (!joinLoops(root, batch, rows, columns, depth))
    return false;
  // The stages that follow run over the same results.
  if (group.stages.size() > 1 &&
      group.sharedLoops != batch.loops.size() + rows.loops.size() + columns.loops.size())
    return false;
  // What is narrow is not worth a block.
  constexpr int64_t least = 8;
  if (!rows.isAtLeast(least) || !columns.isAtLeast(least) || !depth.isAtLeast(least))
    return false;
  tile = chooseBlockTile(root, batch, rows, columns, depth, target);
  unit = tile.unit;
  return true;
}

Value BlockTiles::viewShared(int64_t byte, int64_t length, Type element) {
  return memref::ViewOp::create(builder, loc, MemRefType::get({length}, element), memory,
                                constant(byte), ValueRange{});
}

// The memory of the block: the parts of all stages, of the left operand and then of the right one;
// where these were, the sums.
void BlockTiles::share() {
  Type sum = root.outputs[0].view.element;
  int64_t bytes = llvm::alignTo(tile.partsBytes(root), BlockTile::barrierBytes);
  auto type = MemRefType::get({bytes + tile.barriersBytes()}, builder.getI8Type());
  // Swizzles repeat after as much.
  constexpr int64_t alignment = 1024;
  memory = rt::SharedOp::create(
      builder, loc, type, tile.isOfGroups() ? builder.getI64IntegerAttr(alignment) : IntegerAttr());
  for (unsigned input : {0u, 1u})
    shared.push_back(viewShared(input == 0 ? 0 : tile.stages * tile.bytesOfPart(root, 0),
                                tile.stages * tile.parts[input].elements(),
                                root.inputs[input].view.element));
  sumsPart = viewShared(0, tile.rows * tile.sumsRow, sum);
  if (tile.bringsTensors)
    stages.emplace(kernel, root, tile, addressOf, batch, depth, thread,
                   viewShared(bytes, 2 * tile.stages, builder.getI64Type()));
}

// Brings a part of both operands, from `depthBegin` on, into shared memory.
void BlockTiles::bring(Value slot, Value depthBegin) {
  for (unsigned input : {0u, 1u}) {
    PartEmitter emitter{kernel,
                        root,
                        addressOf,
                        input,
                        input == 0 ? rows : columns,
                        depth,
                        tile.parts[input],
                        tile.threads,
                        thread,
                        shared[input],
                        outer};
    emitter.bring(input == 0 ? firstRow : firstColumn, depthBegin, beginOf(input, slot));
  }
}

// Adds the products of the parts in shared memory to the sums.
SmallVector<Value> BlockTiles::multiply(Value slot, Value depthBegin, ArrayRef<Value> sums) {
  if (products)
    return {products->begin(slot, sums.front())};
  if (unit)
    return multiplyByUnit(sums);
  Value end = constant(tile.depth);
  if (!depth.extent.isStatic() || depth.extent.constant % tile.depth != 0) {
    Value rest = arith::SubIOp::create(builder, loc, kernel.size(depth.extent), depthBegin);
    end = arith::MinUIOp::create(builder, loc, end, rest);
  }
  auto loop = scf::ForOp::create(builder, loc, constant(0), end, constant(1), sums);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> indices(root.numLoops(), constant(0));
  auto load = [&](unsigned input, Value at) -> Value {
    Value place = kernel.add(begins[input], placeIn(input, at, loop.getInductionVar()));
    return memref::LoadOp::create(builder, loc, shared[input], place);
  };
  SmallVector<Value> lefts, rights;
  for (int64_t i = 0; i < tile.rows; i += tile.grid)
    lefts.push_back(load(0, kernel.add(threadRow, constant(i))));
  for (int64_t i = 0; i < tile.columns; i += tile.grid)
    rights.push_back(load(1, kernel.add(threadColumn, constant(i))));
  SmallVector<Value> next;
  for (Value a : lefts)
    for (Value b : rights)
      next.push_back(
          emitBody(kernel, root, {a, b, loop.getRegionIterArg(next.size())}, indices, 0, addressOf)
              .front());
  scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(loop.getResults());
}

// The fragments of an operand that the warp multiplies at once; 8-bit floats are bytes in memory.
SmallVector<Value> BlockTiles::loadFactors(unsigned input, int64_t depthBegin) {
  SmallVector<Value> fragments = warpOperands[input].load(begins[input], depthBegin);
  Type factor = input == 0 ? tile.product.left : tile.product.right;
  for (Value &fragment : fragments)
    if (auto type = cast<VectorType>(fragment.getType()); type.getElementType() != factor)
      fragment = arith::BitcastOp::create(builder, loc, type.clone(factor), fragment);
  return fragments;
}

// Each warp for its pieces of the tile. What lies beyond the operands is zero in shared memory.
SmallVector<Value> BlockTiles::multiplyByUnit(ArrayRef<Value> sums) {
  SmallVector<Value> next(sums);
  for (int64_t k = 0; k < tile.depth; k += unit->depth) {
    SmallVector<Value> lefts = loadFactors(0, k), rights = loadFactors(1, k);
    unsigned number = 0;
    for (Value a : lefts)
      for (Value b : rights) {
        next[number] = rt::MultiplyMatricesOp::create(
            builder, loc, next[number].getType(), unit->name, a, b, next[number],
            tile.product.leftUnsigned, tile.product.rightUnsigned);
        ++number;
      }
  }
  return next;
}

// Where the thread, or its warp, stands in the tile.
void BlockTiles::placeThreads() {
  thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  if (!unit) {
    threadColumn = rem(thread, constant(tile.grid));
    threadRow = div(thread, constant(tile.grid));
    return;
  }
  lane = rem(thread, constant(unit->lanes));
  Value warp = div(thread, constant(unit->lanes));
  int64_t across = tile.columns / tile.warpColumns;
  threadColumn = kernel.mul(rem(warp, constant(across)), constant(tile.warpColumns));
  threadRow = kernel.mul(div(warp, constant(across)), constant(tile.warpRows));
}

// Where the results of the thread lie in the tile of sums, in the order of its sums.
void BlockTiles::placeResults() {
  auto add = [&](Value row, Value column) {
    places.push_back(kernel.add(kernel.mul(row, constant(tile.sumsRow)), column));
  };
  if (!unit) {
    for (int64_t i = 0; i < tile.rows; i += tile.grid)
      for (int64_t j = 0; j < tile.columns; j += tile.grid)
        add(kernel.add(threadRow, constant(i)), kernel.add(threadColumn, constant(j)));
    return;
  }
  for (int64_t i = 0; i < tile.warpRows; i += unit->rows)
    for (int64_t j = 0; j < tile.warpColumns; j += unit->columns)
      for (unsigned e = 0; e < unit->sums.size(); ++e)
        add(laneCoordinate(kernel, lane, unit->sums.across, e, i, threadRow),
            laneCoordinate(kernel, lane, unit->sums.along, e, j, threadColumn));
}

// How many results beside each other a thread has at once, so that its stores are of 16 bytes.
int64_t BlockTiles::countTogether() {
  const Size &extent = root.extents[columns.loops.back()];
  int64_t count = 1;
  for (const Stage &stage : group.stages) {
    const Access &output = stage.outputs[0];
    if (stage.numLoops() <= columns.loops.back() ||
        !output.coefficients[columns.loops.back()].is(1))
      return 1;
    unsigned bits = std::max(8u, output.view.element.getIntOrFloatBitWidth());
    count = std::max<int64_t>(count, 128 / bits);
  }
  return extent.isStatic() && extent.constant % count == 0 ? count : 1;
}

// Runs `body` for the place in the tile of each result that is there, and its indices, in an order
// in which threads beside each other have results that lie together.
void BlockTiles::forEachResult(llvm::function_ref<void(Value, ArrayRef<Value>)> body) {
  const Access &output = root.outputs[0];
  bool columnsAreFastest = output.coefficients[columns.loops.back()].is(1) ||
                           !output.coefficients[rows.loops.back()].is(1);
  int64_t together = columnsAreFastest ? countTogether() : 1;
  auto loop =
      scf::ForOp::create(builder, loc, thread, constant(tile.rows * tile.columns / together),
                         constant(tile.threadsOfBlock()));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value number = loop.getInductionVar();
  Value fastest = constant(columnsAreFastest ? tile.columns / together : tile.rows);
  Value low = kernel.mul(rem(number, fastest), constant(together)), high = div(number, fastest);
  Value inRow = columnsAreFastest ? high : low, inColumn = columnsAreFastest ? low : high;
  Value row = kernel.add(firstRow, inRow), column = kernel.add(firstColumn, inColumn);
  Value isThere = arith::AndIOp::create(builder, loc, less(row, kernel.size(rows.extent)),
                                        less(column, kernel.size(columns.extent)));
  auto choice = scf::IfOp::create(builder, loc, isThere, /*withElseRegion=*/false);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  SmallVector<Value> indices(outer);
  spread(kernel, root, rows, row, indices);
  spread(kernel, root, columns, column, indices);
  Value place = kernel.add(kernel.mul(inRow, constant(tile.sumsRow)), inColumn);
  Value &last = indices[columns.loops.back()];
  for (int64_t i = 0; i < together; ++i) {
    body(kernel.add(place, constant(i)), indices);
    last = kernel.add(last, constant(1));
  }
}

// What the sums begin with, from memory where that is not a constant.
SmallVector<Value> BlockTiles::initials() {
  const Access &output = root.outputs[0];
  Type element = output.view.element;
  TypedAttr init = root.inits[0];
  if (!root.readsOutput[0])
    init = cast<TypedAttr>(builder.getZeroAttr(element));
  int64_t inVector = unit ? tile.sumsOfVector() : 1;
  auto type = VectorType::get({inVector}, element);
  SmallVector<Value> values;
  if (init && unit) {
    auto splat = DenseElementsAttr::get(type, ArrayRef<Attribute>(init));
    return SmallVector<Value>(places.size() / inVector,
                              arith::ConstantOp::create(builder, loc, splat));
  }
  if (init) {
    values.assign(places.size(), arith::ConstantOp::create(builder, loc, init));
  } else {
    Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(element));
    for (Value place : places)
      memref::StoreOp::create(builder, loc, zero, sumsPart, place);
    rt::BarrierOp::create(builder, loc);
    Value buffer = kernel.buffer(addressOf(output.view), element);
    forEachResult([&](Value place, ArrayRef<Value> indices) {
      Value value =
          memref::LoadOp::create(builder, loc, buffer, kernel.linear(output.coefficients, indices));
      memref::StoreOp::create(builder, loc, value, sumsPart, place);
    });
    rt::BarrierOp::create(builder, loc);
    for (Value place : places)
      values.push_back(memref::LoadOp::create(builder, loc, sumsPart, place));
    rt::BarrierOp::create(builder, loc); // parts come to the same place
  }
  if (!unit)
    return values;
  SmallVector<Value> vectors;
  for (ArrayRef<Value> rest = values; !rest.empty(); rest = rest.drop_front(inVector))
    vectors.push_back(
        vector::FromElementsOp::create(builder, loc, type, rest.take_front(inVector)));
  return vectors;
}

// Stores the sums, by way of shared memory, and goes on with what follows each.
void BlockTiles::finish(ArrayRef<Value> sums) {
  int64_t inVector = unit ? tile.sumsOfVector() : 1;
  {
    OpBuilder::InsertionGuard guard(builder);
    if (stages) {
      auto multiplies = scf::IfOp::create(builder, loc, hasSums(), /*withElseRegion=*/false);
      builder.setInsertionPointToStart(&multiplies.getThenRegion().front());
    }
    for (auto [number, place] : llvm::enumerate(places)) {
      Value sum = unit ? vector::ExtractOp::create(builder, loc, sums[number / inVector],
                                                   int64_t(number % inVector))
                             .getResult()
                       : sums[number];
      memref::StoreOp::create(builder, loc, sum, sumsPart, place);
    }
  }
  rt::BarrierOp::create(builder, loc);
  Group kept = group;
  keepInRegisters(kept);
  stores.clear();
  for (const Stage &stage : kept.stages)
    stores.push_back(stage.storesOutput[0]);
  forEachResult([&](Value place, ArrayRef<Value> indices) {
    emitFollowing(memref::LoadOp::create(builder, loc, sumsPart, place), indices);
  });
}

// The memory of a view, of which it is said where it begins, so that neighbours are read and stored
// at once.
Value BlockTiles::resultBuffer(const View &view) {
  Value buffer = kernel.buffer(addressOf(view), view.element);
  constexpr int64_t alignment = 16;
  int64_t offset = view.constantOffset * (view.element.getIntOrFloatBitWidth() / 8);
  if (hasAlignedBase(view) && offset % alignment == 0)
    buffer = memref::AssumeAlignmentOp::create(builder, loc, buffer, alignment);
  return buffer;
}

// One sum and what follows it, which stays in registers where only the group reads it.
void BlockTiles::emitFollowing(Value sum, ArrayRef<Value> indices) {
  ArrayRef<Value> shared = indices.take_front(group.sharedLoops);
  bool isPlain = llvm::all_of(llvm::drop_begin(group.stages), [&](const Stage &stage) {
    return stage.numLoops() == group.sharedLoops && stage.outputs.size() == 1 &&
           !stage.readsOutput[0] && !stage.irregular;
  });
  SmallVector<Value> results{sum};
  auto store = [&](const Access &output, Value value, ArrayRef<Value> at) {
    memref::StoreOp::create(builder, loc, value, resultBuffer(output.view),
                            kernel.linear(output.coefficients, at));
  };
  if (!isPlain || stores[0])
    store(root.outputs[0], sum, indices);
  for (auto [number, stage] : llvm::enumerate(group.stages)) {
    if (number == 0)
      continue;
    if (!isPlain) {
      emitItem(kernel, stage, shared, addressOf);
      continue;
    }
    SmallVector<Value> operands;
    for (const Access &input : stage.inputs) {
      Value operand;
      if (input.view.base) {
        for (size_t other = 0; other < number; ++other)
          if (sameMemory(group.stages[other].outputs[0].view, input.view))
            operand = results[other];
        if (!operand)
          operand = memref::LoadOp::create(builder, loc, resultBuffer(input.view),
                                           kernel.linear(input.coefficients, shared));
      }
      operands.push_back(operand);
    }
    operands.push_back(Value());
    results.push_back(emitBody(kernel, stage, operands, shared, 0, addressOf).front());
    if (stores[number])
      store(stage.outputs[0], results.back(), shared);
  }
}

// Multiplies one part of the operands after the other. With several stages parts are on their way
// while another is multiplied, the next of them the longest; where nothing is left to bring, a
// group of copies is empty, so that the same number is always under way.
SmallVector<Value> BlockTiles::addUp(ArrayRef<Value> sums) {
  bool copies = tile.parts[0].chunk || tile.parts[1].chunk;
  int64_t ahead = tile.ahead();
  Value depthExtent = kernel.size(depth.extent);
  auto bringIfThere = [&](Value slot, Value begin) {
    OpBuilder::InsertionGuard guard(builder);
    auto isThere = scf::IfOp::create(builder, loc, less(begin, depthExtent),
                                     /*withElseRegion=*/false);
    builder.setInsertionPointToStart(&isThere.getThenRegion().front());
    bring(slot, begin);
  };
  for (int64_t i = 0; i < ahead; ++i) {
    bringIfThere(constant(i), constant(i * tile.depth));
    rt::CommitCopiesOp::create(builder, loc);
  }
  SmallVector<Value> carried(sums);
  carried.push_back(constant(0)); // the slot of the part to multiply
  auto loop =
      scf::ForOp::create(builder, loc, constant(0), depthExtent, constant(tile.depth), carried);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value begin = loop.getInductionVar(), slot = loop.getRegionIterArgs().back();
    auto slotAfter = [&](int64_t count) -> Value {
      Value isBefore = less(slot, constant(tile.stages - count));
      Value wrapped = arith::SubIOp::create(builder, loc, slot, constant(tile.stages - count));
      return arith::SelectOp::create(builder, loc, isBefore, kernel.add(slot, constant(count)),
                                     wrapped);
    };
    // Those of the slot that has been free the longest.
    auto bringNext = [&] {
      bringIfThere(slotAfter(ahead), kernel.add(begin, constant(ahead * tile.depth)));
      rt::CommitCopiesOp::create(builder, loc);
    };
    if (ahead == 0)
      bring(slot, begin);
    if (copies) {
      if (ahead == 0)
        rt::CommitCopiesOp::create(builder, loc);
      rt::WaitCopiesOp::create(builder, loc, std::max<int64_t>(0, ahead - 1));
    }
    if (products)
      rt::FenceSharedOp::create(builder, loc);
    rt::BarrierOp::create(builder, loc);
    // All threads are through with the slot before; groups of warps are with the one before that,
    // and go on with their products while the threads begin to copy.
    if (ahead > 0 && !products)
      bringNext();
    begins = {beginOf(0, slot), beginOf(1, slot)};
    SmallVector<Value> results =
        multiply(slot, begin, SmallVector<Value>(loop.getRegionIterArgs().drop_back()));
    if (products) {
      bringNext();
      products->wait(1);
    }
    if (ahead == 0)
      rt::BarrierOp::create(builder, loc);
    results.push_back(ahead > 0 ? slotAfter(1) : slot);
    scf::YieldOp::create(builder, loc, results);
  }
  SmallVector<Value> results(loop.getResults().drop_back());
  if (products)
    results = {products->finish(results.front())};
  if (ahead > 0)
    rt::BarrierOp::create(builder, loc); // the sums come to the place of the parts
  return results;
}

// A warp fills one stage after the other, the others multiply what is in them. Each waits for the
// other by the barriers of the stages alone, and all meet behind the last step. A stage is empty
// when the products behind its own have begun and its own are done.
SmallVector<Value> BlockTiles::addUpTensors(ArrayRef<Value> sums) {
  rt::BarrierOp::create(builder, loc); // all know of the barriers of the stages
  auto roles = scf::IfOp::create(builder, loc, TypeRange(ValueRange(sums)), hasSums(),
                                 /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&roles.getElseRegion().front());
    Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, thread,
                                          constant(tile.threads));
    auto first = scf::IfOp::create(builder, loc, isFirst, /*withElseRegion=*/false);
    scf::YieldOp::create(builder, loc, sums);
    builder.setInsertionPointToStart(&first.getThenRegion().front());
    stages->fill({{rows, shared[0], firstRow}, {columns, shared[1], firstColumn}}, outer);
  }
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&roles.getThenRegion().front());
    // The slot, its parity, and the slot before.
    auto loop = scf::ForOp::create(builder, loc, constant(0), kernel.size(depth.extent),
                                   constant(tile.depth),
                                   ValueRange{sums.front(), constant(0), constant(0), constant(0)});
    {
      OpBuilder::InsertionGuard inner(builder);
      builder.setInsertionPointToStart(loop.getBody());
      auto carried = loop.getRegionIterArgs();
      Value slot = carried[1], parity = carried[2];
      stages->waitFull(slot, parity);
      Value next = products->begin(slot, carried[0]);
      products->wait(1);
      stages->release(carried[3], less(constant(0), loop.getInductionVar()));
      auto [after, afterParity] = stages->next(slot, parity);
      scf::YieldOp::create(builder, loc, ValueRange{next, after, afterParity, slot});
    }
    scf::YieldOp::create(builder, loc, products->finish(loop.getResult(0)));
  }
  rt::BarrierOp::create(builder, loc); // the sums come to the place of the parts
  return SmallVector<Value>(roles.getResults());
}

Work BlockTiles::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(tile.threadsOfBlock()));
  placeThreads();
  share();
  if (tile.isOfGroups())
    products.emplace(kernel, tile, root.inputs[0].view.element, thread, shared);
  else if (unit) {
    warpOperands.emplace_back(kernel, *unit, /*isLeft=*/true, tile.parts[0], shared[0], lane,
                              threadRow, tile.warpRows / unit->rows);
    warpOperands.emplace_back(kernel, *unit, /*isLeft=*/false, tile.parts[1], shared[1], lane,
                              threadColumn, tile.warpColumns / unit->columns);
  }
  // Blocks that follow each other have the same columns.
  Value rest = kernel.begin();
  Value rowTiles = ceilDiv(rows.extent, tile.rows),
        columnTiles = ceilDiv(columns.extent, tile.columns);
  firstRow = kernel.mul(rem(rest, rowTiles), constant(tile.rows));
  rest = div(rest, rowTiles);
  firstColumn = kernel.mul(rem(rest, columnTiles), constant(tile.columns));
  rest = div(rest, columnTiles);
  outer.assign(root.numLoops(), Value());
  spread(kernel, root, batch, rest, outer);

  placeResults();
  finish(stages ? addUpTensors(initials()) : addUp(initials()));

  Work work;
  work.count = batch.extent;
  work.ceilings = {{rows.extent, tile.rows}, {columns.extent, tile.columns}};
  work.itemCost.add(Size(1));
  return work;
}

std::optional<Work> lathe::schedule::emitBlockTiles(Kernel &kernel, const Group &group,
                                                    const TargetInfo &target, AddressOf addressOf) {
  BlockTiles emitter(kernel, group, target, addressOf);
  if (!emitter.choose())
    return std::nullopt;
  return emitter.emit();
}
