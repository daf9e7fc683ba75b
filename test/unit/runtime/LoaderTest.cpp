// Loading: what a whole artifact says, and that a damaged one gives an error and nothing else.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <cstring>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

const Bytes &wholeArtifact() {
  static const Bytes bytes = makeArtifact();
  return bytes;
}

// Opens bytes that must be refused; returns the status.
lathe_status refuse(const Bytes &bytes, const lathe_module_options *options = nullptr) {
  OpenResult result = openBytes(bytes, options);
  EXPECT_EQ(result.module, nullptr);
  EXPECT_NE(result.status.code, LATHE_STATUS_OK);
  EXPECT_NE(result.status.message[0], 0);
  return result.status;
}

// Refused for a damage that the digests do not show.
lathe_status refuseSealed(Bytes bytes) {
  EXPECT_TRUE(reseal(bytes));
  return refuse(bytes);
}

uint64_t hostBase() {
#if defined(__x86_64__)
  return LATHE_X86_V3;
#else
  return LATHE_AARCH64_BASE;
#endif
}

TEST(Loader, DescribesAnArtifact) {
  TemporaryFile file(wholeArtifact());
  lathe_module *opened = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_module_open(file.path(), nullptr, &opened, &status), LATHE_STATUS_OK)
      << status.message;
  ModulePtr module(opened);
  EXPECT_EQ(status.code, LATHE_STATUS_OK);
  EXPECT_STREQ(status.message, "");
  uint64_t bytes = 0;
  EXPECT_STREQ(lathe_module_manifest(module.get(), &bytes), manifestText);
  EXPECT_EQ(bytes, strlen(manifestText));
  EXPECT_EQ(lathe_module_file_bytes(module.get()), wholeArtifact().size());
  EXPECT_GT(lathe_module_image_bytes(module.get()), 0u);
  EXPECT_EQ(lathe_module_verify(module.get(), &status), LATHE_STATUS_OK);

  ASSERT_EQ(lathe_module_variant_count(module.get()), 3u);
  lathe_variant_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(lathe_module_variant_info(module.get(), 0, &info, nullptr), LATHE_STATUS_OK);
  EXPECT_STREQ(info.name, "future");
  EXPECT_FALSE(info.runnable);
  EXPECT_FALSE(info.chosen);
  EXPECT_EQ(lathe_module_variant_info(module.get(), 3, &info, &status), LATHE_STATUS_ARGUMENT);

  EXPECT_EQ(lathe_module_entry_find(module.get(), "run"), 0);
  EXPECT_EQ(lathe_module_entry_find(module.get(), "walk"), -1);
  EXPECT_STREQ(lathe_module_entry_name(module.get(), 1), "gather");
  EXPECT_EQ(lathe_module_entry_name(module.get(), 1000), nullptr);
  EXPECT_EQ(lathe_module_input_count(module.get(), 0), 2u);
  EXPECT_EQ(lathe_module_output_count(module.get(), 0), 1u);
  EXPECT_EQ(lathe_module_input_find(module.get(), 0, "y"), 1);
  const lathe_tensor_spec *spec = lathe_module_input_spec(module.get(), 0, 0);
  ASSERT_NE(spec, nullptr);
  EXPECT_STREQ(spec->name, "x");
  EXPECT_STREQ(spec->dims[0].symbol, "batch");
  EXPECT_EQ(lathe_module_input_spec(module.get(), 0, 2), nullptr);
  EXPECT_EQ(lathe_module_output_spec(module.get(), 99, 0), nullptr);

  bool hasWeights = false;
  for (uint32_t i = 0; i < lathe_module_section_count(module.get()); ++i) {
    lathe_section_info section = {};
    section.size = sizeof(section);
    ASSERT_EQ(lathe_module_section_info(module.get(), i, &section, nullptr), LATHE_STATUS_OK);
    hasWeights |= !strcmp(section.name, LATHE_SECTION_WEIGHTS) && section.bytes == 576;
  }
  EXPECT_TRUE(hasWeights);
}

TEST(Loader, OpensADescriptorThatIsClosedAfterwards) {
  TemporaryFile file(wholeArtifact());
  int fd = open(file.path(), O_RDONLY);
  lathe_module *module = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_module_open_fd(fd, nullptr, nullptr, &module, &status), LATHE_STATUS_OK)
      << status.message;
  close(fd);
  EXPECT_EQ(lathe_module_verify(module, &status), LATHE_STATUS_OK) << status.message;
  lathe_module_close(module);
}

