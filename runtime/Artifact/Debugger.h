// Tells debuggers and profilers about a loaded artifact, on request.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_ARTIFACT_DEBUGGER_H
#define LATHE_RUNTIME_ARTIFACT_DEBUGGER_H

#include "runtime/Core/Memory.h"

struct lathe_module;

namespace lathe::runtime {

/// How gdb finds code that was not loaded by the system ("JIT compilation interface" in its
/// manual): a list of ELF files in memory, and a function that it sets a breakpoint on.
struct GdbEntry {
  GdbEntry *next, *previous;
  const char *file;
  uint64_t fileBytes;
};

/// One artifact as debuggers see it. With LATHE_GDB=1 gdb learns of its functions and how to unwind
/// them, with LATHE_PERF=1 perf learns of them through its map file.
class DebuggerEntry {
public:
  DebuggerEntry() = default;
  DebuggerEntry(const DebuggerEntry &) = delete;
  /// Withdraws it from gdb. Perf's file stays: it is read when the process has ended.
  ~DebuggerEntry();

  /// Called once, when the module can run.
  void announce(const lathe_module &module);

private:
  bool buildFile(const lathe_module &module);

  Array<char> file;
  GdbEntry entry = {};
  bool registered = false;
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_ARTIFACT_DEBUGGER_H
