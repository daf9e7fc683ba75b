// Links in process with lld. Inputs are anonymous files in memory: nothing is left behind.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Artifact/Internal.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Triple.h"
#include <cerrno>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

using namespace llvm;

namespace lathe::artifact {
namespace {

/// Bytes as a file that has a path while this lives, but no name anywhere.
class AnonymousFile {
public:
  explicit AnonymousFile(StringRef bytes) {
    descriptor = memfd_create("lathe", MFD_CLOEXEC);
    if (descriptor < 0) {
      failure = std::error_code(errno, std::generic_category());
      return;
    }
    raw_fd_ostream stream(descriptor, /*shouldClose=*/false);
    stream << bytes;
    stream.flush();
    failure = stream.error();
    stream.clear_error();
  }
  AnonymousFile(const AnonymousFile &) = delete;
  AnonymousFile &operator=(const AnonymousFile &) = delete;
  ~AnonymousFile() {
    if (descriptor >= 0)
      close(descriptor);
  }
  std::error_code error() const { return failure; }
  std::string path() const { return formatv("/proc/self/fd/{0}", descriptor).str(); }

private:
  int descriptor = -1;
  std::error_code failure;
};

struct Architecture {
  Triple::ArchType arch;
  const char *emulation;
  unsigned pageSize; ///< The largest that systems of this architecture use.
};
constexpr Architecture architectures[] = {
    {Triple::x86_64, "elf_x86_64", 4096},
    {Triple::aarch64, "aarch64linux", 65536},
    {Triple::amdgcn, "elf64_amdgpu", 4096},
};

// One name leaves the artifact; the functions of the variants become local symbols.
constexpr const char *exports = "{ global: " LATHE_TABLE_SYMBOL "; local: *; };\n";

/// The linker's words as one line, with names in place of paths.
std::string explain(StringRef messages, ArrayRef<std::pair<std::string, std::string>> names) {
  SmallVector<StringRef> lines;
  messages.split(lines, '\n', -1, /*KeepEmpty=*/false);
  SmallVector<std::string> texts;
  for (StringRef line : lines) {
    line.consume_front("ld.lld: ");
    line.consume_front("error: ");
    std::string text = line.trim().str();
    for (const auto &[path, name] : names)
      for (size_t at = text.find(path); at != std::string::npos; at = text.find(path, at))
        text.replace(at, path.size(), name);
    texts.push_back(std::move(text));
  }
  return join(texts, "; ");
}

} // namespace

void addCode(const Contents &contents, std::vector<LinkInput> &inputs) {
  auto add = [&](const Variant &variant) {
    inputs.push_back({variant.object->getMemBufferRef(), "code for " + variant.name});
    for (const auto &object : variant.sizeObjects)
      inputs.push_back({object->getMemBufferRef(), "code of certain sizes for " + variant.name});
  };
  llvm::for_each(contents.variants, add);
  for (const DeviceVariant &device : contents.devices) {
    add(device.host);
    for (const DeviceImage &image : device.images)
      if (image.kind == LATHE_IMAGE_EMULATOR)
        inputs.push_back({image.code->getMemBufferRef(), "emulated code for " + device.host.name});
  }
}

Expected<std::unique_ptr<MemoryBuffer>> linkDeviceCode(MemoryBufferRef object, StringRef device,
                                                       StringRef path) {
  TemporaryFile linked;
  if (Error error = linked.create(path))
    return std::move(error);
  LinkInput input{object, "kernels for " + device.str()};
  if (Error error = link("amdgcn-amd-amdhsa", input, LinkOutput::DeviceCode, linked.path()))
    return std::move(error);
  auto buffer = MemoryBuffer::getFile(linked.path(), /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false, /*IsVolatile=*/true);
  if (!buffer)
    return createFileError(linked.path(), buffer.getError());
  return std::move(*buffer);
}

Expected<std::unique_ptr<MemoryBuffer>> joinKernels(const Contents &contents) {
  std::vector<NewArchiveMember> members;
  for (const auto &object : contents.kernels)
    members.emplace_back(object->getMemBufferRef());
  return writeArchiveToBuffer(members, SymtabWritingMode::NormalSymtab, object::Archive::K_GNU,
                              /*Deterministic=*/true, /*Thin=*/false);
}

Error link(StringRef tripleName, ArrayRef<LinkInput> inputs, LinkOutput output, StringRef path) {
  Triple triple(tripleName);
  const Architecture *architecture =
      find_if(architectures, [&](const Architecture &a) { return a.arch == triple.getArch(); });
  if (architecture == std::end(architectures))
    return createStringError(formatv("no artifacts for architecture '{0}'", tripleName).str());

  std::vector<std::string> arguments = {"ld.lld", "-m", architecture->emulation, "-o", path.str(),
                                        // The same input gives the same bytes.
                                        "--build-id=none", "--threads=1",
                                        "--color-diagnostics=never"};
  const std::string pageSize = formatv("max-page-size={0}", architecture->pageSize).str();
  if (output == LinkOutput::Relocatable)
    arguments.push_back("-r");
  else if (output == LinkOutput::DeviceCode)
    arguments.insert(arguments.end(), {"-shared", "--no-undefined"});
  else // Closed: every symbol is found here, and no table of procedures is needed.
    for (StringRef argument :
         {"-shared", "--no-undefined", "-Bsymbolic", "--gc-sections", "--hash-style=both",
          "--pack-dyn-relocs=relr", "--eh-frame-hdr", "-z", "now", "-z", "relro", "-z",
          "noexecstack", "-z", pageSize.c_str()})
      arguments.push_back(argument.str());
  std::vector<std::unique_ptr<AnonymousFile>> files;
  SmallVector<std::pair<std::string, std::string>> names;
  auto addFile = [&](StringRef bytes, StringRef name) -> Expected<std::string> {
    files.push_back(std::make_unique<AnonymousFile>(bytes));
    if (files.back()->error())
      return createStringError(files.back()->error(), "cannot hold an object in memory: %s",
                               files.back()->error().message().c_str());
    names.emplace_back(files.back()->path(), name.str());
    return files.back()->path();
  };
  if (output == LinkOutput::Artifact) {
    Expected<std::string> script = addFile(exports, "exports");
    if (!script)
      return script.takeError();
    arguments.push_back("--version-script=" + *script);
  }
  for (const LinkInput &input : inputs) {
    Expected<std::string> file = addFile(input.object.getBuffer(), input.name);
    if (!file)
      return file.takeError();
    arguments.push_back(*file);
  }
  // Longer paths first: "/proc/self/fd/1" begins "/proc/self/fd/12".
  llvm::sort(names, [](const auto &a, const auto &b) {
    return std::pair(a.first.size(), a.first) > std::pair(b.first.size(), b.first);
  });

  static std::mutex mutex;
  static bool canLink = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!canLink)
    return createStringError("the linker failed before in this process and cannot run again");
  SmallVector<const char *> pointers;
  for (const std::string &argument : arguments)
    pointers.push_back(argument.c_str());
  std::string messages;
  raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(pointers, stream, stream, {{lld::Gnu, &lld::elf::link}});
  canLink = result.canRunAgain;
  if (result.retCode == 0 && result.canRunAgain)
    return Error::success();
  return createStringError(
      formatv("linking the model failed: {0}", explain(messages, names)).str());
}

} // namespace lathe::artifact
