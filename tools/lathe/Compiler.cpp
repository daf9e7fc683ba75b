// The executables that live beside this one, the compiler's above all.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe/Compiler.h"
#include "tools/common/Session.h"

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

// The path of an executable beside this one; empty where there is none.
std::string findBeside(const std::string &name) {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::filesystem::path found = self.parent_path() / name;
  return error || ::access(found.c_str(), X_OK) != 0 ? std::string() : found.string();
}

std::string findCompiler() {
  std::string compiler = findBeside("lathe-compile");
  if (compiler.empty())
    throw Failure(
        "the compiler is not installed: lathe-compile is missing beside this command; "
        "build Lathe with LATHE_BUILD_COMPILER=ON, or use an artifact compiled elsewhere");
  return compiler;
}

[[noreturn]] void become(const std::string &executable, char **argv) {
  ::execv(executable.c_str(), argv);
  throw Failure(executable + ": cannot start: " + std::strerror(errno));
}

} // namespace

void becomeCompiler(int argc, char **argv) { become(findCompiler(), argv); }

void becomeSigner(int argc, char **argv) {
  std::string signer = findBeside("lathe-sign");
  if (signer.empty())
    throw Failure("lathe-sign is missing beside this command; build Lathe where libssl-dev is "
                  "installed");
  become(signer, argv);
}

bool isModel(const std::string &file) { return file.ends_with(".onnx") || file.ends_with(".mlir"); }

std::vector<std::string> flagsForDevice(const std::string &file, const std::string &device) {
  std::string target = isModel(file) ? targetOfDevice(device) : "";
  if (target.empty())
    return {};
  return {"--target", target};
}

ArtifactFile::ArtifactFile(const std::string &model, const std::vector<std::string> &flags)
    : given(model) {
  if (!isModel(model)) {
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
