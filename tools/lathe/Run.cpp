// lathe run: runs a model once and shows or stores its outputs.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/DataSet.h"
#include "tools/common/Npy.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/common/TensorProto.h"
#include "tools/lathe/Commands.h"
#include "tools/lathe/Compiler.h"
#include "tools/lathe/Inputs.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <unistd.h>

namespace lathe::tools {

namespace {

struct RunOptions {
  std::string model, outputFolder, format = "npy", variant, device, expected;
  InputOptions inputs;
  std::vector<std::string> dataSets;
  Tolerance tolerance;
  uint32_t threads = 0;
  bool json = false, asOnnxRunner = false;
};

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A file name for an output: names in ONNX hold anything, slashes included.
std::string fileNameFor(const std::string &output, std::set<std::string> &taken) {
  std::string safe;
  for (char c : output)
    safe +=
        std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ? c : '_';
  constexpr size_t longest = 200;
  safe.resize(std::min(safe.size(), longest));
  if (safe.empty() || safe[0] == '.')
    safe.insert(safe.begin(), '_');
  std::string name = safe;
  for (int i = 1; !taken.insert(name).second; ++i)
    name = safe + "_" + std::to_string(i);
  return name;
}

std::string formatValue(const Value &value, const std::string &name, const std::string &format) {
  if (format == "pb")
    return formatValueProto(value, name);
  if (value.kind != LATHE_VALUE_TENSOR && value.kind != LATHE_VALUE_STRINGS)
    throw Failure("output '" + name + "' is no tensor, which .npy files hold; give --format pb");
  return formatNpy(value.tensor);
}

/// "dtype" and "dims" of a tensor; else "kind" and "elements".
void describeJson(const Value &value, nlohmann::ordered_json &out) {
  if (value.kind == LATHE_VALUE_TENSOR || value.kind == LATHE_VALUE_STRINGS) {
    out["dtype"] = typeName(value.tensor.dtype);
    out["dims"] = value.tensor.dims;
    return;
  }
  out["kind"] = value.kind == LATHE_VALUE_SEQUENCE   ? "sequence"
                : value.kind == LATHE_VALUE_OPTIONAL ? "optional"
                                                     : "map";
  out["elements"] = nlohmann::ordered_json::array();
  for (const Value &element : value.elements)
    describeJson(element, out["elements"].emplace_back(nlohmann::ordered_json::object()));
}

nlohmann::ordered_json startReport(const RunOptions &options, const Module &module,
                                   const Session &session, double loadSeconds, double runSeconds) {
  return {{"model", options.model},
          {"variant", module.chosenVariant()},
          {"threads", session.threads()},
          {"load_us", std::round(loadSeconds * 1e6)},
          {"run_us", std::round(runSeconds * 1e6)}};
}

/// Runs on each data set, or once on the inputs that are given, and compares.
int runAndCompare(const RunOptions &options, const Module &module, double loadSeconds) {
  Session session(module, options.threads);
  std::vector<OutputReport> reports;
  double runSeconds = 0;
  auto compare = [&](const std::string &folder, const std::vector<Value> &inputs) {
    runSeconds += compareDataSet(module, session, folder, inputs, options.tolerance, reports);
  };
  for (const std::string &folder : options.dataSets)
    compare(folder, loadDataSet(module, folder));
  if (!options.expected.empty()) {
    InputOptions inputs = options.inputs;
    inputs.keepStates = true;
    compare(options.expected, makeInputs(module, inputs));
  }
  bool passed = allPassed(reports);
  if (options.json) {
    nlohmann::ordered_json report = startReport(options, module, session, loadSeconds, runSeconds);
    report["passed"] = passed;
    report["reason"] = firstReason(reports);
    report["outputs"] = describeOutputs(reports);
    std::cout << report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    Style style(STDOUT_FILENO);
    std::string counts = printOutputs(reports);
    std::cout << (passed ? style.good("passed") : style.bad("failed")) << ": " << counts
              << style.faint("; ran in " + formatSeconds(runSeconds) + ", " +
                             module.chosenVariant())
              << '\n';
  }
  return passed ? ExitFine : ExitFailed;
}

void checkOptions(RunOptions &options) {
  if (options.format != "npy" && options.format != "pb")
    throw WrongUsage("--format wants npy or pb, not '" + options.format + "'");
  checkTolerance(options.tolerance);
  if (options.asOnnxRunner)
    options.tolerance.useOnnxRunners();
  const InputOptions &inputs = options.inputs;
  bool compares = !options.dataSets.empty() || !options.expected.empty();
  if (compares && !options.outputFolder.empty())
    throw WrongUsage("--data and --expect compare outputs; --output-dir cannot go with them");
  if (!options.dataSets.empty() &&
      !(inputs.inputs.empty() && inputs.dims.empty() && options.expected.empty()))
    throw WrongUsage("--data brings inputs and what is expected; --input, --dim and --expect "
                     "cannot go with it");
  std::vector<std::string> folders = options.dataSets;
  if (!options.expected.empty())
    folders.push_back(options.expected);
  for (const std::string &folder : folders)
    if (!std::filesystem::is_directory(folder))
      throw Failure(folder + ": no such folder");
}

int run(RunOptions options) {
  using Clock = std::chrono::steady_clock;
  checkOptions(options);
  ArtifactFile file(options.model, flagsForDevice(options.model, options.device));
  auto start = Clock::now();
  Module module(file.path(), {options.variant, false, true, options.device});
  double loadSeconds = secondsSince(start);
  if (!options.dataSets.empty() || !options.expected.empty())
    return runAndCompare(options, module, loadSeconds);
  InputOptions inputOptions = options.inputs;
  inputOptions.keepStates = true;
  std::vector<Value> inputs = makeInputs(module, inputOptions);
  Session session(module, options.threads);
  start = Clock::now();
  std::vector<Value> outputs = session.run(inputs);
  double runSeconds = secondsSince(start);

  std::vector<std::string> files(outputs.size());
  if (!options.outputFolder.empty()) {
    std::set<std::string> taken;
    std::vector<std::string> contents;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const char *name = module.outputs()[i]->name;
      contents.push_back(formatValue(outputs[i], name, options.format));
      files[i] = options.outputFolder + "/" + fileNameFor(name, taken) + "." + options.format;
    }
    createFolders(options.outputFolder);
    for (size_t i = 0; i < outputs.size(); ++i)
      writeFile(files[i], contents[i]);
  }

