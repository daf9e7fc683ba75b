// Lowering of selection by rank, in the form of gathers: every result element looks for what it
// shows.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Order.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using utils::IteratorType;

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

void lathe::g2l::addSort(LoweringTable &table) { table.add(lowerTopK); }
