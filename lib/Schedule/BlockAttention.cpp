// Attention on a GPU, without a matrix of scores in memory: the threads of a block take some
// queries of one head through the keys, a part after the other, and keep for every query the
// largest score so far, the sum of the exponentials and the weighted sum of the values, which they
// rescale when a larger score turns up (online softmax). Keys, values and the scores of one part
// lie in shared memory. Apache-2.0 WITH LLVM-exception
#include "AttentionTile.h"
#include "WarpOperand.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {
class BlockAttention {
public:
  BlockAttention(Kernel &kernel, const AttentionShape &shape, const AttentionTile &tile,
                 AddressOf addressOf)
      : kernel(kernel), builder(kernel.builder), loc(kernel.loc), shape(shape), tile(tile),
        unit(tile.unit), addressOf(addressOf), f32(builder.getF32Type()) {}
  Work emit();

private:
  Value constant(int64_t value) { return kernel.constant(value); }
  Value number(double x) {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(x)));
  }
  Value rem(Value a, Value b) { return arith::RemUIOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivUIOp::create(builder, loc, a, b); }
  Value minus(Value a, Value b) { return arith::SubIOp::create(builder, loc, a, b); }
  Value least(Value a, Value b) { return arith::MinSIOp::create(builder, loc, a, b); }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, predicate, a, b);
  }
  Value select(Value choice, Value a, Value b) {
    return arith::SelectOp::create(builder, loc, choice, a, b);
  }
  Value load(Value buffer, Value at) { return memref::LoadOp::create(builder, loc, buffer, at); }
  void store(Value value, Value buffer, Value at) {
    memref::StoreOp::create(builder, loc, value, buffer, at);
  }
  Value place(Value row, int64_t stride, Value column) {
    return kernel.add(kernel.mul(row, constant(stride)), column);
  }
  void barrier() { rt::BarrierOp::create(builder, loc); }
  Value share(int64_t length, Type element) {
    return rt::SharedOp::create(builder, loc, MemRefType::get({length}, element));
  }
  Value open(const View &view) { return kernel.buffer(addressOf(view), view.element); }
  /// A NaN may be lost here: its exponential is not.
  Value larger(Value a, Value b) {
    return select(arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b), a, b);
  }
  /// Sums of a unit are vectors of so many numbers.
  int64_t numbersOfSum() const { return unit ? unit->sums.size() : 1; }
  Value zeroSum() {
    if (!unit)
      return number(0);
    return arith::ConstantOp::create(builder, loc,
                                     builder.getZeroAttr(VectorType::get({numbersOfSum()}, f32)));
  }
  Value convert(Value value, Type element) { return convertFloats(kernel, value, element); }
  Value along(Value offset, const View &view, unsigned dim, Value index);
  /// A loop from 0 that carries values; `body` gives the next ones.
  template <typename Body>
  SmallVector<Value> carry(Value from, Value to, int64_t step, ArrayRef<Value> initial, Body body) {
    auto loop = scf::ForOp::create(builder, loc, from, to, constant(step), initial);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next =
        body(loop.getInductionVar(), SmallVector<Value>(loop.getRegionIterArgs()));
    if (!initial.empty())
      scf::YieldOp::create(builder, loc, next);
    return SmallVector<Value>(loop.getResults());
  }
  template <typename Body> void onlyIf(Value condition, Body body) {
    auto choice = scf::IfOp::create(builder, loc, condition, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&choice.getThenRegion().front());
    body();
  }

  void placeBlock();
  void placeThreads();
  std::pair<Value, Value> splitRow(Value row);
  Value startOfRow(const View &view, Value start, Value row);
  void bring(AttentionRole role, Value first);
  void loadQueries();
  /// Sums of one row of the thread, with their columns.
  struct Row {
    Value number;
    SmallVector<std::pair<Value, Value>> sums;
  };
  SmallVector<Row> rowsOf(ArrayRef<Value> sums, int64_t warpColumns);
  /// The left operand of a product without a matrix unit, or the right one of any.
  struct Factor {
    const BlockPart &part;
    Value memory;
  };
  SmallVector<Value> multiply(const Factor &left, const Factor &right, ArrayRef<Value> sums);
  SmallVector<Value>
  multiplyByUnit(llvm::function_ref<SmallVector<SmallVector<Value>>(int64_t)> leftsAt,
                 const Factor &right, ArrayRef<Value> sums);
  void emitScores();
  Value scoreOf(Value key, Value score);
  void emitSoftmax(Value firstKey, Value &best, Value &total);
  SmallVector<Value> loadExponentials(Value firstRow, int64_t firstKey);
  SmallVector<Value> addValues(ArrayRef<Value> sums);
  void finish(Value best, Value total, ArrayRef<Value> sums);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  const AttentionShape &shape;
  const AttentionTile &tile;
  const MatrixUnit *unit; // null: each thread multiplies for itself
  AddressOf addressOf;
  Type f32;
  /// Of the block: its place in the batch, the first of its heads and that of its keys, where its
  /// results and mask begin, its first query, and the keys it sees.
  Value batch, head, keyHead, resultStart, maskStart;
  Value firstRow, rowCount, queryCount, keyCount, shift, keyBegin, keyEnd;
  Value part, groupNumber; // of the keys; of the heads of the batch
  /// Of the thread: its place in the grid, or that of its warp, and its row of scores.
  Value thread, lane, threadRow, threadColumn, softRow, softPart, softQuery, softHead;
  int64_t warpRows = 0, warpKeys = 0, warpValues = 0;
  Value queries, keys, values, scores, parts, factors; // in shared memory
  SmallVector<SmallVector<Value>> queryFragments;      // for each step of what is added up
};
} // namespace

