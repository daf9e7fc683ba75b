// Code for GPUs: kernels for the device and for the emulator, and the host program that drives
// them. Apache-2.0 WITH LLVM-exception
#include "Compilation.h"
#include "dialects/Rt/Rt.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::pipeline;

std::pair<std::string, std::string> lathe::pipeline::splitTargets(StringRef list) {
  std::pair<std::string, std::string> parts;
  SmallVector<StringRef> names;
  list.split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names) {
    std::string &part = codegen::namesDevice(name.trim()) ? parts.second : parts.first;
    part += (part.empty() ? "" : ",") + name.trim().str();
  }
  return parts;
}

const codegen::HostTarget &lathe::pipeline::hostOfDevices() {
  static const codegen::HostTarget host = [] {
    auto targets = llvm::cantFail(codegen::resolveTargets(baselineTarget()));
    return targets.front();
  }();
  return host;
}

/// The matrix units of a device; on request those that take f32, with a part of its mantissa, or
/// 8-bit floats, whose sums may have fewer bits than f32.
static std::string chooseUnits(const codegen::DeviceTarget &device, StringRef precision) {
  SmallVector<StringRef> names, wanted;
  StringRef(device.matrixUnit).split(names, ',', -1, /*KeepEmpty=*/false);
  llvm::copy_if(names, std::back_inserter(wanted), [&](StringRef name) {
    return (precision == "tf32" || !name.ends_with("f32")) &&
           (precision == "fp8" || !name.ends_with(".f8"));
  });
  return llvm::join(wanted, ",");
}

bool Compilation::checkDeviceOptions() {
  auto refuse = [&](const Twine &what) {
    errors += (what + " is not there for devices yet: leave the device targets out\n").str();
    return false;
  };
  if (emits("obj") || emits("header"))
    return refuse("linking a model into a program");
  if (options.batch == "each")
    return refuse("a batch sample by sample");
  return true;
}

// What falls back to the host is never silent.
bool Compilation::reportFallbacks(ModuleOp scheduled, const codegen::DeviceTarget &device) {
  if (options.fallback == "allow")
    return true;
  std::vector<std::string> places;
  scheduled.walk([&](Operation *op) {
    auto invoke = dyn_cast<rt::InvokeOp>(op);
    auto dispatch = dyn_cast<rt::DispatchOp>(op);
    if (!invoke && !(dispatch && !dispatch->hasAttr("launch")))
      return;
    std::string node = rt::describeNode(op->getLoc());
    if (node.empty())
      node = "a part that no node names";
    if (!llvm::is_contained(places, node))
      places.push_back(std::move(node));
  });
  if (places.empty())
    return true;
  bool forbid = options.fallback == "forbid";
  for (const std::string &node : places) {
    std::string text = (Twine(forbid ? "" : "warning: ") + node + ": runs on the host, not on " +
                        device.name + (forbid ? ", which --fallback forbids\n" : "\n"))
                           .str();
    if (!StringRef(errors).contains(text)) // by another form
      errors += text;
  }
  return !forbid;
}

// Without ptxas, or where it does not take the text, registers are not known, and the driver
// compiles.
bool Compilation::assemble(const codegen::DeviceTarget &device, const codegen::DeviceCode &code,
                           codegen::AssembledCode &assembled) {
  bool isRequired = options.cubin == "require";
  const auto &ptxas = codegen::findPtxas();
  if (!ptxas) {
    if (isRequired)
      errors += "--cubin require: there is no ptxas in PATH that works\n";
    return !isRequired;
  }
  auto made = codegen::runPtxas(*ptxas, code.assembly, device);
  if (made) {
    assembled = std::move(*made);
    return true;
  }
  std::string why = StringRef(llvm::toString(made.takeError())).take_front(1000).rtrim().str();
  errors += ((isRequired ? "--cubin require: " : "warning: ") + Twine(device.name) + ": " + why +
             (isRequired ? "\n" : "; without a cubin the driver compiles the code\n"))
                .str();
  return !isRequired;
}

