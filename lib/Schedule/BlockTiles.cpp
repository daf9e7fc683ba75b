// Products on a GPU: the threads of a block compute a tile of results together, from parts of both
// operands that they bring into shared memory. Convolutions are products of the same kind: rows,
// columns and what is added up are each several loops counted as one.
// Apache-2.0 WITH LLVM-exception
#include "BlockPart.h"
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {

/// The tile of a block. Without a matrix unit its threads are `grid` rows by `grid` columns, each
/// with every such row and column of the tile; with one, its warps are, each with neighbouring
/// pieces of the unit's size.
struct BlockTile {
  static constexpr int64_t grid = 16;
  int64_t rows = 64, columns = 64, depth = 16;
  int64_t threads = grid * grid;
  /// So many parts of both operands are in shared memory: one is multiplied, the others are on
  /// their way.
  int64_t stages = 1;
  /// Elements from one row of the sums to the next in shared memory.
  int64_t sumsRow = 0;
};

/// What memory a block shares at most, on any device: more has to be asked for.
constexpr int64_t mostSharedBytes = (48 << 10) - 16; // which a check of faults takes

class BlockTiles {
public:
  BlockTiles(Kernel &kernel, const Group &group, const TargetInfo &target, AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), group(group),
        root(group.stages.front()), addressOf(addressOf), unit(findMatrixUnit(target.matrixUnit)),
        copyStages(target.copyStages) {}

  bool choose();
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  /// Where the part of an operand begins that is number `slot` of those in shared memory.
  Value beginOf(unsigned input, Value slot) {
    return kernel.mul(slot, constant(parts[input].elements()));
  }
  /// Where a row or column is in a part, at a position in what is added up.
  Value placeIn(unsigned input, Value across, Value along) {
    return lathe::schedule::placeIn(kernel, parts[input], across, along);
  }
  Value rem(Value a, Value b) { return arith::RemUIOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivUIOp::create(builder, loc, a, b); }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  Value ceilDiv(const Size &size, int64_t divisor) {
    return div(kernel.add(kernel.size(size), constant(divisor - 1)), constant(divisor));
  }
  void chooseTile();
  void padSums();
  int64_t bytesOfPart(unsigned input) const;
  int64_t bytesOfStage() const { return bytesOfPart(0) + bytesOfPart(1); }
  void placeThreads();
  void placeResults();
  Value laneCoordinate(const LanePlace &place, unsigned element, int64_t before, Value outer);
  Value loadFragment(const Fragment &fragment, unsigned input, Value firstAcross, Value firstAlong);
  void placeMatrices(unsigned input);
  SmallVector<Value> loadFragments(unsigned input, int64_t depthBegin);
  SmallVector<Value> multiplyByUnit(ArrayRef<Value> sums);
  void share();
  Value viewShared(int64_t byte, int64_t length, Type element);
  void bring(Value slot, Value depthBegin);
  SmallVector<Value> addUp(ArrayRef<Value> sums);
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
  int64_t copyStages;
  BlockTile tile;
  SmallVector<BlockPart, 2> parts; // of both operands
  /// Of the thread, or of its warp and the lane in it.
  Value thread, threadRow, threadColumn, lane, firstRow, firstColumn;
  int64_t warpRows = 0, warpColumns = 0; // of the results of each warp
  Value sumsPart;                        // the tile of results in shared memory, over the parts
  SmallVector<Value> places;             // there, of each result of the thread
  Value memory;                          // that the block shares
  SmallVector<Value, 2> shared;          // the parts of the operands, those of all stages
  SmallVector<Value, 2> begins;          // where in there those begin that are multiplied
  SmallVector<Value, 2> matrixRows;      // and of these the row that the lane names
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
    // Four warps are two by two, two are one above the other.
    int64_t warps = tile.threads / unit->lanes;
    warpRows = tile.rows / 2;
    warpColumns = tile.columns / (warps / 2);
  } else {
    for (int64_t size : {16, 32})
      if (rowsAtMost(size)) {
        tile.rows = size;
        break;
      }
  }
  padSums();
  parts = {planPart(root, 0, rows, depth, tile.rows, tile.depth, unit),
           planPart(root, 1, columns, depth, tile.columns, tile.depth, unit)};
  if (parts[0].chunk || parts[1].chunk)
    tile.stages = std::clamp<int64_t>(mostSharedBytes / bytesOfStage(), 1, copyStages);
}

