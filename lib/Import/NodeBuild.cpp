// Nodes: the small steps that handlers build operations with.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Weights.h"
#include "lib/Import/Importer.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

static bool givesBool(graph::UnaryKind kind) {
  return kind == graph::UnaryKind::logical_not || kind == graph::UnaryKind::is_nan;
}

static bool givesBool(BinaryKind kind) { return kind >= BinaryKind::equal; }

/// The one result of an operation that may be null.
static Value resultOf(Operation *op) { return op ? op->getResult(0) : Value(); }

Value Node::constant(TypedAttr value) {
  if (!value)
    return {};
  return resultOf(create<graph::ConstantOp>(value.getType(), value));
}

Value Node::constant(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({int64_t(values.size())}, builder().getI64Type());
  ArrayRef<char> bytes(reinterpret_cast<const char *>(values.data()), values.size() * 8);
  return constant(graph::makeConstantAttr(type, bytes));
}

Value Node::constantStrings(ArrayRef<std::string> values) {
  auto type = RankedTensorType::get({int64_t(values.size())}, graph::StringType::get(context()));
  SmallVector<StringRef> texts(values.begin(), values.end());
  return constant(TypedAttr(DenseStringElementsAttr::get(type, texts)));
}

/// `value` as a constant of rank 0, rounded to nearest where the type is a float.
static TypedAttr scalarAttr(double value, Type element) {
  auto type = RankedTensorType::get({}, element);
  auto rounded = [&](double number, Type floating) {
    APFloat result(number);
    bool inexact;
    result.convert(cast<FloatType>(floating).getFloatSemantics(), APFloat::rmNearestTiesToEven,
                   &inexact);
    return result;
  };
  if (isa<FloatType>(element)) {
    APFloat number = rounded(value, element);
    if (element.getIntOrFloatBitWidth() >= 8)
      return DenseElementsAttr::get(type, number);
    char byte = static_cast<char>(number.bitcastToAPInt().getZExtValue());
    return graph::makeConstantAttr(type, byte);
  }
  if (isa<graph::StringType>(element)) // what stands for nothing
    return DenseStringElementsAttr::get(type, {StringRef()});
  auto part = cast<ComplexType>(element).getElementType();
  return DenseElementsAttr::get(type,
                                std::complex<APFloat>(rounded(value, part), rounded(0, part)));
}

static TypedAttr scalarAttr(int64_t value, Type element) {
  if (!isa<IntegerType>(element))
    return scalarAttr(static_cast<double>(value), element);
  unsigned width = element.getIntOrFloatBitWidth();
  APInt bits = APInt(64, static_cast<uint64_t>(value)).trunc(width);
  auto type = RankedTensorType::get({}, element);
  if (width >= 8 || width == 1)
    return DenseElementsAttr::get(type, bits);
  char byte = static_cast<char>(bits.getZExtValue());
  return graph::makeConstantAttr(type, byte);
}

Value Node::scalar(double value, Type element) {
  return isa<IntegerType>(element) ? scalarInt(static_cast<int64_t>(value), element)
                                   : constant(scalarAttr(value, element));
}

Value Node::scalarInt(int64_t value, Type element) { return constant(scalarAttr(value, element)); }

Value Node::unary(graph::UnaryKind kind, Value x) {
  if (!x)
    return {};
  Type element = givesBool(kind) ? builder().getI1Type() : elementOf(x);
  return resultOf(create<graph::UnaryOp>(tensorOf(element), kind, x));
}

Value Node::binary(BinaryKind kind, Value a, Value b) {
  if (!a || !b)
    return {};
  if (elementOf(a) != elementOf(b) && kind != BinaryKind::pow) {
    error() << "operands of " << opType() << " have element types " << elementOf(a) << " and "
            << elementOf(b) << ", they must agree";
    return {};
  }
  Type element = givesBool(kind) ? builder().getI1Type() : elementOf(a);
  return resultOf(create<graph::BinaryOp>(tensorOf(element), kind, a, b));
}

