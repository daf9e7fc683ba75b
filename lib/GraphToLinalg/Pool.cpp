// Lowering of pools.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "lib/GraphToLinalg/Windows.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::PoolKind;
using utils::IteratorType;

namespace {
/// A pool with its sizes found.
struct Pool {
  mutable graph::PoolOp op; // its getters are not const
  Lowering &l;
  Tensor input, padded;
  Sizes sizes, counts, low, high, kernel;
  int64_t spatial, firstSpatial;

  /// Loops: the result's dimensions, then the kernel's.
  AffineMap inputMap() const;
  AffineMap kernelMap() const;
  AffineMap resultMap() const { return l.b.getMultiDimIdentityMap(loops()).dropResults(dropped()); }
  int64_t loops() const { return input.rank() + spatial; }
  llvm::SmallBitVector dropped() const {
    llvm::SmallBitVector bits(loops());
    bits.set(input.rank(), loops());
    return bits;
  }
  SmallVector<IteratorType> iterators() const {
    SmallVector<IteratorType> types(loops(), IteratorType::reduction);
    std::fill_n(types.begin(), input.rank(), IteratorType::parallel);
    return types;
  }
  /// A tensor that only gives the kernel loops their sizes.
  Tensor window() const { return {l.empty(kernel, l.b.getF32Type()), kernel, l.b.getF32Type()}; }
};
} // namespace

AffineMap Pool::inputMap() const {
  SmallVector<AffineExpr> results;
  for (int64_t i = 0; i < input.rank(); ++i) {
    AffineExpr expr = l.b.getAffineDimExpr(i);
    if (int64_t at = i - firstSpatial; at >= 0 && at < spatial)
      expr = expr * op.getStrides()[at] +
             l.b.getAffineDimExpr(input.rank() + at) * op.getDilations()[at];
    results.push_back(expr);
  }
  return AffineMap::get(loops(), 0, results, l.context);
}

AffineMap Pool::kernelMap() const {
  SmallVector<int64_t> dims;
  for (int64_t i = 0; i < spatial; ++i)
    dims.push_back(input.rank() + i);
  return l.dimMap(loops(), dims);
}

static Pool preparePool(graph::PoolOp op, Lowering &l, TypedAttr padding) {
  Pool pool{op, l, l.get(op.getInput()), {}, {}, {}, {}, {}, {}, 0, 0};
  pool.spatial = op.getKernel().size();
  pool.firstSpatial = op.getChannelsLast() ? 1 : 2;
  for (int64_t size : op.getKernel())
    pool.kernel.push_back(l.size(size));
  WindowShape windows{
      op.getStrides(),  op.getDilations(),
      op.getPads(),     op.getAutoPad(),
      op.getCeilMode(), ArrayRef(pool.input.sizes).slice(pool.firstSpatial, pool.spatial),
      pool.kernel};
  Sizes all = pool.input.sizes;
  llvm::copy(countWindows(l, windows), all.begin() + pool.firstSpatial);
  pool.sizes = l.resultSizes(op.getResult(), all);
  auto begin = pool.sizes.begin() + pool.firstSpatial;
  pool.counts.assign(begin, begin + pool.spatial);
  std::tie(pool.low, pool.high) = getPads(l, windows, pool.counts);
  Sizes low(pool.input.rank(), l.size(0)), high = low;
  llvm::copy(pool.low, low.begin() + pool.firstSpatial);
  llvm::copy(pool.high, high.begin() + pool.firstSpatial);
  pool.padded = l.pad(pool.input, low, high, padding);
  pool.padded.splat = {};
  return pool;
}

// The identity of max in the type of memory, as padding.
static TypedAttr lowestStored(Lowering &l, Type element) {
  if (auto type = dyn_cast<FloatType>(element))
    return l.b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), true));
  return extremeIdentity(l, element, true);
}

static Tensor combineWindows(const Pool &pool, TypedAttr initial, ScalarBody combine) {
  Lowering &l = pool.l;
  Value result = l.generic({{pool.padded, pool.inputMap()}, {pool.window(), pool.kernelMap()}},
                           l.filled(pool.sizes, initial), pool.resultMap(), pool.iterators(),
                           [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                             return {combine(s, {s.load(x[0], pool.input.element), x[2]})};
                           })
                     .front();
  return {result, pool.sizes, initial.getType()};
}

// ---- Average -----------------------------------------------------------------------------------

