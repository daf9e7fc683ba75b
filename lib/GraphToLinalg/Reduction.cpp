// Lowering of reductions.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Contraction.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;
using graph::ReduceKind;

static constexpr auto sumFlags = arith::FastMathFlags::contract | arith::FastMathFlags::reassoc;

Value lathe::g2l::sumBody(const Scalars &s, ValueRange x) {
  if (isa<FloatType>(x[1].getType()))
    return arith::AddFOp::create(s.b, s.loc, x[1], x[0], sumFlags);
  return s.add(x[1], x[0]);
}

static Value productBody(const Scalars &s, ValueRange x) {
  if (isa<FloatType>(x[1].getType()))
    return arith::MulFOp::create(s.b, s.loc, x[1], x[0], sumFlags);
  return s.mul(x[1], x[0]);
}

// The identity of max (or min): the lowest (highest) value of the type, infinite for floats.
TypedAttr lathe::g2l::extremeIdentity(Lowering &l, Type element, bool isMax) {
  Type compute = getComputeType(element);
  if (auto type = dyn_cast<FloatType>(compute))
    return l.b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), isMax));
  unsigned width = compute.getIntOrFloatBitWidth();
  bool isUnsigned = element.isUnsignedInteger() || element.isInteger(1);
  APInt lowest = isUnsigned ? APInt::getZero(width) : APInt::getSignedMinValue(width);
  APInt highest = isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  return l.b.getIntegerAttr(compute, isMax ? lowest : highest);
}

Tensor lathe::g2l::reduceSum(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes) {
  TypedAttr zero = l.number(getAccumulatorType(input.element), 0);
  return l.reduce({input}, axes, zero, sumBody);
}

Tensor lathe::g2l::reduceMax(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes) {
  return l.reduce({input}, axes, extremeIdentity(l, input.element, true),
                  [&](const Scalars &s, ValueRange x) {
                    return s.max(x[1], x[0], input.element.isUnsignedInteger());
                  });
}

// ---- Reduce ------------------------------------------------------------------------------------

static Value square(const Scalars &s, Value x) { return s.mul(x, x); }

static Value absolute(const Scalars &s, Value x) {
  if (isa<FloatType>(x.getType()))
    return math::AbsFOp::create(s.b, s.loc, x);
  return math::AbsIOp::create(s.b, s.loc, x);
}

// Sum of f(x); the accumulator is of the graph type `sum`.
static Tensor sumOf(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes,
                    function_ref<Value(const Scalars &, Value)> f) {
  TypedAttr zero = l.number(getAccumulatorType(input.element), 0);
  return l.reduce({input}, axes, zero,
                  [&](const Scalars &s, ValueRange x) { return sumBody(s, {f(s, x[0]), x[1]}); });
}

// In a tensor of rank `rank` reduced over `axes`: sizes with the reduced dimensions as 1.
static Sizes keepDims(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes) {
  Sizes sizes = input.sizes;
  for (int64_t axis : axes)
    sizes[axis] = l.size(1);
  return sizes;
}

// log(sum(exp(x - max))) + max; an infinite max is not subtracted.
static Tensor logSumExp(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes) {
  Tensor shift = reduceMax(l, input, axes);
  shift = l.elementwise({shift}, shift.sizes, shift.element, [](const Scalars &s, ValueRange x) {
    Type type = x[0].getType();
    Value magnitude = math::AbsFOp::create(s.b, s.loc, x[0]);
    Value infinite = s.cmp(arith::CmpFPredicate::OEQ, magnitude,
                           s.constant(type, std::numeric_limits<double>::infinity()));
    return s.select(infinite, s.constant(type, 0), x[0]);
  });
  Tensor exps = l.elementwise({input, {shift, l.dropDims(input.rank(), axes)}}, input.sizes,
                              shift.element, [](const Scalars &s, ValueRange x) -> Value {
                                return math::ExpOp::create(s.b, s.loc, s.sub(x[0], x[1]));
                              });
  Tensor sum = reduceSum(l, exps, axes);
  return l.elementwise({sum, shift}, sum.sizes, sum.element,
                       [](const Scalars &s, ValueRange x) -> Value {
                         return s.add(math::LogOp::create(s.b, s.loc, x[0]), x[1]);
                       });
}

template <typename Op> static Value applyMath(const Scalars &s, ValueRange x) {
  return Op::create(s.b, s.loc, x[0]);
}

