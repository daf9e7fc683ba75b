// Operators that make tensors out of little: constants, ranges, masks, windows.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "lib/Import/Operators.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

/// Constant has one attribute of several, each with its type.
static LogicalResult importConstant(Node &node) {
  OpBuilder &builder = node.builder();
  if (TypedAttr value = node.tensorAttribute("value"))
    return node.result(node.constant(value));
  if (TypedAttr value = node.sparseAttribute("sparse_value"))
    return node.result(node.constant(value));
  if (node.hasFailed())
    return failure();
  if (node.hasAttribute("value_float"))
    return node.result(node.scalar(node.floatAttribute("value_float", 0), builder.getF32Type()));
  if (node.hasAttribute("value_int"))
    return node.result(node.scalarInt(node.intAttribute("value_int", 0), builder.getI64Type()));
  if (std::optional<Ints> ints = node.intsAttribute("value_ints"))
    return node.result(node.constant(*ints));
  if (auto floats = node.floatsAttribute("value_floats")) {
    SmallVector<float> values(floats->begin(), floats->end());
    auto type = RankedTensorType::get({int64_t(values.size())}, builder.getF32Type());
    ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()), values.size() * 4);
    return node.result(node.constant(graph::makeConstantAttr(type, bytes)));
  }
  if (node.hasAttribute("value_string"))
    return node.result(
        node.squeeze(node.constantStrings({node.stringAttribute("value_string", "")}), {0}));
  if (auto strings = node.stringsAttribute("value_strings"))
    return node.result(node.constantStrings(*strings));
  return node.hasFailed() ? failure()
                          : LogicalResult(node.error() << "Constant has no attribute 'value'");
}

static LogicalResult importConstantOfShape(Node &node) {
  OpBuilder &builder = node.builder();
  TypedAttr value = node.tensorAttribute("value");
  if (node.hasFailed())
    return failure();
  if (!value) {
    value = builder.getZeroAttr(RankedTensorType::get({}, builder.getF32Type()));
  } else {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getNumElements() != 1)
      return node.error() << "attribute 'value' of ConstantOfShape has " << type.getNumElements()
                          << " elements, it takes one";
    if (isa<graph::StringType>(type.getElementType()))
      return node.error() << "attribute 'value' of ConstantOfShape holds text, it takes a number";
    // One element of any rank means a scalar.
    SmallVector<char> storage;
    value = graph::makeConstantAttr(RankedTensorType::get({}, type.getElementType()),
                                    graph::getConstantBytes(value, storage));
  }
  Type element = cast<ShapedType>(value.getType()).getElementType();
  Value shape = node.ofLength(node.input(0), node.declaredRank(0));
  if (!shape)
    return failure();
  if (!isa<DenseElementsAttr>(value)) // elements that share bytes
    return node.result(node.expand(node.constant(value), shape));
  auto op = node.create<graph::FullOp>(node.tensorOf(element), shape, value);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importRange(Node &node) {
  node.ignore({"stash_type"});
  for (unsigned i = 1; i < 3; ++i)
    if (Node::elementOf(node.input(i)) != Node::elementOf(node.input(0)))
      return node.error() << "operands of Range have element types "
                          << Node::elementOf(node.input(0)) << " and "
                          << Node::elementOf(node.input(i)) << ", they must agree";
  return node.result(node.range(node.scalarOf(node.input(0)), node.scalarOf(node.input(1)),
                                node.scalarOf(node.input(2))));
}

/// Its last operand may be missing: steps of 1.
static LogicalResult importMicrosoftRange(Node &node) {
  if (node.hasInput(2))
    return importRange(node);
  Value start = node.scalarOf(node.input(0)), limit = node.scalarOf(node.input(1));
  if (Node::elementOf(start) != Node::elementOf(limit))
    return node.error() << "operands of Range have element types " << Node::elementOf(start)
                        << " and " << Node::elementOf(limit) << ", they must agree";
  return node.result(node.range(start, limit, node.scalar(1, Node::elementOf(start))));
}

