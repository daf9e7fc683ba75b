// The stages of a compilation, in order.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
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
#include "llvm/Support/TargetSelect.h"
#include <chrono>
#include <future>

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

namespace {

/// One compilation: its context, its diagnostics, its timer.
class Compilation {
public:
  Compilation(const CompileOptions &options, std::string &errors, MLIRContext *shared = nullptr);
  bool run(StringRef input, StringRef output);
  /// From the graph dialect on, for a module that is already in the context.
  bool runModule(ModuleOp module, StringRef output);

private:
  /// Runs one stage and reports its time; false when the stage failed.
  bool stage(StringRef name, llvm::function_ref<bool()> work);
  bool stopsAfter(StringRef name) const { return options.stopAfter == name; }
  bool write(ModuleOp module, StringRef output);
  bool fail(llvm::Error error);
  bool fixDims(ModuleOp module);
  bool runGraph(ModuleOp module);
  bool runTargets(ModuleOp module, StringRef output);
  bool writeText(ArrayRef<std::unique_ptr<llvm::Module>> modules,
                 ArrayRef<codegen::HostTarget> targets, StringRef output);
  bool compileObjects(std::vector<std::unique_ptr<llvm::Module>> modules,
                      ArrayRef<codegen::HostTarget> targets, bool assembly,
                      std::vector<std::unique_ptr<llvm::MemoryBuffer>> &objects);
  bool bindStates();
  bool writeLinked(const artifact::Contents &contents, StringRef output);
  bool emits(StringRef form) const {
    return llvm::is_contained(llvm::split(options.emit, ','), form);
  }

  const CompileOptions &options;
  std::string &errors;
  std::unique_ptr<MLIRContext> owned; // null when the context is shared
  MLIRContext &context;
  std::unique_ptr<ScopedDiagnosticHandler> handler;
  artifact::Entry entry;
};

} // namespace

Compilation::Compilation(const CompileOptions &options, std::string &errors, MLIRContext *shared)
    : options(options), errors(errors),
      owned(shared ? nullptr : std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED)),
      context(shared ? *shared : *owned) {
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
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error ||
        diagnostic.getSeverity() == DiagnosticSeverity::Warning)
      this->errors += formatDiagnostic(diagnostic) + "\n";
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

bool Compilation::write(ModuleOp module, StringRef output) {
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

// --dim NAME=N: the symbol is that number from here on.
bool Compilation::fixDims(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  llvm::StringSet<> used;
  SmallVector<Type> inputs(main.getArgumentTypes());
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto type = dyn_cast<RankedTensorType>(main.getArgument(i).getType());
    auto dims = main.getArgAttrOfType<ArrayAttr>(i, "graph.dims");
    if (!type || !dims || dims.size() != type.getShape().size())
      continue;
    SmallVector<int64_t> shape(type.getShape());
    SmallVector<Attribute> symbols(dims.begin(), dims.end());
    for (const auto &[name, size] : options.dims)
      for (auto [position, symbol] : llvm::enumerate(symbols))
        if (cast<StringAttr>(symbol).getValue() == name) {
          used.insert(name);
          shape[position] = size;
          symbols[position] = StringAttr::get(&context, "");
        }
    inputs[i] = RankedTensorType::get(shape, type.getElementType());
    main.getArgument(i).setType(inputs[i]);
    main.setArgAttr(i, "graph.dims", ArrayAttr::get(&context, symbols));
  }
  main.setFunctionType(FunctionType::get(&context, inputs, main.getFunctionType().getResults()));
  for (const auto &[name, size] : options.dims)
    if (!used.contains(name)) {
      errors += "the model has no symbolic dimension '" + name + "' to set to " +
                std::to_string(size) + "\n";
      return false;
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
      evaluation.optLevel = 0; // the plain form; it evaluates no constants itself
      std::string ignored;     // what cannot be evaluated is computed when running
      return Compilation(evaluation, ignored, &context).runModule(program, path);
    });
  };
  buildGraphPipeline(passes, evaluate, options.strict, options.precision == "bf16");
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

bool Compilation::compileObjects(std::vector<std::unique_ptr<llvm::Module>> modules,
                                 ArrayRef<codegen::HostTarget> targets, bool assembly,
                                 std::vector<std::unique_ptr<llvm::MemoryBuffer>> &objects) {
  // Levels are independent, and each module has a context of its own: one thread per level.
  std::vector<std::future<llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>>> results;
  for (auto [module, target] : llvm::zip_equal(modules, targets)) {
    codegen::HostOptions hostOptions;
    hostOptions.optLevel = options.optLevel;
    hostOptions.emitAssembly = assembly;
    results.push_back(std::async(
        std::launch::async, [&target = target, hostOptions, module = std::move(module)]() mutable {
          return codegen::compileHost(std::move(module), target, hostOptions);
        }));
  }
  bool done = true;
  for (auto &result : results) {
    auto object = result.get();
    if (object)
      objects.push_back(std::move(*object));
    else
      done = fail(object.takeError());
  }
  return done;
}

