// Attention on a GPU, without a matrix of scores in memory: the threads of a block take some
// queries of one head through the keys, a part after the other, and keep for every query the
// largest score so far, the sum of the exponentials and the weighted sum of the values, which they
// rescale when a larger score turns up (online softmax). Keys, values and the scores of one part
// lie in shared memory. Apache-2.0 WITH LLVM-exception
#include "AttentionTile.h"
#include "BlockPart.h"
#include "KernelBuilder.h"
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
  Value convert(Value value, Type element);
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
  static int64_t chunkOf(const View &view);
  std::pair<Value, Value> splitRow(Value row);
  Value startOfRow(const View &view, Value start, Value row);
  void fill(Value part, const View &view, Value first, Value limit, int64_t size, int64_t width,
            int64_t acrossStride, int64_t alongStride, llvm::function_ref<Value(Value)> startOf);
  void fillKeys(Value part, const View &view, Value start, Value first, int64_t width,
                int64_t acrossStride, int64_t alongStride);
  Value laneCoordinate(const LanePlace &place, unsigned element, Value outer);
  Value loadFragment(const Fragment &fragment, Value part, int64_t across, int64_t along,
                     Value firstAcross, Value firstAlong, Value *rest = nullptr);
  void loadQueries();
  void emitScores();
  void emitScoresByUnit();
  Value scoreOf(Value key, Value score);
  void emitSoftmax(Value firstKey, Value &best, Value &total);
  SmallVector<Value> addValues(ArrayRef<Value> sums);
  SmallVector<Value> addValuesByUnit(ArrayRef<Value> sums);
  void finish(Value best, Value total, ArrayRef<Value> sums);

  Kernel &kernel;
  OpBuilder &builder;
  Location loc;
  const AttentionShape &shape;
  const AttentionTile &tile;
  const MatrixUnit *unit; // null: each thread multiplies for itself
  AddressOf addressOf;
  Type f32;
  /// Of the block: where its operands and results begin, its first query, and the keys it sees.
  Value queryStart, keyStart, valueStart, resultStart, maskStart;
  Value firstRow, rowCount, queryCount, keyCount, shift, keyBegin, keyEnd;
  Value part, groupNumber; // of the keys; of the heads of the batch
  /// Of the thread: its place in the grid, or that of its warp, and its row of scores.
  Value thread, lane, threadRow, threadColumn, softRow, softPart, softQuery, softHead;
  int64_t warpRows = 0, warpKeys = 0, warpValues = 0;
  Value queries, keys, values, scores, parts, factors; // in shared memory
  SmallVector<SmallVector<Value>> queryFragments;      // for each piece of rows
};
} // namespace

Value BlockAttention::convert(Value value, Type element) {
  auto vector = dyn_cast<VectorType>(value.getType());
  Type from = vector ? vector.getElementType() : value.getType();
  Type to = vector ? Type(vector.clone(element)) : element;
  if (from == element)
    return value;
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(builder, loc, to, value);
  return arith::TruncFOp::create(builder, loc, to, value);
}

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
  Value batch = outer[0], head = kernel.mul(outer[1], constant(shape.group)), keyHead = outer[1];
  if (shape.group == 1 && heads != keyHeads)
    keyHead = div(kernel.mul(head, kernel.size(keyHeads)), kernel.size(heads));
  auto startOf = [&](const View &view, Value ofHead) {
    return along(along(constant(0), view, 0, batch), view, 1, ofHead);
  };
  queryStart = startOf(shape.query, head);
  keyStart = startOf(shape.key, keyHead);
  valueStart = startOf(shape.value, keyHead);
  resultStart = startOf(shape.result, head);
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

// How many elements that lie together in each row can be read at once.
int64_t BlockAttention::chunkOf(const View &view) {
  if (!hasAlignedBase(view) || !view.strides[3].is(1))
    return 1;
  int64_t chunk = 16 * 8 / view.element.getIntOrFloatBitWidth();
  auto divides = [&](int64_t number) { return number % chunk == 0; };
  while (!divides(view.sizes[3].constant) || !divides(view.constantOffset) ||
         !llvm::all_of(llvm::zip_equal(view.sizes, view.strides), [&](auto dim) {
           auto [size, stride] = dim;
           return size.is(1) || &stride == &view.strides.back() || divides(stride.constant);
         }))
    chunk /= 2;
  return chunk;
}

