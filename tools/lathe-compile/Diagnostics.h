// How the compiler's commands report what the compiler says.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMPILE_DIAGNOSTICS_H
#define LATHE_TOOLS_LATHE_COMPILE_DIAGNOSTICS_H

#include "lathe/Compiler.h"
#include <string>
#include <vector>

namespace lathe::tools {

/// Prints what compileFile appended, a line each, to standard error; warnings and errors are marked
/// so. A failure without a word is reported as one of `model`.
void printDiagnostics(const std::string &diagnostics, const std::string &model, bool succeeded);

/// The first error among them, for reports of one line.
std::string firstError(const std::string &diagnostics);

/// Throws WrongUsage unless the value of an option is one of those allowed.
void requireOneOf(const std::string &option, const std::string &value,
                  const std::vector<std::string> &allowed);

/// Throws WrongUsage unless --precision and --batch are among their values.
void checkChoices(const CompileOptions &options);

/// Throws WrongUsage where --target names a target that does not exist.
void checkTargets(const std::string &targets);

/// What --dim says, for a compilation. Throws WrongUsage.
void setDims(CompileOptions &options, const std::vector<std::string> &texts);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMPILE_DIAGNOSTICS_H