// Where a lane stores its first sum, those beside it shall store into other banks.
void BlockTiles::padSums() {
  auto find = [](const LanePlace &place, int64_t lane) {
    return lane / place.divisor % place.modulus * place.scale + place.offsets.front();
  };
  constexpr int64_t banks = 32;
  int64_t least = banks + 1;
  for (int64_t padding : {0, 4, 8, 16}) {
    int64_t counts[banks] = {}, most = 0, pitch = tile.columns + padding;
    for (int64_t lane = 0; lane < banks; ++lane) {
      int64_t row = unit ? find(unit->sums.across, lane) : lane / tile.grid;
      int64_t column = unit ? find(unit->sums.along, lane) : lane % tile.grid;
      most = std::max(most, ++counts[(row * pitch + column) % banks]);
    }
    if (most < least) {
      least = most;
      tile.sumsRow = pitch;
    }
  }
}

static int64_t bytesOf(Type element) { return std::max(1u, element.getIntOrFloatBitWidth() / 8); }

int64_t BlockTiles::bytesOfPart(unsigned input) const {
  return parts[input].elements() * bytesOf(root.inputs[input].view.element);
}

Value BlockTiles::viewShared(int64_t byte, int64_t length, Type element) {
  return memref::ViewOp::create(builder, loc, MemRefType::get({length}, element), memory,
                                constant(byte), ValueRange{});
}

// The memory of the block: the parts of all stages, of the left operand and then of the right one;
// where these were, the sums.
void BlockTiles::share() {
  Type sum = root.outputs[0].view.element;
  int64_t sums = tile.rows * tile.sumsRow;
  int64_t bytes = std::max(tile.stages * bytesOfStage(), sums * bytesOf(sum));
  memory = rt::SharedOp::create(builder, loc, MemRefType::get({bytes}, builder.getI8Type()));
  for (unsigned input : {0u, 1u})
    shared.push_back(viewShared(input == 0 ? 0 : tile.stages * bytesOfPart(0),
                                tile.stages * parts[input].elements(),
                                root.inputs[input].view.element));
  sumsPart = viewShared(0, sums, sum);
}

