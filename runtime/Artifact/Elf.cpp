// Reads and checks ELF headers, section names, file layout and digests.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Artifact/Elf.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

using namespace lathe::runtime;

namespace {

// Artifacts have some twenty sections and eight segments; debug information adds a dozen.
constexpr size_t maxSections = 1024, maxSegments = 64;
constexpr uint64_t maxNamesBytes = 1 << 20;
// Reach of relative addressing in code.
constexpr uint64_t maxImageBytes = uint64_t(1) << 31;

// For the fuzzer: whatever is behind the digests must stand any bytes by itself.
#ifdef LATHE_IGNORE_DIGESTS
constexpr bool ignoresDigests = true;
#else
constexpr bool ignoresDigests = false;
#endif

struct Range {
  uint64_t begin, end;
};

// Overlap is judged after sorting, so that hostile counts cost no quadratic time.
bool areDisjoint(Range *begin, Range *end) {
  std::sort(begin, end, [](const Range &a, const Range &b) { return a.begin < b.begin; });
  for (Range *range = begin; range != end && range + 1 != end; ++range)
    if (range->end > range[1].begin)
      return false;
  return true;
}

bool isAllZero(const char *data, size_t count, char other) {
  return std::all_of(data, data + count, [=](char c) { return c == 0 || c == other; });
}

} // namespace

int32_t Elf::read(const File &file, lathe_status *status) {
  using Step = int32_t (Elf::*)(const File &, lathe_status *);
  using Check = int32_t (Elf::*)(const File &, lathe_status *) const;
  for (Step step : {&Elf::readHeaders, &Elf::readNames, &Elf::readDigests})
    if (int32_t code = (this->*step)(file, status))
      return code;
  for (Check check : {&Elf::checkLayout, &Elf::checkSegments, &Elf::checkLoadedSections})
    if (int32_t code = (this->*check)(file, status))
      return code;
  return LATHE_STATUS_OK;
}

int32_t Elf::readHeaders(const File &file, lathe_status *status) {
  if (file.size() == 0)
    return fail(status, LATHE_STATUS_NOT_ARTIFACT, "%s: not a Lathe artifact: the file is empty",
                file.name());
  char magic[SELFMAG];
  uint64_t magicBytes = std::min<uint64_t>(file.size(), SELFMAG);
  if (int32_t code = file.read(0, magic, magicBytes, status))
    return code;
  if (memcmp(magic, ELFMAG, magicBytes))
    return fail(status, LATHE_STATUS_NOT_ARTIFACT,
                "%s: not a Lathe artifact: it does not begin as an ELF file; make one with "
                "`lathe compile`",
                file.name());
  if (!file.contains(0, sizeof(header)))
    return fail(status, LATHE_STATUS_TRUNCATED,
                "%s: truncated: %llu bytes do not hold the header of %zu", file.name(),
                static_cast<unsigned long long>(file.size()), sizeof(header));
  if (int32_t code = file.read(0, &header, sizeof(header), status))
    return code;
  const unsigned char *ident = header.e_ident;
  if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB ||
      ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT)
    return malformed(file, status, "not a 64-bit little-endian ELF file");
  if (header.e_type != ET_DYN)
    return malformed(file, status, "the ELF type is not ET_DYN");
  if (header.e_ehsize != sizeof(Elf64_Ehdr) || header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_shentsize != sizeof(Elf64_Shdr))
    return malformed(file, status, "header sizes do not match ELF64");
  if (header.e_phnum == 0 || header.e_phnum > maxSegments || header.e_shnum == 0 ||
      header.e_shnum > maxSections || header.e_shstrndx == 0 || header.e_shstrndx >= header.e_shnum)
    return malformed(file, status, "segment or section count is out of range");
  uint64_t segmentBytes = header.e_phnum * sizeof(Elf64_Phdr);
  uint64_t sectionBytes = header.e_shnum * sizeof(Elf64_Shdr);
  if (!file.contains(header.e_phoff, segmentBytes) || !file.contains(header.e_shoff, sectionBytes))
    return fail(status, LATHE_STATUS_TRUNCATED,
                "%s: truncated: the file has %llu bytes, its headers end at %llu", file.name(),
                static_cast<unsigned long long>(file.size()),
                static_cast<unsigned long long>(
                    std::max(header.e_phoff + segmentBytes, header.e_shoff + sectionBytes)));
  if (!segments.create(header.e_phnum) || !sections.create(header.e_shnum))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  if (int32_t code = file.read(header.e_phoff, segments.data(), segmentBytes, status))
    return code;
  return file.read(header.e_shoff, sections.data(), sectionBytes, status);
}

