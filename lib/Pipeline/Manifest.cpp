// What the artifact says of itself.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

// Names of all nodes that a location was made from.
static void collectNodes(Location location, llvm::SetVector<StringRef> &nodes) {
  if (auto name = dyn_cast<NameLoc>(location)) {
    nodes.insert(name.getName());
  } else if (auto call = dyn_cast<CallSiteLoc>(location)) {
    collectNodes(call.getCaller(), nodes);
  } else if (auto fused = dyn_cast<FusedLoc>(location)) {
    for (Location part : fused.getLocations())
      collectNodes(part, nodes);
  }
}

VariantInfo lathe::pipeline::describeVariant(ModuleOp scheduled, const codegen::HostTarget &target,
                                             const artifact::Entry &model) {
  VariantInfo info;
  info.name = target.name;
  info.registers = schedule::describeRegisters(target.vectorBits, target.vectorRegisters);
  struct Entry {
    uint64_t calls = 0;
    int64_t flops = 0, bytes = 0;
    StringRef shape;
    llvm::SetVector<StringRef> nodes;
  };
  llvm::MapVector<StringRef, Entry> kernels;
  scheduled.walk([&](rt::DispatchOp dispatch) {
    Entry &entry = kernels[dispatch.getKernel()];
    ++entry.calls;
    if (auto flops = dispatch->getAttrOfType<IntegerAttr>("flops"))
      entry.flops = flops.getInt();
    if (auto bytes = dispatch->getAttrOfType<IntegerAttr>("bytes"))
      entry.bytes = bytes.getInt();
    if (auto shape = dispatch->getAttrOfType<StringAttr>("shape"))
      entry.shape = shape.getValue();
    collectNodes(dispatch.getLoc(), entry.nodes);
  });
  for (auto &[kernel, entry] : kernels) {
    KernelInfo kernelInfo;
    kernelInfo.name = kernel.str();
    kernelInfo.kind = kernel.split('_').first.str();
    kernelInfo.shape = entry.shape.str();
    kernelInfo.calls = entry.calls;
    kernelInfo.flops = entry.flops;
    kernelInfo.bytes = entry.bytes;
    for (StringRef node : entry.nodes)
      kernelInfo.nodes.push_back(node.str());
    info.kernels.push_back(std::move(kernelInfo));
  }
  scheduled.walk([&](rt::PlanArenaOp plan) {
    APInt bytes;
    if (matchPattern(plan.getBytes(), m_ConstantInt(&bytes))) {
      info.arenaBytes = bytes.getZExtValue();
    } else {
      info.arenaFormula = formatFormula(plan.getBytes(), model.inputs);
      info.arenaMost = boundFormula(plan.getBytes(), model.inputs);
    }
  });
  return info;
}

void lathe::pipeline::describeSampleMemory(ModuleOp scheduled, const artifact::Entry &model,
                                           const Samples &samples, VariantInfo &code) {
  std::vector<artifact::TensorSpec> one = model.inputs;
  uint64_t head = sampleHeadBytes(samples.values.size());
  code.sampleCount = samples.count;
  if (samples.count) {
    // The code is called once for each.
    for (KernelInfo &kernel : code.kernels)
      kernel.calls *= samples.count;
    std::optional<uint64_t> most = code.arenaBytes ? code.arenaBytes : code.arenaMost;
    if (code.arenaBytes)
      code.sampleBytes = head + alignSampleBytes(*code.arenaBytes);
    else
      code.sampleFormula = std::to_string(head) + " + " + code.arenaFormula;
    code.arenaBytes = code.arenaMost = std::nullopt;
    code.arenaFormula.clear();
    int64_t all;
    if (most && !llvm::MulOverflow(int64_t(alignSampleBytes(*most) + head), samples.count, all))
      code.arenaMost = all;
    return;
  }
  int64_t mostSamples = LATHE_DYNAMIC;
  for (auto [spec, sample] : llvm::zip(one, samples.values))
    if (sample.elementBytes) {
      mostSamples = spec.dims[0].max;
      spec.dims[0].size = 1;
    }
  scheduled.walk([&](rt::PlanArenaOp plan) {
    std::string formula = formatFormula(plan.getBytes(), one);
    code.sampleFormula = std::to_string(head) + (formula == "0" ? "" : " + " + formula);
    std::optional<uint64_t> most = boundFormula(plan.getBytes(), one);
    int64_t all;
    // On as many threads as there are samples.
    if (!code.arenaMost || !most ||
        llvm::MulOverflow(int64_t(alignSampleBytes(*most) + head), mostSamples, all))
      code.arenaMost = std::nullopt;
    else
      code.arenaMost = std::max(*code.arenaMost, uint64_t(all));
  });
}

