// The types that a model declares for values.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/ValueTypes.h"
#include "dialects/Graph/Map.h"
#include "dialects/Graph/Weights.h"
#include "lathe/ArtifactFormat.h"
#include "lib/Import/ElementTypes.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using Refuse = llvm::function_ref<Type(const Twine &)>;

static Type importTensor(MLIRContext *context, const onnx::TypeProto::Tensor &tensor,
                         Refuse refuse) {
  Type element = elementTypeOf(context, tensor.elem_type());
  if (!element)
    return refuse("has element type " + onnxTypeName(tensor.elem_type()) +
                  ", which is not supported");
  if (!tensor.has_shape())
    return UnrankedTensorType::get(element);
  if (tensor.shape().dim_size() > int(LATHE_MAX_RANK))
    return refuse("has rank " + Twine(tensor.shape().dim_size()) + ", the limit is " +
                  Twine(LATHE_MAX_RANK));
  SmallVector<int64_t> dims;
  for (const auto &dim : tensor.shape().dim())
    dims.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value()
                                                               : ShapedType::kDynamic);
  auto type = RankedTensorType::get(dims, element);
  SmallVector<int64_t> least(dims);
  for (int64_t &dim : least)
    dim = ShapedType::isDynamic(dim) ? 1 : dim;
  if (!graph::getStorageBytes(RankedTensorType::get(least, element)))
    return refuse(llvm::formatv("has type {0}, which is too large", type).str());
  return type;
}

static Type importMap(MLIRContext *context, const onnx::TypeProto::Map &map, Type value,
                      Refuse refuse) {
  Type key = elementTypeOf(context, map.key_type());
  auto tensor = dyn_cast<TensorType>(value);
  bool isSingle = tensor && !(tensor.hasRank() && tensor.getRank() > 1);
  if (!key || !(key.isSignlessInteger(64) || isa<graph::StringType>(key)) || !isSingle)
    return refuse("is a map from " + onnxTypeName(map.key_type()) +
                  "; supported are maps from int64 and string to single elements");
  return graph::makeMapType(key, tensor.getElementType());
}

static Type importNested(MLIRContext *context, const onnx::TypeProto &type, Refuse refuse,
                         unsigned depth) {
  if (depth > LATHE_MAX_NESTING)
    return refuse("nests deeper than " + Twine(LATHE_MAX_NESTING) + " levels");
  auto held = [&](const onnx::TypeProto &inner) {
    return importNested(context, inner, refuse, depth + 1);
  };
  switch (type.value_case()) {
  case onnx::TypeProto::kTensorType:
    return importTensor(context, type.tensor_type(), refuse);
  case onnx::TypeProto::kSequenceType: {
    Type element = held(type.sequence_type().elem_type());
    return element ? Type(graph::SequenceType::get(context, element)) : Type();
  }
  case onnx::TypeProto::kOptionalType: {
    Type element = held(type.optional_type().elem_type());
    return element ? Type(graph::OptionalType::get(context, element)) : Type();
  }
  case onnx::TypeProto::kMapType: {
    Type value = held(type.map_type().value_type());
    return value ? importMap(context, type.map_type(), value, refuse) : Type();
  }
  case onnx::TypeProto::kSparseTensorType:
    return refuse("is a sparse tensor, which is not supported");
  case onnx::TypeProto::kOpaqueType:
    return refuse("is opaque, which is not supported");
  case onnx::TypeProto::VALUE_NOT_SET:
    break;
  }
  return refuse("has no type");
}

Type lathe::import::importType(MLIRContext *context, const onnx::TypeProto &type, Refuse refuse) {
  return importNested(context, type, refuse, 0);
}
