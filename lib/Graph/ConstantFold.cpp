// Direct evaluation of the commonest operations on constants.
//
// The constant evaluator (EvaluateConstants.cpp) folds whatever the compiler can compile; this
// handles what nearly every model has without compiling anything: weights transposed, sliced,
// joined, scaled. Bytes are handled by element size, arithmetic by element type.
// Apache-2.0 WITH LLVM-exception
#include "lib/Graph/ConstantFold.h"
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Weights.h"
#include "lib/Graph/ConstantData.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;
using namespace lathe::graph;

namespace {

using Results = SmallVector<TypedAttr>;

struct Folder {
  Operation *op;
  int64_t maxGrowth;

  RankedTensorType resultType(unsigned i = 0) const {
    return dyn_cast<RankedTensorType>(op->getResult(i).getType());
  }

  /// The size of the result, unless it is unknown or grows too much above the operands.
  std::optional<int64_t> resultBytes(unsigned i = 0) const {
    std::optional<int64_t> bytes = getBytes(resultType(i));
    int64_t largest = 0;
    for (Value operand : op->getOperands())
      if (auto size = getBytes(dyn_cast<RankedTensorType>(operand.getType())))
        largest = std::max(largest, *size);
    return bytes && *bytes <= largest + maxGrowth ? bytes : std::nullopt;
  }

  Results make(ArrayRef<char> bytes) const { return {makeConstantAttr(resultType(), bytes)}; }

  Results strided(const Data &data, ArrayRef<int64_t> strides, int64_t start) const {
    std::optional<int64_t> bytes = resultBytes();
    if (!bytes)
      return {};
    return make(gatherStrided(data, resultType().getShape(), strides, start, *bytes));
  }

  Results transpose(TransposeOp transposeOp) const {
    Data data;
    if (!load(transposeOp.getData(), data))
      return {};
    SmallVector<int64_t> own = getStrides(data.shape()), strides;
    for (int64_t dim : transposeOp.getPerm())
      strides.push_back(own[dim]);
    return strided(data, strides, 0);
  }

  Results expand(ExpandOp expandOp) const {
    Data data;
    if (!resultBytes() || !load(expandOp.getData(), data) ||
        data.type.getRank() > resultType().getRank())
      return {};
    return strided(data, getBroadcastStrides(data.shape(), resultType().getShape()), 0);
  }

  Results slice(SliceOp sliceOp) const {
    Data data;
    auto starts = getIntegers(sliceOp.getStarts());
    if (!starts || !resultBytes() || !load(sliceOp.getData(), data))
      return {};
    int64_t rank = data.type.getRank();
    auto axes =
        sliceOp.getAxes()
            ? getIntegers(sliceOp.getAxes())
            : std::optional(llvm::to_vector(llvm::seq<int64_t>(0, int64_t(starts->size()))));
    auto steps = sliceOp.getSteps() ? getIntegers(sliceOp.getSteps())
                                    : std::optional(SmallVector<int64_t>(starts->size(), 1));
    if (!axes || !steps || axes->size() != starts->size() || steps->size() != starts->size())
      return {};
    SmallVector<int64_t> strides = getStrides(data.shape()), own = strides;
    int64_t offset = 0;
    for (auto [axis, start, step] : llvm::zip(*axes, *starts, *steps)) {
      int64_t dim = axis < 0 ? axis + rank : axis;
      if (dim < 0 || dim >= rank || step == 0)
        return {};
      int64_t size = data.shape()[dim];
      int64_t from = start < 0 ? std::max<int64_t>(start, -size - 1) + size : start;
      from = std::clamp<int64_t>(from, 0, step > 0 ? size : std::max<int64_t>(size - 1, 0));
      offset += from * own[dim];
      // Inference computed the size, so every index is inside; one element needs no step.
      strides[dim] = resultType().getDimSize(dim) > 1 ? own[dim] * step : 0;
    }
    return strided(data, strides, offset);
  }

