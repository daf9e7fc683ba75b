// Lowering of scatters, in the form of gathers: updates are sorted by where they go, and every
// element of the result finds its own by binary search; where they are few it looks at all. Of
// equal places the order stays, so sums round as if they were added one after the other. Apache-2.0
// WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lib/GraphToLinalg/Loops.h"
#include "lib/GraphToLinalg/Order.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::ScatterReduction;
using I = arith::CmpIPredicate;

// Computed values; without a reduction the update replaces.
static Value combine(const Scalars &s, ScatterReduction reduction, Value before, Value update,
                     Type element) {
  switch (reduction) {
  case ScatterReduction::none:
    return update;
  case ScatterReduction::add:
    return s.add(before, update);
  case ScatterReduction::mul:
    return s.mul(before, update);
  case ScatterReduction::max:
    return s.max(before, update, element.isUnsignedInteger());
  case ScatterReduction::min:
    return s.min(before, update, element.isUnsignedInteger());
  }
  llvm_unreachable("all reductions are handled");
}

// An index counted from the end when negative, and checked; -1 where the check fails, which no
// element has.
static Value normaliseIndex(const Scalars &s, Value given, Value limit) {
  Value zero = s.index(0);
  Value index = s.select(s.cmp(I::slt, given, zero), s.add(given, limit), given);
  Value valid = s.andI(s.cmp(I::sge, index, zero), s.cmp(I::slt, index, limit));
  s.check(valid, LATHE_CODE_INDEX, "index %0 is out of range for an axis of size %1",
          {given, limit});
  return s.select(valid, index, s.index(-1));
}

// Sorts the lines of i64 `targets` along an axis.
static Tensor sortByTarget(Lowering &l, const Tensor &targets, int64_t axis, int64_t shortest = 0) {
  return sortLines(
      l, targets.sizes, axis, targets.sizes[axis],
      [&](const Scalars &s, ArrayRef<Value> place, Value a, Value b) {
        auto at = [&](Value index) {
          SmallVector<Value> position(place);
          position[axis] = index;
          return s.extract(targets.value, position);
        };
        Value aTarget = at(a), bTarget = at(b);
        return s.orI(s.cmp(I::slt, aTarget, bTarget),
                     s.andI(s.cmp(I::eq, aTarget, bTarget), s.cmp(I::slt, a, b)));
      },
      shortest);
}

namespace {
/// A line of sorted updates.
struct SortedLine {
  const Tensor &order, &targets;
  SmallVector<Value> place; ///< of the line; the index along the axis is replaced
  int64_t axis;

  Value updateAt(const Scalars &s, Value number) const {
    SmallVector<Value> position(place);
    position[axis] = number;
    return s.toIndex(s.extract(order.value, position), order.element);
  }
  /// The first of `count` updates whose target is `target` or higher.
  Value findFrom(const Scalars &s, Value count, Value target) const {
    return searchFirst(s, count, [&](const Scalars &in, Value number) {
      SmallVector<Value> position(place);
      position[axis] = updateAt(in, number);
      return in.cmp(I::sge, in.extract(targets.value, position), target);
    });
  }
};
} // namespace

// `before` (storage value) after the updates `first` to `end` of the order, each had from `update`.
static Value applyUpdates(const Scalars &s, ScatterReduction reduction, Type element, Value before,
                          Value first, Value end,
                          function_ref<Value(const Scalars &, Value number)> update) {
  if (reduction == ScatterReduction::none) // the last one stays
    return ifElse(
        s, s.cmp(I::slt, first, end),
        [&](const Scalars &in) { return update(in, in.sub(end, in.index(1))); }, before);
  return forLoop(s, s.sub(end, first), before,
                 [&](const Scalars &in, Value i, ValueRange x) -> SmallVector<Value> {
                   Value merged = combine(in, reduction, in.load(x[0], element),
                                          in.load(update(in, in.add(first, i)), element), element);
                   return {in.store(merged, element)};
                 })
      .front();
}

