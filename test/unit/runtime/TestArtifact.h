// Artifacts for the runtime's tests: a compiled model.c becomes one, whole or damaged.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_UNIT_RUNTIME_TESTARTIFACT_H
#define LATHE_TEST_UNIT_RUNTIME_TESTARTIFACT_H

#include "lathe-c/Runtime.h"

#include <atomic>
#include <elf.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace lathe::test {

using Bytes = std::vector<char>;

/// Weights of the variant "better" are 2, of "base" 3.
inline constexpr float betterWeight = 2, baseWeight = 3;
inline constexpr const char *manifestText = R"({"producer": "a test"})";

/// The bytes of model.c as a shared object.
Bytes readModel(const char *path = LATHE_TEST_MODEL);

/// Adds weights, manifest and digests to a shared object.
Bytes makeArtifact(const Bytes &sharedObject = readModel());

/// Computes the digests again, so that a damage made on purpose is not caught by them. Returns
/// false where the headers are damaged too much.
bool reseal(Bytes &artifact);

/// Read and write access to the headers in `bytes`.
Elf64_Ehdr &headerOf(Bytes &bytes);
Elf64_Shdr *sectionsOf(Bytes &bytes);
Elf64_Phdr *segmentsOf(Bytes &bytes);
/// A section by name; fails the test when there is none.
Elf64_Shdr &findSection(Bytes &bytes, const std::string &name);

/// A file that is deleted at the end.
class TemporaryFile {
public:
  explicit TemporaryFile(const Bytes &bytes);
  ~TemporaryFile();
  const char *path() const { return name.c_str(); }
  void write(const Bytes &bytes) const;

private:
  std::string name;
};

struct CloseModule {
  void operator()(lathe_module *module) const { lathe_module_close(module); }
};
using ModulePtr = std::unique_ptr<lathe_module, CloseModule>;
struct DestroyContext {
  void operator()(lathe_context *context) const { lathe_context_destroy(context); }
};
using ContextPtr = std::unique_ptr<lathe_context, DestroyContext>;

/// Opens bytes as memory (copied to aligned memory that lives as long as the module).
struct OpenResult {
  std::shared_ptr<void> memory;
  ModulePtr module;
  lathe_status status;
};
OpenResult openBytes(const Bytes &bytes, const lathe_module_options *options = nullptr);

/// The whole artifact, opened once from a file; fails the test where that fails.
lathe_module *sharedModule();

/// Options with their size set.
lathe_module_options moduleOptions();
lathe_context_options contextOptions();

ContextPtr makeContext(lathe_module *module, const lathe_context_options *options = nullptr);
uint32_t entryOf(const lathe_module *module, const char *name);

/// A contiguous value that borrows `data`.
template <typename T>
lathe_value borrow(uint32_t dtype, std::vector<int64_t> dims, std::vector<T> &data) {
  lathe_value value;
  lathe_status status;
  EXPECT_EQ(lathe_value_borrow(&value, dtype, dims.size(), dims.data(), data.data(), &status),
            LATHE_STATUS_OK)
      << status.message;
  return value;
}

/// Counts its memory and refuses what a test wants refused.
struct TestAllocator {
  std::function<bool(uint64_t bytes)> refuses = [](uint64_t) { return false; };
  std::atomic<int64_t> live{0}, calls{0};
  lathe_allocator get();
};

} // namespace lathe::test

#endif // LATHE_TEST_UNIT_RUNTIME_TESTARTIFACT_H
