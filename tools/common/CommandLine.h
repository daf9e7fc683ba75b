// The frame that every command of the tools shares.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_COMMANDLINE_H
#define LATHE_TOOLS_COMMON_COMMANDLINE_H

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace lathe::tools {

/// What the chosen command does once the command line is parsed; returns the exit status.
using Action = std::function<int()>;

/// Adds a subcommand with its examples, shown by --help. The caller adds the options and sets the
/// action in the returned app's callback.
CLI::App &addCommand(CLI::App &root, const std::string &name, const std::string &purpose,
                     const std::string &examples);

/// An option that may be given several times, one value each.
CLI::Option *addRepeated(CLI::App &command, const std::string &name,
                         std::vector<std::string> &values, const std::string &purpose);

/// --device, which openers of artifacts understand (OpenOptions.device).
void addDeviceOption(CLI::App &command, std::string &device);

/// Calls `action` and returns the exit status. Prints failures to standard error, after `prefix`
/// such as "lathe run".
int guard(const std::string &prefix, const Action &action);

/// Parses and runs. Prints failures to standard error as "lathe COMMAND: error: ..." and returns
/// the exit status.
int runCommandLine(CLI::App &root, const Action &action, int argc, char **argv);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_COMMANDLINE_H
