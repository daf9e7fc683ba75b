// The executables that live beside this one, the compiler's above all.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMPILER_H
#define LATHE_TOOLS_LATHE_COMPILER_H

#include "tools/common/Support.h"
#include <memory>
#include <string>
#include <vector>

namespace lathe::tools {

/// Becomes the compiler's executable, which has the commands that need LLVM. Throws Failure where
/// there is none.
[[noreturn]] void becomeCompiler(int argc, char **argv);

/// The same for the executable with `sign`, which needs libcrypto.
[[noreturn]] void becomeSigner(int argc, char **argv);

/// Whether the file's name says that it has to be compiled first.
bool isModel(const std::string &file);

/// The flags that compile `file`, where it is a model, for a device.
std::vector<std::string> flagsForDevice(const std::string &file, const std::string &device);

/// An artifact to open: the one that the user named, or one that was compiled for the occasion from
/// a model and is removed at the end of the scope.
class ArtifactFile {
public:
  /// Compiles `model` where it ends in ".onnx" or ".mlir", with `flags` in addition, and otherwise
  /// takes it as it is. Throws Failure.
  ArtifactFile(const std::string &model, const std::vector<std::string> &flags);
  const std::string &path() const { return temporary ? temporary->path() : given; }
  /// How long compiling took, 0 where nothing was compiled.
  double compileSeconds() const { return seconds; }

private:
  std::string given;
  std::unique_ptr<TemporaryFile> temporary;
  double seconds = 0;
};

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMPILER_H
