// Compiles a model, runs it on data sets and compares: what lathe check does for one model.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe-compile/CheckModel.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/lathe-compile/Diagnostics.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

namespace lathe::tools {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string dataFile(const std::string &folder, const char *stem, size_t index) {
  return folder + "/" + stem + "_" + std::to_string(index) + ".pb";
}

/// How many files of the folder are named stem_N.pb.
size_t countNumbered(const std::string &folder, const char *stem) {
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

/// Files named stem_0.pb, stem_1.pb and so on; a gap would make the count a guess.
size_t countDataFiles(const std::string &folder, const char *stem) {
  size_t count = 0;
  while (fs::exists(dataFile(folder, stem, count)))
    ++count;
  if (countNumbered(folder, stem) != count)
    throw Failure(dataFile(folder, stem, count) + " is missing, but there are later ones");
  return count;
}

std::vector<Value> loadInputs(const Module &module, const std::string &folder) {
  size_t given = countDataFiles(folder, "input"), wanted = module.inputs().size();
  if (given > wanted)
    throw Failure(folder + " has " + std::to_string(given) + " inputs, but the model takes " +
                  std::to_string(wanted));
  // Inputs that a data set leaves out at the end are optional; the runtime says so where not.
  std::vector<Value> inputs(wanted, Value{LATHE_VALUE_NONE, {}, {}});
  for (size_t i = 0; i < given; ++i)
    inputs[i] = loadValue(dataFile(folder, "input", i), *module.inputs()[i]);
  return inputs;
}

void checkDataSet(const Module &module, Session &session, const std::string &folder,
                  const Tolerance &tolerance, CheckReport &report) {
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
  std::vector<Value> inputs = loadInputs(module, folder);
  auto start = Clock::now();
  std::vector<Value> outputs = session.run(inputs);
  report.runSeconds += secondsSince(start);
  for (size_t i : given) {
    const lathe_tensor_spec &spec = *module.outputs()[i];
    Value expected = loadValue(dataFile(folder, "output", i), spec);
    report.outputs.push_back({folder, spec.name, describeType(outputs[i]),
                              compareValues(outputs[i], expected, tolerance)});
  }
}

} // namespace

bool CheckReport::passed() const {
  return std::ranges::all_of(outputs,
                             [](const OutputReport &output) { return output.comparison.passed; });
}

std::string CheckReport::reason() const {
  for (const OutputReport &output : outputs)
    if (!output.comparison.passed)
      return fs::path(output.dataSet).filename().string() + ": output '" + output.output + "' " +
             output.comparison.reason;
  return "";
}

std::vector<std::string> findDataSets(const std::string &model) {
  fs::path folder = fs::path(model).parent_path();
  if (folder.empty())
    folder = ".";
  std::vector<std::string> found;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with("test_data_set_") && entry.is_directory(error))
      found.push_back(entry.path().string());
  }
  // By length first, so that set 10 comes after set 2.
  std::ranges::sort(found, [](const std::string &a, const std::string &b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return found;
}

CheckReport checkModel(const std::string &model, const std::vector<std::string> &dataSets,
                       const std::string &artifact, const CheckOptions &options) {
  CheckReport report;
  std::string diagnostics;
  auto start = Clock::now();
  bool compiled = compileFile(model, artifact, options.compiler, diagnostics);
  report.compileSeconds = secondsSince(start);
  if (options.verbose && (compiled || !diagnostics.empty()))
    printDiagnostics(diagnostics, model, compiled);
  if (!compiled)
    throw Failure(options.verbose ? model + ": cannot be compiled" : firstError(diagnostics));
  Module module(artifact, {});
  Session session(module, options.threads);
  for (const std::string &folder : dataSets)
    checkDataSet(module, session, folder, options.tolerance, report);
  return report;
}

} // namespace lathe::tools
