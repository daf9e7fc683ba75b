// The stages of a compilation, in order.
// Apache-2.0 WITH LLVM-exception
#include "Compilation.h"
#include "dialects/Graph/Weights.h"
#include "dialects/Rt/Rt.h"
#include "dialects/Sched/Sched.h"
#include "lathe/Graph.h"
#include "lathe/GraphToLinalg.h"
#include "lathe/Import.h"
#include "lathe/Schedule.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/Extensions/InlinerExtension.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SaveAndRestore.h"
#include "llvm/Support/TargetSelect.h"
#include <chrono>

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

Compilation::Compilation(const CompileOptions &options, std::string &errors, StringRef input,
                         MLIRContext *shared)
    : options(options), errors(errors), input(input),
      owned(shared ? nullptr : std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED)),
      context(shared ? *shared : *owned), cache(options.cacheFolder), dims(options.dims) {
  DialectRegistry registry;
  registry
      .insert<graph::GraphDialect, rt::RtDialect, sched::SchedDialect, func::FuncDialect,
              arith::ArithDialect, math::MathDialect, linalg::LinalgDialect, tensor::TensorDialect,
              scf::SCFDialect, memref::MemRefDialect, vector::VectorDialect, LLVM::LLVMDialect,
              cf::ControlFlowDialect, affine::AffineDialect>();
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false);
  handler = std::make_unique<ScopedDiagnosticHandler>(&context, [this](Diagnostic &diagnostic) {
    bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
    // The general form has warned already.
    if (isError || (diagnostic.getSeverity() == DiagnosticSeverity::Warning && !current))
      this->errors += formatDiagnostic(diagnostic) +
                      (current ? " (for " + describeSizes(current->sizes) + ")" : "") + "\n";
    return success();
  });
}

bool Compilation::stage(StringRef name, llvm::function_ref<bool()> work) {
  auto start = std::chrono::steady_clock::now();
  bool done = work();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (done && options.progress)
    options.progress(name.str(), seconds.count());
  return done;
}

bool Compilation::fail(llvm::Error error) {
  errors += llvm::toString(std::move(error)) + "\n";
  return false;
}

void Compilation::recordDigest(ModuleOp module) {
  if (digest.valid())
    module->setAttr("graph.sha256", StringAttr::get(&context, digest.get()));
}

bool Compilation::write(ModuleOp module, StringRef output) {
  recordDigest(module);
  if (llvm::Error error = writeStage(module, output))
    return fail(std::move(error));
  return true;
}

/// What a program calls the model in `output`: the file's name.
static std::string modelName(StringRef output) {
  return artifact::makeIdentifier(llvm::sys::path::stem(output));
}

static bool isPacked(uint32_t dtype) {
  return llvm::is_contained({LATHE_U4, LATHE_I4, LATHE_F4E2M1, LATHE_U2, LATHE_I2}, dtype);
}

// --dim: fixed sizes, bounds, and sizes that get code of their own.
bool Compilation::applyDims(ModuleOp module, bool hasGraph) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (dims.empty() && options.dimBounds.empty() && options.dimSizes.empty())
    return true;
  if (!hasGraph && (main.isDeclaration() || !isa<func::ReturnOp>(main.front().front()))) {
    emitError(module.getLoc()) << "dimensions cannot be set after the stage 'graph'";
    return false;
  }
  // The importer has done it in a model.
  if (isStageFile()) {
    if (llvm::Error error = checkNames(main, dims))
      return fail(std::move(error));
    fixDims(main, dims);
  }
  if (llvm::Error error = checkDims(main, options))
    return fail(std::move(error));
  recordBounds(module, options.dimBounds);
  if (options.dimSizes.empty())
    return true;
  for (Sizes &sizes : combineSizes(options.dimSizes)) {
    Specialized &form = specialized.emplace_back();
    form.tests = findTests(main, sizes);
    form.sizes = std::move(sizes);
  }
  return true;
}

bool Compilation::runGraph(ModuleOp module) {
  if (failed(inferGraphShapes(module)))
    return false;
  if (options.optLevel == 0) {
    if (!options.lowersPrecision())
      return true;
    errors += "precision '" + options.precision + "' needs optimization, and -O0 was asked for\n";
    return false;
  }
  PassManager passes(&context);
  auto evaluate = [this](ModuleOp subgraphs) {
    return evaluateByRunning(subgraphs, [this](ModuleOp program, StringRef path) {
      // Always for the same level, so that results do not depend on this machine.
      CompileOptions evaluation;
      evaluation.target = baselineTarget();
      // The plain form, which compiles fastest, but for work that would take seconds in it.
      constexpr uint64_t plainProducts = 1 << 29;
      evaluation.strict = true;
      evaluation.optLevel = countProducts(program) < plainProducts ? 0 : 1;
      // Plain code is one object, of which the cache holds no part.
      if (evaluation.optLevel > 0)
        evaluation.cacheFolder = options.cacheFolder;
      std::string ignored; // what cannot be evaluated is computed when running
      return Compilation(evaluation, ignored, "", &context).runModule(program, path);
    });
  };
  // An evaluation evaluates nothing itself.
  buildGraphPipeline(passes, isStandalone() ? evaluate : ConstantEvaluator(), options.strict,
                     options.precision);
  return succeeded(passes.run(module));
}

