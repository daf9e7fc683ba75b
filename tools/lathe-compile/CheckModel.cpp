// Compiles a model, runs it on data sets and compares: what lathe check does for one model.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe-compile/CheckModel.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/lathe-compile/Diagnostics.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

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

/// The outputs that follow from random numbers.
std::set<std::string> findRandomOutputs(const Module &module) {
  std::set<std::string> names;
  auto manifest = nlohmann::json::parse(module.manifest(), nullptr, /*allow_exceptions=*/false);
  if (manifest.is_object() && manifest.contains("random_outputs"))
    for (const auto &name : manifest["random_outputs"])
      names.insert(name.get<std::string>());
  return names;
}

void runAndCompare(const Module &module, Session &session, const std::string &folder,
                   const std::vector<Value> &inputs, const Tolerance &tolerance,
                   CheckReport &report) {
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
  auto start = Clock::now();
  std::vector<Value> outputs = session.run(inputs);
  report.runSeconds += secondsSince(start);
  for (size_t i : given) {
    const lathe_tensor_spec &spec = *module.outputs()[i];
    Value expected = loadValue(dataFile(folder, "output", i), spec);
    report.outputs.push_back({folder, spec.name, describeType(outputs[i]),
                              random.contains(spec.name)
                                  ? compareStatistics(outputs[i], expected)
                                  : compareValues(outputs[i], expected, tolerance)});
  }
}

double compileModel(const std::string &model, const std::string &artifact,
                    const CompileOptions &compiler, bool verbose) {
  std::string diagnostics;
  auto start = Clock::now();
  bool compiled = compileFile(model, artifact, compiler, diagnostics);
  double seconds = secondsSince(start);
  if (verbose && (compiled || !diagnostics.empty()))
    printDiagnostics(diagnostics, model, compiled);
  if (!compiled)
    throw Failure(verbose ? model + ": cannot be compiled" : firstError(diagnostics));
  return seconds;
}

/// Other inputs of the same types: every size above 1 (or `firstOnly` the first of each input,
/// above 0) is one more, so that sizes that were equal stay so. What looks like a shape, axes or
/// indices in a list keeps its values.
std::vector<Value> growInputs(const Module &module, const std::vector<Value> &inputs,
                              bool firstOnly) {
  constexpr int64_t longestList = 16;
  std::vector<Value> grown;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const lathe_tensor_spec &spec = *module.inputs()[i];
    const Tensor &tensor = inputs[i].tensor;
    bool isList = tensor.dims.size() <= 1 && tensor.dtype == LATHE_I64 &&
                  tensor.elementCount() <= longestList;
    if (inputs[i].kind != LATHE_VALUE_TENSOR || isList) {
      grown.push_back(inputs[i]);
      continue;
    }
    RandomOptions random{i, {}};
    for (uint32_t d = 0; d < spec.rank; ++d)
      if (spec.dims[d].symbol) {
        bool grows = firstOnly ? d == 0 && tensor.dims[d] > 0 : tensor.dims[d] > 1;
        random.dims.emplace_back(spec.dims[d].symbol, tensor.dims[d] + grows);
      }
    grown.push_back(randomValue(spec, i, random));
  }
  return grown;
}

/// Runs where the inputs may be refused: then the reason stands in place of outputs.
std::pair<std::vector<Value>, std::string> tryRun(Session &session, std::span<const Value> inputs) {
  try {
    return {session.run(inputs), ""};
  } catch (const Failure &failure) {
    return {{}, failure.what()};
  }
}

/// The artifact at other sizes against the plain form of the model.
void checkOtherSizes(const std::string &model, const Module &module, Session &session,
                     const std::vector<Value> &inputs, const CheckOptions &options,
                     CheckReport &report) {
  CompileOptions plain = options.compiler;
  plain.optLevel = 0;
  if (!options.device.empty())
    plain.target.clear(); // the host's
  TemporaryFile artifact(".lathe");
  report.compileSeconds += compileModel(model, artifact.path(), plain, options.verbose);
  Module plainModule(artifact.path(), {});
  Session plainSession(plainModule, 1);
  std::vector<Value> outputs, expected;
  std::string refusal, plainRefusal;
  // Where constants of the model fix other sizes, the first ones are often free.
  for (bool firstOnly : {false, true}) {
    std::vector<Value> grown = growInputs(module, inputs, firstOnly);
    std::tie(outputs, refusal) = tryRun(session, grown);
    std::tie(expected, plainRefusal) = tryRun(plainSession, grown);
    if (refusal.empty() || plainRefusal.empty())
      break;
  }
  if (refusal.empty() != plainRefusal.empty()) {
    report.failure = "at other sizes -O" + std::to_string(options.compiler.optLevel) +
                     (refusal.empty() ? " runs" : " says '" + refusal + "'") + " where -O0" +
                     (plainRefusal.empty() ? " runs" : " says '" + plainRefusal + "'");
    return;
  }
  // ONNX's absolute tolerance is for the data that its cases bring; here it follows from the RMS.
  Tolerance tolerance = options.tolerance;
  if (tolerance.asOnnxRunner)
    tolerance.absolute.reset();
  for (size_t i = 0; i < outputs.size(); ++i)
    report.outputs.push_back({"other sizes", module.outputs()[i]->name, describeType(outputs[i]),
                              compareValues(outputs[i], expected[i], tolerance)});
}

OpenOptions openOptions(const CheckOptions &options) {
  OpenOptions open;
  open.device = options.device;
  return open;
}

/// One data set whose inputs are part of the model.
void checkConstants(const std::string &model, const std::string &folder,
                    const std::string &artifact, const CheckOptions &options, CheckReport &report) {
  CompileOptions compiler = options.compiler;
  for (size_t i = 0, count = countDataFiles(folder, "input"); i < count; ++i)
    compiler.constantInputs.push_back(dataFile(folder, "input", i));
  report.compileSeconds += compileModel(model, artifact, compiler, options.verbose);
  Module module(artifact, openOptions(options));
  Session session(module, options.threads);
  runAndCompare(module, session, folder, {}, options.tolerance, report);
  auto manifest = nlohmann::json::parse(module.manifest());
  // What belongs to no node copies a constant to an output.
  for (const auto &kernel : manifest["targets"][0]["kernels"])
    if (!kernel["nodes"].empty() && module.inputs().empty())
      report.failure = "a kernel remains for node " + kernel["nodes"][0].get<std::string>();
}

} // namespace

bool CheckReport::passed() const {
  return failure.empty() && std::ranges::all_of(outputs, [](const OutputReport &output) {
           return output.comparison.passed;
         });
}

std::string CheckReport::reason() const {
  for (const OutputReport &output : outputs)
    if (!output.comparison.passed)
      return fs::path(output.dataSet).filename().string() + ": output '" + output.output + "' " +
             output.comparison.reason;
  return failure;
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
  if (options.mode == CheckMode::ConstantInputs) {
    for (const std::string &folder : dataSets)
      checkConstants(model, folder, artifact, options, report);
    return report;
  }
  CheckOptions used = options;
  used.compiler.dynamicDims = options.mode == CheckMode::Dynamic;
  report.compileSeconds = compileModel(model, artifact, used.compiler, options.verbose);
  Module module(artifact, openOptions(options));
  Session session(module, options.threads);
  std::vector<Value> inputs;
  for (const std::string &folder : dataSets) {
    inputs = loadInputs(module, folder);
    runAndCompare(module, session, folder, inputs, options.tolerance, report);
  }
  if (options.mode == CheckMode::Dynamic)
    checkOtherSizes(model, module, session, inputs, used, report);
  return report;
}

} // namespace lathe::tools