  Results gather(GatherOp gatherOp) const {
    Data data;
    auto indices = getIntegers(gatherOp.getIndices(), 1 << 20);
    std::optional<int64_t> bytes = resultBytes();
    if (!indices || !bytes || !load(gatherOp.getData(), data))
      return {};
    int64_t axis = gatherOp.getAxis(), rank = data.type.getRank();
    axis = axis < 0 ? axis + rank : axis;
    int64_t size = data.shape()[axis], outer = 1;
    for (int64_t dim : data.shape().take_front(axis))
      outer *= dim;
    int64_t inner =
        getStrides(data.shape())[axis] * int64_t(getElementBytes(data.type.getElementType()));
    SmallVector<char> result;
    result.reserve(*bytes);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t index : *indices) {
        index = index < 0 ? index + size : index;
        if (index < 0 || index >= size)
          return {};
        const char *row = data.bytes.data() + (o * size + index) * inner;
        result.append(row, row + inner);
      }
    return int64_t(result.size()) == *bytes ? make(result) : Results();
  }

  Results concat(ConcatOp concatOp) const {
    std::optional<int64_t> bytes = getBytes(resultType());
    // Joined with itself again and again, a constant would double each time.
    int64_t distinct = 0;
    for (Value input :
         llvm::SetVector<Value>(concatOp.getInputs().begin(), concatOp.getInputs().end()))
      distinct = llvm::SaturatingAdd<uint64_t>(
          distinct, getBytes(dyn_cast<RankedTensorType>(input.getType())).value_or(0));
    if (!bytes || *bytes - distinct > maxGrowth)
      return {};
    SmallVector<Data> parts(concatOp.getInputs().size());
    int64_t total = 0;
    for (auto [input, part] : llvm::zip(concatOp.getInputs(), parts)) {
      if (!load(input, part))
        return {};
      total += part.bytes.size();
    }
    if (total != *bytes)
      return {};
    int64_t outer = 1;
    for (int64_t dim : resultType().getShape().take_front(concatOp.getAxis()))
      outer *= dim;
    SmallVector<char> result;
    result.reserve(*bytes);
    for (int64_t o = 0; o < outer; ++o)
      for (const Data &part : parts) {
        int64_t chunk = part.bytes.size() / outer;
        result.append(part.bytes.begin() + o * chunk, part.bytes.begin() + (o + 1) * chunk);
      }
    return make(result);
  }

  Results split(SplitOp splitOp) const {
    Data data;
    if (!load(splitOp.getData(), data))
      return {};
    Results results;
    SmallVector<int64_t> strides = getStrides(data.shape());
    int64_t axis = splitOp.getAxis(), offset = 0;
    for (unsigned i = 0; i < splitOp.getNumResults(); ++i) {
      std::optional<int64_t> bytes = resultBytes(i);
      if (!bytes || offset + resultType(i).getDimSize(axis) > data.shape()[axis])
        return {};
      results.push_back(
          makeConstantAttr(resultType(i), gatherStrided(data, resultType(i).getShape(), strides,
                                                        offset * strides[axis], *bytes)));
      offset += resultType(i).getDimSize(axis);
    }
    return results;
  }

