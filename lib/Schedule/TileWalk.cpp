// In what order register tiles are walked: items of work, stripes of rows, and weights that are
// fetched ahead.
// Apache-2.0 WITH LLVM-exception
#include "TileEmitter.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace lathe::schedule;

std::optional<TileEmitter::Stream> TileEmitter::chooseStream(std::optional<int64_t> passes) const {
  const Size &innermost = root.extents[reductions.back()];
  if (!tile.vectorOuter || !innermost.isStatic() || innermost.constant < 4 * chunkSteps)
    return std::nullopt;
  for (const Access &input : root.inputs) {
    if (input.panel == 0 || !input.coefficients[reductions.back()].isStatic())
      continue;
    // Each group of a grouped convolution has weights of its own.
    if (llvm::any_of(parallel, [&](unsigned loop) {
          return loop != choice.vectorLoop && !input.coefficients[loop].isZero();
        }))
      return std::nullopt;
    int64_t width = tile.lanes * tile.vectors;
    Stream result;
    result.weights = &input;
    result.panels = std::max<int64_t>(1, width / input.panel);
    int64_t elementBytes = input.view.element.getIntOrFloatBitWidth() / 8;
    result.bytes = result.panels * input.panelStride * elementBytes;
    int64_t total =
        root.extents[choice.vectorLoop].constant / input.panel * input.panelStride * elementBytes;
    // Less than that stays in the cache from the run before, more would drive out what is in use.
    if (total < int64_t(1) << 16 || result.bytes > int64_t(target.l2Bytes))
      return std::nullopt;
    result.chunkBytes =
        chunkSteps * (input.pairLoop ? 2 : 1) * input.panel * elementBytes * result.panels;
    // Several narrow tiles walk along one panel.
    int64_t most = passes.value_or(8) * std::max<int64_t>(1, input.panel / width);
    result.lines = std::max<int64_t>(1, llvm::divideCeil(result.chunkBytes / 64, most));
    result.chunks = llvm::divideCeil(result.bytes, result.chunkBytes);
    return result;
  }
  return std::nullopt;
}

/// Stripes of rows, each with all its results, of which each thread gets neighbouring ones: the
/// next kernel mostly reads what its thread wrote. With two threads on an Intel Xeon: SqueezeNet
/// 2.4 ms to 2.1 ms, YOLOX-nano 7.4 ms to 6.2 ms, DeepLab 6.9 ms to 6.2 ms.
static constexpr int64_t stripeCount = 8;
/// Fewer tiles of rows fetch the weights too often from the second-level cache.
static constexpr int64_t stripeTiles = 4;

/// Whether all weights stay in the second-level cache beside the rest, so that to walk along them
/// once for each stripe costs little.
bool TileEmitter::hasSmallWeights() const {
  const Size &vectorExtent = root.extents[choice.vectorLoop];
  for (const Access &input : root.inputs)
    if (input.panel > 0 && vectorExtent.isStatic())
      return llvm::divideCeil(vectorExtent.constant, input.panel) * input.panelStride *
                 input.view.element.getIntOrFloatBitWidth() / 8 <=
             int64_t(target.l2Bytes) / 4;
  return false;
}

/// Of how many row blocks what they read stays in the second-level cache while all vector tiles
/// walk along it; 0: of all of them. Else each vector tile would fetch all rows anew.
int64_t TileEmitter::blocksOfStripe(int64_t blockTiles, std::optional<int64_t> rowBlocks) const {
  const Size &vectorExtent = root.extents[choice.vectorLoop];
  int64_t width = tile.lanes * tile.vectors, rowBytes = 0;
  if (!choice.rowLoop || (vectorExtent.isStatic() && vectorExtent.constant <= width))
    return 0;
  for (const Access &input : root.inputs)
    if (!input.coefficients.empty() && isAbsent(input, choice.vectorLoop) &&
        input.coefficients[*choice.rowLoop].isStatic())
      rowBytes = std::max<int64_t>(rowBytes, input.coefficients[*choice.rowLoop].constant *
                                                 input.view.element.getIntOrFloatBitWidth() / 8);
  if (rowBytes == 0)
    return 0;
  int64_t blockRows = tile.rows * blockTiles;
  int64_t blocks = int64_t(target.l2Bytes) / 2 / (rowBytes * blockRows);
  // Fewer rows than that save less than it costs to fetch the other operand for every stripe.
  if (blocks * blockRows < 2 * width || (rowBlocks && *rowBlocks <= blocks + blocks / 2))
    return 0;
  return blocks;
}

