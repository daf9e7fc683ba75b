// Attention on a GPU, without a matrix of scores in memory: the threads of a block take some
// queries of one head through the keys, a part after the other, and keep for every query the
// largest score so far, the sum of the exponentials and the weighted sum of the values, which they
// rescale when a larger score turns up (online softmax). Keys, values and the scores of one part
// lie in shared memory, where the next keys and values come while these are multiplied.
// Apache-2.0 WITH LLVM-exception
#include "AttentionProducts.h"
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
  Value viewOf(Value memory, int64_t length, Type element) {
    return memref::ViewOp::create(builder, loc, MemRefType::get({length}, element), memory,
                                  constant(0), ValueRange{});
  }
  Value open(const View &view) { return kernel.buffer(addressOf(view), view.element); }
  /// A NaN may be lost here: its exponential is not.
  Value larger(Value a, Value b) {
    return select(arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGT, a, b), a, b);
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
  void bring(AttentionRole role, Value first, Value slot);
  void bringIfThere(AttentionRole role, Value first, Value slot);
  void endCopies();
  void waitForCopies(int64_t groups);
  void loadQueries();
  void emitScores(Value slot);
  Value scoreOf(Value key, Value score);
  void emitSoftmax(Value firstKey, Value &best, Value &total);
  SmallVector<Value> addValues(ArrayRef<Value> sums, Value slot);
  SmallVector<Value> step(Value firstKey, Value slot, ArrayRef<Value> before);
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
  /// Of the thread: its row of scores, and what it multiplies.
  Value thread, softRow, softPart, softQuery, softHead;
  std::optional<AttentionProducts> products;
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
  products.emplace(kernel, tile, thread);
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

// Brings a part of an operand, from query or key `first` on, into shared memory: of the parts that
// are there to number `slot`.
void BlockAttention::bring(AttentionRole role, Value first, Value slot) {
  bool isQuery = role == AttentionRole::query, isKey = role == AttentionRole::key;
  AttentionOperand operand(shape, role);
  const BlockPart &part = isQuery ? tile.queryPart : isKey ? tile.keyPart : tile.valuePart;
  AttentionPartEmitter emitter{kernel,
                               addressOf,
                               operand,
                               part,
                               tile.threads,
                               thread,
                               isQuery ? queries
                               : isKey ? keys
                                       : values,
                               batch,
                               isQuery ? head : keyHead};
  emitter.bring(first, kernel.mul(slot, constant(part.elements())));
}

// The same and the end of a group of copies, which is empty where there are no such keys: so the
// same number is always under way.
void BlockAttention::bringIfThere(AttentionRole role, Value first, Value slot) {
  onlyIf(compare(arith::CmpIPredicate::slt, first, keyEnd), [&] { bring(role, first, slot); });
  endCopies();
}

void BlockAttention::endCopies() {
  if (tile.copies())
    rt::CommitCopiesOp::create(builder, loc);
}

// Until all have arrived but the last groups.
void BlockAttention::waitForCopies(int64_t groups) {
  if (tile.copies())
    rt::WaitCopiesOp::create(builder, loc, groups);
}

// The queries of the block, and the first keys and values. Queries stay in registers where a matrix
// unit takes them: they come by way of the memory of scores.
void BlockAttention::loadQueries() {
  Value slot = constant(0);
  bring(AttentionRole::query, firstRow, slot);
  endCopies();
  if (!tile.joined)
    bringIfThere(AttentionRole::key, keyBegin, slot);
  if (tile.stages > 1)
    bringIfThere(AttentionRole::value, keyBegin, slot);
  waitForCopies(tile.joined ? 0 : tile.stages);
  if (!unit)
    return; // the barrier before the first scores is theirs as well
  barrier();
  queryFragments = products->loadQueries(queries);
}