// --state INPUT=OUTPUT: what the output leaves is what the input finds.
bool Compilation::bindStates() {
  auto find = [](std::vector<artifact::TensorSpec> &specs, StringRef name) {
    auto found = llvm::find_if(specs, [&](const auto &spec) { return spec.name == name; });
    return found == specs.end() ? nullptr : &*found;
  };
  auto refuse = [&](const std::pair<std::string, std::string> &state, const Twine &why) {
    errors += ("the state '" + state.first + "=" + state.second + "': " + why + "\n").str();
    return false;
  };
  for (auto [number, state] : llvm::enumerate(options.states)) {
    artifact::TensorSpec *input = find(entry.inputs, state.first);
    artifact::TensorSpec *output = find(entry.outputs, state.second);
    if (!input || !output)
      return refuse(state, "the model has no " + Twine(input ? "output" : "input") + " '" +
                               (input ? state.second : state.first) + "'");
    if (input->state >= 0 || output->state >= 0)
      return refuse(state, "'" + (input->state >= 0 ? state.first : state.second) +
                               "' is part of another state");
    if (input->kind != LATHE_VALUE_TENSOR || output->kind != LATHE_VALUE_TENSOR ||
        input->dtype == LATHE_STRING || isPacked(input->dtype))
      return refuse(state, "only tensors of whole bytes can be states");
    if (input->dtype != output->dtype || input->dims.size() != output->dims.size())
      return refuse(state, "the output has element type " + Twine(output->dtype) + " and rank " +
                               Twine(output->dims.size()) + ", the input element type " +
                               Twine(input->dtype) + " and rank " + Twine(input->dims.size()));
    for (auto [d, from] : llvm::enumerate(output->dims)) {
      int64_t to = input->dims[d].size;
      if (to != LATHE_DYNAMIC && from.size != to)
        return refuse(state, "dimension " + Twine(d) + " of the output is " +
                                 (from.size == LATHE_DYNAMIC ? Twine("not known when compiling")
                                                             : Twine(from.size)) +
                                 ", the input takes " + Twine(to));
    }
    input->state = output->state = number;
  }
  return true;
}

// What a program links.
bool Compilation::writeLinked(const artifact::Contents &contents, StringRef output) {
  std::string model = modelName(output);
  SmallString<128> header(output);
  if (emits("obj")) {
    llvm::sys::path::replace_extension(header, ".h");
    if (llvm::Error error = artifact::writeObject(contents, model, output))
      return fail(std::move(error));
  }
  if (emits("header"))
    if (llvm::Error error = artifact::writeHeader(contents, model, header))
      return fail(std::move(error));
  return true;
}

bool Compilation::writeText(llvm::StringRef text, StringRef output) {
  llvm::Error error = llvm::writeToOutput(output, [&](llvm::raw_ostream &stream) {
    stream << text;
    return llvm::Error::success();
  });
  return error ? fail(std::move(error)) : true;
}

