// Elementwise operators: arithmetic, comparisons, logic, casts.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::UnaryKind;

/// Opset 1 let operators overwrite their inputs; nobody did.
static void ignoreConsumedInputs(Node &node) {
  if (node.version() == 1)
    node.ignore({"consumed_inputs"});
}

template <UnaryKind kind> static LogicalResult importUnary(Node &node) {
  ignoreConsumedInputs(node);
  return node.result(node.unary(kind, node.input(0)));
}

/// Before opset 7 the second operand was broadcast only with `broadcast`, and then lined up with
/// the first at `axis`; since then shapes are aligned at the end.
static Value alignLegacyOperand(Node &node) {
  Value a = node.input(0), b = node.input(1);
  if (node.version() >= 7)
    return b;
  bool broadcast = node.flag("broadcast");
  if (!broadcast || !node.hasAttribute("axis")) {
    node.ignore({"axis"});
    return b;
  }
  std::optional<int64_t> rank = node.requireRank(a, "input 0"),
                         inner = node.requireRank(b, "input 1");
  if (!rank || !inner)
    return {};
  int64_t axis = node.axis(node.intAttribute("axis", 0), *rank + 1);
  if (axis + *inner > *rank) {
    node.error() << "axis " << axis << " of " << node.opType() << " puts input 1 of rank " << *inner
                 << " beyond the rank " << *rank << " of input 0";
    return {};
  }
  return node.unsqueeze(b, llvm::to_vector(llvm::seq<int64_t>(*inner, *rank - axis)));
}

template <BinaryKind kind> static LogicalResult importBinary(Node &node) {
  ignoreConsumedInputs(node);
  return node.result(node.binary(kind, node.input(0), alignLegacyOperand(node)));
}

static LogicalResult importMod(Node &node) {
  BinaryKind kind = node.flag("fmod") ? BinaryKind::fmod : BinaryKind::mod;
  return node.result(node.binary(kind, node.input(0), node.input(1)));
}

static LogicalResult importBitShift(Node &node) {
  unsigned right = node.choice("direction", {"LEFT", "RIGHT"}, 0);
  if (!node.hasAttribute("direction"))
    return node.error() << "BitShift has no attribute 'direction'";
  return node.result(node.binary(right ? BinaryKind::shift_right : BinaryKind::shift_left,
                                 node.input(0), node.input(1)));
}

/// Sum, Min and Max take any number of operands.
template <BinaryKind kind> static Value combineAll(Node &node) {
  ignoreConsumedInputs(node);
  Value total = node.input(0);
  for (unsigned i = 1; i < node.inputCount(); ++i)
    total = node.binary(kind, total, node.require(i));
  return total;
}

template <BinaryKind kind> static LogicalResult importVariadic(Node &node) {
  return node.result(combineAll<kind>(node));
}

static LogicalResult importMean(Node &node) {
  Value total = combineAll<BinaryKind::add>(node);
  if (node.inputCount() == 1)
    return node.result(total);
  return node.result(node.binary(BinaryKind::div, total, node.inputCount()));
}

/// A bound that is NaN bounds nothing.
static Value clipTo(Node &node, BinaryKind kind, Value x, unsigned input) {
  if (!node.hasInput(input))
    return x;
  Value bound = node.input(input);
  std::optional<double> known = node.knownScalar(input);
  if (known && std::isnan(*known))
    return x;
  Type element = Node::elementOf(bound);
  if (!known && isa_and_nonnull<FloatType>(element)) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Value none = node.scalar(kind == BinaryKind::max ? -infinity : infinity, element);
    bound = node.select(node.unary(UnaryKind::is_nan, bound), none, bound);
  }
  return node.binary(kind, x, bound);
}

static LogicalResult importClip(Node &node) {
  ignoreConsumedInputs(node);
  Value x = node.input(0);
  if (node.version() >= 11) {
    x = clipTo(node, BinaryKind::max, x, 1);
    return node.result(clipTo(node, BinaryKind::min, x, 2));
  }
  // The defaults of version 6 make infinities finite.
  constexpr double largest = std::numeric_limits<float>::max();
  bool always = node.version() == 6 && Node::elementOf(x) && !Node::elementOf(x).isF16();
  if (double low = node.floatAttribute("min", -largest); always || low > -largest)
    x = node.binary(BinaryKind::max, x, low);
  if (double high = node.floatAttribute("max", largest); always || high < largest)
    x = node.binary(BinaryKind::min, x, high);
  return node.result(x);
}