// Before the steps of `loop` from `first` on.
void TileEmitter::prefetch(const Lanes &lanes, unsigned loop, Value first) {
  const Access &weights = *stream->weights;
  SmallVector<Value> at(root.numLoops(), kernel.constant(0));
  for (unsigned reduction : reductions)
    at[reduction] = reduction == loop ? first : indices[reduction];
  int64_t elementBytes = weights.view.element.getIntOrFloatBitWidth() / 8;
  auto divide = [&](Value a, int64_t b) -> Value {
    return arith::DivUIOp::create(builder, root.loc, a, kernel.constant(b));
  };
  Value chunk = divide(kernel.linear(weights.coefficients, at),
                       stream->chunkBytes / stream->panels / elementBytes);
  Value passes = pass;
  if (int64_t width = tile.lanes * tile.vectors; weights.panel > width) {
    Value part = arith::RemUIOp::create(builder, root.loc, divide(lanes.start, width),
                                        kernel.constant(weights.panel / width));
    passes = kernel.add(kernel.mul(passes, kernel.constant(weights.panel / width)), part);
  }
  Value walked = kernel.add(kernel.mul(passes, kernel.constant(stream->chunks)), chunk);
  Value next = kernel.add(divide(lanes.start, weights.panel), kernel.constant(stream->panels));
  emitPrefetch(kernel, kernel.buffer(addressOf(weights.view), weights.view.element),
               kernel.mul(next, kernel.constant(weights.panelStride)), stream->bytes,
               kernel.mul(walked, kernel.constant(stream->lines)), stream->lines);
}

void TileEmitter::emitRowTiles(const Lanes &lanes, Value firstTile, Value lastTile) {
  if (!choice.rowLoop) {
    emitTile(lanes, Value(), 1);
    return;
  }
  const Size &extent = root.extents[*choice.rowLoop];
  // `firstRow` gives the first row of a tile by what the loop counts: tiles, of which each is a
  // pass, or their rows.
  auto forTiles = [&](Value begin, Value end, Value step, int64_t rows,
                      llvm::function_ref<Value(Value)> firstRow) {
    if (tile.matrix)
      matrix.configure(rows);
    auto loop = scf::ForOp::create(builder, root.loc, begin, end, step);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    llvm::SaveAndRestore<Value> before(pass);
    if (Value index = loop.getInductionVar(); stream) {
      if (!extent.isStatic())
        index = arith::DivUIOp::create(builder, root.loc, index, kernel.constant(tile.rows));
      pass = kernel.add(pass, index);
    }
    Value row = firstRow(loop.getInductionVar());
    if (tile.matrix)
      emitMatrixTile(lanes, row, rows);
    else
      emitTile(lanes, row, rows);
  };
  Value one = kernel.constant(1);
  if (extent.isStatic()) {
    // Tiles of `rows` and of one less, so that none is a small remainder.
    int64_t tiles = std::max<int64_t>(1, llvm::divideCeil(extent.constant, tile.rows));
    int64_t high = llvm::divideCeil(extent.constant, tiles), low = extent.constant / tiles;
    int64_t highTiles = high == low ? tiles : extent.constant - low * tiles;
    Value border = kernel.constant(highTiles);
    Value end = arith::MinUIOp::create(builder, root.loc, lastTile, border);
    forTiles(firstTile, end, one, high,
             [&](Value index) { return kernel.mul(index, kernel.constant(high)); });
    if (high == low || low == 0)
      return;
    Value begin = arith::MaxUIOp::create(builder, root.loc, firstTile, border);
    forTiles(begin, lastTile, one, low, [&](Value index) {
      return kernel.add(kernel.mul(index, kernel.constant(low)), border);
    });
    return;
  }
  Value rowEnd = arith::MinUIOp::create(
      builder, root.loc, kernel.mul(lastTile, kernel.constant(tile.rows)), kernel.size(extent));
  Value row = kernel.mul(firstTile, kernel.constant(tile.rows));
  for (int64_t rows = tile.rows; rows >= 1; rows = rows > 16  ? 16
                                                   : rows > 8 ? 8
                                                   : rows > 4 ? 4
                                                   : rows > 1 ? 1
                                                              : 0) {
    Value step = kernel.constant(rows);
    Value left = arith::SubIOp::create(builder, root.loc, rowEnd, row);
    Value whole = arith::DivUIOp::create(builder, root.loc, left, step);
    Value end = kernel.add(row, kernel.mul(whole, step));
    forTiles(row, end, step, rows, [](Value index) { return index; });
    row = end;
  }
}

