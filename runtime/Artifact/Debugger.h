// Tells debuggers and profilers about a loaded artifact.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_ARTIFACT_DEBUGGER_H
#define LATHE_RUNTIME_ARTIFACT_DEBUGGER_H

struct lathe_module;

namespace lathe::runtime {

/// One artifact's entry in the map file of perf. The destructor takes nothing back: perf reads the
/// file when the process has ended.
class DebuggerEntry {
public:
  void announce(const lathe_module &module);
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_ARTIFACT_DEBUGGER_H
