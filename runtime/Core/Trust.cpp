// Shows an artifact to the caller's policy before anything of it can run.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Core/Module.h"

#include <cstring>

using namespace lathe::runtime;

// What the module goes on to use is shown where it lies, in private memory, so that nobody changes
// it between the check and the use. What it does not use (comments, weights) is shown as mapped.
int32_t lathe_module::askVerifier(const lathe_verifier &verifier, lathe_status *status) {
  size_t count = elf.sections.size();
  Array<lathe_bytes> loaded, deferred;
  File::Mapping whole;
  if (!loaded.create(count + 3) || !deferred.create(count))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  if (int32_t code = file.mapAll(whole, status))
    return code;

  lathe_unverified shown = {};
  shown.size = sizeof(shown);
  shown.name = file.name();
  shown.loaded = loaded.data();
  shown.deferred = deferred.data();
  auto add = [&](const void *data, uint64_t bytes) {
    loaded[shown.loaded_count++] = {data, bytes};
  };
  add(&elf.header, sizeof(elf.header));
  add(elf.segments.data(), elf.segments.size() * sizeof(Elf64_Phdr));
  add(elf.sections.data(), elf.sections.size() * sizeof(Elf64_Shdr));
  for (size_t i = 1; i < count; ++i) {
    const Elf64_Shdr &section = elf.sections[i];
    uint64_t bytes = Elf::fileBytes(section);
    const char *name = elf.sectionName(i);
    if (!bytes || !strcmp(name, LATHE_SECTION_DIGESTS) || !strcmp(name, LATHE_SECTION_SIGNATURE))
      continue;
    const char *mapped = whole.data + section.sh_offset;
    if (elf.isDeferred(i))
      deferred[shown.deferred_count++] = {mapped, bytes};
    else if (section.sh_flags & SHF_ALLOC)
      add(image.base() + section.sh_addr, bytes);
    else if (const char *kept = keptSection(i))
      add(kept, bytes);
    else
      add(mapped, bytes);
  }
  if (signature.size()) {
    shown.signature = signature.data();
    shown.signature_bytes = signature.size() - 1;
  }
  char reason[512] = "";
  int32_t refused = verifier.verify(verifier.user, &shown, reason, sizeof(reason));
  reason[sizeof(reason) - 1] = 0;
  if (!refused)
    return LATHE_STATUS_OK;
  return fail(status, LATHE_STATUS_UNTRUSTED, "%s: refused by the caller's policy: %s", file.name(),
              reason[0] ? reason : "no reason is given");
}

const char *lathe_module::keptSection(size_t index) const {
  if (index == elf.header.e_shstrndx)
    return elf.nameTable();
  for (const KeptSection &section : kept)
    if (section.index == index)
      return section.bytes->data();
  return nullptr;
}
