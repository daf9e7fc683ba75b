// What the files of Artifact share.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_LIB_ARTIFACT_INTERNAL_H
#define LATHE_LIB_ARTIFACT_INTERNAL_H

#include "lathe/Artifact.h"

namespace lathe::artifact {

/// Something to link, and what to call it in messages.
struct LinkInput {
  llvm::MemoryBufferRef object;
  std::string name;
};

/// Links objects to one closed shared object at `path`, which is overwritten. One link runs at a
/// time: the linker keeps global state.
llvm::Error link(llvm::StringRef triple, llvm::ArrayRef<LinkInput> inputs, llvm::StringRef path);

/// Checks what the caller promised, so that no artifact is written that the runtime refuses.
llvm::Error check(const Contents &contents);

} // namespace lathe::artifact

#endif // LATHE_LIB_ARTIFACT_INTERNAL_H
