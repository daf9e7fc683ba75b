// Attention without a matrix of scores: an item takes some queries of one head, goes through the
// keys block by block, and keeps for every query the largest score so far, the sum of the
// exponentials and the weighted sum of the values, which it rescales when a larger score turns up
// (online softmax). Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include <numeric>

using namespace mlir;
using namespace lathe::schedule;

namespace {
constexpr int64_t blockKeys = 64;  // of one block: its scores stay in the first-level cache
constexpr int64_t blockRows = 128; // queries of one item, which share a transposed block of keys
constexpr int64_t largestHead = 512;
constexpr int64_t blockFactors = 16; // rows of a register tile, at most
constexpr int64_t mostItems = 32;    // each with scratch of its own
} // namespace

bool lathe::schedule::canEmitAttention(ArrayRef<Type> operands, const TargetInfo &target) {
  if (target.itemPerThread)
    return canEmitBlockAttention(operands, target);
  if (target.vectorBits < 256 || operands.size() < 3)
    return false;
  for (Type type : operands) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.getElementType().isF32() || tensor.getRank() > 4)
      return false;
  }
  for (unsigned i = 0; i < 3; ++i) {
    auto tensor = cast<RankedTensorType>(operands[i]);
    if (tensor.getRank() != 4 || tensor.isDynamicDim(3) || tensor.getDimSize(3) > largestHead ||
        tensor.getDimSize(3) == 0)
      return false;
  }
  return true;
}

namespace {
class AttentionEmitter {
public:
  AttentionEmitter(Kernel &kernel, const AttentionShape &shape, const View &scratchView,
                   const TargetInfo &target, AddressOf addressOf)
      : kernel(kernel), b(kernel.builder), shape(shape), loc(kernel.loc),
        lanes(target.vectorBits / 32), width(2 * lanes), head(shape.query.sizes[3].constant),
        valueHead(shape.value.sizes[3].constant), paddedValueHead(llvm::alignTo(valueHead, lanes)),
        type(VectorType::get({lanes}, b.getF32Type())) {
    auto open = [&](const View &view) { return kernel.buffer(addressOf(view), b.getF32Type()); };
    query = open(shape.query);
    key = open(shape.key);
    value = open(shape.value);
    result = open(shape.result);
    if (shape.mask)
      mask = open(*shape.mask);
    scratch = open(scratchView);
  }

  static int64_t mostRows(const TargetInfo &target) { return target.vectorRegisters >= 32 ? 8 : 6; }
  static int64_t slotSize(const AttentionShape &shape, const TargetInfo &target);
  Work emit(int64_t rowsPerTile);

private:
  template <typename Body> void loop(Value from, Value to, Value step, Body body) {
    auto made = scf::ForOp::create(b, loc, from, to, step);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(made.getBody());
    body(made.getInductionVar());
  }
  /// A loop that carries values; `body` gives the next ones.
  template <typename Body> SmallVector<Value> carry(Value to, ArrayRef<Value> initial, Body body) {
    auto made = scf::ForOp::create(b, loc, kernel.constant(0), to, kernel.constant(1), initial);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(made.getBody());
    SmallVector<Value> carried(made.getRegionIterArgs());
    scf::YieldOp::create(b, loc, body(made.getInductionVar(), carried));
    return SmallVector<Value>(made.getResults());
  }
  Value number(double x) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float(x))); }
  Value splat(double x) {
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, b.getF32FloatAttr(float(x)).getValue()));
  }
  Value splat(Value scalar) { return vector::BroadcastOp::create(b, loc, type, scalar); }
  Value load(Value buffer, Value at) { return vector::LoadOp::create(b, loc, type, buffer, at); }
  Value loadNumber(Value buffer, Value at) { return memref::LoadOp::create(b, loc, buffer, at); }
  void store(Value vector, Value at) { vector::StoreOp::create(b, loc, vector, scratch, at); }
  void storeNumber(Value scalar, Value at) { memref::StoreOp::create(b, loc, scalar, scratch, at); }
  Value createMask(Value count) {
    return vector::CreateMaskOp::create(b, loc, VectorType::get({lanes}, b.getI1Type()), count);
  }
  Value loadMasked(Value buffer, Value at, Value count) {
    return vector::MaskedLoadOp::create(b, loc, type, buffer, at, createMask(count), splat(0));
  }
  Value least(Value x, Value y) { return arith::MinUIOp::create(b, loc, x, y); }
  Value minus(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  /// The larger of two, on scalars or vectors. A NaN may be lost here: its exponential is not.
  Value larger(Value x, Value y) {
    Value is = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
    return arith::SelectOp::create(b, loc, is, x, y);
  }
  Value stride(const View &view, unsigned dim) { return kernel.size(view.strides[dim]); }
  /// offset + index * stride of a dimension
  Value along(Value offset, const View &view, unsigned dim, Value index) {
    if (view.sizes[dim].is(1))
      return offset;
    return kernel.add(offset, kernel.mul(index, stride(view, dim)));
  }
  void packKeys(Value firstKey, Value keys);
  void emitTile(Value row, int64_t rows, Value firstKey, Value keys);
  void emitScores(Value row, int64_t rows, Value firstKey, Value keys, Value column);
  void emitSoftmax(Value row, int64_t rows);
  void emitSum(Value row, int64_t rows, Value firstKey, Value keys, int64_t column);
  void emitItem(Value unit, int64_t rows);

  Kernel &kernel;
  OpBuilder &b;
  const AttentionShape &shape;
  Location loc;
  int64_t lanes, width, head, valueHead, paddedValueHead;
  VectorType type;
  Value query, key, value, result, mask, scratch;
  // Of the item: starts of its tensors, and its queries.
  Value queryStart, keyStart, valueStart, resultStart, maskStart, firstRow, rowCount, shift;
  // Parts of the scratch: keys transposed, scores, weighted sums, largest scores, sums, factors.
  Value packed, scores, sums, largest, totals, factors, bases;
};
} // namespace

