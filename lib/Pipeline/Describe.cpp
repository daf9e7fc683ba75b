// What an artifact says of the values that a model takes and gives.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "dialects/Graph/Graph.h"
#include "dialects/Graph/Weights.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

/// Fills kind, dtype and dims, or says why an artifact cannot describe the type.
static std::string describeTensor(TensorType type, ArrayAttr dims, artifact::TensorSpec &spec) {
  std::optional<uint32_t> dtype = graph::getElementNumber(type.getElementType());
  if (!dtype)
    return llvm::formatv("has element type {0}, which an artifact cannot describe",
                         type.getElementType());
  spec.dtype = *dtype;
  spec.kind = *dtype == LATHE_STRING ? LATHE_VALUE_STRINGS : LATHE_VALUE_TENSOR;
  spec.anyRank = !type.hasRank();
  if (spec.anyRank)
    return "";
  if (type.getRank() > LATHE_MAX_RANK)
    return llvm::formatv("has rank {0}, more than {1}", type.getRank(), LATHE_MAX_RANK);
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    artifact::Dim dim;
    if (!ShapedType::isDynamic(size))
      dim.size = size;
    else if (dims && i < dims.size())
      dim.symbol = cast<StringAttr>(dims[i]).str();
    spec.dims.push_back(dim);
  }
  return "";
}

static std::string describeValue(Type type, ArrayAttr dims, artifact::TensorSpec &spec) {
  if (auto tensor = dyn_cast<TensorType>(type))
    return describeTensor(tensor, dims, spec);
  spec.dtype = 0;
  if (isa<NoneType>(type)) { // of a sequence that is always empty
    spec.kind = LATHE_VALUE_NONE;
    return "";
  }
  SmallVector<Type> held;
  if (auto sequence = dyn_cast<graph::SequenceType>(type)) {
    spec.kind = LATHE_VALUE_SEQUENCE;
    held = {sequence.getElement()};
  } else if (auto optional = dyn_cast<graph::OptionalType>(type)) {
    spec.kind = LATHE_VALUE_OPTIONAL;
    held = {optional.getElement()};
  } else if (auto map = dyn_cast<TupleType>(type)) {
    spec.kind = LATHE_VALUE_MAP;
    for (Type element : map.getTypes())
      held.push_back(RankedTensorType::get(ShapedType::kDynamic, element));
  } else {
    return llvm::formatv("has type {0}, which an artifact cannot describe", type);
  }
  for (Type item : held)
    if (std::string why = describeValue(item, {}, spec.items.emplace_back()); !why.empty())
      return why;
  return "";
}

/// Once lowered, the model's types stand in attributes.
static LogicalResult describe(func::FuncOp main, Type type, DictionaryAttr attrs,
                              artifact::TensorSpec &spec) {
  if (!attrs)
    attrs = DictionaryAttr::get(main.getContext());
  if (auto name = attrs.getAs<StringAttr>("graph.name"))
    spec.name = name.str();
  if (auto known = attrs.getAs<TypeAttr>("graph.type"))
    type = known.getValue();
  if (auto element = attrs.getAs<TypeAttr>("graph.element_type"))
    type = cast<RankedTensorType>(type).clone(element.getValue());
  std::string why = isa<UnrankedTensorType>(type)
                        ? llvm::formatv("has no known rank ({0}); give its shape", type).str()
                        : describeValue(type, attrs.getAs<ArrayAttr>("graph.dims"), spec);
  if (why.empty())
    return success();
  return emitError(main.getLoc()) << "'" << spec.name << "' " << why;
}

LogicalResult lathe::pipeline::describeEntry(func::FuncOp main, artifact::Entry &entry) {
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    if (failed(describe(main, main.getArgumentTypes()[i], main.getArgAttrDict(i),
                        entry.inputs.emplace_back())))
      return failure();
  for (unsigned i = 0; i < main.getNumResults(); ++i)
    if (failed(describe(main, main.getResultTypes()[i], main.getResultAttrDict(i),
                        entry.outputs.emplace_back())))
      return failure();
  return success();
}
