// The file itself: closed, deterministic, with digests, weights and manifest; errors leave nothing.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Runtime.h"
#include "test/unit/artifact/Helpers.h"
#include "llvm/Object/ELFObjectFile.h"
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <thread>

using namespace lathe;
using namespace lathe::test;
using testing::Test;

namespace {

using File = llvm::object::ELFFile<llvm::object::ELF64LE>;

const std::vector<Callee> callees = {{"expf", "float"}, {"llvm.pow.f64", "double", 2}};

/// Two variants, sites, weights in three chunks with gaps.
artifact::Contents fullContents() {
  static const std::string first(1000, 'a'), second(70000, 'b'), third(64, 'c');
  artifact::Contents contents;
  unsigned number = 0;
  for (const codegen::HostTarget &host : llvm::cantFail(codegen::resolveTargets(""))) {
    std::string prefix = "lathe_v" + std::to_string(number++) + "_";
    contents.triple = host.triple;
    artifact::Variant variant = elementwiseVariant(callees, host, prefix);
    variant.object = llvm::cantFail(compile(elementwiseIR(callees, prefix), host));
    variant.weightsOffset = number == 1 ? 0 : 1024;
    variant.weightsBytes = 70000;
    contents.variants.push_back(std::move(variant));
  }
  contents.sites = {"node 'Gather_3': index %0 is out of range", std::string(5000, 'x') + "é"};
  contents.weights = {{131072, {third.data(), third.size()}, nullptr},
                      {0, {first.data(), first.size()}, nullptr},
                      {1024, {second.data(), second.size()}, nullptr}};
  contents.weightsBytes = 200000;
  contents.manifest = R"({"source": "test"})";
  return contents;
}

std::string writeTo(const artifact::Contents &contents, const std::string &path) {
  if (llvm::Error error = artifact::write(contents, path))
    return messageOf(std::move(error));
  return "";
}

/// What is not closed about an ELF file; empty where it is.
std::string openEnds(llvm::StringRef bytes) {
  File file = llvm::cantFail(File::create(bytes));
  std::string result;
  uint32_t relative = file.getRelativeRelocationType();
  for (const auto &section : llvm::cantFail(file.sections())) {
    if (section.sh_type == llvm::ELF::SHT_DYNSYM || section.sh_type == llvm::ELF::SHT_SYMTAB)
      for (const auto &symbol : llvm::cantFail(file.symbols(&section)).drop_front())
        if (symbol.st_shndx == llvm::ELF::SHN_UNDEF)
          result += "undefined symbol; ";
    if (section.sh_type == llvm::ELF::SHT_RELA)
      for (const auto &relocation : llvm::cantFail(file.relas(section)))
        if (relocation.getType(false) != relative)
          result += "relocation; ";
  }
  for (const auto &entry : llvm::cantFail(file.dynamicEntries()))
    if (entry.getTag() == llvm::ELF::DT_NEEDED || entry.getTag() == llvm::ELF::DT_JMPREL)
      result += "needed library or procedure table; ";
  return result;
}

TEST(Artifact, RuntimeLoadsVerifiesAndRuns) {
  Folder folder;
  std::string path = folder / "full.lathe";
  ASSERT_EQ(writeTo(fullContents(), path), "");
  for (const char *variant : {"x86-64-v4", "x86-64-v3"}) {
    uint64_t needed = target(variant).featureBits;
    if ((lathe_host_features() & needed) != needed)
      continue;
    lathe_module_options options = {};
    options.size = sizeof(options);
    options.variant = variant;
    lathe_module *module = nullptr;
    lathe_status status;
    ASSERT_EQ(lathe_module_open(path.c_str(), &options, &module, &status), 0) << status.message;
    EXPECT_EQ(lathe_module_verify(module, &status), 0) << status.message;
    EXPECT_STREQ(lathe_module_manifest(module, nullptr), R"({"source": "test"})");
    EXPECT_EQ(lathe_module_variant_count(module), 2u);
    int32_t entry = lathe_module_entry_find(module, "expf");
    ASSERT_EQ(entry, 0);
    EXPECT_STREQ(lathe_module_input_spec(module, 0, 0)->dims[0].symbol, "n");
    lathe_module_close(module);
  }
}

TEST(Artifact, EveryVariantComputes) {
  Folder folder;
  ASSERT_EQ(writeTo(fullContents(), folder / "full.lathe"), "");
  Opened opened(folder / "full.lathe");
  ASSERT_TRUE(opened.table);
  EXPECT_EQ(opened.table->magic, LATHE_MAGIC);
  ASSERT_EQ(opened.table->variant_count, 2u);
  EXPECT_STREQ(opened.table->variants[0].name, "x86-64-v4");
  EXPECT_EQ(opened.table->variants[1].weights_offset, 1024u);
  EXPECT_EQ(opened.table->variants[1].weights_bytes, 70000u);
  ASSERT_EQ(opened.table->site_count, 2u);
  EXPECT_STREQ(opened.table->sites[0].message, "node 'Gather_3': index %0 is out of range");
  EXPECT_EQ(strlen(opened.table->sites[1].message), LATHE_MAX_STRING - 1);
  for (unsigned variant = 0; variant < 2; ++variant) {
    uint64_t needed = opened.table->variants[variant].features;
    if ((lathe_host_features() & needed) != needed)
      continue;
    const lathe_entry *exponential = opened.find("expf", variant);
    const lathe_entry *power = opened.find("llvm.pow.f64", variant);
    ASSERT_TRUE(exponential && power);
    EXPECT_EQ(call<float>(*exponential, {0, 1, -2}),
              (std::vector<float>{1, std::exp(1.f), std::exp(-2.f)}));
    EXPECT_EQ(call<double>(*power, {2, 9}, {10, 0.5}), (std::vector<double>{1024, 3}));
  }
}

TEST(Artifact, IsClosed) {
  Folder folder;
  ASSERT_EQ(writeTo(fullContents(), folder / "full.lathe"), "");
  std::string bytes = readFile(folder / "full.lathe");
  EXPECT_EQ(openEnds(bytes), "");
  // One name is exported.
  File file = llvm::cantFail(File::create(bytes));
  for (const auto &section : llvm::cantFail(file.sections()))
    if (section.sh_type == llvm::ELF::SHT_DYNSYM)
      EXPECT_EQ(llvm::cantFail(file.symbols(&section)).size(), 2u);
}

TEST(Artifact, SectionsLieWhereTheFormatSays) {
  Folder folder;
  ASSERT_EQ(writeTo(fullContents(), folder / "full.lathe"), "");
  std::string bytes = readFile(folder / "full.lathe");
  File file = llvm::cantFail(File::create(bytes));
  bool found = false;
  for (const auto &section : llvm::cantFail(file.sections())) {
    if (llvm::cantFail(file.getSectionName(section)) != LATHE_SECTION_WEIGHTS)
      continue;
    found = true;
    EXPECT_EQ(section.sh_offset % 65536, 0u);
    EXPECT_EQ(section.sh_flags & llvm::ELF::SHF_ALLOC, 0u);
    ASSERT_EQ(section.sh_size, 200000u);
    llvm::StringRef weights(bytes.data() + section.sh_offset, section.sh_size);
    EXPECT_EQ(weights.take_front(1000), std::string(1000, 'a'));
    EXPECT_EQ(weights.substr(1000, 24), std::string(24, '\0'));
    EXPECT_EQ(weights.substr(1024, 70000), std::string(70000, 'b'));
    EXPECT_EQ(weights.substr(131072, 64), std::string(64, 'c'));
    EXPECT_EQ(weights.drop_front(131136), std::string(200000 - 131136, '\0'));
  }
  EXPECT_TRUE(found);
}

TEST(Artifact, SameInputGivesSameBytes) {
  Folder folder;
  ASSERT_EQ(writeTo(fullContents(), folder / "one.lathe"), "");
  std::string wanted = readFile(folder / "one.lathe");
  // At the same time, into another folder, under other names.
  Folder other;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back(
        [&, i] { EXPECT_EQ(writeTo(fullContents(), other / ("name" + std::to_string(i))), ""); });
  for (std::thread &thread : threads)
    thread.join();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(readFile(other / ("name" + std::to_string(i))), wanted);
  EXPECT_EQ(other.fileCount(), 3u);
}

TEST(Artifact, WeightsBeyondFourGigabytes) {
  Folder folder;
  artifact::Contents contents =
      llvm::cantFail(elementwiseContents({{"expf", "float"}}, target("x86-64-v3")));
  const uint64_t offset = (uint64_t(1) << 32) + 64;
  static const char end[] = "the end";
  contents.weights = {{offset, {end, sizeof(end)}, nullptr}};
  contents.variants[0].weightsOffset = offset;
  contents.variants[0].weightsBytes = sizeof(end);
  ASSERT_EQ(writeTo(contents, folder / "large.lathe"), "");
  EXPECT_GT(std::filesystem::file_size(folder / "large.lathe"), offset);
  lathe_module *module = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_module_open((folder / "large.lathe").c_str(), nullptr, &module, &status), 0)
      << status.message;
  lathe_variant_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(lathe_module_variant_info(module, 0, &info, &status), 0);
  EXPECT_EQ(info.weights_offset, offset);
  lathe_module_close(module);
}

