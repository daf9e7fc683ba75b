// Products on a GPU: the threads of a block compute a tile of results together, from parts of both
// operands that they bring into shared memory. Convolutions are products of the same kind: rows,
// columns and what is added up are each several loops counted as one.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "MatrixUnits.h"
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

/// The tile of a block. Without a matrix unit its threads are `grid` rows by `grid` columns, each
/// with every such row and column of the tile; with one, its warps are, each with neighbouring
/// pieces of the unit's size.
struct BlockTile {
  static constexpr int64_t grid = 16;
  int64_t rows = 64, columns = 64, depth = 16;
  int64_t threads = grid * grid;
  /// Elements from one row (of the left operand) or column of a part in shared memory to the next,
  /// and from one position in what is added up to the next.
  int64_t leftAcross = 1, rightAcross = 1, leftAlong = 64, rightAlong = 64;
};

class BlockTiles {
public:
  BlockTiles(Kernel &kernel, const Group &group, const TargetInfo &target, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group),
        root(group.stages.front()), addressOf(addressOf), unit(findMatrixUnit(target.matrixUnit)) {}

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
  void chooseTile();
  void placeThreads();
  void placeResults();
  Value laneCoordinate(const LanePlace &place, unsigned element, int64_t before, Value outer);
  Value loadFragment(const Fragment &fragment, Value part, int64_t across, int64_t along,
                     Value firstAcross, Value firstAlong);
  SmallVector<Value> multiplyByUnit(ArrayRef<Value> sums);
  void spread(const JoinedLoops &joined, Value number, MutableArrayRef<Value> indices);
  Value loadIf(Value isThere, Value buffer, llvm::function_ref<Value()> place);
  Value sharedTile(Type element, int64_t rows);
  void fill(unsigned input, Value tile, const JoinedLoops &across, Value first, int64_t size,
            Value depthBegin);
  SmallVector<Value> multiply(Value depthBegin, ArrayRef<Value> sums);
  SmallVector<Value> initials();
  void forEachResult(llvm::function_ref<void(Value, ArrayRef<Value>)> body);
  void finish(ArrayRef<Value> sums);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  const Group &group;
  const Stage &root;
  AddressOf addressOf;
  JoinedLoops batch, rows, columns, depth;
  const MatrixUnit *unit; // null: each thread multiplies for itself
  BlockTile tile;
  /// Of the thread, or of its warp and the lane in it.
  Value thread, threadRow, threadColumn, lane, firstRow, firstColumn;
  int64_t warpRows = 0, warpColumns = 0; // of the results of each warp
  Value sumsPart;                        // the tile of results in shared memory
  SmallVector<Value> places;             // there, of each result of the thread
  Value left, right;                     // the shared parts of the operands
  SmallVector<Value> outer;              // an index for each loop that the block has one of
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
  if (group.stages.size() > 1 &&
      group.sharedLoops != batch.loops.size() + rows.loops.size() + columns.loops.size())
    return false;
  // What is narrow is not worth a block.
  constexpr int64_t least = 8;
  if (!rows.isAtLeast(least) || !columns.isAtLeast(least) || !depth.isAtLeast(least))
    return false;
  chooseTile();
  return true;
}

/// Whether the root is sum + a * b in f32, of operands that are widened from 16 bits.
static bool isNarrowProduct(const Stage &root) {
  Type element = root.inputs[0].view.element;
  if ((!element.isF16() && !element.isBF16()) || root.inputs[1].view.element != element ||
      !root.outputs[0].view.element.isF32() || root.body->getOperations().size() != 5)
    return false;
  auto sum = root.body->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  auto isWide = [](Value value) { return value.getDefiningOp<arith::ExtFOp>() != nullptr; };
  for (unsigned i = 0; sum && i < 2; ++i)
    if (auto product = sum->getOperand(i).getDefiningOp<arith::MulFOp>())
      return sum->getOperand(1 - i) == root.body->getArgument(2) && isWide(product.getLhs()) &&
             isWide(product.getRhs()) && product.getLhs() != product.getRhs();
  return false;
}

