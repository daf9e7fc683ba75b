// lathe inspect: shows what is in an artifact.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/CommandLine.h"
#include "tools/common/Dims.h"
#include "tools/common/Manifest.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/lathe/Commands.h"

#include <cctype>
#include <iostream>
#include <memory>
#include <unistd.h>

namespace lathe::tools {

namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  std::string artifact, imageFolder;
  std::vector<std::string> dims;
  bool kernels = false, json = false;
};

std::string featureText(uint64_t features) {
  char text[256];
  lathe_features_format(features, text, sizeof text);
  return text;
}

bool isBounded(const lathe_dim &dim) {
  return dim.size == LATHE_DYNAMIC && dim.symbol && (dim.min > 0 || dim.max != INT64_MAX);
}

bool dependsOnData(const lathe_dim &dim) { return dim.size == LATHE_DYNAMIC && !dim.symbol; }

Json describeTensors(std::span<const lathe_tensor_spec *const> specs) {
  Json list = Json::array();
  for (const lathe_tensor_spec *spec : specs) {
    Json dims = Json::array();
    for (const lathe_dim &dim : std::span(spec->dims, spec->rank)) {
      if (dim.size != LATHE_DYNAMIC)
        dims.push_back(dim.size);
      else if (dim.symbol)
        dims.push_back(dim.symbol);
      else
        dims.push_back(nullptr);
    }
    list.push_back({{"name", spec->name}, {"dtype", typeName(spec->dtype)}, {"dims", dims}});
    for (const lathe_dim &dim : std::span(spec->dims, spec->rank))
      if (isBounded(dim))
        list.back()["bounds"][dim.symbol] = {dim.min, dim.max};
    if (spec->alias >= 0)
      list.back()["alias_of_input"] = spec->alias;
    if (spec->state >= 0)
      list.back()["state"] = spec->state;
  }
  return list;
}

/// What a run takes with such sizes, and the variant that runs.
struct RunMemory {
  std::string variant;
  DimList dims;
  lathe_memory_info info;
};

// Where no size is open, or the user says them; the latter is an error where the machine cannot run
// it.
bool knowsSizes(const InspectOptions &options, const Module &module) {
  auto isOpen = [](const lathe_dim &dim) { return dim.size == LATHE_DYNAMIC; };
  bool fixed = std::ranges::none_of(module.inputs(), [&](const lathe_tensor_spec *spec) {
    return std::ranges::any_of(std::span(spec->dims, spec->rank), isOpen);
  });
  std::vector<lathe_variant_info> variants = module.variants();
  return !options.dims.empty() ||
         (fixed && std::ranges::any_of(variants, [](const lathe_variant_info &variant) {
            return variant.runnable != 0;
          }));
}

// Asks the runtime, so that it is what a program gets.
RunMemory queryMemory(const InspectOptions &options) {
  RunMemory result{"", parseDims(options.dims), {}};
  Module module(options.artifact, {"", /*inspectOnly=*/false, /*verifyWeights=*/false});
  checkDimNames(module, result.dims);
  result.variant = module.chosenVariant();
  std::vector<lathe_value> inputs;
  lathe_status status;
  for (const lathe_tensor_spec *spec : module.inputs()) {
    lathe_value &value = inputs.emplace_back(); // a state stays zeroed: the context's first
    bool isTensor = spec->kind == LATHE_VALUE_TENSOR || spec->kind == LATHE_VALUE_STRINGS;
    if (isTensor && spec->state < 0)
      checkStatus(lathe_value_borrow(&value, spec->dtype, spec->rank,
                                     chooseDims(*spec, result.dims).data(), nullptr, &status),
                  status, "input '" + std::string(spec->name) + "'");
    else if (!isTensor)
      value.kind = spec->kind;
  }
  Session session(module, 1);
  result.info.size = sizeof(result.info);
  checkStatus(lathe_context_memory(session.get(), 0, inputs.data(),
                                   static_cast<uint32_t>(inputs.size()), &result.info, &status),
              status);
  return result;
}

