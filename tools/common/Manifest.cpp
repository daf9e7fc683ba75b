// The JSON manifest of an artifact, as far as the commands use it.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Manifest.h"
#include "tools/common/Support.h"

#include <algorithm>

namespace lathe::tools {

namespace {

using Json = nlohmann::ordered_json;

const Json *findKey(const Json &object, const char *key) {
  if (!object.is_object())
    return nullptr;
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

double numberAt(const Json &object, const char *key, double otherwise = 0) {
  const Json *value = findKey(object, key);
  return value && value->is_number() ? value->get<double>() : otherwise;
}

std::string asText(const Json *value) {
  if (!value || value->is_null())
    return "";
  return value->is_string() ? value->get<std::string>() : value->dump();
}

/// Calls `take` with each element of an array; nothing for anything else.
template <typename Take> void forEach(const Json &object, const char *key, Take take) {
  if (const Json *list = findKey(object, key); list && list->is_array())
    for (const Json &element : *list)
      take(element);
}

KernelCode readKernelCode(const Json &description) {
  KernelCode code;
  auto read = [&](const char *key) -> std::optional<double> {
    const Json *value = findKey(description, key);
    return value && value->is_number() ? std::optional(value->get<double>()) : std::nullopt;
  };
  code.threads = numberAt(description, "threads");
  code.registers = read("registers");
  code.scalarRegisters = read("scalar_registers");
  code.spillBytes = read("spill_bytes");
  code.sharedBytes = read("shared_bytes");
  code.occupancy = read("occupancy");
  if (const Json *counts = findKey(description, "instructions")) {
    code.instructions = numberAt(*counts, "all");
    code.matrix = numberAt(*counts, "matrix");
    code.loads = numberAt(*counts, "loads");
    code.wideLoads = numberAt(*counts, "loads_of_16_bytes");
    code.stores = numberAt(*counts, "stores");
    code.wideStores = numberAt(*counts, "stores_of_16_bytes");
    code.sharedAccesses = numberAt(*counts, "shared_loads") + numberAt(*counts, "shared_stores");
    code.privateAccesses = numberAt(*counts, "private_accesses");
    code.atomics = numberAt(*counts, "atomics");
    code.barriers = numberAt(*counts, "barriers");
  }
  return code;
}

/// What target and code for certain sizes have in common.
TargetInfo readCode(const Json &entry) {
  TargetInfo code;
  auto readBytes = [&](const char *formula, const char *number) {
    std::string text = asText(findKey(entry, formula));
    const Json *bytes = text.empty() ? findKey(entry, number) : nullptr;
    return bytes && bytes->is_number_unsigned() ? formatBytes(bytes->get<uint64_t>())
           : bytes                              ? asText(bytes)
                                                : text;
  };
  code.arena = readBytes("arena_formula", "arena_bytes");
  code.sampleArena = readBytes("sample_formula", "sample_bytes");
  code.samples = numberAt(entry, "samples");
  code.arenaMost = numberAt(entry, "arena_bytes_at_most");
  forEach(entry, "kernels", [&](const Json &description) {
    KernelInfo kernel;
    kernel.name = asText(findKey(description, "name"));
    kernel.kind = asText(findKey(description, "kind"));
    kernel.shape = asText(findKey(description, "shape"));
    kernel.flops = numberAt(description, "flops");
    kernel.bytes = numberAt(description, "bytes");
    kernel.calls = numberAt(description, "calls", 1);
    forEach(description, "nodes", [&](const Json &node) { kernel.nodes.push_back(asText(&node)); });
    if (const Json *own = findKey(description, "code"); own && own->is_object())
      kernel.code = readKernelCode(*own);
    code.flops += kernel.flops * kernel.calls;
    code.bytes += kernel.bytes * kernel.calls;
    code.kernels.push_back(std::move(kernel));
  });
  return code;
}

} // namespace

Manifest::Manifest(const std::string &text)
    : json(Json::parse(text, nullptr, /*allow_exceptions=*/false)) {
  if (!json.is_object())
    json = Json::object();
  forEach(json, "targets", [&](const Json &entry) {
    TargetInfo target = readCode(entry);
    target.name = asText(findKey(entry, "name"));
    target.registers = asText(findKey(entry, "registers"));
    target.weightsBytes = numberAt(entry, "weights_bytes");
    target.flops = numberAt(entry, "flops", numberAt(json, "flops", target.flops));
    forEach(entry, "specialized", [&](const Json &part) {
      TargetInfo code = readCode(part);
      std::vector<std::string> sizes;
      if (const Json *dims = findKey(part, "dims"); dims && dims->is_object())
        for (const auto &[name, size] : dims->items())
          sizes.push_back(name + "=" + asText(&size));
      code.dims = join(sizes, ", ");
      const Json *general = findKey(part, "general");
      code.isGeneral = general && general->is_boolean() && general->get<bool>();
      target.specialized.push_back(std::move(code));
    });
    targets.push_back(std::move(target));
  });
}

const KernelInfo *TargetInfo::findKernel(const std::string &kernel) const {
  for (const KernelInfo &known : kernels)
    if (known.name == kernel)
      return &known;
  for (const TargetInfo &code : specialized)
    if (const KernelInfo *found = code.findKernel(kernel))
      return found;
  return nullptr;
}

const TargetInfo *Manifest::find(const std::string &target) const {
  auto found = std::ranges::find(targets, target, &TargetInfo::name);
  return found == targets.end() ? nullptr : &*found;
}

std::string Manifest::text(std::initializer_list<const char *> path) const {
  const Json *value = &json;
  for (const char *key : path)
    if (value)
      value = findKey(*value, key);
  return asText(value);
}

} // namespace lathe::tools