static LogicalResult importIsInf(Node &node) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  bool positive = node.flag("detect_positive", true), negative = node.flag("detect_negative", true);
  Value x = node.input(0), result;
  if (positive)
    result = node.binary(BinaryKind::equal, x, infinity);
  if (negative) {
    Value isNegative = node.binary(BinaryKind::equal, x, -infinity);
    result = result ? node.binary(BinaryKind::logical_or, result, isNegative) : isNegative;
  }
  if (!result) // never true
    result = node.binary(BinaryKind::less, x, x);
  return node.result(result);
}

static LogicalResult importWhere(Node &node) {
  return node.result(node.select(node.input(0), node.input(1), node.input(2)));
}

/// Of integers, computed in double.
static LogicalResult importErf(Node &node) {
  Value x = node.input(0);
  Type element = Node::elementOf(x);
  if (!isa<FloatType>(element))
    x = node.cast(x, node.builder().getF64Type());
  return node.result(node.cast(node.unary(UnaryKind::erf, x), element));
}

static LogicalResult importIdentity(Node &node) { return node.result(node.input(0)); }

static LogicalResult castTo(Node &node, Type element) {
  bool saturate = node.flag("saturate", true);
  // How floats become float8e8m0, which is all exponent.
  static constexpr graph::CastRounding roundings[] = {
      graph::CastRounding::up, graph::CastRounding::down, graph::CastRounding::nearest};
  unsigned rounding = node.choice("round_mode", {"up", "down", "nearest"}, 0);
  if (!element || node.hasFailed())
    return failure();
  Value x = node.input(0);
  Type from = Node::elementOf(x);
  auto isSmallFloat = [](Type type) {
    return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8;
  };
  // Strings hold numbers of the usual types; of the small ones f32 holds all.
  if (isa<graph::StringType>(from) ? isSmallFloat(element)
                                   : isSmallFloat(from) && isa<graph::StringType>(element))
    x = node.cast(x, node.builder().getF32Type());
  if (!x)
    return failure();
  auto op = node.create<graph::CastOp>(node.tensorOf(element), x, saturate, roundings[rounding]);
  return op ? node.result(op.getResult()) : failure();
}

static LogicalResult importCast(Node &node) {
  if (!node.hasAttribute("to"))
    return node.error() << "Cast has no attribute 'to'";
  return castTo(node, node.typeAttribute("to", {}));
}

static LogicalResult importCastLike(Node &node) {
  return castTo(node, Node::elementOf(node.input(1)));
}

