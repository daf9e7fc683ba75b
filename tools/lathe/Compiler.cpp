// The compiler's executable, which lives beside this one.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe/Compiler.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace lathe::tools {

namespace {

std::string findCompiler() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::filesystem::path compiler = self.parent_path() / "lathe-compile";
  if (error || ::access(compiler.c_str(), X_OK) != 0)
    throw Failure(
        "the compiler is not installed: " + (error ? "lathe-compile" : compiler.string()) +
        " is missing; build Lathe with LATHE_BUILD_COMPILER=ON, or use an artifact "
        "compiled elsewhere");
  return compiler.string();
}

} // namespace

void becomeCompiler(int argc, char **argv) {
  std::string compiler = findCompiler();
  ::execv(compiler.c_str(), argv);
  throw Failure(compiler + ": cannot start: " + std::strerror(errno));
}

ArtifactFile::ArtifactFile(const std::string &model, const std::vector<std::string> &flags)
    : given(model) {
  if (!model.ends_with(".onnx") && !model.ends_with(".mlir")) {
    if (!flags.empty())
      throw WrongUsage(flags.front() + " is for compiling, but " + model + " is compiled already");
    return;
  }
  std::string compiler = findCompiler();
  temporary = std::make_unique<TemporaryFile>(".lathe");
  std::vector<std::string> arguments{compiler, "compile",         model,
                                     "-o",     temporary->path(), "--quiet"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  std::vector<char *> argv;
  for (std::string &argument : arguments)
    argv.push_back(argument.data());
  argv.push_back(nullptr);

  auto start = std::chrono::steady_clock::now();
  pid_t child;
  // The compiler's own words go to standard error, so that ours alone are on standard output.
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  int failure = ::posix_spawn(&child, compiler.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0)
    throw Failure(compiler + ": cannot start: " + std::strerror(failure));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (WIFEXITED(status) && WEXITSTATUS(status) == ExitFine)
    return;
  if (WIFSIGNALED(status))
    throw Failure(model + ": the compiler crashed: " + ::strsignal(WTERMSIG(status)));
  throw Failure(model + ": cannot be compiled");
}

} // namespace lathe::tools
