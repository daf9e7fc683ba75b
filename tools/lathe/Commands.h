// The commands that need the runtime alone. Each function adds one to the command line and sets
// `action` when the user chose it.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMMANDS_H
#define LATHE_TOOLS_LATHE_COMMANDS_H

#include "tools/common/CommandLine.h"

namespace lathe::tools {

void addRunCommand(CLI::App &root, Action &action);
void addBenchCommand(CLI::App &root, Action &action);
void addInspectCommand(CLI::App &root, Action &action);
void addTargetsCommand(CLI::App &root, Action &action);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMMANDS_H