Value Node::binary(BinaryKind kind, Value a, double b) {
  return a ? binary(kind, a, scalar(b, elementOf(a))) : Value();
}

Value Node::select(Value condition, Value a, Value b) {
  if (!condition || !a || !b)
    return {};
  if (elementOf(a) != elementOf(b)) {
    error() << "operands of " << opType() << " have element types " << elementOf(a) << " and "
            << elementOf(b) << ", they must agree";
    return {};
  }
  if (!elementOf(condition).isInteger(1)) {
    error() << "the condition of " << opType() << " has element type " << elementOf(condition)
            << ", it takes bool";
    return {};
  }
  return resultOf(create<graph::SelectOp>(likeOf(a), condition, a, b));
}

Value Node::cast(Value x, Type element, bool saturate) {
  if (!x || elementOf(x) == element)
    return x;
  return resultOf(create<graph::CastOp>(tensorOf(element), x, saturate));
}

Value Node::matmul(Value a, Value b) {
  if (!a || !b)
    return {};
  if (elementOf(a) != elementOf(b)) {
    error() << "operands of " << opType() << " have element types " << elementOf(a) << " and "
            << elementOf(b) << ", they must agree";
    return {};
  }
  return resultOf(create<graph::MatMulOp>(likeOf(a), a, b));
}

Value Node::transpose(Value x, ArrayRef<int64_t> perm) {
  return x ? resultOf(create<graph::TransposeOp>(likeOf(x), x, perm)) : Value();
}

Value Node::swapLastTwo(Value x) {
  std::optional<int64_t> rank = requireRank(x, "an operand");
  if (!rank)
    return {};
  if (*rank < 2) {
    error() << "an operand of " << opType() << " has rank " << *rank << ", it takes 2 or more";
    return {};
  }
  Ints perm = llvm::to_vector(llvm::seq<int64_t>(0, *rank));
  std::swap(perm[*rank - 2], perm[*rank - 1]);
  return transpose(x, perm);
}

Value Node::reshape(Value x, Value shape, bool allowZero) {
  if (!x || !shape)
    return {};
  return resultOf(create<graph::ReshapeOp>(likeOf(x), x, shape, allowZero));
}

Value Node::reshape(Value x, ArrayRef<int64_t> shape) { return reshape(x, constant(shape)); }

Value Node::requireShape(Value x, Value shape) {
  if (!x || !shape)
    return {};
  return resultOf(create<graph::RequireShapeOp>(likeOf(x), x, shape));
}

Value Node::requireShape(Value x, ArrayRef<int64_t> shape) {
  return x && graph::hasSizes(x.getType(), shape) ? x : requireShape(x, constant(shape));
}

Value Node::sizeOf(Value x, int64_t dim) { return squeeze(shapeOf(x, dim, dim + 1), {0}); }

Value Node::requireRange(Value integers, StringRef what, Value most) {
  if (!integers)
    return {};
  return resultOf(create<graph::RequireRangeOp>(likeOf(integers), integers, most, what));
}

Value Node::requireShapeOf(Value x, Value like) {
  if (!x || !like)
    return {};
  auto given = importer.shapes.getDims(x), wanted = importer.shapes.getDims(like);
  return given && wanted && *given != *wanted ? requireShape(x, shapeOf(like)) : x;
}

Value Node::ofLength(Value list, std::optional<int64_t> length) {
  auto type = list ? dyn_cast<RankedTensorType>(list.getType()) : nullptr;
  bool isOpen = type && type.getRank() == 1 && type.isDynamicDim(0);
  return isOpen && length && *length >= 0 ? requireShape(list, {*length}) : list;
}

Value Node::scalarOf(Value x) {
  int64_t rank = rankOf(x).value_or(0);
  return rank == 0 ? x : squeeze(x, llvm::to_vector(llvm::seq<int64_t>(0, rank)));
}

Value Node::squeeze(Value x, ArrayRef<int64_t> axes) {
  if (!x)
    return {};
  return resultOf(create<graph::SqueezeOp>(likeOf(x), x, builder().getDenseI64ArrayAttr(axes)));
}

