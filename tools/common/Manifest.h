// The JSON manifest of an artifact, as far as the commands use it.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_MANIFEST_H
#define LATHE_TOOLS_COMMON_MANIFEST_H

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lathe::tools {

/// What the manifest says of a kernel's code for a GPU; what it does not say is absent.
struct KernelCode {
  double threads = 0;
  std::optional<double> registers, scalarRegisters, spillBytes, sharedBytes, occupancy;
  double instructions = 0, matrix = 0, loads = 0, wideLoads = 0, stores = 0, wideStores = 0,
         sharedAccesses = 0, privateAccesses = 0, atomics = 0, barriers = 0;
};

/// One kernel of a variant. Numbers that the manifest lacks are 0.
struct KernelInfo {
  std::string name, kind;
  double flops = 0, bytes = 0; ///< per call
  double calls = 1;            ///< per run
  std::string shape;           ///< by which tables of schedules name it; empty: they do not
  std::vector<std::string> nodes;
  std::optional<KernelCode> code;
};

/// What the manifest says of one variant.
struct TargetInfo {
  std::string name;
  std::string registers;       ///< of vectors, as tables of schedules name them: "512x32"
  double flops = 0, bytes = 0; ///< per run
  double weightsBytes = 0;
  std::string arena;       ///< bytes, or a formula of the symbolic dimensions; empty: not said
  std::string sampleArena; ///< the same for each thread, where samples are run apart
  double samples = 0;      ///< so many are, in all runs: there is no other arena
  double arenaMost = 0;    ///< bytes at most, where the dimensions' bounds tell
  std::string dims;        ///< "batch=8", where the code is for certain sizes
  bool isGeneral = false;  ///< these sizes have none: the general code is as fast
  std::vector<KernelInfo> kernels;
  std::vector<TargetInfo> specialized; ///< code for certain sizes beside the general one

  /// A kernel of this or of the specialized code; null: none has that name.
  const KernelInfo *findKernel(const std::string &kernel) const;
};

struct Manifest {
  nlohmann::ordered_json json; ///< an empty object where the artifact has none, or broken JSON
  std::vector<TargetInfo> targets;

  /// Parses tolerantly: keys that are missing or of another type are left out.
  explicit Manifest(const std::string &text);
  const TargetInfo *find(const std::string &target) const;
  /// The string at a path of keys such as {"source", "file"}; numbers as text; empty when missing.
  std::string text(std::initializer_list<const char *> path) const;
};

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_MANIFEST_H
