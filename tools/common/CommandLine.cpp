// The frame that every command of the tools shares.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/CommandLine.h"
#include "tools/common/Support.h"

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

void finishOutput() {
  std::cout.flush();
  if (std::fflush(stdout) != 0 || !std::cout)
    throw Failure("standard output: cannot write");
}

int runCommandLine(CLI::App &root, const Action &action, int argc, char **argv) {
  Style style(STDERR_FILENO);
  auto report = [&](const std::string &message) {
    // Each line of several errors stands for itself, as compilers do it.
    std::string prefix = "lathe";
    for (const CLI::App *command : root.get_subcommands())
      prefix += " " + command->get_name();
    std::cout.flush();
    std::fflush(stdout);
    std::cerr << prefix << ": " << style.bad("error:") << ' ' << message << '\n';
  };
  auto reportUsage = [&](const std::string &message) {
    report(message);
    std::string command = "lathe";
    for (const CLI::App *chosen : root.get_subcommands())
      command += " " + chosen->get_name();
    std::cerr << "see '" << command << " --help'\n";
    return ExitUsage;
  };
  try {
    root.parse(argc, argv);
    int status = action();
    finishOutput();
    return status;
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0) // --help and --version
      return root.exit(error);
    return reportUsage(error.what());
  } catch (const WrongUsage &error) {
    return reportUsage(error.what());
  } catch (const std::bad_alloc &) {
    report("out of memory");
  } catch (const std::exception &error) {
    report(error.what());
  }
  return ExitFailed;
}

} // namespace lathe::tools