static bool scatters(const Tensor &data, ScatterReduction reduction) {
  return !data.element.isInteger(1) || reduction == ScatterReduction::none;
}

/// So many updates take as long either way.
static constexpr int64_t fewUpdates = 16;

static LogicalResult lowerScatterElements(graph::ScatterElementsOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), updates = l.get(op.getUpdates());
  Tensor indices = l.get(op.getIndices());
  int64_t rank = data.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  if (rank == 0 || !scatters(data, op.getReduction()))
    return l.unsupported(op) << "a tensor of type " << op.getData().getType();
  Value axisSize = l.value(data.sizes[axis]);
  // Updates may be smaller than the data in other dimensions, never larger.
  SmallVector<std::pair<int64_t, Value>> limits;
  for (int64_t i = 0; i < rank; ++i) {
    l.requireEqual(indices.sizes[i], updates.sizes[i], "indices have size %0, updates %1");
    if (i == axis || indices.sizes[i] == data.sizes[i])
      continue;
    Value wanted = l.value(indices.sizes[i]), there = l.value(data.sizes[i]);
    limits.push_back({i, wanted});
    Scalars s = l.scalars();
    s.check(s.cmp(I::sle, wanted, there), LATHE_CODE_SHAPE,
            "indices of size %0 for data of size %1", {wanted, there});
  }
  Type i64 = l.b.getI64Type();
  Tensor targets = l.fromIndices(indices.sizes, i64, [&](const Scalars &s, ValueRange at) {
    Value given = s.load(s.extract(indices.value, at), indices.element);
    return s.fromIndex(normaliseIndex(s, s.toIndex(given, indices.element), axisSize), i64);
  });
  Tensor order = sortByTarget(l, targets, axis, fewUpdates);
  Value count = l.value(indices.sizes[axis]), isFew;
  {
    Scalars s = l.scalars();
    isFew = s.cmp(I::sle, count, s.index(fewUpdates));
  }
  Tensor result = l.fromIndices(data.sizes, data.element, [&](const Scalars &s, ValueRange at) {
    Value before = s.extract(data.value, at), here = s.fromIndex(at[axis], i64);
    auto placeOf = [&](Value number) {
      SmallVector<Value> position(at);
      position[axis] = number;
      return position;
    };
    auto lookAtAll = [&](const Scalars &in) -> Value {
      auto isHit = [&](const Scalars &deep, Value number) {
        return deep.cmp(I::eq, deep.extract(targets.value, placeOf(number)), here);
      };
      if (op.getReduction() == ScatterReduction::none) {
        Value last = forLoop(in, count, in.index(-1),
                             [&](const Scalars &deep, Value i, ValueRange x) -> SmallVector<Value> {
                               return {deep.select(isHit(deep, i), i, x[0])};
                             })
                         .front();
        return applyUpdates(in, op.getReduction(), data.element, before, in.index(0),
                            in.add(last, in.index(1)), [&](const Scalars &deep, Value number) {
                              return deep.extract(updates.value, placeOf(number));
                            });
      }
      return forLoop(in, count, before,
                     [&](const Scalars &deep, Value i, ValueRange x) -> SmallVector<Value> {
                       Value update = deep.extract(updates.value, placeOf(i));
                       Value merged =
                           combine(deep, op.getReduction(), deep.load(x[0], data.element),
                                   deep.load(update, data.element), data.element);
                       return {deep.select(isHit(deep, i), deep.store(merged, data.element), x[0])};
                     })
          .front();
    };
    auto search = [&](const Scalars &in) {
      SortedLine line{order, targets, at, axis};
      Value first = line.findFrom(in, count, here);
      Value end = line.findFrom(in, count, in.fromIndex(in.add(at[axis], in.index(1)), i64));
      return applyUpdates(in, op.getReduction(), data.element, before, first, end,
                          [&](const Scalars &deep, Value number) {
                            return deep.extract(updates.value,
                                                placeOf(line.updateAt(deep, number)));
                          });
    };
    std::optional<int64_t> known = getConstantIntValue(indices.sizes[axis]);
    auto change = [&](const Scalars &in) -> Value {
      if (known)
        return *known <= fewUpdates ? lookAtAll(in) : search(in);
      return scf::IfOp::create(
                 in.b, in.loc, isFew,
                 [&](OpBuilder &b, Location loc) {
                   scf::YieldOp::create(b, loc, lookAtAll(Scalars{b, loc}));
                 },
                 [&](OpBuilder &b, Location loc) {
                   scf::YieldOp::create(b, loc, search(Scalars{b, loc}));
                 })
          .getResult(0);
    };
    Value inside = s.boolean(true);
    for (auto [dim, limit] : limits)
      inside = s.andI(inside, s.cmp(I::slt, at[dim], limit));
    return limits.empty() ? change(s) : ifElse(s, inside, change, before);
  });
  l.set(op.getResult(), result);
  return success();
}

