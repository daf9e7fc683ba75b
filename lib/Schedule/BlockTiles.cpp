// Products on a GPU: the threads of a block compute a tile of results together, from parts of both
// operands that they bring into shared memory. Convolutions are products of the same kind: rows,
// columns and what is added up are each several loops counted as one.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// Several loops counted as one, the last of them fastest.
struct JoinedLoops {
  SmallVector<unsigned> loops;
  Size extent;

  void add(unsigned loop, const Size &size) {
    loops.push_back(loop);
    extent = extent * size;
  }
  bool isAtLeast(int64_t size) const { return !extent.isStatic() || extent.constant >= size; }
};

/// The tile of a block, and how its threads share it: `threads` rows by `threads` columns of them,
/// each with every such row and column of the tile.
struct BlockTile {
  static constexpr int64_t threads = 16;
  int64_t rows = 64, columns = 64, depth = 16;

  int64_t blockThreads() const { return threads * threads; }
};

class BlockTiles {
public:
  BlockTiles(Kernel &kernel, const Group &group, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group),
        root(group.stages.front()), addressOf(addressOf) {}

  bool choose();
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  Value rem(Value a, Value b) { return arith::RemUIOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivUIOp::create(builder, loc, a, b); }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  Value ceilDiv(const Size &size, int64_t divisor) {
    return div(kernel.add(kernel.size(size), constant(divisor - 1)), constant(divisor));
  }
  void spread(const JoinedLoops &joined, Value number, MutableArrayRef<Value> indices);
  Value loadIf(Value isThere, Value buffer, llvm::function_ref<Value()> place);
  Value sharedTile(Type element, int64_t rows);
  void fill(unsigned input, Value tile, const JoinedLoops &across, Value first, int64_t size,
            Value depthBegin);
  SmallVector<Value> multiply(Value depthBegin, ArrayRef<Value> sums);
  SmallVector<Value> initials();
  void finish(ArrayRef<Value> sums);
  void forEachResult(llvm::function_ref<void(unsigned, ArrayRef<Value>)> body);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  const Group &group;
  const Stage &root;
  AddressOf addressOf;
  JoinedLoops batch, rows, columns, depth;
  BlockTile tile;
  Value thread, threadRow, threadColumn, firstRow, firstColumn;
  Value left, right; // the shared parts of the operands
  SmallVector<Value> outer; // an index for each loop that the block has one of
};

} // namespace

// Which loops are the rows of the left operand, which the columns of the right one.
bool BlockTiles::choose() {
  if (root.irregular || root.inputs.size() != 2 || root.outputs.size() != 1 ||
      !root.hasReduction() || !root.inputs[0].view.base || !root.inputs[1].view.base)
    return false;
  for (unsigned i = 0; i < root.numLoops(); ++i) {
    bool inLeft = !root.inputs[0].coefficients[i].isZero();
    bool inRight = !root.inputs[1].coefficients[i].isZero();
    (root.reduction[i]   ? depth
     : inLeft == inRight ? batch
     : inLeft            ? rows
                         : columns)
        .add(i, root.extents[i]);
  }
  // The stages that follow run over the same results.
  if (group.stages.size() > 1 && group.sharedLoops != batch.loops.size() + rows.loops.size() +
                                                          columns.loops.size())
    return false;
  // What is narrow is not worth a block.
  constexpr int64_t least = 8;
  if (!rows.isAtLeast(least) || !columns.isAtLeast(least) || !depth.isAtLeast(least))
    return false;
  for (int64_t size : {16, 32})
    if (rows.extent.isStatic() && rows.extent.constant <= size) {
      tile.rows = size;
      break;
    }
  return true;
}

void BlockTiles::spread(const JoinedLoops &joined, Value number, MutableArrayRef<Value> indices) {
  for (unsigned i = joined.loops.size(); i-- > 0;) {
    unsigned loop = joined.loops[i];
    if (root.extents[loop].is(1)) {
      indices[loop] = constant(0);
    } else if (i == 0) {
      indices[loop] = number;
    } else {
      Value extent = kernel.size(root.extents[loop]);
      indices[loop] = rem(number, extent);
      number = div(number, extent);
    }
  }
}

