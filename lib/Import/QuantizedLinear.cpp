// com.microsoft operators on quantized tensors: dequantize, compute, quantize.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/QuantizedLinear.h"
#include "lib/Import/Operators.h"
#include "lib/Import/Windows.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

/// The number behind operands i (tensor), i + 1 (scale) and i + 2 (zero point, may be omitted).
static Value dequantize(Node &node, unsigned i) {
  Value x = node.require(i), scale = node.scalarOf(node.require(i + 1));
  Value zero = node.scalarOf(node.input(i + 2));
  if (!x || !scale)
    return {};
  if (zero && Node::elementOf(zero) != Node::elementOf(x)) {
    node.error() << "a zero point of " << node.opType() << " has element type "
                 << Node::elementOf(zero) << ", its tensor has " << Node::elementOf(x);
    return {};
  }
  auto op = node.create<graph::DequantizeOp>(node.likeOf(scale), x, scale, zero, 0);
  return op ? Value(op.getResult()) : Value();
}

/// `x` with the scale of operand i and the zero point of operand i + 1, else of type `element`.
static LogicalResult quantize(Node &node, Value x, unsigned i, Type element) {
  Value scale = node.scalarOf(node.require(i)), zero = node.scalarOf(node.input(i + 1));
  if (!x || !scale)
    return failure();
  Type type = zero ? node.likeOf(zero) : node.tensorOf(element);
  auto op = node.create<graph::QuantizeOp>(type, x, scale, zero, 0);
  return op ? node.result(op.getResult()) : failure();
}

namespace {

/// The scale and the zero point of operands i and i + 1, in f32; a zero point that is left out is
/// 0.
struct Scale {
  Value scale, zero;

  Scale(Node &node, unsigned i) {
    Type f32 = node.builder().getF32Type();
    scale = node.cast(node.scalarOf(node.require(i)), f32);
    zero = node.hasInput(i + 1) ? node.cast(node.scalarOf(node.input(i + 1)), f32)
                                : node.scalar(0, f32);
  }
};

/// The numbers of operand i in f32, with the scale and the zero point that follow it.
struct Term : Scale {
  Value numbers;

  Term(Node &node, unsigned i) : Scale(node, i + 1) {
    numbers = node.cast(node.require(i), node.builder().getF32Type());
  }
};

} // namespace

/// Rounds what has the zero point of the result in it already, which decides where ties go, as ONNX
/// Runtime does it.
static LogicalResult roundSum(Node &node, Value sum) {
  if (!sum)
    return failure();
  auto op = node.create<graph::QuantizeOp>(node.tensorOf(Node::elementOf(node.input(0))), sum,
                                           node.scalar(1, Node::elementOf(sum)), Value(), 0);
  return op ? node.result(op.getResult()) : failure();
}

/// Zero points that are given have the type of the numbers.
static LogicalResult checkZeroPoints(Node &node, ArrayRef<unsigned> indices) {
  Type element = Node::elementOf(node.input(0));
  for (unsigned i : indices)
    if (node.hasInput(i) && Node::elementOf(node.input(i)) != element)
      return node.error() << "a zero point of " << node.opType() << " has element type "
                          << Node::elementOf(node.input(i)) << ", its tensor has " << element;
  return success();
}

/// a * (scale of a / scale of y) + (b * (scale of b / scale of y) + what the zero points add up
/// to).
static Value addTerms(Node &node, const Term &a, const Term &b, const Scale &y) {
  auto binary = [&](BinaryKind kind, Value x, Value y) { return node.binary(kind, x, y); };
  Value factorA = binary(BinaryKind::div, a.scale, y.scale);
  Value factorB = binary(BinaryKind::div, b.scale, y.scale);
  Value offset = binary(BinaryKind::sub, y.zero,
                        binary(BinaryKind::add, binary(BinaryKind::mul, factorA, a.zero),
                               binary(BinaryKind::mul, factorB, b.zero)));
  Value sum = binary(BinaryKind::add, binary(BinaryKind::mul, b.numbers, factorB), offset);
  return binary(BinaryKind::add, binary(BinaryKind::mul, a.numbers, factorA), sum);
}