Value BlockAttention::along(Value offset, const View &view, unsigned dim, Value index) {
  if (view.sizes[dim].is(1))
    return offset;
  return kernel.add(offset, kernel.mul(index, kernel.size(view.strides[dim])));
}

// Blocks that follow each other have the same keys.
void BlockAttention::placeBlock() {
  queryCount = kernel.size(shape.query.sizes[2]);
  keyCount = kernel.size(shape.key.sizes[2]);
  rowCount = kernel.size(shape.rows());
  const Size &heads = shape.query.sizes[1], &keyHeads = shape.key.sizes[1];
  Value tiles = div(kernel.add(rowCount, constant(tile.rows - 1)), constant(tile.rows));
  Value rest = kernel.begin();
  firstRow = kernel.mul(rem(rest, tiles), constant(tile.rows));
  rest = div(rest, tiles);
  part = constant(0);
  if (!shape.parts.is(1)) {
    Value count = kernel.size(shape.parts);
    part = rem(rest, count);
    rest = div(rest, count);
  }
  groupNumber = rest;
  SmallVector<Value> outer = kernel.split(rest, {shape.query.sizes[0], shape.groups()});
  batch = outer[0];
  head = kernel.mul(outer[1], constant(shape.group));
  keyHead = outer[1];
  if (shape.group == 1 && heads != keyHeads)
    keyHead = div(kernel.mul(head, kernel.size(keyHeads)), kernel.size(heads));
  resultStart = along(along(constant(0), shape.result, 0, batch), shape.result, 1, head);
  if (shape.mask) {
    unsigned rank = shape.mask->sizes.size();
    maskStart = constant(0);
    if (rank > 2)
      maskStart = along(maskStart, *shape.mask, rank - 3, head);
    if (rank > 3)
      maskStart = along(maskStart, *shape.mask, 0, batch);
  }
  keyBegin = constant(0);
  keyEnd = keyCount;
  if (!shape.parts.is(1)) {
    keyBegin = kernel.mul(part, kernel.size(shape.chunk));
    keyEnd = least(keyEnd, kernel.add(keyBegin, kernel.size(shape.chunk)));
  }
  if (shape.causal) {
    shift = minus(keyCount, queryCount);
    // No query of the block sees a key past its last one's place.
    if (shape.group == 1) {
      Value end = kernel.add(kernel.add(firstRow, constant(tile.rows)), shift);
      keyEnd = least(keyEnd, arith::MaxSIOp::create(builder, loc, end, constant(0)));
    }
  }
}

