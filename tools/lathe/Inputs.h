// The inputs of a run, from --input, --dim and --seed.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_INPUTS_H
#define LATHE_TOOLS_LATHE_INPUTS_H

#include "tools/common/CommandLine.h"
#include "tools/common/Session.h"

namespace lathe::tools {

/// The options, as the user wrote them.
struct InputOptions {
  std::vector<std::string> inputs, dims;
  uint64_t seed = 0;
  bool keepStates = false; ///< States that are not named begin as a new context has them.
};

void addInputOptions(CLI::App &command, InputOptions &options);

/// A value for every input of the model. Without any --input all are random; with some, those that
/// are missing are an error, unless "--input random" stands for the rest. States with `keepStates`
/// are of kind NONE. Throws WrongUsage and Failure.
std::vector<Value> makeInputs(const Module &module, const InputOptions &options);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_INPUTS_H