TEST(Artifact, NoByteChangesUnnoticed) {
  Folder folder;
  artifact::Contents contents = fullContents();
  ASSERT_EQ(writeTo(contents, folder / "full.lathe"), "");
  std::string bytes = readFile(folder / "full.lathe");
  auto isAccepted = [](const std::string &file) {
    // Memory that artifacts are opened from is aligned.
    std::vector<char> room(file.size() + LATHE_ALIGNMENT);
    char *begin = reinterpret_cast<char *>(
        llvm::alignTo(reinterpret_cast<uintptr_t>(room.data()), LATHE_ALIGNMENT));
    memcpy(begin, file.data(), file.size());
    lathe_module *module = nullptr;
    lathe_status status;
    if (lathe_module_open_memory(begin, file.size(), "altered", nullptr, &module, &status))
      return false;
    bool isVerified = lathe_module_verify(module, &status) == 0;
    lathe_module_close(module);
    return isVerified;
  };
  ASSERT_TRUE(isAccepted(bytes));
  for (size_t at = 0; at < bytes.size(); at += at < 1024 ? 1 : 499) {
    std::string altered = bytes;
    altered[at] ^= 0x10;
    EXPECT_FALSE(isAccepted(altered)) << "byte " << at;
  }
}

TEST(Artifact, NoWeightsAndNoManifest) {
  Folder folder;
  artifact::Contents contents =
      llvm::cantFail(elementwiseContents({{"expf", "float"}}, target("x86-64-v3")));
  contents.manifest.clear();
  ASSERT_EQ(writeTo(contents, folder / "small.lathe"), "");
  lathe_module *module = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_module_open((folder / "small.lathe").c_str(), nullptr, &module, &status), 0)
      << status.message;
  EXPECT_EQ(lathe_module_verify(module, &status), 0) << status.message;
  lathe_module_close(module);
}

