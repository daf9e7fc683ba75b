// Quantization, and arithmetic on quantized numbers.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/QuantizedLinear.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;

/// A scale or zero point [1] means the same as a scalar.
static Value scalarIfSingle(Node &node, Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : nullptr;
  if (type && type.getRank() == 1 && type.getDimSize(0) == 1)
    return node.squeeze(value, {0});
  return value;
}

static LogicalResult importQuantizeLinear(Node &node) {
  Value x = node.input(0), scale = scalarIfSingle(node, node.input(1));
  Value zero = scalarIfSingle(node, node.input(2));
  if (!scale)
    return failure();
  int64_t axis = node.intAttribute("axis", 1), block = node.intAttribute("block_size", 0);
  bool saturate = node.flag("saturate", true);
  Type u8 = node.builder().getIntegerType(8, /*isSigned=*/false);
  Type target = zero ? Node::elementOf(zero) : u8;
  if (node.intAttribute("output_dtype", 0) != 0)
    target = node.typeAttribute("output_dtype", target);
  if (zero && Node::elementOf(zero) != target)
    node.error() << "the zero point of QuantizeLinear has element type " << Node::elementOf(zero)
                 << ", output_dtype is " << target;
  // The division is in the given precision, by default that of the scale; a scale that is a whole
  // number or a power of two has none.
  Type precision = Node::elementOf(scale);
  for (Type other : {Node::elementOf(x), Type(node.builder().getF32Type())})
    if (!isa<FloatType>(precision) || precision.getIntOrFloatBitWidth() <= 8)
      precision = other;
  if (node.intAttribute("precision", 0) != 0)
    precision = node.typeAttribute("precision", precision);
  if (node.hasFailed())
    return failure();
  x = node.cast(x, precision);
  scale = node.cast(scale, precision);
  if (!x || !scale)
    return failure();
  auto op =
      node.create<graph::QuantizeOp>(node.tensorOf(target), x, scale, zero, axis, block, saturate);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importDequantizeLinear(Node &node) {
  Value x = node.input(0), scale = scalarIfSingle(node, node.input(1));
  Value zero = scalarIfSingle(node, node.input(2));
  if (!scale)
    return failure();
  int64_t axis = node.intAttribute("axis", 1), block = node.intAttribute("block_size", 0);
  Type target = Node::elementOf(scale);
  if (node.intAttribute("output_dtype", 0) != 0)
    target = node.typeAttribute("output_dtype", target);
  if (zero && Node::elementOf(zero) != Node::elementOf(x))
    node.error() << "the zero point of DequantizeLinear has element type " << Node::elementOf(zero)
                 << ", its input has " << Node::elementOf(x);
  if (node.hasFailed())
    return failure();
  auto op = node.create<graph::DequantizeOp>(node.tensorOf(target), x, scale, zero, axis, block);
  return op ? node.result(op.getResult()) : failure();
}

/// The scale and the zero point come from the data: its range, made to include 0, over 0..255.
DynamicQuantization lathe::import::quantizeDynamically(Node &node, Value x) {
  Type u8 = node.builder().getIntegerType(8, /*isSigned=*/false);
  Value largest = node.reduce(ReduceKind::max, x, std::nullopt, false);
  Value smallest = node.reduce(ReduceKind::min, x, std::nullopt, false);
  largest = node.binary(BinaryKind::max, largest, 0);
  smallest = node.binary(BinaryKind::min, smallest, 0);
  Value scale = node.binary(BinaryKind::div, node.binary(BinaryKind::sub, largest, smallest), 255);
  Value origin = node.unary(graph::UnaryKind::neg, node.binary(BinaryKind::div, smallest, scale));
  // Rounded to the nearest even number, held in 0..255. Data that is all 0 would have a scale of 0;
  // as in other implementations it is 1, and the zero point is 0, as is what is quantized.
  Value isZero = node.binary(BinaryKind::equal, scale, 0);
  Value rounded = node.unary(graph::UnaryKind::round, origin);
  rounded = node.binary(BinaryKind::min, node.binary(BinaryKind::max, rounded, 0), 255);
  Type f32 = node.builder().getF32Type();
  Value zero = node.cast(node.select(isZero, node.scalar(0, f32), rounded), u8);
  Value divisor = node.select(isZero, node.scalar(1, f32), scale);
  if (!zero || !divisor)
    return {};
  auto op = node.create<graph::QuantizeOp>(node.tensorOf(u8), x, divisor, zero, 0);
  return {op ? Value(op.getResult()) : Value(), divisor, zero};
}

static LogicalResult importDynamicQuantize(Node &node) {
  DynamicQuantization result = quantizeDynamically(node, node.input(0));
  node.setResult(1, result.scale);
  node.setResult(2, result.zero);
  return node.result(result.quantized);
}

Value lathe::import::besideAxis(Node &node, Value parameter, Value x, int64_t axis) {
  parameter = scalarIfSingle(node, parameter);
  std::optional<int64_t> rank = Node::rankOf(x);
  if (!rank || Node::rankOf(parameter) != 1)
    return parameter;
  axis += axis < 0 ? *rank : 0;
  // Without the axis there is one number at most.
  return axis < 0 ? node.scalarOf(parameter)
                  : node.unsqueeze(parameter, llvm::to_vector(llvm::seq<int64_t>(1, *rank - axis)));
}

Value lathe::import::centred(Node &node, Value x, Value zero, int64_t axis) {
  if (!x)
    return {};
  OpBuilder &builder = node.builder();
  Type type =
      isa<FloatType>(Node::elementOf(x)) ? Type(builder.getF32Type()) : builder.getI32Type();
  Value wide = node.cast(x, type);
  if (!zero)
    return wide;
  zero = node.cast(besideAxis(node, zero, x, axis), type);
  return node.requireShapeOf(node.binary(BinaryKind::sub, wide, zero), wide);
}

static LogicalResult importMatMulInteger(Node &node) {
  Value a = centred(node, node.input(0), node.input(2), -2);
  Value b = centred(node, node.input(1), node.input(3), -1);
  return node.result(node.matmul(a, b));
}

/// Inputs: a, its scale and zero point, b, its scale and zero point, y's scale and zero point.
static LogicalResult importQLinearMatMul(Node &node) {
  Value a = node.input(0), b = node.input(3);
  Type f32 = node.builder().getF32Type();
  Value scaleA = node.cast(besideAxis(node, node.input(1), a, -2), f32);
  Value scaleB = node.cast(besideAxis(node, node.input(4), b, -1), f32);
  Value scaleY = node.cast(node.scalarOf(node.input(6)), f32), zeroY = node.scalarOf(node.input(7));
  Value scale = node.binary(BinaryKind::div, node.binary(BinaryKind::mul, scaleA, scaleB), scaleY);
  Value left = centred(node, a, node.input(2), -2), right = centred(node, b, node.input(5), -1);
  if (!left || !right)
    return failure();
  // Small floats may meet integers.
  if (Node::elementOf(left) != Node::elementOf(right)) {
    left = node.cast(left, f32);
    right = node.cast(right, f32);
  }
  Value product = node.cast(node.matmul(left, right), f32);
  Value scaled = node.requireShapeOf(node.binary(BinaryKind::mul, product, scale), product);
  if (!scaled || !zeroY)
    return failure();
  auto op =
      node.create<graph::QuantizeOp>(node.likeOf(zeroY), scaled, node.scalar(1, f32), zeroY, 1);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::quantizationOperators() {
  static constexpr uint32_t kQuantized = kSigned | kUnsigned | kFloat8 | kNarrow;
  static const Operator operators[] = {
      {"QuantizeLinear",
       {10, 13, 19, 21, 23, 24, 25, 28},
       2,
       3,
       importQuantizeLinear,
       kFloats | kSigned},
      {"DequantizeLinear",
       {10, 13, 19, 21, 23, 24, 25, 28},
       2,
       3,
       importDequantizeLinear,
       kQuantized},
      {"QuantizeLinear", {1}, 2, 3, importQuantizeLinear, kFloats, "", "com.microsoft"},
      {"DequantizeLinear", {1}, 2, 3, importDequantizeLinear, kQuantized, "", "com.microsoft"},
      {"DynamicQuantizeLinear", {11}, 1, 1, importDynamicQuantize, kF32},
      {"MatMulInteger", {10}, 2, 4, importMatMulInteger, kSigned | kUnsigned},
      {"QLinearMatMul", {10, 21}, 8, 8, importQLinearMatMul, kQuantized},
  };
  return operators;
}