void BlockAttention::placeThreads() {
  thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  softRow = div(thread, constant(tile.perRow()));
  softPart = rem(thread, constant(tile.perRow()));
  // Of rows that are not there the last one is taken.
  std::tie(softHead, softQuery) =
      splitRow(least(kernel.add(firstRow, softRow), minus(rowCount, constant(1))));
  if (!unit) {
    threadColumn = rem(thread, constant(tile.gridAcross));
    threadRow = div(thread, constant(tile.gridAcross));
    return;
  }
  warpRows = tile.rows / tile.warpsDown;
  warpKeys = tile.keys / tile.warpsAcross;
  warpValues = tile.valueHead / tile.warpsAcross;
  lane = rem(thread, constant(unit->lanes));
  Value warp = div(thread, constant(unit->lanes));
  threadColumn = rem(warp, constant(tile.warpsAcross)); // times warpKeys or warpValues
  threadRow = kernel.mul(div(warp, constant(tile.warpsAcross)), constant(warpRows));
}

// The head, of those of the block, and the query that a row is.
std::pair<Value, Value> BlockAttention::splitRow(Value row) {
  if (shape.group == 1)
    return {constant(0), row};
  return {div(row, queryCount), rem(row, queryCount)};
}

Value BlockAttention::startOfRow(const View &view, Value start, Value row) {
  auto [head, query] = splitRow(row);
  if (shape.group > 1)
    start = along(start, view, 1, head);
  return along(start, view, 2, query);
}

// Brings a part of an operand, from query or key `first` on, into shared memory.
void BlockAttention::bring(AttentionRole role, Value first) {
  bool isQuery = role == AttentionRole::query, isKey = role == AttentionRole::key;
  AttentionOperand operand(shape, role);
  AttentionPartEmitter emitter{kernel,
                               addressOf,
                               operand,
                               isQuery ? tile.queryPart
                               : isKey ? tile.keyPart
                                       : tile.valuePart,
                               tile.threads,
                               thread,
                               isQuery && !unit   ? queries
                               : isQuery || isKey ? keys
                                                  : values,
                               batch,
                               isQuery ? head : keyHead};
  emitter.bring(first, constant(0));
}

// Queries stay in registers where a matrix unit takes them: they come by way of the memory of keys.
void BlockAttention::loadQueries() {
  bring(AttentionRole::query, firstRow);
  if (!unit)
    return;
  barrier();
  WarpOperand operand(kernel, *unit, /*isLeft=*/true, tile.queryPart, keys, lane, threadRow,
                      warpRows / unit->rows);
  for (int64_t k = 0; k < tile.head; k += unit->depth)
    queryFragments.push_back(operand.load(constant(0), k));
  barrier();
}

// The sums of the thread by rows. Those of a warp have so many columns.
SmallVector<BlockAttention::Row> BlockAttention::rowsOf(ArrayRef<Value> sums, int64_t warpColumns) {
  SmallVector<Row> rows;
  int64_t down = unit ? warpRows / unit->rows : tile.rows / tile.gridDown;
  int64_t across = sums.size() / down;
  for (int64_t i = 0; i < down; ++i) {
    llvm::MapVector<int64_t, Row> ofPiece;
    for (int64_t j = 0; j < across; ++j) {
      Value sum = sums[i * across + j];
      if (!unit) {
        Row &row = ofPiece[0];
        row.number = kernel.add(threadRow, constant(i * tile.gridDown));
        row.sums.push_back({kernel.add(threadColumn, constant(j * tile.gridAcross)), sum});
        continue;
      }
      Value column = kernel.mul(threadColumn, constant(warpColumns));
      for (unsigned e = 0; e < unit->sums.size(); ++e) {
        Row &row = ofPiece[unit->sums.across.offsets[e]];
        if (!row.number)
          row.number =
              laneCoordinate(kernel, lane, unit->sums.across, e, i * unit->rows, threadRow);
        row.sums.push_back(
            {laneCoordinate(kernel, lane, unit->sums.along, e, j * unit->columns, column),
             vector::ExtractOp::create(builder, loc, sum, int64_t(e))});
      }
    }
    for (auto &[offset, row] : ofPiece)
      rows.push_back(row);
  }
  return rows;
}

