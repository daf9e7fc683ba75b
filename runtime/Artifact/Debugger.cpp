// The interfaces of gdb and perf for code that the system did not load.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Artifact/Debugger.h"
#include "runtime/Core/Module.h"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

using namespace lathe::runtime;

// Names, layout and numbers are gdb's. It finds the two symbols in the library's symbol table,
// which need not be exported.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

struct jit_descriptor {
  uint32_t version;
  uint32_t action;
  GdbEntry *relevant;
  GdbEntry *first;
};

[[gnu::used]] jit_descriptor __jit_debug_descriptor = {1, 0, nullptr, nullptr};

// gdb stops here and reads the descriptor.
[[gnu::noinline, gnu::used]] void __jit_debug_register_code() { __asm__ volatile("" ::: "memory"); }
}
// NOLINTEND(readability-identifier-naming)

namespace {

enum GdbAction : uint32_t { GdbRegister = 1, GdbUnregister = 2 };
pthread_mutex_t gdbMutex = PTHREAD_MUTEX_INITIALIZER;

void notifyGdb(GdbEntry &entry, GdbAction action) {
  __jit_debug_descriptor.relevant = &entry;
  __jit_debug_descriptor.action = action;
  __jit_debug_register_code();
}

bool isRequested(const char *variable) {
  const char *value = getenv(variable);
  return value && !strcmp(value, "1");
}

template <typename Visit> void forEachFunction(const lathe_module &module, Visit visit) {
  // One byte beyond the symbols, and the names, is the terminator that was added.
  for (size_t at = 0; at + sizeof(Elf64_Sym) < module.symbols.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    memcpy(&symbol, module.symbols.data() + at, sizeof(symbol));
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
        symbol.st_value < module.image.size() && symbol.st_name < module.symbolNames.size())
      visit(symbol, module.symbolNames.data() + symbol.st_name);
  }
}

// Lines of "start size name"; perf knows the path by convention.
void writePerfMap(const lathe_module &module) {
  char path[64];
  snprintf(path, sizeof(path), "/tmp/perf-%d.map", int(getpid()));
  // Not through a link that another user of the directory may have left.
  int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  FILE *map = descriptor >= 0 ? fdopen(descriptor, "a") : nullptr;
  if (!map) {
    if (descriptor >= 0)
      close(descriptor);
    return;
  }
  auto base = reinterpret_cast<uint64_t>(module.image.base());
  forEachFunction(module, [&](const Elf64_Sym &symbol, const char *name) {
    fprintf(map, "%llx %llx %s\n", static_cast<unsigned long long>(base + symbol.st_value),
            static_cast<unsigned long long>(symbol.st_size), name);
  });
  fclose(map);
}

// The sections of the file for gdb.
enum Section : uint16_t { Null, Text, EhFrame, Symbols, SymbolNames, SectionNames, SectionCount };
constexpr char sectionNames[] = "\0.text\0.eh_frame\0.symtab\0.strtab\0.shstrtab";
constexpr uint32_t nameOffsets[SectionCount] = {0, 1, 7, 17, 25, 33};
static_assert(sizeof(sectionNames) == 33 + sizeof(".shstrtab"));

const Elf64_Shdr *findLoaded(const lathe_module &module, const char *name, uint32_t type) {
  const Elf64_Shdr *section = module.elf.findSection(name);
  return section && (section->sh_flags & SHF_ALLOC) && section->sh_type == type ? section : nullptr;
}

} // namespace

DebuggerEntry::~DebuggerEntry() {
  if (!registered)
    return;
  pthread_mutex_lock(&gdbMutex);
  (entry.previous ? entry.previous->next : __jit_debug_descriptor.first) = entry.next;
  if (entry.next)
    entry.next->previous = entry.previous;
  notifyGdb(entry, GdbUnregister);
  pthread_mutex_unlock(&gdbMutex);
}

