// The frame that every command of the tools shares.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/CommandLine.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <new>
#include <unistd.h>

namespace lathe::tools {

CLI::App &addCommand(CLI::App &root, const std::string &name, const std::string &purpose,
                     const std::string &examples) {
  CLI::App *command = root.add_subcommand(name, purpose);
  command->footer("\nExamples:\n" + examples);
  return *command;
}

CLI::Option *addRepeated(CLI::App &command, const std::string &name,
                         std::vector<std::string> &values, const std::string &purpose) {
  // Without this an option would swallow the model's path after it.
  return command.add_option(name, values, purpose)->allow_extra_args(false);
}

/// Writes what standard output holds back; a full disk or a closed pipe is a failure.
static void finishOutput() {
  std::cout.flush();
  if (std::fflush(stdout) != 0 || !std::cout)
    throw Failure("standard output: cannot write");
}

static void report(const std::string &prefix, const std::string &message) {
  Style style(STDERR_FILENO);
  std::cout.flush();
  std::fflush(stdout);
  std::cerr << prefix << ": " << style.bad("error:") << ' '
            << printable(message, /*keepLines=*/true) << '\n';
}

void addDeviceOption(CLI::App &command, std::string &device) {
  command
      .add_option("--device", device,
                  "Where to run: cpu (default); cuda:0 or hip:0, a GPU of this machine (see lathe "
                  "targets); or emulator:sm_80 and the like, which runs the code for a GPU on the "
                  "processors here, slowly, and checks each access to memory")
      ->type_name("DEVICE");
}

int guard(const std::string &prefix, const Action &action) {
  try {
    return action();
  } catch (const WrongUsage &error) {
    report(prefix, error.what());
    std::cerr << "see '" << prefix << " --help'\n";
    return ExitUsage;
  } catch (const std::bad_alloc &) {
    report(prefix, "out of memory");
  } catch (const std::exception &error) {
    report(prefix, error.what());
  }
  return ExitFailed;
}

/// CLI11 says of both only that a subcommand is required.
static void checkCommandName(const CLI::App &root, int argc, char **argv) {
  std::vector<std::string> names;
  for (const CLI::App *command : root.get_subcommands({}))
    names.push_back(command->get_name());
  std::string choices = "; the commands are " + join(names, ", ");
  if (argc < 2)
    throw WrongUsage("a command is missing" + choices);
  std::string name = argv[1];
  if (name[0] != '-' && std::ranges::find(names, name) == names.end())
    throw WrongUsage("'" + name + "' is no command" + choices);
}

int runCommandLine(CLI::App &root, const Action &action, int argc, char **argv) {
  // Help texts show the command as users type it, whichever executable this is.
  root.name("lathe");
  std::string prefix = "lathe";
  return guard(prefix, [&]() -> int {
    checkCommandName(root, argc, argv);
    try {
      root.parse(argc, argv);
    } catch (const CLI::ParseError &error) {
      if (error.get_exit_code() == 0) { // --help and --version
        int status = root.exit(error);
        finishOutput();
        return status;
      }
      for (const CLI::App *command : root.get_subcommands())
        prefix += " " + command->get_name();
      return guard(prefix, [&]() -> int { throw WrongUsage(error.what()); });
    }
    for (const CLI::App *command : root.get_subcommands())
      prefix += " " + command->get_name();
    return guard(prefix, [&] {
      int status = action();
      finishOutput();
      return status;
    });
  });
}

} // namespace lathe::tools
