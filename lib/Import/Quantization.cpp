// Quantization, and arithmetic on quantized numbers.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/QuantizedLinear.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;

/// `axis` matters for a scale per channel only; for a scalar it may be out of range.
static int64_t quantizationAxis(Node &node, Value x, Value scale) {
  int64_t axis = node.intAttribute("axis", 1);
  auto type = dyn_cast<RankedTensorType>(scale.getType());
  bool single = type && type.getRank() <= 1 && type.hasStaticShape() && type.getNumElements() == 1;
  std::optional<int64_t> rank = Node::rankOf(x);
  if (single || !rank)
    return rank && (axis < -*rank || axis >= *rank) ? 0 : (rank && axis < 0 ? axis + *rank : axis);
  return node.axis(axis, rank);
}

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
  int64_t axis = quantizationAxis(node, x, scale), block = node.intAttribute("block_size", 0);
  bool saturate = node.flag("saturate", true);
  Type u8 = node.builder().getIntegerType(8, /*isSigned=*/false);
  Type target = zero ? Node::elementOf(zero) : u8;
  if (node.intAttribute("output_dtype", 0) != 0)
    target = node.typeAttribute("output_dtype", target);
  if (zero && Node::elementOf(zero) != target)
    node.error() << "the zero point of QuantizeLinear has element type " << Node::elementOf(zero)
                 << ", output_dtype is " << target;
  // The division is in the given precision, by default that of the scale.
  Type precision = Node::elementOf(scale);
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
  int64_t axis = quantizationAxis(node, x, scale), block = node.intAttribute("block_size", 0);
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

/// x - zero point as i32, of float8 as f32; a zero point per row of the first operand stands along
/// the last but one dimension.
static Value centred(Node &node, Value x, Value zeroPoint, bool perRow) {
  OpBuilder &builder = node.builder();
  Type type =
      isa<FloatType>(Node::elementOf(x)) ? Type(builder.getF32Type()) : builder.getI32Type();
  Value wide = node.cast(x, type);
  if (!zeroPoint)
    return wide;
  zeroPoint = scalarIfSingle(node, zeroPoint);
  Value zero = node.cast(zeroPoint, type);
  if (perRow && Node::rankOf(zero) == 1)
    zero = node.unsqueeze(zero, {1});
  return node.binary(BinaryKind::sub, wide, zero);
}

static LogicalResult importMatMulInteger(Node &node) {
  Value a = centred(node, node.input(0), node.input(2), true);
  Value b = centred(node, node.input(1), node.input(3), false);
  return node.result(node.matmul(a, b));
}

/// Inputs: a, its scale and zero point, b, its scale and zero point, y's scale and zero point.
static LogicalResult importQLinearMatMul(Node &node) {
  Value a = centred(node, node.input(0), node.input(2), true);
  Value b = centred(node, node.input(3), node.input(5), false);
  Type f32 = node.builder().getF32Type();
  Value scaleA = node.cast(scalarIfSingle(node, node.input(1)), f32);
  if (Node::rankOf(scaleA) == 1)
    scaleA = node.unsqueeze(scaleA, {1});
  Value scaleB = node.cast(scalarIfSingle(node, node.input(4)), f32);
  Value scaleY = node.cast(scalarIfSingle(node, node.input(6)), f32);
  Value zeroY = scalarIfSingle(node, node.input(7));
  Value scale = node.binary(BinaryKind::div, node.binary(BinaryKind::mul, scaleA, scaleB), scaleY);
  Value product = node.cast(node.matmul(a, b), f32);
  Value scaled = node.binary(BinaryKind::mul, product, scale);
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