bool Compilation::runTargets(ModuleOp module, StringRef output) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  bool isScheduled = main.isDeclaration();
  auto scheduledFor = module->getAttrOfType<StringAttr>("rt.target");
  if (isScheduled && !scheduledFor) {
    emitError(module.getLoc()) << "@main has no body, and no 'rt.target' says what it was "
                                  "scheduled for";
    return false;
  }
  std::string wanted = !options.target.empty() ? options.target
                       : isScheduled           ? scheduledFor.str()
                                               : defaultTargets(module, options.optLevel);
  auto [processors, deviceNames] = splitTargets(wanted);
  llvm::Expected<std::vector<codegen::HostTarget>> targets = std::vector<codegen::HostTarget>();
  if (!processors.empty())
    targets = codegen::resolveTargets(processors);
  if (!targets)
    return fail(targets.takeError());
  auto devices = codegen::resolveDevices(deviceNames);
  if (!devices)
    return fail(devices.takeError());
  SmallVector<StringRef> names;
  for (const codegen::HostTarget &target : *targets)
    names.push_back(target.name);
  for (const codegen::DeviceTarget &device : *devices)
    names.push_back(device.name);
  if (isScheduled && (names.size() != 1 || names.front() != scheduledFor.getValue())) {
    emitError(module.getLoc()) << "the module is scheduled for " << scheduledFor
                               << " and cannot become code for '" << options.target << "'";
    return false;
  }
  if (!devices->empty() && !checkDeviceOptions())
    return false;
  // Precisions of GPUs: what their units' names have, and which these are.
  static constexpr struct {
    llvm::StringLiteral name, unit, devices;
  } onDevices[] = {{"tf32", "f32", "nvidia:sm_80 or later, or amd:gfx942"},
                   {"fp8", ".f8", "nvidia:sm_89 or later"}};
  for (const auto &known : onDevices)
    if (options.precision == known.name &&
        llvm::none_of(*devices, [&](const codegen::DeviceTarget &device) {
          return StringRef(device.matrixUnit).contains(known.unit);
        })) {
      errors += "precision '" + options.precision +
                "' is one of GPUs, of which none is among the targets '" + wanted + "': name " +
                known.devices.str() + "\n";
      return false;
    }
  Samples samples = describeSamples(main, entry);
  auto counted = module->getAttrOfType<IntegerAttr>("rt.flops");
  uint64_t flops = isScheduled && counted
                       ? counted.getInt()
                       : countFlops(module) * std::max<int64_t>(samples.count, 1);

  bool linked = emits("obj") || emits("header");
  // Functions of two models in one program must not meet.
  auto prefixOf = [&](size_t index) {
    return "lathe_" + (linked ? modelName(output) + "_" : std::string()) + "v" +
           std::to_string(index);
  };
  // Text shows all code together; what a program links must hold no names but its model's.
  bool separate = options.optLevel > 0 && options.emit == "artifact" && !stopsAfter("codegen");
  Shared shared;
  std::vector<VariantInfo> variants;
  ObjectQueue queue(options.optLevel, /*assembly=*/options.emit == "asm");
  std::vector<size_t> places; // of the host programs' objects: by target, then by form
  // A form's kernels, then its host program.
  auto lowerForm = [&](ModuleOp form, const codegen::HostTarget &target, const Samples &samples,
                       StringRef prefix) {
    LoweredModule lowered;
    std::string codePrefix = (prefix + (samples.values.empty() ? "" : "_code")).str();
    stage("lower", [&] {
      if (separate && !lowerKernels(form, target, shared, queue))
        return false;
      lowered = lower(form, target, codePrefix, shared);
      return bool(lowered.module);
    });
    if (lowered.module && !samples.values.empty())
      codegen::addSampleDispatch(*lowered.module, prefix, codePrefix, samples.values,
                                 entry.inputs.size(), schedule::leastOpenSize, samples.count);
    return lowered;
  };
  for (auto [index, target] : llvm::enumerate(*targets)) {
    OwningOpRef<ModuleOp> variant;
    if (isScheduled) {
      variant = module.clone();
      variant->lookupSymbol("main")->erase();
    } else if (!(variant = scheduleFor(module, *targets, index))) {
      return false;
    }
    if (stopsAfter("schedule")) {
      describeScheduled(*variant, main, target.name, flops);
      return write(*variant, output);
    }
    variants.push_back(describeVariant(*variant, target, entry));
    if (!samples.values.empty())
      describeSampleMemory(*variant, entry, samples, variants.back());
    std::string prefix = prefixOf(index);
    std::string generalPrefix = prefix + (specialized.empty() ? "" : "_general");
    LoweredModule general = lowerForm(*variant, target, samples, generalPrefix);
    if (!general.module)
      return false;
    std::vector<LoweredModule> forms;
    std::vector<codegen::SizeCase> cases;
    for (Specialized &form : specialized) {
      llvm::SaveAndRestore<const Specialized *> working(current, &form);
      OwningOpRef<ModuleOp> copy = scheduleFor(*form.module, *targets, index);
      if (!copy)
        return false;
      VariantInfo info = describeVariant(*copy, target, entry);
      info.sizes = form.sizes;
      Samples apart;
      if (form.batch) {
        apart = describeSamples(form.module->lookupSymbol<func::FuncOp>("main"), entry);
        describeSampleMemory(*copy, entry, apart, info);
      }
      variants.back().specialized.push_back(std::move(info));
      cases.push_back({prefix + "_size" + std::to_string(cases.size()), form.tests});
      forms.push_back(lowerForm(*copy, target, apart, cases.back().prefix));
      if (!forms.back().module)
        return false;
    }
    for (const Sizes &sizes : generalSizes) {
      VariantInfo &info = variants.back().specialized.emplace_back();
      info.sizes = sizes;
      info.isGeneral = true;
    }
    if (!cases.empty())
      codegen::addSizeDispatch(*general.module, prefix, generalPrefix, cases);
    // Text is that of the first target's general form.
    if (options.emit == "llvm" || stopsAfter("codegen")) {
      std::string text;
      llvm::raw_string_ostream stream(text);
      general.module->print(stream, nullptr);
      return writeText(text, output);
    }
    places.push_back(queue.add(std::move(general)));
    if (options.emit == "asm")
      break;
    for (LoweredModule &form : forms)
      places.push_back(queue.add(std::move(form)));
  }
  artifact::Contents contents;
  if (!devices->empty() && (targets->empty() || options.emit == "artifact")) {
    DeviceJob job{module, isScheduled, output, flops};
    if (!addDevices(job, *devices, prefixOf(targets->size()), shared, variants, contents))
      return false;
    if (job.isWritten)
      return true;
  }
  warnOfUnusedSchedules(variants);
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects;
  if (!stage("codegen", [&] {
        llvm::Error error = queue.take(objects);
        return error ? fail(std::move(error)) : true;
      }))
    return false;
  if (options.emit == "asm")
    return writeText(objects.front()->getBuffer(), output);

  contents.triple = targets->empty() ? hostOfDevices().triple : targets->front().triple;
  contents.sites = shared.sites.messages();
  contents.weightsBytes = shared.weights.bytes();
  for (const codegen::WeightLayout::Chunk &chunk : shared.weights.chunks()) {
    auto storage = std::make_shared<SmallVector<char>>();
    ArrayRef<char> bytes = graph::getConstantBytes(chunk.value, *storage);
    contents.weights.push_back({chunk.offset, bytes, storage});
  }
  recordDigest(module);
  contents.manifest = writeManifest(module, options, variants, flops, shared.weights.bytes());
  for (auto [index, target] : llvm::enumerate(*targets)) {
    artifact::Variant variant;
    variant.name = target.name;
    variant.features = target.featureBits;
    variant.weightsBytes = shared.weights.bytes();
    std::string prefix = prefixOf(index);
    variant.stateCount = options.states.size();
    entry.runSymbol = prefix + "_run";
    entry.planSymbol = prefix + "_plan";
    variant.entries.push_back(entry);
    auto place = places.begin() + index * (1 + specialized.size());
    variant.object = std::move(objects[*place]);
    for (size_t form = 0; form < specialized.size(); ++form)
      variant.sizeObjects.push_back(std::move(objects[*++place]));
    contents.variants.push_back(std::move(variant));
  }
  for (auto &object : objects) // those that are left
    if (object)
      contents.kernels.push_back(std::move(object));
  if (options.kernelsDone)
    options.kernelsDone(contents.kernels.size(), cachedKernels);
  return stage("artifact", [&] {
    if (linked)
      return writeLinked(contents, output);
    llvm::Error error = artifact::write(contents, output);
    return error ? fail(std::move(error)) : true;
  });
}