// Brings `size` rows of [.., rows, columns] from `first` on into `part`, `width` elements of each,
// and zeros for what is not there. `startOf` says where a row begins.
void BlockAttention::fill(Value part, const View &view, Value first, Value limit, int64_t size,
                          int64_t width, int64_t acrossStride, int64_t alongStride,
                          llvm::function_ref<Value(Value)> startOf) {
  Value buffer = open(view), last = minus(limit, constant(1));
  int64_t columns = view.sizes[3].constant, chunk = chunkOf(view);
  auto type = VectorType::get({chunk}, view.element);
  // Threads that follow each other read what lies together, or, of chunks that are taken apart,
  // write it.
  bool rowsAreFastest =
      chunk > 1 ? alongStride != 1 : view.strides[2].is(1) && !view.strides[3].is(1);
  auto bring = [&](Value number) {
    Value fastest = constant(rowsAreFastest ? size : width / chunk);
    Value low = rem(number, fastest), high = div(number, fastest);
    Value row = rowsAreFastest ? low : high;
    Value column = kernel.mul(rowsAreFastest ? high : low, constant(chunk));
    Value to = kernel.add(kernel.mul(row, constant(acrossStride)),
                          kernel.mul(column, constant(alongStride)));
    Value from = kernel.add(first, row);
    Value isThere = compare(arith::CmpIPredicate::slt, from, limit);
    from = startOf(least(from, last));
    if (columns < width) {
      isThere = arith::AndIOp::create(
          builder, loc, isThere, compare(arith::CmpIPredicate::slt, column, constant(columns)));
      column = least(column, constant(columns - chunk));
    }
    from = along(from, view, 3, column);
    auto zeros = [&](Type of) {
      return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(of));
    };
    if (chunk == 1) {
      store(select(isThere, convert(load(buffer, from), tile.stored), zeros(tile.stored)), part,
            to);
      return;
    }
    auto alignment = [&](Type of) {
      return llvm::MaybeAlign(std::min<int64_t>(16, chunk * of.getIntOrFloatBitWidth() / 8));
    };
    Value read = vector::LoadOp::create(builder, loc, type, buffer, from, /*nontemporal=*/false,
                                        alignment(view.element));
    read = select(isThere, convert(read, tile.stored), zeros(type.clone(tile.stored)));
    if (alongStride == 1 && acrossStride % chunk == 0) {
      vector::StoreOp::create(builder, loc, read, part, to, /*nontemporal=*/false,
                              alignment(tile.stored));
      return;
    }
    for (int64_t i = 0; i < chunk; ++i)
      store(vector::ExtractOp::create(builder, loc, read, i), part,
            kernel.add(to, constant(i * alongStride)));
  };
  int64_t count = size * width / chunk, whole = count / tile.threads * tile.threads;
  carry(constant(0), constant(whole), tile.threads, {}, [&](Value at, SmallVector<Value>) {
    bring(kernel.add(at, thread));
    return SmallVector<Value>();
  });
  if (whole < count)
    onlyIf(compare(arith::CmpIPredicate::slt, thread, constant(count - whole)),
           [&] { bring(kernel.add(thread, constant(whole))); });
}

void BlockAttention::fillKeys(Value part, const View &view, Value start, Value first, int64_t width,
                              int64_t acrossStride, int64_t alongStride) {
  fill(part, view, first, keyCount, tile.keys, width, acrossStride, alongStride,
       [&](Value key) { return along(start, view, 2, key); });
}

// Where element number `element` of the lane lies.
Value BlockAttention::laneCoordinate(const LanePlace &place, unsigned element, Value outer) {
  Value part = rem(div(lane, constant(place.divisor)), constant(place.modulus));
  return kernel.add(
      kernel.add(kernel.mul(part, constant(place.scale)), constant(place.offsets[element])), outer);
}

// The elements of a fragment from shared memory.
// `rest`: what rounding to the unit's type takes away, as numbers of that type.
Value BlockAttention::loadFragment(const Fragment &fragment, Value part, int64_t across,
                                   int64_t along, Value firstAcross, Value firstAlong,
                                   Value *rest) {
  SmallVector<Value> elements;
  for (unsigned i = 0; i < fragment.size(); ++i) {
    Value at =
        kernel.add(kernel.mul(laneCoordinate(fragment.across, i, firstAcross), constant(across)),
                   kernel.mul(laneCoordinate(fragment.along, i, firstAlong), constant(along)));
    elements.push_back(load(part, at));
  }
  auto type = VectorType::get({fragment.size()}, elements.front().getType());
  Value exact = vector::FromElementsOp::create(builder, loc, type, elements);
  Value rounded = convert(exact, tile.stored);
  if (rest)
    *rest =
        convert(arith::SubFOp::create(builder, loc, exact, convert(rounded, type.getElementType())),
                tile.stored);
  return rounded;
}