TEST(Artifact, ErrorsSayWhatAndLeaveNothing) {
  Folder folder;
  std::string path = folder / "bad.lathe";
  std::ofstream(path) << "there before";
  auto expectFailure = [&](const artifact::Contents &contents, const char *message) {
    EXPECT_THAT(writeTo(contents, path), testing::HasSubstr(message));
    EXPECT_EQ(readFile(path), "there before");
    EXPECT_EQ(folder.fileCount(), 1u);
  };
  codegen::HostTarget host = target("x86-64-v3");
  artifact::Contents contents = llvm::cantFail(elementwiseContents({{"strange", "float"}}, host));
  EXPECT_THAT(writeTo(contents, path), testing::HasSubstr("undefined symbol: strange"));
  EXPECT_THAT(writeTo(contents, path), testing::HasSubstr("code for x86-64-v3"));
  expectFailure(contents, "undefined symbol");

  contents = fullContents();
  contents.weights[0].offset = 500;
  expectFailure(contents, "overlap those before, which end at 1000");
  contents = fullContents();
  contents.variants[0].weightsBytes = 300000;
  expectFailure(contents, "unaligned or outside");
  contents = fullContents();
  contents.variants[1].entries[0].runSymbol = contents.variants[0].entries[0].runSymbol;
  expectFailure(contents, "used by another entry");
  contents = fullContents();
  contents.variants[0].entries[0].outputs[0].alias = 7;
  expectFailure(contents, "alias of input 7 of 1");
  contents = fullContents();
  contents.variants[0].entries[0].inputs[0].name = std::string(5000, 'n');
  expectFailure(contents, "at most 4095");
  contents = fullContents();
  contents.variants[1].object = llvm::MemoryBuffer::getMemBuffer("not an object");
  expectFailure(contents, "code for x86-64-v3");
  contents = fullContents();
  contents.variants.clear();
  expectFailure(contents, "at least one target");

  contents = fullContents();
  EXPECT_THAT(writeTo(contents, "/dev/null"), testing::HasSubstr("not a regular file"));
  EXPECT_THAT(writeTo(contents, folder / "none/x.lathe"), testing::HasSubstr("No such file"));
  // And after all these failures the linker still works.
  EXPECT_EQ(writeTo(contents, path), "");
}

