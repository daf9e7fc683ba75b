// Data sets: folders with a model's inputs and what it should give for them.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/DataSet.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <set>
#include <unistd.h>

namespace lathe::tools {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string dataFile(const std::string &folder, const char *stem, size_t index) {
  return folder + "/" + stem + "_" + std::to_string(index) + ".pb";
}

/// How many files of the folder are named stem_N.pb.
static size_t countNumbered(const std::string &folder, const char *stem) {
  size_t count = 0;
  std::string prefix = std::string(stem) + "_";
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    count += name.starts_with(prefix) && name.ends_with(".pb");
  }
  if (error)
    throw Failure(folder + ": cannot list the folder: " + error.message());
  return count;
}

size_t countDataFiles(const std::string &folder, const char *stem) {
  size_t count = 0;
  while (fs::exists(dataFile(folder, stem, count)))
    ++count;
  if (countNumbered(folder, stem) != count)
    throw Failure(dataFile(folder, stem, count) + " is missing, but there are later ones");
  return count;
}

std::vector<Value> loadDataSet(const Module &module, const std::string &folder) {
  size_t given = countDataFiles(folder, "input"), wanted = module.inputs().size();
  if (given > wanted)
    throw Failure(folder + " has " + std::to_string(given) + " inputs, but the model takes " +
                  std::to_string(wanted));
  std::vector<Value> inputs(wanted, Value{LATHE_VALUE_NONE, {}, {}});
  for (size_t i = 0; i < given; ++i)
    inputs[i] = loadValue(dataFile(folder, "input", i), *module.inputs()[i]);
  return inputs;
}

/// The outputs that follow from random numbers.
static std::set<std::string> findRandomOutputs(const Module &module) {
  std::set<std::string> names;
  auto manifest = Json::parse(module.manifest(), nullptr, /*allow_exceptions=*/false);
  if (manifest.is_object() && manifest.contains("random_outputs"))
    for (const auto &name : manifest["random_outputs"])
      names.insert(name.get<std::string>());
  return names;
}

double compareDataSet(const Module &module, Session &session, const std::string &folder,
                      const std::vector<Value> &inputs, const Tolerance &tolerance,
                      std::vector<OutputReport> &reports) {
  // A data set need not hold every output; what it holds is compared.
  std::vector<size_t> given;
  for (size_t i = 0; i < module.outputs().size(); ++i)
    if (fs::exists(dataFile(folder, "output", i)))
      given.push_back(i);
  if (size_t found = countNumbered(folder, "output"); found > given.size())
    throw Failure(folder + " has " + std::to_string(found) + " outputs, of which the model gives " +
                  std::to_string(given.size()));
  if (given.empty())
    throw Failure(folder + " has no output_0.pb to compare with");
  std::set<std::string> random = findRandomOutputs(module);
  auto start = std::chrono::steady_clock::now();
  std::vector<Value> outputs = session.run(inputs);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (size_t i : given) {
    const lathe_tensor_spec &spec = *module.outputs()[i];
    Value expected = loadValue(dataFile(folder, "output", i), spec);
    reports.push_back({folder, spec.name, describeType(outputs[i]),
                       random.contains(spec.name)
                           ? compareStatistics(outputs[i], expected)
                           : compareValues(outputs[i], expected, tolerance)});
  }
  return seconds;
}

static bool passed(const OutputReport &report) { return report.comparison.passed; }

bool allPassed(const std::vector<OutputReport> &reports) {
  return std::ranges::all_of(reports, passed);
}

std::string firstReason(const std::vector<OutputReport> &reports) {
  auto failed = std::ranges::find_if_not(reports, passed);
  if (failed == reports.end())
    return "";
  return fs::path(failed->dataSet).filename().string() + ": output '" + failed->output + "' " +
         failed->comparison.reason;
}

std::string printOutputs(const std::vector<OutputReport> &reports) {
  Style style(STDOUT_FILENO);
  std::string dataSet;
  size_t dataSets = 0;
  for (const OutputReport &report : reports) {
    if (report.dataSet != dataSet) {
      std::cout << report.dataSet << '\n';
      dataSet = report.dataSet;
      ++dataSets;
    }
    const Comparison &comparison = report.comparison;
    std::cout << "  " << (comparison.passed ? style.good("PASS") : style.bad("FAIL")) << "  "
              << printable(report.output) << "  " << report.type << "  max abs "
              << formatNumber(comparison.maxAbsolute, 3) << "  max rel "
              << formatNumber(comparison.maxRelative, 3) << "  max ulp "
              << formatNumber(comparison.maxUlp, 3) << '\n';
    if (!comparison.passed)
      std::cout << "        " << printable(comparison.reason) << '\n';
  }
  auto right = static_cast<size_t>(std::ranges::count_if(reports, passed));
  return formatCount(dataSets, "data set") + ", " + formatCount(reports.size(), "output") + ", " +
         std::to_string(reports.size() - right) + " wrong";
}

Json describeOutputs(const std::vector<OutputReport> &reports) {
  // Infinite distances have no JSON form.
  auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  Json outputs = Json::array();
  for (const OutputReport &report : reports)
    outputs.push_back({{"data_set", report.dataSet},
                       {"name", report.output},
                       {"type", report.type},
                       {"passed", report.comparison.passed},
                       {"max_abs", number(report.comparison.maxAbsolute)},
                       {"max_rel", number(report.comparison.maxRelative)},
                       {"max_ulp", number(report.comparison.maxUlp)},
                       {"wrong", report.comparison.wrong},
                       {"elements", report.comparison.elements},
                       {"reason", report.comparison.reason}});
  return outputs;
}

void addToleranceOptions(CLI::App &command, Tolerance &tolerance) {
  command.add_option("--rtol", tolerance.relative, "Relative tolerance");
  command.add_option("--atol", tolerance.absolute, "Absolute tolerance");
  command.add_option("--atol-rms", tolerance.absoluteRms,
                     "Absolute tolerance in units of the RMS of the expected output");
  command.add_option("--int-atol", tolerance.integers, "How far integers may be off (default 0)")
      ->check(CLI::NonNegativeNumber);
}

/// A tolerance of zero or more.
static void requireTolerance(const char *option, const std::optional<double> &value) {
  if (value && !(*value >= 0))
    throw WrongUsage(std::string(option) + " wants a number of 0 or more");
}

void checkTolerance(const Tolerance &tolerance) {
  requireTolerance("--rtol", tolerance.relative);
  requireTolerance("--atol", tolerance.absolute);
  requireTolerance("--atol-rms", tolerance.absoluteRms);
  if (tolerance.absolute && tolerance.absoluteRms)
    throw WrongUsage("--atol and --atol-rms cannot go together");
}

} // namespace lathe::tools