uint64_t lathe::pipeline::countFlops(ModuleOp module) {
  uint64_t total = 0;
  module.walk([&](linalg::GenericOp op) {
    uint64_t perElement = 0;
    for (Operation &inner : op.getBody()->without_terminator())
      perElement += isa<arith::MulFOp, arith::AddFOp, arith::SubFOp, arith::DivFOp,
                        arith::MaximumFOp, arith::MinimumFOp>(inner) ||
                    isa<math::MathDialect>(inner.getDialect());
    uint64_t count = 1;
    for (int64_t size : op.getStaticLoopRanges())
      count *= ShapedType::isDynamic(size) ? 1 : size;
    total += perElement * count;
  });
  return total;
}

static llvm::json::Object describeKernelCode(const codegen::KernelCode &code) {
  const codegen::InstructionCounts &counts = code.instructions;
  llvm::json::Object object{{"threads", code.blockThreads}}, instructions;
  for (auto [name, value] : std::initializer_list<std::pair<StringRef, std::optional<uint32_t>>>{
           {"registers", code.registers},
           {"scalar_registers", code.scalarRegisters},
           {"spill_bytes", code.spillBytes},
           {"stack_bytes", code.stackBytes},
           {"shared_bytes", code.sharedBytes},
           {"occupancy", code.occupancy}})
    if (value)
      object[name] = int64_t(*value);
  for (auto [name, count] : std::initializer_list<std::pair<StringRef, uint32_t>>{
           {"all", counts.all},
           {"matrix", counts.matrix},
           {"loads", counts.loads},
           {"loads_of_16_bytes", counts.wideLoads},
           {"stores", counts.stores},
           {"stores_of_16_bytes", counts.wideStores},
           {"shared_loads", counts.sharedLoads},
           {"shared_stores", counts.sharedStores},
           {"private_accesses", counts.privateAccesses},
           {"atomics", counts.atomics},
           {"barriers", counts.barriers}})
    instructions[name] = int64_t(count);
  object["instructions"] = std::move(instructions);
  return object;
}

static llvm::json::Object describeCode(const VariantInfo &code) {
  llvm::json::Array kernels;
  for (const KernelInfo &kernel : code.kernels) {
    llvm::json::Object object{
        {"name", kernel.name},
        {"kind", kernel.kind},
        {"calls", int64_t(kernel.calls)},
        {"flops", kernel.flops},
        {"bytes", kernel.bytes},
        {"nodes", llvm::json::Array(kernel.nodes)},
    };
    if (!kernel.shape.empty())
      object["shape"] = kernel.shape;
    if (kernel.code)
      object["code"] = describeKernelCode(*kernel.code);
    kernels.push_back(std::move(object));
  }
  llvm::json::Object object{{"kernels", std::move(kernels)}};
  if (code.arenaBytes)
    object["arena_bytes"] = int64_t(*code.arenaBytes);
  else if (!code.arenaFormula.empty())
    object["arena_formula"] = code.arenaFormula;
  if (!code.sampleFormula.empty())
    object["sample_formula"] = code.sampleFormula;
  if (code.sampleBytes)
    object["sample_bytes"] = int64_t(*code.sampleBytes);
  if (code.sampleCount)
    object["samples"] = code.sampleCount;
  if (code.arenaMost)
    object["arena_bytes_at_most"] = int64_t(*code.arenaMost);
  return object;
}

