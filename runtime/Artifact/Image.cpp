// Loads an artifact's segments. Not dlopen: that would open the file a second time after it was
// checked, hand back an old file after a rename, and trust what it reads.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Artifact/Image.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace lathe::runtime;

namespace {

// What the dynamic section must not ask for: an artifact is closed and runs nothing when loaded.
struct Refusal {
  int64_t tag;
  const char *why;
};
constexpr Refusal refusals[] = {
    {DT_NEEDED, "it needs a shared library"},
    {DT_INIT, "it has an initialization function"},
    {DT_FINI, "it has a termination function"},
    {DT_INIT_ARRAY, "it has initialization functions"},
    {DT_FINI_ARRAY, "it has termination functions"},
    {DT_PREINIT_ARRAY, "it has initialization functions"},
    {DT_TEXTREL, "it relocates code"},
    {DT_REL, "it has relocations without addends"},
    {DT_JMPREL, "it has a procedure linkage table"},
};

constexpr uint64_t maxAlignment = uint64_t(1) << 21;

uint32_t relativeRelocation(uint16_t machine) {
  return machine == EM_AARCH64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE;
}

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

Image::~Image() {
  if (mapping)
    munmap(mapping, mappingBytes);
}

int32_t Image::copy(const File &file, const Elf &elf, lathe_status *status) {
  if (int32_t code = reserve(file, elf, status))
    return code;
  return copySections(file, elf, status);
}

int32_t Image::link(const File &file, const Elf &elf, bool executable, lathe_status *status) {
  if (int32_t code = checkSymbols(file, elf, status))
    return code;
  if (int32_t code = relocate(file, elf, status))
    return code;
  return protect(file, elf, executable, status);
}

// Reserves address space for the whole image; only segments become accessible.
int32_t Image::reserve(const File &file, const Elf &elf, lathe_status *status) {
  uint64_t page = sysconf(_SC_PAGESIZE), alignment = page;
  if (!segments.create(elf.segments.size()))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  Segment *next = segments.begin();
  for (const Elf64_Phdr &segment : elf.segments) {
    if (segment.p_type != PT_LOAD)
      continue;
    if (segment.p_align > maxAlignment || (segment.p_align & (segment.p_align - 1)))
      return malformed(file, status, "the alignment of a segment is no power of two up to 2 MiB");
    alignment = std::max<uint64_t>(alignment, segment.p_align);
    *next++ = {segment.p_vaddr, segment.p_vaddr + segment.p_memsz, segment.p_flags};
    bytes = roundUp(segment.p_vaddr + segment.p_memsz, page);
  }
  uint64_t total = bytes + alignment;
  void *address =
      mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return fail(status, LATHE_STATUS_MEMORY, "%s: no memory for an image of %llu bytes",
                file.name(), static_cast<unsigned long long>(bytes));
  mapping = address;
  mappingBytes = total;
  memory = reinterpret_cast<char *>(roundUp(reinterpret_cast<uint64_t>(address), alignment));
  for (const Segment &segment : segments) {
    uint64_t begin = segment.begin / page * page;
    if (segment.end > segment.begin &&
        mprotect(memory + begin, roundUp(segment.end, page) - begin, PROT_READ | PROT_WRITE))
      return fail(status, LATHE_STATUS_MEMORY, "%s: no memory for an image of %llu bytes",
                  file.name(), static_cast<unsigned long long>(bytes));
  }
  return LATHE_STATUS_OK;
}

// Only sections are copied: the padding between them is covered by no digest.
int32_t Image::copySections(const File &file, const Elf &elf, lathe_status *status) {
  for (size_t i = 1; i < elf.sections.size(); ++i) {
    const Elf64_Shdr &section = elf.sections[i];
    if (!(section.sh_flags & SHF_ALLOC) || !Elf::fileBytes(section))
      continue;
    if (!elf.hasDigest(i))
      return malformed(file, status, "a loaded section has no digest");
    char *to = memory + section.sh_addr;
    if (int32_t code = file.read(section.sh_offset, to, section.sh_size, status))
      return code;
    if (int32_t code = elf.compare(file, i, digestOf(to, section.sh_size), status))
      return code;
  }
  return LATHE_STATUS_OK;
}

// Before relocation, which could write to symbols.
int32_t Image::checkSymbols(const File &file, const Elf &elf, lathe_status *status) {
  const Elf64_Shdr *table = elf.findType(SHT_DYNSYM);
  if (!table || !(table->sh_flags & SHF_ALLOC) || table->sh_entsize != sizeof(Elf64_Sym) ||
      table->sh_size % sizeof(Elf64_Sym) || table->sh_link >= elf.sections.size())
    return malformed(file, status, "no table of dynamic symbols");
  const Elf64_Shdr &strings = elf.sections[table->sh_link];
  if (strings.sh_type != SHT_STRTAB || !(strings.sh_flags & SHF_ALLOC) || !strings.sh_size ||
      memory[strings.sh_addr + strings.sh_size - 1] != 0)
    return malformed(file, status, "the names of dynamic symbols are not terminated");
  const char *names = memory + strings.sh_addr;
  bool found = false;
  for (uint64_t at = sizeof(Elf64_Sym); at < table->sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    memcpy(&symbol, memory + table->sh_addr + at, sizeof(symbol));
    if (symbol.st_name >= strings.sh_size)
      return malformed(file, status, "the name of a symbol lies outside the table of names");
    if (symbol.st_shndx == SHN_UNDEF)
      return fail(status, LATHE_STATUS_NOT_ARTIFACT,
                  "%s: malformed artifact: symbol '%.200s' is not defined in it", file.name(),
                  names + symbol.st_name);
    uint32_t type = ELF64_ST_TYPE(symbol.st_info);
    if (type == STT_TLS || type == STT_GNU_IFUNC)
      return malformed(file, status, "a symbol is thread-local or resolved when loaded");
    if (strcmp(names + symbol.st_name, LATHE_TABLE_SYMBOL))
      continue;
    if (symbol.st_shndx >= SHN_LORESERVE || symbol.st_value > bytes)
      return malformed(file, status, "its table lies outside the image");
    tableOffset = symbol.st_value;
    found = true;
  }
  return found ? LATHE_STATUS_OK
               : malformed(file, status, "it does not export " LATHE_TABLE_SYMBOL);
}

int32_t Image::relocate(const File &file, const Elf &elf, lathe_status *status) {
  const Elf64_Phdr *dynamic = nullptr;
  for (const Elf64_Phdr &segment : elf.segments)
    if (segment.p_type == PT_DYNAMIC) {
      if (dynamic)
        return malformed(file, status, "two dynamic segments");
      dynamic = &segment;
    }
  if (!dynamic)
    return LATHE_STATUS_OK;
  if (dynamic->p_memsz > 4096 || dynamic->p_memsz % sizeof(Elf64_Dyn) ||
      !find(dynamic->p_vaddr, dynamic->p_memsz))
    return malformed(file, status, "the dynamic segment lies outside the image");

  uint64_t rela = 0, relaBytes = 0, relr = 0, relrBytes = 0;
  // Copied first, since relocations may write to it.
  Elf64_Dyn entries[4096 / sizeof(Elf64_Dyn)];
  memcpy(entries, memory + dynamic->p_vaddr, dynamic->p_memsz);
  for (size_t i = 0; i < dynamic->p_memsz / sizeof(Elf64_Dyn); ++i) {
    const Elf64_Dyn &entry = entries[i];
    if (entry.d_tag == DT_NULL)
      break;
    for (const Refusal &refusal : refusals)
      if (entry.d_tag == refusal.tag)
        return malformed(file, status, refusal.why);
    switch (entry.d_tag) {
    case DT_RELA:
      rela = entry.d_un.d_ptr;
      break;
    case DT_RELASZ:
      relaBytes = entry.d_un.d_val;
      break;
    case DT_RELAENT:
      if (entry.d_un.d_val != sizeof(Elf64_Rela))
        return malformed(file, status, "relocations have a wrong size");
      break;
    case DT_RELR:
      relr = entry.d_un.d_ptr;
      break;
    case DT_RELRSZ:
      relrBytes = entry.d_un.d_val;
      break;
    case DT_RELRENT:
      if (entry.d_un.d_val != sizeof(Elf64_Relr))
        return malformed(file, status, "relocations have a wrong size");
      break;
    case DT_FLAGS:
      if (entry.d_un.d_val & (DF_TEXTREL | DF_STATIC_TLS))
        return malformed(file, status, "it relocates code or has thread-local storage");
      break;
    }
  }
  if (const char *why = applyRela(rela, relaBytes, relativeRelocation(elf.header.e_machine)))
    return malformed(file, status, why);
  if (const char *why = applyRelr(relr, relrBytes))
    return malformed(file, status, why);
  return LATHE_STATUS_OK;
}

const char *Image::applyRelative(uint64_t offset, const int64_t *addend) {
  const Segment *segment = find(offset, sizeof(uint64_t));
  if (!segment || !(segment->flags & PF_W) || offset % sizeof(uint64_t))
    return "a relocation lies outside writable data";
  uint64_t value;
  if (addend)
    value = *addend;
  else
    memcpy(&value, memory + offset, sizeof(value));
  if (value > bytes)
    return "a relocation leads outside the image";
  value += reinterpret_cast<uint64_t>(memory);
  memcpy(memory + offset, &value, sizeof(value));
  return nullptr;
}

const char *Image::applyRela(uint64_t table, uint64_t tableBytes, uint32_t relativeType) {
  if (!tableBytes)
    return nullptr;
  if (tableBytes % sizeof(Elf64_Rela) || !find(table, tableBytes))
    return "the table of relocations lies outside the image";
  for (uint64_t at = 0; at < tableBytes; at += sizeof(Elf64_Rela)) {
    Elf64_Rela relocation;
    memcpy(&relocation, memory + table + at, sizeof(relocation));
    if (relocation.r_info != ELF64_R_INFO(0, relativeType))
      return "it has a relocation that is not relative";
    if (const char *why = applyRelative(relocation.r_offset, &relocation.r_addend))
      return why;
  }
  return nullptr;
}

// RELR: an even entry is an address; an odd one a bitmap of the 63 words after the last address.
const char *Image::applyRelr(uint64_t table, uint64_t tableBytes) {
  if (!tableBytes)
    return nullptr;
  if (tableBytes % sizeof(Elf64_Relr) || !find(table, tableBytes))
    return "the table of relocations lies outside the image";
  constexpr uint64_t word = sizeof(uint64_t), bitmapWords = 63;
  uint64_t next = 0;
  for (uint64_t at = 0; at < tableBytes; at += sizeof(Elf64_Relr)) {
    Elf64_Relr entry;
    memcpy(&entry, memory + table + at, sizeof(entry));
    if (!(entry & 1)) {
      if (const char *why = applyRelative(entry, nullptr))
        return why;
      next = entry + word;
      continue;
    }
    for (uint64_t bit = 0; bit < bitmapWords; ++bit)
      if (entry >> (bit + 1) & 1)
        if (const char *why = applyRelative(next + bit * word, nullptr))
          return why;
    next += bitmapWords * word;
  }
  return nullptr;
}

int32_t Image::protect(const File &file, const Elf &elf, bool executable, lathe_status *status) {
  uint64_t page = sysconf(_SC_PAGESIZE);
  auto set = [&](uint64_t begin, uint64_t end, int protection) {
    return end <= begin || !mprotect(memory + begin, end - begin, protection);
  };
  bool ok = true;
  for (const Segment &segment : segments) {
    if (segment.end <= segment.begin)
      continue;
    int protection = PROT_READ;
    if (segment.flags & PF_W)
      protection |= PROT_WRITE;
    if ((segment.flags & PF_X) && executable) {
      protection |= PROT_EXEC;
      __builtin___clear_cache(memory + segment.begin, memory + segment.end);
    }
    ok &= set(segment.begin / page * page, roundUp(segment.end, page), protection);
  }
  for (const Elf64_Phdr &segment : elf.segments) {
    if (segment.p_type != PT_GNU_RELRO || !segment.p_memsz)
      continue;
    const Segment *within = find(segment.p_vaddr, 1);
    if (!within || !(within->flags & PF_W) || segment.p_memsz > bytes - segment.p_vaddr)
      return malformed(file, status, "read-only data after relocation lies outside the image");
    // Whole pages that hold nothing else; segments share none.
    uint64_t begin = segment.p_vaddr == within->begin ? segment.p_vaddr / page * page
                                                      : roundUp(segment.p_vaddr, page);
    uint64_t end = std::min(segment.p_vaddr + segment.p_memsz, roundUp(within->end, page));
    end = end == within->end ? roundUp(end, page) : end / page * page;
    ok &= set(begin, end, PROT_READ);
  }
  return ok ? LATHE_STATUS_OK
            : fail(status, LATHE_STATUS_MEMORY, "%s: the system refuses to protect the image%s",
                   file.name(), executable ? " (is executable memory forbidden?)" : "");
}

const Image::Segment *Image::find(uint64_t offset, uint64_t count) const {
  for (const Segment &segment : segments)
    if (offset >= segment.begin && offset <= segment.end && count <= segment.end - offset)
      return &segment;
  return nullptr;
}

uint64_t Image::readable(const void *address) const {
  uint64_t offset = reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(memory);
  const Segment *segment = find(offset, 1);
  return segment ? segment->end - offset : 0;
}

bool Image::isCode(const void *address) const {
  uint64_t offset = reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(memory);
  const Segment *segment = find(offset, 1);
  return segment && (segment->flags & PF_X);
}
