// The commands that need the compiler. Each function adds one to the command line and sets `action`
// when the user chose it.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMPILE_COMMANDS_H
#define LATHE_TOOLS_LATHE_COMPILE_COMMANDS_H

#include "tools/common/CommandLine.h"

namespace lathe::tools {

void addCompileCommand(CLI::App &root, Action &action);
void addCheckCommand(CLI::App &root, Action &action);
void addOpsCommand(CLI::App &root, Action &action);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMPILE_COMMANDS_H
