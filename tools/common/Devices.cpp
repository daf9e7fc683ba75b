// --device: what it names, and which code is for it.
// Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Emulator.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"

namespace lathe::tools {

namespace {

constexpr const char *emulatorPrefix = "emulator:";

lathe_device_info describe(const lathe_device *device) {
  lathe_device_info info{};
  info.size = sizeof info;
  lathe_status status;
  checkStatus(lathe_device_describe(device, &info, &status), status);
  return info;
}

/// The target whose code suits an NVIDIA device of this architecture ("sm_87") best.
std::string nvidiaTarget(const std::string &architecture) {
  // Those that are for one architecture alone come first.
  static constexpr struct {
    int capability;
    const char *target;
    bool isOnlyFor;
  } targets[] = {{100, "sm_100a", true}, {90, "sm_90a", true}, {120, "sm_120", false},
                 {90, "sm_90", false},   {89, "sm_89", false}, {86, "sm_86", false},
                 {80, "sm_80", false}};
  int capability = std::stoi(architecture.substr(architecture.find('_') + 1));
  for (const auto &[least, target, isOnlyFor] : targets)
    if (isOnlyFor ? capability == least : capability >= least)
      return std::string("nvidia:") + target;
  throw Failure("there is no code for a device of architecture " + architecture +
                "; the oldest is sm_80");
}

} // namespace

DevicePtr openDevice(const std::string &device) {
  if (device.empty() || device == "cpu")
    return nullptr;
  const std::string emulator = emulatorPrefix;
  bool isEmulator = device.starts_with(emulator) && device.size() > emulator.size();
  if (!isEmulator && !device.starts_with("cuda:") && !device.starts_with("hip:"))
    throw WrongUsage("--device: '" + device +
                     "' is not known; known are cpu, cuda:0, hip:0 (and "
                     "other numbers), and emulator:ARCH with an architecture such as sm_80 or "
                     "gfx942");
  lathe_device *made = nullptr;
  lathe_status status;
  checkStatus(isEmulator ? lathe_emulator_open(device.substr(emulator.size()).c_str(), nullptr,
                                               &made, &status)
                         : lathe_device_open(device.c_str(), &made, &status),
              status);
  return DevicePtr(made);
}

std::string targetOfDevice(const std::string &device) {
  DevicePtr opened = openDevice(device);
  if (!opened)
    return "";
  lathe_device_info info = describe(opened.get());
  std::string architecture = info.architecture;
  if (architecture.starts_with("gfx"))
    return "amd:" + architecture;
  return info.kind == LATHE_DEVICE_CUDA ? nvidiaTarget(architecture) : "nvidia:" + architecture;
}

std::vector<FoundDevice> findDevices() {
  constexpr int mostDevices = 64;
  std::vector<FoundDevice> found;
  for (const char *kind : {"cuda", "hip"}) {
    std::string before;
    for (int number = 0; number < mostDevices; ++number) {
      FoundDevice device{kind, std::string(kind) + ":" + std::to_string(number), "", {}};
      lathe_device *made = nullptr;
      lathe_status status;
      int32_t code = lathe_device_open(device.name.c_str(), &made, &status);
      if (code) {
        // The message begins with the device's name.
        device.problem = status.message;
        if (device.problem.starts_with(device.name + ": "))
          device.problem.erase(0, device.name.size() + 2);
        // A number that is too large is the end of the list; and what is wrong with a driver, it
        // says of each of its devices.
        if (number > 0 && (code == LATHE_STATUS_ARGUMENT || device.problem == before))
          break;
        before = device.problem;
      } else {
        device.info = describe(DevicePtr(made).get());
      }
      found.push_back(std::move(device));
      if (code == LATHE_STATUS_ARGUMENT)
        break;
    }
  }
  return found;
}

} // namespace lathe::tools