// A block of keys, a row per element of the head, so that lanes run across keys.
void AttentionEmitter::packKeys(Value firstKey, Value keys) {
  Value lastKey = minus(keys, kernel.constant(1));
  bool turned = !shape.key.strides[3].is(1);
  loop(kernel.constant(0), kernel.constant(blockKeys), kernel.constant(lanes), [&](Value start) {
    if (turned) {
      // They lie like this already.
      Value count = arith::MaxSIOp::create(b, loc, minus(keys, start), kernel.constant(0));
      loop(kernel.constant(0), kernel.constant(head), kernel.constant(1), [&](Value element) {
        Value from = along(keyStart, shape.key, 2, kernel.add(firstKey, start));
        Value row = loadMasked(key, along(from, shape.key, 3, element), count);
        Value to = kernel.add(kernel.mul(element, kernel.constant(blockKeys)), start);
        store(row, kernel.add(packed, to));
      });
      return;
    }
    auto square = [&](Value element, int64_t used) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < lanes; ++i) {
        // Keys past the end are the last one again; their scores are left out.
        Value place = least(kernel.add(start, kernel.constant(i)), lastKey);
        Value from = along(keyStart, shape.key, 2, kernel.add(firstKey, place));
        from = kernel.add(from, element);
        rows.push_back(used < lanes ? loadMasked(key, from, kernel.constant(used))
                                    : load(key, from));
      }
      transposeVectors(b, loc, rows);
      for (int64_t i = 0; i < used; ++i) {
        Value row = kernel.add(element, kernel.constant(i));
        Value to = kernel.add(kernel.mul(row, kernel.constant(blockKeys)), start);
        store(rows[i], kernel.add(packed, to));
      }
    };
    int64_t whole = head / lanes * lanes;
    if (whole > 0)
      loop(kernel.constant(0), kernel.constant(whole), kernel.constant(lanes),
           [&](Value element) { square(element, lanes); });
    if (whole < head)
      square(kernel.constant(whole), head - whole);
  });
}

