// Objects of kernels, kept from one compilation to the next.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_LIB_PIPELINE_KERNELCACHE_H
#define LATHE_LIB_PIPELINE_KERNELCACHE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <string>

namespace lathe::pipeline {

/// A folder of objects, each under the digest of all that it was made from: its text, how it was
/// compiled, and the programs that compiled it. A file that is damaged counts as absent; a folder
/// that cannot be written keeps nothing, which is no error. Usable from several threads, and by
/// several processes on one folder.
class KernelCache {
public:
  /// An empty `folder` keeps nothing.
  explicit KernelCache(std::string folder);
  ~KernelCache(); // forgets what is old, where the folder has grown too large
  KernelCache(const KernelCache &) = delete;
  KernelCache &operator=(const KernelCache &) = delete;

  /// Null: not there. `recipe` names everything that the object depends on but the compiler.
  std::unique_ptr<llvm::MemoryBuffer> find(llvm::StringRef recipe) const;
  void keep(llvm::StringRef recipe, llvm::StringRef object) const;

private:
  std::string pathOf(llvm::StringRef recipe) const;
  std::string folder;
};

} // namespace lathe::pipeline

#endif // LATHE_LIB_PIPELINE_KERNELCACHE_H
