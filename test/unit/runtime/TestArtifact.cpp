// Builds artifacts out of a shared object, as the writer does out of what it links.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace lathe::test;

namespace {

struct NewSection {
  const char *name;
  Bytes bytes;
  uint64_t alignment;
};

Bytes makeWeights() {
  std::vector<float> weights(576 / sizeof(float), 0);
  for (int i = 0; i < 64; ++i) {
    weights[i] = betterWeight;
    weights[64 + i] = baseWeight;
  }
  Bytes bytes(576);
  memcpy(bytes.data(), weights.data(), bytes.size());
  return bytes;
}

const char *nameOf(Bytes &bytes, const Elf64_Shdr &section) {
  return bytes.data() + sectionsOf(bytes)[headerOf(bytes).e_shstrndx].sh_offset + section.sh_name;
}

bool contains(const Bytes &bytes, uint64_t offset, uint64_t count) {
  return offset <= bytes.size() && count <= bytes.size() - offset;
}

} // namespace

namespace lathe::test {

Elf64_Ehdr &headerOf(Bytes &bytes) { return *reinterpret_cast<Elf64_Ehdr *>(bytes.data()); }
Elf64_Shdr *sectionsOf(Bytes &bytes) {
  return reinterpret_cast<Elf64_Shdr *>(bytes.data() + headerOf(bytes).e_shoff);
}
Elf64_Phdr *segmentsOf(Bytes &bytes) {
  return reinterpret_cast<Elf64_Phdr *>(bytes.data() + headerOf(bytes).e_phoff);
}

Elf64_Shdr &findSection(Bytes &bytes, const std::string &name) {
  for (int i = 1; i < headerOf(bytes).e_shnum; ++i)
    if (name == nameOf(bytes, sectionsOf(bytes)[i]))
      return sectionsOf(bytes)[i];
  ADD_FAILURE() << "no section " << name;
  return sectionsOf(bytes)[0];
}

Bytes readModel(const char *path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

Bytes makeArtifact(const Bytes &sharedObject) {
  Bytes result = sharedObject;
  std::vector<Elf64_Shdr> sections(sectionsOf(result),
                                   sectionsOf(result) + headerOf(result).e_shnum);
  Elf64_Shdr &names = sections[headerOf(result).e_shstrndx];
  Bytes nameTable(result.begin() + names.sh_offset,
                  result.begin() + names.sh_offset + names.sh_size);
  // What the old tables leave behind is padding.
  std::fill_n(result.begin() + names.sh_offset, names.sh_size, 0);
  result.resize(headerOf(result).e_shoff);

  Bytes digests((sections.size() + 3) * sizeof(lathe_digest));
  NewSection added[] = {
      {LATHE_SECTION_MANIFEST, Bytes(manifestText, manifestText + strlen(manifestText)), 1},
      {LATHE_SECTION_WEIGHTS, makeWeights(), 64 << 10},
      {LATHE_SECTION_DIGESTS, digests, 8},
  };
  auto append = [&](const Bytes &bytes, uint64_t alignment) {
    result.resize((result.size() + alignment - 1) / alignment * alignment);
    uint64_t offset = result.size();
    result.insert(result.end(), bytes.begin(), bytes.end());
    return offset;
  };
  for (const NewSection &section : added) {
    Elf64_Shdr header = {};
    header.sh_name = nameTable.size();
    nameTable.insert(nameTable.end(), section.name, section.name + strlen(section.name) + 1);
    header.sh_type = SHT_PROGBITS;
    header.sh_addralign = section.alignment;
    header.sh_size = section.bytes.size();
    header.sh_offset = append(section.bytes, section.alignment);
    sections.push_back(header);
  }
  Elf64_Shdr &newNames = sections[headerOf(result).e_shstrndx];
  newNames.sh_size = nameTable.size();
  newNames.sh_offset = append(nameTable, 1);
  Bytes table(sections.size() * sizeof(Elf64_Shdr));
  memcpy(table.data(), sections.data(), table.size());
  uint64_t offset = append(table, 8);
  headerOf(result).e_shoff = offset;
  headerOf(result).e_shnum = sections.size();
  EXPECT_TRUE(reseal(result));
  return result;
}

bool reseal(Bytes &bytes) {
  if (bytes.size() < sizeof(Elf64_Ehdr))
    return false;
  Elf64_Ehdr &header = headerOf(bytes);
  uint64_t segmentBytes = header.e_phnum * sizeof(Elf64_Phdr);
  uint64_t sectionBytes = header.e_shnum * sizeof(Elf64_Shdr);
  if (!contains(bytes, header.e_phoff, segmentBytes) ||
      !contains(bytes, header.e_shoff, sectionBytes) || header.e_shstrndx >= header.e_shnum ||
      header.e_shoff % 8)
    return false;
  Elf64_Shdr *sections = sectionsOf(bytes);
  const Elf64_Shdr &names = sections[header.e_shstrndx];
  if (!contains(bytes, names.sh_offset, names.sh_size))
    return false;
  Elf64_Shdr *digestSection = nullptr;
  std::vector<lathe_digest> digests(1);
  auto digest = [](const void *data, size_t size, uint32_t section, uint32_t flags) {
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return lathe_digest{section, flags, hash.low64, hash.high64};
  };
  for (uint32_t i = 1; i < header.e_shnum; ++i) {
    Elf64_Shdr &section = sections[i];
    if (section.sh_name >= names.sh_size || section.sh_type == SHT_NULL ||
        section.sh_type == SHT_NOBITS)
      continue;
    std::string name = nameOf(bytes, section);
    if (name == LATHE_SECTION_DIGESTS) {
      digestSection = &section;
      continue;
    }
    if (!contains(bytes, section.sh_offset, section.sh_size))
      continue;
    bool deferred = name == LATHE_SECTION_WEIGHTS || name.starts_with(".debug");
    digests.push_back(digest(bytes.data() + section.sh_offset, section.sh_size, i,
                             deferred ? LATHE_DIGEST_VERIFY : 0));
  }
  uint64_t size = digests.size() * sizeof(lathe_digest);
  if (!digestSection || digestSection->sh_size < size ||
      !contains(bytes, digestSection->sh_offset, digestSection->sh_size))
    return false;
  // The section may have become shorter; what it leaves is padding.
  memset(bytes.data() + digestSection->sh_offset, 0, digestSection->sh_size);
  digestSection->sh_size = size;
  Bytes headers(bytes.begin(), bytes.begin() + sizeof(Elf64_Ehdr));
  headers.insert(headers.end(), bytes.begin() + header.e_phoff,
                 bytes.begin() + header.e_phoff + segmentBytes);
  headers.insert(headers.end(), bytes.begin() + header.e_shoff,
                 bytes.begin() + header.e_shoff + sectionBytes);
  digests[0] = digest(headers.data(), headers.size(), 0, 0);
  memcpy(bytes.data() + digestSection->sh_offset, digests.data(), size);
  return true;
}

TemporaryFile::TemporaryFile(const Bytes &bytes) {
  name = testing::TempDir() + "lathe-runtime-XXXXXX";
  int fd = mkstemp(name.data());
  EXPECT_GE(fd, 0);
  close(fd);
  write(bytes);
}

TemporaryFile::~TemporaryFile() { unlink(name.c_str()); }

void TemporaryFile::write(const Bytes &bytes) const {
  std::ofstream file(name, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), bytes.size());
  EXPECT_TRUE(file.good());
}

OpenResult openBytes(const Bytes &bytes, const lathe_module_options *options) {
  OpenResult result;
  void *memory = nullptr;
  EXPECT_EQ(posix_memalign(&memory, LATHE_ALIGNMENT, bytes.size() + 1), 0);
  result.memory = {memory, free};
  std::copy(bytes.begin(), bytes.end(), static_cast<char *>(memory));
  lathe_module *module = nullptr;
  int32_t code = lathe_module_open_memory(memory, bytes.size(), "test.lathe", options, &module,
                                          &result.status);
  EXPECT_EQ(code, result.status.code);
  EXPECT_EQ(code == LATHE_STATUS_OK, module != nullptr);
  result.module.reset(module);
  return result;
}

lathe_module *sharedModule() {
  static ModulePtr shared = [] {
    TemporaryFile file(makeArtifact());
    lathe_module *module = nullptr;
    lathe_status status;
    EXPECT_EQ(lathe_module_open(file.path(), nullptr, &module, &status), LATHE_STATUS_OK)
        << status.message;
    return ModulePtr(module);
  }();
  return shared.get();
}

lathe_module_options moduleOptions() {
  lathe_module_options options = {};
  options.size = sizeof(options);
  return options;
}

lathe_context_options contextOptions() {
  lathe_context_options options = {};
  options.size = sizeof(options);
  options.threads = 1;
  return options;
}

ContextPtr makeContext(lathe_module *module, const lathe_context_options *options) {
  lathe_context_options single = contextOptions();
  lathe_context *context = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_context_create(module, options ? options : &single, &context, &status),
            LATHE_STATUS_OK)
      << status.message;
  return ContextPtr(context);
}

uint32_t entryOf(const lathe_module *module, const char *name) {
  int32_t entry = lathe_module_entry_find(module, name);
  EXPECT_GE(entry, 0) << name;
  return entry;
}

lathe_allocator TestAllocator::get() {
  return {this,
          [](void *user, uint64_t bytes, uint64_t alignment) -> void * {
            auto *self = static_cast<TestAllocator *>(user);
            ++self->calls;
            void *memory = nullptr;
            if (self->refuses(bytes) || posix_memalign(&memory, alignment, bytes))
              return nullptr;
            self->live += bytes;
            return memory;
          },
          [](void *user, void *memory, uint64_t bytes) {
            static_cast<TestAllocator *>(user)->live -= bytes;
            free(memory);
          }};
}

} // namespace lathe::test