// Scores of some rows and `width` keys from `column` on.
void AttentionEmitter::emitScores(Value row, int64_t rows, Value firstKey, Value keys,
                                  Value column) {
  SmallVector<Value> places, starts;
  Value lastRow = minus(kernel.size(shape.query.sizes[2]), kernel.constant(1));
  for (int64_t i = 0; i < rows; ++i) {
    Value place = kernel.add(firstRow, kernel.add(row, kernel.constant(i)));
    places.push_back(least(place, lastRow));
    starts.push_back(along(queryStart, shape.query, 2, places.back()));
  }
  SmallVector<Value> products = carry(
      kernel.constant(head), SmallVector<Value>(2 * rows, splat(0.0)),
      [&](Value element, SmallVector<Value> carried) {
        Value from =
            kernel.add(packed, kernel.add(kernel.mul(element, kernel.constant(blockKeys)), column));
        Value left = load(scratch, from);
        Value right = load(scratch, kernel.add(from, kernel.constant(lanes)));
        for (int64_t i = 0; i < rows; ++i) {
          Value factor = splat(loadNumber(query, along(starts[i], shape.query, 3, element)));
          carried[2 * i] = vector::FMAOp::create(b, loc, factor, left, carried[2 * i]);
          carried[2 * i + 1] = vector::FMAOp::create(b, loc, factor, right, carried[2 * i + 1]);
        }
        return carried;
      });
  Value lowest = splat(-std::numeric_limits<double>::infinity()), scale = splat(shape.scale);
  for (int64_t j = 0; j < 2; ++j) {
    Value first = kernel.add(column, kernel.constant(j * lanes));
    Value left = minus(keys, first); // negative where no key is
    for (int64_t i = 0; i < rows; ++i) {
      Value score = arith::MulFOp::create(b, loc, products[2 * i + j], scale);
      Value valid = left;
      if (shape.mask) {
        const View &view = *shape.mask;
        unsigned rank = view.sizes.size();
        Value at = maskStart;
        if (rank > 1)
          at = along(at, view, rank - 2, places[i]);
        at = along(at, view, rank - 1, kernel.add(firstKey, first));
        Value added;
        if (rank == 0 || view.sizes[rank - 1].is(1)) {
          added = splat(loadNumber(mask, at));
        } else {
          Value count = arith::MaxSIOp::create(b, loc, left, kernel.constant(0));
          added = loadMasked(mask, at, count);
        }
        score = arith::AddFOp::create(b, loc, score, added);
      }
      if (shape.causal) {
        // Keys up to row + shift.
        Value last = kernel.add(places[i], shift);
        Value seen = minus(kernel.add(last, kernel.constant(1)), kernel.add(firstKey, first));
        valid = arith::MinSIOp::create(b, loc, valid, seen);
      }
      score = arith::SelectOp::create(b, loc, createMask(valid), score, lowest);
      Value to = kernel.add(kernel.constant(i * blockKeys), first);
      store(score, kernel.add(scores, to));
    }
  }
}

