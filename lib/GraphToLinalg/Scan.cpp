// Lowering of running sums and products.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

/// Up to this length every result sums its own prefix: more work, but one parallel kernel.
static constexpr int64_t maxTriangle = 128;

static Value combine(const Scalars &s, bool isSum, Value accumulator, Value value) {
  return isSum ? s.add(accumulator, value) : s.mul(accumulator, value);
}

// result[i] combines the elements k with k <= i (or the other comparisons).
static Tensor scanTriangle(Lowering &l, const Tensor &input, int64_t axis, bool isSum,
                           arith::CmpIPredicate includes) {
  int64_t rank = input.rank();
  Type compute = getAccumulatorType(input.element);
  SmallVector<int64_t> inputDims = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  SmallVector<int64_t> outDims = inputDims;
  inputDims[axis] = rank; // the reduction loop
  SmallVector<utils::IteratorType> iterators(rank + 1, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  Tensor data = input;
  data.splat = {};
  TypedAttr neutral = l.number(compute, isSum ? 0 : 1);
  Value result = l.generic({{data, l.dimMap(rank + 1, inputDims)}}, l.filled(input.sizes, neutral),
                           l.dimMap(rank + 1, outDims), iterators,
                           [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                             Value k = linalg::IndexOp::create(s.b, s.loc, rank);
                             Value i = linalg::IndexOp::create(s.b, s.loc, axis);
                             Value term = s.load(x[0], input.element);
                             Value none = arith::ConstantOp::create(s.b, s.loc, neutral);
                             term = s.select(s.cmp(includes, k, i), term, none);
                             return {combine(s, isSum, x[1], term)};
                           })
                     .front();
  return {result, input.sizes, compute};
}

// A loop along the axis carries the running value of all other dimensions.
static Tensor scanLoop(Lowering &l, const Tensor &input, int64_t axis, bool isSum, bool exclusive,
                       bool reverse) {
  Type compute = getAccumulatorType(input.element);
  Sizes sizes = input.sizes;
  sizes[axis] = l.size(1);
  Value running = l.filled(sizes, l.number(compute, isSum ? 0 : 1));
  Value out = l.empty(input.sizes, compute);
  Value zero = l.value(l.size(0)), one = l.value(l.size(1)), count = l.value(input.sizes[axis]);
  auto loop = scf::ForOp::create(l.b, l.loc, zero, count, one, ValueRange{running, out});
  {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToStart(loop.getBody());
    Value at = loop.getInductionVar();
    if (reverse)
      at = l.scalars().sub(l.scalars().sub(count, one), at);
    Sizes offsets(input.rank(), l.size(0));
    offsets[axis] = at;
    Tensor before{loop.getRegionIterArg(0), sizes, compute};
    Tensor after = l.elementwise(
        {before, l.slice(input, offsets, sizes)}, sizes, compute,
        [&](const Scalars &s, ValueRange x) { return combine(s, isSum, x[0], x[1]); });
    Value next = l.insert(exclusive ? before : after, loop.getRegionIterArg(1), offsets);
    scf::YieldOp::create(l.b, l.loc, ValueRange{after.value, next});
  }
  return {loop.getResult(1), input.sizes, compute};
}

static LogicalResult lowerCumulative(graph::CumulativeOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + input.rank() : op.getAxis();
  bool isSum = op.getKind() == graph::ReduceKind::sum;
  if (!isSum && op.getKind() != graph::ReduceKind::prod)
    return l.unsupported(op) << graph::stringifyReduceKind(op.getKind());
  if (input.element.isInteger(1) || input.rank() == 0)
    return l.unsupported(op) << "a tensor of type " << op.getInput().getType();
  using P = arith::CmpIPredicate;
  P includes = op.getReverse() ? (op.getExclusive() ? P::sgt : P::sge)
                               : (op.getExclusive() ? P::slt : P::sle);
  bool isShort = getConstantIntValue(input.sizes[axis]).value_or(maxTriangle + 1) <= maxTriangle;
  Tensor result = isShort ? scanTriangle(l, input, axis, isSum, includes)
                          : scanLoop(l, input, axis, isSum, op.getExclusive(), op.getReverse());
  if (!isa<FloatType>(input.element))
    result.element = input.element;
  l.set(op.getResult(), l.convert(result, input.element));
  return success();
}

void lathe::g2l::addScan(LoweringTable &table) { table.add(lowerCumulative); }