// A scheduled module keeps what the rest of the way needs: @main's declaration, which describes the
// entry, the target that it is for, and the model's operations.
static void describeScheduled(ModuleOp scheduled, func::FuncOp main, StringRef target,
                              uint64_t flops) {
  func::FuncOp declaration = main.cloneWithoutRegions();
  declaration.setPrivate();
  scheduled.push_back(declaration);
  Builder builder(scheduled.getContext());
  scheduled->setAttr("rt.target", builder.getStringAttr(target));
  scheduled->setAttr("rt.flops", builder.getI64IntegerAttr(flops));
}

// The targets where none are named: those whose instructions the model's products with constant
// weights gain by, and the usual levels.
static std::string defaultTargets(ModuleOp module, unsigned optLevel) {
  bool hasIntegers = false, hasBF16 = false;
  module.walk([&](linalg::GenericOp op) {
    if (op.getNumReductionLoops() == 0 || op.getNumDpsInputs() != 2)
      return;
    auto isConstant = [](Value value) {
      return value.getDefiningOp<rt::WeightOp>() || matchPattern(value, m_Constant());
    };
    if (llvm::none_of(op.getDpsInputs(), isConstant))
      return;
    auto allAre = [&](auto isNarrow) {
      return llvm::all_of(op.getDpsInputs(), [&](Value value) {
        return isNarrow(getElementTypeOrSelf(value.getType()));
      });
    };
    hasIntegers |= allAre([](Type type) { return type.isInteger(8) || type.isInteger(16); });
    hasBF16 |= allAre([](Type type) { return type.isBF16(); });
  });
  std::string names;
  if (optLevel > 0 && hasBF16)
    names += "x86-64-v4-vnni-bf16,";
  if (optLevel > 0 && hasIntegers)
    names += "x86-64-v4-vnni,";
  return names + "x86-64-v4,x86-64-v3";
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
  auto targets = codegen::resolveTargets(!options.target.empty() ? options.target
                                         : isScheduled ? scheduledFor.str()
                                                       : defaultTargets(module, options.optLevel));
  if (!targets)
    return fail(targets.takeError());
  if (isScheduled && (targets->size() != 1 || targets->front().name != scheduledFor.getValue())) {
    emitError(module.getLoc()) << "the module is scheduled for " << scheduledFor
                               << " and cannot become code for '" << options.target << "'";
    return false;
  }
  auto counted = module->getAttrOfType<IntegerAttr>("rt.flops");
  uint64_t flops = isScheduled && counted ? counted.getInt() : countFlops(module);

  bool linked = emits("obj") || emits("header");
  // Functions of two models in one program must not meet.
  auto prefixOf = [&](size_t index) {
    return "lathe_" + (linked ? modelName(output) + "_" : std::string()) + "v" +
           std::to_string(index);
  };
  codegen::WeightLayout weights;
  codegen::SiteList sites;
  std::vector<VariantInfo> variants;
  std::vector<std::unique_ptr<llvm::LLVMContext>> contexts;
  std::vector<std::unique_ptr<llvm::Module>> modules;
  for (auto [index, target] : llvm::enumerate(*targets)) {
    OwningOpRef<ModuleOp> variant = module.clone();
    schedule::Options scheduleOptions;
    scheduleOptions.optLevel = options.optLevel;
    scheduleOptions.strict = options.strict;
    scheduleOptions.target.vectorBits = target.vectorBits;
    scheduleOptions.target.vectorRegisters = target.vectorRegisters;
    scheduleOptions.target.l1Bytes = target.l1Bytes;
    scheduleOptions.target.l2Bytes = target.l2Bytes;
    scheduleOptions.target.dotI16 = target.dotI16;
    scheduleOptions.target.dotBF16 = target.dotBF16;
    if (isScheduled)
      variant->lookupSymbol("main")->erase();
    else if (!stage("schedule",
                    [&] { return succeeded(schedule::scheduleModule(*variant, scheduleOptions)); }))
      return false;
    if (stopsAfter("schedule")) {
      describeScheduled(*variant, main, target.name, flops);
      return write(*variant, output);
    }
    variants.push_back(describeVariant(*variant, target.name, entry));
    contexts.push_back(std::make_unique<llvm::LLVMContext>());
    std::string prefix = prefixOf(index);
    FailureOr<std::unique_ptr<llvm::Module>> lowered = failure();
    if (!stage("lower", [&] {
          lowered = codegen::lowerHost(*variant, target, prefix, weights, sites, *contexts.back());
          return succeeded(lowered);
        }))
      return false;
    modules.push_back(std::move(*lowered));
  }

  if (options.emit == "llvm" || stopsAfter("codegen")) {
    if (llvm::Error error = llvm::writeToOutput(output, [&](llvm::raw_ostream &stream) {
          modules.front()->print(stream, nullptr);
          return llvm::Error::success();
        }))
      return fail(std::move(error));
    return true;
  }
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects;
  bool text = options.emit == "asm";
  if (text) {
    modules.resize(1);
    targets->resize(1);
  }
  if (!stage("codegen",
             [&] { return compileObjects(std::move(modules), *targets, text, objects); }))
    return false;
  if (text) {
    if (llvm::Error error = llvm::writeToOutput(output, [&](llvm::raw_ostream &stream) {
          stream << objects.front()->getBuffer();
          return llvm::Error::success();
        }))
      return fail(std::move(error));
    return true;
  }

  artifact::Contents contents;
  contents.triple = targets->front().triple;
  contents.sites = sites.messages();
  contents.weightsBytes = weights.bytes();
  for (const codegen::WeightLayout::Chunk &chunk : weights.chunks()) {
    auto storage = std::make_shared<SmallVector<char>>();
    ArrayRef<char> bytes = graph::getConstantBytes(chunk.value, *storage);
    contents.weights.push_back({chunk.offset, bytes, storage});
  }
  contents.manifest = writeManifest(module, options, variants, flops, weights.bytes());
  for (auto [index, target] : llvm::enumerate(*targets)) {
    artifact::Variant variant;
    variant.name = target.name;
    variant.features = target.featureBits;
    variant.weightsBytes = weights.bytes();
    std::string prefix = prefixOf(index);
    variant.stateCount = options.states.size();
    entry.runSymbol = prefix + "_run";
    entry.planSymbol = prefix + "_plan";
    variant.entries.push_back(entry);
    variant.object = std::move(objects[index]);
    contents.variants.push_back(std::move(variant));
  }
  return stage("artifact", [&] {
    if (linked)
      return writeLinked(contents, output);
    llvm::Error error = artifact::write(contents, output);
    return error ? fail(std::move(error)) : true;
  });
}

