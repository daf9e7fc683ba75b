// NVIDIA's assembler, where there is one: it alone knows how many registers a kernel takes, and
// makes code that a driver need not compile. Apache-2.0 WITH LLVM-exception
#include "lathe/Codegen.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>

using namespace llvm;

namespace lathe::codegen {

/// A program that hangs must not have the compiler hang.
static unsigned getSecondsToWait() {
  const char *text = getenv("LATHE_PTXAS_SECONDS");
  unsigned seconds;
  return text && to_integer(text, seconds) && seconds ? seconds : 300;
}

/// What a program writes, both streams together.
static Expected<std::string> runProgram(ArrayRef<StringRef> arguments) {
  SmallString<128> path;
  if (std::error_code error = sys::fs::createTemporaryFile("lathe", "log", path))
    return createStringError(error, "no temporary file can be made");
  FileRemover remover(path);
  std::string message;
  std::optional<StringRef> streams[] = {StringRef(""), path.str(), path.str()};
  int status = sys::ExecuteAndWait(arguments[0], arguments, std::nullopt, streams,
                                   getSecondsToWait(), /*MemoryLimit=*/0, &message);
  auto log = MemoryBuffer::getFile(path);
  std::string text = log ? (*log)->getBuffer().str() : "";
  if (status == 0)
    return text;
  if (StringRef(message).contains("timed out"))
    return createStringError(
        formatv("{0} takes longer than {1} s", arguments[0], getSecondsToWait()).str());
  return createStringError(
      formatv("{0} fails: {1}", arguments[0], message.empty() ? text : message).str());
}

const std::optional<Ptxas> &findPtxas() {
  static const std::optional<Ptxas> found = []() -> std::optional<Ptxas> {
    ErrorOr<std::string> program = sys::findProgramByName("ptxas");
    if (!program)
      return std::nullopt;
    Expected<std::string> text = runProgram({*program, "--version"});
    if (!text) {
      consumeError(text.takeError());
      return std::nullopt;
    }
    // "Cuda compilation tools, release 13.0, V13.0.48"
    StringRef version = StringRef(*text).split(", V").second;
    return Ptxas{*program, version.take_until(isSpace).str()};
  }();
  return found;
}

Expected<AssembledCode> runPtxas(const Ptxas &ptxas, StringRef ptx, const DeviceTarget &target) {
  SmallString<128> source, result;
  int descriptor;
  if (std::error_code error = sys::fs::createTemporaryFile("lathe", "ptx", descriptor, source))
    return createStringError(error, "no temporary file can be made");
  FileRemover removeSource(source);
  raw_fd_ostream(descriptor, /*shouldClose=*/true) << ptx;
  if (std::error_code error = sys::fs::createTemporaryFile("lathe", "cubin", result))
    return createStringError(error, "no temporary file can be made");
  FileRemover removeResult(result);
  std::string architecture = "-arch=" + target.cpu;
  Expected<std::string> log = runProgram({ptxas.program, "-v", architecture, source, "-o", result});
  if (!log)
    return log.takeError();
  auto cubin = MemoryBuffer::getFile(result, /*IsText=*/false, /*RequiresNullTerminator=*/false,
                                     /*IsVolatile=*/true);
  if (!cubin)
    return createStringError(cubin.getError(), "what ptxas wrote cannot be read");
  return AssembledCode{std::move(*cubin), std::move(*log)};
}

} // namespace lathe::codegen
