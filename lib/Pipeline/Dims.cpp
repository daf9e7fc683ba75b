// What --dim says of the model's symbolic dimensions.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

static constexpr StringLiteral boundsAttrName = "graph.dim_bounds";
// Each adds about as much code as the general form.
static constexpr size_t mostSpecialized = 64;

/// Calls `visit` with each dimension of the inputs that has a symbol.
static void forEachDim(func::FuncOp main, llvm::function_ref<void(const DimPlace &)> visit) {
  for (unsigned input = 0; input < main.getNumArguments(); ++input) {
    auto type = dyn_cast<RankedTensorType>(main.getArgument(input).getType());
    auto dims = main.getArgAttrOfType<ArrayAttr>(input, "graph.dims");
    if (!type || !dims || int64_t(dims.size()) != type.getRank())
      continue;
    for (auto [dim, symbol] : llvm::enumerate(dims.getAsRange<StringAttr>()))
      if (type.isDynamicDim(dim) && !symbol.getValue().empty())
        visit({input, unsigned(dim), symbol.getValue()});
  }
}

static llvm::Error checkName(func::FuncOp main, StringRef name) {
  llvm::SetVector<StringRef> known;
  forEachDim(main, [&](const DimPlace &place) { known.insert(place.symbol); });
  if (known.contains(name))
    return llvm::Error::success();
  return llvm::createStringError("the model has no symbolic dimension '" + name +
                                 "'; those of its inputs are " +
                                 (known.empty() ? "none" : "'" + llvm::join(known, "', '") + "'"));
}

llvm::Error lathe::pipeline::checkNames(func::FuncOp main,
                                        ArrayRef<std::pair<std::string, int64_t>> sizes) {
  for (const auto &[name, size] : sizes)
    if (llvm::Error error = checkName(main, name))
      return error;
  return llvm::Error::success();
}

llvm::Error lathe::pipeline::checkDims(func::FuncOp main, const CompileOptions &options) {
  llvm::StringSet<> bounded;
  for (const DimBounds &bounds : options.dimBounds) {
    if (llvm::Error error = checkName(main, bounds.name))
      return error;
    if (!bounded.insert(bounds.name).second)
      return llvm::createStringError("dimension '" + bounds.name + "' has bounds twice");
    if (bounds.min < 0 || bounds.min > bounds.max)
      return llvm::createStringError("dimension '" + bounds.name + "' cannot be " +
                                     Twine(bounds.min) + " to " + Twine(bounds.max));
  }
  if (options.deterministic && !options.dimSizes.empty())
    return llvm::createStringError("code for some sizes of dimension '" +
                                   options.dimSizes.front().name +
                                   "' rounds otherwise than the general code, which "
                                   "--deterministic excludes: give bounds or one size");
  size_t combinations = 1;
  for (const DimSizes &dim : options.dimSizes) {
    if (llvm::Error error = checkName(main, dim.name))
      return error;
    for (const DimBounds &bounds : options.dimBounds)
      for (int64_t size : dim.sizes)
        if (bounds.name == dim.name && (size < bounds.min || size > bounds.max))
          return llvm::createStringError("dimension '" + dim.name + "' cannot be " + Twine(size) +
                                         ": its bounds are " + Twine(bounds.min) + " and " +
                                         Twine(bounds.max));
    combinations = std::min(combinations * dim.sizes.size(), mostSpecialized + 1);
  }
  if (combinations > mostSpecialized)
    return llvm::createStringError(
        "the sizes of dimensions have more than " + Twine(mostSpecialized) +
        " combinations, each of which would get code of its own; give fewer sizes");
  return llvm::Error::success();
}

void lathe::pipeline::fixDims(func::FuncOp main, ArrayRef<std::pair<std::string, int64_t>> sizes) {
  Builder builder(main.getContext());
  for (const auto &[name, size] : sizes) {
    SmallVector<DimPlace> places;
    forEachDim(main, [&, &name = name](const DimPlace &place) {
      if (place.symbol == name)
        places.push_back(place);
    });
    for (const DimPlace &place : places) {
      BlockArgument argument = main.getArgument(place.input);
      auto type = cast<RankedTensorType>(argument.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape[place.dim] = size;
      argument.setType(RankedTensorType::get(shape, type.getElementType()));
      SmallVector<Attribute> dims(
          main.getArgAttrOfType<ArrayAttr>(place.input, "graph.dims").getValue());
      dims[place.dim] = builder.getStringAttr("");
      main.setArgAttr(place.input, "graph.dims", builder.getArrayAttr(dims));
    }
  }
  main.setFunctionType(builder.getFunctionType(main.front().getArgumentTypes(),
                                               main.getFunctionType().getResults()));
}

void lathe::pipeline::recordBounds(ModuleOp module, ArrayRef<DimBounds> bounds) {
  if (bounds.empty())
    return;
  Builder builder(module.getContext());
  SmallVector<NamedAttribute> entries;
  for (const DimBounds &dim : bounds)
    entries.push_back(
        builder.getNamedAttr(dim.name, builder.getDenseI64ArrayAttr({dim.min, dim.max})));
  module->setAttr(boundsAttrName, builder.getDictionaryAttr(entries));
}

void lathe::pipeline::applyBounds(ModuleOp module, artifact::Entry &entry) {
  auto bounds = module->getAttrOfType<DictionaryAttr>(boundsAttrName);
  if (!bounds)
    return;
  for (std::vector<artifact::TensorSpec> *specs : {&entry.inputs, &entry.outputs})
    for (artifact::TensorSpec &spec : *specs)
      for (artifact::Dim &dim : spec.dims) {
        auto range = bounds.getAs<DenseI64ArrayAttr>(dim.symbol);
        if (dim.size != LATHE_DYNAMIC || dim.symbol.empty() || !range || range.size() != 2)
          continue;
        dim.min = range[0];
        dim.max = range[1];
      }
}

SmallVector<codegen::SizeTest> lathe::pipeline::findTests(func::FuncOp main, const Sizes &sizes) {
  SmallVector<codegen::SizeTest> tests;
  // Dims of one name are equal, which the runtime has checked: the first tells.
  for (const auto &[name, size] : sizes) {
    bool found = false;
    forEachDim(main, [&, &name = name, &size = size](const DimPlace &place) {
      if (place.symbol == name && !std::exchange(found, true))
        tests.push_back({place.input, place.dim, size});
    });
  }
  return tests;
}

std::string lathe::pipeline::describeSizes(const Sizes &sizes) {
  SmallVector<std::string> texts;
  for (const auto &[name, size] : sizes)
    texts.push_back(name + "=" + std::to_string(size));
  return llvm::join(texts, ", ");
}
