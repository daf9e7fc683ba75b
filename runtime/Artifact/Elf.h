// The ELF structure of an artifact: headers, sections and digests, checked.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_ARTIFACT_ELF_H
#define LATHE_RUNTIME_ARTIFACT_ELF_H

#include "runtime/Artifact/File.h"
#include "runtime/Core/Memory.h"

#include <elf.h>

namespace lathe::runtime {

/// Headers of an artifact, read once into private memory. After `read` succeeds all file ranges lie
/// in the file and do not overlap, all names are terminated, loaded sections lie in loaded
/// segments, and the headers' digest is right.
class Elf {
public:
  int32_t read(const File &file, lathe_status *status);

  Elf64_Ehdr header = {};
  Array<Elf64_Phdr> segments;
  Array<Elf64_Shdr> sections;

  const char *sectionName(size_t index) const { return names.data() + sections[index].sh_name; }
  /// The section with the names.
  const char *nameTable() const { return names.data(); }
  /// The first section with this name or, by type, of this type; null for none.
  const Elf64_Shdr *findSection(const char *name) const;
  const Elf64_Shdr *findType(uint32_t type) const;

  /// Bytes that a section takes in the file.
  static uint64_t fileBytes(const Elf64_Shdr &section) {
    return section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL ? 0 : section.sh_size;
  }
  /// Weights and debug information, which loading does not read.
  bool isDeferred(size_t index) const;
  /// False for the few sections that no digest covers.
  bool hasDigest(size_t index) const;
  /// The recorded digest of a section that has one.
  const lathe_digest *findDigest(size_t index) const;

  /// Compares a digest with the recorded one.
  int32_t compare(const File &file, size_t index, const Digest &digest, lathe_status *status) const;

private:
  int32_t readHeaders(const File &file, lathe_status *status);
  int32_t readNames(const File &file, lathe_status *status);
  int32_t readDigests(const File &file, lathe_status *status);
  int32_t checkLayout(const File &file, lathe_status *status) const;
  int32_t checkSegments(const File &file, lathe_status *status) const;
  int32_t checkLoadedSections(const File &file, lathe_status *status) const;

  Array<char> names;
  Array<lathe_digest> digests; // indexed by section, index 0: the headers
  Array<bool> present;         // which of them the file has
};

/// A file that breaks the format's rules.
inline int32_t malformed(const File &file, lathe_status *status, const char *what) {
  return fail(status, LATHE_STATUS_NOT_ARTIFACT, "%s: malformed artifact: %s", file.name(), what);
}

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_ARTIFACT_ELF_H
