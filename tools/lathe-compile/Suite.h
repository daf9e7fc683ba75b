// lathe check --suite: every model below a folder, each in a process of its own.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMPILE_SUITE_H
#define LATHE_TOOLS_LATHE_COMPILE_SUITE_H

#include "tools/lathe-compile/CheckModel.h"

namespace lathe::tools {

struct SuiteOptions {
  std::string folder;
  std::string only;                         ///< regular expression on case names; empty: all
  std::string jsonFile;                     ///< empty: none
  uint32_t jobs = 0;                        ///< cases at a time; 0: one per processor
  double timeout = 120;                     ///< seconds per case
  uint64_t memoryBytes = uint64_t(8) << 30; ///< address space per case
  CheckOptions check;
};

/// Runs the suite: a line "PASS|FAIL|SKIP name reason" per case in order, then the counts. Returns
/// the exit status.
int runSuite(const SuiteOptions &options);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMPILE_SUITE_H
