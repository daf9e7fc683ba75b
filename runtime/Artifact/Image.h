// The loaded part of an artifact: its segments in private memory, relocated.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_ARTIFACT_IMAGE_H
#define LATHE_RUNTIME_ARTIFACT_IMAGE_H

#include "runtime/Artifact/Elf.h"

namespace lathe::runtime {

class Image {
public:
  Image() = default;
  Image(const Image &) = delete;
  Image &operator=(const Image &) = delete;
  ~Image();

  /// Copies the loaded sections and checks their digests.
  int32_t copy(const File &file, const Elf &elf, lathe_status *status);

  /// Then applies relative relocations and sets the protection of every segment (without
  /// `executable`, code stays unexecutable).
  int32_t link(const File &file, const Elf &elf, bool executable, lathe_status *status);

  /// The exported table; nothing of it is checked yet.
  const void *table() const { return memory + tableOffset; }

  /// Bytes that can be read from `address` on, up to the end of its segment; 0 outside the image.
  uint64_t readable(const void *address) const;
  bool isCode(const void *address) const;

  char *base() const { return memory; }
  uint64_t size() const { return bytes; }

private:
  struct Segment {
    uint64_t begin, end; // of the bytes that it declares
    uint32_t flags;
  };

  int32_t reserve(const File &file, const Elf &elf, lathe_status *status);
  int32_t copySections(const File &file, const Elf &elf, lathe_status *status);
  int32_t checkSymbols(const File &file, const Elf &elf, lathe_status *status);
  int32_t relocate(const File &file, const Elf &elf, lathe_status *status);
  int32_t protect(const File &file, const Elf &elf, bool executable, lathe_status *status);
  /// Adds the base to the 8 bytes at `offset` (plus `addend`, where they are not their own).
  const char *applyRelative(uint64_t offset, const int64_t *addend);
  const char *applyRela(uint64_t table, uint64_t tableBytes, uint32_t relativeType);
  const char *applyRelr(uint64_t table, uint64_t tableBytes);
  const Segment *find(uint64_t offset, uint64_t count) const;

  char *memory = nullptr;
  uint64_t bytes = 0;
  uint64_t tableOffset = 0;
  void *mapping = nullptr;
  uint64_t mappingBytes = 0;
  Array<Segment> segments;
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_ARTIFACT_IMAGE_H