// Brings a part of both operands, from `depthBegin` on, into shared memory.
void BlockTiles::bring(Value slot, Value depthBegin) {
  for (unsigned input : {0u, 1u}) {
    PartEmitter emitter{kernel, root,         addressOf,    input,  input == 0 ? rows : columns,
                        depth,  parts[input], tile.threads, thread, shared[input],
                        outer};
    emitter.bring(input == 0 ? firstRow : firstColumn, depthBegin, beginOf(input, slot));
  }
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

// Where element number `element` of the lane lies, `before` and `outer` further on.
Value BlockTiles::laneCoordinate(const LanePlace &place, unsigned element, int64_t before,
                                 Value outer) {
  Value part = rem(div(lane, constant(place.divisor)), constant(place.modulus));
  return kernel.add(kernel.add(kernel.mul(part, constant(place.scale)),
                               constant(place.offsets[element] + before)),
                    outer);
}

// The elements of a fragment from shared memory.
Value BlockTiles::loadFragment(const Fragment &fragment, unsigned input, Value firstAcross,
                               Value firstAlong) {
  SmallVector<Value> elements;
  for (unsigned i = 0; i < fragment.size(); ++i) {
    Value place = placeIn(input, laneCoordinate(fragment.across, i, 0, firstAcross),
                          laneCoordinate(fragment.along, i, 0, firstAlong));
    elements.push_back(
        memref::LoadOp::create(builder, loc, shared[input], kernel.add(begins[input], place)));
  }
  auto type = VectorType::get({fragment.size()}, elements.front().getType());
  return vector::FromElementsOp::create(builder, loc, type, elements);
}

// Of how many matrices a fragment is, and of how many fragments a warp loads those at once.
static std::pair<int64_t, int64_t> countMatrices(const Fragment &fragment, int64_t fragments) {
  int64_t each = fragment.size() / 2;
  return {each, std::min(4 / each, fragments)};
}

// Where the row begins that the lane names when its warp loads the first fragments. The lanes that
// name the rows of a matrix are eight by eight.
void BlockTiles::placeMatrices(unsigned input) {
  const Fragment &fragment = input == 0 ? unit->left : unit->right;
  const BlockPart &part = parts[input];
  int64_t step = input == 0 ? unit->rows : unit->columns;
  auto [each, together] = countMatrices(fragment, (input == 0 ? warpRows : warpColumns) / step);
  Value inMatrix = rem(lane, constant(8)), across = constant(0), along = constant(0);
  for (int64_t bit = 1; bit < each * together; bit *= 2) {
    Value isSet = rem(div(lane, constant(8 * bit)), constant(2));
    int64_t element = bit % each * 2;
    across = kernel.add(
        across, kernel.mul(isSet, constant(fragment.across.offsets[element] + bit / each * step)));
    along = kernel.add(along, kernel.mul(isSet, constant(fragment.along.offsets[element])));
  }
  Value &row = part.along == 1 ? across : along;
  row = kernel.add(row, inMatrix);
  across = kernel.add(across, input == 0 ? threadRow : threadColumn);
  matrixRows.push_back(placeIn(input, across, along));
}

// The fragments of an operand that the warp multiplies at once.
SmallVector<Value> BlockTiles::loadFragments(unsigned input, int64_t depthBegin) {
  const Fragment &fragment = input == 0 ? unit->left : unit->right;
  int64_t step = input == 0 ? unit->rows : unit->columns;
  int64_t count = (input == 0 ? warpRows : warpColumns) / step;
  SmallVector<Value> fragments;
  if (!unit->loadsMatrices) {
    for (int64_t i = 0; i < count; ++i)
      fragments.push_back(loadFragment(
          fragment, input, kernel.add(input == 0 ? threadRow : threadColumn, constant(i * step)),
          constant(depthBegin)));
    return fragments;
  }
  auto [each, together] = countMatrices(fragment, count);
  Type element = root.inputs[input].view.element;
  for (int64_t i = 0; i < count; i += together) {
    Value place = kernel.add(kernel.add(begins[input], matrixRows[input]),
                             placeIn(input, constant(i * step), constant(depthBegin)));
    Value loaded = rt::LoadMatricesOp::create(
        builder, loc, VectorType::get({2 * each * together}, element), shared[input], place,
        /*transposed=*/parts[input].along != 1);
    for (int64_t j = 0; j < together; ++j) {
      auto numbers = llvm::seq<int64_t>(j * fragment.size(), (j + 1) * fragment.size());
      fragments.push_back(
          vector::ShuffleOp::create(builder, loc, loaded, loaded, llvm::to_vector(numbers)));
    }
  }
  return fragments;
}

// Each warp for its pieces of the tile. What lies beyond the operands is zero in shared memory.
SmallVector<Value> BlockTiles::multiplyByUnit(ArrayRef<Value> sums) {
  SmallVector<Value> next(sums);
  for (int64_t k = 0; k < tile.depth; k += unit->depth) {
    SmallVector<Value> lefts = loadFragments(0, k), rights = loadFragments(1, k);
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
    places.push_back(kernel.add(kernel.mul(row, constant(tile.sumsRow)), column));
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
  spread(kernel, root, rows, row, indices);
  spread(kernel, root, columns, column, indices);
  body(kernel.add(kernel.mul(inRow, constant(tile.sumsRow)), inColumn), indices);
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
    rt::BarrierOp::create(builder, loc); // parts come to the same place
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

// Multiplies one part of the operands after the other. With several stages parts are on their way
// while another is multiplied, the next of them the longest; where nothing is left to bring, a
// group of copies is empty, so that the same number is always under way.
SmallVector<Value> BlockTiles::addUp(ArrayRef<Value> sums) {
  bool copies = parts[0].chunk || parts[1].chunk;
  int64_t ahead = tile.stages - 1;
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
    if (ahead == 0)
      bring(slot, begin);
    if (copies) {
      if (ahead == 0)
        rt::CommitCopiesOp::create(builder, loc);
      rt::WaitCopiesOp::create(builder, loc, std::max<int64_t>(0, ahead - 1));
    }
    rt::BarrierOp::create(builder, loc);
    // All threads are through with the slot before, which is the one that has been free the
    // longest.
    Value next = slot;
    if (ahead > 0) {
      auto wrap = [&](int64_t at, int64_t to, int64_t step) -> Value {
        Value isThere =
            arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, slot, constant(at));
        return arith::SelectOp::create(builder, loc, isThere, constant(to),
                                       kernel.add(slot, constant(step)));
      };
      bringIfThere(wrap(0, ahead, -1), kernel.add(begin, constant(ahead * tile.depth)));
      rt::CommitCopiesOp::create(builder, loc);
      next = wrap(ahead, 0, 1);
    }
    begins = {beginOf(0, slot), beginOf(1, slot)};
    SmallVector<Value> results =
        multiply(begin, SmallVector<Value>(loop.getRegionIterArgs().drop_back()));
    if (ahead == 0)
      rt::BarrierOp::create(builder, loc);
    results.push_back(next);
    scf::YieldOp::create(builder, loc, results);
  }
  if (ahead > 0)
    rt::BarrierOp::create(builder, loc); // the sums come to the place of the parts
  return SmallVector<Value>(loop.getResults().drop_back());
}

Work BlockTiles::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(tile.threads));
  placeThreads();
  share();
  if (unit && unit->loadsMatrices)
    for (unsigned input : {0u, 1u})
      placeMatrices(input);
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
  finish(addUp(initials()));

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
