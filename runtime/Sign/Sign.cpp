// Adds a signature to an artifact.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Sign/Common.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace lathe::sign;

namespace {

struct CloseModule {
  void operator()(lathe_module *module) const { lathe_module_close(module); }
};

/// The bytes of an artifact, aligned as the loader wants them, that may become longer.
class Image {
public:
  Image() = default;
  Image(const Image &) = delete;
  ~Image() { free(memory); }

  void append(const void *data, size_t bytes, size_t alignment) {
    size_t at = (count + alignment - 1) / alignment * alignment;
    reserve(at + bytes);
    memset(memory + count, 0, at - count);
    memcpy(memory + at, data, bytes);
    count = at + bytes;
  }
  void assign(const std::string &bytes) { append(bytes.data(), bytes.size(), 1); }

  char *data() const { return memory; }
  size_t size() const { return count; }

  // The structures in it. They were checked, by the loader, before anybody asks.
  Elf64_Ehdr &header() const { return *reinterpret_cast<Elf64_Ehdr *>(memory); }
  Elf64_Shdr *sections() const { return reinterpret_cast<Elf64_Shdr *>(memory + header().e_shoff); }
  const char *nameOf(const Elf64_Shdr &section) const {
    return memory + sections()[header().e_shstrndx].sh_offset + section.sh_name;
  }
  /// The index of a section; 0 where there is none.
  uint32_t find(const char *name) const {
    for (uint32_t i = 1; i < header().e_shnum; ++i)
      if (!strcmp(nameOf(sections()[i]), name))
        return i;
    return 0;
  }

private:
  void reserve(size_t bytes) {
    if (bytes <= room)
      return;
    size_t wanted = bytes + (64 << 10);
    void *grown = nullptr;
    if (posix_memalign(&grown, LATHE_ALIGNMENT, wanted))
      throw std::bad_alloc();
    if (count)
      memcpy(grown, memory, count);
    free(memory);
    memory = static_cast<char *>(grown);
    room = wanted;
  }

  char *memory = nullptr;
  size_t count = 0, room = 0;
};

/// Opens the artifact in memory, for its checks, and shows it to `verifier`, if any.
int32_t check(const Image &image, const char *name, const lathe_verifier *verifier,
              lathe_status *status) {
  lathe_module_options options = {};
  options.size = sizeof(options);
  options.flags = LATHE_MODULE_INSPECT;
  if (verifier)
    options.verifier = *verifier;
  lathe_module *opened = nullptr;
  int32_t code =
      lathe_module_open_memory(image.data(), image.size(), name, &options, &opened, status);
  std::unique_ptr<lathe_module, CloseModule> module(opened);
  return code ? code : lathe_module_verify(module.get(), status);
}

lathe_digest digestOf(const void *data, size_t bytes, uint32_t section, uint32_t flags) {
  XXH128_hash_t hash = XXH3_128bits(data, bytes);
  return {section, flags, hash.low64, hash.high64};
}

lathe_digest digestOfHeaders(const Image &image) {
  const Elf64_Ehdr &header = image.header();
  std::string headers(image.data(), sizeof(header));
  headers.append(image.data() + header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
  headers.append(image.data() + header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr));
  return digestOf(headers.data(), headers.size(), 0, 0);
}

/// Room for a signature: a section of zeros. The tables that this changes (digests, names, section
/// headers) move to the end of the file; their old places become padding.
void addSection(Image &image) {
  std::vector<Elf64_Shdr> sections(image.sections(), image.sections() + image.header().e_shnum);
  auto take = [&](uint64_t offset, uint64_t bytes) {
    std::string text(image.data() + offset, bytes);
    memset(image.data() + offset, 0, bytes);
    return text;
  };
  uint32_t digestsIndex = image.find(LATHE_SECTION_DIGESTS);
  uint32_t namesIndex = image.header().e_shstrndx;
  std::string digests = take(sections[digestsIndex].sh_offset, sections[digestsIndex].sh_size);
  std::string names = take(sections[namesIndex].sh_offset, sections[namesIndex].sh_size);
  take(image.header().e_shoff, sections.size() * sizeof(Elf64_Shdr));

  Elf64_Shdr added = {};
  added.sh_name = uint32_t(names.size());
  added.sh_type = SHT_PROGBITS;
  added.sh_addralign = alignof(lathe_signature);
  names.append(LATHE_SECTION_SIGNATURE).push_back(0);
  sections.push_back(added);
  lathe_signature none = {};
  lathe_digest entry = {uint32_t(sections.size() - 1), 0, 0, 0};
  digests.append(reinterpret_cast<const char *>(&entry), sizeof(entry));

  auto place = [&](Elf64_Shdr &section, const void *data, size_t bytes) {
    image.append(data, bytes, 8);
    section.sh_offset = image.size() - bytes;
    section.sh_size = bytes;
  };
  place(sections.back(), &none, sizeof(none));
  place(sections[digestsIndex], digests.data(), digests.size());
  place(sections[namesIndex], names.data(), names.size());
  size_t bytes = sections.size() * sizeof(Elf64_Shdr);
  image.append(sections.data(), bytes, 8);
  image.header().e_shoff = image.size() - bytes;
  image.header().e_shnum = uint16_t(sections.size());
}

/// Writes the digests of what signing has changed.
void updateDigests(Image &image) {
  const Elf64_Shdr &table = image.sections()[image.find(LATHE_SECTION_DIGESTS)];
  for (uint64_t at = 0; at < table.sh_size; at += sizeof(lathe_digest)) {
    char *place = image.data() + table.sh_offset + at; // of any alignment
    lathe_digest digest;
    memcpy(&digest, place, sizeof(digest));
    const Elf64_Shdr &section = image.sections()[digest.section];
    if (digest.section == 0)
      digest = digestOfHeaders(image);
    else if (digest.section == image.header().e_shstrndx ||
             !strcmp(image.nameOf(section), LATHE_SECTION_SIGNATURE))
      digest =
          digestOf(image.data() + section.sh_offset, section.sh_size, digest.section, digest.flags);
    memcpy(place, &digest, sizeof(digest));
  }
}

/// Hashes what the loader shows, so that signing and checking cannot disagree on what is covered.
int32_t takeHashes(void *user, const lathe_unverified *artifact, char *, uint64_t) {
  auto *signature = static_cast<lathe_signature *>(user);
  return !hashPieces(artifact->loaded, artifact->loaded_count, signature->loaded) ||
         !hashPieces(artifact->deferred, artifact->deferred_count, signature->deferred);
}

struct FreeContext {
  void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
};

bool sign(lathe_signature &signature, EVP_PKEY *key) {
  size_t keyBytes = sizeof(signature.public_key), bytes = sizeof(signature.signature);
  std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  return context && EVP_PKEY_get_raw_public_key(key, signature.public_key, &keyBytes) &&
         EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestSign(context.get(), signature.signature, &bytes,
                        reinterpret_cast<const uint8_t *>(&signature), signedBytes) == 1 &&
         bytes == sizeof(signature.signature);
}

/// Writes beside the target, then renames.
int32_t writeFile(const char *path, const Image &image, lathe_status *status) {
  std::string temporary = std::string(path) + ".XXXXXX";
  int fd = mkostemp(temporary.data(), O_CLOEXEC);
  bool ok = fd >= 0;
  const char *from = image.data();
  for (size_t left = image.size(); ok && left;) {
    ssize_t written = write(fd, from, left);
    if (written < 0 && errno == EINTR)
      continue;
    ok = written > 0;
    if (ok)
      from += written, left -= written;
  }
  struct stat before;
  mode_t mode = stat(path, &before) ? 0644 : before.st_mode & 07777;
  ok = ok && !fchmod(fd, mode) && !fsync(fd);
  if (fd >= 0)
    ok = !close(fd) && ok;
  if (ok && !rename(temporary.c_str(), path))
    return succeed(status);
  int error = errno;
  if (fd >= 0)
    unlink(temporary.c_str());
  return fail(status, LATHE_STATUS_IO,
              std::string(path) + ": cannot write: " + strerrordesc_np(error));
}

} // namespace

