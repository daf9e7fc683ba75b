// Lowering of quantization.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/NarrowTypes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

namespace {
/// A tensor and what holds for its elements, as operands of one nest of loops.
struct Quantized {
  Tensor input;
  /// The scale, and the zero point where there is one.
  SmallVector<Operand> parameters;
  /// Of blocks whose last may be cut off, parameters are looked up; they have no maps.
  int64_t axis = 0, blockSize = 0;

  SmallVector<Operand> operands() const {
    SmallVector<Operand> all{input};
    if (!blockSize)
      llvm::append_range(all, parameters);
    return all;
  }
  Value scale(const Scalars &s, ValueRange x, Type type) const { return get(s, x, 0, type); }
  /// Null where there is none.
  Value zeroPoint(const Scalars &s, ValueRange x, Type type) const {
    return parameters.size() > 1 ? get(s, x, 1, type) : Value();
  }

private:
  Value get(const Scalars &s, ValueRange x, unsigned i, Type type) const {
    const Tensor &parameter = parameters[i].tensor;
    Value stored;
    if (blockSize) {
      SmallVector<Value> place;
      for (int64_t dim = 0; dim < input.rank(); ++dim)
        place.push_back(linalg::IndexOp::create(s.b, s.loc, dim));
      place[axis] = arith::DivUIOp::create(s.b, s.loc, place[axis], s.index(blockSize));
      stored = s.extract(parameter.value, place);
    } else {
      stored = x[1 + i];
    }
    return s.convert(s.load(stored, parameter.element), parameter.element, type);
  }
};
} // namespace

// One number for all elements, or one for each index of the axis: of vectors of unknown size the
// run tells.
static void spreadAlongAxis(Lowering &l, Operand &parameter, const Tensor &input, int64_t axis) {
  Tensor &given = parameter.tensor;
  int64_t rank = input.rank();
  OpFoldResult count = given.rank() ? given.sizes[0] : l.size(1);
  if (isConstantIntValue(count, 1) || axis < 0 || axis >= rank) {
    l.requireEqual(count, l.size(1), "%0 scales along an axis that is not there");
    SmallVector<AffineExpr> first(given.rank(), l.b.getAffineConstantExpr(0));
    parameter.map = AffineMap::get(rank, 0, first, l.context);
    return;
  }
  if (getConstantIntValue(count))
    l.requireEqual(count, input.sizes[axis], "%0 scales for an axis of size %1");
  else
    given = l.broadcast(given, {input.sizes[axis]});
  parameter.map = l.dimMap(rank, axis);
}

template <typename Op> static Quantized getQuantized(Op op, Lowering &l) {
  Quantized q{l.get(op.getInput()), {l.get(op.getScale())}};
  if (op.getZeroPoint())
    q.parameters.push_back(l.get(op.getZeroPoint()));
  const Sizes scales = q.parameters.front().tensor.sizes, sizes = q.input.sizes;
  int64_t rank = q.input.rank(), axis = op.getAxis(), blockSize = op.getBlockSize();
  axis += axis < 0 ? rank : 0;
  if (blockSize == 0) {
    if (op.getZeroPoint())
      l.requireEqual(l.product(scales), l.product(q.parameters[1].tensor.sizes),
                     "there are %0 scales, but %1 zero points");
    for (Operand &parameter : q.parameters)
      spreadAlongAxis(l, parameter, q.input, axis);
    return q;
  }
  for (int64_t i = 0; i < rank; ++i) {
    if (i != axis)
      l.requireEqual(scales[i], sizes[i], "%0 scales for an axis of size %1");
    if (op.getZeroPoint())
      l.requireEqual(scales[i], q.parameters[1].tensor.sizes[i],
                     "there are %0 scales, but %1 zero points");
  }
  OpFoldResult block = l.size(blockSize);
  if (l.expr(l.mul(scales[axis], block)) != l.expr(sizes[axis])) {
    l.requireEqual(scales[axis], l.ceilDiv(sizes[axis], block),
                   "%0 scales along an axis of %1 blocks");
    q.axis = axis;
    q.blockSize = blockSize;
    return q;
  }
  Sizes split = sizes;
  split[axis] = scales[axis];
  split.insert(split.begin() + axis + 1, block);
  q.input = l.reshape(q.input, split);
  for (Operand &parameter : q.parameters)
    parameter.map = l.dropDims(rank + 1, axis + 1);
  return q;
}

static LogicalResult lowerQuantize(graph::QuantizeOp op, Lowering &l) {
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  auto integer = dyn_cast<IntegerType>(element);
  auto narrow = dyn_cast<FloatType>(element);
  if (integer ? integer.getWidth() > 16 : narrow.getWidth() > 8)
    return l.unsupported(op) << "a result of element type " << element;
  Quantized q = getQuantized(op, l);
  Type given = q.input.element;
  double lowest = 0, highest = 0;
  if (integer) {
    unsigned width = integer.getWidth();
    bool isUnsigned = integer.isUnsigned();
    lowest = isUnsigned ? 0 : -double(1 << (width - 1));
    highest = isUnsigned ? double((1 << width) - 1) : double((1 << (width - 1)) - 1);
  }
  Type type = given.isF64() ? given : Type(l.b.getF32Type());
  Tensor result = l.elementwise(
      q.operands(), q.input.sizes, element,
      [&](const Scalars &s, ValueRange x) -> Value {
        Value value = s.convert(s.load(x[0], given), given, type);
        value = s.divf(value, q.scale(s, x, type));
        // The quotient has the precision of its operands.
        if (given.getIntOrFloatBitWidth() == 16)
          value = s.load(s.store(value, given), given);
        Value zero = q.zeroPoint(s, x, type);
        if (narrow) {
          if (zero)
            value = s.add(value, zero);
          return encodeFloat(s, value, narrow, op.getSaturate());
        }
        value = math::RoundEvenOp::create(s.b, s.loc, value);
        if (zero)
          value = s.add(value, zero);
        // These forms of max and min turn NaN into a bound.
        value = arith::MaxNumFOp::create(s.b, s.loc, value, s.constant(type, lowest));
        value = arith::MinNumFOp::create(s.b, s.loc, value, s.constant(type, highest));
        Value wide = arith::FPToSIOp::create(s.b, s.loc, s.b.getI32Type(), value);
        return arith::TruncIOp::create(s.b, s.loc, getStorageType(element), wide);
      },
      /*raw=*/true);
  l.set(op.getResult(), l.reshape(result, l.get(op.getInput()).sizes));
  return success();
}

static LogicalResult lowerDequantize(graph::DequantizeOp op, Lowering &l) {
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  Quantized q = getQuantized(op, l);
  Type given = q.input.element, compute = getComputeType(element);
  bool isInteger = isa<IntegerType>(given);
  // Differences of integers are exact.
  Type wide = isInteger ? Type(l.b.getI32Type()) : compute;
  Tensor result = l.elementwise(
      q.operands(), q.input.sizes, element,
      [&](const Scalars &s, ValueRange x) -> Value {
        Value value = s.convert(s.load(x[0], given), given, wide);
        if (Value zero = q.zeroPoint(s, x, wide))
          value = s.sub(value, zero);
        if (isInteger)
          value = arith::SIToFPOp::create(s.b, s.loc, compute, value);
        return s.store(s.mul(value, q.scale(s, x, compute)), element);
      },
      /*raw=*/true);
  l.set(op.getResult(), l.reshape(result, l.get(op.getInput()).sizes));
  return success();
}

void lathe::g2l::addQuantization(LoweringTable &table) {
  table.add(lowerQuantize);
  table.add(lowerDequantize);
}
