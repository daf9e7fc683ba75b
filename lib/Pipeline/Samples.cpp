// Batches whose samples are computed apart: which sizes are theirs, and what an entry is told.
//
// Where the size of the batch is fixed the model is analysed with it open. What that proves, that a
// sample alone gives what it gives in a batch, makes the code for a batch of one all that is
// needed: the entry runs it as often as the size says.
// Apache-2.0 WITH LLVM-exception
#include "Compilation.h"
#include "lathe/GraphToLinalg.h"
#include "lathe/Import.h"
#include "lathe/Schedule.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

static unsigned elementBytes(Type type) {
  return std::max(8u, cast<RankedTensorType>(type).getElementTypeBitWidth()) / 8;
}

Samples lathe::pipeline::describeSamples(func::FuncOp main, const artifact::Entry &entry) {
  auto names = main->getAttrOfType<ArrayAttr>(schedule::samplesAttrName);
  auto count = main->getAttrOfType<IntegerAttr>(schedule::sampleCountAttrName);
  // States, and outputs in the memory of inputs, belong to the whole batch.
  auto isBound = [](const artifact::TensorSpec &spec) {
    return spec.state >= 0 || spec.alias >= 0;
  };
  bool isMarked = count || (names && !names.empty());
  if (!isMarked || entry.inputs.size() + entry.outputs.size() > mostSampleValues ||
      llvm::any_of(entry.inputs, isBound) || llvm::any_of(entry.outputs, isBound))
    return {};
  Samples samples;
  samples.count = count ? count.getInt() : 0;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    SampleValue value = {0, 0};
    for (auto [d, dim] : llvm::enumerate(entry.inputs[i].dims)) {
      auto isNamed = [&](Attribute name) {
        return dim.size == LATHE_DYNAMIC && cast<StringAttr>(name).getValue() == dim.symbol;
      };
      bool hasSamples = d == 0 && (count ? bool(main.getArgAttr(i, schedule::batchInputAttrName))
                                         : isNamed(names[0]));
      if (hasSamples)
        value.elementBytes = elementBytes(main.getArgumentTypes()[i]);
      else if (!count && llvm::any_of(names.getValue().drop_front(), isNamed))
        value.openDims |= 1u << d;
    }
    samples.values.push_back(value);
  }
  for (Type type : main.getResultTypes())
    samples.values.push_back({elementBytes(type), 0});
  return samples;
}

void lathe::pipeline::markFixedBatch(func::FuncOp main, const FixedBatch &batch) {
  Builder builder(main.getContext());
  main->setAttr(schedule::sampleCountAttrName, builder.getI64IntegerAttr(batch.count));
  for (unsigned input : batch.inputs)
    main.setArgAttr(input, schedule::batchInputAttrName, builder.getUnitAttr());
}

LogicalResult lathe::pipeline::applySampleCount(func::FuncOp main, artifact::Entry &entry) {
  auto count = main->getAttrOfType<IntegerAttr>(schedule::sampleCountAttrName);
  if (!count)
    return success();
  auto apply = [&](artifact::TensorSpec &spec, StringRef kind) -> LogicalResult {
    int64_t elements = count.getInt();
    bool fits = elements > 0 && !spec.dims.empty();
    for (const artifact::Dim &dim : spec.dims)
      fits &= dim.size == LATHE_DYNAMIC || !llvm::MulOverflow(elements, dim.size, elements);
    // Elements have 16 bytes at most.
    if (!fits || elements > INT64_MAX / 16)
      return emitError(main.getLoc()) << kind << " '" << spec.name << "' cannot have "
                                      << count.getInt() << " samples in its first dimension";
    if (spec.dims[0].size != LATHE_DYNAMIC)
      spec.dims[0].size *= count.getInt();
    return success();
  };
  for (auto [i, spec] : llvm::enumerate(entry.inputs))
    if (main.getArgAttr(i, schedule::batchInputAttrName) && failed(apply(spec, "input")))
      return failure();
  for (artifact::TensorSpec &spec : entry.outputs)
    if (failed(apply(spec, "output")))
      return failure();
  return success();
}

