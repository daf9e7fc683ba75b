// What the files of Artifact share.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_LIB_ARTIFACT_INTERNAL_H
#define LATHE_LIB_ARTIFACT_INTERNAL_H

#include "lathe/Artifact.h"
#include "llvm/ADT/SmallString.h"

namespace lathe::artifact {

/// Something to link, and what to call it in messages.
struct LinkInput {
  llvm::MemoryBufferRef object;
  std::string name;
};

/// What comes out of a link.
enum class LinkOutput {
  Artifact,    ///< a closed shared object
  Relocatable, ///< one object, for another link
  DeviceCode   ///< what AMD's driver loads
};

/// Links objects to a file at `path`, which is overwritten. One link runs at a time: the linker
/// keeps global state.
llvm::Error link(llvm::StringRef triple, llvm::ArrayRef<LinkInput> inputs, LinkOutput output,
                 llvm::StringRef path);

/// Adds the objects of all variants.
void addCode(const Contents &contents, std::vector<LinkInput> &inputs);

/// The kernels as an archive: one file to hold open, however many there are.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> joinKernels(const Contents &contents);

/// The table of `contents` as an object that exports it, with the entries' functions undefined.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> emitTable(const Contents &contents);

/// The same as a lathe_static_model that is called modelSymbol(name), with weights and manifest.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> emitModel(const Contents &contents,
                                                              llvm::StringRef name);

/// A file beside `path` for work in progress; removed unless it is kept.
class TemporaryFile {
public:
  ~TemporaryFile();
  llvm::Error create(llvm::StringRef path);
  llvm::Error write(uint64_t offset, const void *data, size_t size);
  llvm::Error resize(uint64_t size);
  /// Gives it its final name, at once and complete.
  llvm::Error keepAs(llvm::StringRef path);
  llvm::StringRef path() const { return name; }

private:
  void remove();
  llvm::SmallString<128> name;
  int descriptor = -1;
};

/// Fails where `path` is there already and cannot be replaced by a file.
llvm::Error checkReplaceable(llvm::StringRef path);

/// Checks what the caller promised, so that no artifact is written that the runtime refuses.
llvm::Error check(const Contents &contents);

} // namespace lathe::artifact

#endif // LATHE_LIB_ARTIFACT_INTERNAL_H
