// Products of narrow numbers: operands in as few bits as their values need.
//
// The importer writes an integer product as ONNX defines it, on i32: (a - zero) * (b - zero). The
// differences of 8-bit numbers fit in 16 bits, and weights mostly in 8, so that a processor
// multiplies several in one instruction and memory holds a half or a quarter. Sums stay i32, so the
// results are the same to the last bit. On request, f32 products with constant weights round their
// operands to bf16; their sums stay f32.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Weights.h"
#include "lathe/Graph.h"
#include "lib/Graph/ConstantData.h"
#include "lib/Graph/Rewrite.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::graph;

namespace lathe::graph {
#define GEN_PASS_DEF_NARROWPRODUCTSPASS
#include "lib/Graph/Passes.h.inc"
} // namespace lathe::graph

static RankedTensorType getType(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

namespace {
/// The values that a tensor may hold, both bounds included.
struct Bounds {
  int64_t low, high;
  bool fits(unsigned bits) const { return llvm::isIntN(bits, low) && llvm::isIntN(bits, high); }
};
} // namespace

/// All values of an integer type of at most 16 bits.
static std::optional<Bounds> getTypeBounds(Type element) {
  auto type = dyn_cast<IntegerType>(element);
  if (!type || type.getWidth() > 16 || type.getWidth() < 2)
    return std::nullopt;
  int64_t count = int64_t(1) << type.getWidth();
  return type.isUnsigned() ? Bounds{0, count - 1} : Bounds{-count / 2, count / 2 - 1};
}

/// What an i32 tensor may hold: small constants, casts of narrow integers, differences of those,
/// and what only moves them. nullopt: anything.
static std::optional<Bounds> getBounds(Value value, unsigned depth = 0) {
  Operation *op = value.getDefiningOp();
  if (!op || depth > 16)
    return std::nullopt;
  if (auto number = getIntegers(value))
    return number->empty() ? Bounds{0, 0}
                           : Bounds{*llvm::min_element(*number), *llvm::max_element(*number)};
  if (auto cast = dyn_cast<CastOp>(op))
    return getTypeBounds(getElementTypeOrSelf(cast.getInput().getType()));
  if (isa<TransposeOp, ReshapeOp, UnsqueezeOp, SqueezeOp, ExpandOp, RequireShapeOp, RequireRangeOp>(
          op))
    return getBounds(op->getOperand(0), depth + 1);
  auto binary = dyn_cast<BinaryOp>(op);
  if (!binary || binary.getKind() != BinaryKind::sub)
    return std::nullopt;
  auto left = getBounds(binary.getLhs(), depth + 1), right = getBounds(binary.getRhs(), depth + 1);
  if (!left || !right)
    return std::nullopt;
  return Bounds{left->low - right->high, left->high - right->low};
}

/// The elements of a constant of integers, or of what only centres and moves one, which may be too
/// large to be evaluated in 32 bits before.
static std::optional<std::vector<int32_t>> getElements(Value value, unsigned depth = 0) {
  RankedTensorType type = getType(value);
  Operation *op = value.getDefiningOp();
  if (!type || !type.hasStaticShape() || !op || depth > 16)
    return std::nullopt;
  if (Data data; load(value, data)) {
    auto integer = dyn_cast<IntegerType>(type.getElementType());
    unsigned width = getElementBytes(type.getElementType());
    if (!integer || width == 0 || width > 4 || (width == 4 && integer.isUnsigned()))
      return std::nullopt;
    std::vector<int32_t> elements(data.bytes.size() / width);
    for (size_t i = 0; i < elements.size(); ++i) {
      uint32_t bits = 0;
      std::memcpy(&bits, data.bytes.data() + i * width, width);
      elements[i] = integer.isUnsigned() ? int32_t(bits) : llvm::SignExtend32(bits, 8 * width);
    }
    return elements;
  }
  if (auto cast = dyn_cast<CastOp>(op))
    return type.getElementType().isSignlessInteger(32) ? getElements(cast.getInput(), depth + 1)
                                                       : std::nullopt;
  if (isa<ReshapeOp, UnsqueezeOp, SqueezeOp>(op))
    return getElements(op->getOperand(0), depth + 1);
  // Reads `elements` of that shape in the order of the result.
  auto gather = [&](const std::vector<int32_t> &elements, ArrayRef<int64_t> strides) {
    std::vector<int32_t> result;
    result.reserve(type.getNumElements());
    forEach(type.getShape(), strides, 0, [&](int64_t place) { result.push_back(elements[place]); });
    return result;
  };
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    auto source = getElements(transpose.getData(), depth + 1);
    if (!source)
      return std::nullopt;
    SmallVector<int64_t> from = getStrides(getType(transpose.getData()).getShape()), strides;
    for (int64_t dim : transpose.getPerm())
      strides.push_back(from[dim]);
    return gather(*source, strides);
  }
  auto binary = dyn_cast<BinaryOp>(op);
  if (!binary || binary.getKind() != BinaryKind::sub)
    return std::nullopt;
  auto left = getElements(binary.getLhs(), depth + 1),
       right = getElements(binary.getRhs(), depth + 1);
  if (!left || !right)
    return std::nullopt;
  auto spread = [&](Value operand, const std::vector<int32_t> &elements) {
    return gather(elements, getBroadcastStrides(getType(operand).getShape(), type.getShape()));
  };
  std::vector<int32_t> result = spread(binary.getLhs(), *left);
  for (auto [element, zero] : llvm::zip_equal(result, spread(binary.getRhs(), *right)))
    element = int32_t(uint32_t(element) - uint32_t(zero));
  return result;
}