// sum / count; integers as in ONNX Runtime, summed in 64 bits and divided towards zero.
static Tensor meanOf(Lowering &l, const Tensor &input, ArrayRef<int64_t> axes) {
  if (auto integer = dyn_cast<IntegerType>(input.element); integer && integer.getWidth() < 64)
    return l.convert(
        meanOf(l, l.convert(input, IntegerType::get(l.context, 64, integer.getSignedness())), axes),
        integer);
  Tensor sum = reduceSum(l, input, axes);
  OpFoldResult count = l.size(1);
  for (int64_t axis : axes)
    count = l.mul(count, input.sizes[axis]);
  bool isFloat = isa<FloatType>(sum.element);
  if (std::optional<int64_t> known = getConstantIntValue(count); known && isFloat && *known)
    return l.elementwise({sum}, sum.sizes, sum.element, [&](const Scalars &s, ValueRange x) {
      return s.mul(x[0], s.constant(x[0].getType(), 1.0 / double(*known)));
    });
  Value n = l.value(count);
  Type countType = l.b.getI64Type();
  return l.elementwise({sum}, sum.sizes, sum.element, [&](const Scalars &s, ValueRange x) -> Value {
    Type compute = x[0].getType();
    if (isFloat)
      return s.divf(x[0], s.fromIndex(n, compute));
    Value divisor = s.max(s.fromIndex(n, countType), s.constant(countType, 1));
    divisor = s.convert(divisor, countType, compute);
    if (input.element.isUnsignedInteger())
      return arith::DivUIOp::create(s.b, s.loc, x[0], divisor);
    return arith::DivSIOp::create(s.b, s.loc, x[0], divisor);
  });
}

static std::optional<Tensor> reduceKind(Lowering &l, ReduceKind kind, const Tensor &input,
                                        ArrayRef<int64_t> axes) {
  Type element = input.element, compute = getAccumulatorType(element);
  bool isFloat = isa<FloatType>(element), isBool = element.isInteger(1);
  if (isBool) {
    if (kind != ReduceKind::max && kind != ReduceKind::min)
      return std::nullopt;
    // Bytes that are 0 or 1 order like booleans; others are made so.
    Type byte = IntegerType::get(l.context, 8, IntegerType::Unsigned);
    std::optional<Tensor> result = reduceKind(l, kind, l.convert(input, byte), axes);
    result->element = byte;
    return l.convert(*result, element);
  }
  bool onFloatsOnly =
      kind == ReduceKind::log_sum || kind == ReduceKind::log_sum_exp || kind == ReduceKind::l2;
  if (onFloatsOnly && !isFloat) {
    // Of integers, computed in double.
    Type wide = Float64Type::get(l.context);
    return l.convert(*reduceKind(l, kind, l.convert(input, wide), axes), element);
  }
  switch (kind) {
  case ReduceKind::sum:
    return reduceSum(l, input, axes);
  case ReduceKind::mean:
    return meanOf(l, input, axes);
  case ReduceKind::prod:
    return l.reduce({input}, axes, l.number(compute, 1), productBody);
  case ReduceKind::max:
    return reduceMax(l, input, axes);
  case ReduceKind::min:
    return l.reduce({input}, axes, extremeIdentity(l, element, false),
                    [&](const Scalars &s, ValueRange x) {
                      return s.min(x[1], x[0], element.isUnsignedInteger());
                    });
  case ReduceKind::l1:
    if (element.isUnsignedInteger())
      return reduceSum(l, input, axes);
    return sumOf(l, input, axes, absolute);
  case ReduceKind::sum_square:
    return sumOf(l, input, axes, square);
  case ReduceKind::l2: {
    Tensor sum = sumOf(l, input, axes, square);
    return l.elementwise({sum}, sum.sizes, sum.element, applyMath<math::SqrtOp>);
  }
  case ReduceKind::log_sum: {
    Tensor sum = reduceSum(l, input, axes);
    return l.elementwise({sum}, sum.sizes, sum.element, applyMath<math::LogOp>);
  }
  case ReduceKind::log_sum_exp:
    return logSumExp(l, input, axes);
  }
  return std::nullopt;
}

static LogicalResult lowerReduce(graph::ReduceOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  SmallVector<int64_t> axes;
  if (op.getAxes())
    axes.assign(op.getAxes()->begin(), op.getAxes()->end());
  else
    axes.assign(llvm::seq<int64_t>(0, input.rank()).begin(),
                llvm::seq<int64_t>(0, input.rank()).end());
  std::optional<Tensor> result = reduceKind(l, op.getKind(), input, axes);
  if (!result)
    return l.unsupported(op) << graph::stringifyReduceKind(op.getKind()) << " of element type "
                             << input.element;
  // Accumulators of integers are signless; the meaning is the input's.
  if (!isa<FloatType>(input.element))
    result->element = input.element;
  Tensor converted = l.convert(*result, input.element);
  if (op.getKeepDims())
    converted = l.reshape(converted, keepDims(l, input, axes));
  l.set(op.getResult(), converted);
  return success();
}