// One over the number of elements that each window along one dimension averages.
static Tensor reciprocalCounts(const Pool &pool, int64_t dim, Type type) {
  Lowering &l = pool.l;
  graph::PoolOp op = pool.op;
  int64_t stride = op.getStrides()[dim], dilation = op.getDilations()[dim];
  int64_t kernel = op.getKernel()[dim];
  OpFoldResult input = pool.input.sizes[pool.firstSpatial + dim], low = pool.low[dim];
  // Padding that ceil_mode adds is never counted.
  OpFoldResult high = op.getAutoPad() == graph::AutoPad::none
                          ? l.size(op.getPads()[dim + pool.spatial])
                          : pool.high[dim];
  bool countPads = op.getCountIncludePad();
  OpFoldResult begin = countPads ? l.size(0) : low;
  OpFoldResult end = l.add(l.add(input, low), countPads ? high : l.size(0));
  std::optional<int64_t> count = getConstantIntValue(pool.counts[dim]);
  std::optional<int64_t> first = getConstantIntValue(begin), last = getConstantIntValue(end);
  if (count && first && last) {
    SmallVector<Attribute> values;
    for (int64_t i = 0; i < *count; ++i) {
      int64_t inside = 0;
      for (int64_t k = 0; k < kernel; ++k) {
        int64_t at = i * stride + k * dilation;
        inside += at >= *first && at < *last;
      }
      values.push_back(l.b.getFloatAttr(type, 1.0 / double(std::max<int64_t>(inside, 1))));
    }
    return l.constantTensor(DenseElementsAttr::get(RankedTensorType::get({*count}, type), values));
  }
  Value beginValue = l.value(begin), endValue = l.value(end);
  return l.fromIndices({pool.counts[dim]}, type, [&](const Scalars &s, ValueRange index) -> Value {
    // Kernel positions before `bound`: ceil((bound - start) / dilation), within [0, kernel].
    Value start = s.mul(index[0], s.index(stride));
    auto positionsBefore = [&](Value bound) {
      Value distance = s.add(s.sub(bound, start), s.index(dilation - 1));
      Value steps = s.floorDiv(distance, s.index(dilation));
      return s.min(s.max(steps, s.index(0)), s.index(kernel));
    };
    Value inside = s.sub(positionsBefore(endValue), positionsBefore(beginValue));
    return s.divf(s.constant(type, 1), s.fromIndex(s.max(inside, s.index(1)), type));
  });
}

static Tensor averageWindows(const Pool &pool) {
  Lowering &l = pool.l;
  Type type = getAccumulatorType(pool.input.element);
  Tensor sum = combineWindows(pool, l.number(type, 0), sumBody);
  SmallVector<Operand> factors{{sum, l.b.getMultiDimIdentityMap(sum.rank())}};
  double whole = 1; // from dimensions where every window lies inside
  for (int64_t i = 0; i < pool.spatial; ++i) {
    bool inside = isConstantIntValue(pool.low[i], 0) && isConstantIntValue(pool.high[i], 0);
    bool counted = pool.op.getCountIncludePad() && !pool.op.getCeilMode();
    if (inside || counted) {
      whole *= double(pool.op.getKernel()[i]);
      continue;
    }
    factors.emplace_back(reciprocalCounts(pool, i, type),
                         l.dimMap(sum.rank(), pool.firstSpatial + i));
  }
  return l.elementwise(factors, pool.sizes, pool.input.element,
                       [&](const Scalars &s, ValueRange x) -> Value {
                         Value result = x[0];
                         if (whole != 1)
                           result = s.mul(result, s.constant(type, 1 / whole));
                         for (Value factor : x.drop_front())
                           result = s.mul(result, factor);
                         return result;
                       });
}

// ---- Norms -------------------------------------------------------------------------------------

static Tensor normOfWindows(const Pool &pool) {
  Lowering &l = pool.l;
  Type type = getAccumulatorType(pool.input.element);
  int64_t p = pool.op.getP();
  Tensor sum =
      combineWindows(pool, l.number(type, 0), [&](const Scalars &s, ValueRange x) -> Value {
        Value power = math::AbsFOp::create(s.b, s.loc, x[0]);
        if (p == 2)
          power = s.mul(x[0], x[0]);
        else if (p != 1)
          power = math::PowFOp::create(s.b, s.loc, power, s.constant(type, double(p)));
        return sumBody(s, {power, x[1]});
      });
  return l.elementwise(
      {sum}, pool.sizes, pool.input.element, [&](const Scalars &s, ValueRange x) -> Value {
        if (p == 1)
          return x[0];
        if (p == 2)
          return math::SqrtOp::create(s.b, s.loc, x[0]);
        return math::PowFOp::create(s.b, s.loc, x[0], s.constant(type, 1.0 / double(p)));
      });
}

// ---- Max with positions ------------------------------------------------------------------------