// Where the tuples of constant indices are all places of a box, row by row, as exporters write
// `x[:, 3:5] = y`: the box's first place and its extents.
static std::optional<std::pair<SmallVector<int64_t>, SmallVector<int64_t>>>
findBox(const Tensor &indices, int64_t tuple, ArrayRef<OpFoldResult> limits) {
  if (!indices.constant || !indices.element.isInteger(64))
    return std::nullopt;
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(indices.constant, storage);
  ArrayRef<int64_t> numbers(reinterpret_cast<const int64_t *>(bytes.data()), bytes.size() / 8);
  int64_t count = numbers.size() / tuple;
  if (count == 0)
    return std::nullopt;
  SmallVector<int64_t> first(numbers.take_front(tuple)), extents(tuple, 1);
  for (int64_t i = 0; i < tuple; ++i) {
    std::optional<int64_t> limit = getConstantIntValue(limits[i]);
    extents[i] = numbers[(count - 1) * tuple + i] - first[i] + 1;
    if (!limit || first[i] < 0 || extents[i] < 1 || first[i] + extents[i] > *limit)
      return std::nullopt;
  }
  int64_t total = 1;
  for (int64_t extent : extents)
    if (extent > count || (total *= extent) > count)
      return std::nullopt;
  if (total != count)
    return std::nullopt;
  for (int64_t n = 0; n < count; ++n) {
    int64_t rest = n;
    for (int64_t i = tuple - 1; i >= 0; --i) {
      if (numbers[n * tuple + i] != first[i] + rest % extents[i])
        return std::nullopt;
      rest /= extents[i];
    }
  }
  return std::pair(first, extents);
}

namespace {
/// The number of dimensions that a tuple of indices addresses, and the data as a matrix with a row
/// for each place that a tuple may address.
struct TupleSizes {
  OpFoldResult depth, rows, columns;
};
} // namespace

static TupleSizes getTupleSizes(Lowering &l, const Tensor &data, OpFoldResult depth) {
  if (std::optional<int64_t> known = getConstantIntValue(depth))
    return {depth, l.product(ArrayRef(data.sizes).take_front(*known)),
            l.product(ArrayRef(data.sizes).drop_front(*known))};
  Value count = l.value(depth), most = l.value(l.size(data.rank()));
  Scalars s = l.scalars();
  s.check(s.andI(s.cmp(I::sge, count, s.index(1)), s.cmp(I::sle, count, most)), LATHE_CODE_SHAPE,
          "indices address %0 dimensions, the data has rank %1", {count, most});
  Value rows = s.index(1), columns = s.index(1);
  for (int64_t i = 0; i < data.rank(); ++i) {
    Value size = l.value(data.sizes[i]), isRow = s.cmp(I::slt, s.index(i), count);
    rows = s.mul(rows, s.select(isRow, size, s.index(1)));
    columns = s.mul(columns, s.select(isRow, s.index(1), size));
  }
  return {depth, l.markSize(rows), l.markSize(columns)};
}

