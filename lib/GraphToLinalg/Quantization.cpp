// Lowering of quantization.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/NarrowTypes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

namespace {
/// The tensor, and how to find the scale (or the zero point) of an element.
struct Blocks {
  Tensor input;
  AffineMap map;
  /// Otherwise the last block of this size along the axis may be cut off, and scales are looked up.
  int64_t axis = 0, blockSize = 0;

  void add(SmallVectorImpl<Operand> &operands, const Tensor &scale) const {
    if (map)
      operands.emplace_back(scale, map);
  }
  /// What holds for the element at hand: an operand of the body or an element of `scale`.
  Value get(const Scalars &s, const Tensor &scale, ValueRange operands, unsigned i) const {
    if (map)
      return s.load(operands[i], scale.element);
    SmallVector<Value> place;
    for (int64_t dim = 0; dim < input.rank(); ++dim)
      place.push_back(linalg::IndexOp::create(s.b, s.loc, dim));
    place[axis] = arith::DivUIOp::create(s.b, s.loc, place[axis], s.index(blockSize));
    return s.load(s.extract(scale.value, place), scale.element);
  }
};
} // namespace

// Scales are one number, one per index of `axis`, or one per block of `blockSize` along it.
static FailureOr<Blocks> findBlocks(Operation *op, Lowering &l, Tensor input, const Tensor &scale,
                                    int64_t axis, int64_t blockSize) {
  int64_t rank = input.rank();
  axis += axis < 0 ? rank : 0;
  if (blockSize == 0) {
    bool one = scale.rank() == 0 || (scale.rank() == 1 && isConstantIntValue(scale.sizes[0], 1));
    if (one)
      return Blocks{
          input, AffineMap::get(rank, 0,
                                SmallVector<AffineExpr>(scale.rank(), l.b.getAffineConstantExpr(0)),
                                l.context)};
    if (scale.rank() != 1 || axis < 0 || axis >= rank)
      return l.unsupported(op) << "scales of rank " << scale.rank() << " along axis " << axis;
    l.requireEqual(scale.sizes[0], input.sizes[axis], "%0 scales for an axis of size %1");
    return Blocks{input, l.dimMap(rank, axis)};
  }
  if (scale.rank() != rank || axis < 0 || axis >= rank)
    return l.unsupported(op) << "blocked scales of rank " << scale.rank();
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      l.requireEqual(scale.sizes[i], input.sizes[i], "%0 scales for an axis of size %1");
  OpFoldResult block = l.size(blockSize);
  if (l.expr(l.mul(scale.sizes[axis], block)) != l.expr(input.sizes[axis])) {
    l.requireEqual(scale.sizes[axis], l.ceilDiv(input.sizes[axis], block),
                   "%0 scales along an axis of %1 blocks");
    return Blocks{input, {}, axis, blockSize};
  }
  Sizes sizes = input.sizes;
  sizes[axis] = scale.sizes[axis];
  sizes.insert(sizes.begin() + axis + 1, block);
  return Blocks{l.reshape(input, sizes), l.dropDims(rank + 1, axis + 1)};
}

static LogicalResult lowerQuantize(graph::QuantizeOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), scale = l.get(op.getScale());
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  auto integer = dyn_cast<IntegerType>(element);
  auto narrow = dyn_cast<FloatType>(element);
  if (integer ? integer.getWidth() > 16 : narrow.getWidth() > 8)
    return l.unsupported(op) << "a result of element type " << element;
  FailureOr<Blocks> blocks = findBlocks(op, l, input, scale, op.getAxis(), op.getBlockSize());
  if (failed(blocks))
    return failure();
  SmallVector<Operand> operands{blocks->input};
  blocks->add(operands, scale);
  Tensor zeroPoint;
  if (op.getZeroPoint())
    blocks->add(operands, zeroPoint = l.get(op.getZeroPoint()));
  double lowest = 0, highest = 0;
  if (integer) {
    unsigned width = integer.getWidth();
    bool isUnsigned = integer.isUnsigned();
    lowest = isUnsigned ? 0 : -double(1 << (width - 1));
    highest = isUnsigned ? double((1 << width) - 1) : double((1 << (width - 1)) - 1);
  }
  Type type = input.element.isF64() ? input.element : Type(l.b.getF32Type());
  Tensor result = l.elementwise(
      operands, blocks->input.sizes, element,
      [&](const Scalars &s, ValueRange x) -> Value {
        Value value = s.convert(s.load(x[0], input.element), input.element, type);
        value = s.divf(value, s.convert(blocks->get(s, scale, x, 1), scale.element, type));
        // The quotient has the precision of its operands.
        if (input.element.getIntOrFloatBitWidth() == 16)
          value = s.load(s.store(value, input.element), input.element);
        Value zero;
        if (op.getZeroPoint())
          zero = s.convert(blocks->get(s, zeroPoint, x, 2), zeroPoint.element, type);
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
  l.set(op.getResult(), l.reshape(result, input.sizes));
  return success();
}

static LogicalResult lowerDequantize(graph::DequantizeOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), scale = l.get(op.getScale());
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  FailureOr<Blocks> blocks = findBlocks(op, l, input, scale, op.getAxis(), op.getBlockSize());
  if (failed(blocks))
    return failure();
  SmallVector<Operand> operands{blocks->input};
  blocks->add(operands, scale);
  Tensor zeroPoint;
  if (op.getZeroPoint())
    blocks->add(operands, zeroPoint = l.get(op.getZeroPoint()));
  Type compute = getComputeType(element);
  bool isInteger = isa<IntegerType>(input.element);
  // Differences of integers are exact.
  Type wide = isInteger ? Type(l.b.getI32Type()) : compute;
  Tensor result = l.elementwise(
      operands, blocks->input.sizes, element,
      [&](const Scalars &s, ValueRange x) -> Value {
        Value value = s.convert(s.load(x[0], input.element), input.element, wide);
        if (op.getZeroPoint())
          value = s.sub(value, s.convert(blocks->get(s, zeroPoint, x, 2), zeroPoint.element, wide));
        if (isInteger)
          value = arith::SIToFPOp::create(s.b, s.loc, compute, value);
        value = s.mul(value, s.convert(blocks->get(s, scale, x, 1), scale.element, compute));
        return s.store(value, element);
      },
      /*raw=*/true);
  l.set(op.getResult(), l.reshape(result, input.sizes));
  return success();
}

void lathe::g2l::addQuantization(LoweringTable &table) {
  table.add(lowerQuantize);
  table.add(lowerDequantize);
}