// ---- Arg reduce --------------------------------------------------------------------------------

// 0, 1, 2, ... up to a size. Long ones are computed in each run, which is less than to store them.
static Tensor countUp(Lowering &l, OpFoldResult size, Type element) {
  constexpr int64_t mostStored = 4096;
  std::optional<int64_t> known = getConstantIntValue(size);
  if (!known || *known > mostStored)
    return l.fromIndices({size}, element, [&](const Scalars &s, ValueRange at) -> Value {
      return arith::IndexCastOp::create(s.b, s.loc, element, at[0]);
    });
  SmallVector<int32_t> numbers = llvm::to_vector(llvm::seq<int32_t>(0, *known));
  return l.constantTensor(
      DenseElementsAttr::get(RankedTensorType::get({*known}, element), ArrayRef(numbers)));
}

// The best value, then the least (or greatest) index that has it: two reductions of one result
// each, which every emitter has on vectors. A NaN wins over all numbers, as in NumPy.
static LogicalResult lowerArgReduce(graph::ArgReduceOp op, Lowering &l) {
  Tensor input = l.get(op.getInput());
  int64_t rank = input.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  if (rank == 0)
    return l.unsupported(op) << "a scalar input";
  bool last = op.getSelectLast();
  input.splat = {};
  OpFoldResult extent = input.sizes[axis];
  Sizes sizes = input.sizes;
  sizes.erase(sizes.begin() + axis);
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  std::optional<int64_t> known = getConstantIntValue(extent);
  if (known == 0 && !op.getMayBeEmpty())
    return l.unsupported(op) << "an empty axis";
  if (known && *known >= most)
    return l.unsupported(op) << "an axis of " << *known << " elements";
  if (!known) {
    Scalars s = l.scalars();
    Value number = l.value(extent), zero = l.value(l.size(0));
    s.check(s.cmp(arith::CmpIPredicate::slt, number, l.value(l.size(most))), LATHE_CODE_SIZE,
            "an axis of size %0 has too many elements", {number});
    if (!op.getMayBeEmpty())
      s.check(s.orI(s.cmp(arith::CmpIPredicate::sgt, number, zero),
                    s.cmp(arith::CmpIPredicate::eq, l.value(l.product(sizes)), zero)),
              LATHE_CODE_INDEX, "an axis of size %0 has no element with an index", {number});
  }
  if (input.element.isInteger(1))
    input = l.convert(input, IntegerType::get(l.context, 8, IntegerType::Unsigned));
  Tensor best = *reduceKind(l, op.getSmallest() ? ReduceKind::min : ReduceKind::max, input, {axis});
  if (!isa<FloatType>(input.element))
    best.element = input.element;
  Type i32 = l.b.getI32Type(), i64 = l.b.getI64Type();
  int64_t none = last ? -1 : most;
  Tensor found = l.reduce(
      {input, {best, l.dropDims(rank, axis)}, {countUp(l, extent, i32), l.dimMap(rank, axis)}},
      {axis}, l.b.getI32IntegerAttr(none), [&](const Scalars &s, ValueRange x) {
        Value wins;
        if (isa<FloatType>(x[0].getType()))
          wins = s.orI(s.cmp(arith::CmpFPredicate::OEQ, x[0], x[1]),
                       s.cmp(arith::CmpFPredicate::UNO, x[0], x[0]));
        else
          wins = s.cmp(arith::CmpIPredicate::eq, x[0], x[1]);
        Value index = s.select(wins, x[2], s.constant(i32, double(none)));
        return last ? s.max(x[3], index) : s.min(x[3], index);
      });
  // Of an axis without elements, where these are allowed, it is 0.
  Tensor result = l.elementwise({found}, sizes, i64, [&](const Scalars &s, ValueRange x) {
    Value isNone = s.cmp(arith::CmpIPredicate::eq, x[0], s.constant(i32, double(none)));
    return s.convert(s.select(isNone, s.constant(i32, 0), x[0]), i32, i64);
  });
  if (op.getKeepDims())
    result = l.reshape(result, keepDims(l, input, axis));
  l.set(op.getResult(), result);
  return success();
}

void lathe::g2l::addReduction(LoweringTable &table) {
  table.add(lowerReduce);
  table.add(lowerArgReduce);
}