// sums + left * right, each thread for its own.
SmallVector<Value> BlockAttention::multiply(const Factor &left, const Factor &right,
                                            ArrayRef<Value> sums) {
  int64_t down = tile.rows / tile.gridDown, across = right.part.size / tile.gridAcross;
  return carry(constant(0), constant(right.part.depth), 1, sums,
               [&](Value at, SmallVector<Value> carried) {
                 auto read = [&](const Factor &factor, Value first, int64_t beyond) {
                   Value place = kernel.add(first, constant(beyond));
                   return load(factor.memory, placeIn(kernel, factor.part, place, at));
                 };
                 SmallVector<Value> rights;
                 for (int64_t j = 0; j < across; ++j)
                   rights.push_back(read(right, threadColumn, j * tile.gridAcross));
                 for (int64_t i = 0; i < down; ++i) {
                   Value factor = read(left, threadRow, i * tile.gridDown);
                   for (int64_t j = 0; j < across; ++j) {
                     Value &sum = carried[i * across + j];
                     sum = math::FmaOp::create(builder, loc, factor, rights[j], sum);
                   }
                 }
                 return carried;
               });
}

// The same by warps. `leftsAt` gives the fragments of the left operand at a position of what is
// added up, each in one or more parts.
SmallVector<Value>
BlockAttention::multiplyByUnit(llvm::function_ref<SmallVector<SmallVector<Value>>(int64_t)> leftsAt,
                               const Factor &right, ArrayRef<Value> sums) {
  int64_t columns = right.part.size / tile.warpsAcross;
  WarpOperand operand(kernel, *unit, /*isLeft=*/false, right.part, right.memory, lane,
                      kernel.mul(threadColumn, constant(columns)), columns / unit->columns);
  SmallVector<Value> next(sums);
  for (int64_t k = 0; k < right.part.depth; k += unit->depth) {
    SmallVector<SmallVector<Value>> lefts = leftsAt(k);
    SmallVector<Value> rights = operand.load(constant(0), k);
    for (auto [i, parts] : llvm::enumerate(lefts))
      for (auto [j, fragment] : llvm::enumerate(rights)) {
        Value &sum = next[i * rights.size() + j];
        for (Value left : parts)
          sum = rt::MultiplyMatricesOp::create(builder, loc, sum.getType(), unit->name, left,
                                               fragment, sum);
      }
  }
  return next;
}

void BlockAttention::emitScores() {
  SmallVector<Value> sums(tile.rows * tile.keys / tile.threads / numbersOfSum(), zeroSum());
  Factor right{tile.keyPart, keys};
  if (!unit) {
    sums = multiply({tile.queryPart, queries}, right, sums);
  } else {
    auto leftsAt = [&](int64_t k) {
      SmallVector<SmallVector<Value>> lefts;
      for (Value fragment : queryFragments[k / unit->depth])
        lefts.push_back({fragment});
      return lefts;
    };
    sums = multiplyByUnit(leftsAt, right, sums);
  }
  for (const Row &row : rowsOf(sums, warpKeys))
    for (auto [column, sum] : row.sums)
      store(sum, scores, place(row.number, tile.scoreStride(), column));
}

// The score of a key that may not be there, scaled and masked.
Value BlockAttention::scoreOf(Value key, Value score) {
  score = arith::MulFOp::create(builder, loc, score, number(shape.scale));
  if (shape.mask) {
    const View &view = *shape.mask;
    unsigned rank = view.sizes.size();
    Value at = maskStart;
    if (rank > 2)
      at = along(at, view, rank - 3, softHead);
    if (rank > 1)
      at = along(at, view, rank - 2, softQuery);
    if (rank > 0)
      at = along(at, view, rank - 1, least(key, minus(keyCount, constant(1))));
    score = arith::AddFOp::create(builder, loc, score, convert(load(open(view), at), f32));
  }
  Value end = keyCount;
  if (shape.causal)
    end = least(end, kernel.add(kernel.add(softQuery, shift), constant(1)));
  return select(compare(arith::CmpIPredicate::slt, key, end), score,
                number(-std::numeric_limits<double>::infinity()));
}