  Results pad(PadOp padOp) const {
    Data data, fill;
    auto pads = getIntegers(padOp.getPads());
    std::optional<int64_t> bytes = resultBytes();
    if (!pads || !bytes || padOp.getMode() != PadMode::constant || !load(padOp.getData(), data))
      return {};
    int64_t rank = data.type.getRank();
    auto axes = padOp.getAxes() ? getIntegers(padOp.getAxes())
                                : std::optional(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
    unsigned width = getElementBytes(data.type.getElementType());
    if (!axes || pads->size() != 2 * axes->size() ||
        (padOp.getValue() && (!load(padOp.getValue(), fill) || fill.bytes.size() != width)))
      return {};
    SmallVector<int64_t> strides = getStrides(resultType().getShape());
    int64_t offset = 0;
    for (auto [i, axis] : llvm::enumerate(*axes)) {
      int64_t dim = axis < 0 ? axis + rank : axis;
      if (dim < 0 || dim >= rank || (*pads)[i] < 0 || (*pads)[i + axes->size()] < 0)
        return {};
      offset += (*pads)[i] * strides[dim];
    }
    SmallVector<char> result(*bytes, 0);
    if (padOp.getValue())
      for (int64_t i = 0; i < *bytes; i += width)
        memcpy(result.data() + i, fill.bytes.data(), width);
    const char *in = data.bytes.data();
    forEach(data.shape(), strides, offset, [&](int64_t position) {
      memcpy(result.data() + position * width, in, width);
      in += width;
    });
    return make(result);
  }

  Results full(FullOp fullOp) const {
    // Some exporters write weights so: it is better to pack them now than to fill them in each run.
    constexpr int64_t maxBytes = 64 << 20;
    std::optional<int64_t> bytes = getBytes(resultType());
    if (!bytes || *bytes > maxBytes)
      return {};
    auto value = cast<DenseElementsAttr>(fullOp.getValue());
    SmallVector<char> storage, result;
    ArrayRef<char> element = getConstantBytes(value, storage);
    if (element.empty())
      return {};
    result.reserve(*bytes);
    while (int64_t(result.size()) < *bytes)
      result.append(element.begin(), element.end());
    return make(result);
  }

  //===--------------------------------------------------------------------===//
  // Arithmetic
  //===--------------------------------------------------------------------===//

  template <typename In, typename Out, typename Function>
  Results mapBinary(const Data &lhs, const Data &rhs, Function function) const {
    std::optional<int64_t> bytes = resultBytes();
    if (!bytes)
      return {};
    ArrayRef<int64_t> shape = resultType().getShape();
    if (lhs.type.getRank() > int64_t(shape.size()) || rhs.type.getRank() > int64_t(shape.size()))
      return {};
    // Both operands are first brought to the result's shape, which keeps the loop simple.
    int64_t count = resultType().getNumElements();
    auto spread = [&](const Data &data) {
      return gatherStrided(data, shape, getBroadcastStrides(data.shape(), shape), 0,
                           count * int64_t(sizeof(In)));
    };
    SmallVector<char> left = spread(lhs), right = spread(rhs), result;
    result.resize_for_overwrite(*bytes);
    for (int64_t i = 0; i < count; ++i) {
      In a, b;
      memcpy(&a, left.data() + i * sizeof(In), sizeof(In));
      memcpy(&b, right.data() + i * sizeof(In), sizeof(In));
      std::optional<Out> value = function(a, b);
      if (!value)
        return {};
      memcpy(result.data() + i * sizeof(Out), &*value, sizeof(Out));
    }
    return make(result);
  }

  template <typename T> static std::optional<T> compute(BinaryKind kind, T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      switch (kind) {
      case BinaryKind::add:
        return a + b;
      case BinaryKind::sub:
        return a - b;
      case BinaryKind::mul:
        return a * b;
      case BinaryKind::div:
        return a / b;
      case BinaryKind::min:
        return std::isnan(a) || std::isnan(b) ? std::optional<T>() : std::min(a, b);
      case BinaryKind::max:
        return std::isnan(a) || std::isnan(b) ? std::optional<T>() : std::max(a, b);
      default:
        return std::nullopt;
      }
    } else {
      using U = std::make_unsigned_t<T>;
      switch (kind) {
      case BinaryKind::add:
        return T(U(a) + U(b));
      case BinaryKind::sub:
        return T(U(a) - U(b));
      case BinaryKind::mul:
        return T(U(a) * U(b));
      case BinaryKind::div:
        if (b == 0 || (a == std::numeric_limits<T>::min() && b == -1))
          return std::nullopt;
        return a / b;
      case BinaryKind::min:
        return std::min(a, b);
      case BinaryKind::max:
        return std::max(a, b);
      default:
        return std::nullopt;
      }
    }
  }

  template <typename T> static std::optional<bool> compare(BinaryKind kind, T a, T b) {
    switch (kind) {
    case BinaryKind::equal:
      return a == b;
    case BinaryKind::less:
      return a < b;
    case BinaryKind::less_equal:
      return a <= b;
    case BinaryKind::greater:
      return a > b;
    case BinaryKind::greater_equal:
      return a >= b;
    default:
      return std::nullopt;
    }
  }