void printMemory(const Style &style, const RunMemory &memory) {
  std::vector<std::string> dims;
  for (const auto &[name, size] : memory.dims)
    dims.push_back(printable(name) + "=" + std::to_string(size));
  std::cout << style.strong("memory of a run") << (dims.empty() ? "" : " with " + join(dims, " "))
            << ", " << printable(memory.variant) << '\n'
            << "  arena " << formatBytes(memory.info.arena_bytes) << ", outputs "
            << formatBytes(memory.info.output_bytes);
  if (memory.info.state_bytes)
    std::cout << ", states " << formatBytes(memory.info.state_bytes);
  std::cout << ", at the peak " << memory.info.peak_bytes << " bytes"
            << (memory.info.dynamic ? ", and values whose size depends on data" : "") << '\n';
}

/// Whether the host program of a device goes by values that it copies to itself.
bool hostLooks(const lathe_variant_info &variant) {
  return variant.device_flags & LATHE_DEVICE_HOST_LOOKS;
}

/// The images of a variant; none where it is for a processor.
std::vector<lathe_image_info> imagesOf(const Module &module, uint32_t variant) {
  std::vector<lathe_image_info> images(lathe_module_image_count(module.get(), variant));
  for (uint32_t i = 0; i < images.size(); ++i) {
    images[i].size = sizeof(lathe_image_info);
    lathe_status status;
    checkStatus(lathe_module_image_info(module.get(), variant, i, &images[i], &status), status);
  }
  return images;
}

/// Also the suffix of its file.
std::string imageKind(const lathe_image_info &image) {
  switch (image.kind) {
  case LATHE_IMAGE_PTX:
    return "ptx";
  case LATHE_IMAGE_CUBIN:
    return "cubin";
  case LATHE_IMAGE_HSACO:
    return "hsaco";
  case LATHE_IMAGE_EMULATOR:
    return "emulator";
  }
  return "image" + std::to_string(image.kind);
}

// "nvidia:sm_80" becomes nvidia-sm_80.ptx. What the emulator runs is part of the artifact's own
// code.
void writeImages(const InspectOptions &options, const Module &module) {
  createFolders(options.imageFolder);
  std::vector<lathe_variant_info> variants = module.variants();
  size_t written = 0;
  for (uint32_t i = 0; i < variants.size(); ++i) {
    std::string name = variants[i].name;
    for (char &c : name)
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_')
        c = '-';
    for (const lathe_image_info &image : imagesOf(module, i)) {
      if (image.kind == LATHE_IMAGE_EMULATOR)
        continue;
      // Text without its terminator.
      uint64_t bytes = image.bytes - (image.kind == LATHE_IMAGE_PTX);
      writeFile(options.imageFolder + "/" + name + "." + imageKind(image),
                std::string_view(static_cast<const char *>(image.data), bytes));
      ++written;
    }
  }
  if (!written)
    throw Failure(options.artifact + " holds no code for a device");
}