/// EyeLike: 1 where column - row = k.
static LogicalResult importEyeLike(Node &node) {
  Value x = node.input(0);
  if (std::optional<int64_t> rank = Node::rankOf(x); rank && *rank != 2)
    return node.error() << "input 0 of EyeLike has rank " << *rank << ", it takes a matrix";
  Type element = node.typeAttribute("dtype", Node::elementOf(x));
  int64_t k = node.intAttribute("k", 0);
  Type i64 = node.builder().getI64Type();
  Value rows = node.unsqueeze(node.iota(x, 0), {1}), columns = node.iota(x, 1);
  Value diagonal = node.binary(BinaryKind::add, rows, node.scalarInt(k, i64));
  return node.result(node.cast(node.binary(BinaryKind::equal, columns, diagonal), element));
}

static LogicalResult importTrilu(Node &node) {
  bool upper = node.flag("upper", true);
  Value x = node.input(0);
  auto op = node.create<graph::TriluOp>(node.likeOf(x), x, node.input(1),
                                        node.builder().getBoolAttr(upper));
  return op ? node.result(op.getResult()) : failure();
}

/// The windows of signal processing: a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N).
static LogicalResult importWindow(Node &node, double a0, double a1, double a2) {
  OpBuilder &builder = node.builder();
  Type element = node.typeAttribute("output_datatype", builder.getF32Type());
  bool periodic = node.flag("periodic", true);
  Type compute = element.isF64() ? element : Type(builder.getF32Type());
  Type i64 = builder.getI64Type();
  Value size = node.scalarOf(node.cast(node.input(0), i64));
  Value n = node.cast(node.range(node.scalarInt(0, i64), size, node.scalarInt(1, i64)), compute);
  Value period = node.cast(size, compute);
  if (!periodic) // a window of one sample has no period: any will do
    period = node.binary(BinaryKind::max, node.binary(BinaryKind::sub, period, 1), 1);
  Value angle =
      node.binary(BinaryKind::div, node.binary(BinaryKind::mul, n, 2 * llvm::numbers::pi), period);
  Value window = node.binary(BinaryKind::mul, node.unary(UnaryKind::cos, angle), -a1);
  window = node.binary(BinaryKind::add, window, a0);
  if (a2 != 0) {
    Value twice = node.unary(UnaryKind::cos, node.binary(BinaryKind::mul, angle, 2));
    window = node.binary(BinaryKind::add, window, node.binary(BinaryKind::mul, twice, a2));
  }
  return node.result(node.cast(window, element));
}

static LogicalResult importHann(Node &node) { return importWindow(node, 0.5, 0.5, 0); }
static LogicalResult importHamming(Node &node) {
  return importWindow(node, 25.0 / 46, 1 - 25.0 / 46, 0);
}
static LogicalResult importBlackman(Node &node) { return importWindow(node, 0.42, 0.5, 0.08); }

ArrayRef<Operator> lathe::import::generatorOperators() {
  static const Operator operators[] = {
      {"Constant", {1, 9, 11, 12, 13, 19, 21, 23, 24, 25}, 0, 0, importConstant, kAny},
      {"ConstantOfShape", {9, 20, 21, 23, 24, 25}, 1, 1, importConstantOfShape, kSigned},
      {"Range", {11, 27}, 3, 3, importRange, kNumbers},
      {"Range", {1}, 2, 3, importMicrosoftRange, kNumbers, "", "com.microsoft"},
      {"EyeLike", {9, 22}, 1, 1, importEyeLike, kNumbers | kBool},
      {"Trilu", {14}, 1, 2, importTrilu, kNumbers | kBool | kComplex | kString},
      {"Trilu", {1}, 1, 2, importTrilu, kNumbers | kBool, "", "com.microsoft"},
      {"HannWindow", {17}, 1, 1, importHann, kSigned},
      {"HammingWindow", {17}, 1, 1, importHamming, kSigned},
      {"BlackmanWindow", {17}, 1, 1, importBlackman, kSigned},
  };
  return operators;
}