// What `buffer` has at a place, or zero.
Value BlockTiles::loadIf(Value isThere, Value buffer, llvm::function_ref<Value()> place) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto choice = scf::IfOp::create(builder, loc, element, isThere, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  Value value = memref::LoadOp::create(builder, loc, buffer, place());
  scf::YieldOp::create(builder, loc, value);
  builder.setInsertionPointToStart(&choice.getElseRegion().front());
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(element));
  scf::YieldOp::create(builder, loc, zero);
  return choice.getResult(0);
}

Value BlockTiles::sharedTile(Type element, int64_t size) {
  return rt::SharedOp::create(builder, loc, MemRefType::get({size * tile.depth}, element));
}

// Brings `size` rows (of the left operand) or columns from `first` on into `part`, zeros for those
// that are not there: [depth][size], so that neighbours among the threads read neighbours.
void BlockTiles::fill(unsigned input, Value part, const JoinedLoops &across, Value first,
                       int64_t size, Value depthBegin) {
  const Access &access = root.inputs[input];
  // Threads that follow each other read what lies together.
  bool depthIsFastest =
      access.coefficients[depth.loops.back()].is(1) && !access.coefficients[across.loops.back()].is(1);
  Value acrossExtent = kernel.size(across.extent), depthExtent = kernel.size(depth.extent);
  Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
  auto loop = scf::ForOp::create(builder, loc, thread, constant(size * tile.depth),
                                 constant(tile.blockThreads()));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value number = loop.getInductionVar();
  Value fastest = constant(depthIsFastest ? tile.depth : size);
  Value low = rem(number, fastest), high = div(number, fastest);
  Value inDepth = depthIsFastest ? low : high, inAcross = depthIsFastest ? high : low;
  Value depthNumber = kernel.add(depthBegin, inDepth), acrossNumber = kernel.add(first, inAcross);
  Value isThere = arith::AndIOp::create(builder, loc, less(depthNumber, depthExtent),
                                        less(acrossNumber, acrossExtent));
  SmallVector<Value> indices(outer);
  Value value = loadIf(isThere, buffer, [&] {
    spread(across, acrossNumber, indices);
    spread(depth, depthNumber, indices);
    return kernel.linear(access.coefficients, indices);
  });
  memref::StoreOp::create(builder, loc, value, part,
                          kernel.add(kernel.mul(inDepth, constant(size)), inAcross));
}

// Adds the products of the parts in shared memory to the sums.
SmallVector<Value> BlockTiles::multiply(Value depthBegin, ArrayRef<Value> sums) {
  Value end = constant(tile.depth);
  if (!depth.extent.isStatic() || depth.extent.constant % tile.depth != 0) {
    Value rest = arith::SubIOp::create(builder, loc, kernel.size(depth.extent), depthBegin);
    end = arith::MinUIOp::create(builder, loc, end, rest);
  }
  auto loop = scf::ForOp::create(builder, loc, constant(0), end, constant(1), sums);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> indices(root.numLoops(), constant(0));
  auto load = [&](Value part, int64_t size, Value at) -> Value {
    Value place = kernel.add(kernel.mul(loop.getInductionVar(), constant(size)), at);
    return memref::LoadOp::create(builder, loc, part, place);
  };
  SmallVector<Value> lefts, rights;
  for (int64_t i = 0; i < tile.rows; i += tile.threads)
    lefts.push_back(load(left, tile.rows, kernel.add(threadRow, constant(i))));
  for (int64_t i = 0; i < tile.columns; i += tile.threads)
    rights.push_back(load(right, tile.columns, kernel.add(threadColumn, constant(i))));
  SmallVector<Value> next;
  for (Value a : lefts)
    for (Value b : rights)
      next.push_back(emitBody(kernel, root, {a, b, loop.getRegionIterArg(next.size())}, indices, 0,
                              addressOf)
                         .front());
  scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(loop.getResults());
}