  template <typename T> Results binary(BinaryKind kind, const Data &lhs, const Data &rhs) const {
    if (resultType().getElementType().isInteger(1))
      return mapBinary<T, uint8_t>(
          lhs, rhs, [&](T a, T b) -> std::optional<uint8_t> { return compare(kind, a, b); });
    return mapBinary<T, T>(lhs, rhs, [&](T a, T b) { return compute(kind, a, b); });
  }

  Results binary(BinaryOp binaryOp) const {
    Data lhs, rhs;
    if (!resultBytes() || !load(binaryOp.getLhs(), lhs) || !load(binaryOp.getRhs(), rhs) ||
        lhs.type.getElementType() != rhs.type.getElementType())
      return {};
    Type type = lhs.type.getElementType();
    BinaryKind kind = binaryOp.getKind();
    if (type.isF32())
      return binary<float>(kind, lhs, rhs);
    if (type.isF64())
      return binary<double>(kind, lhs, rhs);
    if (type.isSignlessInteger(64))
      return binary<int64_t>(kind, lhs, rhs);
    if (type.isSignlessInteger(32))
      return binary<int32_t>(kind, lhs, rhs);
    return {};
  }

  Results unary(UnaryOp unaryOp) const {
    Data data;
    std::optional<int64_t> bytes = resultBytes();
    if (!bytes || !load(unaryOp.getInput(), data) || !data.type.getElementType().isF32() ||
        resultType().getElementType() != data.type.getElementType())
      return {};
    float (*function)(float) = nullptr;
    switch (unaryOp.getKind()) { // those that IEEE 754 defines to the last bit
    case UnaryKind::sqrt:
      function = [](float x) { return std::sqrt(x); };
      break;
    case UnaryKind::reciprocal:
      function = [](float x) { return 1.0f / x; };
      break;
    case UnaryKind::neg:
      function = [](float x) { return -x; };
      break;
    case UnaryKind::abs:
      function = [](float x) { return std::fabs(x); };
      break;
    case UnaryKind::floor:
      function = [](float x) { return std::floor(x); };
      break;
    case UnaryKind::ceil:
      function = [](float x) { return std::ceil(x); };
      break;
    case UnaryKind::round:
      function = [](float x) { return std::nearbyint(x); };
      break;
    default:
      return {};
    }
    SmallVector<char> result(data.bytes);
    for (int64_t i = 0; i < *bytes; i += sizeof(float)) {
      float value;
      memcpy(&value, result.data() + i, sizeof(float));
      value = function(value);
      memcpy(result.data() + i, &value, sizeof(float));
    }
    return make(result);
  }

  /// Casts go through int64 or double, one of which holds every value of the source exactly.
  Results cast(CastOp castOp) const {
    Data data;
    std::optional<int64_t> bytes = resultBytes();
    if (!bytes || !load(castOp.getInput(), data))
      return {};
    Type from = data.type.getElementType(), to = resultType().getElementType();
    int64_t count = data.type.getNumElements();
    bool toInteger = to.isSignlessInteger(64) || to.isSignlessInteger(32) || to.isInteger(1);
    if (!toInteger && !to.isF32() && !to.isF64())
      return {};
    SmallVector<char> result;
    result.resize_for_overwrite(*bytes);
    auto store = [&](int64_t i, auto value) {
      memcpy(result.data() + i * sizeof(value), &value, sizeof(value));
    };
    if (isa<IntegerType>(from)) {
      auto values = getIntegers(castOp.getInput(), 1 << 24);
      if (!values || int64_t(values->size()) != count)
        return {};
      for (auto [i, value] : llvm::enumerate(*values)) {
        if (to.isF32())
          store(i, float(value));
        else if (to.isF64())
          store(i, double(value));
        else if (to.isInteger(1))
          store(i, uint8_t(value != 0));
        else if (to.isSignlessInteger(32))
          store(i, int32_t(uint32_t(value)));
        else
          store(i, value);
      }
      return make(result);
    }
    bool isHalf = from.isF16() || from.isBF16();
    if (!isHalf && !from.isF32() && !from.isF64())
      return {};
    for (int64_t i = 0; i < count; ++i) {
      double value;
      if (from.isF64()) {
        memcpy(&value, data.bytes.data() + i * 8, 8);
      } else if (from.isF32()) {
        float single;
        memcpy(&single, data.bytes.data() + i * 4, 4);
        value = single;
      } else {
        uint16_t bits;
        memcpy(&bits, data.bytes.data() + i * 2, 2);
        value = APFloat(from.isF16() ? APFloat::IEEEhalf() : APFloat::BFloat(), APInt(16, bits))
                    .convertToDouble();
      }
      // Integers out of range are undefined in ONNX; the compiled cast decides what they give.
      if (toInteger && !to.isInteger(1) &&
          !(std::abs(value) < (to.isSignlessInteger(32) ? 0x1p31 : 0x1p63)))
        return {};
      if (to.isF32())
        store(i, float(value));
      else if (to.isF64())
        store(i, value);
      else if (to.isInteger(1))
        store(i, uint8_t(value != 0));
      else if (to.isSignlessInteger(32))
        store(i, int32_t(value));
      else
        store(i, int64_t(value));
    }
    return make(result);
  }

