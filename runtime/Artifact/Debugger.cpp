// The map file of perf, on request.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Artifact/Debugger.h"
#include "runtime/Core/Module.h"

#include <cstdio>
#include <cstring>
#include <unistd.h>

using namespace lathe::runtime;

namespace {

bool wantsPerfMap() {
  const char *value = getenv("LATHE_PERF");
  return value && !strcmp(value, "1");
}

// Lines of "start size name"; perf knows the path by convention.
void writePerfMap(const lathe_module &module) {
  char path[64];
  snprintf(path, sizeof(path), "/tmp/perf-%d.map", int(getpid()));
  FILE *map = fopen(path, "ae");
  if (!map)
    return;
  for (size_t at = 0; at + sizeof(Elf64_Sym) < module.symbols.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    memcpy(&symbol, module.symbols.data() + at, sizeof(symbol));
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
        symbol.st_value < module.image.size() && symbol.st_name < module.symbolNames.size())
      fprintf(map, "%llx %llx %s\n",
              static_cast<unsigned long long>(reinterpret_cast<uint64_t>(module.image.base()) +
                                              symbol.st_value),
              static_cast<unsigned long long>(symbol.st_size),
              module.symbolNames.data() + symbol.st_name);
  }
  fclose(map);
}

} // namespace

void DebuggerEntry::announce(const lathe_module &module) {
  if (wantsPerfMap())
    writePerfMap(module);
}
