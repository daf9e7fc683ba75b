// The lathe command: run, bench, inspect and targets live here and need the runtime alone; compile,
// check and ops are those of lathe-compile, sign is that of lathe-sign.
// Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Runtime.h"
#include "tools/common/Support.h"
#include "tools/lathe/Commands.h"
#include "tools/lathe/Compiler.h"

#include <iostream>

using namespace lathe::tools;

int main(int argc, char **argv) {
  static constexpr struct {
    const char *name, *purpose;
    void (*become)(int argc, char **argv);
  } othersCommands[] = {
      {"compile", "Compile a model to an artifact", becomeCompiler},
      {"check", "Compile a model, run it and compare with expected outputs", becomeCompiler},
      {"ops", "List the operators that can be compiled", becomeCompiler},
      {"sign", "Sign an artifact, or check who signed it", becomeSigner},
  };

  CLI::App root("Lathe compiles ONNX models to machine code and runs them.");
  root.footer("\nExamples:\n"
              "  lathe compile model.onnx -o model.lathe\n"
              "  lathe run model.lathe --input x=cat.npy\n"
              "  lathe bench model.lathe --kernels\n"
              "See 'lathe COMMAND --help' for each command.\n"
              "Exit status: 0 fine, 1 failed, 2 wrong usage.\n");
  root.set_version_flag("--version", std::string("lathe ") + lathe_version_string());
  root.require_subcommand(1);
  Action action;
  addRunCommand(root, action);
  addBenchCommand(root, action);
  addInspectCommand(root, action);
  addTargetsCommand(root, action);
  for (auto [name, purpose, become] : othersCommands) {
    // Handed over before parsing: their options are the other executable's.
    if (argc > 1 && std::string_view(argv[1]) == name)
      return guard("lathe", [&, become = become]() -> int {
        become(argc, argv);
        return ExitFailed;
      });
    root.add_subcommand(name, purpose);
  }
  return runCommandLine(root, action, argc, argv);
}