/// Whether samples are run apart at `sizes`, as the general code decides it when running.
bool Compilation::isApart(const schedule::SampleSplit &split, const Sizes &sizes) const {
  if (options.batch == "each")
    return true;
  return split.isWorthwhile && llvm::all_of(split.rows, [&](const std::string &row) {
           auto isLarge = [&](const auto &known) {
             return known.first == row && known.second >= schedule::leastOpenSize;
           };
           return llvm::any_of(sizes, isLarge) ||
                  llvm::any_of(options.dimBounds, [&](const DimBounds &bounds) {
                    return bounds.name == row && bounds.min >= schedule::leastOpenSize;
                  });
         });
}

std::optional<schedule::SampleRefusal> Compilation::refuseFixedBatch(Sizes others,
                                                                     FixedBatch &found) {
  Location unknown = UnknownLoc::get(&context);
  std::string message;
  ScopedDiagnosticHandler quiet(&context, [&](Diagnostic &diagnostic) {
    if (message.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
      message = diagnostic.str();
    return success();
  });
  // Which of the names is that of a batch? Import alone tells.
  Sizes small;
  llvm::copy_if(others, std::back_inserter(small), [](const auto &dim) { return dim.second < 2; });
  OwningOpRef<ModuleOp> module = read(small, options.dynamicDims);
  auto main = module ? module->lookupSymbol<func::FuncOp>("main") : func::FuncOp();
  if (!main)
    return std::nullopt; // which the way that all models go will say
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    StringAttr name = main.isDeclaration() ? StringAttr() : schedule::findBatchName(main, i);
    if (!name)
      continue;
    if (found.inputs.empty()) {
      auto size = llvm::find_if(
          others, [&](const auto &dim) { return dim.first == name.getValue() && dim.second > 1; });
      if (size == others.end())
        continue;
      found.name = size->first;
      found.count = size->second;
    }
    if (name.getValue() == found.name)
      found.inputs.push_back(i);
  }
  if (found.inputs.empty() || found.count > mostFixedSamples) {
    found = FixedBatch();
    return std::nullopt;
  }
  if (!options.states.empty())
    return schedule::SampleRefusal{unknown, "states belong to the whole batch"};
  if (main.getNumArguments() + main.getNumResults() > mostSampleValues)
    return schedule::SampleRefusal{main.getLoc(), "there are more than " +
                                                      std::to_string(mostSampleValues) +
                                                      " inputs and outputs"};
  llvm::erase_if(others, [&](const auto &dim) { return dim.first == found.name; });
  if (isStageFile())
    fixDims(main, others);
  else if (others.size() > small.size())
    module = read(others, options.dynamicDims);
  if (!module || !runGraph(*module) || failed(convertGraphToLinalg(*module)))
    return schedule::SampleRefusal{unknown, "it cannot be open: " + message};
  std::optional<schedule::SampleRefusal> refusal;
  auto split = schedule::findSampleSplit(module->lookupSymbol<func::FuncOp>("main"), &refusal);
  if (split && split->symbol == found.name && isApart(*split, {}))
    return std::nullopt;
  return refusal ? refusal : schedule::SampleRefusal{unknown, "it is not worth it"};
}

bool Compilation::maySplit() const {
  // Earlier stages are those of the whole batch, as nothing has been decided there.
  bool isDecided = options.stopAfter.empty() || stopsAfter("schedule") || stopsAfter("codegen");
  return isDecided && options.optLevel > 0 && options.batch != "whole" && !hasDevices();
}

bool Compilation::findFixedBatch() {
  auto isOfSeveral = [](const auto &dim) { return dim.second > 1; };
  if (!maySplit() || !llvm::any_of(options.dims, isOfSeveral))
    return true;
  FixedBatch found;
  std::optional<schedule::SampleRefusal> refusal;
  stage("samples", [&] {
    refusal = refuseFixedBatch(options.dims, found);
    return true;
  });
  if (refusal) {
    if (options.batch != "each")
      return true;
    emitError(refusal->where) << "'" << found.name
                              << "' cannot be computed sample by sample, which "
                              << "--batch each asks for: " << refusal->why;
    return false;
  }
  if (found.inputs.empty())
    return true;
  for (auto &[name, size] : dims)
    if (name == found.name)
      size = 1;
  batch = std::move(found);
  return true;
}

