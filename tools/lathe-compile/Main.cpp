// The compiler's executable, behind the lathe command: compile, check and ops.
// Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Runtime.h"
#include "tools/lathe-compile/Commands.h"

using namespace lathe::tools;

int main(int argc, char **argv) {
  CLI::App root("The compiler behind the lathe command.");
  root.set_version_flag("--version", std::string("lathe ") + lathe_version_string());
  root.require_subcommand(1);
  Action action;
  addCompileCommand(root, action);
  addCheckCommand(root, action);
  addOpsCommand(root, action);
  return runCommandLine(root, action, argc, argv);
}
