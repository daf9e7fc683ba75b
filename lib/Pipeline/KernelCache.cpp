// A folder of objects under the digests of what they were made from.
// Apache-2.0 WITH LLVM-exception
#include "KernelCache.h"
#include "lathe/Compiler.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <link.h>

using namespace llvm;
using namespace lathe::pipeline;

namespace {
using Hasher = TruncatedBLAKE3<32>;
constexpr size_t digestBytes = 32;

/// The GNU build IDs of the program and of every library in it, one after the other; empty where
/// the program has none: then nothing would tell one compiler from the next.
const std::string &compilerId() {
  static const std::string id = [] {
    std::string ids;
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *result) {
          auto &ids = *static_cast<std::string *>(result);
          bool isProgram = ids.empty(), found = false;
          for (const auto &header : ArrayRef(info->dlpi_phdr, info->dlpi_phnum)) {
            if (header.p_type != PT_NOTE)
              continue;
            auto *at = reinterpret_cast<const char *>(info->dlpi_addr + header.p_vaddr);
            for (const char *end = at + header.p_memsz; at + sizeof(ElfW(Nhdr)) <= end;) {
              const auto *note = reinterpret_cast<const ElfW(Nhdr) *>(at);
              const char *name = at + sizeof(*note);
              const char *content = name + alignTo(note->n_namesz, 4);
              at = content + alignTo(note->n_descsz, 4);
              if (note->n_type != NT_GNU_BUILD_ID ||
                  StringRef(name, note->n_namesz) != StringRef("GNU\0", 4))
                continue;
              ids.append(content, note->n_descsz);
              found = true;
            }
          }
          return int(isProgram && !found); // stops
        },
        &ids);
    return ids;
  }();
  return id;
}
} // namespace

std::string lathe::defaultCacheFolder() {
  if (const char *chosen = std::getenv("LATHE_CACHE"); chosen && *chosen)
    return StringRef(chosen) == "off" ? "" : chosen;
  SmallString<128> folder;
  if (!sys::path::cache_directory(folder))
    return "";
  sys::path::append(folder, "lathe");
  return folder.str().str();
}

KernelCache::KernelCache(std::string wanted) : folder(std::move(wanted)) {
  if (folder.empty())
    return;
  auto perms =
      static_cast<sys::fs::perms>(sys::fs::owner_all); // code: nobody else may put it there
  if (compilerId().empty() || sys::fs::create_directories(folder, true, perms))
    folder.clear();
}

KernelCache::~KernelCache() {
  if (folder.empty())
    return;
  CachePruningPolicy policy; // at most every 20 minutes, and what was not used for a week
  policy.MaxSizeBytes = 512 << 20;
  pruneCache(folder, policy);
}

std::string KernelCache::pathOf(StringRef recipe) const {
  Hasher hasher;
  hasher.update(compilerId());
  hasher.update(recipe);
  SmallString<128> path(folder);
  // pruneCache looks for this prefix.
  sys::path::append(path, "llvmcache-" + toHex(hasher.final(), /*LowerCase=*/true));
  return path.str().str();
}

std::unique_ptr<MemoryBuffer> KernelCache::find(StringRef recipe) const {
  if (folder.empty())
    return nullptr;
  auto file = MemoryBuffer::getFile(pathOf(recipe), /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file || (*file)->getBufferSize() <= digestBytes)
    return nullptr;
  StringRef digest = (*file)->getBuffer().take_front(digestBytes);
  StringRef object = (*file)->getBuffer().drop_front(digestBytes);
  if (toStringRef(Hasher::hash<digestBytes>(arrayRefFromStringRef(object))) != digest)
    return nullptr;
  return MemoryBuffer::getMemBufferCopy(object, "kernel");
}

void KernelCache::keep(StringRef recipe, StringRef object) const {
  if (folder.empty())
    return;
  consumeError(writeToOutput(pathOf(recipe), [&](raw_ostream &stream) {
    stream << toStringRef(Hasher::hash<digestBytes>(arrayRefFromStringRef(object))) << object;
    return Error::success();
  }));
}