// The sizes of a file are numbers. Which of them are that of the batch is a guess, and what is then
// proven makes it one that changes nothing: the model with the dimension open, at that very size,
// is the model, whatever the guess.
OwningOpRef<ModuleOp> Compilation::loadSample(func::FuncOp main) {
  if (!maySplit() || isStageFile() || options.dynamicDims || !options.states.empty() ||
      main.getNumArguments() + main.getNumResults() > mostSampleValues)
    return nullptr;
  FixedBatch found{"batch", 0, {}};
  Sizes sizes, ones;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    auto name = main.getArgAttrOfType<StringAttr>(i, "graph.name");
    if (!tensor || !tensor.hasStaticShape() || !name)
      return nullptr;
    // Lists of integers keep their lengths (ImportOptions::dynamicDims).
    if (tensor.getRank() == 1 && tensor.getElementType().isSignlessInteger(64))
      continue;
    for (auto [d, size] : llvm::enumerate(tensor.getShape())) {
      if (d == 0 && found.count == 0)
        found.count = size;
      bool isOfSamples = d == 0 && size == found.count;
      if (isOfSamples)
        found.inputs.push_back(i);
      (isOfSamples ? ones : sizes)
          .push_back({name.str() + "." + std::to_string(d), isOfSamples ? 1 : size});
    }
  }
  auto isOfSamples = [&](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() > 0 &&
           (tensor.isDynamicDim(0) || tensor.getDimSize(0) % found.count == 0);
  };
  if (found.count < 2 || found.count > mostFixedSamples ||
      !llvm::all_of(main.getResultTypes(), isOfSamples))
    return nullptr;
  bool isProven = false;
  stage("samples", [&] {
    ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
    OwningOpRef<ModuleOp> open = read(sizes, /*dynamicDims=*/true);
    auto openMain = open ? open->lookupSymbol<func::FuncOp>("main") : func::FuncOp();
    if (!openMain || openMain.getNumArguments() != main.getNumArguments())
      return true;
    Builder builder(&context);
    for (unsigned input : found.inputs) {
      auto type = cast<RankedTensorType>(main.getArgumentTypes()[input]);
      SmallVector<StringRef> names(type.getRank(), "");
      names[0] = found.name;
      openMain.setArgAttr(input, "graph.dims", builder.getStrArrayAttr(names));
    }
    if (!runGraph(*open) || failed(convertGraphToLinalg(*open)))
      return true;
    openMain = open->lookupSymbol<func::FuncOp>("main");
    auto split = schedule::findSampleSplit(openMain);
    isProven =
        split && isApart(*split, {}) && llvm::all_of(openMain.getResultTypes(), [](Type type) {
          return !llvm::is_contained(cast<ShapedType>(type).getShape().drop_front(),
                                     ShapedType::kDynamic);
        });
    return true;
  });
  if (!isProven)
    return nullptr;
  llvm::append_range(sizes, ones);
  OwningOpRef<ModuleOp> sample;
  stage("import", [&] { return bool(sample = read(sizes, /*dynamicDims=*/true)); });
  if (sample)
    batch = std::move(found);
  return sample;
}

// Code for a size must not be slower than the general code, which runs samples apart. Where that
// depends on sizes that only the run knows, the general code is left to it.
void Compilation::splitForms(func::FuncOp main, const schedule::SampleSplit &split) {
  if (describeSamples(main, entry).values.empty())
    return;
  FixedBatch shape{split.symbol, 0, {}};
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    if (StringAttr name = schedule::findBatchName(main, i); name && name.getValue() == split.symbol)
      shape.inputs.push_back(i);
  auto isOfOpenRows = [&](Specialized &form) {
    auto size =
        llvm::find_if(form.sizes, [&](const auto &dim) { return dim.first == split.symbol; });
    if (size == form.sizes.end() || size->second < 2 || size->second > mostFixedSamples)
      return false;
    bool isApartHere = isApart(split, form.sizes);
    if (isApartHere) {
      form.batch = shape;
      form.batch->count = size->second;
    }
    auto isKnown = [&](const std::string &row) {
      return llvm::any_of(form.sizes, [&](const auto &dim) { return dim.first == row; });
    };
    if (isApartHere || llvm::all_of(split.rows, isKnown))
      return false;
    generalSizes.push_back(form.sizes);
    return true;
  };
  llvm::erase_if(specialized, isOfOpenRows);
}