int32_t Elf::readNames(const File &file, lathe_status *status) {
  for (const Elf64_Shdr &section : sections)
    if (fileBytes(section) && !file.contains(section.sh_offset, fileBytes(section)))
      return fail(status, LATHE_STATUS_TRUNCATED,
                  "%s: truncated: the file has %llu bytes, section %td ends at %llu", file.name(),
                  static_cast<unsigned long long>(file.size()), &section - sections.begin(),
                  static_cast<unsigned long long>(section.sh_offset + section.sh_size));
  const Elf64_Shdr &table = sections[header.e_shstrndx];
  if (table.sh_type != SHT_STRTAB || table.sh_size == 0 || table.sh_size > maxNamesBytes)
    return malformed(file, status, "no table of section names");
  if (!names.create(table.sh_size))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  if (int32_t code = file.read(table.sh_offset, names.data(), table.sh_size, status))
    return code;
  if (names[table.sh_size - 1] != 0)
    return malformed(file, status, "the table of section names is not terminated");
  for (const Elf64_Shdr &section : sections)
    if (section.sh_name >= table.sh_size)
      return malformed(file, status, "the name of a section lies outside the table of names");
  return LATHE_STATUS_OK;
}

int32_t Elf::readDigests(const File &file, lathe_status *status) {
  const Elf64_Shdr *section = findSection(LATHE_SECTION_DIGESTS);
  if (!section)
    return fail(status, LATHE_STATUS_NOT_ARTIFACT,
                "%s: not a Lathe artifact: an ELF file without section %s; make one with "
                "`lathe compile`",
                file.name(), LATHE_SECTION_DIGESTS);
  uint64_t bytes = fileBytes(*section), count = bytes / sizeof(lathe_digest);
  if (bytes % sizeof(lathe_digest) || count > sections.size())
    return malformed(file, status, "the digests section has a wrong size");
  Array<lathe_digest> recorded;
  if (!recorded.create(count) || !digests.create(sections.size()) ||
      !present.create(sections.size()))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  if (int32_t code = file.read(section->sh_offset, recorded.data(), bytes, status))
    return code;
  for (const lathe_digest &entry : recorded) {
    if (entry.section >= sections.size() || present[entry.section])
      return malformed(file, status, "a digest names a section that does not exist, or one twice");
    digests[entry.section] = entry;
    present[entry.section] = true;
  }
  if (!present[0])
    return malformed(file, status, "the digest of the headers is missing");

  // The headers come first: whatever follows relies on them.
  uint64_t segmentBytes = segments.size() * sizeof(Elf64_Phdr);
  uint64_t sectionBytes = sections.size() * sizeof(Elf64_Shdr);
  Array<char> headers;
  if (!headers.create(sizeof(header) + segmentBytes + sectionBytes))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  memcpy(headers.data(), &header, sizeof(header));
  memcpy(headers.data() + sizeof(header), segments.data(), segmentBytes);
  memcpy(headers.data() + sizeof(header) + segmentBytes, sections.data(), sectionBytes);
  if (int32_t code = compare(file, 0, digestOf(headers.data(), headers.size()), status))
    return code;

  for (size_t i = 1; i < sections.size(); ++i) {
    if (!present[i] && hasDigest(i) && sections[i].sh_size)
      return fail(status, LATHE_STATUS_ALTERED, "%s: altered: section %s has no digest",
                  file.name(), sectionName(i));
    if (present[i] && digests[i].flags != (isDeferred(i) ? LATHE_DIGEST_VERIFY : 0))
      return fail(status, LATHE_STATUS_ALTERED,
                  "%s: altered: the digest of section %s has flags %u, expected %u", file.name(),
                  sectionName(i), digests[i].flags, isDeferred(i) ? LATHE_DIGEST_VERIFY : 0);
    if (present[i] && !hasDigest(i))
      return malformed(file, status, "a digest for a section that has none");
  }
  return LATHE_STATUS_OK;
}

int32_t Elf::compare(const File &file, size_t index, const Digest &digest,
                     lathe_status *status) const {
  const lathe_digest &recorded = digests[index];
  if (index == 0 && recorded.flags != 0)
    return fail(status, LATHE_STATUS_ALTERED, "%s: altered: the headers' digest has flags %u",
                file.name(), recorded.flags);
  if (ignoresDigests || digest == Digest{recorded.low, recorded.high})
    return LATHE_STATUS_OK;
  const char *name = index ? sectionName(index) : "(file headers)";
  return fail(status, LATHE_STATUS_ALTERED,
              "%s: altered: section %s has digest %016llx%016llx, recorded is %016llx%016llx; copy "
              "or compile it again",
              file.name(), name, static_cast<unsigned long long>(digest.high),
              static_cast<unsigned long long>(digest.low),
              static_cast<unsigned long long>(recorded.high),
              static_cast<unsigned long long>(recorded.low));
}

