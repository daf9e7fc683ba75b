// lathe targets: what this machine is, and what it can run.
// Apache-2.0 WITH LLVM-exception.
#include "lathe-c/Runtime.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/lathe/Commands.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace lathe::tools {

namespace {

/// Levels that code is compiled for, with the features they need.
constexpr struct Level {
  const char *name;
  uint64_t features;
} levels[] = {
    {"x86-64-v3", LATHE_X86_V3},
    {"x86-64-v4", LATHE_X86_V3 | LATHE_X86_V4},
    {"x86-64-v4-vnni", LATHE_X86_V3 | LATHE_X86_V4 | LATHE_X86_VNNI},
    {"x86-64-v4-vnni-bf16", LATHE_X86_V3 | LATHE_X86_V4 | LATHE_X86_VNNI | LATHE_X86_BF16},
    {"x86-64-v4-vnni-bf16-amx",
     LATHE_X86_V3 | LATHE_X86_V4 | LATHE_X86_VNNI | LATHE_X86_BF16 | LATHE_X86_AMX_BF16},
    {"aarch64", LATHE_AARCH64_BASE},
};

/// Those of devices, each with an emulator.
constexpr struct Device {
  const char *vendor, *architecture;
} deviceTargets[] = {
    {"nvidia", "sm_80"},  {"nvidia", "sm_86"},   {"nvidia", "sm_89"},  {"nvidia", "sm_90"},
    {"nvidia", "sm_90a"}, {"nvidia", "sm_100a"}, {"nvidia", "sm_120"}, {"amd", "gfx90a"},
    {"amd", "gfx942"},    {"amd", "gfx1100"},    {"amd", "gfx1201"},
};

/// Whether a device of `architecture` takes code for `target`: its own and, of NVIDIA, that for
/// earlier ones; code for sm_90a runs on sm_90 alone.
bool takes(const std::string &architecture, const std::string &target) {
  const std::string sm = "sm_";
  if (target == architecture || target == architecture + "a")
    return true;
  return architecture.starts_with(sm) && target.starts_with(sm) && !target.ends_with("a") &&
         std::atoi(target.c_str() + sm.size()) <= std::atoi(architecture.c_str() + sm.size());
}

bool runsHere(const Device &target, const std::vector<FoundDevice> &devices) {
  return std::any_of(devices.begin(), devices.end(), [&](const FoundDevice &device) {
    return device.problem.empty() && takes(device.info.architecture, target.architecture);
  });
}

nlohmann::ordered_json toJson(const FoundDevice &device) {
  if (!device.problem.empty())
    return {{"kind", device.kind},
            {"name", device.name},
            {"supported", false},
            {"reason", device.problem}};
  return {{"kind", device.kind},
          {"name", device.name},
          {"supported", true},
          {"device", device.info.name},
          {"architecture", device.info.architecture},
          {"processors", device.info.processors},
          {"memory_bytes", device.info.memory_bytes}};
}

int showTargets(bool asJson) {
  uint64_t features = lathe_host_features();
  std::vector<FoundDevice> devices = findDevices();
  char featureText[256];
  lathe_features_format(features, featureText, sizeof featureText);
  if (asJson) {
    nlohmann::ordered_json report;
    report["host"] = {{"processor", processorName()},
                      {"features", featureText},
                      {"threads", lathe_host_processors()}};
    report["targets"] = nlohmann::ordered_json::array();
    for (const Level &level : levels)
      report["targets"].push_back(
          {{"name", level.name}, {"runs_here", (level.features & ~features) == 0}});
    for (const Device &device : deviceTargets)
      report["targets"].push_back({{"name", std::string(device.vendor) + ":" + device.architecture},
                                   {"runs_here", runsHere(device, devices)},
                                   {"emulator", std::string("emulator:") + device.architecture}});
    report["devices"] = {{{"kind", "cpu"}, {"name", "cpu"}, {"supported", true}}};
    for (const FoundDevice &device : devices)
      report["devices"].push_back(toJson(device));
    std::cout << report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return ExitFine;
  }
  Style style(STDOUT_FILENO);
  std::cout << style.strong("host") << "  " << processorName() << ", " << lathe_host_processors()
            << " threads, " << featureText << '\n';
  std::cout << style.strong("targets") << '\n';
  for (const Level &level : levels)
    std::cout << "  " << level.name << "  "
              << ((level.features & ~features) == 0 ? style.good("runs here")
                                                    : style.faint("does not run here"))
              << '\n';
  for (const Device &device : deviceTargets)
    std::cout << "  " << device.vendor << ":" << device.architecture << "  "
              << (runsHere(device, devices)
                      ? style.good("runs here")
                      : style.faint(std::string("emulated: --device emulator:") +
                                    device.architecture))
              << '\n';
  std::cout << style.strong("devices") << '\n';
  std::cout << "  cpu\n";
  for (const FoundDevice &device : devices) {
    if (!device.problem.empty())
      std::cout << style.faint("  " + device.kind + "  " + printable(device.problem)) << '\n';
    else
      std::cout << "  " << device.name << "  " << printable(device.info.name) << ", "
                << device.info.architecture << ", " << (device.info.memory_bytes >> 30) << " GiB  "
                << style.good("runs here") << '\n';
  }
  return ExitFine;
}

} // namespace

void addTargetsCommand(CLI::App &root, Action &action) {
  auto asJson = std::make_shared<bool>(false);
  CLI::App &command = addCommand(root, "targets", "Show this machine and the targets it can run",
                                 "  lathe targets\n"
                                 "  lathe targets --json | jq -r .host.features\n");
  command.add_flag("--json", *asJson, "Print one JSON object");
  command.callback([asJson, &action] { action = [asJson] { return showTargets(*asJson); }; });
}

} // namespace lathe::tools