/// The product of the differences times (scale of a * scale of b / scale of y), and the zero point.
static Value multiplyTerms(Node &node, const Term &a, const Term &b, const Scale &y) {
  auto binary = [&](BinaryKind kind, Value x, Value y) { return node.binary(kind, x, y); };
  Value factor = binary(BinaryKind::div, binary(BinaryKind::mul, a.scale, b.scale), y.scale);
  Value product = binary(BinaryKind::mul, binary(BinaryKind::sub, a.numbers, a.zero),
                         binary(BinaryKind::sub, b.numbers, b.zero));
  return binary(BinaryKind::add, binary(BinaryKind::mul, product, factor), y.zero);
}

template <Value (*combine)(Node &, const Term &, const Term &, const Scale &)>
static LogicalResult importBinary(Node &node) {
  if (failed(checkZeroPoints(node, {2, 3, 5, 7})))
    return failure();
  Term a(node, 0), b(node, 3);
  Scale y(node, 6);
  return roundSum(node, combine(node, a, b, y));
}

static LogicalResult importSigmoid(Node &node) {
  Value y = node.unary(UnaryKind::sigmoid, dequantize(node, 0));
  return quantize(node, y, 3, Node::elementOf(node.input(0)));
}

static LogicalResult importLeakyRelu(Node &node) {
  Value x = dequantize(node, 0);
  Value scaled = node.binary(BinaryKind::mul, x, node.floatAttribute("alpha", 0.01f));
  if (!x)
    return failure();
  Value y = node.select(node.binary(BinaryKind::less, x, 0), scaled, x);
  return quantize(node, y, 3, Node::elementOf(node.input(0)));
}

/// The sum of the differences times scale of x / (scale of y * count) is rounded before the zero
/// point is added, as in ONNX Runtime.
static LogicalResult importGlobalAveragePool(Node &node) {
  if (failed(checkZeroPoints(node, {2, 4})))
    return failure();
  Value x = node.input(0);
  bool channelsLast = node.flag("channels_last");
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  int64_t first = channelsLast ? 1 : 2, end = channelsLast ? *rank - 1 : *rank;
  if (first >= end)
    return node.error() << "input 0 of QLinearGlobalAveragePool has rank " << *rank
                        << ", it takes 3 or more";
  Type f32 = node.builder().getF32Type();
  Value sum = node.reduce(graph::ReduceKind::sum, centred(node, x, node.scalarOf(node.input(2)), 0),
                          llvm::to_vector(llvm::seq(first, end)), /*keepDims=*/true);
  Value count = node.reduce(graph::ReduceKind::prod, node.shapeOf(x, first, end), std::nullopt,
                            /*keepDims=*/false);
  Value scale = node.cast(node.scalarOf(node.require(1)), f32);
  Value divisor = node.binary(BinaryKind::mul, node.cast(node.scalarOf(node.require(3)), f32),
                              node.cast(count, f32));
  Value scaled = node.binary(BinaryKind::mul, node.cast(sum, f32),
                             node.binary(BinaryKind::div, scale, divisor));
  if (!scaled)
    return failure();
  auto op = node.create<graph::QuantizeOp>(node.likeOf(x), scaled, node.scalar(1, f32),
                                           node.scalarOf(node.input(4)), 0);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importSoftmax(Node &node) {
  Value x = dequantize(node, 0);
  int64_t opset = node.intAttribute("opset", 13);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  int64_t axis = node.axis(node.intAttribute("axis", -1), rank);
  if (node.hasFailed())
    return failure();
  auto y =
      node.create<graph::SoftmaxOp>(node.likeOf(x), x, axis, opset < 13 ? *rank : axis + 1, false);
  return y ? quantize(node, y.getResult(), 3, Node::elementOf(node.input(0))) : failure();
}

/// Operands: scale and zero point of the result, then three for each part.
static LogicalResult importConcat(Node &node) {
  if (node.inputCount() < 5 || (node.inputCount() - 2) % 3 != 0)
    return node.error() << "QLinearConcat has " << node.inputCount()
                        << " inputs, it takes 2 and 3 for each part";
  SmallVector<Value> parts;
  for (unsigned i = 2; i < node.inputCount(); i += 3)
    parts.push_back(dequantize(node, i));
  int64_t axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(parts.front()));
  if (node.hasFailed())
    return failure();
  return quantize(node, node.concat(parts, axis), 0, Node::elementOf(node.input(2)));
}

