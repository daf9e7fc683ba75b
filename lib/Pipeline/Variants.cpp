// What a form of the model becomes for one target: schedule, LLVM IR, kernels with objects of their
// own.
// Apache-2.0 WITH LLVM-exception
#include "Compilation.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

void lathe::pipeline::describeScheduled(ModuleOp scheduled, func::FuncOp main, StringRef target,
                                        uint64_t flops) {
  func::FuncOp declaration = main.cloneWithoutRegions();
  declaration.setPrivate();
  scheduled.push_back(declaration);
  Builder builder(scheduled.getContext());
  scheduled->setAttr("rt.target", builder.getStringAttr(target));
  scheduled->setAttr("rt.flops", builder.getI64IntegerAttr(flops));
}

std::string lathe::pipeline::defaultTargets(ModuleOp module, unsigned optLevel) {
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
    names += "x86-64-v4-vnni-bf16-amx,x86-64-v4-vnni-bf16,";
  if (optLevel > 0 && hasIntegers)
    names += "x86-64-v4-vnni,";
  return names + "x86-64-v4,x86-64-v3";
}

bool Compilation::readSchedules() {
  if (options.scheduleFile.empty())
    return true;
  auto table = schedule::ScheduleTable::read(options.scheduleFile);
  if (!table)
    return fail(table.takeError());
  schedules = std::make_shared<schedule::ScheduleTable>(std::move(*table));
  return true;
}

// A line that is about nothing is a slip, or of another model.
void Compilation::warnOfUnusedSchedules(ArrayRef<VariantInfo> variants) {
  if (!schedules)
    return;
  llvm::StringSet<> shapes;
  auto collect = [&](const VariantInfo &code) {
    for (const KernelInfo &kernel : code.kernels)
      shapes.insert(kernel.shape);
  };
  for (const VariantInfo &variant : variants) {
    collect(variant);
    llvm::for_each(variant.specialized, collect);
  }
  for (const std::string &kernels : schedules->findUnused(shapes))
    errors += "warning: " + options.scheduleFile + ": no kernel of this model is '" + kernels +
              "'; lathe inspect --kernels lists what there is\n";
}

schedule::Options Compilation::scheduleOptions(const codegen::HostTarget &target) const {
  schedule::Options result;
  result.optLevel = options.optLevel;
  result.strict = options.strict;
  result.deterministic = options.deterministic;
  result.precision = options.precision;
  result.table = schedules;
  result.target.vectorBits = target.vectorBits;
  result.target.vectorRegisters = target.vectorRegisters;
  result.target.l1Bytes = target.l1Bytes;
  result.target.l2Bytes = target.l2Bytes;
  result.target.memoryBytes = target.memoryBytes;
  result.target.dotI16 = target.dotI16;
  result.target.dotBF16 = target.dotBF16;
  result.target.matrixBF16 = target.matrixBF16;
  return result;
}

OwningOpRef<ModuleOp> Compilation::scheduleFor(ModuleOp form, ArrayRef<codegen::HostTarget> targets,
                                               size_t index) {
  schedule::Options wanted = scheduleOptions(targets[index]);
  bool isWantedNext = index + 1 < targets.size() && scheduleOptions(targets[index + 1]) == wanted;
  Reusable &last = reusable[form];
  if (last.module && last.options == wanted)
    return isWantedNext ? OwningOpRef<ModuleOp>(last.module->clone()) : std::move(last.module);
  OwningOpRef<ModuleOp> module = form.clone();
  if (!stage("schedule", [&] { return succeeded(schedule::scheduleModule(*module, wanted)); }))
    return nullptr;
  if (isWantedNext)
    last = {wanted, module->clone()};
  return module;
}

LoweredModule Compilation::lower(ModuleOp scheduled, const codegen::HostTarget &target,
                                 StringRef prefix, Shared &shared) {
  LoweredModule result{std::make_unique<llvm::LLVMContext>(), nullptr, &target};
  auto module =
      codegen::lowerHost(scheduled, target, prefix, shared.weights, shared.sites, *result.context);
  if (failed(module))
    return result;
  // What comes from a stage file may have been scheduled otherwise.
  if (std::string loose = options.deterministic ? codegen::findLooseRounding(**module) : "";
      !loose.empty()) {
    emitError(UnknownLoc::get(&context))
        << loose << " leaves rounding to the code generator, which --deterministic excludes: "
        << "schedule with --deterministic as well, or remove the flags";
    return result;
  }
  result.module = std::move(*module);
  return result;
}

/// All that the object of a kernel depends on beside the compiler.
static std::string recipeOf(ModuleOp kernel, const codegen::HostTarget &target,
                            const CompileOptions &options) {
  std::string recipe;
  llvm::raw_string_ostream stream(recipe);
  stream << target.triple << ' ' << target.cpu << ' ' << target.tune << ' ' << target.features
         << ' ' << target.vectorBits << " -O" << options.optLevel
         << (options.deterministic ? " deterministic\n" : "\n");
  kernel->print(stream, OpPrintingFlags().useLocalScope().assumeVerified());
  return recipe;
}

bool Compilation::lowerKernels(ModuleOp scheduled, const codegen::HostTarget &target,
                               Shared &shared, ObjectQueue &queue) {
  for (codegen::SeparateKernel &kernel : codegen::separateKernels(scheduled, target)) {
    if (!shared.kernels.insert(kernel.symbol).second)
      continue;
    std::string recipe = recipeOf(*kernel.module, target, options);
    if (std::unique_ptr<llvm::MemoryBuffer> object = cache.find(recipe)) {
      queue.add(std::move(object));
      ++cachedKernels;
      continue;
    }
    LoweredModule lowered = lower(*kernel.module, target, "", shared);
    if (!lowered.module)
      return false;
    queue.add(std::move(lowered),
              [this, recipe = std::move(recipe)](StringRef object) { cache.keep(recipe, object); });
  }
  return true;
}
