// What a module says about itself.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Module.h"
#include "runtime/Core/Options.h"
#include "runtime/Core/Value.h"

#include <cstring>

using namespace lathe::runtime;

namespace {

const lathe_entry *entryOf(const lathe_module *module, uint32_t entry) {
  return module && entry < module->shown->entry_count ? &module->shown->entries[entry] : nullptr;
}

} // namespace

const char *lathe_module_manifest(const lathe_module *module, uint64_t *bytes) {
  if (bytes)
    *bytes = module ? module->manifestBytes : 0;
  return module ? module->manifestText : "";
}

uint32_t lathe_module_variant_count(const lathe_module *module) {
  return module ? uint32_t(module->table->variant_count + countDeviceVariants(*module->table)) : 0;
}

int32_t lathe_module_variant_info(const lathe_module *module, uint32_t index,
                                  lathe_variant_info *info, lathe_status *status) {
  if (!module || !info)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", module ? "info" : "module");
  if (index >= lathe_module_variant_count(module))
    return fail(status, LATHE_STATUS_ARGUMENT, "variant %u does not exist; there are %u", index,
                lathe_module_variant_count(module));
  const lathe_artifact &table = *module->table;
  bool isDevice = index >= table.variant_count;
  const lathe_variant &variant =
      isDevice ? table.device_variants[index - table.variant_count].host : table.variants[index];
  lathe_variant_info filled = {0,
                               0,
                               variant.name,
                               variant.features,
                               variant.weights_offset,
                               variant.weights_bytes,
                               &variant == module->chosen,
                               !isDevice && (variant.features & ~module->features) == 0,
                               isDevice,
                               0};
  if (isDevice) {
    filled.runnable = filled.chosen;
    filled.device_flags = table.device_variants[index - table.variant_count].flags;
  }
  return answer(info, "lathe_variant_info", filled, status);
}

uint32_t lathe_module_entry_count(const lathe_module *module) {
  return module ? module->shown->entry_count : 0;
}

const char *lathe_module_entry_name(const lathe_module *module, uint32_t entry) {
  const lathe_entry *found = entryOf(module, entry);
  return found ? found->name : nullptr;
}

int32_t lathe_module_entry_find(const lathe_module *module, const char *name) {
  for (uint32_t i = 0; name && i < lathe_module_entry_count(module); ++i)
    if (!strcmp(module->shown->entries[i].name, name))
      return i;
  return -1;
}

uint32_t lathe_module_input_count(const lathe_module *module, uint32_t entry) {
  const lathe_entry *found = entryOf(module, entry);
  return found ? found->input_count : 0;
}

uint32_t lathe_module_output_count(const lathe_module *module, uint32_t entry) {
  const lathe_entry *found = entryOf(module, entry);
  return found ? found->output_count : 0;
}

const lathe_tensor_spec *lathe_module_input_spec(const lathe_module *module, uint32_t entry,
                                                 uint32_t index) {
  return index < lathe_module_input_count(module, entry) ? &entryOf(module, entry)->inputs[index]
                                                         : nullptr;
}

const lathe_tensor_spec *lathe_module_output_spec(const lathe_module *module, uint32_t entry,
                                                  uint32_t index) {
  return index < lathe_module_output_count(module, entry) ? &entryOf(module, entry)->outputs[index]
                                                          : nullptr;
}

int32_t lathe_module_input_find(const lathe_module *module, uint32_t entry, const char *name) {
  for (uint32_t i = 0; name && i < lathe_module_input_count(module, entry); ++i)
    if (!strcmp(entryOf(module, entry)->inputs[i].name, name))
      return i;
  return -1;
}

int32_t lathe_module_output_find(const lathe_module *module, uint32_t entry, const char *name) {
  for (uint32_t i = 0; name && i < lathe_module_output_count(module, entry); ++i)
    if (!strcmp(entryOf(module, entry)->outputs[i].name, name))
      return i;
  return -1;
}