static LogicalResult lowerScatterND(graph::ScatterNDOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  Tensor updates = l.get(op.getUpdates());
  int64_t rank = data.rank();
  std::optional<int64_t> tuple =
      indices.rank() ? getConstantIntValue(indices.sizes.back()) : std::nullopt;
  if (indices.rank() == 0 || (tuple && (*tuple > rank || *tuple == 0)) ||
      !scatters(data, op.getReduction()))
    return l.unsupported(op) << "its index tuples do not fit, or type " << data.element;
  if (auto box = tuple && op.getReduction() == graph::ScatterReduction::none
                     ? findBox(indices, *tuple, data.sizes)
                     : std::nullopt) {
    Sizes offsets(rank, l.size(0)), sizes = data.sizes;
    for (int64_t i = 0; i < *tuple; ++i) {
      offsets[i] = l.size(box->first[i]);
      sizes[i] = l.size(box->second[i]);
    }
    Value result = l.insert(l.reshape(updates, sizes), data.value, offsets);
    l.set(op.getResult(), {result, data.sizes, data.element});
    return success();
  }
  // All index tuples in a row: indices [count, depth], updates [count, columns].
  OpFoldResult count = l.product(ArrayRef(indices.sizes).drop_back());
  TupleSizes sizes = getTupleSizes(l, data, indices.sizes.back());
  updates = l.reshape(updates, {count, sizes.columns});
  indices = l.reshape(indices, {count, sizes.depth});
  Tensor matrix = l.reshape(data, {sizes.rows, sizes.columns});
  Value depth = l.value(sizes.depth);
  SmallVector<Value> limits = sizeValues(l, data.sizes);
  Type i64 = l.b.getI64Type();
  Tensor targets = l.fromIndices({count}, i64, [&](const Scalars &s, ValueRange at) {
    Value flat = s.index(0);
    for (int64_t i = 0; i < tuple.value_or(rank); ++i) {
      auto add = [&](const Scalars &in) {
        Value given = in.load(in.extract(indices.value, {at[0], in.index(i)}), indices.element);
        Value index = normaliseIndex(in, in.toIndex(given, indices.element), limits[i]);
        // Once out of range, always: all places are below 2^62.
        Value isOut = in.orI(in.cmp(I::slt, index, in.index(0)), in.cmp(I::slt, flat, in.index(0)));
        return in.select(isOut, in.index(-1), in.add(in.mul(flat, limits[i]), index));
      };
      flat = tuple ? add(s) : ifElse(s, s.cmp(I::slt, s.index(i), depth), add, flat);
    }
    return s.fromIndex(flat, i64);
  });
  Tensor order = sortByTarget(l, targets, 0);
  // Where the updates of each row begin; those of the last end where one more would begin.
  Value updateCount = l.value(count);
  OpFoldResult starts = l.add(sizes.rows, l.size(1));
  Tensor first = l.fromIndices({starts}, i64, [&](const Scalars &s, ValueRange at) {
    SortedLine line{order, targets, {at[0]}, 0};
    return s.fromIndex(line.findFrom(s, updateCount, s.fromIndex(at[0], i64)), i64);
  });
  Tensor result = l.fromIndices(matrix.sizes, data.element, [&](const Scalars &s, ValueRange at) {
    SortedLine line{order, targets, {at[0]}, 0};
    auto startOf = [&](Value row) { return s.toIndex(s.extract(first.value, row), i64); };
    return applyUpdates(s, op.getReduction(), data.element, s.extract(matrix.value, at),
                        startOf(at[0]), startOf(s.add(at[0], s.index(1))),
                        [&](const Scalars &in, Value number) {
                          return in.extract(updates.value, {line.updateAt(in, number), at[1]});
                        });
  });
  l.set(op.getResult(), l.reshape(result, data.sizes));
  return success();
}

void lathe::g2l::addScatter(LoweringTable &table) {
  table.add(lowerScatterElements);
  table.add(lowerScatterND);
}
