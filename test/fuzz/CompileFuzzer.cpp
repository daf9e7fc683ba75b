// Fuzzes the whole way from the bytes of a model to an artifact: it is written, or there is an
// error. Apache-2.0 WITH LLVM-exception
#include "lathe/Compiler.h"
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

/// The bytes as a file that has a path while this lives.
class InputFile {
public:
  InputFile(const uint8_t *data, size_t size) : descriptor(memfd_create("model", MFD_CLOEXEC)) {
    if (write(descriptor, data, size) != ssize_t(size))
      abort();
  }
  ~InputFile() { close(descriptor); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }

private:
  int descriptor;
};

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // Much code is much work for LLVM, which is not what is tested here.
  if (size > (1 << 14))
    return 0;
  static const std::string output =
      std::filesystem::temp_directory_path() / ("lathe-fuzz-" + std::to_string(getpid()));
  InputFile input(data, size);
  lathe::CompileOptions options;
  options.target = "x86-64-v3";
  // Both forms, decided by the model, so that an input always does the same.
  options.optLevel = size % 2 ? 0 : 3;
  std::string errors;
  bool done = lathe::compileFile(input.path(), output, options, errors);
  std::error_code ignored;
  std::filesystem::remove(output, ignored);
  // Refusing without a word is as bad as a crash.
  if (!done && errors.empty())
    __builtin_trap();
  return 0;
}