Value Node::unsqueeze(Value x, ArrayRef<int64_t> axes) {
  if (!x || axes.empty())
    return x;
  return resultOf(create<graph::UnsqueezeOp>(likeOf(x), x, axes));
}

Value Node::reduce(graph::ReduceKind kind, Value x, std::optional<Ints> axes, bool keepDims) {
  if (!x)
    return {};
  auto attr = axes ? builder().getDenseI64ArrayAttr(*axes) : DenseI64ArrayAttr();
  return resultOf(create<graph::ReduceOp>(likeOf(x), kind, x, attr, keepDims));
}

Value Node::concat(ArrayRef<Value> values, int64_t axis) {
  if (values.empty() || !llvm::all_of(values, [](Value value) { return bool(value); }))
    return {};
  for (Value value : values)
    if (elementOf(value) != elementOf(values.front())) {
      error() << "operands of " << opType() << " have element types " << elementOf(values.front())
              << " and " << elementOf(value) << ", they must agree";
      return {};
    }
  return resultOf(create<graph::ConcatOp>(likeOf(values.front()), values, axis));
}

Value Node::gather(Value data, Value indices, int64_t axis) {
  if (!data || !indices)
    return {};
  return resultOf(create<graph::GatherOp>(likeOf(data), data, indices, axis));
}

Value Node::reverse(Value x, int64_t axis) {
  if (!x)
    return {};
  return resultOf(create<graph::SliceOp>(likeOf(x), x, constant({-1}), constant({-INT64_MAX}),
                                         constant({axis}), constant({-1})));
}

Value Node::slice(Value x, int64_t axis, int64_t start, int64_t end) {
  return slice(x, axis, constant({start}), constant({end}));
}

Value Node::slice(Value x, int64_t axis, Value start, Value end) {
  if (!x || !start || !end)
    return {};
  return resultOf(create<graph::SliceOp>(likeOf(x), x, start, end, constant({axis}), Value()));
}

Value Node::padEnd(Value x, int64_t axis, Value count, Value fill) {
  Value pads = concat({constant(Ints{0}), count}, 0);
  if (!x || !pads)
    return {};
  return resultOf(
      create<graph::PadOp>(likeOf(x), x, pads, fill, constant({axis}), graph::PadMode::constant));
}

Value Node::shapeOf(Value x, int64_t start, std::optional<int64_t> end) {
  if (!x)
    return {};
  auto endAttr = end ? builder().getI64IntegerAttr(*end) : IntegerAttr();
  return resultOf(create<graph::ShapeOp>(tensorOf(builder().getI64Type()), x,
                                         builder().getI64IntegerAttr(start), endAttr));
}

Value Node::expand(Value x, Value shape) {
  if (!x || !shape)
    return {};
  return resultOf(create<graph::ExpandOp>(likeOf(x), x, shape));
}

Value Node::full(Value shape, double value, Type element) {
  if (!shape)
    return {};
  TypedAttr fill = isa<IntegerType>(element) ? scalarAttr(static_cast<int64_t>(value), element)
                                             : scalarAttr(value, element);
  return resultOf(create<graph::FullOp>(tensorOf(element), shape, fill));
}

Value Node::range(Value start, Value limit, Value delta) {
  if (!start || !limit || !delta)
    return {};
  return resultOf(create<graph::RangeOp>(likeOf(start), start, limit, delta));
}

Value Node::iota(Value x, int64_t axis) {
  Type i64 = builder().getI64Type();
  std::optional<int64_t> end;
  if (axis != -1)
    end = axis + 1;
  Value size = squeeze(shapeOf(x, axis, end), {0});
  return range(scalarInt(0, i64), size, scalarInt(1, i64));
}

Value Node::softmax(Value x, int64_t axis, bool log) {
  if (!x)
    return {};
  return resultOf(create<graph::SoftmaxOp>(likeOf(x), x, axis, axis + 1, log));
}