void BlockAttention::emitScores(Value slot) {
  SmallVector<Value> sums = products->zeros(tile.keys);
  AttentionProducts::Factor left{tile.queryPart, queries, constant(0)},
      right{tile.keyPart, keys, kernel.mul(slot, constant(tile.keyPart.elements()))};
  auto leftsAt = [&](int64_t k) {
    SmallVector<SmallVector<Value>> lefts;
    for (Value fragment : queryFragments[k / unit->depth])
      lefts.push_back({fragment});
    return lefts;
  };
  sums = unit ? products->multiply(leftsAt, right, sums) : products->multiply(left, right, sums);
  for (const AttentionProducts::Row &row : products->rowsOf(sums))
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

// sums * factor + exponentials * values
SmallVector<Value> BlockAttention::addValues(ArrayRef<Value> sums, Value slot) {
  SmallVector<Value> scaled = products->scale(sums, factors);
  BlockPart part{tile.rows, tile.keys, true, tile.scoreStride(), 1, 0};
  AttentionProducts::Factor left{part, scores, constant(0)},
      right{tile.valuePart, values, kernel.mul(slot, constant(tile.valuePart.elements()))};
  auto leftsAt = [&](int64_t k) { return products->loadExponentials(scores, k); };
  return unit ? products->multiply(leftsAt, right, scaled)
              : products->multiply(left, right, scaled);
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
  for (const AttentionProducts::Row &row : products->rowsOf(sums))
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

// One part of the keys: what changes of the largest score, the sum of exponentials and the sums.
// The copies that a wait lets be under way are those that were begun after what is used next.
SmallVector<Value> BlockAttention::step(Value firstKey, Value slot, ArrayRef<Value> before) {
  Value nextKey = kernel.add(firstKey, constant(tile.keys));
  auto bringValues = [&] {
    bring(AttentionRole::value, firstKey, slot);
    endCopies();
  };
  if (tile.joined) {
    bring(AttentionRole::key, firstKey, slot);
    endCopies();
  }
  waitForCopies(tile.stages - 1);
  // Behind it nobody reads the values of the step before any more, nor the keys of that before.
  barrier();
  if (tile.stages > 1) {
    Value other = minus(constant(1), slot);
    bringIfThere(AttentionRole::key, nextKey, other);
    bringIfThere(AttentionRole::value, nextKey, other);
  } else if (!tile.joined) {
    bringValues();
  }
  emitScores(slot);
  barrier();
  if (tile.joined)
    bringValues();
  else if (tile.stages == 1)
    bringIfThere(AttentionRole::key, nextKey, slot);
  SmallVector<Value> next(before.take_front(2));
  emitSoftmax(firstKey, next[0], next[1]);
  waitForCopies(tile.joined ? 0 : tile.stages);
  barrier();
  next.append(addValues(before.drop_front(2), slot));
  if (tile.joined)
    barrier();
  return next;
}

Work BlockAttention::emit() {
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(tile.threads));
  placeBlock();
  placeThreads();
  int64_t keyElements = tile.keyPart.elements(), valueElements = tile.valuePart.elements();
  if (tile.joined) {
    keys = values = share(std::max(keyElements, valueElements), tile.stored);
  } else {
    keys = share(tile.stages * keyElements, tile.stored);
    values = share(tile.stages * valueElements, tile.stored);
  }
  Value ofScores = share(tile.scoreBytes(), builder.getI8Type());
  scores = viewOf(ofScores, tile.rows * tile.scoreStride(), f32);
  queries = unit ? viewOf(ofScores, tile.queryPart.elements(), tile.stored)
                 : share(tile.queryPart.elements(), tile.stored);
  parts = share(tile.threads, f32);
  factors = share(tile.rows, f32);
  loadQueries();

  SmallVector<Value> carried{number(-std::numeric_limits<double>::infinity()), number(0)};
  carried.append(products->zeros(tile.valueHead));
  carried.push_back(constant(0)); // which of the parts in shared memory
  carried =
      carry(keyBegin, keyEnd, tile.keys, carried, [&](Value firstKey, SmallVector<Value> carried) {
        Value slot = carried.back();
        SmallVector<Value> next = step(firstKey, slot, ArrayRef(carried).drop_back());
        next.push_back(tile.stages > 1 ? minus(constant(1), slot) : slot);
        return next;
      });
  finish(carried[0], carried[1], ArrayRef(carried).drop_front(2).drop_back());

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