void DebuggerEntry::announce(const lathe_module &module) {
  if (isRequested("LATHE_PERF"))
    writePerfMap(module);
  if (!isRequested("LATHE_GDB") || !buildFile(module))
    return;
  entry.file = file.data();
  entry.fileBytes = file.size();
  pthread_mutex_lock(&gdbMutex);
  entry.next = __jit_debug_descriptor.first;
  if (entry.next)
    entry.next->previous = &entry;
  __jit_debug_descriptor.first = &entry;
  registered = true;
  notifyGdb(entry, GdbRegister);
  pthread_mutex_unlock(&gdbMutex);
}

// A file with the functions' names at their addresses in memory, and the unwind tables, which are
// relative to where they lie. gdb takes all addresses as they are, so a copy of the artifact would
// not do.
bool DebuggerEntry::buildFile(const lathe_module &module) {
  const Elf64_Shdr *text = findLoaded(module, ".text", SHT_PROGBITS);
  const Elf64_Shdr *frames = findLoaded(module, ".eh_frame", SHT_PROGBITS);
  if (!text || !module.symbols.size() || !module.symbolNames.size())
    return false;
  uint64_t functionCount = 0;
  forEachFunction(module, [&](const Elf64_Sym &, const char *) { ++functionCount; });
  uint64_t symbolBytes = (functionCount + 1) * sizeof(Elf64_Sym);
  uint64_t frameBytes = frames ? frames->sh_size : 0;
  uint64_t headersEnd = sizeof(Elf64_Ehdr) + SectionCount * sizeof(Elf64_Shdr);
  uint64_t symbolsAt = headersEnd, framesAt = symbolsAt + symbolBytes;
  uint64_t symbolNamesAt = framesAt + frameBytes;
  uint64_t sectionNamesAt = symbolNamesAt + module.symbolNames.size();
  if (!file.create(sectionNamesAt + sizeof(sectionNames)))
    return false;

  auto base = reinterpret_cast<uint64_t>(module.image.base());
  auto *header = reinterpret_cast<Elf64_Ehdr *>(file.data());
  *header = module.elf.header;
  header->e_type = ET_EXEC;
  header->e_phnum = 0;
  header->e_phoff = 0;
  header->e_shoff = sizeof(Elf64_Ehdr);
  header->e_shnum = SectionCount;
  header->e_shstrndx = SectionNames;
  auto *sections = reinterpret_cast<Elf64_Shdr *>(file.data() + sizeof(Elf64_Ehdr));
  auto set = [&](Section section, uint32_t type, uint64_t flags, uint64_t address, uint64_t offset,
                 uint64_t bytes) {
    sections[section] = {nameOffsets[section], type, flags, address, offset, bytes, 0, 0, 8, 0};
  };
  set(Text, SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR, base + text->sh_addr, headersEnd, text->sh_size);
  if (frames)
    set(EhFrame, SHT_PROGBITS, SHF_ALLOC, base + frames->sh_addr, framesAt, frameBytes);
  set(Symbols, SHT_SYMTAB, 0, 0, symbolsAt, symbolBytes);
  sections[Symbols].sh_link = SymbolNames;
  sections[Symbols].sh_info = 1; // no local symbols but the null one
  sections[Symbols].sh_entsize = sizeof(Elf64_Sym);
  set(SymbolNames, SHT_STRTAB, 0, 0, symbolNamesAt, module.symbolNames.size());
  set(SectionNames, SHT_STRTAB, 0, 0, sectionNamesAt, sizeof(sectionNames));

  char *next = file.data() + symbolsAt + sizeof(Elf64_Sym);
  forEachFunction(module, [&](const Elf64_Sym &symbol, const char *) {
    Elf64_Sym copy = symbol;
    copy.st_value += base;
    copy.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    copy.st_other = STV_DEFAULT;
    copy.st_shndx = Text;
    memcpy(next, &copy, sizeof(copy));
    next += sizeof(copy);
  });
  if (frames)
    memcpy(file.data() + framesAt, module.image.base() + frames->sh_addr, frameBytes);
  memcpy(file.data() + symbolNamesAt, module.symbolNames.data(), module.symbolNames.size());
  memcpy(file.data() + sectionNamesAt, sectionNames, sizeof(sectionNames));
  return true;
}