// Headers and sections must not overlap in the file, and what lies between them is padding: so
// every byte is covered by a digest or known.
int32_t Elf::checkLayout(const File &file, lathe_status *status) const {
  Array<Range> ranges;
  if (!ranges.create(sections.size() + 4))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  Range *end = ranges.begin();
  auto add = [&](uint64_t offset, uint64_t bytes) {
    if (bytes)
      *end++ = {offset, offset + bytes};
  };
  add(0, sizeof(header));
  add(header.e_phoff, segments.size() * sizeof(Elf64_Phdr));
  add(header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr &section : sections)
    add(section.sh_offset, fileBytes(section));
  *end++ = {file.size(), file.size()};
  if (!areDisjoint(ranges.begin(), end))
    return malformed(file, status, "sections overlap in the file");
  uint64_t at = 0;
  for (const Range *range = ranges.begin(); range != end; at = range->end, ++range)
    while (at < range->begin) {
      char piece[4096];
      uint64_t count = std::min<uint64_t>(sizeof(piece), range->begin - at);
      if (int32_t code = file.read(at, piece, count, status))
        return code;
      if (!ignoresDigests && !isAllZero(piece, count, char(0xcc)))
        return fail(status, LATHE_STATUS_ALTERED,
                    "%s: altered: the padding at %llu holds other bytes than 0", file.name(),
                    static_cast<unsigned long long>(at));
      at += count;
    }
  return LATHE_STATUS_OK;
}

int32_t Elf::checkSegments(const File &file, lathe_status *status) const {
  uint64_t page = sysconf(_SC_PAGESIZE);
  uint64_t imageEnd = 0; // rounded up to a page
  for (const Elf64_Phdr &segment : segments) {
    if (segment.p_type == PT_INTERP || segment.p_type == PT_TLS)
      return malformed(file, status, "it asks for an interpreter or thread-local storage");
    if (segment.p_type != PT_LOAD)
      continue;
    if (!file.contains(segment.p_offset, segment.p_filesz) || segment.p_filesz > segment.p_memsz)
      return malformed(file, status, "a segment lies outside the file");
    if (segment.p_memsz > maxImageBytes || segment.p_vaddr > maxImageBytes - segment.p_memsz)
      return malformed(file, status, "the image is larger than 2 GiB");
    if ((segment.p_flags & PF_W) && (segment.p_flags & PF_X))
      return malformed(file, status, "a segment is both writable and executable");
    if (segment.p_vaddr < imageEnd)
      return malformed(file, status, "segments overlap, share a page or are not in order");
    imageEnd = (segment.p_vaddr + segment.p_memsz + page - 1) / page * page;
  }
  return imageEnd ? LATHE_STATUS_OK : malformed(file, status, "nothing to load");
}

int32_t Elf::checkLoadedSections(const File &file, lathe_status *status) const {
  Array<Range> ranges;
  if (!ranges.create(sections.size()))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", file.name());
  Range *end = ranges.begin();
  for (size_t i = 1; i < sections.size(); ++i) {
    const Elf64_Shdr &section = sections[i];
    if (!(section.sh_flags & SHF_ALLOC) || section.sh_size == 0)
      continue;
    if (section.sh_flags & SHF_TLS)
      return malformed(file, status, "a section is thread-local");
    auto holds = [&](const Elf64_Phdr &segment) {
      if (segment.p_type != PT_LOAD || section.sh_addr < segment.p_vaddr)
        return false;
      uint64_t within = section.sh_addr - segment.p_vaddr;
      bool inFile = section.sh_type != SHT_NOBITS;
      uint64_t room = inFile ? segment.p_filesz : segment.p_memsz;
      return within <= room && section.sh_size <= room - within &&
             (!inFile || section.sh_offset == segment.p_offset + within);
    };
    if (std::none_of(segments.begin(), segments.end(), holds))
      return malformed(file, status, "a section lies outside the segments");
    *end++ = {section.sh_addr, section.sh_addr + section.sh_size};
  }
  return areDisjoint(ranges.begin(), end) ? LATHE_STATUS_OK
                                          : malformed(file, status, "sections overlap in memory");
}

const Elf64_Shdr *Elf::findSection(const char *name) const {
  for (size_t i = 1; i < sections.size(); ++i)
    if (!strcmp(sectionName(i), name))
      return &sections[i];
  return nullptr;
}

const Elf64_Shdr *Elf::findType(uint32_t type) const {
  for (size_t i = 1; i < sections.size(); ++i)
    if (sections[i].sh_type == type)
      return &sections[i];
  return nullptr;
}

bool Elf::isDeferred(size_t index) const {
  const char *name = sectionName(index);
  return !(sections[index].sh_flags & SHF_ALLOC) &&
         (!strcmp(name, LATHE_SECTION_WEIGHTS) || !strncmp(name, ".debug", 6));
}

bool Elf::hasDigest(size_t index) const {
  uint32_t type = sections[index].sh_type;
  return type != SHT_NULL && type != SHT_NOBITS &&
         strcmp(sectionName(index), LATHE_SECTION_DIGESTS) != 0;
}

const lathe_digest *Elf::findDigest(size_t index) const {
  return present[index] ? &digests[index] : nullptr;
}
