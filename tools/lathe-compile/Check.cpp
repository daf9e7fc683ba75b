// lathe check: compiles a model, runs it and compares with expected outputs.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Dims.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/lathe-compile/CheckModel.h"
#include "tools/lathe-compile/Commands.h"
#include "tools/lathe-compile/Diagnostics.h"
#include "tools/lathe-compile/Suite.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace lathe::tools {

namespace {

using Json = nlohmann::ordered_json;

struct CheckFlags {
  std::string model, json;
  std::vector<std::string> dataSets, dims;
  SuiteOptions suite;
  double memoryGigabytes = 8;
  bool dynamic = false, constantInputs = false;
};

void printReport(const CheckReport &report, const std::string &artifactNote) {
  Style style(STDOUT_FILENO);
  std::string counts = printOutputs(report.outputs);
  if (!report.failure.empty())
    std::cout << "  " << style.bad("FAIL") << "  " << printable(report.failure) << '\n';
  std::cout << (!report.passed() ? style.bad("failed") : style.good("passed")) << ": " << counts
            << style.faint(artifactNote) << '\n';
}

Json describeReport(const std::string &model, const CheckReport &report) {
  return {{"model", model},
          {"passed", report.passed()},
          {"reason", report.reason()},
          {"compile_s", report.compileSeconds},
          {"run_s", report.runSeconds},
          {"outputs", describeOutputs(report.outputs)}};
}

int checkOne(const CheckFlags &flags) {
  std::vector<std::string> dataSets =
      flags.dataSets.empty() ? findDataSets(flags.model) : flags.dataSets;
  for (const std::string &folder : flags.dataSets)
    if (!std::filesystem::is_directory(folder))
      throw Failure(folder + ": no such folder");
  // A missing or broken model is the compiler's to report, so that comes first.
  if (dataSets.empty() && std::filesystem::exists(flags.model))
    throw Failure(flags.model + ": no test_data_set_* folder beside it; name one with --data");
  TemporaryFile artifact(".lathe");
  CheckReport report = checkModel(flags.model, dataSets, artifact.path(), flags.suite.check);
  if (!flags.json.empty()) {
    std::string text =
        describeReport(flags.model, report).dump(2, ' ', false, Json::error_handler_t::replace) +
        "\n";
    if (flags.json != "-")
      writeFile(flags.json, text);
    else
      std::cout << text;
  }
  if (flags.json != "-")
    printReport(report, "; compiled in " + formatSeconds(report.compileSeconds) + ", ran in " +
                            formatSeconds(report.runSeconds));
  return report.passed() ? ExitFine : ExitFailed;
}

int check(CheckFlags flags) {
  SuiteOptions &suite = flags.suite;
  bool isSuite = !suite.folder.empty();
  if (isSuite == !flags.model.empty())
    throw WrongUsage(isSuite ? "a model and --suite cannot go together"
                             : "give a model, or --suite FOLDER");
  if (isSuite && !flags.dataSets.empty())
    throw WrongUsage("--data is for one model; a suite takes the data sets beside each model");
  if (!isSuite && !suite.only.empty())
    throw WrongUsage("--only is for --suite");
  if (flags.dynamic && flags.constantInputs)
    throw WrongUsage("--dynamic and --constant-inputs cannot go together");
  suite.check.mode = flags.dynamic          ? CheckMode::Dynamic
                     : flags.constantInputs ? CheckMode::ConstantInputs
                                            : CheckMode::Plain;
  checkChoices(suite.check.compiler);
  std::string deviceTarget = targetOfDevice(suite.check.device);
  if (suite.check.compiler.target.empty())
    suite.check.compiler.target = deviceTarget;
  checkTargets(suite.check.compiler.target);
  setDims(suite.check.compiler, flags.dims);
  checkTolerance(suite.check.tolerance);
  if (!isSuite)
    return checkOne(flags);
  if (!(suite.timeout > 0) || !(flags.memoryGigabytes > 0))
    throw WrongUsage("--timeout and --memory want numbers above 0");
  suite.jsonFile = flags.json;
  suite.memoryBytes = static_cast<uint64_t>(flags.memoryGigabytes * (1 << 30));
  return runSuite(suite);
}

} // namespace

void addCheckCommand(CLI::App &root, Action &action) {
  auto flags = std::make_shared<CheckFlags>();
  SuiteOptions &suite = flags->suite;
  CLI::App &command = addCommand(
      root, "check", "Compile a model, run it and compare with expected outputs",
      "  lathe check model.onnx                        all test_data_set_* beside the model\n"
      "  lathe check model.onnx --data my_set --rtol 1e-3 --atol 1e-5\n"
      "  lathe check model.onnx --target x86-64-v3 --threads 1\n"
      "  lathe check model.onnx --device emulator:sm_90a\n"
      "  lathe check --suite node --only 'test_add.*' --jobs 8 --json report.json\n"
      "A data set is a folder with input_K.pb and output_K.pb. An element passes where\n"
      "|actual - expected| <= atol + rtol * |expected|. Default: rtol 1e-4 and atol 2e-5 times "
      "the\n"
      "RMS of the expected output, f16 and bf16 four units of their last place, integers exact;\n"
      "for a suite rtol 1e-3 and atol 1e-7, as in ONNX's own test runner.\n");
  command.add_option("model", flags->model, "Model (.onnx)");
  addRepeated(command, "--data", flags->dataSets, "A data set (default: those beside the model)")
      ->type_name("FOLDER");
  addToleranceOptions(command, suite.check.tolerance);
  command.add_option("--target", suite.check.compiler.target, "Target to compile for");
  addDeviceOption(command, suite.check.device);
  command.add_option(
      "--precision", suite.check.compiler.precision,
      "model (default), bf16, tf32 or fp8, as for compile; give a tolerance with it");
  addRepeated(command, "--dim", flags->dims,
              "Fix a symbolic dimension of the model, bound it, or have code for some sizes beside "
              "the general code")
      ->type_name(dimForm);
  command.add_option("--threads,-t", suite.check.threads,
                     "Threads; 0: one per processor (default; 1 in a suite)");
  command.add_option("-O", suite.check.compiler.optLevel, "Optimization, 0 to 3 (default)")
      ->check(CLI::Range(0u, 3u));
  command.add_flag("--strict", suite.check.compiler.strict,
                   "Compute in the order that the model writes, but for the lanes of vectors");
  command.add_option("--batch", suite.check.compiler.batch,
                     "Samples of a batch each by themselves, the whole batch, or auto (default)");
  command.add_flag("--deterministic", suite.check.compiler.deterministic,
                   "Same bits with any number of threads and in any place of a batch");
  command.add_flag(
      "--dynamic", flags->dynamic,
      "Take every dimension of the inputs as unknown; then run at other sizes as well, "
      "against -O0");
  command.add_flag("--constant-inputs", flags->constantInputs,
                   "Make every input a constant: the compiler must fold the whole model");
  command.add_option("--suite", suite.folder,
                     "Check every folder below this one that has a model.onnx");
  command.add_option("--only", suite.only, "Suite: only cases whose names match")
      ->type_name("REGEX");
  command.add_option("--jobs,-j", suite.jobs, "Suite: cases at a time (default: processors)");
  command.add_option("--timeout", suite.timeout, "Suite: seconds per case (default 120)");
  command.add_option("--memory", flags->memoryGigabytes, "Suite: GiB per case (default 8)");
  command.add_option("--json", flags->json, "Write a JSON report to this file; - prints it")
      ->type_name("FILE");
  command.callback([flags, &action] { action = [flags] { return check(*flags); }; });
}

} // namespace lathe::tools