bool Compilation::describeCode(ArrayRef<codegen::DeviceKernel> kernels,
                               const codegen::DeviceTarget &device, const codegen::DeviceCode &code,
                               StringRef ptxasLog, VariantInfo &variant) {
  auto described = codegen::describeKernels(kernels, device, code, ptxasLog);
  if (!described)
    return fail(described.takeError());
  auto describe = [&](VariantInfo &form) {
    for (const codegen::KernelCode &kernel : *described)
      for (KernelInfo &info : form.kernels)
        if (info.name == kernel.name)
          info.code = kernel;
  };
  describe(variant);
  llvm::for_each(variant.specialized, describe);
  return true;
}

bool Compilation::addDevice(DeviceJob &job, const codegen::DeviceTarget &device, StringRef prefix,
                            Shared &shared, std::vector<VariantInfo> &variants,
                            artifact::Contents &contents) {
  auto main = job.module.lookupSymbol<func::FuncOp>("main");
  codegen::HostTarget described = hostOfDevices();
  described.name = device.name;
  described.vectorBits = 32; // a thread's registers
  described.vectorRegisters = 255;
  auto scheduleForm = [&](ModuleOp form) -> OwningOpRef<ModuleOp> {
    OwningOpRef<ModuleOp> made = form.clone();
    if (job.isScheduled) {
      made->lookupSymbol("main")->erase();
      return made;
    }
    schedule::Options wanted = scheduleOptions(described);
    wanted.target.itemPerThread = true;
    wanted.target.dotI16.clear();
    if (!options.strict) {
      wanted.target.matrixUnit = chooseUnits(device, options.precision);
      wanted.target.groupUnit = device.groupUnit;
    }
    wanted.target.copyStages = device.copyStages;
    wanted.target.copiesTensors = device.copiesTensors();
    wanted.target.processors = device.processors;
    wanted.target.sharedBytes = device.sharedBytes;
    bool isDone =
        stage("schedule", [&] { return succeeded(schedule::scheduleModule(*made, wanted)); });
    return isDone ? std::move(made) : nullptr;
  };
  OwningOpRef<ModuleOp> scheduled = scheduleForm(job.module);
  if (!scheduled)
    return false;
  if (stopsAfter("schedule")) {
    describeScheduled(*scheduled, main, device.name, job.flops);
    job.isWritten = true;
    return write(*scheduled, job.output);
  }
  variants.push_back(describeVariant(*scheduled, described, entry));
  codegen::DeviceKernels kernels = codegen::takeDeviceKernels(*scheduled);
  if (!kernels.module)
    return false;
  if (!reportFallbacks(*scheduled, device))
    return false;

  // What is for certain sizes launches the same kernels, and others.
  std::vector<OwningOpRef<ModuleOp>> sized;
  std::vector<codegen::SizeCase> cases;
  for (Specialized &form : specialized) {
    llvm::SaveAndRestore<const Specialized *> working(current, &form);
    sized.push_back(scheduleForm(*form.module));
    if (!sized.back())
      return false;
    VariantInfo info = describeVariant(*sized.back(), described, entry);
    info.sizes = form.sizes;
    variants.back().specialized.push_back(std::move(info));
    cases.push_back({(prefix + "_size" + Twine(cases.size())).str(), form.tests});
    if (failed(codegen::addDeviceKernels(*sized.back(), kernels)))
      return false;
    if (!reportFallbacks(*sized.back(), device))
      return false;
  }

  std::string generalPrefix = (prefix + (cases.empty() ? "" : "_general")).str();
  LoweredModule code;
  std::vector<LoweredModule> hosts;
  if (!stage("lower", [&] {
        code = lower(*kernels.module, hostOfDevices(), "", shared);
        hosts.push_back(lower(*scheduled, hostOfDevices(), generalPrefix, shared));
        for (auto [form, sizes] : llvm::zip_equal(sized, cases))
          hosts.push_back(lower(*form, hostOfDevices(), sizes.prefix, shared));
        return code.module && llvm::all_of(hosts, [](const auto &host) { return !!host.module; });
      }))
    return false;
  if (!cases.empty())
    codegen::addSizeDispatch(*hosts.front().module, prefix, generalPrefix, cases);
  if (options.emit == "llvm" || stopsAfter("codegen")) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    code.module->print(stream, nullptr);
    job.isWritten = true;
    return writeText(text, job.output);
  }
  artifact::DeviceVariant variant;
  if (!stage("codegen", [&] {
        auto compiled = codegen::compileDevice(std::move(code.module), kernels.kernels, device,
                                               hostOfDevices(), prefix, options.optLevel);
        if (!compiled)
          return fail(compiled.takeError());
        if (options.emit == "asm") {
          job.isWritten = true;
          return writeText(compiled->assembly, job.output);
        }
        codegen::AssembledCode assembled;
        if (device.isNvidia() && !kernels.kernels.empty() &&
            !assemble(device, *compiled, assembled))
          return false;
        if (!describeCode(kernels.kernels, device, *compiled, assembled.log, variants.back()))
          return false;
        if (!device.isNvidia()) {
          auto linked =
              artifact::linkDeviceCode(compiled->image->getMemBufferRef(), device.name, job.output);
          if (!linked)
            return fail(linked.takeError());
          compiled->image = std::move(*linked);
        }
        for (const codegen::DeviceKernel &kernel : kernels.kernels)
          variant.kernels.push_back({kernel.name, kernel.argumentCount, kernel.blockThreads,
                                     kernel.isBlockItem ? 1 : kernel.blockThreads,
                                     kernel.sharedBytes, kernel.tensorMaps});
        variant.images.push_back({device.isNvidia() ? LATHE_IMAGE_PTX : LATHE_IMAGE_HSACO,
                                  std::move(compiled->image), ""});
        if (assembled.cubin && options.cubin != "never")
          variant.images.push_back({LATHE_IMAGE_CUBIN, std::move(assembled.cubin), ""});
        variant.images.push_back({LATHE_IMAGE_EMULATOR, std::move(compiled->emulator),
                                  std::move(compiled->emulatorSymbol)});
        codegen::HostOptions hostOptions;
        hostOptions.optLevel = options.optLevel;
        for (LoweredModule &host : hosts) {
          auto object = codegen::compileHost(std::move(host.module), hostOfDevices(), hostOptions);
          if (!object)
            return fail(object.takeError());
          if (!variant.host.object)
            variant.host.object = std::move(*object);
          else
            variant.host.sizeObjects.push_back(std::move(*object));
        }
        return true;
      }))
    return false;
  variant.host.name = device.name;
  variant.host.features = hostOfDevices().featureBits;
  variant.host.stateCount = options.states.size();
  variant.flags = LATHE_DEVICE_EXTENTS | (kernels.hostLooks ? LATHE_DEVICE_HOST_LOOKS : 0);
  artifact::Entry made = entry;
  made.runSymbol = (prefix + "_run").str();
  made.planSymbol = (prefix + "_plan").str();
  variant.host.entries.push_back(std::move(made));
  contents.devices.push_back(std::move(variant));
  return true;
}

bool Compilation::addDevices(DeviceJob &job, ArrayRef<codegen::DeviceTarget> devices,
                             StringRef prefix, Shared &shared, std::vector<VariantInfo> &variants,
                             artifact::Contents &contents) {
  for (auto [index, device] : llvm::enumerate(devices)) {
    std::string own = (prefix + "_device" + Twine(index)).str();
    if (!addDevice(job, device, own, shared, variants, contents))
      return false;
    if (job.isWritten)
      return true;
  }
  for (artifact::DeviceVariant &variant : contents.devices)
    variant.host.weightsBytes = shared.weights.bytes();
  return true;
}
