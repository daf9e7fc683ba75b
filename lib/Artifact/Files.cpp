// Files that appear complete or not at all.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Artifact/Internal.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Signals.h"
#include <cerrno>
#include <unistd.h>

using namespace llvm;

namespace lathe::artifact {

TemporaryFile::~TemporaryFile() {
  if (descriptor >= 0)
    close(descriptor);
  if (!name.empty())
    remove();
}

Error TemporaryFile::create(StringRef path) {
  SmallString<128> model(path);
  model += ".tmp-%%%%%%%%";
  std::error_code failure = sys::fs::createUniqueFile(model, descriptor, name);
  if (failure)
    return createFileError(path, failure);
  sys::RemoveFileOnSignal(name);
  return Error::success();
}

Error TemporaryFile::write(uint64_t offset, const void *data, size_t size) {
  const char *from = static_cast<const char *>(data);
  while (size) {
    ssize_t written = pwrite(descriptor, from, std::min<size_t>(size, 1 << 30), off_t(offset));
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return createFileError(name,
                             std::error_code(written ? errno : ENOSPC, std::generic_category()));
    from += written;
    offset += written;
    size -= written;
  }
  return Error::success();
}

Error TemporaryFile::resize(uint64_t size) {
  if (ftruncate(descriptor, off_t(size)))
    return createFileError(name, std::error_code(errno, std::generic_category()));
  return Error::success();
}

Error TemporaryFile::keepAs(StringRef path) {
  // A full disk or a failing network file system may be heard of only here.
  if (close(std::exchange(descriptor, -1)))
    return createFileError(path, std::error_code(errno, std::generic_category()));
  if (std::error_code failure = sys::fs::rename(name, path))
    return createFileError(path, failure);
  sys::DontRemoveFileOnSignal(name);
  name.clear();
  return Error::success();
}

void TemporaryFile::remove() {
  sys::fs::remove(name);
  sys::DontRemoveFileOnSignal(name);
}

Error checkReplaceable(StringRef path) {
  sys::fs::file_status status;
  if (!sys::fs::status(path, status) && status.type() != sys::fs::file_type::regular_file)
    return createStringError(
        formatv("'{0}' is there already and is not a regular file; choose another name", path)
            .str());
  return Error::success();
}

} // namespace lathe::artifact
