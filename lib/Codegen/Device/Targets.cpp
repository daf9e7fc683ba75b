// The GPUs that Lathe knows.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Codegen.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace lathe::codegen {
namespace {

constexpr const char *nvidiaTriple = "nvptx64-nvidia-cuda";
constexpr const char *amdTriple = "amdgcn-amd-amdhsa";
constexpr const char *nvidiaUnits = "mma.sync,mma.sync.tf32,mma.sync.i8";
constexpr const char *sm89Units = "mma.sync,mma.sync.tf32,mma.sync.i8,mma.sync.f8";

/// What the name of a vendor alone stands for: code that the most of its devices can run. That of
/// sm_90a runs there alone, and sm_80's text on all that came after it.
constexpr const char *vendors[][2] = {
    {"nvidia", "nvidia:sm_80"},
    {"amd", "amd:gfx90a,amd:gfx942,amd:gfx1100,amd:gfx1201"},
};

} // namespace

ArrayRef<DeviceTarget> knownDevices() {
  // The versions of PTX are the least that have what the architecture has; code that needs a later
  // one says so (Compile.cpp). Stages: several blocks
  // fit into the shared memory of a processor, of which sm_90 and sm_100 have the most. Processors
  // are those of A100, A40, RTX 4090, H200, B200, RTX 5090, MI210, MI300X, RX 7900 XTX and RX 9070
  // XT, the last two in pairs of CUs.
  static const DeviceTarget devices[] = {
      {"nvidia:sm_80", nvidiaTriple, "sm_80", "+ptx70", nvidiaUnits, 3, "", 108, 163 << 10},
      {"nvidia:sm_86", nvidiaTriple, "sm_86", "+ptx71", nvidiaUnits, 3, "", 84, 99 << 10},
      {"nvidia:sm_89", nvidiaTriple, "sm_89", "+ptx78", sm89Units, 3, "", 142, 99 << 10},
      {"nvidia:sm_90", nvidiaTriple, "sm_90", "+ptx78", sm89Units, 4, "", 132, 227 << 10},
      {"nvidia:sm_90a", nvidiaTriple, "sm_90a", "+ptx80", sm89Units, 4, "wgmma", 132, 227 << 10},
      {"nvidia:sm_100a", nvidiaTriple, "sm_100a", "+ptx86", sm89Units, 4, "", 148, 227 << 10},
      {"nvidia:sm_120", nvidiaTriple, "sm_120", "+ptx87", sm89Units, 3, "", 188, 99 << 10},
      {"amd:gfx90a", amdTriple, "gfx90a", "", "mfma,mfma.i8", 1, "", 104, 64 << 10},
      {"amd:gfx942", amdTriple, "gfx942", "", "mfma,mfma.xf32,mfma.i8.gfx942", 1, "", 304,
       64 << 10},
      {"amd:gfx1100", amdTriple, "gfx1100", "", "wmma,wmma.i8", 1, "", 48, 64 << 10},
      {"amd:gfx1201", amdTriple, "gfx1201", "", "wmma.gfx12,wmma.gfx12.i8", 1, "", 32, 64 << 10},
  };
  return devices;
}

bool DeviceTarget::isNvidia() const { return triple == nvidiaTriple; }

// In text of PTX 8.0 and later, which none has that is older than sm_90.
bool DeviceTarget::copiesTensors() const { return isNvidia() && features >= "+ptx80"; }

bool namesDevice(StringRef name) {
  return any_of(vendors, [&](const auto &vendor) {
    return name == vendor[0] || name.starts_with(std::string(vendor[0]) + ":");
  });
}

Expected<std::vector<DeviceTarget>> resolveDevices(StringRef list) {
  std::string expanded;
  SmallVector<StringRef> names;
  list.split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names) {
    const auto *vendor = find_if(vendors, [&](const auto &v) { return name.trim() == v[0]; });
    expanded += (expanded.empty() ? "" : ",") +
                (vendor == std::end(vendors) ? name.trim().str() : std::string((*vendor)[1]));
  }
  names.clear();
  StringRef(expanded).split(names, ',', -1, /*KeepEmpty=*/false);
  std::vector<DeviceTarget> devices;
  for (StringRef name : names) {
    const DeviceTarget *known =
        find_if(knownDevices(), [&](const DeviceTarget &d) { return d.name == name; });
    if (known == knownDevices().end())
      return createStringError(
          formatv(
              "unknown device '{0}'; known are {1}", name,
              join(map_range(knownDevices(), [](const DeviceTarget &d) { return d.name; }), ", "))
              .str());
    if (none_of(devices, [&](const DeviceTarget &d) { return d.name == known->name; }))
      devices.push_back(*known);
  }
  return devices;
}

} // namespace lathe::codegen
