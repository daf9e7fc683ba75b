// Merge sort in the form of gathers: every place of a merged run finds, by a binary search along
// the diagonal, how much of what comes before it is of each of the two runs (merge path: Odeh et
// al., "Merge Path - Parallel Merging Made Simple", 2012). So all places of a level are computed
// side by side. Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Order.h"
#include "lib/GraphToLinalg/Loops.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using I = arith::CmpIPredicate;

/// The number of binary digits of `value`, an index that is not negative.
static Value countDigits(const Scalars &s, Value value) {
  Type i64 = s.b.getI64Type();
  Value zeros = math::CountLeadingZerosOp::create(s.b, s.loc, s.fromIndex(value, i64));
  return s.toIndex(s.sub(s.constant(i64, 64), zeros), i64);
}

/// The first number of low <= number < high for which `holds` is true; `high` where there is none.
static Value searchBetween(const Scalars &s, Value low, Value high,
                           function_ref<Value(const Scalars &, Value)> holds) {
  Value steps = countDigits(s, s.sub(high, low));
  return forLoop(s, steps, {low, high},
                 [&](const Scalars &in, Value, ValueRange x) -> SmallVector<Value> {
                   Value isOpen = in.cmp(I::slt, x[0], x[1]);
                   Value middle =
                       arith::ShRUIOp::create(in.b, in.loc, in.add(x[0], x[1]), in.index(1));
                   // Where the search has ended, a place that is there is looked at for nothing.
                   Value found = holds(in, in.select(isOpen, middle, low));
                   Value right = in.andI(isOpen, in.notI(found));
                   Value left = in.andI(isOpen, found);
                   return {in.select(right, in.add(middle, in.index(1)), x[0]),
                           in.select(left, middle, x[1])};
                 })
      .front();
}

Value lathe::g2l::searchFirst(const Scalars &s, Value count,
                              function_ref<Value(const Scalars &, Value)> holds) {
  return searchBetween(s, s.index(0), count, holds);
}

Tensor lathe::g2l::sortLines(Lowering &l, ArrayRef<OpFoldResult> sizes, int64_t axis,
                             OpFoldResult wanted, Before before, int64_t shortest) {
  Type i64 = l.b.getI64Type();
  Tensor start = l.fromIndices(
      sizes, i64, [&](const Scalars &s, ValueRange at) { return s.fromIndex(at[axis], i64); });
  Value length = l.value(sizes[axis]), most = l.value(wanted);
  Value levels;
  {
    Scalars s = l.scalars();
    Value last = s.max(s.sub(length, s.index(1)), s.index(0));
    levels = countDigits(s, last);
    if (shortest)
      levels = s.select(s.cmp(I::sle, length, s.index(shortest)), s.index(0), levels);
  }
  auto loop = scf::ForOp::create(l.b, l.loc, l.value(l.size(0)), levels, l.value(l.size(1)),
                                 ValueRange{start.value});
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToStart(loop.getBody());
  Value runs = loop.getRegionIterArg(0);
  Value width = arith::ShLIOp::create(l.b, l.loc, l.value(l.size(1)), loop.getInductionVar());
  Tensor merged = l.fromIndices(sizes, i64, [&](const Scalars &s, ValueRange at) -> Value {
    Value both = s.add(width, width);
    Value first = s.mul(arith::DivUIOp::create(s.b, s.loc, at[axis], both), both);
    Value diagonal = s.sub(at[axis], first);
    Value middle = s.min(s.add(first, width), length), end = s.min(s.add(first, both), length);
    auto elementAt = [&](const Scalars &in, Value place) {
      SmallVector<Value> position(at);
      position[axis] = place;
      return in.toIndex(in.extract(runs, position), i64);
    };
    auto isBefore = [&](const Scalars &in, Value a, Value b) {
      return before(in, SmallVector<Value>(at), elementAt(in, a), elementAt(in, b));
    };
    auto merge = [&](const Scalars &in) -> Value {
      Value inLeft = in.sub(middle, first), inRight = in.sub(end, middle);
      Value low = in.max(in.sub(diagonal, inRight), in.index(0)), high = in.min(diagonal, inLeft);
      // Of the left run, those that come before what would be next of the right one.
      Value left = searchBetween(in, low, high, [&](const Scalars &deep, Value number) {
        Value a = deep.add(first, number);
        Value b = deep.add(middle, deep.sub(deep.sub(diagonal, number), deep.index(1)));
        // Nothing is compared where the search is over before it begins.
        a = deep.min(a, deep.sub(end, deep.index(1)));
        b = deep.min(deep.max(b, first), deep.sub(end, deep.index(1)));
        return deep.notI(isBefore(deep, a, b));
      });
      Value right = in.sub(diagonal, left);
      Value hasLeft = in.cmp(I::slt, left, inLeft), hasRight = in.cmp(I::slt, right, inRight);
      Value a = in.select(hasLeft, in.add(first, left), first);
      Value b = in.select(hasRight, in.add(middle, right), first);
      Value takesLeft = in.andI(hasLeft, in.orI(in.notI(hasRight), isBefore(in, a, b)));
      return in.fromIndex(in.select(takesLeft, elementAt(in, a), elementAt(in, b)), i64);
    };
    Value isNeeded = s.cmp(I::slt, diagonal, most);
    return ifElse(s, isNeeded, merge, s.constant(i64, 0));
  });
  scf::YieldOp::create(l.b, l.loc, merged.value);
  return Tensor{loop.getResult(0), Sizes(sizes), i64};
}
