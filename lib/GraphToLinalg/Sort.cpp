// Lowering of selection by rank and of scatters, in the form of gathers: every result element looks
// for what it shows.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lib/GraphToLinalg/Order.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::ScatterReduction;
using utils::IteratorType;

// ---- Top-k -------------------------------------------------------------------------------------

// Whether element `a` comes before `b`. NaN counts as the largest number; of equal elements the one
// with the smaller index comes first.
static Value comesBefore(const Scalars &s, Type element, bool largest, Value a, Value b,
                         Value aIndex, Value bIndex) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  Value before, equal;
  if (isa<FloatType>(a.getType())) {
    Value aNaN = s.cmp(F::UNO, a, a), bNaN = s.cmp(F::UNO, b, b);
    Value greater = largest ? s.cmp(F::OGT, a, b) : s.cmp(F::OLT, a, b);
    Value onlyNaN = largest ? s.andI(aNaN, s.notI(bNaN)) : s.andI(bNaN, s.notI(aNaN));
    before = s.orI(greater, onlyNaN);
    equal = s.orI(s.cmp(F::OEQ, a, b), s.andI(aNaN, bNaN));
  } else {
    bool isUnsigned = element.isUnsignedInteger();
    I predicate = largest ? (isUnsigned ? I::ugt : I::sgt) : (isUnsigned ? I::ult : I::slt);
    before = s.cmp(predicate, a, b);
    equal = s.cmp(I::eq, a, b);
  }
  return s.orI(before, s.andI(equal, s.cmp(I::slt, aIndex, bIndex)));
}

