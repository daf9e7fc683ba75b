// The bytes of an artifact: a file or the caller's memory.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_ARTIFACT_FILE_H
#define LATHE_RUNTIME_ARTIFACT_FILE_H

#include "runtime/Core/Status.h"

namespace lathe::runtime {

struct Digest {
  uint64_t low = 0, high = 0;
  bool operator==(const Digest &) const = default;
};

class File {
public:
  File() = default;
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  ~File();

  int32_t openPath(const char *path, lathe_status *status);
  int32_t openDescriptor(int fd, const char *name, lathe_status *status);
  int32_t openMemory(const void *data, uint64_t bytes, const char *name, lathe_status *status);

  /// For messages; never null.
  const char *name() const { return fileName ? fileName : "artifact"; }
  uint64_t size() const { return bytes; }

  /// True where [offset, offset + count) lies in the file.
  bool contains(uint64_t offset, uint64_t count) const {
    return offset <= bytes && count <= bytes - offset;
  }

  /// Reads bytes that the file contains.
  int32_t read(uint64_t offset, void *to, uint64_t count, lathe_status *status) const;

  /// The digest of bytes that the file contains, read piece by piece.
  int32_t digest(uint64_t offset, uint64_t count, Digest &result, lathe_status *status) const;

  /// The whole file as memory, until it goes.
  struct Mapping {
    Mapping() = default;
    Mapping(const Mapping &) = delete;
    ~Mapping();
    const char *data = nullptr;
    uint64_t mappedBytes = 0; ///< 0: the caller's memory
  };
  int32_t mapAll(Mapping &result, lathe_status *status) const;

  /// Read-only memory with these bytes, shared between processes where it is a file. Unmapped by
  /// the destructor; called once.
  int32_t map(uint64_t offset, uint64_t count, const char *&result, lathe_status *status);

private:
  int32_t setName(const char *name, lathe_status *status);
  int32_t adopt(lathe_status *status);

  char *fileName = nullptr;
  const char *memory = nullptr;
  int descriptor = -1;
  uint64_t bytes = 0;
  void *mapping = nullptr;
  uint64_t mappingBytes = 0;
};

Digest digestOf(const void *data, uint64_t count);

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_ARTIFACT_FILE_H
