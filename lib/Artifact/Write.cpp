// Turns the linked file into an artifact: appends manifest, digests and weights, renames it.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Artifact/Internal.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

// The hash comes from the header alone, as in the runtime.
#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace llvm;

namespace lathe::artifact {
namespace {

// In ELF's own terms, 64-bit and little endian, as this machine lays it out.
static_assert(sys::IsLittleEndianHost, "ELF structures are written as they lie in memory");
using FileHeader = ELF::Elf64_Ehdr;
using Segment = ELF::Elf64_Phdr;
using Section = ELF::Elf64_Shdr;

constexpr uint64_t weightsAlignment = 64 * 1024;
constexpr size_t pieceBytes = 1 << 20;

/// XXH3-128, fed piece by piece.
class Hash {
public:
  Hash() : state(XXH3_createState()) { XXH3_128bits_reset(state); }
  ~Hash() { XXH3_freeState(state); }
  Hash(const Hash &) = delete;
  Hash &operator=(const Hash &) = delete;

  void add(const void *data, size_t size) { XXH3_128bits_update(state, data, size); }
  void addZeros(uint64_t size) {
    static const char zeros[4096] = {};
    for (; size; size -= std::min<uint64_t>(size, sizeof(zeros)))
      add(zeros, std::min<uint64_t>(size, sizeof(zeros)));
  }
  lathe_digest digest(uint32_t section, uint32_t flags) const {
    XXH128_hash_t value = XXH3_128bits_digest(state);
    return {section, flags, value.low64, value.high64};
  }

private:
  XXH3_state_t *state;
};

lathe_digest digestOf(const void *data, size_t size, uint32_t section, uint32_t flags) {
  Hash hash;
  hash.add(data, size);
  return hash.digest(section, flags);
}

/// The linked file, and where the artifact's own sections go after it.
class Image {
public:
  explicit Image(std::string linked) : bytes(std::move(linked)) {}

  /// Reads the headers, drops the section header table and the old section names, and clears
  /// padding, for which linkers have tastes of their own.
  Error open() {
    if (bytes.size() < sizeof(FileHeader))
      return createStringError("the linker wrote no ELF file");
    memcpy(&header, bytes.data(), sizeof(header));
    segments.resize(header.e_phnum);
    sections.resize(header.e_shnum);
    memcpy(segments.data(), bytes.data() + header.e_phoff, segments.size() * sizeof(Segment));
    memcpy(sections.data(), bytes.data() + header.e_shoff, sections.size() * sizeof(Section));
    const Section &old = sections[header.e_shstrndx];
    names = bytes.substr(old.sh_offset, old.sh_size);

    std::string clean(bytes.size(), '\0');
    uint64_t end = 0;
    auto keep = [&](uint64_t offset, uint64_t size) {
      std::copy_n(bytes.begin() + offset, size, clean.begin() + offset);
      end = std::max(end, offset + size);
    };
    keep(0, sizeof(FileHeader));
    keep(header.e_phoff, segments.size() * sizeof(Segment));
    for (const Section &section : sections)
      if (&section != &old && section.sh_type != ELF::SHT_NOBITS && section.sh_size)
        keep(section.sh_offset, section.sh_size);
    clean.resize(end);
    bytes = std::move(clean);
    return Error::success();
  }

  /// Adds a non-alloc section and returns its index; its place is set later.
  uint32_t addSection(StringRef name, uint64_t size, uint64_t align) {
    Section section = {};
    section.sh_name = names.size();
    section.sh_type = ELF::SHT_PROGBITS;
    section.sh_size = size;
    section.sh_addralign = align;
    names += name;
    names.push_back('\0');
    sections.push_back(section);
    return sections.size() - 1;
  }

  /// Whether the section's digest is looked at by `verify` only.
  uint32_t flagsOf(const Section &section) const {
    StringRef name = StringRef(names).substr(section.sh_name);
    name = name.take_until([](char c) { return c == 0; });
    bool isDeferred = !(section.sh_flags & ELF::SHF_ALLOC) &&
                      (name == LATHE_SECTION_WEIGHTS || name.starts_with(".debug"));
    return isDeferred ? LATHE_DIGEST_VERIFY : 0;
  }

