// Opening, choosing and verifying: the life of a module.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Module.h"
#include "runtime/Artifact/Table.h"
#include "runtime/Core/Device.h"
#include "runtime/Core/Options.h"
#include "runtime/Cpu/Features.h"

#include <cstring>
#include <iterator>

using namespace lathe::runtime;

namespace {

constexpr uint64_t weightsFileAlignment = 64 << 10;

struct FeaturesText {
  explicit FeaturesText(uint64_t features) { lathe_features_format(features, text, sizeof(text)); }
  char text[128];
};

bool isRunnable(const lathe_variant &variant, uint64_t features) {
  return (variant.features & ~features) == 0;
}

int32_t readModuleOptions(const lathe_module_options *given, lathe_module_options &options,
                          lathe_status *status) {
  if (int32_t code = readOptions(given, "lathe_module_options",
                                 offsetof(lathe_module_options, variant), options, status))
    return code;
  if (options.flags & ~uint32_t(LATHE_MODULE_INSPECT))
    return fail(status, LATHE_STATUS_ARGUMENT, "lathe_module_options.flags 0x%x has unknown flags",
                options.flags);
  return LATHE_STATUS_OK;
}

template <typename Open>
int32_t openModule(const lathe_module_options *given, lathe_module **result, lathe_status *status,
                   Open open) {
  if (!result)
    return fail(status, LATHE_STATUS_ARGUMENT, "module is NULL");
  lathe_module_options options;
  if (int32_t code = readModuleOptions(given, options, status))
    return code;
  auto *module = createObject<lathe_module>();
  if (!module)
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  module->features = hostFeatures();
  if (options.features)
    module->features &= options.features;
  int32_t code = open(*module, options);
  if (code != LATHE_STATUS_OK) {
    module->release();
    return code;
  }
  *result = module;
  return succeed(status);
}

template <typename Open>
int32_t openFile(const lathe_module_options *given, lathe_module **result, lathe_status *status,
                 Open open) {
  return openModule(given, result, status,
                    [&](lathe_module &module, const lathe_module_options &options) {
                      int32_t code = open(module.file);
                      return code ? code : module.load(options, status);
                    });
}

} // namespace

int32_t lathe_module::load(const lathe_module_options &options, lathe_status *status) {
  bool inspect = options.flags & LATHE_MODULE_INSPECT;
  if (int32_t code = elf.read(file, status))
    return code;
  uint16_t machine = elf.header.e_machine;
  const char *name = machineName(machine), *host = machineName(hostMachine());
  if (machine != hostMachine() && !(inspect && name))
    return fail(status, LATHE_STATUS_MACHINE,
                "%s: made for %s (machine %u), this is %s; compile it with --target", file.name(),
                name ? name : "another machine", machine,
                host ? host : "a machine that Lathe does not know");
  const Elf64_Shdr *weightsSection = elf.findSection(LATHE_SECTION_WEIGHTS);
  if (weightsSection &&
      (weightsSection->sh_flags & SHF_ALLOC || weightsSection->sh_offset % weightsFileAlignment))
    return malformed(file, status, "the weights section is loaded or not aligned to 64 KiB");
  if (int32_t code = image.copy(file, elf, status))
    return code;
  if (int32_t code = readSections(status))
    return code;
  if (options.verifier.verify)
    if (int32_t code = askVerifier(options.verifier, status))
      return code;
  if (int32_t code = image.link(file, elf, !inspect, status))
    return code;
  uint64_t weightsBytes = weightsSection ? Elf::fileBytes(*weightsSection) : 0;
  if (int32_t code = checkTable(file, image, weightsBytes, table, status))
    return code;
  if (int32_t code = choose(options, status))
    return code;
  if (int32_t code = mapWeights(weightsSection, status))
    return code;
  if (int32_t code = loadOnDevice(status))
    return code;
  if (int32_t code = layOut(status))
    return code;
  if (chosen)
    debugger.announce(*this);
  return LATHE_STATUS_OK;
}

// Checks the sections that are neither loaded nor deferred, and keeps some of them.
int32_t lathe_module::readSections(lathe_status *status) {
  for (size_t i = 1; i < elf.sections.size(); ++i) {
    const Elf64_Shdr &section = elf.sections[i];
    uint64_t bytes = Elf::fileBytes(section);
    if ((section.sh_flags & SHF_ALLOC) || !bytes || !elf.hasDigest(i) || elf.isDeferred(i))
      continue;
    const char *name = elf.sectionName(i);
    bool isWanted[] = {!strcmp(name, LATHE_SECTION_MANIFEST), section.sh_type == SHT_SYMTAB,
                       section.sh_type == SHT_STRTAB && !strcmp(name, ".strtab"),
                       !strcmp(name, LATHE_SECTION_SIGNATURE)};
    Array<char> other;
    KeptSection unkept = {&other, 0}, *chosenPlace = &unkept;
    for (size_t k = 0; k < std::size(isWanted); ++k)
      if (isWanted[k] && !kept[k].index)
        chosenPlace = &kept[k];
    chosenPlace->index = i;
    Array<char> &to = *chosenPlace->bytes;
    if (int32_t code = keepSection(section, to, status))
      return code;
    if (int32_t code = elf.compare(file, i, digestOf(to.data(), bytes), status))
      return code;
  }
  if (manifest.size()) {
    manifestText = manifest.data();
    manifestBytes = manifest.size() - 1;
  }
  return LATHE_STATUS_OK;
}

