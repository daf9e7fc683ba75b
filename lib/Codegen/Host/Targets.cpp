// The processor levels that Lathe knows, and the parsing of `--target=`.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe/ArtifactFormat.h"
#include "lathe/Codegen.h"
#include "lib/Codegen/Host/Host.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace lathe::codegen {
namespace {

constexpr const char *x86Triple = "x86_64-unknown-linux-gnu";
constexpr const char *aarch64Triple = "aarch64-unknown-linux-gnu";
constexpr uint64_t kib = 1024;

// The same set that the kernel and the runtime test: what x86-64-v4 means, plus the extensions.
constexpr uint64_t v4Bits = LATHE_X86_V3 | LATHE_X86_V4;

/// Makes one row of the table; `tune` stays empty.
HostTarget level(const char *name, const char *triple, const char *cpu, const char *features,
                 uint64_t bits, unsigned vectorBits, unsigned registers, uint64_t l1, uint64_t l2,
                 unsigned memoryBytes) {
  HostTarget target;
  target.name = name;
  target.triple = triple;
  target.cpu = cpu;
  target.features = features;
  target.featureBits = bits;
  target.vectorBits = vectorBits;
  target.vectorRegisters = registers;
  target.l1Bytes = l1;
  target.l2Bytes = l2;
  target.memoryBytes = memoryBytes;
  if (target.isX86())
    target.dotI16 = vectorBits == 512 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  if (bits & LATHE_X86_BF16)
    target.dotBF16 = "llvm.x86.avx512bf16.dpbf16ps.512";
  if (bits & LATHE_X86_AMX_BF16)
    target.matrixBF16 = "llvm.x86.tdpbf16ps";
  return target;
}

/// What a level needs of the processor, by the names of LLVM's host detection.
ArrayRef<const char *> hostFeaturesOf(uint64_t bit) {
  static const char *const v3[] = {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"};
  static const char *const v4[] = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"};
  static const char *const vnni[] = {"avx512vnni"};
  static const char *const bf16[] = {"avx512bf16"};
  static const char *const amx[] = {"amx-tile", "amx-bf16"};
  switch (bit) {
  case LATHE_X86_V3:
    return v3;
  case LATHE_X86_V4:
    return v4;
  case LATHE_X86_VNNI:
    return vnni;
  case LATHE_X86_BF16:
    return bf16;
  case LATHE_X86_AMX_BF16:
    return amx;
  default:
    return {};
  }
}

bool hostRuns(const HostTarget &target, const StringMap<bool> &features) {
  if (Triple(target.triple).getArch() != Triple(sys::getProcessTriple()).getArch())
    return false;
  for (uint64_t bit = 1; bit && bit <= target.featureBits; bit <<= 1)
    if (target.featureBits & bit)
      for (const char *feature : hostFeaturesOf(bit))
        if (!features.lookup(feature))
          return false;
  return true;
}

Expected<HostTarget> hostTarget() {
  StringMap<bool> features = sys::getHostCPUFeatures();
  for (const HostTarget &target : reverse(knownTargets()))
    if (hostRuns(target, features)) {
      HostTarget tuned = target;
      StringRef cpu = sys::getHostCPUName();
      // Only tuning follows the machine: an artifact must run wherever its feature bits are met.
      if (!cpu.empty() && cpu != "generic" && cpu != tuned.cpu) {
        tuned.tune = cpu.str();
        tuned.name += "@" + tuned.tune;
      }
      return tuned;
    }
  return createStringError(
      formatv("this machine's processor '{0}' meets no known target (at least AVX2 and FMA, or "
              "AArch64); name one with --target={1}",
              sys::getHostCPUName(),
              join(map_range(knownTargets(), [](const HostTarget &t) { return t.name; }), "|"))
          .str());
}

Error checkProcessor(const HostTarget &target) {
  initializeTargets();
  std::string message;
  Triple triple(target.triple);
  const Target *backend = TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return createStringError(message);
  std::unique_ptr<MCSubtargetInfo> info(
      backend->createMCSubtargetInfo(triple, target.cpu, target.features));
  if (info && info->isCPUStringValid(target.tune))
    return Error::success();
  return createStringError(formatv("target '{0}' is tuned for processor '{1}', which LLVM does not "
                                   "know; `llc -mtriple={2} -mcpu=help` lists them",
                                   target.name, target.tune, target.triple)
                               .str());
}

Expected<HostTarget> namedTarget(StringRef name) {
  if (name == "host")
    return hostTarget();
  auto [level, tune] = name.split('@');
  for (const HostTarget &known : knownTargets()) {
    if (known.name != level)
      continue;
    HostTarget target = known;
    if (level.size() != name.size()) {
      target.name = name.str();
      target.tune = tune.str();
      if (Error error = checkProcessor(target))
        return std::move(error);
    }
    return target;
  }
  return createStringError(
      formatv("unknown target '{0}'; known are host, {1}", name,
              join(map_range(knownTargets(), [](const HostTarget &t) { return t.name; }), ", "))
          .str());
}

} // namespace

ArrayRef<HostTarget> knownTargets() {
  // From memory a core of an EPYC (Zen 4) reads 20 GB/s, one of a Xeon with AMX 10 (`utils/peak`).
  static const HostTarget targets[] = {
      level("aarch64", aarch64Triple, "generic", "+neon", LATHE_AARCH64_BASE, 128, 32, 32 * kib,
            512 * kib, 10),
      level("x86-64-v3", x86Triple, "x86-64-v3", "", LATHE_X86_V3, 256, 16, 32 * kib, 256 * kib,
            20),
      level("x86-64-v4", x86Triple, "x86-64-v4", "", v4Bits, 512, 32, 32 * kib, 1024 * kib, 20),
      level("x86-64-v4-vnni", x86Triple, "x86-64-v4", "+avx512vnni", v4Bits | LATHE_X86_VNNI, 512,
            32, 32 * kib, 1024 * kib, 20),
      level("x86-64-v4-vnni-bf16", x86Triple, "x86-64-v4", "+avx512vnni,+avx512bf16",
            v4Bits | LATHE_X86_VNNI | LATHE_X86_BF16, 512, 32, 32 * kib, 1024 * kib, 20),
      level("x86-64-v4-vnni-bf16-amx", x86Triple, "x86-64-v4",
            "+avx512vnni,+avx512bf16,+amx-tile,+amx-bf16",
            v4Bits | LATHE_X86_VNNI | LATHE_X86_BF16 | LATHE_X86_AMX_BF16, 512, 32, 48 * kib,
            2048 * kib, 10),
  };
  return targets;
}

Expected<std::vector<HostTarget>> resolveTargets(StringRef list) {
  if (list.empty())
    list = "x86-64-v4,x86-64-v3";
  SmallVector<StringRef> names;
  list.split(names, ',');
  std::vector<HostTarget> targets;
  for (StringRef name : names) {
    Expected<HostTarget> target = namedTarget(name.trim());
    if (!target)
      return target.takeError();
    if (none_of(targets, [&](const HostTarget &t) { return t.name == target->name; }))
      targets.push_back(std::move(*target));
  }
  for (const HostTarget &target : targets)
    if (target.triple != targets.front().triple)
      return createStringError(
          formatv("targets '{0}' and '{1}' are of different architectures, and one artifact holds "
                  "code for one; compile twice",
                  targets.front().name, target.name)
              .str());
  // Feature bits grow with the level, so the best has the largest number.
  llvm::sort(targets, [](const HostTarget &a, const HostTarget &b) {
    return std::tie(b.featureBits, b.name) < std::tie(a.featureBits, a.name);
  });
  return targets;
}

} // namespace lathe::codegen