  std::string bytes;
  FileHeader header = {};
  std::vector<Segment> segments;
  std::vector<Section> sections;
  std::string names;
};

/// Where `chunks` lie, in order of offset.
std::vector<const WeightsChunk *> inOrder(ArrayRef<WeightsChunk> chunks) {
  std::vector<const WeightsChunk *> order;
  for (const WeightsChunk &chunk : chunks)
    if (!chunk.bytes.empty())
      order.push_back(&chunk);
  llvm::sort(order,
             [](const WeightsChunk *a, const WeightsChunk *b) { return a->offset < b->offset; });
  return order;
}

/// Writes the weights behind `base`, hashing each piece while it is in the cache.
Error writeWeights(TemporaryFile &file, uint64_t base, const Contents &contents, uint64_t bytes,
                   Hash &hash) {
  uint64_t at = 0;
  for (const WeightsChunk *chunk : inOrder(contents.weights)) {
    hash.addZeros(chunk->offset - at);
    at = chunk->offset;
    for (ArrayRef<char> rest = chunk->bytes; !rest.empty();) {
      ArrayRef<char> piece = rest.take_front(pieceBytes);
      hash.add(piece.data(), piece.size());
      if (Error error = file.write(base + at, piece.data(), piece.size()))
        return error;
      at += piece.size();
      rest = rest.drop_front(piece.size());
    }
  }
  hash.addZeros(bytes - at);
  return Error::success();
}

/// Lays out and writes everything: what was linked, section names, manifest, digests, section
/// headers, and the weights last, so that whoever reads the rest touches few pages.
Error writeFile(TemporaryFile &file, Image &image, const Contents &contents) {
  uint64_t weightsBytes = contents.weightsBytes;
  for (const WeightsChunk &chunk : contents.weights)
    weightsBytes = std::max<uint64_t>(weightsBytes, chunk.offset + chunk.bytes.size());

  uint32_t manifest = image.addSection(LATHE_SECTION_MANIFEST, contents.manifest.size(), 1);
  uint32_t digests = image.addSection(LATHE_SECTION_DIGESTS, 0, 8);
  uint32_t weights = image.addSection(LATHE_SECTION_WEIGHTS, weightsBytes, weightsAlignment);
  std::vector<Section> &sections = image.sections;
  Section &names = sections[image.header.e_shstrndx];
  names.sh_size = image.names.size();
  auto hasDigest = [&](uint32_t index) {
    return sections[index].sh_type != ELF::SHT_NULL && sections[index].sh_type != ELF::SHT_NOBITS &&
           index != digests;
  };
  size_t digestCount = 1;
  for (uint32_t i = 0; i < sections.size(); ++i)
    digestCount += hasDigest(i);
  sections[digests].sh_size = digestCount * sizeof(lathe_digest);
  sections[digests].sh_entsize = sizeof(lathe_digest);

  uint64_t end = image.bytes.size();
  for (Section *section : {&names, &sections[manifest], &sections[digests]}) {
    end = alignTo(end, section->sh_addralign);
    section->sh_offset = end;
    end += section->sh_size;
  }
  image.header.e_shoff = alignTo(end, 8);
  image.header.e_shnum = sections.size();
  end = image.header.e_shoff + sections.size() * sizeof(Section);
  sections[weights].sh_offset = weightsBytes ? alignTo(end, weightsAlignment) : 0;

  Hash weightsHash;
  if (weightsBytes) {
    if (Error error = file.resize(sections[weights].sh_offset + weightsBytes))
      return error;
    if (Error error =
            writeWeights(file, sections[weights].sh_offset, contents, weightsBytes, weightsHash))
      return error;
  }
  memcpy(image.bytes.data(), &image.header, sizeof(FileHeader));

  std::vector<lathe_digest> table;
  Hash headers;
  headers.add(&image.header, sizeof(FileHeader));
  headers.add(image.segments.data(), image.segments.size() * sizeof(Segment));
  headers.add(sections.data(), sections.size() * sizeof(Section));
  table.push_back(headers.digest(0, 0));
  for (uint32_t i = 0; i < sections.size(); ++i) {
    const Section &section = sections[i];
    if (!hasDigest(i))
      continue;
    uint32_t flags = image.flagsOf(section);
    if (i == weights)
      table.push_back(weightsHash.digest(i, flags));
    else if (i == manifest)
      table.push_back(digestOf(contents.manifest.data(), section.sh_size, i, flags));
    else if (&section == &names)
      table.push_back(digestOf(image.names.data(), section.sh_size, i, flags));
    else
      table.push_back(digestOf(image.bytes.data() + section.sh_offset, section.sh_size, i, flags));
  }

  struct Part {
    uint64_t offset;
    const void *data;
    size_t size;
  };
  for (const Part &part : std::initializer_list<Part>{
           {0, image.bytes.data(), image.bytes.size()},
           {names.sh_offset, image.names.data(), image.names.size()},
           {sections[manifest].sh_offset, contents.manifest.data(), contents.manifest.size()},
           {sections[digests].sh_offset, table.data(), table.size() * sizeof(lathe_digest)},
           {image.header.e_shoff, sections.data(), sections.size() * sizeof(Section)}})
    if (Error error = file.write(part.offset, part.data, part.size))
      return error;
  return Error::success();
}

/// Links into a file of its own, which is gone again afterwards.
Expected<std::string> linkToMemory(const Contents &contents, StringRef path) {
  Expected<std::unique_ptr<MemoryBuffer>> table = emitTable(contents);
  if (!table)
    return table.takeError();
  std::vector<LinkInput> inputs;
  inputs.push_back({(*table)->getMemBufferRef(), "table"});
  addCode(contents, inputs);
  Expected<std::unique_ptr<MemoryBuffer>> kernels = joinKernels(contents);
  if (!kernels)
    return kernels.takeError();
  if (!contents.kernels.empty())
    inputs.push_back({(*kernels)->getMemBufferRef(), "kernels"});
  TemporaryFile linked;
  if (Error error = linked.create(path))
    return std::move(error);
  if (Error error = link(contents.triple, inputs, LinkOutput::Artifact, linked.path()))
    return std::move(error);
  auto buffer = MemoryBuffer::getFile(linked.path(), /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false, /*IsVolatile=*/true);
  if (!buffer)
    return createFileError(linked.path(), buffer.getError());
  return (*buffer)->getBuffer().str();
}

} // namespace

Error write(const Contents &contents, StringRef path) {
  if (Error error = check(contents))
    return error;
  if (Error error = checkReplaceable(path))
    return error;
  Expected<std::string> linked = linkToMemory(contents, path);
  if (!linked)
    return linked.takeError();
  Image image(std::move(*linked));
  if (Error error = image.open())
    return error;
  TemporaryFile file;
  if (Error error = file.create(path))
    return error;
  if (Error error = writeFile(file, image, contents))
    return error;
  return file.keepAs(path);
}

} // namespace lathe::artifact