TEST(Loader, LoadsPackedRelocations) {
  OpenResult result = openBytes(makeArtifact(readModel(LATHE_TEST_MODEL_RELR)));
  ASSERT_NE(result.module, nullptr) << result.status.message;
  EXPECT_STREQ(lathe_module_entry_name(result.module.get(), 0), "run");
}

// The file of a module may be replaced by rename while it is in use.
TEST(Loader, KeepsAReplacedFile) {
  TemporaryFile file(wholeArtifact());
  lathe_module *module = nullptr;
  ASSERT_EQ(lathe_module_open(file.path(), nullptr, &module, nullptr), LATHE_STATUS_OK);
  TemporaryFile other(Bytes(100, 'x'));
  ASSERT_EQ(rename(other.path(), file.path()), 0);
  EXPECT_EQ(lathe_module_verify(module, nullptr), LATHE_STATUS_OK);
  lathe_module_close(module);
}

TEST(Loader, ChoosesTheFirstVariantThatRuns) {
  lathe_module_options options = moduleOptions();
  options.features = hostBase();
  struct Case {
    uint64_t features;
    const char *variant;
    const char *expected;
  } cases[] = {
      {hostBase(), "base", "base"},
#if defined(__x86_64__)
      {hostBase(), nullptr, "base"},
      {0, nullptr, lathe_host_features() & LATHE_X86_V4 ? "better" : "base"},
#else
      {hostBase(), nullptr, "better"},
#endif
      {0, "base", "base"},
  };
  for (const Case &test : cases) {
    options.features = test.features;
    options.variant = test.variant;
    OpenResult result = openBytes(wholeArtifact(), &options);
    ASSERT_NE(result.module, nullptr) << result.status.message;
    for (uint32_t i = 0; i < 3; ++i) {
      lathe_variant_info info = {};
      info.size = sizeof(info);
      lathe_module_variant_info(result.module.get(), i, &info, nullptr);
      EXPECT_EQ(bool(info.chosen), !strcmp(info.name, test.expected));
    }
  }
}

TEST(Loader, SaysWhichVariantsThereAre) {
  lathe_module_options options = moduleOptions();
  options.features = uint64_t(1) << 50; // none of the host's
  lathe_status status = refuse(wholeArtifact(), &options);
  EXPECT_EQ(status.code, LATHE_STATUS_VARIANT);
  EXPECT_THAT(status.message, HasSubstr("which has none"));
  EXPECT_THAT(status.message, HasSubstr("future (needs unknown 0x10000000000)"));
  EXPECT_THAT(status.message, HasSubstr("base (needs"));
  options.features = 0;
  options.variant = "x86-64-v9";
  status = refuse(wholeArtifact(), &options);
  EXPECT_EQ(status.code, LATHE_STATUS_VARIANT);
  EXPECT_THAT(status.message, HasSubstr("no variant 'x86-64-v9'"));
  options.variant = "future";
  EXPECT_EQ(refuse(wholeArtifact(), &options).code, LATHE_STATUS_VARIANT);
}

TEST(Loader, InspectsWhatCannotRun) {
  lathe_module_options options = moduleOptions();
  options.flags = LATHE_MODULE_INSPECT;
  options.variant = "future";
  OpenResult result = openBytes(wholeArtifact(), &options);
  ASSERT_NE(result.module, nullptr) << result.status.message;
  EXPECT_STREQ(lathe_module_entry_name(result.module.get(), 0), "run");
  lathe_context *context = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_context_create(result.module.get(), nullptr, &context, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("LATHE_MODULE_INSPECT"));
}

TEST(Loader, RefusesWhatIsNoArtifact) {
  EXPECT_EQ(refuse({}).code, LATHE_STATUS_NOT_ARTIFACT);
  EXPECT_THAT(refuse({}).message, HasSubstr("empty"));
  EXPECT_EQ(refuse(Bytes(4096, 'x')).code, LATHE_STATUS_NOT_ARTIFACT);
  lathe_status status = refuse(readModel());
  EXPECT_EQ(status.code, LATHE_STATUS_NOT_ARTIFACT);
  EXPECT_THAT(status.message, HasSubstr(LATHE_SECTION_DIGESTS));
}

