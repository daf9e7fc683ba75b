// A loaded artifact.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CORE_MODULE_H
#define LATHE_RUNTIME_CORE_MODULE_H

#include "runtime/Artifact/Debugger.h"
#include "runtime/Artifact/Image.h"
#include "runtime/Core/Device.h"

#include <atomic>

namespace lathe::runtime {

/// What a run needs to know about an entry beyond its specs, worked out when loading.
struct EntryLayout {
  /// Into Module::inputSymbols: for each dim of each input in turn, the number of its symbol within
  /// the entry, or -1.
  uint64_t firstSymbol;
  uint32_t symbolCount;
};

/// The variants for devices, of a table that has any.
inline uint64_t countDeviceVariants(const lathe_artifact &table) {
  return table.size >= sizeof(lathe_artifact) ? table.device_variant_count : 0;
}

} // namespace lathe::runtime

/// Immutable once open; shared by reference count.
struct lathe_module {
  lathe_module() = default;
  lathe_module(const lathe_module &) = delete;
  ~lathe_module();

  std::atomic<uint32_t> references{1};
  lathe::runtime::File file;
  lathe::runtime::Elf elf;
  lathe::runtime::Image image;
  const lathe_artifact *table = nullptr;
  uint64_t features = 0;                            ///< Of the host, as restricted by the options.
  const lathe_variant *chosen = nullptr;            ///< Null where only inspected.
  lathe_device *device = nullptr;                   ///< Null: it runs on the host.
  const lathe_device_variant *deviceCode = nullptr; ///< Then: whose host program is `chosen`.
  void *program = nullptr;                          ///< The device's.
  const lathe_variant *shown = nullptr;             ///< The chosen one or the first.
  const char *weights = nullptr;                    ///< Base of the chosen variant's weights.
  const char *manifestText = "";                    ///< Terminated.
  uint64_t manifestBytes = 0;                       ///< Without the terminator.
  lathe::runtime::Array<char> manifest;             ///< Where the file has it, terminated.
  lathe::runtime::Array<char> symbols, symbolNames; ///< Of functions; may be empty.
  lathe::runtime::Array<char> signature;            ///< One byte longer than the section.
  lathe::runtime::Array<lathe::runtime::EntryLayout> layouts;
  lathe::runtime::Array<int32_t> inputSymbols;
  lathe::runtime::DebuggerEntry debugger;

  int32_t load(const lathe_module_options &options, lathe_status *status);
  /// The same for a model that is part of the program.
  int32_t adopt(const lathe_static_model &model, const lathe_module_options &options,
                lathe_status *status);

  /// With a device: the weights as the file has them, which the host reads. `weights` are its own.
  const char *hostWeights = nullptr;

  void retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void release();

private:
  /// A section that is kept although it is not loaded, and which one.
  struct KeptSection {
    lathe::runtime::Array<char> *bytes;
    size_t index;
  } kept[4] = {{&manifest, 0}, {&symbols, 0}, {&symbolNames, 0}, {&signature, 0}};

  int32_t readSections(lathe_status *status);
  /// The kept bytes of a section; null for others.
  const char *keptSection(size_t index) const;
  int32_t askVerifier(const lathe_verifier &verifier, lathe_status *status);
  int32_t keepSection(const Elf64_Shdr &section, lathe::runtime::Array<char> &to,
                      lathe_status *status);
  int32_t choose(const lathe_module_options &options, lathe_status *status);
  int32_t chooseForDevice(const lathe_module_options &options, lathe_status *status);
  /// Makes kernels and weights ready on the device, where there is one.
  int32_t loadOnDevice(lathe_status *status);
  void *deviceWeights = nullptr;
  int32_t mapWeights(const Elf64_Shdr *section, lathe_status *status);
  int32_t layOut(lathe_status *status);
};

#endif // LATHE_RUNTIME_CORE_MODULE_H