  if (options.json) {
    nlohmann::ordered_json report = startReport(options, module, session, loadSeconds, runSeconds);
    report["outputs"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < outputs.size(); ++i) {
      nlohmann::ordered_json output;
      output["name"] = module.outputs()[i]->name;
      describeJson(outputs[i], output);
      if (!files[i].empty())
        output["file"] = files[i];
      report["outputs"].push_back(std::move(output));
    }
    std::cout << report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return ExitFine;
  }

  Style style(STDOUT_FILENO);
  for (size_t i = 0; i < inputs.size(); ++i)
    std::cout << "input   " << style.strong(printable(module.inputs()[i]->name)) << "  "
              << (inputs[i].kind == LATHE_VALUE_NONE ? "state, at its beginning"
                                                     : summarize(inputs[i]))
              << '\n';
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::cout << "output  " << style.strong(printable(module.outputs()[i]->name)) << "  "
              << summarize(outputs[i]) << '\n';
    if (!files[i].empty())
      std::cout << "        written to " << files[i] << '\n';
  }
  std::cout << style.faint("loaded and verified in " + formatSeconds(loadSeconds) + ", first run " +
                           formatSeconds(runSeconds) + " on " + std::to_string(session.threads()) +
                           " thread" + (session.threads() == 1 ? "" : "s") + ", " +
                           module.chosenVariant())
            << '\n';
  return ExitFine;
}

} // namespace

void addRunCommand(CLI::App &root, Action &action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App &command = addCommand(
      root, "run", "Run a compiled model once",
      "  lathe run model.lathe                      random inputs\n"
      "  lathe run model.lathe --input x=cat.npy    one input from NumPy\n"
      "  lathe run model.lathe --input ids=a.pb --input mask=random --output-dir out\n"
      "  lathe run model.lathe --dim batch=8        random inputs with a batch of 8\n"
      "  lathe run model.lathe --data set --rtol 1e-3   inputs and expected outputs from a folder\n"
      "  lathe run model.onnx                       compiles first\n"
      "  lathe run model.onnx --device emulator:sm_90a\n"
      "NumPy has no bf16 and no types below a byte: their files hold the bits as unsigned\n"
      "integers (u4: one element per byte).\n"
      "--data and --expect compare as lathe check does, and need no compiler; where an output is\n"
      "off, the exit status is 1.\n");
  command.add_option("model", options->model, "Artifact (.lathe) or model (.onnx)")->required();
  addInputOptions(command, options->inputs);
  addRepeated(command, "--data", options->dataSets,
              "A data set: inputs from its input_K.pb, and outputs are compared with its "
              "output_K.pb")
      ->type_name("FOLDER");
  command
      .add_option("--expect", options->expected,
                  "Compare outputs with output_K.pb of this folder, whatever the inputs")
      ->type_name("FOLDER");
  addToleranceOptions(command, options->tolerance);
  command.add_flag("--onnx-tolerances", options->asOnnxRunner,
                   "Tolerances of ONNX's own test runner, as lathe check --suite");
  command.add_option("--output-dir,-o", options->outputFolder,
                     "Folder to write outputs to, one file each");
  command.add_option("--format", options->format, "Form of the files: npy (default) or pb");
  command.add_option("--threads,-t", options->threads,
                     "Threads; 0, the default: one per processor");
  command.add_option("--variant", options->variant,
                     "Run this variant of the code, such as x86-64-v3");
  addDeviceOption(command, options->device);
  command.add_flag("--json", options->json, "Print one JSON object");
  command.callback([options, &action] { action = [options] { return run(*options); }; });
}

} // namespace lathe::tools