// Scores to exponentials, row by row, and what that changes of the sums so far. The largest scores
// come first, for all rows: a row's scores and its exponentials together need too many registers.
void AttentionEmitter::emitSoftmax(Value row, int64_t rows) {
  auto partOf = [&](Value i, int64_t j) {
    Value start = kernel.add(scores, kernel.mul(i, kernel.constant(blockKeys)));
    return kernel.add(start, kernel.constant(j));
  };
  loop(kernel.constant(0), kernel.constant(rows), kernel.constant(1), [&](Value i) {
    SmallVector<Value> tree;
    for (int64_t j = 0; j < blockKeys; j += lanes)
      tree.push_back(load(scratch, partOf(i, j)));
    while (tree.size() > 1) {
      for (size_t j = 0; j < tree.size() / 2; ++j)
        tree[j] = larger(tree[2 * j], tree[2 * j + 1]);
      tree.resize(tree.size() / 2);
    }
    Value best = tree[0];
    for (int64_t half = lanes / 2; half > 0; half /= 2) {
      SmallVector<int64_t> order;
      for (int64_t lane = 0; lane < lanes; ++lane)
        order.push_back(lane ^ half);
      best = larger(best, vector::ShuffleOp::create(b, loc, best, best, order));
    }
    Value at = kernel.add(largest, kernel.add(row, i));
    Value before = loadNumber(scratch, at);
    Value now = larger(before, vector::ExtractOp::create(b, loc, best, ArrayRef<int64_t>{0}));
    storeNumber(now, at);
    // As long as every score is -inf, nothing is subtracted: their exponentials are 0.
    Value none = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, now,
                                       number(-std::numeric_limits<double>::infinity()));
    Value base = arith::SelectOp::create(b, loc, none, number(0), now);
    storeNumber(base, kernel.add(bases, i));
    storeNumber(arith::SubFOp::create(b, loc, before, base), kernel.add(factors, i));
  });
  for (int64_t i = 0; i < blockFactors; i += lanes) {
    Value at = kernel.add(factors, kernel.constant(i));
    store(math::ExpOp::create(b, loc, load(scratch, at)), at);
  }
  loop(kernel.constant(0), kernel.constant(rows), kernel.constant(1), [&](Value i) {
    Value base = splat(loadNumber(scratch, kernel.add(bases, i)));
    Value sum;
    for (int64_t j = 0; j < blockKeys; j += lanes) {
      Value part = load(scratch, partOf(i, j));
      Value power = math::ExpOp::create(b, loc, arith::SubFOp::create(b, loc, part, base));
      store(power, partOf(i, j));
      sum = sum ? arith::AddFOp::create(b, loc, sum, power).getResult() : power;
    }
    for (int64_t half = lanes / 2; half > 0; half /= 2) {
      SmallVector<int64_t> low(half), high(half);
      std::iota(low.begin(), low.end(), 0);
      std::iota(high.begin(), high.end(), half);
      sum = arith::AddFOp::create(b, loc, vector::ShuffleOp::create(b, loc, sum, sum, low),
                                  vector::ShuffleOp::create(b, loc, sum, sum, high));
    }
    Value total = vector::ExtractOp::create(b, loc, sum, ArrayRef<int64_t>{0});
    Value at = kernel.add(totals, kernel.add(row, i));
    Value factor = loadNumber(scratch, kernel.add(factors, i));
    Value old = arith::MulFOp::create(b, loc, loadNumber(scratch, at), factor);
    storeNumber(arith::AddFOp::create(b, loc, old, total), at);
  });
}

// sums = sums * factor + exponentials * values, for up to two vectors of the values from `column`.
void AttentionEmitter::emitSum(Value row, int64_t rows, Value firstKey, Value keys,
                               int64_t column) {
  int64_t vectors = std::min<int64_t>(2, llvm::divideCeil(valueHead - column, lanes));
  auto placeOf = [&](int64_t i, int64_t j) {
    Value place = kernel.mul(kernel.add(row, kernel.constant(i)), kernel.constant(paddedValueHead));
    return kernel.add(sums, kernel.add(place, kernel.constant(column + j * lanes)));
  };
  SmallVector<Value> initial;
  for (int64_t i = 0; i < rows; ++i) {
    Value factor = splat(loadNumber(scratch, kernel.add(factors, kernel.constant(i))));
    for (int64_t j = 0; j < vectors; ++j)
      initial.push_back(arith::MulFOp::create(b, loc, load(scratch, placeOf(i, j)), factor));
  }
  SmallVector<Value> results = carry(keys, initial, [&](Value at, SmallVector<Value> carried) {
    Value from = along(valueStart, shape.value, 2, kernel.add(firstKey, at));
    SmallVector<Value> values;
    for (int64_t j = 0; j < vectors; ++j) {
      int64_t start = column + j * lanes;
      Value place = kernel.add(from, kernel.constant(start));
      values.push_back(start + lanes > valueHead
                           ? loadMasked(value, place, kernel.constant(valueHead - start))
                           : load(value, place));
    }
    for (int64_t i = 0; i < rows; ++i) {
      Value weight = splat(
          loadNumber(scratch, kernel.add(scores, kernel.add(kernel.constant(i * blockKeys), at))));
      for (int64_t j = 0; j < vectors; ++j)
        carried[i * vectors + j] =
            vector::FMAOp::create(b, loc, weight, values[j], carried[i * vectors + j]);
    }
    return carried;
  });
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < vectors; ++j)
      store(results[i * vectors + j], placeOf(i, j));
}

void AttentionEmitter::emitTile(Value row, int64_t rows, Value firstKey, Value keys) {
  loop(kernel.constant(0), kernel.constant(blockKeys), kernel.constant(width),
       [&](Value column) { emitScores(row, rows, firstKey, keys, column); });
  emitSoftmax(row, rows);
  for (int64_t column = 0; column < valueHead; column += width)
    emitSum(row, rows, firstKey, keys, column);
}