// Queries stay in registers where a matrix unit takes them: they come by way of the memory of keys.
void BlockAttention::loadQueries() {
  fill(unit ? keys : queries, shape.query, firstRow, rowCount, tile.rows, tile.head,
       tile.keyStride(), 1, [&](Value row) { return startOfRow(shape.query, queryStart, row); });
  if (!unit)
    return;
  barrier();
  for (int64_t i = 0; i < warpRows; i += unit->rows) {
    SmallVector<Value> &fragments = queryFragments.emplace_back();
    for (int64_t k = 0; k < tile.head; k += unit->depth)
      fragments.push_back(loadFragment(unit->left, keys, tile.keyStride(), 1,
                                       kernel.add(threadRow, constant(i)), constant(k)));
  }
  barrier();
}

void BlockAttention::emitScores() {
  if (unit)
    return emitScoresByUnit();
  int64_t down = tile.rows / tile.gridDown, across = tile.keys / tile.gridAcross;
  SmallVector<Value> sums = carry(
      constant(0), constant(tile.head), 1, SmallVector<Value>(down * across, number(0)),
      [&](Value at, SmallVector<Value> carried) {
        SmallVector<Value> rights;
        for (int64_t j = 0; j < across; ++j)
          rights.push_back(load(keys, place(kernel.add(threadColumn, constant(j * tile.gridAcross)),
                                            tile.keyStride(), at)));
        for (int64_t i = 0; i < down; ++i) {
          Value left = load(queries, place(kernel.add(threadRow, constant(i * tile.gridDown)),
                                           tile.keyStride(), at));
          for (int64_t j = 0; j < across; ++j) {
            Value &sum = carried[i * across + j];
            sum = math::FmaOp::create(builder, loc, left, rights[j], sum);
          }
        }
        return carried;
      });
  for (int64_t i = 0; i < down; ++i)
    for (int64_t j = 0; j < across; ++j)
      store(sums[i * across + j], scores,
            place(kernel.add(threadRow, constant(i * tile.gridDown)), tile.scoreStride(),
                  kernel.add(threadColumn, constant(j * tile.gridAcross))));
}

void BlockAttention::emitScoresByUnit() {
  auto type = VectorType::get({unit->sums.size()}, f32);
  Value firstKey = kernel.mul(threadColumn, constant(warpKeys));
  for (int64_t j = 0; j < warpKeys; j += unit->columns) {
    Value column = kernel.add(firstKey, constant(j));
    SmallVector<Value> sums(
        queryFragments.size(),
        arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type)).getResult());
    for (int64_t k = 0; k < tile.head; k += unit->depth) {
      Value right = loadFragment(unit->right, keys, tile.keyStride(), 1, column, constant(k));
      for (auto [sum, lefts] : llvm::zip_equal(sums, queryFragments))
        sum = rt::MultiplyMatricesOp::create(builder, loc, type, unit->name, lefts[k / unit->depth],
                                             right, sum);
    }
    for (auto [i, sum] : llvm::enumerate(sums))
      for (unsigned e = 0; e < unit->sums.size(); ++e) {
        Value row =
            laneCoordinate(unit->sums.across, e, kernel.add(threadRow, constant(i * unit->rows)));
        store(vector::ExtractOp::create(builder, loc, sum, int64_t(e)), scores,
              place(row, tile.scoreStride(), laneCoordinate(unit->sums.along, e, column)));
      }
  }
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
SmallVector<Value> BlockAttention::addValues(ArrayRef<Value> sums) {
  if (unit)
    return addValuesByUnit(sums);
  int64_t down = tile.rows / tile.gridDown, across = tile.valueHead / tile.gridAcross;
  SmallVector<Value> next(sums);
  for (int64_t i = 0; i < down; ++i) {
    Value factor = load(factors, kernel.add(threadRow, constant(i * tile.gridDown)));
    for (int64_t j = 0; j < across; ++j)
      next[i * across + j] = arith::MulFOp::create(builder, loc, next[i * across + j], factor);
  }
  return carry(
      constant(0), constant(tile.keys), 1, next, [&](Value at, SmallVector<Value> carried) {
        SmallVector<Value> rights;
        for (int64_t j = 0; j < across; ++j)
          rights.push_back(
              load(values, place(at, tile.valueAlong(),
                                 kernel.add(threadColumn, constant(j * tile.gridAcross)))));
        for (int64_t i = 0; i < down; ++i) {
          Value left = load(scores, place(kernel.add(threadRow, constant(i * tile.gridDown)),
                                          tile.scoreStride(), at));
          for (int64_t j = 0; j < across; ++j) {
            Value &sum = carried[i * across + j];
            sum = math::FmaOp::create(builder, loc, left, rights[j], sum);
          }
        }
        return carried;
      });
}