// The flat position in the (unpadded) input that the loops stand at, and whether it is in there.
static std::pair<Value, Value> flatPosition(const Scalars &s, const Pool &pool,
                                            ArrayRef<Value> inputSizes, ArrayRef<Value> low) {
  graph::PoolOp op = pool.op;
  auto loop = [&](int64_t i) -> Value { return linalg::IndexOp::create(s.b, s.loc, i); };
  int64_t channelDim = op.getChannelsLast() ? pool.input.rank() - 1 : 1;
  Value position = s.add(s.mul(loop(0), inputSizes[channelDim]), loop(channelDim));
  Value isInside = s.constant(s.b.getI1Type(), 1);
  for (int64_t i = 0; i < pool.spatial; ++i) {
    int64_t dim = op.getColumnMajor() ? pool.spatial - 1 - i : i;
    Value at = s.add(s.mul(loop(pool.firstSpatial + dim), s.index(op.getStrides()[dim])),
                     s.mul(loop(pool.input.rank() + dim), s.index(op.getDilations()[dim])));
    at = s.sub(at, low[dim]);
    Value size = inputSizes[pool.firstSpatial + dim];
    position = s.add(s.mul(position, size), at);
    // Before the first one as well: it wraps around.
    isInside = s.andI(isInside, s.cmp(arith::CmpIPredicate::ult, at, size));
  }
  return {position, isInside};
}

// As in ONNX Runtime, the first element of a window stands until a greater one comes: NaN stays
// where it is first, and the lowest number has a position.
static std::pair<Tensor, Tensor> maxWithPositions(const Pool &pool) {
  Lowering &l = pool.l;
  Type element = pool.input.element, i64 = l.b.getI64Type();
  SmallVector<Value> inputSizes, low;
  for (OpFoldResult size : pool.input.sizes)
    inputSizes.push_back(l.value(size));
  for (OpFoldResult size : pool.low)
    low.push_back(l.value(size));
  TypedAttr initial = extremeIdentity(l, element, true);
  ResultRange results =
      l.generic({{pool.padded, pool.inputMap()}, {pool.window(), pool.kernelMap()}},
                {l.filled(pool.sizes, initial), l.filled(pool.sizes, l.number(i64, -1))},
                {pool.resultMap(), pool.resultMap()}, pool.iterators(),
                [&](const Scalars &s, ValueRange x) -> SmallVector<Value> {
                  Value now = s.load(x[0], element), best = x[2];
                  Value better =
                      isa<FloatType>(now.getType())
                          ? s.cmp(arith::CmpFPredicate::OGT, now, best)
                          : s.cmp(element.isUnsignedInteger() ? arith::CmpIPredicate::ugt
                                                              : arith::CmpIPredicate::sgt,
                                  now, best);
                  auto [position, isInside] = flatPosition(s, pool, inputSizes, low);
                  Value isFirst = s.cmp(arith::CmpIPredicate::slt, x[3], s.constant(i64, 0));
                  better = s.orI(better, isFirst);
                  better = s.andI(better, isInside);
                  Value here = s.fromIndex(position, i64);
                  return {s.select(better, now, best), s.select(better, here, x[3])};
                });
  Type sum = isa<FloatType>(element) ? initial.getType() : element;
  // A window of pads alone has none; zero is what can be looked up.
  Tensor found{results[1], pool.sizes, i64};
  Tensor positions = l.elementwise({found}, pool.sizes, i64, [&](const Scalars &s, ValueRange x) {
    return s.max(x[0], s.constant(i64, 0));
  });
  return {l.convert({results[0], pool.sizes, sum}, element), positions};
}

static LogicalResult lowerPool(graph::PoolOp op, Lowering &l) {
  Type element = l.get(op.getInput()).element;
  if (element.isInteger(1))
    return l.unsupported(op) << "element type " << element;
  bool isMax = op.getKind() == PoolKind::max;
  if (!isMax && !isa<FloatType>(element))
    return l.unsupported(op) << graph::stringifyPoolKind(op.getKind()) << " of element type "
                             << element;
  Pool pool =
      preparePool(op, l, isMax ? lowestStored(l, element) : l.number(getStorageType(element), 0));
  if (op.getIndices()) {
    auto [values, indices] = maxWithPositions(pool);
    l.set(op.getResult(), values);
    l.set(op.getIndices(), indices);
    return success();
  }
  switch (op.getKind()) {
  case PoolKind::max: {
    Tensor result = combineWindows(pool, extremeIdentity(l, element, true),
                                   [&](const Scalars &s, ValueRange x) {
                                     return s.max(x[1], x[0], element.isUnsignedInteger());
                                   });
    if (!isa<FloatType>(element))
      result.element = element;
    l.set(op.getResult(), l.convert(result, element));
    return success();
  }
  case PoolKind::average:
    l.set(op.getResult(), averageWindows(pool));
    return success();
  case PoolKind::lp:
    l.set(op.getResult(), normOfWindows(pool));
    return success();
  }
  return failure();
}

void lathe::g2l::addPool(LoweringTable &table) { table.add(lowerPool); }