OwningOpRef<ModuleOp> Compilation::read(const Sizes &sizes, bool dynamicDims) {
  if (isStageFile())
    return readStage(context, input);
  ImportOptions import;
  import.dynamicDims = dynamicDims;
  import.constantInputs = options.constantInputs;
  import.dims = sizes;
  return importOnnx(context, input, import);
}

OwningOpRef<ModuleOp> Compilation::load(const Sizes &sizes) {
  OwningOpRef<ModuleOp> module;
  stage("import", [&] { return bool(module = read(sizes, options.dynamicDims)); });
  return module;
}

bool Compilation::run(StringRef output) {
  if (!readSchedules() || !findFixedBatch())
    return false;
  OwningOpRef<ModuleOp> module = load(dims);
  if (!module)
    return false;
  auto main = module->lookupSymbol<func::FuncOp>("main");
  if (!batch && main)
    if (OwningOpRef<ModuleOp> sample = loadSample(main)) {
      module = std::move(sample);
      main = module->lookupSymbol<func::FuncOp>("main");
    }
  if (batch)
    markFixedBatch(main, *batch);
  if (!isStageFile())
    digest = digestFile(input.str());
  if (stopsAfter("import"))
    return write(*module, output);
  return runModule(*module, output);
}

bool Compilation::runToLinalg(ModuleOp module) {
  return stage("graph-to-linalg", [&] { return succeeded(convertGraphToLinalg(module)); });
}