void AttentionEmitter::emitItem(Value unit, int64_t rows) {
  const Size &queries = shape.query.sizes[2], &keyCount = shape.key.sizes[2];
  Value rest = unit;
  auto peel = [&](Value extent) -> Value {
    APInt one;
    if (matchPattern(extent, m_ConstantInt(&one)) && one == 1)
      return kernel.constant(0);
    Value index = arith::RemUIOp::create(b, loc, rest, extent);
    rest = arith::DivUIOp::create(b, loc, rest, extent);
    return index;
  };
  Value queryCount = kernel.size(queries), allKeys = kernel.size(keyCount);
  Value blocks =
      queries.isStatic()
          ? kernel.constant(llvm::divideCeil(queries.constant, blockRows))
          : arith::CeilDivUIOp::create(b, loc, queryCount, kernel.constant(blockRows)).getResult();
  firstRow = kernel.mul(peel(blocks), kernel.constant(blockRows));
  Value headIndex = peel(kernel.size(shape.query.sizes[1])), batch = rest;
  rowCount = least(kernel.constant(blockRows), minus(queryCount, firstRow));
  Value keyHead = headIndex;
  if (shape.query.sizes[1] != shape.key.sizes[1])
    keyHead = arith::DivUIOp::create(b, loc, kernel.mul(headIndex, kernel.size(shape.key.sizes[1])),
                                     kernel.size(shape.query.sizes[1]));
  auto startOf = [&](const View &view, Value ofHead) {
    return along(along(kernel.constant(0), view, 0, batch), view, 1, ofHead);
  };
  queryStart = startOf(shape.query, headIndex);
  keyStart = startOf(shape.key, keyHead);
  valueStart = startOf(shape.value, keyHead);
  resultStart = startOf(shape.result, headIndex);
  if (shape.mask) {
    unsigned rank = shape.mask->sizes.size();
    maskStart = kernel.constant(0);
    if (rank > 2)
      maskStart = along(maskStart, *shape.mask, rank - 3, headIndex);
    if (rank > 3)
      maskStart = along(maskStart, *shape.mask, 0, batch);
  }
  shift = minus(allKeys, queryCount);

  Value paddedRows = arith::CeilDivUIOp::create(b, loc, rowCount, kernel.constant(rows));
  paddedRows = kernel.mul(paddedRows, kernel.constant(rows));
  loop(kernel.constant(0), paddedRows, kernel.constant(1), [&](Value row) {
    storeNumber(number(-std::numeric_limits<double>::infinity()), kernel.add(largest, row));
    storeNumber(number(0), kernel.add(totals, row));
    Value at = kernel.add(sums, kernel.mul(row, kernel.constant(paddedValueHead)));
    for (int64_t j = 0; j < paddedValueHead; j += lanes)
      store(splat(0.0), kernel.add(at, kernel.constant(j)));
  });
  Value keyEnd = allKeys;
  if (shape.causal) {
    // No query of the item sees a key past its last one's place.
    Value end = kernel.add(kernel.add(firstRow, rowCount), shift);
    end = arith::MaxSIOp::create(b, loc, end, kernel.constant(0));
    keyEnd = arith::MinSIOp::create(b, loc, keyEnd, end);
  }
  loop(kernel.constant(0), keyEnd, kernel.constant(blockKeys), [&](Value firstKey) {
    Value keys = least(kernel.constant(blockKeys), minus(allKeys, firstKey));
    packKeys(firstKey, keys);
    loop(kernel.constant(0), rowCount, kernel.constant(rows),
         [&](Value row) { emitTile(row, rows, firstKey, keys); });
  });
  loop(kernel.constant(0), rowCount, kernel.constant(1), [&](Value row) {
    Value total = splat(loadNumber(scratch, kernel.add(totals, row)));
    Value from = kernel.add(sums, kernel.mul(row, kernel.constant(paddedValueHead)));
    Value to = along(resultStart, shape.result, 2, kernel.add(firstRow, row));
    for (int64_t j = 0; j < valueHead; j += lanes) {
      Value quotient =
          arith::DivFOp::create(b, loc, load(scratch, kernel.add(from, kernel.constant(j))), total);
      Value place = kernel.add(to, kernel.constant(j));
      if (j + lanes > valueHead)
        vector::MaskedStoreOp::create(b, loc, result, place,
                                      createMask(kernel.constant(valueHead - j)), quotient);
      else
        vector::StoreOp::create(b, loc, quotient, result, place);
    }
  });
}