std::future<std::string> lathe::pipeline::digestFile(std::string path) {
  return std::async(std::launch::async, [path = std::move(path)]() -> std::string {
    auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
    if (!file)
      return "";
    auto bytes = llvm::arrayRefFromStringRef((*file)->getBuffer());
    return llvm::toHex(llvm::SHA256::hash(bytes), /*LowerCase=*/true);
  });
}

std::string lathe::pipeline::writeManifest(ModuleOp imported, const CompileOptions &options,
                                           ArrayRef<VariantInfo> variants, uint64_t flops,
                                           uint64_t weightBytes) {
  auto text = [&](StringRef attribute) -> std::string {
    auto value = imported->getAttrOfType<StringAttr>(attribute);
    return value ? value.str() : "";
  };
  llvm::json::Array targets;
  for (const VariantInfo &variant : variants) {
    llvm::json::Object target = describeCode(variant);
    target["name"] = variant.name;
    target["registers"] = variant.registers;
    target["weights_bytes"] = int64_t(weightBytes);
    llvm::json::Array specialized;
    for (const VariantInfo &code : variant.specialized) {
      llvm::json::Object sizes, described = describeCode(code);
      for (const auto &[name, size] : code.sizes)
        sizes[name] = size;
      described["dims"] = std::move(sizes);
      if (code.isGeneral)
        described["general"] = true;
      specialized.push_back(std::move(described));
    }
    if (!specialized.empty())
      target["specialized"] = std::move(specialized);
    targets.push_back(std::move(target));
  }
  llvm::json::Object dims, bounds, sizes;
  for (const auto &[name, size] : options.dims)
    dims[name] = size;
  for (const DimBounds &dim : options.dimBounds)
    bounds[dim.name] = llvm::json::Array{dim.min, dim.max};
  for (const DimSizes &dim : options.dimSizes)
    sizes[dim.name] = llvm::json::Array(dim.sizes);
  llvm::json::Object states;
  for (const auto &[input, output] : options.states)
    states[input] = output;
  llvm::json::Object flags{{"opt_level", int64_t(options.optLevel)},
                           {"strict", options.strict},
                           {"deterministic", options.deterministic},
                           {"target", options.target},
                           {"precision", options.precision},
                           {"batch", options.batch},
                           {"dims", std::move(dims)},
                           {"states", std::move(states)},
                           {"dynamic", options.dynamicDims}};
  if (!bounds.empty())
    flags["dim_bounds"] = std::move(bounds);
  if (options.cubin != "auto")
    flags["cubin"] = options.cubin;
  if (!options.scheduleFile.empty())
    flags["schedule"] = llvm::sys::path::filename(options.scheduleFile);
  if (!sizes.empty())
    flags["dim_sizes"] = std::move(sizes);
  llvm::json::Object producer{
      {"name", "lathe"}, {"version", LATHE_VERSION}, {"llvm", LLVM_VERSION_STRING}};
  auto knowsRegisters = [](const VariantInfo &variant) {
    return StringRef(variant.name).starts_with("nvidia:") &&
           llvm::any_of(variant.kernels, [](const KernelInfo &kernel) {
             return kernel.code && kernel.code->registers;
           });
  };
  if (llvm::any_of(variants, knowsRegisters))
    producer["ptxas"] = codegen::findPtxas()->version;
  llvm::json::Object manifest{
      {"producer", std::move(producer)},
      {"source",
       llvm::json::Object{{"file", text("graph.source")}, {"sha256", text("graph.sha256")}}},
      {"options", std::move(flags)},
      {"targets", std::move(targets)},
      {"flops", int64_t(flops)},
  };
  if (auto random = imported->getAttrOfType<ArrayAttr>("graph.random_outputs")) {
    llvm::json::Array names;
    for (auto name : random.getAsRange<StringAttr>())
      names.push_back(name.getValue());
    manifest["random_outputs"] = std::move(names);
  }
  return llvm::formatv("{0:2}", llvm::json::Value(std::move(manifest))).str();
}
