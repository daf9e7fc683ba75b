// Reading and mapping an artifact's bytes.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Artifact/File.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Header only: liblathe links nothing.
#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace lathe::runtime;

namespace {

// strerror shares a buffer between threads; this form does not.
struct ErrnoText {
  explicit ErrnoText(int error) : text(strerrordesc_np(error)) {
    if (!text)
      text = "unknown error";
  }
  const char *text;
};

} // namespace

File::~File() {
  if (mapping)
    munmap(mapping, mappingBytes);
  if (descriptor >= 0)
    close(descriptor);
  free(fileName);
}

int32_t File::setName(const char *name, lathe_status *status) {
  if (name && !(fileName = strdup(name)))
    return fail(status, LATHE_STATUS_MEMORY, "out of memory");
  return LATHE_STATUS_OK;
}

int32_t File::openPath(const char *path, lathe_status *status) {
  if (int32_t code = setName(path, status))
    return code;
  // O_NONBLOCK: opening a pipe must not wait for a writer. Without effect on files.
  descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return fail(status, LATHE_STATUS_IO, "%s: cannot open: %s", name(), ErrnoText(errno).text);
  return adopt(status);
}

int32_t File::openDescriptor(int fd, const char *newName, lathe_status *status) {
  if (int32_t code = setName(newName, status))
    return code;
  descriptor = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0)
    return fail(status, LATHE_STATUS_IO, "%s: cannot use file descriptor %d: %s", name(), fd,
                ErrnoText(errno).text);
  return adopt(status);
}

int32_t File::adopt(lathe_status *status) {
  struct stat info;
  if (fstat(descriptor, &info))
    return fail(status, LATHE_STATUS_IO, "%s: cannot stat: %s", name(), ErrnoText(errno).text);
  if (!S_ISREG(info.st_mode))
    return fail(status, LATHE_STATUS_IO, "%s: not a regular file", name());
  bytes = info.st_size;
  return LATHE_STATUS_OK;
}

int32_t File::openMemory(const void *data, uint64_t count, const char *newName,
                         lathe_status *status) {
  if (int32_t code = setName(newName, status))
    return code;
  memory = static_cast<const char *>(data);
  bytes = count;
  return LATHE_STATUS_OK;
}

int32_t File::read(uint64_t offset, void *to, uint64_t count, lathe_status *status) const {
  if (memory) {
    memcpy(to, memory + offset, count);
    return LATHE_STATUS_OK;
  }
  char *out = static_cast<char *>(to);
  while (count) {
    ssize_t got = pread(descriptor, out, count, offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return fail(status, LATHE_STATUS_IO, "%s: cannot read: %s", name(), ErrnoText(errno).text);
    if (got == 0)
      return fail(status, LATHE_STATUS_TRUNCATED, "%s: the file became shorter while being read",
                  name());
    out += got, offset += got, count -= got;
  }
  return LATHE_STATUS_OK;
}

int32_t File::digest(uint64_t offset, uint64_t count, Digest &result, lathe_status *status) const {
  if (memory) {
    result = digestOf(memory + offset, count);
    return LATHE_STATUS_OK;
  }
  constexpr uint64_t pieceBytes = 1 << 18;
  struct Work {
    XXH3_state_t state; // aligned to 64
    char piece[pieceBytes];
  };
  void *raw = nullptr;
  if (posix_memalign(&raw, alignof(Work), sizeof(Work)))
    return fail(status, LATHE_STATUS_MEMORY, "%s: out of memory", name());
  Work *work = static_cast<Work *>(raw);
  XXH3_128bits_reset(&work->state);
  int32_t code = LATHE_STATUS_OK;
  while (count && code == LATHE_STATUS_OK) {
    uint64_t piece = count < pieceBytes ? count : pieceBytes;
    code = read(offset, work->piece, piece, status);
    if (code == LATHE_STATUS_OK)
      XXH3_128bits_update(&work->state, work->piece, piece);
    offset += piece, count -= piece;
  }
  XXH128_hash_t hash = XXH3_128bits_digest(&work->state);
  result = {hash.low64, hash.high64};
  free(raw);
  return code;
}

int32_t File::map(uint64_t offset, uint64_t count, const char *&result, lathe_status *status) {
  if (memory) {
    result = memory + offset;
    return LATHE_STATUS_OK;
  }
  uint64_t within = offset % sysconf(_SC_PAGESIZE);
  void *address = mmap(nullptr, count + within, PROT_READ, MAP_SHARED, descriptor, offset - within);
  if (address == MAP_FAILED)
    return fail(status, LATHE_STATUS_IO, "%s: cannot map %llu bytes of weights: %s", name(),
                static_cast<unsigned long long>(count), ErrnoText(errno).text);
  mapping = address;
  mappingBytes = count + within;
  result = static_cast<const char *>(address) + within;
  return LATHE_STATUS_OK;
}

File::Mapping::~Mapping() {
  if (mappedBytes)
    munmap(const_cast<char *>(data), mappedBytes);
}

int32_t File::mapAll(Mapping &result, lathe_status *status) const {
  result.data = memory;
  if (memory)
    return LATHE_STATUS_OK;
  void *address = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED)
    return fail(status, LATHE_STATUS_IO, "%s: cannot map its %llu bytes: %s", name(),
                static_cast<unsigned long long>(bytes), ErrnoText(errno).text);
  result.data = static_cast<const char *>(address);
  result.mappedBytes = bytes;
  return LATHE_STATUS_OK;
}

Digest lathe::runtime::digestOf(const void *data, uint64_t count) {
  XXH128_hash_t hash = XXH3_128bits(data, count);
  return {hash.low64, hash.high64};
}