template <typename Narrow>
static Value makeNarrow(OpBuilder &builder, Value value, ArrayRef<int32_t> elements) {
  std::vector<Narrow> narrow(elements.begin(), elements.end());
  auto type =
      RankedTensorType::get(getType(value).getShape(), builder.getIntegerType(8 * sizeof(Narrow)));
  ArrayRef<char> bytes(reinterpret_cast<const char *>(narrow.data()),
                       narrow.size() * sizeof(Narrow));
  return ConstantOp::create(builder, value.getLoc(), type, makeConstantAttr(type, bytes))
      .getResult();
}

static Value castTo(OpBuilder &builder, Location loc, Value value, Type element) {
  auto type = RankedTensorType::get(getType(value).getShape(), element);
  return CastOp::create(builder, loc, type, value).getResult();
}

/// The operand in 16 bits, constants in 8 where they fit; null when its values may need more.
static Value narrowInteger(OpBuilder &builder, Operation *product, Value value) {
  RankedTensorType type = getType(value);
  if (!type || !type.getElementType().isSignlessInteger(32))
    return {};
  // Two products of -2^15 by -2^15 are the one sum that the instructions cannot hold.
  auto fits = [](const Bounds &bounds) {
    return bounds.fits(16) && bounds.low > std::numeric_limits<int16_t>::min();
  };
  if (auto elements = getElements(value)) {
    Bounds bounds{0, 0};
    for (int32_t element : *elements)
      bounds = {std::min<int64_t>(bounds.low, element), std::max<int64_t>(bounds.high, element)};
    return bounds.fits(8) ? makeNarrow<int8_t>(builder, value, *elements)
           : fits(bounds) ? makeNarrow<int16_t>(builder, value, *elements)
                          : Value();
  }
  std::optional<Bounds> bounds = getBounds(value);
  return bounds && fits(*bounds) ? castTo(builder, product->getLoc(), value, builder.getI16Type())
                                 : Value();
}

//===----------------------------------------------------------------------===//
// bf16
//===----------------------------------------------------------------------===//

/// The upper half of the nearest number, even on a tie; NaN stays NaN.
static uint16_t roundToBF16(uint32_t bits) {
  if ((bits & 0x7fffffff) > 0x7f800000)
    return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static Value roundConstant(OpBuilder &builder, Value value) {
  Data data;
  if (!getConstantValue(value) || !load(value, data) || !data.type.getElementType().isF32())
    return {};
  std::vector<char> bytes(data.bytes.size() / 2);
  for (size_t i = 0; i < data.bytes.size() / 4; ++i) {
    uint32_t bits;
    std::memcpy(&bits, data.bytes.data() + 4 * i, 4);
    uint16_t rounded = roundToBF16(bits);
    std::memcpy(bytes.data() + 2 * i, &rounded, 2);
  }
  auto type = RankedTensorType::get(data.type.getShape(), builder.getBF16Type());
  return ConstantOp::create(builder, value.getLoc(), type, makeConstantAttr(type, bytes))
      .getResult();
}

/// Windows of 3x3 at stride 1 take fewer multiplications in f32, by Winograd's algorithm, and a
/// window of few channels has nothing to pair.
static bool gainsByBF16(ConvOp op) {
  RankedTensorType weight = getType(op.getWeight());
  if (!weight || !weight.hasStaticShape())
    return false;
  int64_t spatial = op.getStrides().size();
  bool last = op.getChannelsLast();
  ArrayRef<int64_t> window = weight.getShape().slice(last ? 0 : 2, spatial);
  auto isOne = [](int64_t size) { return size == 1; };
  bool isWinograd = spatial == 2 && op.getGroup() == 1 && window[0] == 3 && window[1] == 3 &&
                    llvm::all_of(op.getStrides(), isOne) && llvm::all_of(op.getDilations(), isOne);
  return !isWinograd && weight.getDimSize(last ? spatial : 1) >= 8;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// Gives the product `left` and `right` where both are there.
static void setOperands(OpOperand &first, Value left, OpOperand &second, Value right) {
  if (!left || !right)
    return;
  first.assign(left);
  second.assign(right);
}

LogicalResult lathe::narrowProducts(func::FuncOp function, bool bf16) {
  OpBuilder builder(function.getContext());
  auto narrow = [&](Operation *op, OpOperand &first, OpOperand &second, bool gains) {
    RankedTensorType result = getType(op->getResult(0));
    if (!result || !getType(first.get()) || !getType(second.get()))
      return;
    builder.setInsertionPoint(op);
    if (result.getElementType().isSignlessInteger(32)) {
      setOperands(first, narrowInteger(builder, op, first.get()), second,
                  narrowInteger(builder, op, second.get()));
    } else if (bf16 && gains && getType(first.get()).getElementType().isF32() &&
               !getConstantValue(first.get())) {
      if (Value weight = roundConstant(builder, second.get()))
        setOperands(first, castTo(builder, op->getLoc(), first.get(), builder.getBF16Type()),
                    second, weight);
    }
  };
  function.walk([&](Operation *op) {
    if (auto matmul = dyn_cast<MatMulOp>(op))
      narrow(op, matmul.getLhsMutable(), matmul.getRhsMutable(), true);
    else if (auto conv = dyn_cast<ConvOp>(op))
      narrow(op, conv.getInputMutable(), conv.getWeightMutable(), gainsByBF16(conv));
  });
  // Casts of one value are shared, and operands that nobody reads any more go.
  return simplifyGraph(function);
}

namespace {
struct NarrowProductsPass : graph::impl::NarrowProductsPassBase<NarrowProductsPass> {
  using NarrowProductsPassBase::NarrowProductsPassBase;
  void runOnOperation() override {
    if (failed(narrowProducts(getOperation(), bf16)))
      signalPassFailure();
  }
};
} // namespace