int64_t AttentionEmitter::slotSize(const AttentionShape &shape, const TargetInfo &target) {
  int64_t lanes = target.vectorBits / 32, rows = blockRows + 16;
  int64_t paddedValueHead = llvm::alignTo(shape.value.sizes[3].constant, lanes);
  return llvm::alignTo(shape.query.sizes[3].constant * blockKeys + 16 * blockKeys +
                           rows * (paddedValueHead + 2) + 2 * blockFactors + 64,
                       1024);
}

Work AttentionEmitter::emit(int64_t rowsPerTile) {
  int64_t slot = shape.slot, next = 0;
  Value slotStart = kernel.mul(kernel.begin(), kernel.constant(slot));
  auto part = [&](int64_t size) {
    Value start = kernel.add(slotStart, kernel.constant(next));
    next += llvm::alignTo(size, 16);
    return start;
  };
  int64_t rows = blockRows + 16;
  packed = part(head * blockKeys);
  scores = part(16 * blockKeys);
  sums = part(rows * paddedValueHead);
  largest = part(rows);
  totals = part(rows);
  factors = part(blockFactors);
  bases = part(blockFactors);

  const Size &queries = shape.query.sizes[2];
  Value blocks = queries.isStatic() ? kernel.constant(llvm::divideCeil(queries.constant, blockRows))
                                    : arith::CeilDivUIOp::create(b, loc, kernel.size(queries),
                                                                 kernel.constant(blockRows))
                                          .getResult();
  Value units = kernel.mul(
      kernel.mul(kernel.size(shape.query.sizes[0]), kernel.size(shape.query.sizes[1])), blocks);
  Work work;
  work.count = shape.count;
  work.coarse = true;
  forUnits(kernel, units, kernel.size(shape.count), [&](Value unit) {
    if (queries.isStatic() || rowsPerTile == 1) {
      emitItem(unit, rowsPerTile);
      return;
    }
    // A decoder asks for one query at a time.
    Value few = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, kernel.size(queries),
                                      kernel.constant(3));
    auto branch = scf::IfOp::create(b, loc, few, /*withElse=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    emitItem(unit, 1);
    b.setInsertionPointToStart(branch.elseBlock());
    emitItem(unit, rowsPerTile);
  });
  return work;
}

void lathe::schedule::planAttention(AttentionShape &shape, const TargetInfo &target) {
  shape.slot = AttentionEmitter::slotSize(shape, target);
  shape.items = mostItems;
  const auto &sizes = shape.query.sizes;
  if (sizes[0].isStatic() && sizes[1].isStatic() && sizes[2].isStatic())
    shape.items = std::clamp<int64_t>(sizes[0].constant * sizes[1].constant *
                                          llvm::divideCeil(sizes[2].constant, blockRows),
                                      1, mostItems);
  // Some 5 us of work are not worth waking a thread for.
  constexpr int64_t serialWork = 600000;
  const Size &keys = shape.key.sizes[2];
  if (shape.items < mostItems && keys.isStatic() &&
      sizes[0].constant * sizes[1].constant * sizes[2].constant * keys.constant *
              (sizes[3].constant + shape.value.sizes[3].constant) <
          serialWork)
    shape.items = 1;
}

Work lathe::schedule::emitAttention(Kernel &kernel, const AttentionShape &shape,
                                    const View &scratch, const TargetInfo &target,
                                    AddressOf addressOf) {
  const Size &queries = shape.query.sizes[2];
  int64_t rows = AttentionEmitter::mostRows(target);
  if (queries.isStatic() && queries.constant > 0)
    rows = llvm::divideCeil(queries.constant, llvm::divideCeil(queries.constant, rows));
  return AttentionEmitter(kernel, shape, scratch, target, addressOf).emit(rows);
}