// Scores to exponentials, and what that changes of the sums so far. Several threads share a row:
// each knows the largest score of all of it, and the sum of its own exponentials.
void BlockAttention::emitSoftmax(Value firstKey, Value &best, Value &total) {
  int64_t perRow = tile.perRow();
  auto columnOf = [&](int64_t j) { return kernel.add(softPart, constant(j * perRow)); };
  SmallVector<Value> own;
  Value before = best, most;
  for (int64_t j = 0; j < tile.keys / perRow; ++j) {
    Value score = load(scores, place(softRow, tile.scoreStride(), columnOf(j)));
    own.push_back(scoreOf(kernel.add(firstKey, columnOf(j)), score));
    most = most ? larger(most, own.back()) : own.back();
  }
  store(most, parts, thread);
  barrier();
  for (int64_t i = 0; i < perRow; ++i)
    best = larger(best, load(parts, place(softRow, perRow, constant(i))));
  // As long as every score is -inf, nothing is subtracted: their exponentials are 0.
  Value none = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, best,
                                     number(-std::numeric_limits<double>::infinity()));
  Value base = select(none, number(0), best);
  auto power = [&](Value score) -> Value {
    return math::ExpOp::create(builder, loc, arith::SubFOp::create(builder, loc, score, base));
  };
  Value factor = power(before);
  total = arith::MulFOp::create(builder, loc, total, factor);
  for (auto [j, score] : llvm::enumerate(own)) {
    Value weight = power(score);
    store(weight, scores, place(softRow, tile.scoreStride(), columnOf(j)));
    total = arith::AddFOp::create(builder, loc, total, weight);
  }
  onlyIf(compare(arith::CmpIPredicate::eq, softPart, constant(0)),
         [&] { store(factor, factors, softRow); });
}

// A fragment of the exponentials in two parts: rounded once, they would take a digit off small sums
// of large values.
SmallVector<Value> BlockAttention::loadExponentials(Value firstRow, int64_t firstKey) {
  SmallVector<Value> elements;
  for (unsigned i = 0; i < unit->left.size(); ++i)
    elements.push_back(load(
        scores,
        place(laneCoordinate(kernel, lane, unit->left.across, i, 0, firstRow), tile.scoreStride(),
              laneCoordinate(kernel, lane, unit->left.along, i, firstKey, constant(0)))));
  Value exact = vector::FromElementsOp::create(builder, loc,
                                               VectorType::get({unit->left.size()}, f32), elements);
  Value rounded = convert(exact, tile.stored);
  Value rest = arith::SubFOp::create(builder, loc, exact, convert(rounded, f32));
  return {convert(rest, tile.stored), rounded};
}

// sums * factor + exponentials * values
SmallVector<Value> BlockAttention::addValues(ArrayRef<Value> sums) {
  SmallVector<Value> next(sums);
  int64_t down = unit ? warpRows / unit->rows : tile.rows / tile.gridDown;
  int64_t across = sums.size() / down;
  for (int64_t i = 0; i < down; ++i) {
    Value factor;
    if (unit) {
      SmallVector<Value> elements;
      for (unsigned e = 0; e < unit->sums.size(); ++e)
        elements.push_back(load(factors, laneCoordinate(kernel, lane, unit->sums.across, e,
                                                        i * unit->rows, threadRow)));
      factor = vector::FromElementsOp::create(builder, loc, zeroSum().getType(), elements);
    } else {
      factor = load(factors, kernel.add(threadRow, constant(i * tile.gridDown)));
    }
    for (int64_t j = 0; j < across; ++j)
      next[i * across + j] = arith::MulFOp::create(builder, loc, next[i * across + j], factor);
  }
  Factor right{tile.valuePart, values};
  if (!unit) {
    BlockPart part{tile.rows, tile.keys, true, tile.scoreStride(), 1, 0};
    return multiply({part, scores}, right, next);
  }
  auto leftsAt = [&](int64_t k) {
    SmallVector<SmallVector<Value>> lefts;
    for (int64_t i = 0; i < warpRows; i += unit->rows)
      lefts.push_back(loadExponentials(kernel.add(threadRow, constant(i)), k));
    return lefts;
  };
  return multiplyByUnit(leftsAt, right, next);
}