int32_t lathe_sign_file(const char *from, const char *to, const char *key,
                        lathe_status *status) try {
  if (!from || !to || !key)
    return fail(status, LATHE_STATUS_ARGUMENT, "a path is NULL");
  std::string bytes, pem;
  if (int32_t code = readFile(key, pem, status))
    return code;
  Key secret = readSecretKey(pem);
  if (!secret)
    return fail(status, LATHE_STATUS_ARGUMENT,
                std::string(key) + ": no secret Ed25519 key without a password; `openssl genpkey "
                                   "-algorithm ed25519` makes one");
  if (int32_t code = readFile(from, bytes, status))
    return code;
  if (bytes.empty())
    return fail(status, LATHE_STATUS_NOT_ARTIFACT, std::string(from) + ": the file is empty");
  Image image;
  image.assign(bytes);
  std::string().swap(bytes);
  if (int32_t code = check(image, from, nullptr, status))
    return code;
  if (image.header().e_shoff % alignof(Elf64_Shdr))
    return fail(status, LATHE_STATUS_NOT_ARTIFACT,
                std::string(from) + ": its section headers are not aligned; compile it again");

  uint32_t index = image.find(LATHE_SECTION_SIGNATURE);
  if (!index) {
    addSection(image);
    index = image.find(LATHE_SECTION_SIGNATURE);
  }
  const Elf64_Shdr &section = image.sections()[index];
  if (section.sh_size != sizeof(lathe_signature))
    return fail(status, LATHE_STATUS_NOT_ARTIFACT,
                std::string(from) + ": its signature has a wrong size; compile it again");
  updateDigests(image);
  lathe_signature signature = {};
  signature.magic = LATHE_SIGNATURE_MAGIC;
  signature.version = LATHE_SIGNATURE_VERSION;
  lathe_verifier verifier = {&signature, takeHashes};
  if (int32_t code = check(image, from, &verifier, status))
    return code;
  if (!sign(signature, secret.get()))
    return fail(status, LATHE_STATUS_IO, "libcrypto cannot sign");
  memcpy(image.data() + section.sh_offset, &signature, sizeof(signature));
  updateDigests(image);
  return writeFile(to, image, status);
} catch (const std::bad_alloc &) {
  return fail(status, LATHE_STATUS_MEMORY, "out of memory");
}
