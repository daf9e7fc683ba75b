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
#include <tuple>

namespace lathe::tools {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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
  report.runSeconds +=
      compareDataSet(module, session, folder, {}, options.tolerance, report.outputs);
  auto manifest = nlohmann::json::parse(module.manifest());
  // What belongs to no node copies a constant to an output.
  for (const auto &kernel : manifest["targets"][0]["kernels"])
    if (!kernel["nodes"].empty() && module.inputs().empty())
      report.failure = "a kernel remains for node " + kernel["nodes"][0].get<std::string>();
}

} // namespace

bool CheckReport::passed() const { return failure.empty() && allPassed(outputs); }

std::string CheckReport::reason() const {
  std::string reason = firstReason(outputs);
  return reason.empty() ? failure : reason;
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
    inputs = loadDataSet(module, folder);
    report.runSeconds +=
        compareDataSet(module, session, folder, inputs, options.tolerance, report.outputs);
  }
  if (options.mode == CheckMode::Dynamic)
    checkOtherSizes(model, module, session, inputs, used, report);
  return report;
}

} // namespace lathe::tools
