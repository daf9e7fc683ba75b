// Convolutions that see one pixel at a time, as products.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/PointwiseConv.h"
#include "dialects/Graph/Constants.h"

using namespace mlir;
using namespace lathe::graph;

bool lathe::graph::isProduct(ConvOp op) {
  auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
  auto weight = dyn_cast<RankedTensorType>(op.getWeight().getType());
  auto result = dyn_cast<RankedTensorType>(op.getResult().getType());
  if (!input || !weight || !result || op.getChannelsLast() || op.getGroup() != 1 ||
      op.getAutoPad() != AutoPad::none || !isa<FloatType>(input.getElementType()))
    return false;
  auto areAll = [](ArrayRef<int64_t> sizes, int64_t size) {
    return llvm::all_of(sizes, [&](int64_t s) { return s == size; });
  };
  // Rows of pixels are as they should be, images become such rows.
  auto hasRows = [](RankedTensorType type) {
    return type.getRank() == 3 ||
           (isReshapeTarget(type) && !ShapedType::isDynamicShape(type.getShape().drop_front()));
  };
  return weight.hasStaticShape() && weight.getRank() == input.getRank() &&
         areAll(weight.getShape().drop_front(2), 1) && areAll(op.getStrides(), 1) &&
         areAll(op.getPads(), 0) && hasRows(input) && hasRows(result);
}

Value lathe::graph::makeProduct(OpBuilder &builder, ConvOp op) {
  Location loc = op.getLoc();
  auto input = cast<RankedTensorType>(op.getInput().getType());
  auto result = cast<RankedTensorType>(op.getResult().getType());
  Type element = input.getElementType();
  int64_t pixels = input.getDimSize(2);
  for (int64_t size : input.getShape().drop_front(3))
    pixels *= size;
  int64_t batch = input.getDimSize(0), channels = input.getDimSize(1),
          filters = result.getDimSize(1);
  auto getType = [&](ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, element); };

  Value weight = makeReshape(builder, loc, op.getWeight(), getType({filters, channels}));
  Value image = makeReshape(builder, loc, op.getInput(), getType({batch, channels, pixels}));
  RankedTensorType flat = getType({batch, filters, pixels});
  Value value = MatMulOp::create(builder, loc, flat, weight, image).getResult();
  if (op.getBias()) {
    Value bias = makeReshape(builder, loc, op.getBias(), getType({filters, 1}));
    value = BinaryOp::create(builder, loc, flat, BinaryKind::add, value, bias).getResult();
  }
  return makeReshape(builder, loc, value, result);
}