// The form for certain sizes goes all the way from the model, so that everything sees the numbers.
bool Compilation::runSpecialized(Specialized &form, bool hasGraph) {
  Sizes sizes = dims;
  for (const auto &[name, size] : form.sizes)
    sizes.push_back({name, form.batch && form.batch->name == name ? 1 : size});
  form.module = load(sizes);
  if (!form.module)
    return false;
  auto main = form.module->lookupSymbol<func::FuncOp>("main");
  if (isStageFile())
    fixDims(main, sizes);
  const std::optional<FixedBatch> &samples = form.batch ? form.batch : batch;
  if (samples)
    markFixedBatch(main, *samples);
  if (hasGraph && !stage("graph", [&] { return runGraph(*form.module); }))
    return false;
  // The runtime knows one rank of an output.
  for (auto [type, spec] : llvm::zip_equal(main.getResultTypes(), entry.outputs)) {
    auto ranked = dyn_cast<RankedTensorType>(type);
    if (!ranked || spec.dims.size() == size_t(ranked.getRank()))
      continue;
    emitError(main.getLoc()) << "output '" << spec.name << "' is of type " << type
                             << ", and has rank " << spec.dims.size() << " in the general code";
    return false;
  }
  return !hasGraph || runToLinalg(*form.module);
}

/// Whether values of `type` are of the graph dialect, as an artifact's are not once it is lowered:
/// no tensors, or elements that share bytes or stand in wider ones. `attrs` name the type that a
/// lowered value had.
static bool isGraphValue(Type type, DictionaryAttr attrs) {
  if (attrs && (attrs.contains("graph.type") || attrs.contains("graph.element_type")))
    return false;
  auto tensor = dyn_cast<TensorType>(type);
  if (!tensor)
    return !isa<rt::ValueType>(type);
  Type element = tensor.getElementType();
  if (element.isIntOrFloat())
    return element.getIntOrFloatBitWidth() < 8;
  return !isa<ComplexType>(element);
}

/// Whether `module` has the stage 'graph' ahead of it: a resumed file is past the stages whose
/// operations it no longer holds. A value may go from an input to an output without any operation.
static bool hasGraph(ModuleOp module, func::FuncOp main) {
  auto isInDialect = [](Operation *op) {
    return isa<graph::GraphDialect>(op->getDialect()) ? WalkResult::interrupt()
                                                      : WalkResult::advance();
  };
  if (module.walk(isInDialect).wasInterrupted())
    return true;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    if (isGraphValue(type, main.getArgAttrDict(i)))
      return true;
  return false;
}

bool Compilation::runModule(ModuleOp module, StringRef output) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main) {
    emitError(module.getLoc()) << "the module has no function @main to go on from";
    return false;
  }
  bool hasGraph = ::hasGraph(module, main);
  if (!applyDims(module, hasGraph))
    return false;
  if (!hasGraph && options.lowersPrecision()) {
    emitError(module.getLoc()) << "precision '" << options.precision
                               << "' cannot be set after the stage 'graph'";
    return false;
  }
  if (hasGraph && !stage("graph", [&] { return runGraph(module); }))
    return false;
  if (stopsAfter("graph"))
    return write(module, output);
  main = module.lookupSymbol<func::FuncOp>("main");
  if (failed(describeEntry(main, entry)) || failed(applySampleCount(main, entry)) || !bindStates())
    return false;
  applyBounds(module, entry);
  if (hasGraph && !runToLinalg(module))
    return false;
  if (stopsAfter("graph-to-linalg"))
    return write(module, output);
  main = module.lookupSymbol<func::FuncOp>("main");
  if (!main.isDeclaration() && !batch && options.optLevel > 0 && options.batch != "whole" &&
      !hasDevices())
    if (auto split = schedule::markSamples(module, /*always=*/options.batch == "each"))
      splitForms(main, *split);
  for (Specialized &form : specialized) {
    llvm::SaveAndRestore<const Specialized *> working(current, &form);
    if (!runSpecialized(form, hasGraph))
      return false;
  }
  return runTargets(module, output);
}

bool lathe::compileFile(const std::string &input, const std::string &output,
                        const CompileOptions &options, std::string &errors) {
  initializeCompiler();
  return Compilation(options, errors, input).run(output);
}

void lathe::initializeCompiler() {
  static const bool once = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
    return true;
  }();
  (void)once;
}

std::vector<std::string> lathe::listTargets() {
  std::vector<std::string> names;
  for (const codegen::HostTarget &target : codegen::knownTargets())
    names.push_back(target.name);
  for (const char *vendor : {"nvidia", "amd"})
    names.push_back(vendor);
  for (const codegen::DeviceTarget &device : codegen::knownDevices())
    names.push_back(device.name);
  return names;
}