void printJson(const InspectOptions &options, const Module &module, const Manifest &manifest) {
  Json report;
  report["file"] = options.artifact;
  report["bytes"] = lathe_module_file_bytes(module.get());
  report["image_bytes"] = lathe_module_image_bytes(module.get());
  report["inputs"] = describeTensors(module.inputs());
  report["outputs"] = describeTensors(module.outputs());
  report["variants"] = Json::array();
  bool chosen = false; // The first that this machine can run is the one that will.
  std::vector<lathe_variant_info> variants = module.variants();
  for (uint32_t i = 0; i < variants.size(); ++i) {
    const lathe_variant_info &variant = variants[i];
    report["variants"].push_back({{"name", variant.name},
                                  {"features", featureText(variant.features)},
                                  {"weights_bytes", variant.weights_bytes},
                                  {"runnable", variant.runnable != 0},
                                  {"chosen", variant.runnable && !chosen}});
    chosen |= variant.runnable != 0;
    if (variant.device) {
      Json &described = report["variants"].back();
      described["device"] = true;
      described["host_looks"] = hostLooks(variant);
      described["images"] = Json::array();
      for (const lathe_image_info &image : imagesOf(module, i)) {
        described["kernels"] = image.kernel_count;
        described["images"].push_back({{"kind", imageKind(image)}, {"bytes", image.bytes}});
      }
    }
  }
  report["sections"] = Json::array();
  for (uint32_t i = 0; i < lathe_module_section_count(module.get()); ++i) {
    lathe_section_info section = {};
    section.size = sizeof(section);
    lathe_status status;
    checkStatus(lathe_module_section_info(module.get(), i, &section, &status), status);
    report["sections"].push_back(
        {{"name", section.name}, {"bytes", section.bytes}, {"loaded", section.loaded != 0}});
  }
  if (knowsSizes(options, module)) {
    RunMemory memory = queryMemory(options);
    Json dims = Json::object();
    for (const auto &[name, size] : memory.dims)
      dims[name] = size;
    report["memory"] = {{"variant", memory.variant},
                        {"dims", dims},
                        {"arena_bytes", memory.info.arena_bytes},
                        {"output_bytes", memory.info.output_bytes},
                        {"state_bytes", memory.info.state_bytes},
                        {"peak_bytes", memory.info.peak_bytes},
                        {"depends_on_data", memory.info.dynamic != 0}};
  }
  report["manifest"] = manifest.json;
  std::cout << report.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void printTensors(const Style &style, const char *title,
                  std::span<const lathe_tensor_spec *const> specs) {
  std::cout << style.strong(title) << '\n';
  for (const lathe_tensor_spec *spec : specs) {
    std::cout << "  " << printable(spec->name) << "  " << describeSpec(*spec);
    for (const lathe_dim &dim : std::span(spec->dims, spec->rank))
      if (isBounded(dim)) {
        std::cout << "  " << dim.min << " <= " << printable(dim.symbol);
        if (dim.max != INT64_MAX)
          std::cout << " <= " << dim.max;
      }
    if (std::ranges::any_of(std::span(spec->dims, spec->rank), dependsOnData))
      std::cout << style.faint("  size known when running");
    if (spec->alias >= 0)
      std::cout << "  may share the memory of input " << spec->alias;
    if (spec->state >= 0)
      std::cout << "  state " << spec->state;
    std::cout << '\n';
  }
}

// "128 threads, 40 registers, no spills, occupancy 75 %; 210 instructions: 3 loads (2 of 16 B),
// ..."
void printKernelCode(const KernelCode &code) {
  auto number = [](double value) { return std::to_string(static_cast<uint64_t>(value)); };
  std::vector<std::string> parts = {number(code.threads) + " threads"};
  parts.push_back(code.registers ? number(*code.registers) + " registers" : "registers unknown");
  if (code.scalarRegisters)
    parts.back() += " and " + number(*code.scalarRegisters) + " scalar";
  parts.push_back(!code.spillBytes       ? "spills unknown"
                  : *code.spillBytes > 0 ? number(*code.spillBytes) + " B spilled"
                                         : "no spills");
  if (code.sharedBytes && *code.sharedBytes > 0)
    parts.push_back(formatBytes(static_cast<uint64_t>(*code.sharedBytes)) + " shared");
  parts.push_back("occupancy " + (code.occupancy ? number(*code.occupancy) + " %" : "unknown"));
  std::vector<std::string> counts;
  auto add = [&](double count, const char *what, double wide = 0) {
    if (count > 0)
      counts.push_back(number(count) + what + (wide > 0 ? " (" + number(wide) + " of 16 B)" : ""));
  };
  auto plural = [](double count, const char *one, const char *many) {
    return count == 1 ? one : many;
  };
  add(code.matrix, " of the matrix unit");
  add(code.loads, plural(code.loads, " load", " loads"), code.wideLoads);
  add(code.stores, plural(code.stores, " store", " stores"), code.wideStores);
  add(code.sharedAccesses, " of shared memory");
  add(code.privateAccesses, " of the thread's own memory");
  add(code.atomics, " atomic");
  add(code.barriers, plural(code.barriers, " barrier", " barriers"));
  std::cout << "      " << join(parts, ", ") << "; " << number(code.instructions) << " instructions"
            << (counts.empty() ? "" : ": ") << join(counts, ", ") << '\n';
}

void printKernels(const Style &style, const TargetInfo &target) {
  constexpr size_t nodesShown = 4;
  for (const KernelInfo &kernel : target.kernels) {
    std::cout << "    " << printable(kernel.name);
    if (!kernel.kind.empty())
      std::cout << "  " << printable(kernel.kind);
    if (!kernel.shape.empty())
      std::cout << "  " << printable(kernel.shape);
    if (kernel.calls > 1)
      std::cout << "  " << kernel.calls << " calls";
    if (kernel.flops > 0)
      std::cout << "  " << formatNumber(kernel.flops * 1e-6) << " MFLOP";
    if (kernel.bytes > 0)
      std::cout << "  " << formatBytes(static_cast<uint64_t>(kernel.bytes));
    std::vector<std::string> nodes(
        kernel.nodes.begin(), kernel.nodes.begin() + std::min(nodesShown, kernel.nodes.size()));
    if (kernel.nodes.size() > nodesShown)
      nodes.push_back("and " + std::to_string(kernel.nodes.size() - nodesShown) + " more");
    if (!nodes.empty())
      std::cout << style.faint("  nodes " + printable(join(nodes, ", ")));
    std::cout << '\n';
    if (kernel.code)
      printKernelCode(*kernel.code);
  }
}

void printArena(const TargetInfo &code) {
  if (code.samples > 0)
    std::cout << "  " << formatCount(static_cast<uint64_t>(code.samples), "sample")
              << " run apart, arena for each thread " << printable(code.sampleArena);
  else if (!code.arena.empty())
    std::cout << "  arena " << printable(code.arena);
  else
    return;
  if (code.samples == 0 && !code.sampleArena.empty())
    std::cout << ", for each thread where samples of a batch are run apart "
              << printable(code.sampleArena);
  if (code.arenaMost > 0)
    std::cout << ", at most " << formatBytes(static_cast<uint64_t>(code.arenaMost));
}

void printDevice(const Module &module, uint32_t variant, const lathe_variant_info &info) {
  std::vector<lathe_image_info> images = imagesOf(module, variant);
  std::vector<std::string> texts;
  for (const lathe_image_info &image : images)
    texts.push_back(imageKind(image) +
                    (image.kind == LATHE_IMAGE_EMULATOR ? "" : " " + formatBytes(image.bytes)));
  std::cout << "    " << formatCount(images.empty() ? 0 : images[0].kernel_count, "kernel")
            << " on the device as " << join(texts, ", ")
            << (hostLooks(info) ? "; the host looks at values" : "") << '\n';
}

int inspect(const InspectOptions &options) {
  Module module(options.artifact, {"", /*inspectOnly=*/true, /*verifyWeights=*/true});
  Manifest manifest(module.manifest());
  if (!options.imageFolder.empty())
    writeImages(options, module);
  if (options.json) {
    printJson(options, module, manifest);
    return ExitFine;
  }
  Style style(STDOUT_FILENO);
  std::cout << style.strong(options.artifact) << "  "
            << formatBytes(lathe_module_file_bytes(module.get())) << ", "
            << formatBytes(lathe_module_image_bytes(module.get())) << " of them code and tables\n";
  if (std::string source = manifest.text({"source", "file"}); !source.empty()) {
    std::cout << "  compiled from " << printable(source);
    if (std::string hash = manifest.text({"source", "sha256"}); !hash.empty())
      std::cout << style.faint("  sha256 " + printable(hash));
    std::cout << '\n';
  }
  if (std::string producer = manifest.text({"producer", "name"}); !producer.empty())
    std::cout << "  by " << printable(producer) << ' '
              << printable(manifest.text({"producer", "version"})) << ", LLVM "
              << printable(manifest.text({"producer", "llvm"})) << '\n';
  if (std::string flags = manifest.text({"options"}); !flags.empty())
    std::cout << "  with " << printable(flags) << '\n';
  printTensors(style, "inputs", module.inputs());
  printTensors(style, "outputs", module.outputs());
  std::cout << style.strong("variants, best first") << '\n';
  std::vector<lathe_variant_info> variants = module.variants();
  for (uint32_t i = 0; i < variants.size(); ++i) {
    const lathe_variant_info &variant = variants[i];
    const TargetInfo *target = manifest.find(variant.name);
    std::cout << "  " << printable(variant.name)
              << (variant.device ? "  a device, whose host needs " : "  needs ")
              << featureText(variant.features)
              << (variant.runnable || variant.device ? "" : " (this machine lacks them)")
              << "  weights " << formatBytes(variant.weights_bytes);
    if (target && !target->registers.empty())
      std::cout << "  registers " << printable(target->registers);
    if (target)
      printArena(*target);
    if (target && target->flops > 0)
      std::cout << "  " << formatNumber(target->flops * 1e-6) << " MFLOP";
    if (target)
      std::cout << "  " << formatCount(target->kernels.size(), "kernel");
    std::cout << '\n';
    if (variant.device)
      printDevice(module, i, variant);
    if (options.kernels && target)
      printKernels(style, *target);
    if (target)
      for (const TargetInfo &code : target->specialized) {
        std::cout << "    for " << printable(code.dims);
        if (code.isGeneral) {
          std::cout << "  the general code\n";
          continue;
        }
        printArena(code);
        std::cout << "  " << formatCount(code.kernels.size(), "kernel") << '\n';
        if (options.kernels)
          printKernels(style, code);
      }
  }
  if (knowsSizes(options, module))
    printMemory(style, queryMemory(options));
  return ExitFine;
}

} // namespace