SmallVector<Value> BlockAttention::addValuesByUnit(ArrayRef<Value> sums) {
  auto type = VectorType::get({unit->sums.size()}, f32);
  int64_t across = warpValues / unit->columns, down = warpRows / unit->rows;
  SmallVector<Value> next(sums);
  for (int64_t i = 0; i < down; ++i) {
    SmallVector<Value> elements;
    for (unsigned e = 0; e < unit->sums.size(); ++e)
      elements.push_back(
          load(factors, laneCoordinate(unit->sums.across, e,
                                       kernel.add(threadRow, constant(i * unit->rows)))));
    Value factor = vector::FromElementsOp::create(builder, loc, type, elements);
    for (int64_t j = 0; j < across; ++j)
      next[i * across + j] = arith::MulFOp::create(builder, loc, next[i * across + j], factor);
  }
  Value firstColumn = kernel.mul(threadColumn, constant(warpValues));
  for (int64_t k = 0; k < tile.keys; k += unit->depth) {
    // Exponentials in two parts: rounded once, they would take a digit off small sums of large
    // values.
    SmallVector<Value> lefts, rests(down);
    for (int64_t i = 0; i < down; ++i)
      lefts.push_back(loadFragment(unit->left, scores, tile.scoreStride(), 1,
                                   kernel.add(threadRow, constant(i * unit->rows)), constant(k),
                                   &rests[i]));
    for (int64_t j = 0; j < across; ++j) {
      Value right = loadFragment(unit->right, values, tile.valueAcross(), tile.valueAlong(),
                                 kernel.add(firstColumn, constant(j * unit->columns)), constant(k));
      for (int64_t i = 0; i < down; ++i) {
        Value &sum = next[i * across + j];
        for (Value left : {rests[i], lefts[i]})
          sum = rt::MultiplyMatricesOp::create(builder, loc, type, unit->name, left, right, sum);
      }
    }
  }
  return next;
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
  // Results of one row of a thread, with their columns.
  struct Row {
    Value number;
    SmallVector<std::pair<Value, Value>> results;
  };
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
        row.results.push_back({kernel.add(threadColumn, constant(j * tile.gridAcross)), sum});
        continue;
      }
      Value column =
          kernel.add(kernel.mul(threadColumn, constant(warpValues)), constant(j * unit->columns));
      for (unsigned e = 0; e < unit->sums.size(); ++e) {
        Row &row = ofPiece[unit->sums.across.offsets[e]];
        row.number =
            laneCoordinate(unit->sums.across, e, kernel.add(threadRow, constant(i * unit->rows)));
        row.results.push_back({laneCoordinate(unit->sums.along, e, column),
                               vector::ExtractOp::create(builder, loc, sum, int64_t(e))});
      }
    }
    for (auto &[offset, row] : ofPiece)
      rows.push_back(row);
  }
  const View &result = shape.partSums ? *shape.partSums : shape.result;
  Value buffer = open(result);
  int64_t columns = shape.result.sizes[3].constant;
  for (const Row &row : rows)
    onlyIfThere(row.number, [&] {
      Value divisor, to;
      if (shape.partSums) {
        to = kernel.mul(placeOfPart(row.number), constant(columns));
      } else {
        divisor = load(factors, row.number);
        to = startOfRow(result, resultStart, kernel.add(firstRow, row.number));
      }
      for (auto [column, sum] : row.results) {
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
    keys = values = share(std::max(tile.keyElements(), tile.valueElements()), tile.stored);
  } else {
    keys = share(tile.keyElements(), tile.stored);
    values = share(tile.valueElements(), tile.stored);
  }
  scores = share(tile.rows * tile.scoreStride(), f32);
  parts = share(tile.threads, f32);
  factors = share(tile.rows, f32);
  loadQueries();

  Value zero = number(0);
  int64_t count = tile.rows * tile.valueHead / tile.threads;
  if (unit) {
    zero = arith::ConstantOp::create(
        builder, loc, builder.getZeroAttr(VectorType::get({unit->sums.size()}, f32)));
    count /= unit->sums.size();
  }
  SmallVector<Value> carried{number(-std::numeric_limits<double>::infinity()), number(0)};
  carried.append(count, zero);
  carried =
      carry(keyBegin, keyEnd, tile.keys, carried, [&](Value firstKey, SmallVector<Value> carried) {
        fillKeys(keys, shape.key, keyStart, firstKey, tile.head, tile.keyStride(), 1);
        barrier();
        emitScores();
        auto fillValues = [&] {
          fillKeys(values, shape.value, valueStart, firstKey, tile.valueHead, tile.valueAlong(),
                   tile.valueAcross());
        };
        // Nobody reads the values of the step before any more.
        if (!tile.joined)
          fillValues();
        barrier();
        if (tile.joined)
          fillValues();
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