bool Compilation::run(StringRef input, StringRef output) {
  OwningOpRef<ModuleOp> module;
  if (!stage("import", [&] {
        ImportOptions import;
        import.dynamicDims = options.dynamicDims;
        import.constantInputs = options.constantInputs;
        module = input.ends_with(".mlir") ? readStage(context, input)
                                          : importOnnx(context, input, import);
        return bool(module);
      }))
    return false;
  if (stopsAfter("import"))
    return write(*module, output);

  return runModule(*module, output);
}

bool Compilation::runModule(ModuleOp module, StringRef output) {
  // A resumed file is past the stages whose operations it no longer holds.
  bool hasGraph = false, hasMain = bool(module.lookupSymbol<func::FuncOp>("main"));
  module.walk([&](Operation *op) { hasGraph |= isa<graph::GraphDialect>(op->getDialect()); });
  // A sequence may go from an input to an output without an operation.
  if (hasMain)
    for (Type type : module.lookupSymbol<func::FuncOp>("main").getArgumentTypes())
      hasGraph |= !isa<TensorType, rt::ValueType>(type);
  if (!hasMain) {
    emitError(module.getLoc()) << "the module has no function @main to go on from";
    return false;
  }
  if (!options.dims.empty()) {
    if (module.lookupSymbol<func::FuncOp>("main").isDeclaration()) {
      emitError(module.getLoc()) << "dimensions cannot be set after the stage 'schedule'";
      return false;
    }
    if (!fixDims(module))
      return false;
  }
  if (!hasGraph && options.lowersPrecision()) {
    emitError(module.getLoc()) << "precision '" << options.precision
                               << "' cannot be set after the stage 'graph'";
    return false;
  }
  if (hasGraph && !stage("graph", [&] { return runGraph(module); }))
    return false;
  if (stopsAfter("graph"))
    return write(module, output);
  if (failed(describeEntry(module.lookupSymbol<func::FuncOp>("main"), entry)) || !bindStates())
    return false;
  if (hasGraph &&
      !stage("graph-to-linalg", [&] { return succeeded(convertGraphToLinalg(module)); }))
    return false;
  if (stopsAfter("graph-to-linalg"))
    return write(module, output);
  return runTargets(module, output);
}

bool lathe::compileFile(const std::string &input, const std::string &output,
                        const CompileOptions &options, std::string &errors) {
  initializeCompiler();
  return Compilation(options, errors).run(input, output);
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
  return names;
}