size_t lathe_tensor_spec_format(const lathe_tensor_spec *spec, char *text, size_t capacity) {
  TextBuilder builder(text, text ? capacity : 0);
  if (!spec)
    return 0;
  // Containers are checked to end after LATHE_MAX_NESTING levels.
  while (spec && (spec->kind == LATHE_VALUE_SEQUENCE || spec->kind == LATHE_VALUE_OPTIONAL)) {
    builder.add(spec->kind == LATHE_VALUE_SEQUENCE ? "sequence of " : "optional ");
    spec = itemsOf(*spec);
  }
  if (spec && spec->kind == LATHE_VALUE_MAP) {
    const lathe_tensor_spec *items = itemsOf(*spec);
    builder.add("map from %s to %s", items ? dtypeName(items[0].dtype) : "any",
                items ? dtypeName(items[1].dtype) : "any");
    return builder.length();
  }
  if (!spec || spec->kind == LATHE_VALUE_NONE) {
    builder.add("any");
    return builder.length();
  }
  builder.add("%s[", dtypeName(spec->dtype));
  if (spec->rank == LATHE_ANY_RANK) {
    builder.add("...]");
    return builder.length();
  }
  for (uint32_t d = 0; d < spec->rank && spec->dims; ++d) {
    const lathe_dim &dim = spec->dims[d];
    builder.add(d ? "," : "");
    if (dim.size != LATHE_DYNAMIC)
      builder.add("%lld", static_cast<long long>(dim.size));
    else
      builder.add("%s", dim.symbol ? dim.symbol : "?");
  }
  builder.add("]");
  return builder.length();
}

uint32_t lathe_module_section_count(const lathe_module *module) {
  return module ? module->elf.sections.size() : 0;
}

// Null where the variant is for a processor, or there is none.
static const lathe_device_variant *deviceVariant(const lathe_module &module, uint32_t variant) {
  const lathe_artifact &table = *module.table;
  bool isDevice =
      variant >= table.variant_count && variant - table.variant_count < countDeviceVariants(table);
  return isDevice ? &table.device_variants[variant - table.variant_count] : nullptr;
}

uint32_t lathe_module_image_count(const lathe_module *module, uint32_t variant) {
  const lathe_device_variant *code = module ? deviceVariant(*module, variant) : nullptr;
  return code ? code->image_count : 0;
}

int32_t lathe_module_image_info(const lathe_module *module, uint32_t variant, uint32_t index,
                                lathe_image_info *info, lathe_status *status) {
  if (!module || !info)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", module ? "info" : "module");
  if (index >= lathe_module_image_count(module, variant))
    return fail(status, LATHE_STATUS_ARGUMENT,
                "image %u of variant %u does not exist; there are %u", index, variant,
                lathe_module_image_count(module, variant));
  const lathe_device_variant &code = *deviceVariant(*module, variant);
  const lathe_image &image = code.images[index];
  lathe_image_info filled = {0, image.kind, image.data, image.bytes, code.kernel_count, 0};
  return answer(info, "lathe_image_info", filled, status);
}

int32_t lathe_module_section_info(const lathe_module *module, uint32_t index,
                                  lathe_section_info *info, lathe_status *status) {
  if (!module || !info)
    return fail(status, LATHE_STATUS_ARGUMENT, "%s is NULL", module ? "info" : "module");
  if (index >= module->elf.sections.size())
    return fail(status, LATHE_STATUS_ARGUMENT, "section %u does not exist; there are %zu", index,
                module->elf.sections.size());
  const Elf64_Shdr &section = module->elf.sections[index];
  lathe_section_info filled = {0,
                               0,
                               module->elf.sectionName(index),
                               section.sh_offset,
                               section.sh_size,
                               section.sh_type,
                               (section.sh_flags & SHF_ALLOC) != 0};
  return answer(info, "lathe_section_info", filled, status);
}

uint64_t lathe_module_file_bytes(const lathe_module *module) {
  return module ? module->file.size() : 0;
}

uint64_t lathe_module_image_bytes(const lathe_module *module) {
  return module ? module->image.size() : 0;
}

const char *lathe_module_symbol(const lathe_module *module, const void *address) {
  if (!module || !module->image.readable(address) || !module->symbolNames.size())
    return nullptr;
  uint64_t offset = static_cast<const char *>(address) - module->image.base();
  // The last byte of both arrays is the terminator that was added.
  for (size_t at = 0; at + sizeof(Elf64_Sym) < module->symbols.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    memcpy(&symbol, module->symbols.data() + at, sizeof(symbol));
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
        offset >= symbol.st_value && offset - symbol.st_value < symbol.st_size &&
        symbol.st_name < module->symbolNames.size())
      return module->symbolNames.data() + symbol.st_name;
  }
  return nullptr;
}