Work TileEmitter::emit() {
  const Size &vectorExtent = root.extents[choice.vectorLoop];
  int64_t width = tile.lanes * tile.vectors;

  // Row tiles per work item: enough work to be worth a hand-over, few enough to share.
  int64_t reduction = 1;
  for (unsigned loop : reductions)
    reduction *= root.extents[loop].isStatic()
                     ? std::clamp<int64_t>(root.extents[loop].constant, 1, 1 << 16)
                     : 64;
  int64_t tileCost = std::max<int64_t>(1, tile.rows * tile.vectors * reduction);
  // Vector operations that are worth handing to another thread.
  constexpr int64_t pieceCost = 16384;
  int64_t blockTiles = std::clamp<int64_t>(pieceCost / tileCost, 1, 64);
  std::optional<int64_t> rowTiles;
  if (!choice.rowLoop)
    rowTiles = 1;
  else if (root.extents[*choice.rowLoop].isStatic())
    rowTiles = llvm::divideCeil(root.extents[*choice.rowLoop].constant, tile.rows);
  if (rowTiles)
    blockTiles = std::clamp<int64_t>(blockTiles, 1, std::max<int64_t>(1, *rowTiles));
  bool inStripes = tile.vectorOuter && choice.rowLoop && hasSmallWeights();

  OpBuilder &b = builder;
  Location loc = root.loc;
  SmallVector<unsigned> outer;
  Size outerCount(1);
  for (unsigned loop : parallel)
    if (loop != choice.vectorLoop && (!choice.rowLoop || loop != *choice.rowLoop)) {
      outer.push_back(loop);
      outerCount = outerCount * root.extents[loop];
    }
  // Few rows can be shared out evenly only with the vector tiles.
  if (inStripes && rowTiles && outerCount.isStatic())
    inStripes = *rowTiles * outerCount.constant >= 2 * stripeTiles;
  if (inStripes) {
    int64_t parts = outerCount.isStatic()
                        ? llvm::divideCeil(stripeCount, std::max<int64_t>(outerCount.constant, 1))
                        : 1;
    int64_t tiles = rowTiles ? llvm::divideCeil(*rowTiles, parts) : 0;
    blockTiles = std::min(blockTiles, std::max(stripeTiles, tiles));
  }

  // The work items: vector tiles x outer loops x blocks of row tiles, in that order or with the
  // vector tiles last.
  Work work;
  Value rowBlocks, vectorTiles;
  if (rowTiles)
    rowBlocks = kernel.constant(llvm::divideCeil(*rowTiles, blockTiles));
  else
    rowBlocks = arith::CeilDivUIOp::create(b, loc, kernel.size(root.extents[*choice.rowLoop]),
                                           kernel.constant(tile.rows * blockTiles));
  if (vectorExtent.isStatic())
    vectorTiles = kernel.constant(llvm::divideCeil(vectorExtent.constant, width));
  else
    vectorTiles =
        arith::CeilDivUIOp::create(b, loc, kernel.size(vectorExtent), kernel.constant(width));
  // What the host computes of the same product.
  work.count = outerCount;
  if (rowTiles)
    work.count = work.count * Size(llvm::divideCeil(*rowTiles, blockTiles));
  else
    work.ceilings.push_back({root.extents[*choice.rowLoop], tile.rows * blockTiles});
  if (vectorExtent.isStatic())
    work.count = work.count * Size(llvm::divideCeil(vectorExtent.constant, width));
  else
    work.ceilings.push_back({vectorExtent, width});
  Size itemCost(tile.rows * tile.vectors * blockTiles);
  for (unsigned loop : reductions)
    itemCost = itemCost * root.extents[loop];
  work.itemCost.add(itemCost);
  work.pieceCost = pieceCost;

  auto loop = scf::ForOp::create(b, loc, kernel.begin(), kernel.end(), kernel.constant(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value rest = loop.getInductionVar();
  auto peel = [&](Value extent) -> Value {
    APInt one;
    if (matchPattern(extent, m_ConstantInt(&one)) && one == 1)
      return kernel.constant(0);
    Value index = arith::RemUIOp::create(b, loc, rest, extent);
    rest = arith::DivUIOp::create(b, loc, rest, extent);
    return index;
  };
  // Vector tiles are the slowest of loops, within stripes of row blocks.
  Value vectorTile, walked; // `walked`: row blocks of the stripe before this one
  Value rows = rest;
  if (!tile.vectorOuter) {
    vectorTile = peel(vectorTiles);
    rows = rest;
  } else {
    Value allRows = rowBlocks;
    for (unsigned i : outer)
      allRows = kernel.mul(allRows, kernel.size(root.extents[i]));
    auto divide = [&](Value a, Value by) -> Value { return arith::DivUIOp::create(b, loc, a, by); };
    auto remainder = [&](Value a, Value by) -> Value {
      return arith::RemUIOp::create(b, loc, a, by);
    };
    std::optional<int64_t> rowCount;
    if (rowTiles && outerCount.isStatic())
      rowCount = outerCount.constant * llvm::divideCeil(*rowTiles, blockTiles);
    int64_t most = blocksOfStripe(blockTiles, rowCount);
    Value stripe = most ? kernel.constant(most) : Value();
    if (inStripes) {
      Value share = arith::CeilDivUIOp::create(b, loc, allRows, kernel.constant(stripeCount));
      stripe = stripe ? arith::MinUIOp::create(b, loc, stripe, share) : share;
      most = 0;
    }
    if (stripe) {
      Value whole = kernel.mul(stripe, vectorTiles);
      Value first = kernel.mul(divide(rest, whole), stripe);
      Value within = remainder(rest, whole);
      Value left = arith::SubIOp::create(b, loc, allRows, first);
      Value size = arith::MinUIOp::create(b, loc, stripe, left);
      vectorTile = divide(within, size);
      walked = remainder(within, size);
      rows = kernel.add(first, walked);
      rowCount = most ? std::optional(most) : std::nullopt;
    } else {
      vectorTile = divide(rest, allRows);
      walked = rows = remainder(rest, allRows);
    }
    stream = chooseStream(rowCount ? std::optional(*rowCount * blockTiles) : std::nullopt);
  }
  rest = rows;
  // What lies together in memory comes together: the groups of a convolution are within its rows.
  SmallVector<unsigned> walk = outer;
  if (choice.rowLoop)
    walk.push_back(*choice.rowLoop);
  ArrayRef<Size> places = root.outputs.front().coefficients;
  if (llvm::all_of(walk, [&](unsigned i) { return places[i].isStatic(); }))
    llvm::stable_sort(
        walk, [&](unsigned a, unsigned b) { return places[a].constant > places[b].constant; });
  Value rowBlock = choice.rowLoop ? Value() : peel(rowBlocks);
  for (unsigned i : llvm::reverse(walk)) {
    if (i == choice.rowLoop)
      rowBlock = peel(rowBlocks);
    else
      indices[i] = peel(kernel.size(root.extents[i]));
  }

  Value firstTile = kernel.mul(rowBlock, kernel.constant(blockTiles));
  Value lastTile = kernel.add(firstTile, kernel.constant(blockTiles));
  if (rowTiles && *rowTiles % blockTiles != 0)
    lastTile = arith::MinUIOp::create(b, loc, lastTile, kernel.constant(*rowTiles));
  if (stream) // each row tile is a pass
    pass =
        arith::SubIOp::create(b, loc, kernel.mul(walked, kernel.constant(blockTiles)), firstTile);

  Lanes lanes;
  lanes.start = kernel.mul(vectorTile, kernel.constant(width));
  auto maskType = VectorType::get({tile.lanes}, b.getI1Type());
  if (!vectorExtent.isStatic()) {
    Value left = arith::SubIOp::create(b, loc, kernel.size(vectorExtent), lanes.start);
    auto isFull =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, left, kernel.constant(width));
    auto branch = scf::IfOp::create(b, loc, isFull, /*withElse=*/true);
    {
      OpBuilder::InsertionGuard inner(b);
      b.setInsertionPointToStart(branch.thenBlock());
      lanes.masks.assign(tile.vectors, Value());
      emitRowTiles(lanes, firstTile, lastTile);
      b.setInsertionPointToStart(branch.elseBlock());
      for (int64_t j = 0; j < tile.vectors; ++j) {
        Value rem = arith::SubIOp::create(b, loc, left, kernel.constant(j * tile.lanes));
        rem = arith::MaxSIOp::create(b, loc, rem, kernel.constant(0));
        lanes.masks[j] = vector::CreateMaskOp::create(b, loc, maskType, rem);
      }
      emitRowTiles(lanes, firstTile, lastTile);
    }
    return work;
  }
  int64_t full = vectorExtent.constant / width, tail = vectorExtent.constant % width;
  auto emitFull = [&] {
    lanes.masks.assign(tile.vectors, Value());
    emitRowTiles(lanes, firstTile, lastTile);
  };
  auto emitTail = [&] {
    lanes.masks.assign(llvm::divideCeil(tail, tile.lanes), Value());
    if (tail % tile.lanes)
      lanes.masks.back() =
          vector::CreateMaskOp::create(b, loc, maskType, kernel.constant(tail % tile.lanes));
    emitRowTiles(lanes, firstTile, lastTile);
  };
  if (tail == 0) {
    emitFull();
  } else if (full == 0) {
    emitTail();
  } else {
    auto isTail =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, vectorTile, kernel.constant(full));
    auto branch = scf::IfOp::create(b, loc, isTail, /*withElse=*/true);
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(branch.thenBlock());
    emitTail();
    b.setInsertionPointToStart(branch.elseBlock());
    emitFull();
  }
  return work;
}

Work lathe::schedule::emitTiles(Kernel &kernel, const Group &group, const Options &options,
                                const Tiling &tiling, AddressOf addressOf) {
  const Stage &root = group.stages.front();
  TileChoice choice = *chooseTile(root, options.target);
  TileParameters tile = chooseParameters(root, choice, options, tiling);
  Work work = TileEmitter(kernel, group, choice, tile, options.target, addressOf).emit();
  if (tile.matrix)
    MatrixUnit(kernel).release();
  return work;
}