static LogicalResult importBitCast(Node &node) {
  if (!node.hasAttribute("to"))
    return node.error() << "BitCast has no attribute 'to'";
  Type element = node.typeAttribute("to", {});
  if (!element || node.hasFailed())
    return failure();
  auto op = node.create<graph::BitCastOp>(node.tensorOf(element), node.input(0));
  return op ? node.result(op.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::elementwiseOperators() {
  static constexpr uint32_t kReal = kNumbers, kSignedReal = kFloats | kSigned;
  static constexpr uint32_t kOrdered = kNumbers | kBool | kComplex;
  static const Operator operators[] = {
      {"Abs", {1, 6, 13}, 1, 1, importUnary<UnaryKind::abs>, kReal},
      {"Neg", {1, 6, 13}, 1, 1, importUnary<UnaryKind::neg>, kSignedReal},
      {"Sign", {9, 13}, 1, 1, importUnary<UnaryKind::sign>, kReal},
      {"Ceil", {1, 6, 13}, 1, 1, importUnary<UnaryKind::ceil>, kFloats},
      {"Floor", {1, 6, 13}, 1, 1, importUnary<UnaryKind::floor>, kFloats},
      {"Round", {11, 22}, 1, 1, importUnary<UnaryKind::round>, kFloats},
      {"Sqrt", {1, 6, 13}, 1, 1, importUnary<UnaryKind::sqrt>, kFloats},
      {"Reciprocal", {1, 6, 13}, 1, 1, importUnary<UnaryKind::reciprocal>, kFloats},
      {"Exp", {1, 6, 13}, 1, 1, importUnary<UnaryKind::exp>, kFloats},
      {"Log", {1, 6, 13}, 1, 1, importUnary<UnaryKind::log>, kFloats},
      {"Sin", {7, 22}, 1, 1, importUnary<UnaryKind::sin>, kFloats},
      {"Cos", {7, 22}, 1, 1, importUnary<UnaryKind::cos>, kFloats},
      {"Tan", {7, 22}, 1, 1, importUnary<UnaryKind::tan>, kFloats},
      {"Asin", {7, 22}, 1, 1, importUnary<UnaryKind::asin>, kFloats},
      {"Acos", {7, 22}, 1, 1, importUnary<UnaryKind::acos>, kFloats},
      {"Atan", {7, 22}, 1, 1, importUnary<UnaryKind::atan>, kFloats},
      {"Sinh", {9, 22}, 1, 1, importUnary<UnaryKind::sinh>, kFloats},
      {"Cosh", {9, 22}, 1, 1, importUnary<UnaryKind::cosh>, kFloats},
      {"Asinh", {9, 22}, 1, 1, importUnary<UnaryKind::asinh>, kFloats},
      {"Acosh", {9, 22}, 1, 1, importUnary<UnaryKind::acosh>, kFloats},
      {"Atanh", {9, 22}, 1, 1, importUnary<UnaryKind::atanh>, kFloats},
      {"Erf", {9, 13}, 1, 1, importErf, kReal},
      {"Not", {1}, 1, 1, importUnary<UnaryKind::logical_not>, kBool},
      {"BitwiseNot", {18}, 1, 1, importUnary<UnaryKind::bitwise_not>, kIntegers},
      {"IsNaN", {9, 13, 20}, 1, 1, importUnary<UnaryKind::is_nan>, kFloats | kFloat8},
      {"IsInf", {10, 20}, 1, 1, importIsInf, kFloats | kFloat8},

      {"Add", {1, 6, 7, 13, 14}, 2, 2, importBinary<BinaryKind::add>, kReal},
      {"Sub", {1, 6, 7, 13, 14}, 2, 2, importBinary<BinaryKind::sub>, kReal},
      {"Mul", {1, 6, 7, 13, 14}, 2, 2, importBinary<BinaryKind::mul>, kReal},
      {"Div", {1, 6, 7, 13, 14}, 2, 2, importBinary<BinaryKind::div>, kReal},
      {"Pow", {1, 7, 12, 13, 15}, 2, 2, importBinary<BinaryKind::pow>, kReal},
      {"Mod", {10, 13, 28}, 2, 2, importMod, kReal},
      {"And", {1, 7}, 2, 2, importBinary<BinaryKind::logical_and>, kBool},
      {"Or", {1, 7}, 2, 2, importBinary<BinaryKind::logical_or>, kBool},
      {"Xor", {1, 7}, 2, 2, importBinary<BinaryKind::logical_xor>, kBool},
      {"BitwiseAnd", {18}, 2, 2, importBinary<BinaryKind::bitwise_and>, kIntegers},
      {"BitwiseOr", {18}, 2, 2, importBinary<BinaryKind::bitwise_or>, kIntegers},
      {"BitwiseXor", {18}, 2, 2, importBinary<BinaryKind::bitwise_xor>, kIntegers},
      {"BitShift", {11, 28}, 2, 2, importBitShift, kIntegers},
      {"Equal", {1, 7, 11, 13, 19}, 2, 2, importBinary<BinaryKind::equal>, kOrdered | kString},
      {"Less", {1, 7, 9, 13}, 2, 2, importBinary<BinaryKind::less>, kReal},
      {"LessOrEqual", {12, 16}, 2, 2, importBinary<BinaryKind::less_equal>, kReal},
      {"Greater", {1, 7, 9, 13}, 2, 2, importBinary<BinaryKind::greater>, kReal},
      {"GreaterOrEqual", {12, 16}, 2, 2, importBinary<BinaryKind::greater_equal>, kReal},

      {"Sum", {1, 6, 8, 13}, 1, kUnlimited, importVariadic<BinaryKind::add>, kFloats},
      {"Min", {1, 6, 8, 12, 13}, 1, kUnlimited, importVariadic<BinaryKind::min>, kReal},
      {"Max", {1, 6, 8, 12, 13}, 1, kUnlimited, importVariadic<BinaryKind::max>, kReal},
      {"Mean", {1, 6, 8, 13}, 1, kUnlimited, importMean, kFloats},
      {"Clip", {1, 6, 11, 12, 13}, 1, 3, importClip, kReal},
      {"Where", {9, 16}, 3, 3, importWhere, kBool},
      {"Identity", {1, 13, 14, 16, 19, 21, 23, 24, 25}, 1, 1, importIdentity, kAny, "", "", true},
      {"Cast", {1, 6, 9, 13, 19, 21, 23, 24, 25, 28}, 1, 1, importCast, kAny},
      {"CastLike", {15, 19, 21, 23, 24, 25}, 2, 2, importCastLike, kAny},
      {"BitCast", {26}, 1, 1, importBitCast, kAny & ~kString},
  };
  return operators;
}