void addInspectCommand(CLI::App &root, Action &action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App &command = addCommand(
      root, "inspect", "Show what is in an artifact: tensors, variants, kernels, memory, origin",
      "  lathe inspect model.lathe\n"
      "  lathe inspect model.lathe --kernels           every kernel with the nodes in it\n"
      "  lathe inspect model.lathe --dim batch=8       what a run of this size takes of memory\n"
      "  lathe inspect model.lathe --json | jq .inputs\n"
      "  lathe inspect model.lathe --images DIR        writes code for devices: "
      "DIR/nvidia-sm_80.ptx\n"
      "Artifacts for other machines can be inspected as well.\n");
  command.add_option("artifact", options->artifact, "Artifact (.lathe)")->required();
  command.add_flag("--kernels", options->kernels,
                   "List the kernels of every variant; those of devices with registers, shared "
                   "memory, occupancy and the instructions in their code");
  command
      .add_option("--images", options->imageFolder,
                  "Write the code for devices to files of this folder, for ptxas, llvm-objdump and "
                  "the like")
      ->type_name("DIR");
  addRepeated(command, "--dim", options->dims,
              "Size of a symbolic dimension: show the memory of a run of such sizes on this "
              "machine (dimensions not named: 1)")
      ->type_name("NAME=N");
  command.add_flag("--json", options->json, "Print one JSON object, the manifest included");
  command.callback([options, &action] { action = [options] { return inspect(*options); }; });
}

} // namespace lathe::tools