TEST(Loader, RefusesWhatIsNoFile) {
  lathe_module *module = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_module_open("/does/not/exist.lathe", nullptr, &module, &status), LATHE_STATUS_IO);
  EXPECT_THAT(status.message, HasSubstr("/does/not/exist.lathe: cannot open: No such file"));
  EXPECT_EQ(lathe_module_open("/", nullptr, &module, &status), LATHE_STATUS_IO);
  EXPECT_EQ(lathe_module_open("/dev/null", nullptr, &module, &status), LATHE_STATUS_IO);
  EXPECT_THAT(status.message, HasSubstr("not a regular file"));
  EXPECT_EQ(lathe_module_open_fd(-1, "x", nullptr, &module, &status), LATHE_STATUS_IO);
  std::string pipe = testing::TempDir() + "lathe-runtime-pipe-" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(lathe_module_open(pipe.c_str(), nullptr, &module, &status), LATHE_STATUS_IO);
  unlink(pipe.c_str());
  EXPECT_EQ(module, nullptr);
}

TEST(Loader, RefusesBadCalls) {
  lathe_module *module = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_module_open(nullptr, nullptr, &module, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_module_open("x", nullptr, nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_module_open_memory(nullptr, 0, nullptr, nullptr, &module, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_module_open_memory(reinterpret_cast<char *>(64) + 1, 100, nullptr, nullptr,
                                     &module, &status),
            LATHE_STATUS_ARGUMENT);
  lathe_module_options options = {};
  EXPECT_EQ(lathe_module_open("x", &options, &module, &status), LATHE_STATUS_ARGUMENT);
  options = moduleOptions();
  options.flags = 1u << 20;
  EXPECT_EQ(lathe_module_open("x", &options, &module, nullptr), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_module_verify(nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_module_entry_count(nullptr), 0u);
  EXPECT_STREQ(lathe_module_manifest(nullptr, nullptr), "");
  lathe_module_close(nullptr);
}

// Programs of other versions: older ones know fewer options, newer ones more.
TEST(Loader, TakesOptionsOfOtherVersions) {
  struct Newer {
    lathe_module_options known;
    uint64_t more;
  } newer = {moduleOptions(), 0};
  newer.known.size = sizeof(newer);
  EXPECT_NE(openBytes(wholeArtifact(), &newer.known).module, nullptr);
  newer.more = uint64_t(1) << 40;
  OpenResult result = openBytes(wholeArtifact(), &newer.known);
  EXPECT_EQ(result.status.code, LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(result.status.message,
              HasSubstr("byte " + std::to_string(sizeof(newer.known) + 5) + " is set"));
  // What an older program has behind its struct is none of ours.
  lathe_module_options older = moduleOptions();
  older.size = offsetof(lathe_module_options, verifier);
  older.verifier.verify = [](void *, const lathe_unverified *, char *, uint64_t) { return 1; };
  EXPECT_NE(openBytes(wholeArtifact(), &older).module, nullptr);
}

TEST(Loader, RefusesAnotherFormatVersion) {
  Bytes bytes = wholeArtifact();
  uint64_t magic = LATHE_MAGIC;
  Elf64_Shdr &data = findSection(bytes, ".data.rel.ro");
  char *at = static_cast<char *>(
      memmem(bytes.data() + data.sh_offset, data.sh_size, &magic, sizeof(magic)));
  ASSERT_NE(at, nullptr);
  auto *table = reinterpret_cast<lathe_artifact *>(at);
  table->format_version = 7;
  lathe_status status = refuseSealed(bytes);
  EXPECT_EQ(status.code, LATHE_STATUS_VERSION);
  EXPECT_THAT(status.message, HasSubstr("format version 7"));
  EXPECT_THAT(status.message, HasSubstr("this runtime has version 1"));
  EXPECT_THAT(status.message, HasSubstr("take a newer runtime"));
}

TEST(Loader, RefusesAnotherMachine) {
  Bytes bytes = wholeArtifact();
  headerOf(bytes).e_machine = EM_RISCV;
  EXPECT_EQ(refuse(bytes).code, LATHE_STATUS_ALTERED);
  lathe_status status = refuseSealed(bytes);
  EXPECT_EQ(status.code, LATHE_STATUS_MACHINE);
  EXPECT_THAT(status.message, HasSubstr("another machine (machine 243)"));
}

TEST(Loader, RefusesTruncatedFiles) {
  const Bytes &whole = wholeArtifact();
  std::mt19937 random(1);
  std::vector<size_t> sizes = {1, 3, 4, 63, 64, 65, 4096, whole.size() - 1};
  for (int i = 0; i < 2000; ++i)
    sizes.push_back(random() % whole.size());
  for (size_t size : sizes) {
    lathe_status status = refuse(Bytes(whole.begin(), whole.begin() + size));
    EXPECT_TRUE(status.code == LATHE_STATUS_TRUNCATED || status.code == LATHE_STATUS_NOT_ARTIFACT)
        << size << ": " << status.message;
    if (size >= sizeof(Elf64_Ehdr)) {
      EXPECT_EQ(status.code, LATHE_STATUS_TRUNCATED) << size << ": " << status.message;
    }
  }
}

TEST(Loader, RefusesAppendedBytes) {
  Bytes bytes = wholeArtifact();
  bytes.push_back('x');
  EXPECT_EQ(refuse(bytes).code, LATHE_STATUS_ALTERED);
}

// Every single flipped bit is noticed: when loading, or, in the weights and their digest, by
// verify.
TEST(Loader, NoticesFlippedBits) {
  const Bytes &whole = wholeArtifact();
  Bytes bytes = whole;
  Elf64_Shdr weights = findSection(bytes, LATHE_SECTION_WEIGHTS);
  Elf64_Shdr digests = findSection(bytes, LATHE_SECTION_DIGESTS);
  auto flip = [&](size_t byte, int bit) {
    bytes = whole;
    bytes[byte] ^= 1 << bit;
    OpenResult result = openBytes(bytes);
    auto isIn = [&](const Elf64_Shdr &section) {
      return byte >= section.sh_offset && byte < section.sh_offset + section.sh_size;
    };
    EXPECT_TRUE(!result.module || isIn(weights) || isIn(digests)) << byte << " bit " << bit;
    EXPECT_TRUE(result.module || !isIn(weights)) << result.status.message;
    if (!result.module)
      return;
    lathe_status status;
    EXPECT_EQ(lathe_module_verify(result.module.get(), &status), LATHE_STATUS_ALTERED);
    EXPECT_THAT(status.message, HasSubstr(LATHE_SECTION_WEIGHTS));
  };
  std::mt19937 random(2);
  for (size_t byte = 0; byte < 64; ++byte) // the ELF header, all of it
    flip(byte, random() % 8);
  for (int i = 0; i < 2000; ++i)
    flip(random() % whole.size(), random() % 8);
  for (int i = 0; i < 50; ++i)
    flip(weights.sh_offset + random() % weights.sh_size, random() % 8);
  // The tables at the end: digests, names and section headers.
  for (int i = 0; i < 1000; ++i)
    flip(whole.size() - 1 - random() % 2500, random() % 8);
}

// A hostile file has right digests. It may load, but must neither crash nor hang the reader.
TEST(Loader, SurvivesHostileBytes) {
  const Bytes &whole = wholeArtifact();
  std::mt19937 random(3);
  Bytes layout = whole;
  std::vector<std::pair<size_t, size_t>> places; // offset, size
  places.push_back({0, sizeof(Elf64_Ehdr)});
  places.push_back({headerOf(layout).e_phoff, headerOf(layout).e_phnum * sizeof(Elf64_Phdr)});
  places.push_back({headerOf(layout).e_shoff, headerOf(layout).e_shnum * sizeof(Elf64_Shdr)});
  for (const char *name : {".dynsym", ".dynstr", ".rela.dyn", ".data.rel.ro", ".dynamic", ".symtab",
                           ".rodata", ".shstrtab"}) {
    Elf64_Shdr &section = findSection(layout, name);
    places.push_back({section.sh_offset, section.sh_size});
  }
  int loaded = 0, refused = 0;
  for (int i = 0; i < 6000; ++i) {
    Bytes bytes = whole;
    auto [offset, size] = places[random() % places.size()];
    for (int flips = 1 + random() % 3; flips > 0; --flips) {
      size_t at = offset + random() % size;
      switch (random() % 3) {
      case 0:
        bytes[at] ^= 1 << (random() % 8);
        break;
      case 1:
        bytes[at] = char(random());
        break;
      case 2:
        memset(&bytes[at & ~size_t(7)], random() % 2 ? 0xff : 0, 8);
        break;
      }
    }
    if (!reseal(bytes))
      continue;
    OpenResult result = openBytes(bytes);
    ++(result.module ? loaded : refused);
    if (result.module) {
      for (uint32_t e = 0; e < lathe_module_entry_count(result.module.get()); ++e) {
        EXPECT_LT(strlen(lathe_module_entry_name(result.module.get(), e)), LATHE_MAX_STRING);
        lathe_module_symbol(result.module.get(), lathe_module_entry_name(result.module.get(), e));
      }
      lathe_module_verify(result.module.get(), nullptr);
    }
  }
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 1000);
}

TEST(Loader, RefusesStructuresThatBreakTheRules) {
  struct Case {
    const char *message;
    void (*damage)(Bytes &);
  } cases[] = {
      {"not ET_DYN", [](Bytes &b) { headerOf(b).e_type = ET_EXEC; }},
      {"writable and executable", [](Bytes &b) { segmentsOf(b)[2].p_flags |= PF_W; }},
      {"interpreter or thread-local", [](Bytes &b) { segmentsOf(b)[7].p_type = PT_TLS; }},
      {"interpreter or thread-local", [](Bytes &b) { segmentsOf(b)[7].p_type = PT_INTERP; }},
      {"larger than 2 GiB", [](Bytes &b) { segmentsOf(b)[4].p_memsz = uint64_t(1) << 40; }},
      {"share a page", [](Bytes &b) { segmentsOf(b)[2].p_vaddr = 8; }},
      {"outside the file", [](Bytes &b) { segmentsOf(b)[3].p_filesz = uint64_t(1) << 30; }},
      {"no power of two", [](Bytes &b) { segmentsOf(b)[2].p_align = 3; }},
      {"outside the segments", [](Bytes &b) { findSection(b, ".text").sh_addr += 1 << 20; }},
      {"overlap in the file",
       [](Bytes &b) {
         findSection(b, ".comment").sh_offset = findSection(b, ".symtab").sh_offset;
       }},
      {"thread-local", [](Bytes &b) { findSection(b, ".text").sh_flags |= SHF_TLS; }},
      {"not aligned to 64 KiB",
       [](Bytes &b) { findSection(b, LATHE_SECTION_WEIGHTS).sh_offset -= 64; }},
      {"does not export", [](Bytes &b) { b[findSection(b, ".dynstr").sh_offset + 1] = 'L'; }},
      {"is not defined",
       [](Bytes &b) {
         auto *symbols =
             reinterpret_cast<Elf64_Sym *>(b.data() + findSection(b, ".dynsym").sh_offset);
         symbols[1].st_shndx = SHN_UNDEF;
       }},
      {"needs a shared library",
       [](Bytes &b) {
         auto *dynamic =
             reinterpret_cast<Elf64_Dyn *>(b.data() + findSection(b, ".dynamic").sh_offset);
         dynamic[3].d_tag = DT_NEEDED;
       }},
      {"initialization functions",
       [](Bytes &b) {
         auto *dynamic =
             reinterpret_cast<Elf64_Dyn *>(b.data() + findSection(b, ".dynamic").sh_offset);
         dynamic[3].d_tag = DT_INIT_ARRAY;
       }},
      {"not relative",
       [](Bytes &b) {
         auto *relocations =
             reinterpret_cast<Elf64_Rela *>(b.data() + findSection(b, ".rela.dyn").sh_offset);
         relocations[0].r_info = ELF64_R_INFO(1, 6);
       }},
      {"outside writable data",
       [](Bytes &b) {
         auto *relocations =
             reinterpret_cast<Elf64_Rela *>(b.data() + findSection(b, ".rela.dyn").sh_offset);
         relocations[0].r_offset = findSection(b, ".text").sh_addr;
       }},
      {"outside the image",
       [](Bytes &b) {
         auto *relocations =
             reinterpret_cast<Elf64_Rela *>(b.data() + findSection(b, ".rela.dyn").sh_offset);
         relocations[0].r_addend = -1;
       }},
  };
  for (const Case &test : cases) {
    Bytes bytes = wholeArtifact();
    test.damage(bytes);
    lathe_status status = refuseSealed(bytes);
    EXPECT_THAT(status.message, HasSubstr(test.message));
  }
}

TEST(Loader, WritesTheMapOfPerf) {
  std::string path = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  unlink(path.c_str());
  setenv("LATHE_PERF", "1", 1);
  OpenResult result = openBytes(wholeArtifact());
  unsetenv("LATHE_PERF");
  ASSERT_NE(result.module, nullptr) << result.status.message;
  Bytes map = readModel(path.c_str());
  unlink(path.c_str());
  EXPECT_THAT(std::string(map.begin(), map.end()), HasSubstr(" add_body\n"));
}

TEST(Loader, AnnouncesAndWithdrawsFromGdb) {
  setenv("LATHE_GDB", "1", 1);
  std::vector<OpenResult> opened;
  for (int i = 0; i < 3; ++i)
    opened.push_back(openBytes(wholeArtifact()));
  unsetenv("LATHE_GDB");
  // In another order than they came: first the middle one.
  opened.erase(opened.begin() + 1);
  opened.erase(opened.begin());
  EXPECT_NE(opened[0].module, nullptr);
}

} // namespace