void BlockTiles::chooseTile() {
  auto rowsAtMost = [&](int64_t size) {
    return rows.extent.isStatic() && rows.extent.constant <= size;
  };
  if (!isNarrowProduct(root))
    unit = nullptr;
  if (unit) {
    tile.threads = 128;
    tile.depth = 2 * unit->depth;
    if (rowsAtMost(32))
      tile.rows = 32;
    // Rows of parts begin in different banks.
    tile.leftAlong = tile.rightAlong = 1;
    tile.leftAcross = tile.rightAcross = tile.depth + 8;
    // Four warps are two by two, two are one above the other.
    int64_t warps = tile.threads / unit->lanes;
    warpRows = tile.rows / 2;
    warpColumns = tile.columns / (warps / 2);
    return;
  }
  for (int64_t size : {16, 32})
    if (rowsAtMost(size)) {
      tile.rows = size;
      break;
    }
  tile.leftAlong = tile.rows;
  tile.rightAlong = tile.columns;
}

void BlockTiles::spread(const JoinedLoops &joined, Value number, MutableArrayRef<Value> indices) {
  SmallVector<Size> extents;
  for (unsigned loop : joined.loops)
    extents.push_back(root.extents[loop]);
  for (auto [loop, index] : llvm::zip_equal(joined.loops, kernel.split(number, extents)))
    indices[loop] = index;
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

// Memory for a part of an operand with `size` rows or columns.
Value BlockTiles::sharedTile(Type element, int64_t size) {
  int64_t length = unit ? size * tile.leftAcross : size * tile.depth;
  return rt::SharedOp::create(builder, loc, MemRefType::get({length}, element));
}

// Brings `size` rows (of the left operand) or columns from `first` on into `part`, zeros for those
// that are not there.
void BlockTiles::fill(unsigned input, Value part, const JoinedLoops &across, Value first,
                      int64_t size, Value depthBegin) {
  const Access &access = root.inputs[input];
  // Threads that follow each other read what lies together.
  bool depthIsFastest = access.coefficients[depth.loops.back()].is(1) &&
                        !access.coefficients[across.loops.back()].is(1);
  Value acrossExtent = kernel.size(across.extent), depthExtent = kernel.size(depth.extent);
  Value buffer = kernel.buffer(addressOf(access.view), access.view.element);
  auto loop =
      scf::ForOp::create(builder, loc, thread, constant(size * tile.depth), constant(tile.threads));
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
  int64_t stepAlong = input == 0 ? tile.leftAlong : tile.rightAlong;
  int64_t stepAcross = input == 0 ? tile.leftAcross : tile.rightAcross;
  memref::StoreOp::create(builder, loc, value, part,
                          kernel.add(kernel.mul(inDepth, constant(stepAlong)),
                                     kernel.mul(inAcross, constant(stepAcross))));
}

// Adds the products of the parts in shared memory to the sums.
SmallVector<Value> BlockTiles::multiply(Value depthBegin, ArrayRef<Value> sums) {
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
  auto load = [&](Value part, int64_t size, Value at) -> Value {
    Value place = kernel.add(kernel.mul(loop.getInductionVar(), constant(size)), at);
    return memref::LoadOp::create(builder, loc, part, place);
  };
  SmallVector<Value> lefts, rights;
  for (int64_t i = 0; i < tile.rows; i += tile.grid)
    lefts.push_back(load(left, tile.rows, kernel.add(threadRow, constant(i))));
  for (int64_t i = 0; i < tile.columns; i += tile.grid)
    rights.push_back(load(right, tile.columns, kernel.add(threadColumn, constant(i))));
  SmallVector<Value> next;
  for (Value a : lefts)
    for (Value b : rights)
      next.push_back(
          emitBody(kernel, root, {a, b, loop.getRegionIterArg(next.size())}, indices, 0, addressOf)
              .front());
  scf::YieldOp::create(builder, loc, next);
  return SmallVector<Value>(loop.getResults());
}

// Where element number `element` of the lane lies, `before` and `outer` further on.
Value BlockTiles::laneCoordinate(const LanePlace &place, unsigned element, int64_t before,
                                 Value outer) {
  Value part = rem(div(lane, constant(place.divisor)), constant(place.modulus));
  return kernel.add(kernel.add(kernel.mul(part, constant(place.scale)),
                               constant(place.offsets[element] + before)),
                    outer);
}

// The elements of a fragment from shared memory.
Value BlockTiles::loadFragment(const Fragment &fragment, Value part, int64_t across, int64_t along,
                               Value firstAcross, Value firstAlong) {
  SmallVector<Value> elements;
  for (unsigned i = 0; i < fragment.size(); ++i) {
    Value place =
        kernel.add(kernel.mul(laneCoordinate(fragment.across, i, 0, firstAcross), constant(across)),
                   kernel.mul(laneCoordinate(fragment.along, i, 0, firstAlong), constant(along)));
    elements.push_back(memref::LoadOp::create(builder, loc, part, place));
  }
  auto type = VectorType::get({fragment.size()}, elements.front().getType());
  return vector::FromElementsOp::create(builder, loc, type, elements);
}

// Each warp for its pieces of the tile. What lies beyond the operands is zero in shared memory.
SmallVector<Value> BlockTiles::multiplyByUnit(ArrayRef<Value> sums) {
  SmallVector<Value> next(sums);
  for (int64_t k = 0; k < tile.depth; k += unit->depth) {
    SmallVector<Value> lefts, rights;
    for (int64_t i = 0; i < warpRows; i += unit->rows)
      lefts.push_back(loadFragment(unit->left, left, tile.leftAcross, tile.leftAlong,
                                   kernel.add(threadRow, constant(i)), constant(k)));
    for (int64_t i = 0; i < warpColumns; i += unit->columns)
      rights.push_back(loadFragment(unit->right, right, tile.rightAcross, tile.rightAlong,
                                    kernel.add(threadColumn, constant(i)), constant(k)));
    unsigned number = 0;
    for (Value a : lefts)
      for (Value b : rights) {
        next[number] = rt::MultiplyMatricesOp::create(builder, loc, next[number].getType(),
                                                      unit->name, a, b, next[number]);
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
  int64_t across = tile.columns / warpColumns;
  threadColumn = kernel.mul(rem(warp, constant(across)), constant(warpColumns));
  threadRow = kernel.mul(div(warp, constant(across)), constant(warpRows));
}

// Where the results of the thread lie in the tile of sums, in the order of its sums.
void BlockTiles::placeResults() {
  auto add = [&](Value row, Value column) {
    places.push_back(kernel.add(kernel.mul(row, constant(tile.columns)), column));
  };
  if (!unit) {
    for (int64_t i = 0; i < tile.rows; i += tile.grid)
      for (int64_t j = 0; j < tile.columns; j += tile.grid)
        add(kernel.add(threadRow, constant(i)), kernel.add(threadColumn, constant(j)));
    return;
  }
  for (int64_t i = 0; i < warpRows; i += unit->rows)
    for (int64_t j = 0; j < warpColumns; j += unit->columns)
      for (unsigned e = 0; e < unit->sums.size(); ++e)
        add(laneCoordinate(unit->sums.across, e, i, threadRow),
            laneCoordinate(unit->sums.along, e, j, threadColumn));
}

// Runs `body` for the place in the tile of each result that is there, and its indices, in an order
// in which threads beside each other have results that lie together.
void BlockTiles::forEachResult(llvm::function_ref<void(Value, ArrayRef<Value>)> body) {
  const Access &output = root.outputs[0];
  bool columnsAreFastest = output.coefficients[columns.loops.back()].is(1) ||
                           !output.coefficients[rows.loops.back()].is(1);
  auto loop = scf::ForOp::create(builder, loc, thread, constant(tile.rows * tile.columns),
                                 constant(tile.threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value number = loop.getInductionVar();
  Value fastest = constant(columnsAreFastest ? tile.columns : tile.rows);
  Value low = rem(number, fastest), high = div(number, fastest);
  Value inRow = columnsAreFastest ? high : low, inColumn = columnsAreFastest ? low : high;
  Value row = kernel.add(firstRow, inRow), column = kernel.add(firstColumn, inColumn);
  Value isThere = arith::AndIOp::create(builder, loc, less(row, kernel.size(rows.extent)),
                                        less(column, kernel.size(columns.extent)));
  auto choice = scf::IfOp::create(builder, loc, isThere, /*withElseRegion=*/false);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  SmallVector<Value> indices(outer);
  spread(rows, row, indices);
  spread(columns, column, indices);
  body(kernel.add(kernel.mul(inRow, constant(tile.columns)), inColumn), indices);
}

// What the sums begin with, from memory where that is not a constant.
SmallVector<Value> BlockTiles::initials() {
  const Access &output = root.outputs[0];
  Type element = output.view.element;
  TypedAttr init = root.inits[0];
  if (!root.readsOutput[0])
    init = cast<TypedAttr>(builder.getZeroAttr(element));
  SmallVector<Value> values;
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
  }
  if (!unit)
    return values;
  SmallVector<Value> vectors;
  auto type = VectorType::get({unit->sums.size()}, element);
  for (ArrayRef<Value> rest = values; !rest.empty(); rest = rest.drop_front(unit->sums.size()))
    vectors.push_back(
        vector::FromElementsOp::create(builder, loc, type, rest.take_front(unit->sums.size())));
  return vectors;
}

// Stores the sums, by way of shared memory, and goes on with what follows each.
void BlockTiles::finish(ArrayRef<Value> sums) {
  for (auto [number, place] : llvm::enumerate(places)) {
    Value sum = unit ? vector::ExtractOp::create(builder, loc, sums[number / unit->sums.size()],
                                                 int64_t(number % unit->sums.size()))
                           .getResult()
                     : sums[number];
    memref::StoreOp::create(builder, loc, sum, sumsPart, place);
  }
  rt::BarrierOp::create(builder, loc);
  const Access &output = root.outputs[0];
  Value buffer = kernel.buffer(addressOf(output.view), output.view.element);
  forEachResult([&](Value place, ArrayRef<Value> indices) {
    Value sum = memref::LoadOp::create(builder, loc, sumsPart, place);
    memref::StoreOp::create(builder, loc, sum, buffer, kernel.linear(output.coefficients, indices));
    SmallVector<Value> shared(indices.take_front(group.sharedLoops));
    for (const Stage &stage : llvm::drop_begin(group.stages))
      emitItem(kernel, stage, shared, addressOf);
  });
}

Work BlockTiles::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(tile.threads));
  placeThreads();
  left = sharedTile(root.inputs[0].view.element, tile.rows);
  right = sharedTile(root.inputs[1].view.element, tile.columns);
  sumsPart = rt::SharedOp::create(
      builder, loc, MemRefType::get({tile.rows * tile.columns}, root.outputs[0].view.element));
  // Blocks that follow each other have the same columns.
  Value rest = kernel.begin();
  Value rowTiles = ceilDiv(rows.extent, tile.rows),
        columnTiles = ceilDiv(columns.extent, tile.columns);
  firstRow = kernel.mul(rem(rest, rowTiles), constant(tile.rows));
  rest = div(rest, rowTiles);
  firstColumn = kernel.mul(rem(rest, columnTiles), constant(tile.columns));
  rest = div(rest, columnTiles);
  outer.assign(root.numLoops(), Value());
  spread(batch, rest, outer);

  placeResults();
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
                                                    const TargetInfo &target, AddressOf addressOf) {
  BlockTiles emitter(kernel, group, target, addressOf);
  if (!emitter.choose())
    return std::nullopt;
  return emitter.emit();
}
