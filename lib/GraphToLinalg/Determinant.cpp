// Lowering of determinants: elimination with partial pivoting, all matrices in step.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Loops.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using F = arith::CmpFPredicate;
using I = arith::CmpIPredicate;

static LogicalResult lowerDeterminant(graph::DeterminantOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  if (!isa<FloatType>(input.element))
    return l.unsupported(op) << "element type " << input.element;
  int64_t rank = input.rank();
  OpFoldResult order = input.sizes[rank - 1];
  l.requireEqual(input.sizes[rank - 2], order, "a matrix of %0 rows and %1 columns");
  Sizes batches(input.sizes.begin(), input.sizes.end() - 2);
  OpFoldResult batch = l.product(batches);
  // Doubles, since every step adds its error to those before.
  Type f64 = l.b.getF64Type(), i64 = l.b.getI64Type();
  Sizes sizes{batch, order, order}, single{batch};
  // A tensor of its own, of exactly the sizes that the loop carries on.
  Tensor matrices =
      l.elementwise({l.reshape(input, sizes)}, sizes, f64, [&](const Scalars &s, ValueRange x) {
        return s.convert(x[0], input.element, f64);
      });
  Value result = l.filled(single, l.number(f64, 1));
  Value zero = l.value(l.size(0)), one = l.value(l.size(1)), count = l.value(order);
  auto loop = scf::ForOp::create(l.b, l.loc, zero, count, one, ValueRange{matrices.value, result});
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    Value step = loop.getInductionVar(), matrix = loop.getRegionIterArg(0);
    // The row from the step on with the largest element in the step's column.
    Tensor pivots = l.fromIndices(single, i64, [&](const Scalars &s, ValueRange at) -> Value {
      Value none = s.constant(f64, -1);
      return forLoop(s, s.sub(count, step), {none, s.fromIndex(step, i64)},
                     [&](const Scalars &in, Value i, ValueRange x) -> SmallVector<Value> {
                       Value row = in.add(step, i);
                       Value size = math::AbsFOp::create(in.b, in.loc,
                                                         in.extract(matrix, {at[0], row, step}));
                       Value larger = in.cmp(F::OGT, size, x[0]);
                       return {in.select(larger, size, x[0]),
                               in.select(larger, in.fromIndex(row, i64), x[1])};
                     })
          .back();
    });
    auto pivotOf = [&](const Scalars &s, Value b) {
      return s.toIndex(s.extract(pivots.value, b), i64);
    };
    Tensor determinants{loop.getRegionIterArg(1), single, f64};
    Tensor next = l.fromIndices(single, f64, [&](const Scalars &s, ValueRange at) -> Value {
      Value pivot = pivotOf(s, at[0]);
      Value factor = s.extract(matrix, {at[0], pivot, step});
      Value same = s.cmp(I::eq, pivot, step);
      factor = s.select(same, factor, s.neg(factor));
      return s.mul(s.extract(determinants.value, at), factor);
    });
    Tensor reduced = l.fromIndices(sizes, f64, [&](const Scalars &s, ValueRange at) -> Value {
      Value pivot = pivotOf(s, at[0]);
      Value isStep = s.cmp(I::eq, at[1], step), isPivot = s.cmp(I::eq, at[1], pivot);
      Value row = s.select(isStep, pivot, s.select(isPivot, step, at[1]));
      Value mine = s.extract(matrix, {at[0], row, at[2]});
      Value top = s.extract(matrix, {at[0], pivot, step});
      Value factor = s.divf(s.extract(matrix, {at[0], row, step}), top);
      Value less = s.sub(mine, s.mul(factor, s.extract(matrix, {at[0], pivot, at[2]})));
      // A column of zeros has made the determinant 0 already.
      Value isBelow = s.andI(s.cmp(I::sgt, at[1], step), s.cmp(F::UNE, top, s.constant(f64, 0)));
      return s.select(isBelow, less, mine);
    });
    scf::YieldOp::create(l.b, l.loc, ValueRange{reduced.value, next.value});
  }
  Tensor determinants{loop.getResult(1), single, f64};
  l.set(op.getResult(), l.reshape(l.convert(determinants, input.element), batches));
  return success();
}

void lathe::g2l::addDeterminant(LoweringTable &table) { table.add(lowerDeterminant); }