// Quotients to memory, or, where other blocks have other keys of the rows, what they follow from.
void BlockAttention::finish(Value best, Value total, ArrayRef<Value> sums) {
  auto placeOfPart = [&](Value row) {
    Value number = kernel.add(kernel.mul(groupNumber, rowCount), kernel.add(firstRow, row));
    return kernel.add(kernel.mul(number, kernel.size(shape.parts)), part);
  };
  auto onlyIfThere = [&](Value row, llvm::function_ref<void()> body) {
    onlyIf(compare(arith::CmpIPredicate::slt, kernel.add(firstRow, row), rowCount), body);
  };
  store(total, parts, thread);
  barrier();
  onlyIf(compare(arith::CmpIPredicate::eq, softPart, constant(0)), [&] {
    Value all = load(parts, thread);
    for (int64_t i = 1; i < tile.perRow(); ++i)
      all = arith::AddFOp::create(builder, loc, all, load(parts, kernel.add(thread, constant(i))));
    if (!shape.partSums)
      return store(all, factors, softRow);
    onlyIfThere(softRow, [&] {
      Value buffer = open(*shape.partTotals), at = kernel.mul(placeOfPart(softRow), constant(2));
      store(best, buffer, at);
      store(all, buffer, kernel.add(at, constant(1)));
    });
  });
  if (!shape.partSums)
    barrier();
  const View &result = shape.partSums ? *shape.partSums : shape.result;
  Value buffer = open(result);
  int64_t columns = shape.result.sizes[3].constant;
  for (const Row &row : rowsOf(sums, warpValues))
    onlyIfThere(row.number, [&] {
      Value divisor, to;
      if (shape.partSums) {
        to = kernel.mul(placeOfPart(row.number), constant(columns));
      } else {
        divisor = load(factors, row.number);
        to = startOfRow(result, resultStart, kernel.add(firstRow, row.number));
      }
      for (auto [column, sum] : row.sums) {
        auto write = [&] {
          Value value =
              divisor ? arith::DivFOp::create(builder, loc, sum, divisor).getResult() : sum;
          store(convert(value, result.element), buffer,
                divisor ? along(to, result, 3, column) : kernel.add(to, column));
        };
        if (columns == tile.valueHead)
          write();
        else
          onlyIf(compare(arith::CmpIPredicate::slt, column, constant(columns)), write);
      }
    });
}

Work BlockAttention::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(tile.threads));
  placeBlock();
  placeThreads();
  if (!unit)
    queries = share(tile.queryElements(), tile.stored);
  if (tile.joined) {
    keys = values = share(std::max(tile.keyElements(), tile.valuePart.elements()), tile.stored);
  } else {
    keys = share(tile.keyElements(), tile.stored);
    values = share(tile.valuePart.elements(), tile.stored);
  }
  scores = share(tile.rows * tile.scoreStride(), f32);
  parts = share(tile.threads, f32);
  factors = share(tile.rows, f32);
  loadQueries();

  SmallVector<Value> carried{number(-std::numeric_limits<double>::infinity()), number(0)};
  carried.append(tile.rows * tile.valueHead / tile.threads / numbersOfSum(), zeroSum());
  carried =
      carry(keyBegin, keyEnd, tile.keys, carried, [&](Value firstKey, SmallVector<Value> carried) {
        bring(AttentionRole::key, firstKey);
        barrier();
        emitScores();
        // Nobody reads the values of the step before any more.
        if (!tile.joined)
          bring(AttentionRole::value, firstKey);
        barrier();
        if (tile.joined)
          bring(AttentionRole::value, firstKey);
        emitSoftmax(firstKey, carried[0], carried[1]);
        barrier();
        SmallVector<Value> next(ArrayRef(carried).take_front(2));
        next.append(addValues(ArrayRef(carried).drop_front(2)));
        if (tile.joined)
          barrier();
        return next;
      });
  finish(carried[0], carried[1], ArrayRef(carried).drop_front(2));

  Work work;
  work.count = shape.query.sizes[0] * shape.groups() * shape.parts;
  work.ceilings = {{shape.rows(), tile.rows}};
  work.itemCost.add(Size(1));
  return work;
}

Work lathe::schedule::emitBlockAttention(Kernel &kernel, const AttentionShape &shape,
                                         const AttentionTile &tile, AddressOf addressOf) {
  return BlockAttention(kernel, shape, tile, addressOf).emit();
}