// Runs `body` with the number of each result of the thread and its indices, where it is there.
void BlockTiles::forEachResult(llvm::function_ref<void(unsigned, ArrayRef<Value>)> body) {
  Value rowExtent = kernel.size(rows.extent), columnExtent = kernel.size(columns.extent);
  unsigned number = 0;
  for (int64_t i = 0; i < tile.rows; i += tile.threads)
    for (int64_t j = 0; j < tile.columns; j += tile.threads) {
      Value row = kernel.add(firstRow, kernel.add(threadRow, constant(i)));
      Value column = kernel.add(firstColumn, kernel.add(threadColumn, constant(j)));
      Value isThere =
          arith::AndIOp::create(builder, loc, less(row, rowExtent), less(column, columnExtent));
      auto choice = scf::IfOp::create(builder, loc, isThere, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(&choice.getThenRegion().front());
      SmallVector<Value> indices(outer);
      spread(rows, row, indices);
      spread(columns, column, indices);
      body(number++, indices);
    }
}

// What the sums begin with, from memory where that is not a constant.
SmallVector<Value> BlockTiles::initials() {
  unsigned count = tile.rows / tile.threads * (tile.columns / tile.threads);
  const Access &output = root.outputs[0];
  Type element = output.view.element;
  TypedAttr init = root.inits[0];
  if (!root.readsOutput[0])
    init = cast<TypedAttr>(builder.getZeroAttr(element));
  if (init)
    return SmallVector<Value>(count, arith::ConstantOp::create(builder, loc, init));
  Value buffer = kernel.buffer(addressOf(output.view), element);
  SmallVector<Value> values;
  Value rowExtent = kernel.size(rows.extent), columnExtent = kernel.size(columns.extent);
  for (int64_t i = 0; i < tile.rows; i += tile.threads)
    for (int64_t j = 0; j < tile.columns; j += tile.threads) {
      Value row = kernel.add(firstRow, kernel.add(threadRow, constant(i)));
      Value column = kernel.add(firstColumn, kernel.add(threadColumn, constant(j)));
      Value isThere =
          arith::AndIOp::create(builder, loc, less(row, rowExtent), less(column, columnExtent));
      SmallVector<Value> indices(outer);
      values.push_back(loadIf(isThere, buffer, [&] {
        spread(rows, row, indices);
        spread(columns, column, indices);
        return kernel.linear(output.coefficients, indices);
      }));
    }
  return values;
}

void BlockTiles::finish(ArrayRef<Value> sums) {
  const Access &output = root.outputs[0];
  Value buffer = kernel.buffer(addressOf(output.view), output.view.element);
  forEachResult([&](unsigned number, ArrayRef<Value> indices) {
    memref::StoreOp::create(builder, loc, sums[number], buffer,
                            kernel.linear(output.coefficients, indices));
    SmallVector<Value> shared(indices.take_front(group.sharedLoops));
    for (const Stage &stage : llvm::drop_begin(group.stages))
      emitItem(kernel, stage, shared, addressOf);
  });
}

Work BlockTiles::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(tile.blockThreads()));
  thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  threadColumn = rem(thread, constant(tile.threads));
  threadRow = div(thread, constant(tile.threads));
  left = sharedTile(root.inputs[0].view.element, tile.rows);
  right = sharedTile(root.inputs[1].view.element, tile.columns);
  // Blocks that follow each other have the same columns.
  Value rest = kernel.begin();
  Value rowTiles = ceilDiv(rows.extent, tile.rows), columnTiles = ceilDiv(columns.extent, tile.columns);
  firstRow = kernel.mul(rem(rest, rowTiles), constant(tile.rows));
  rest = div(rest, rowTiles);
  firstColumn = kernel.mul(rem(rest, columnTiles), constant(tile.columns));
  rest = div(rest, columnTiles);
  outer.assign(root.numLoops(), Value());
  spread(batch, rest, outer);

  SmallVector<Value> sums = initials();
  auto loop = scf::ForOp::create(builder, loc, constant(0), kernel.size(depth.extent),
                                 constant(tile.depth), sums);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    fill(0, left, rows, firstRow, tile.rows, loop.getInductionVar());
    fill(1, right, columns, firstColumn, tile.columns, loop.getInductionVar());
    rt::BarrierOp::create(builder, loc);
    SmallVector<Value> next =
        multiply(loop.getInductionVar(), SmallVector<Value>(loop.getRegionIterArgs()));
    rt::BarrierOp::create(builder, loc);
    scf::YieldOp::create(builder, loc, next);
  }
  finish(SmallVector<Value>(loop.getResults()));

  Work work;
  work.count = batch.extent;
  work.ceilings = {{rows.extent, tile.rows}, {columns.extent, tile.columns}};
  work.itemCost.add(Size(1));
  return work;
}

std::optional<Work> lathe::schedule::emitBlockTiles(Kernel &kernel, const Group &group,
                                                    AddressOf addressOf) {
  BlockTiles emitter(kernel, group, addressOf);
  if (!emitter.choose())
    return std::nullopt;
  return emitter.emit();
}