Value lathe::import::integerProduct(Node &node, Value a, Value b, Value aScale, Value bScale,
                                    Value aZero, Value bZero) {
  if (!a || !b)
    return {};
  Value product =
      node.matmul(centred(node, a, node.scalarOf(aZero), 0), centred(node, b, bZero, -1));
  Value scale =
      node.binary(BinaryKind::mul, node.scalarOf(aScale), besideAxis(node, bScale, b, -1));
  if (!product || !scale)
    return {};
  product = node.cast(product, Node::elementOf(scale));
  return node.requireShapeOf(node.binary(BinaryKind::mul, product, scale), product);
}

/// Adds the operand `i` where there is one.
static LogicalResult resultWithBias(Node &node, Value y, unsigned i) {
  return node.result(node.hasInput(i) ? node.binary(BinaryKind::add, y, node.input(i)) : y);
}

/// a, b, the scales of both, their zero points, and a bias.
static LogicalResult importMatMulIntegerToFloat(Node &node) {
  return resultWithBias(node,
                        integerProduct(node, node.input(0), node.input(1), node.input(2),
                                       node.input(3), node.input(4), node.input(5)),
                        6);
}

/// a, b and y, each with its scale and its zero point, around a bias of integers. Without a scale
/// of y the result is one of floats.
static LogicalResult importQGemm(Node &node) {
  Value a = node.input(0), b = node.require(3), scale = node.input(7), zero = node.input(8);
  if (bool(scale) != bool(zero))
    return node.error() << "QGemm has one of a scale and a zero point of its result";
  for (Value operand : {a, b})
    if (std::optional<int64_t> rank = Node::rankOf(operand); rank && *rank != 2)
      return node.error() << "an operand of QGemm has rank " << *rank << ", it takes matrices";
  if (node.flag("transA"))
    a = node.transpose(a, {1, 0});
  if (node.flag("transB"))
    b = node.transpose(b, {1, 0});
  double alpha = node.floatAttribute("alpha", 1);
  if (!a || !b)
    return failure();
  Value product = node.matmul(centred(node, a, node.scalarOf(node.require(2)), 0),
                              centred(node, b, node.require(5), -1));
  if (node.hasInput(6))
    product = node.requireShapeOf(node.binary(BinaryKind::add, product, node.input(6)), product);
  Value factor = node.scalarOf(node.require(1));
  if (alpha != 1)
    factor = node.binary(BinaryKind::mul, factor, alpha);
  factor = node.binary(BinaryKind::mul, factor, besideAxis(node, node.require(4), b, -1));
  if (scale)
    factor = node.binary(BinaryKind::div, factor, node.scalarOf(scale));
  if (!product || !factor)
    return failure();
  product = node.cast(product, Node::elementOf(factor));
  Value y = node.requireShapeOf(node.binary(BinaryKind::mul, product, factor), product);
  if (!y || !zero)
    return node.result(y);
  zero = node.scalarOf(zero);
  if (!zero)
    return failure();
  auto op = node.create<graph::QuantizeOp>(node.likeOf(zero), y, node.scalar(1, Node::elementOf(y)),
                                           zero, 0);
  return op ? node.result(op.getResult()) : failure();
}

/// A condition, then x, y and z, each with its scale and its zero point.
static LogicalResult importWhere(Node &node) {
  Value x = dequantize(node, 1), y = dequantize(node, 4);
  return quantize(node, node.select(node.input(0), x, y), 7, Node::elementOf(node.input(1)));
}

