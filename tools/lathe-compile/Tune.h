// Measuring which schedules are the fastest for a model on this machine.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMPILE_TUNE_H
#define LATHE_TOOLS_LATHE_COMPILE_TUNE_H

#include "lathe/Compiler.h"
#include <functional>
#include <string>

namespace lathe::tools {

/// What was found, and the text of the table (docs/Schedule.md) that says it.
struct TuneResult {
  std::string table;
  size_t kernels = 0, faster = 0; ///< that were measured, that got another schedule
  double before = 0, after = 0;   ///< seconds of a run with one thread
};

/// Compiles `model` with each candidate for its costliest kernels, runs it with random inputs of
/// the sizes that `compiler.dims` fixes (others are 1) on one thread of this machine, and keeps
/// what was faster. `progress` is told what is being measured. Throws Failure where the model
/// cannot be compiled or run.
TuneResult tune(const std::string &model, const CompileOptions &compiler,
                const std::function<void(const std::string &)> &progress);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMPILE_TUNE_H