int32_t lathe_module::adopt(const lathe_static_model &model, const lathe_module_options &options,
                            lathe_status *status) {
  if (model.size < sizeof(lathe_static_model) || !model.table || !model.weights)
    return fail(status, LATHE_STATUS_ARGUMENT, "the model is not one that Lathe has written");
  if (int32_t code = file.openMemory(nullptr, 0, model.name, status))
    return code;
  table = model.table;
  if (int32_t code = checkVersion(file, *table, status))
    return code;
  if (model.manifest) {
    manifestText = model.manifest;
    manifestBytes = model.manifest_bytes;
  }
  if (int32_t code = choose(options, status))
    return code;
  weights = model.weights + (chosen ? chosen->weights_offset : 0);
  if (int32_t code = loadOnDevice(status))
    return code;
  return layOut(status);
}

int32_t lathe_module::keepSection(const Elf64_Shdr &section, Array<char> &to,
                                  lathe_status *status) {
  // One more byte, which is 0, terminates text.
  if (!to.create(section.sh_size + 1))
    return fail(status, LATHE_STATUS_MEMORY, "%s: no memory for a section of %llu bytes",
                file.name(), static_cast<unsigned long long>(section.sh_size));
  return file.read(section.sh_offset, to.data(), section.sh_size, status);
}

int32_t lathe_module::chooseForDevice(const lathe_module_options &options, lathe_status *status) {
  device = options.device;
  device->retain();
  char held[512] = "";
  TextBuilder list(held, sizeof(held));
  uint32_t best = 0;
  for (uint64_t i = 0; i < countDeviceVariants(*table); ++i) {
    const lathe_device_variant &code = table->device_variants[i];
    list.add("%s%s", i ? ", " : "", code.host.name);
    if (options.variant && strcmp(options.variant, code.host.name))
      continue;
    uint32_t fit = isRunnable(code.host, features) ? device->ops->fit(device, &code) : 0;
    if (fit <= best)
      continue;
    best = fit;
    deviceCode = &code;
  }
  if (deviceCode) {
    shown = chosen = &deviceCode->host;
    return LATHE_STATUS_OK;
  }
  return fail(
      status, LATHE_STATUS_VARIANT,
      "%s: no code in it runs on %s%s%.100s; it holds code for %s; compile it with --target",
      file.name(), device->name, options.variant ? "; asked for " : "",
      options.variant ? options.variant : "", *held ? held : "no device");
}

int32_t lathe_module::choose(const lathe_module_options &options, lathe_status *status) {
  if (options.device && !(options.flags & LATHE_MODULE_INSPECT))
    return chooseForDevice(options, status);
  bool named = false;
  for (uint32_t i = 0; i < table->variant_count && !chosen; ++i) {
    const lathe_variant &variant = table->variants[i];
    if (options.variant && strcmp(options.variant, variant.name))
      continue;
    named = true;
    if (!isRunnable(variant, features))
      continue;
    bool isRun = !(options.flags & LATHE_MODULE_INSPECT);
    if (uint64_t denied = isRun ? variant.features & ~requestFeatures(variant.features) : 0)
      features &= ~denied;
    else
      chosen = &variant;
  }
  if (options.flags & LATHE_MODULE_INSPECT) {
    shown = chosen                 ? chosen
            : table->variant_count ? &table->variants[0]
                                   : &table->device_variants[0].host;
    chosen = nullptr;
    return LATHE_STATUS_OK;
  }
  shown = chosen;
  if (chosen)
    return LATHE_STATUS_OK;
  char held[512] = "";
  TextBuilder list(held, sizeof(held));
  for (uint64_t i = 0; i < countDeviceVariants(*table); ++i)
    list.add("%s%s", i ? ", " : "", table->device_variants[i].host.name);
  if (*held && table->variant_count)
    list.add(", ");
  for (uint32_t i = 0; i < table->variant_count; ++i)
    list.add("%s%s (needs %s)", i ? ", " : "", table->variants[i].name,
             FeaturesText(table->variants[i].features).text);
  if (options.variant && !named)
    return fail(status, LATHE_STATUS_VARIANT, "%s: no variant '%.100s'; it holds %s", file.name(),
                options.variant, held);
  return fail(status, LATHE_STATUS_VARIANT,
              "%s: no variant runs on this processor, which has %s%s; the file holds %s%s%.100s",
              file.name(), FeaturesText(features).text,
              features != hostFeatures() ? " (as restricted by the caller)" : "", held,
              options.variant ? "; asked for " : "", options.variant ? options.variant : "");
}

