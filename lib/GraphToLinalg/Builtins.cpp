// Calls of builtins on whole tensors and on values that are no tensors.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Builtins.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

SmallVector<Tensor> lathe::g2l::callBuiltin(Lowering &l, StringRef callee, ArrayRef<Tensor> inputs,
                                            ArrayRef<int64_t> parameters, ArrayRef<Made> results,
                                            StringRef message) {
  SmallVector<Value> operands;
  for (const Tensor &input : inputs)
    operands.push_back(input.value);
  SmallVector<Type> types, sizeTypes;
  for (const Made &made : results) {
    if (!made.element) {
      types.push_back(rt::ValueType::get(l.context));
      continue;
    }
    SmallVector<int64_t> shape;
    for (OpFoldResult size : made.sizes) {
      std::optional<int64_t> known = size ? getConstantIntValue(size) : std::nullopt;
      shape.push_back(known.value_or(ShapedType::kDynamic));
      if (!known)
        sizeTypes.push_back(l.b.getIndexType());
    }
    types.push_back(RankedTensorType::get(shape, getStorageType(made.element)));
  }
  auto call =
      rt::CallOp::create(l.b, l.loc, types, sizeTypes, callee, operands, parameters, message);
  SmallVector<Tensor> tensors;
  auto given = call.getSizes().begin();
  for (auto [made, value] : llvm::zip_equal(results, call.getResults())) {
    Tensor tensor{value, {}, made.element};
    bool renamed = false;
    for (OpFoldResult size : made.sizes) {
      bool isStatic = size && getConstantIntValue(size);
      OpFoldResult own = isStatic ? size : l.markSize(*given++);
      renamed |= size && !isStatic;
      tensor.sizes.push_back(size ? size : own);
    }
    // Sizes that are known under another name keep it.
    if (renamed) {
      SmallVector<OpFoldResult> zeros(tensor.rank(), l.size(0)), ones(tensor.rank(), l.size(1));
      tensor.value = tensor::ExtractSliceOp::create(l.b, l.loc, value, zeros, tensor.sizes, ones);
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

bool lathe::g2l::isValue(Type type) { return !isa<RankedTensorType>(type); }

Value lathe::g2l::castToValue(Lowering &l, Type type, const Tensor &tensor) {
  if (!isValue(type) || isa<rt::ValueType>(tensor.value.getType()))
    return tensor.value;
  int64_t dtype = *graph::getElementNumber(tensor.element);
  return callBuiltin(l, "lathe_value_of_tensor", {tensor}, {dtype}, {Made()},
                     "a value cannot be copied")
      .front()
      .value;
}
