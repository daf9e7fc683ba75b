// lathe ops: the operators that can be compiled.
// Apache-2.0 WITH LLVM-exception.
#include "lathe/Compiler.h"
#include "tools/common/Support.h"
#include "tools/lathe-compile/Commands.h"

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

namespace lathe::tools {

namespace {

struct OpsOptions {
  std::vector<std::string> names;
  bool json = false, unsupported = false;
};

const char *domainName(const auto &info) {
  return info.domain.empty() ? "ai.onnx" : info.domain.c_str();
}

int listUnsupported(const OpsOptions &options) {
  auto report = nlohmann::ordered_json::array();
  size_t count = 0;
  for (const UnsupportedOperatorInfo &info : listUnsupportedOperators()) {
    if (!options.names.empty() &&
        std::ranges::find(options.names, info.name) == options.names.end())
      continue;
    ++count;
    report.push_back({{"domain", domainName(info)},
                      {"name", info.name},
                      {"since", info.since},
                      {"reason", info.reason}});
    if (!options.json)
      std::cout << domainName(info) << "::" << info.name << "  since " << info.since << "  "
                << info.reason << '\n';
  }
  if (options.json)
    std::cout << report.dump(2) << '\n';
  else if (options.names.empty())
    std::cout << count << " operators\n";
  return ExitFine;
}

std::string versionsText(const OperatorInfo &info) {
  std::vector<std::string> versions;
  for (int64_t version : info.sinceVersions)
    versions.push_back(std::to_string(version));
  return join(versions, ", ");
}

int listOps(const OpsOptions &options) {
  if (options.unsupported)
    return listUnsupported(options);
  std::vector<OperatorInfo> chosen;
  for (OperatorInfo &info : listOperators())
    if (options.names.empty() || std::ranges::find(options.names, info.name) != options.names.end())
      chosen.push_back(std::move(info));
  for (const std::string &name : options.names)
    if (std::ranges::find(chosen, name, &OperatorInfo::name) == chosen.end())
      throw Failure("operator '" + name + "' cannot be compiled; 'lathe ops' lists those that can");
  if (options.json) {
    auto report = nlohmann::ordered_json::array();
    for (const OperatorInfo &info : chosen)
      report.push_back({{"domain", domainName(info)},
                        {"name", info.name},
                        {"since_versions", info.sinceVersions},
                        {"types", info.types},
                        {"limits", info.limits},
                        {"conformance_tests", info.conformanceTests},
                        {"numeric_tests", info.numericTests}});
    std::cout << report.dump(2) << '\n';
    return ExitFine;
  }
  for (const OperatorInfo &info : chosen) {
    std::cout << domainName(info) << "::" << info.name << "  versions " << versionsText(info);
    if (!info.types.empty())
      std::cout << "  " << info.types;
    if (!info.limits.empty())
      std::cout << "  (" << info.limits << ")";
    std::cout << "  " << formatCount(info.conformanceTests, "conformance case") << ", "
              << formatCount(info.numericTests, "numeric test") << '\n';
  }
  if (options.names.empty())
    std::cout << chosen.size() << " operators\n";
  return ExitFine;
}

} // namespace

void addOpsCommand(CLI::App &root, Action &action) {
  auto options = std::make_shared<OpsOptions>();
  CLI::App &command = addCommand(root, "ops", "List the operators that can be compiled",
                                 "  lathe ops\n"
                                 "  lathe ops Conv Resize       is it supported, since when\n"
                                 "  lathe ops --unsupported     what is missing, and why\n"
                                 "  lathe ops --json | jq -r '.[].name'\n");
  command.add_option("names", options->names, "Show these alone");
  command.add_flag("--unsupported", options->unsupported,
                   "List the operators that cannot be compiled, with the reasons");
  command.add_flag("--json", options->json, "Print a JSON array");
  command.callback([options, &action] { action = [options] { return listOps(*options); }; });
}

} // namespace lathe::tools