// The rank of each element is the number of those before it; a result takes the element of its
// rank. n^2 steps, all of them on vectors.
static std::pair<Tensor, Tensor> takeByRank(Lowering &l, const Tensor &input, int64_t axis,
                                            bool largest, const Sizes &sizes) {
  int64_t rank = input.rank();
  Type i64 = l.b.getI64Type();
  int64_t loops = rank + 1;
  SmallVector<int64_t> here = llvm::to_vector(llvm::seq<int64_t>(0, rank)), other = here;
  other[axis] = rank;
  SmallVector<IteratorType> iterators(loops, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  Value ranks = l.generic({{input, l.dimMap(loops, here)}, {input, l.dimMap(loops, other)}},
                          l.filled(input.sizes, l.number(i64, 0)), l.dimMap(loops, here), iterators,
                          [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                            Value i = linalg::IndexOp::create(s.b, s.loc, axis);
                            Value j = linalg::IndexOp::create(s.b, s.loc, rank);
                            Value before =
                                comesBefore(s, input.element, largest, s.load(x[1], input.element),
                                            s.load(x[0], input.element), j, i);
                            return {s.add(x[2], arith::ExtUIOp::create(s.b, s.loc, i64, before))};
                          })
                    .front();
  Tensor rankTensor{ranks, input.sizes, i64};
  Value values = l.filled(sizes, l.number(getStorageType(input.element), 0));
  Value indices = l.filled(sizes, l.number(i64, 0));
  ResultRange results =
      l.generic({{input, l.dimMap(loops, other)}, {rankTensor, l.dimMap(loops, other)}},
                {values, indices}, {l.dimMap(loops, here), l.dimMap(loops, here)}, iterators,
                [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                  Value place = s.fromIndex(linalg::IndexOp::create(s.b, s.loc, axis), i64);
                  Value from = s.fromIndex(linalg::IndexOp::create(s.b, s.loc, rank), i64);
                  Value mine = s.cmp(arith::CmpIPredicate::eq, x[1], place);
                  return {s.select(mine, x[0], x[2]), s.select(mine, from, x[3])};
                });
  return {{results[0], sizes, input.element}, {results[1], sizes, i64}};
}

// The first of the sorted line.
static std::pair<Tensor, Tensor> takeSorted(Lowering &l, const Tensor &input, int64_t axis,
                                            bool largest, const Sizes &sizes) {
  Tensor order = sortLines(l, input.sizes, axis, sizes[axis],
                           [&](const Scalars &s, ArrayRef<Value> place, Value a, Value b) {
                             auto at = [&](Value index) {
                               SmallVector<Value> position(place);
                               position[axis] = index;
                               return s.load(s.extract(input.value, position), input.element);
                             };
                             return comesBefore(s, input.element, largest, at(a), at(b), a, b);
                           });
  Type i64 = l.b.getI64Type();
  Tensor indices = l.fromIndices(
      sizes, i64, [&](const Scalars &s, ValueRange at) { return s.extract(order.value, at); });
  Tensor values = l.fromIndices(sizes, input.element, [&](const Scalars &s, ValueRange at) {
    SmallVector<Value> position(at);
    position[axis] = s.toIndex(s.extract(indices.value, at), i64);
    return s.extract(input.value, position);
  });
  return {values, indices};
}

static LogicalResult lowerTopK(graph::TopKOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t rank = input.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  std::optional<Sizes> count = l.getElements(op.getK());
  if (rank == 0 || !count || count->size() != 1)
    return l.unsupported(op) << "k is not one number, or the input is a scalar";
  l.requireNonNegative(count->front());
  Sizes sizes = input.sizes;
  sizes[axis] = count->front();
  sizes = l.resultSizes(op.getValues(), sizes);
  OpFoldResult available = input.sizes[axis];
  std::optional<int64_t> want = getConstantIntValue(sizes[axis]),
                         have = getConstantIntValue(available);
  if (!want || !have || *want > *have) {
    Value wanted = l.value(sizes[axis]), there = l.value(available);
    Scalars s = l.scalars();
    s.check(s.cmp(arith::CmpIPredicate::sle, wanted, there), LATHE_CODE_SIZE,
            "k is %0 for an axis of size %1", {wanted, there});
  }
  input.splat = {};
  // Lines of 256 take as long both ways (16 us for one).
  constexpr int64_t longestByRank = 256;
  auto take = have && *have <= longestByRank ? takeByRank : takeSorted;
  auto [values, indices] = take(l, input, axis, op.getLargest(), sizes);
  l.set(op.getValues(), values);
  l.set(op.getIndices(), indices);
  return success();
}

// ---- Scatter -----------------------------------------------------------------------------------

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

// Indices as i64, counted from the end when negative and checked; -1 where the check fails, which
// no element has. `size` gives the axis' size for the loops of one index.
static Tensor normaliseIndices(Lowering &l, const Tensor &indices,
                               function_ref<Value(const Scalars &)> size) {
  Type i64 = l.b.getI64Type();
  return l.elementwise(
      {indices}, indices.sizes, i64,
      [&](const Scalars &s, ValueRange x) {
        Value limit = size(s), zero = s.index(0);
        Value given = s.toIndex(s.load(x[0], indices.element), indices.element);
        Value negative = s.cmp(arith::CmpIPredicate::slt, given, zero);
        Value index = s.select(negative, s.add(given, limit), given);
        Value valid = s.andI(s.cmp(arith::CmpIPredicate::sge, index, zero),
                             s.cmp(arith::CmpIPredicate::slt, index, limit));
        s.check(valid, LATHE_CODE_INDEX, "index %0 is out of range for an axis of size %1",
                {given, limit});
        return s.fromIndex(s.select(valid, index, s.index(-1)), i64);
      },
      /*raw=*/true);
}

static bool scatters(const Tensor &data, ScatterReduction reduction) {
  return !data.element.isInteger(1) || reduction == ScatterReduction::none;
}

static LogicalResult lowerScatterElements(graph::ScatterElementsOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), updates = l.get(op.getUpdates());
  int64_t rank = data.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  if (rank == 0 || !scatters(data, op.getReduction()))
    return l.unsupported(op) << "a tensor of type " << op.getData().getType();
  Value axisSize = l.value(data.sizes[axis]);
  Tensor indices =
      normaliseIndices(l, l.get(op.getIndices()), [&](const Scalars &) { return axisSize; });
  // Updates may be smaller than the data in other dimensions, never larger.
  SmallVector<int64_t> partial;
  for (int64_t i = 0; i < rank; ++i) {
    l.requireEqual(indices.sizes[i], updates.sizes[i], "indices have size %0, updates %1");
    if (i == axis || indices.sizes[i] == data.sizes[i])
      continue;
    partial.push_back(i);
    Value wanted = l.value(indices.sizes[i]), there = l.value(data.sizes[i]);
    Scalars s = l.scalars();
    s.check(s.cmp(arith::CmpIPredicate::sle, wanted, there), LATHE_CODE_SHAPE,
            "indices of size %0 for data of size %1", {wanted, there});
  }
  // Loops: the data's dimensions, then the updates along the axis. The window gives the last loop
  // its size.
  OpFoldResult count = indices.sizes[axis];
  Tensor window{l.empty({count}, l.b.getI8Type()), {count}, l.b.getI8Type()};
  SmallVector<IteratorType> iterators(rank + 1, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  AffineMap dataMap = l.b.getMultiDimIdentityMap(rank + 1).dropResult(rank);
  SmallVector<Value> limits(rank);
  for (int64_t dim : partial)
    limits[dim] = l.value(indices.sizes[dim]);
  Tensor start = data;
  Value init = l.elementwise(
                    {start}, data.sizes, data.element,
                    [](const Scalars &, ValueRange x) { return x[0]; }, /*raw=*/true)
                   .value;
  Value result =
      l.generic({{window, l.dimMap(rank + 1, rank)}}, init, dataMap, iterators,
                [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                  SmallVector<Value> position;
                  Value inside = s.boolean(true);
                  for (int64_t i = 0; i < rank; ++i) {
                    Value at = linalg::IndexOp::create(s.b, s.loc, i == axis ? rank : i);
                    if (limits[i]) {
                      Value fits = s.cmp(arith::CmpIPredicate::slt, at, limits[i]);
                      inside = s.andI(inside, fits);
                      at = s.select(fits, at, s.index(0));
                    }
                    position.push_back(at);
                  }
                  Value target = s.toIndex(s.extract(indices.value, position), indices.element);
                  Value here = linalg::IndexOp::create(s.b, s.loc, axis);
                  Value hit = s.andI(inside, s.cmp(arith::CmpIPredicate::eq, target, here));
                  Value update = s.load(s.extract(updates.value, position), data.element);
                  Value merged = combine(s, op.getReduction(), s.load(x[1], data.element), update,
                                         data.element);
                  return {s.select(hit, s.store(merged, data.element), x[1])};
                })
          .front();
  l.set(op.getResult(), {result, data.sizes, data.element});
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

static LogicalResult lowerScatterND(graph::ScatterNDOp op, Lowering &l) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  Tensor updates = l.get(op.getUpdates());
  int64_t rank = data.rank();
  std::optional<int64_t> tuple =
      indices.rank() ? getConstantIntValue(indices.sizes.back()) : std::nullopt;
  if (!tuple || *tuple > rank || *tuple == 0 || !scatters(data, op.getReduction()))
    return l.unsupported(op) << "its index tuples' length is not known when compiling, or type "
                             << data.element;
  if (auto box = op.getReduction() == graph::ScatterReduction::none
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
  // All index tuples in a row: indices [M, tuple], updates [M, inner...].
  OpFoldResult count = l.product(ArrayRef(indices.sizes).drop_back());
  Sizes updateSizes{count};
  updateSizes.append(data.sizes.begin() + *tuple, data.sizes.end());
  updates = l.reshape(updates, updateSizes);
  indices = l.reshape(indices, {count, l.size(*tuple)});
  SmallVector<Value> limits;
  for (int64_t i = 0; i < *tuple; ++i)
    limits.push_back(l.value(data.sizes[i]));
  indices = normaliseIndices(l, indices, [&](const Scalars &s) {
    Value coordinate = linalg::IndexOp::create(s.b, s.loc, 1);
    Value limit = limits.back();
    for (int64_t i = *tuple - 2; i >= 0; --i)
      limit = s.select(s.cmp(arith::CmpIPredicate::eq, coordinate, s.index(i)), limits[i], limit);
    return limit;
  });
  Tensor window{l.empty({count}, l.b.getI8Type()), {count}, l.b.getI8Type()};
  SmallVector<IteratorType> iterators(rank + 1, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  Value init = l.elementwise(
                    {data}, data.sizes, data.element,
                    [](const Scalars &, ValueRange x) { return x[0]; }, /*raw=*/true)
                   .value;
  Value result =
      l.generic({{window, l.dimMap(rank + 1, rank)}}, init,
                l.b.getMultiDimIdentityMap(rank + 1).dropResult(rank), iterators,
                [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                  Value m = linalg::IndexOp::create(s.b, s.loc, rank);
                  Value hit = s.boolean(true);
                  for (int64_t i = 0; i < *tuple; ++i) {
                    Value target =
                        s.toIndex(s.extract(indices.value, {m, s.index(i)}), indices.element);
                    Value here = linalg::IndexOp::create(s.b, s.loc, i);
                    hit = s.andI(hit, s.cmp(arith::CmpIPredicate::eq, target, here));
                  }
                  SmallVector<Value> position{m};
                  for (int64_t i = *tuple; i < rank; ++i)
                    position.push_back(linalg::IndexOp::create(s.b, s.loc, i));
                  Value update = s.load(s.extract(updates.value, position), data.element);
                  Value merged = combine(s, op.getReduction(), s.load(x[1], data.element), update,
                                         data.element);
                  return {s.select(hit, s.store(merged, data.element), x[1])};
                })
          .front();
  l.set(op.getResult(), {result, data.sizes, data.element});
  return success();
}

void lathe::g2l::addSort(LoweringTable &table) {
  table.add(lowerTopK);
  table.add(lowerScatterElements);
  table.add(lowerScatterND);
}