/// a (as floats), b, its scale, its zero point, and a bias.
static LogicalResult importDynamicQuantizeMatMul(Node &node) {
  DynamicQuantization a = quantizeDynamically(node, node.input(0));
  return resultWithBias(node,
                        integerProduct(node, a.quantized, node.input(1), a.scale, node.input(2),
                                       a.zero, node.input(3)),
                        4);
}

/// The windows of `op`, which counts padding: the padding that ceil_mode adds counts as well,
/// unlike in AveragePool. More explicit padding makes these windows without it, and may make
/// another one.
static Value countAllPadding(Node &node, graph::PoolOp op) {
  Ints pads(op.getPads());
  size_t spatial = op.getKernel().size();
  for (size_t i = 0; i < spatial; ++i)
    pads[spatial + i] += op.getStrides()[i] - 1;
  auto all = node.create<graph::PoolOp>(
      node.likeOf(op.getInput()), Type(), op.getKind(), op.getInput(), op.getKernel(),
      op.getStrides(), pads, op.getDilations(), op.getAutoPad(), /*ceil_mode=*/false,
      /*count_include_pad=*/true, op.getP(), op.getColumnMajor(), op.getChannelsLast());
  if (!all)
    return {};
  Value result = all.getResult();
  for (size_t i = 0; i < spatial; ++i) {
    int64_t dim = i + (op.getChannelsLast() ? 1 : 2);
    result =
        node.slice(result, dim, node.constant(Ints{0}), node.shapeOf(op.getResult(), dim, dim + 1));
  }
  return result;
}

static LogicalResult importAveragePool(Node &node) {
  if (failed(checkZeroPoints(node, {2, 4})))
    return failure();
  Value x = dequantize(node, 0);
  graph::PoolOp op = buildPool(node, graph::PoolKind::average, x, node.flag("channels_last"));
  if (!op)
    return failure();
  bool isCeiled = op.getCeilMode() && op.getAutoPad() == graph::AutoPad::none;
  Value mean = isCeiled && op.getCountIncludePad() ? countAllPadding(node, op) : op.getResult();
  Scale y(node, 3);
  Value sum = node.binary(BinaryKind::add, node.binary(BinaryKind::div, mean, y.scale), y.zero);
  return roundSum(node, sum);
}

/// Numbers of 8 bits keep their order, so that they are compared as they are.
static LogicalResult importNhwcMaxPool(Node &node) {
  graph::PoolOp op = buildPool(node, graph::PoolKind::max, node.input(0), /*channelsLast=*/true);
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::quantizedLinearOperators() {
  static constexpr StringRef microsoft = "com.microsoft";
  static constexpr uint32_t kBytes = kSigned | kUnsigned;
  static const Operator operators[] = {
      {"QLinearAdd", {1}, 2, 8, importBinary<addTerms>, kBytes, "", microsoft},
      {"QLinearMul", {1}, 2, 8, importBinary<multiplyTerms>, kBytes, "", microsoft},
      {"QLinearSigmoid", {1}, 2, 5, importSigmoid, kBytes, "", microsoft},
      {"QLinearLeakyRelu", {1}, 2, 5, importLeakyRelu, kBytes, "", microsoft},
      {"QLinearGlobalAveragePool", {1}, 2, 5, importGlobalAveragePool, kBytes, "", microsoft},
      {"QLinearSoftmax", {1}, 2, 5, importSoftmax, kBytes, "", microsoft},
      {"QLinearConcat", {1}, 5, kUnlimited, importConcat, kFloats, "", microsoft},
      {"QGemm", {1}, 6, 9, importQGemm, kBytes, "", microsoft},
      {"QLinearWhere", {1}, 9, 9, importWhere, kBool, "", microsoft},
      {"QLinearAveragePool", {1}, 2, 5, importAveragePool, kBytes, "", microsoft},
      {"NhwcMaxPool", {1}, 1, 1, importNhwcMaxPool, kBytes, "", microsoft},
      {"DynamicQuantizeMatMul", {1}, 3, 5, importDynamicQuantizeMatMul, kF32, "", microsoft},
      {"MatMulIntegerToFloat", {1}, 4, 7, importMatMulIntegerToFloat, kBytes, "", microsoft},
  };
  return operators;
}