  Results select(SelectOp selectOp) const {
    Data condition, lhs, rhs;
    std::optional<int64_t> bytes = resultBytes();
    if (!bytes || !load(selectOp.getCondition(), condition) || !load(selectOp.getLhs(), lhs) ||
        !load(selectOp.getRhs(), rhs))
      return {};
    ArrayRef<int64_t> shape = resultType().getShape();
    for (const Data *data : {&condition, &lhs, &rhs})
      if (data->type.getRank() > int64_t(shape.size()))
        return {};
    int64_t count = resultType().getNumElements(), width = count ? *bytes / count : 1;
    auto spread = [&](const Data &data, int64_t size) {
      return gatherStrided(data, shape, getBroadcastStrides(data.shape(), shape), 0, size);
    };
    SmallVector<char> choice = spread(condition, count), left = spread(lhs, *bytes),
                      right = spread(rhs, *bytes);
    for (int64_t i = 0; i < count; ++i)
      if (!choice[i])
        memcpy(left.data() + i * width, right.data() + i * width, width);
    return make(left);
  }
};

} // namespace

SmallVector<TypedAttr> lathe::graph::foldConstants(Operation *op, int64_t maxGrowth) {
  for (Value operand : op->getOperands())
    if (!getConstantValue(operand))
      return {};
  Folder folder{op, maxGrowth};
  return TypeSwitch<Operation *, Results>(op)
      .Case([&](TransposeOp op) { return folder.transpose(op); })
      .Case([&](ExpandOp op) { return folder.expand(op); })
      .Case([&](SliceOp op) { return folder.slice(op); })
      .Case([&](GatherOp op) { return folder.gather(op); })
      .Case([&](ConcatOp op) { return folder.concat(op); })
      .Case([&](SplitOp op) { return folder.split(op); })
      .Case([&](PadOp op) { return folder.pad(op); })
      .Case([&](FullOp op) { return folder.full(op); })
      .Case([&](BinaryOp op) { return folder.binary(op); })
      .Case([&](UnaryOp op) { return folder.unary(op); })
      .Case([&](CastOp op) { return folder.cast(op); })
      .Case([&](SelectOp op) { return folder.select(op); })
      .Default([](Operation *) { return Results(); });
}

namespace {
struct FoldConstants : RewritePattern {
  FoldConstants(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/10, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (isa<ConstantOp>(op) || !isa_and_nonnull<GraphDialect>(op->getDialect()))
      return rewriter.notifyMatchFailure(op, "not an operation to fold");
    SmallVector<TypedAttr> values = foldConstants(op);
    if (values.empty())
      return rewriter.notifyMatchFailure(op, "operands are not constant, or not supported");
    SmallVector<Value> results;
    for (TypedAttr value : values)
      results.push_back(
          ConstantOp::create(rewriter, op->getLoc(), value.getType(), value).getResult());
    rewriter.replaceOp(op, results);
    return success();
  }
};
} // namespace

void lathe::graph::populateConstantFoldPatterns(RewritePatternSet &patterns) {
  patterns.add<FoldConstants>(patterns.getContext());
}
