// How the compiler's commands report what the compiler says.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe-compile/Diagnostics.h"
#include "lathe/Compiler.h"
#include "tools/common/Dims.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace lathe::tools {

static constexpr std::string_view warningMark = "warning: ";

void printDiagnostics(const std::string &diagnostics, const std::string &model, bool succeeded) {
  Style style(STDERR_FILENO);
  bool sawError = false;
  std::istringstream lines(diagnostics);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty())
      continue;
    line = printable(line);
    if (line.starts_with(warningMark)) {
      std::cerr << style.strong("warning:") << ' ' << line.substr(warningMark.size()) << '\n';
      continue;
    }
    // A line that begins with a space belongs to the one before it.
    if (line[0] == ' ')
      std::cerr << line << '\n';
    else
      std::cerr << style.bad("error:") << ' ' << line << '\n';
    sawError = true;
  }
  if (!succeeded && !sawError)
    std::cerr << style.bad("error:") << ' ' << model << ": compiling failed without a message\n";
}

std::string firstError(const std::string &diagnostics) {
  std::istringstream lines(diagnostics);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && !line.starts_with(warningMark))
      return line;
  return "compiling failed without a message";
}

void requireOneOf(const std::string &option, const std::string &value,
                  const std::vector<std::string> &allowed) {
  if (std::ranges::find(allowed, value) == allowed.end())
    throw WrongUsage(option + " wants one of " + join(allowed, ", ") + "; not '" + value + "'");
}

void checkChoices(const CompileOptions &options) {
  requireOneOf("--precision", options.precision, {"model", "bf16", "tf32", "fp8"});
  requireOneOf("--fallback", options.fallback, {"report", "forbid", "allow"});
  requireOneOf("--cubin", options.cubin, {"auto", "never", "require"});
  requireOneOf("--batch", options.batch, {"auto", "each", "whole"});
}

void checkTargets(const std::string &targets) {
  if (targets.empty())
    return;
  std::vector<std::string> known = listTargets();
  std::istringstream names(targets);
  for (std::string name; std::getline(names, name, ',');) {
    // "@PROCESSOR" after a level tunes for it; the compiler knows the processors.
    std::string level = name.substr(0, name.find('@'));
    if (level != "host" && std::ranges::find(known, level) == known.end())
      throw WrongUsage("--target: '" + name + "' is not known; known are host, " +
                       join(known, ", "));
  }
}

void setDims(CompileOptions &options, const std::vector<std::string> &texts) {
  DimRules rules = parseDimRules(texts);
  options.dims = std::move(rules.fixed);
  options.dimBounds = std::move(rules.bounds);
  options.dimSizes = std::move(rules.sizes);
}

} // namespace lathe::tools
