// Reading constants of the graph dialect.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Constants.h"
#include "dialects/Graph/Weights.h"

using namespace mlir;
using namespace lathe::graph;

TypedAttr lathe::graph::getConstantValue(Value value) {
  auto constant = value ? value.getDefiningOp<ConstantOp>() : ConstantOp();
  return constant ? constant.getValue() : TypedAttr();
}

std::optional<SmallVector<int64_t>> lathe::graph::getIntegers(TypedAttr value, int64_t limit) {
  if (!value || !isa<DenseElementsAttr, WeightAttr>(value))
    return std::nullopt;
  auto type = cast<ShapedType>(value.getType());
  auto element = dyn_cast<IntegerType>(type.getElementType());
  if (!element || !type.hasStaticShape() || type.getNumElements() > limit)
    return std::nullopt;
  unsigned bytes = element.getWidth() == 1 ? 1 : element.getWidth() / 8;
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
    return std::nullopt;
  SmallVector<char> storage;
  ArrayRef<char> data = getConstantBytes(value, storage);
  if (data.size() != size_t(type.getNumElements()) * bytes)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (size_t i = 0; i < data.size(); i += bytes) {
    uint64_t bits = 0;
    memcpy(&bits, data.data() + i, bytes);
    if (element.isUnsigned() || element.getWidth() == 1) {
      if (bits > uint64_t(INT64_MAX))
        return std::nullopt;
      result.push_back(bits);
    } else {
      result.push_back(llvm::SignExtend64(bits, bytes * 8));
    }
  }
  return result;
}

std::optional<SmallVector<int64_t>> lathe::graph::getIntegers(Value value, int64_t limit) {
  return getIntegers(getConstantValue(value), limit);
}

std::optional<double> lathe::graph::getSplat(Value value) {
  auto dense = dyn_cast_if_present<DenseElementsAttr>(getConstantValue(value));
  if (!dense || dense.empty())
    return std::nullopt;
  Type element = dense.getElementType();
  if (auto type = dyn_cast<FloatType>(element)) {
    if (type.getWidth() != 16 && type.getWidth() != 32 && type.getWidth() != 64)
      return std::nullopt;
    auto values = dense.getValues<APFloat>();
    APFloat first = *values.begin();
    if (!dense.isSplat() &&
        !llvm::all_of(values, [&](const APFloat &v) { return v.bitwiseIsEqual(first); }))
      return std::nullopt;
    return first.convertToDouble();
  }
  if (auto type = dyn_cast<IntegerType>(element); type && type.getWidth() <= 64) {
    auto values = dense.getValues<APInt>();
    APInt first = *values.begin();
    if (!dense.isSplat() && !llvm::all_of(values, [&](const APInt &v) { return v == first; }))
      return std::nullopt;
    return type.isUnsigned() || type.getWidth() == 1 ? double(first.getZExtValue())
                                                     : double(first.getSExtValue());
  }
  return std::nullopt;
}

TypedAttr lathe::graph::reshapeConstant(TypedAttr value, RankedTensorType type) {
  auto from = dyn_cast_if_present<RankedTensorType>(value ? value.getType() : Type());
  if (!from || !type || !type.hasStaticShape() || !from.hasStaticShape() ||
      from.getElementType() != type.getElementType() || !type.getElementType().isIntOrFloat() ||
      from.getNumElements() != type.getNumElements())
    return {};
  if (auto dense = dyn_cast<DenseElementsAttr>(value))
    return dense.reshape(type);
  if (auto weight = dyn_cast<WeightAttr>(value))
    return WeightAttr::get(type.getContext(), weight.getFile(), weight.getOffset(),
                           weight.getLength(), weight.getHash(), type);
  return {};
}

Value lathe::graph::makeIntegers(OpBuilder &builder, Location loc, ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({int64_t(values.size())}, builder.getI64Type());
  return ConstantOp::create(builder, loc, type, DenseElementsAttr::get(type, values)).getResult();
}

bool lathe::graph::hasSizes(Type type, ArrayRef<int64_t> sizes) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  return ranked && ranked.getRank() == int64_t(sizes.size()) &&
         llvm::all_of_zip(sizes, ranked.getShape(), [](int64_t wanted, int64_t size) {
           return wanted == -1 || wanted == size;
         });
}

bool lathe::graph::isReshapeTarget(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  return ranked && ranked.getNumDynamicDims() <= 1 && !llvm::is_contained(ranked.getShape(), 0);
}

Value lathe::graph::makeReshape(OpBuilder &builder, Location loc, Value value,
                                RankedTensorType type) {
  if (value.getType() == type)
    return value;
  SmallVector<int64_t> shape(type.getShape());
  for (int64_t &size : shape)
    if (ShapedType::isDynamic(size))
      size = -1;
  return ReshapeOp::create(builder, loc, type, value, makeIntegers(builder, loc, shape))
      .getResult();
}