/// An entry with lines, as an importer's locations give them.
const char *const withLines = R"(
define i32 @lathe_v0_plan(ptr %call, ptr %plan) { ret i32 0 }
define i32 @lathe_v0_run(ptr %call) !dbg !4 { ret i32 0, !dbg !5 }
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_C, file: !1, emissionKind: LineTablesOnly)
!1 = !DIFile(filename: "model.nodes", directory: "")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !{i32 2, !"Dwarf Version", i32 4}
!4 = distinct !DISubprogram(name: "run", file: !1, line: 1, unit: !0, type: !6,
                            spFlags: DISPFlagDefinition)
!5 = !DILocation(line: 12, scope: !4)
!6 = !DISubroutineType(types: !{})
)";

TEST(Artifact, KeepsLinesOfNodes) {
  Folder folder;
  codegen::HostTarget host = target("x86-64-v3");
  artifact::Contents contents;
  contents.triple = host.triple;
  artifact::Variant variant;
  variant.name = host.name;
  variant.features = host.featureBits;
  variant.object = llvm::cantFail(compile(withLines, host));
  artifact::Entry entry;
  entry.planSymbol = "lathe_v0_plan";
  entry.runSymbol = "lathe_v0_run";
  variant.entries.push_back(entry);
  contents.variants.push_back(std::move(variant));
  ASSERT_EQ(writeTo(contents, folder / "lines.lathe"), "");
  std::string bytes = readFile(folder / "lines.lathe");
  bool hasLines = false;
  File file = llvm::cantFail(File::create(bytes));
  for (const auto &section : llvm::cantFail(file.sections()))
    hasLines |= llvm::cantFail(file.getSectionName(section)) == ".debug_line";
  EXPECT_TRUE(hasLines);
  lathe_module *module = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_module_open((folder / "lines.lathe").c_str(), nullptr, &module, &status), 0)
      << status.message;
  EXPECT_EQ(lathe_module_verify(module, &status), 0) << status.message;
  lathe_module_close(module);
}

/// Runs an entry of an AArch64 artifact in the emulator, and of an x86 one here: the same bits.
template <typename T>
void compareArchitectures(const Folder &folder, const Opened &x86, const std::string &name,
                          const std::vector<T> &x) {
  std::ofstream(folder / "x", std::ios::binary)
      .write(reinterpret_cast<const char *>(x.data()), x.size() * sizeof(T));
  std::string command = std::string(LATHE_QEMU " -L " LATHE_AARCH64_ROOT " " LATHE_AARCH64_HOST) +
                        " " + folder / "aarch64" + " " + name + " " + folder / "x" + " " +
                        folder / "z";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  std::string bytes = readFile(folder / "z");
  std::vector<T> wanted = call(*x86.find(name), x), got(x.size());
  ASSERT_EQ(bytes.size(), wanted.size() * sizeof(T));
  memcpy(got.data(), bytes.data(), bytes.size());
  for (size_t i = 0; i < x.size(); ++i)
    if (!std::isnan(got[i]) || !std::isnan(wanted[i]))
      EXPECT_EQ(memcmp(&got[i], &wanted[i], sizeof(T)), 0)
          << name << "(" << x[i] << ") = " << got[i] << ", x86 has " << wanted[i];
}

TEST(Artifact, AArch64ComputesTheSame) {
  Folder folder;
  std::vector<Callee> functions;
  for (const char *name : {"exp", "log", "sin", "tan", "tanh", "erf", "atan", "cbrt", "log1p",
                           "llvm.exp2.f64", "llvm.sinh.f64"})
    functions.push_back({name, "double"});
  for (const char *name : {"exp", "log", "sin", "tanh", "erf", "asinh"})
    functions.push_back({std::string("lathe.math.") + name + ".f32", "float"});
  std::vector<double> x;
  for (int i = -3000; i < 3000; ++i)
    x.push_back(i * 0.37 + 1e5 * (i % 5 == 0));
  x.insert(x.end(), {0.0, -0.0, INFINITY, -INFINITY, NAN, 5e-324, 1e308, 1e22});
  std::vector<float> x32(x.begin(), x.end());
  for (const char *name : {"x86-64-v3", "aarch64"}) {
    auto contents = elementwiseContents(functions, target(name));
    ASSERT_TRUE(bool(contents)) << messageOf(contents.takeError());
    ASSERT_EQ(writeTo(*contents, folder / name), "");
    EXPECT_EQ(openEnds(readFile(folder / name)), "");
  }
  Opened x86(folder / "x86-64-v3");
  for (const Callee &callee : functions)
    if (callee.type == "float")
      compareArchitectures(folder, x86, callee.name, x32);
    else
      compareArchitectures(folder, x86, callee.name, x);
}

} // namespace
