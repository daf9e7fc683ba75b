// Lowering of quantization.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

namespace {
/// The tensor in a form in which every scale is addressed by a map.
struct Blocks {
  Tensor input;
  AffineMap map;
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
  OpFoldResult block = l.size(blockSize);
  l.requireEqual(l.mul(scale.sizes[axis], block), input.sizes[axis],
                 "blocks that cover %0 elements for an axis of size %1");
  Sizes sizes = input.sizes;
  sizes[axis] = scale.sizes[axis];
  sizes.insert(sizes.begin() + axis + 1, block);
  return Blocks{l.reshape(input, sizes), l.dropDims(rank + 1, axis + 1)};
}

static LogicalResult lowerQuantize(graph::QuantizeOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), scale = l.get(op.getScale());
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer || integer.getWidth() > 16)
    return l.unsupported(op) << "a result of element type " << element;
  FailureOr<Blocks> blocks = findBlocks(op, l, input, scale, op.getAxis(), op.getBlockSize());
  if (failed(blocks))
    return failure();
  SmallVector<Operand> operands{blocks->input, {scale, blocks->map}};
  Tensor zeroPoint;
  if (op.getZeroPoint()) {
    zeroPoint = l.get(op.getZeroPoint());
    operands.emplace_back(zeroPoint, blocks->map);
  }
  unsigned width = integer.getWidth();
  bool isUnsigned = integer.isUnsigned();
  double lowest = isUnsigned ? 0 : -double(1 << (width - 1));
  double highest = isUnsigned ? double((1 << width) - 1) : double((1 << (width - 1)) - 1);
  Type type = input.element.isF64() ? input.element : Type(l.b.getF32Type());
  Tensor result = l.elementwise(
      operands, blocks->input.sizes, element, [&](const Scalars &s, ValueRange x) -> Value {
        Value value =
            s.divf(s.convert(x[0], input.element, type), s.convert(x[1], scale.element, type));
        value = math::RoundEvenOp::create(s.b, s.loc, value);
        if (op.getZeroPoint())
          value = s.add(value, s.convert(x[2], zeroPoint.element, type));
        // These forms of max and min turn NaN into a bound.
        value = arith::MaxNumFOp::create(s.b, s.loc, value, s.constant(type, lowest));
        value = arith::MinNumFOp::create(s.b, s.loc, value, s.constant(type, highest));
        Value wide = arith::FPToSIOp::create(s.b, s.loc, s.b.getI32Type(), value);
        return arith::TruncIOp::create(s.b, s.loc, getComputeType(element), wide);
      });
  l.set(op.getResult(), l.reshape(result, input.sizes));
  return success();
}

static LogicalResult lowerDequantize(graph::DequantizeOp op, Lowering &l) {
  Tensor input = l.get(op.getInput()), scale = l.get(op.getScale());
  Type element = cast<RankedTensorType>(op.getResult().getType()).getElementType();
  if (!isa<IntegerType>(input.element))
    return l.unsupported(op) << "element type " << input.element;
  FailureOr<Blocks> blocks = findBlocks(op, l, input, scale, op.getAxis(), op.getBlockSize());
  if (failed(blocks))
    return failure();
  SmallVector<Operand> operands{blocks->input, {scale, blocks->map}};
  Tensor zeroPoint;
  if (op.getZeroPoint()) {
    zeroPoint = l.get(op.getZeroPoint());
    operands.emplace_back(zeroPoint, blocks->map);
  }
  Type compute = getComputeType(element), wide = l.b.getI32Type();
  Tensor result = l.elementwise(
      operands, blocks->input.sizes, element, [&](const Scalars &s, ValueRange x) -> Value {
        Value value = s.convert(x[0], input.element, wide);
        if (op.getZeroPoint())
          value = s.sub(value, s.convert(x[2], zeroPoint.element, wide));
        Value number = arith::SIToFPOp::create(s.b, s.loc, compute, value);
        return s.mul(number, s.convert(x[1], scale.element, compute));
      });
  l.set(op.getResult(), l.reshape(result, input.sizes));
  return success();
}

void lathe::g2l::addQuantization(LoweringTable &table) {
  table.add(lowerQuantize);
  table.add(lowerDequantize);
}