int32_t lathe_module::mapWeights(const Elf64_Shdr *section, lathe_status *status) {
  alignas(LATHE_ALIGNMENT) static const char noWeights[LATHE_ALIGNMENT] = {};
  weights = noWeights;
  if (!chosen || !chosen->weights_bytes || !section)
    return LATHE_STATUS_OK;
  return file.map(section->sh_offset + chosen->weights_offset, chosen->weights_bytes, weights,
                  status);
}

// Numbers the symbolic dimensions of each entry's inputs, so that a run compares no names.
int32_t lathe_module::layOut(lathe_status *status) {
  uint64_t dims = 0;
  for (uint32_t e = 0; e < shown->entry_count; ++e)
    for (uint32_t i = 0; i < shown->entries[e].input_count; ++i)
      dims += shown->entries[e].inputs[i].rank;
  Array<const char *> names;
  if (!layouts.create(shown->entry_count) || !inputSymbols.create(dims) || !names.create(dims))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  // More than this many different symbols are not compared: models have a handful.
  constexpr uint32_t maxSymbols = 256;
  uint64_t next = 0;
  for (uint32_t e = 0; e < shown->entry_count; ++e) {
    EntryLayout &layout = layouts[e];
    layout.firstSymbol = next;
    for (uint32_t i = 0; i < shown->entries[e].input_count; ++i) {
      const lathe_tensor_spec &spec = shown->entries[e].inputs[i];
      for (uint32_t d = 0; d < spec.rank; ++d, ++next) {
        const char *symbol = spec.dims[d].symbol;
        inputSymbols[next] = -1;
        if (!symbol || spec.dims[d].size != LATHE_DYNAMIC)
          continue;
        uint32_t s = 0;
        while (s < layout.symbolCount && strcmp(names[s], symbol))
          ++s;
        if (s == maxSymbols)
          continue;
        if (s == layout.symbolCount)
          names[layout.symbolCount++] = symbol;
        inputSymbols[next] = s;
      }
    }
  }
  return LATHE_STATUS_OK;
}

void lathe_module::release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    lathe::runtime::destroyObject(this);
}

int32_t lathe_module_open(const char *path, const lathe_module_options *options,
                          lathe_module **module, lathe_status *status) {
  if (!path)
    return fail(status, LATHE_STATUS_ARGUMENT, "path is NULL");
  return openFile(options, module, status, [&](File &file) { return file.openPath(path, status); });
}

int32_t lathe_module_open_fd(int fd, const char *name, const lathe_module_options *options,
                             lathe_module **module, lathe_status *status) {
  return openFile(options, module, status,
                  [&](File &file) { return file.openDescriptor(fd, name, status); });
}

int32_t lathe_module_open_memory(const void *data, uint64_t bytes, const char *name,
                                 const lathe_module_options *options, lathe_module **module,
                                 lathe_status *status) {
  if (!data)
    return fail(status, LATHE_STATUS_ARGUMENT, "data is NULL");
  if (reinterpret_cast<uint64_t>(data) % LATHE_ALIGNMENT)
    return fail(status, LATHE_STATUS_ARGUMENT,
                "the artifact's memory is not aligned to %u bytes, as its weights need",
                LATHE_ALIGNMENT);
  return openFile(options, module, status,
                  [&](File &file) { return file.openMemory(data, bytes, name, status); });
}

int32_t lathe_module_open_static(const lathe_static_model *model,
                                 const lathe_module_options *options, lathe_module **module,
                                 lathe_status *status) {
  if (!model)
    return fail(status, LATHE_STATUS_ARGUMENT, "model is NULL");
  return openModule(options, module, status,
                    [&](lathe_module &opened, const lathe_module_options &read) {
                      return opened.adopt(*model, read, status);
                    });
}

void lathe_module_close(lathe_module *module) {
  if (module)
    module->release();
}

int32_t lathe_module_verify(const lathe_module *module, lathe_status *status) {
  if (!module)
    return fail(status, LATHE_STATUS_ARGUMENT, "module is NULL");
  const Elf &elf = module->elf;
  for (size_t i = 1; i < elf.sections.size(); ++i) {
    if (!elf.isDeferred(i) || !Elf::fileBytes(elf.sections[i]))
      continue;
    Digest digest;
    if (int32_t code =
            module->file.digest(elf.sections[i].sh_offset, elf.sections[i].sh_size, digest, status))
      return code;
    if (int32_t code = elf.compare(module->file, i, digest, status))
      return code;
  }
  return succeed(status);
}
