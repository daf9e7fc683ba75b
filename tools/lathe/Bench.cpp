// lathe bench: how fast a model runs, against what this machine can do.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Dims.h"
#include "tools/common/KernelTimes.h"
#include "tools/common/Manifest.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"
#include "tools/lathe/Commands.h"
#include "tools/lathe/Compiler.h"
#include "tools/lathe/Inputs.h"
#include "tools/lathe/Peak.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <numeric>
#include <unistd.h>

namespace lathe::tools {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string model, variant, target, device;
  InputOptions inputs;
  uint32_t threads = 0;
  uint32_t runs = 0; ///< 0: as many as fit into `seconds`
  double seconds = 1;
  bool kernels = false, json = false;
};

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Durations of runs in seconds, ascending.
struct Latency {
  std::vector<double> sorted;

  explicit Latency(std::vector<double> seconds) : sorted(std::move(seconds)) {
    std::ranges::sort(sorted);
  }
  /// Nearest rank: the least duration that `percent` of the runs do not exceed.
  double percentile(double percent) const { return sorted[nearestRank(sorted.size(), percent)]; }
  double mean() const {
    return std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  }
};

/// Warms up for a tenth of the time, then measures.
Latency measure(Session &session, const BorrowedValues &inputs, OwnedValues &outputs,
                const BenchOptions &options) {
  constexpr uint32_t leastRuns = 5, mostRuns = 1000000;
  auto start = Clock::now();
  for (int i = 0; i < 3 || secondsSince(start) < options.seconds / 10; ++i) {
    session.run(inputs, outputs);
    if (secondsSince(start) > options.seconds)
      break;
  }
  std::vector<double> seconds;
  start = Clock::now();
  auto enough = [&] {
    if (options.runs != 0)
      return seconds.size() >= options.runs;
    return seconds.size() >= mostRuns ||
           (seconds.size() >= leastRuns && secondsSince(start) >= options.seconds);
  };
  while (!enough()) {
    auto begin = Clock::now();
    session.run(inputs, outputs);
    seconds.push_back(secondsSince(begin));
  }
  return Latency(std::move(seconds));
}

/// Time in one kernel of the artifact, per run: the median of its calls, times their number, so
/// that what else the machine does counts little.
struct KernelTime {
  std::string name;
  const KernelInfo *info = nullptr;
  double seconds = 0, calls = 0, flops = 0, bytes = 0;
  double floor = 0; ///< seconds that the machine needs for it at least
};

/// The kernels of a run, with what the machine needs for them at least.
class KernelProfile {
public:
  KernelProfile(KernelTimes &times, const TargetInfo *target, double secondsPerRun,
                const Peak &peak) {
    int runs = static_cast<int>(std::clamp(0.5 / std::max(secondsPerRun, 1e-6), 3.0, 100000.0));
    double mean = times.run(runs);
    for (const auto &[name, sum] : times.kernels()) {
      KernelTime time{name};
      time.calls = sum.calls / runs;
      time.seconds = sum.seconds(50) * time.calls;
      for (const auto &[work, calls] : sum.work) {
        auto [flops, bytes] = work;
        time.flops += flops * calls / runs;
        time.bytes += bytes * calls / runs;
        time.floor += peak.floorSeconds(flops, bytes) * calls / runs;
      }
      if (target)
        time.info = target->findKernel(name);
      inKernels += time.seconds;
      kernels.push_back(std::move(time));
    }
    std::ranges::sort(kernels, std::greater(), &KernelTime::seconds);
    total = std::max(inKernels, std::min(mean, secondsPerRun));
  }

  std::vector<KernelTime> kernels; ///< slowest first
  double total = 0, inKernels = 0; ///< seconds per run
};

/// All that was found out.
struct Report {
  std::vector<std::pair<std::string, int64_t>> dims; ///< that were asked for
  std::string variant;
  uint32_t threads = 0;
  double compileSeconds = 0, loadSeconds = 0, verifySeconds = 0, firstRunSeconds = 0;
  uint64_t arenaBytes = 0, fileBytes = 0;
  double flops = 0, bytes = 0;
  Peak peak;
};

double ratePerSecond(double amount, double seconds) {
  return seconds > 0 ? amount / seconds * 1e-9 : 0;
}
/// Three decimals: more would be noise, and JSON shows them all.
double rounded(double value) { return std::round(value * 1000) / 1000; }
double percentOf(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

nlohmann::ordered_json describe(const BenchOptions &options, const Report &report,
                                const Latency &latency, const KernelProfile *profile) {
  nlohmann::ordered_json json;
  double p50 = latency.percentile(50);
  json["model"] = options.model;
  for (const auto &[name, size] : report.dims)
    json["dims"][name] = size;
  json["variant"] = report.variant;
  json["threads"] = report.threads;
  json["runs"] = latency.sorted.size();
  json["min_us"] = rounded(latency.sorted.front() * 1e6);
  json["p50_us"] = rounded(p50 * 1e6);
  json["p95_us"] = rounded(latency.percentile(95) * 1e6);
  json["p99_us"] = rounded(latency.percentile(99) * 1e6);
  json["max_us"] = rounded(latency.sorted.back() * 1e6);
  json["mean_us"] = rounded(latency.mean() * 1e6);
  json["first_run_us"] = rounded(report.firstRunSeconds * 1e6);
  json["load_us"] = rounded(report.loadSeconds * 1e6);
  json["verify_us"] = rounded(report.verifySeconds * 1e6);
  if (report.compileSeconds > 0)
    json["compile_s"] = rounded(report.compileSeconds);
  json["flops"] = report.flops;
  json["bytes"] = report.bytes;
  json["gflops"] = rounded(ratePerSecond(report.flops, p50));
  json["gbs"] = rounded(ratePerSecond(report.bytes, p50));
  json["peak_gflops"] = rounded(report.peak.gflops);
  json["peak_gbs"] = rounded(report.peak.gigabytesPerSecond);
  json["percent_of_peak"] =
      rounded(percentOf(ratePerSecond(report.flops, p50), report.peak.gflops));
  json["arena_bytes"] = report.arenaBytes;
  json["file_bytes"] = report.fileBytes;
  if (profile) {
    json["kernels"] = nlohmann::ordered_json::array();
    for (const KernelTime &kernel : profile->kernels) {
      nlohmann::ordered_json entry{{"name", kernel.name},
                                   {"calls", kernel.calls},
                                   {"us", rounded(kernel.seconds * 1e6)},
                                   {"percent", rounded(percentOf(kernel.seconds, profile->total))}};
      entry["flops"] = kernel.flops;
      entry["bytes"] = kernel.bytes;
      entry["gflops"] = rounded(ratePerSecond(kernel.flops, kernel.seconds));
      entry["gbs"] = rounded(ratePerSecond(kernel.bytes, kernel.seconds));
      entry["percent_of_ceiling"] = rounded(percentOf(kernel.floor, kernel.seconds));
      if (kernel.info) {
        entry["kind"] = kernel.info->kind;
        if (!kernel.info->shape.empty())
          entry["shape"] = kernel.info->shape;
        entry["nodes"] = kernel.info->nodes;
      }
      json["kernels"].push_back(std::move(entry));
    }
    json["outside_kernels_us"] = rounded(std::max(0.0, profile->total - profile->inKernels) * 1e6);
  }
  return json;
}

void printKernels(const Style &style, const KernelProfile &profile) {
  constexpr size_t nodesShown = 3;
  std::printf("\n%8s %6s %6s %9s %8s %8s  kernel\n", "time", "share", "calls", "GFLOP/s", "GB/s",
              "ceiling");
  for (const KernelTime &kernel : profile.kernels) {
    std::string nodes;
    if (kernel.info && !kernel.info->nodes.empty()) {
      const auto &all = kernel.info->nodes;
      nodes = join({all.begin(), all.begin() + std::min(nodesShown, all.size())}, ", ");
      if (all.size() > nodesShown)
        nodes += " and " + std::to_string(all.size() - nodesShown) + " more";
    }
    auto rate = [&](double amount) {
      return amount > 0 ? formatNumber(ratePerSecond(amount, kernel.seconds), 3) : "-";
    };
    std::printf("%8s %5.1f%% %6.0f %9s %8s %7.1f%%  %s  %s\n",
                formatSeconds(kernel.seconds).c_str(), percentOf(kernel.seconds, profile.total),
                kernel.calls, rate(kernel.flops).c_str(), rate(kernel.bytes).c_str(),
                percentOf(kernel.floor, kernel.seconds), printable(kernel.name).c_str(),
                style.faint(printable(nodes)).c_str());
  }
  double outside = std::max(0.0, profile.total - profile.inKernels);
  std::printf("%8s %5.1f%%  outside kernels\n", formatSeconds(outside).c_str(),
              percentOf(outside, profile.total));
}

void printText(const BenchOptions &options, const Report &report, const Latency &latency,
               const KernelProfile *profile) {
  Style style(STDOUT_FILENO);
  double p50 = latency.percentile(50), gflops = ratePerSecond(report.flops, p50);
  auto line = [&](const char *title, const std::string &text) {
    std::printf("%-10s %s\n", title, text.c_str());
  };
  std::string sizes;
  for (const auto &[name, size] : report.dims)
    sizes += name + "=" + std::to_string(size) + ", ";
  line("model", style.strong(options.model) + "  " + printable(sizes) + report.variant + ", " +
                    formatCount(report.threads, "thread") + ", " +
                    formatCount(latency.sorted.size(), "run"));
  line("latency", style.strong("p50 " + formatSeconds(p50)) + "  p95 " +
                      formatSeconds(latency.percentile(95)) + "  p99 " +
                      formatSeconds(latency.percentile(99)) + "  min " +
                      formatSeconds(latency.sorted.front()));
  if (report.flops > 0)
    line("compute", formatNumber(gflops, 3) + " GFLOP/s, " +
                        formatNumber(percentOf(gflops, report.peak.gflops), 3) + " % of the " +
                        formatNumber(report.peak.gflops, 3) + " measured here (" +
                        formatNumber(report.flops * 1e-6, 4) + " MFLOP a run)");
  if (report.bytes > 0)
    line("traffic", formatNumber(ratePerSecond(report.bytes, p50), 3) + " GB/s (memory here: " +
                        formatNumber(report.peak.gigabytesPerSecond, 3) + ")");
  std::string start = "load " + formatSeconds(report.loadSeconds) + "  verify " +
                      formatSeconds(report.verifySeconds) + "  first run " +
                      formatSeconds(report.firstRunSeconds);
  if (report.compileSeconds > 0)
    start = "compile " + formatSeconds(report.compileSeconds) + "  " + start;
  line("start", start);
  line("memory",
       "file " + formatBytes(report.fileBytes) + "  arena " + formatBytes(report.arenaBytes));
  if (profile)
    printKernels(style, *profile);
}

/// The work of a run, which knows the sizes of every dimension, as the manifest does not.
void countWork(const KernelTimes &times, Report &report) {
  for (const auto &[name, sum] : times.kernels())
    for (const auto &[work, calls] : sum.work) {
      report.flops += work.first * calls / times.runs();
      report.bytes += work.second * calls / times.runs();
    }
}

/// Measures with inputs of the sizes that the options name.
void benchSizes(const Module &module, const BenchOptions &options, Report report,
                nlohmann::ordered_json *json) {
  std::vector<Value> inputs = makeInputs(module, options.inputs);
  Session session(module, options.threads);
  BorrowedValues borrowed(inputs);
  OwnedValues outputs(module.outputs().size());
  auto start = Clock::now();
  session.run(borrowed, outputs);
  report.firstRunSeconds = secondsSince(start);
  Latency latency = measure(session, borrowed, outputs, options);

  Manifest manifest(module.manifest());
  report.dims = parseDims(options.inputs.dims);
  report.variant = module.chosenVariant();
  report.threads = session.threads();
  report.arenaBytes = session.arenaBytes();
  report.fileBytes = lathe_module_file_bytes(module.get());
  const TargetInfo *target = manifest.find(report.variant);
  report.peak = measurePeak(report.threads);
  std::unique_ptr<KernelProfile> profile;
  KernelTimes times(module, options.threads, inputs);
  if (options.kernels)
    profile = std::make_unique<KernelProfile>(times, target, latency.percentile(50), report.peak);
  else
    times.run(1);
  countWork(times, report);
  if (json)
    json->push_back(describe(options, report, latency, profile.get()));
  else
    printText(options, report, latency, profile.get());
}

/// The sizes to measure, one after another; what concerns compiling goes to `flags`.
std::vector<std::vector<std::string>> findSizes(const BenchOptions &options,
                                                std::vector<std::string> &flags) {
  DimRules rules = parseDimRules(options.inputs.dims);
  bool compiles = isModel(options.model);
  for (const DimBounds &dim : rules.bounds) {
    if (!compiles)
      throw WrongUsage("--dim " + dim.name + ": bounds are set when compiling");
    flags.insert(flags.end(), {"--dim", dim.name + "=" + std::to_string(dim.min) + ".." +
                                            std::to_string(dim.max)});
  }
  for (const DimSizes &dim : rules.sizes) {
    std::vector<std::string> texts;
    for (int64_t size : dim.sizes)
      texts.push_back(std::to_string(size));
    if (compiles)
      flags.insert(flags.end(), {"--dim", dim.name + "=" + join(texts, ",")});
  }
  std::vector<std::vector<std::string>> all;
  for (auto &sizes : combineSizes(rules.sizes)) {
    sizes.insert(sizes.begin(), rules.fixed.begin(), rules.fixed.end());
    std::vector<std::string> &texts = all.emplace_back();
    for (const auto &[name, size] : sizes)
      texts.push_back(name + "=" + std::to_string(size));
  }
  return all;
}

int bench(BenchOptions options) {
  if (!(options.seconds > 0) || options.seconds > 3600)
    throw WrongUsage("--seconds wants a time above 0 and up to 3600");
  std::vector<std::string> flags;
  if (!options.target.empty())
    flags = {"--target", options.target};
  else
    flags = flagsForDevice(options.model, options.device);
  std::vector<std::vector<std::string>> sizes = findSizes(options, flags);
  ArtifactFile file(options.model, flags);

  Report report;
  report.compileSeconds = file.compileSeconds();
  auto start = Clock::now();
  Module module(file.path(), {options.variant, false, /*verifyWeights=*/false, options.device});
  report.loadSeconds = secondsSince(start);
  start = Clock::now();
  lathe_status status;
  checkStatus(lathe_module_verify(module.get(), &status), status);
  report.verifySeconds = secondsSince(start);

  auto results = nlohmann::ordered_json::array();
  for (const std::vector<std::string> &dims : sizes) {
    if (&dims != &sizes.front() && !options.json)
      std::printf("\n");
    options.inputs.dims = dims;
    benchSizes(module, options, report, options.json ? &results : nullptr);
  }
  if (options.json)
    std::cout << (sizes.size() == 1 ? results.front() : results)
                     .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
              << '\n';
  return ExitFine;
}

} // namespace

void addBenchCommand(CLI::App &root, Action &action) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App &command = addCommand(
      root, "bench", "Measure how fast a model runs",
      "  lathe bench model.lathe                     all processors, random inputs\n"
      "  lathe bench model.lathe --threads 1 --runs 100\n"
      "  lathe bench model.onnx --target x86-64-v3   compiles first\n"
      "  lathe bench model.onnx --dim batch=1,8      with code for both sizes, measured in turn\n"
      "  lathe bench model.lathe --kernels           time and speed of every kernel, and the "
      "percentage\n"
      "                                              of what arithmetic or memory allows\n"
      "  lathe bench model.lathe --json | jq .p50_us\n"
      "Percentages are of what this machine does at most, measured at the same time with the same\n"
      "number of threads.\n");
  command.add_option("model", options->model, "Artifact (.lathe) or model (.onnx)")->required();
  addInputOptions(command, options->inputs);
  command.get_option("--dim")
      ->description("Size of a symbolic dimension of random inputs (default 1); several are "
                    "measured one after another. With a model, several sizes get code of their "
                    "own, and bounds are compiled in")
      ->type_name(dimForm);
  command.add_option("--threads,-t", options->threads,
                     "Threads; 0, the default: one per processor");
  command.add_option("--runs,-n", options->runs, "Runs to measure (default: as many as fit)")
      ->check(CLI::Range(1u, 1000000u));
  command.add_option("--seconds", options->seconds, "Time to measure for (default 1)");
  command.add_option("--variant", options->variant,
                     "Run this variant of the code, such as x86-64-v3");
  command.add_option("--target", options->target, "With a model: the target to compile for");
  addDeviceOption(command, options->device);
  command.add_flag("--kernels", options->kernels, "Show every kernel");
  command.add_flag("--json", options->json, "Print one JSON object");
  command.callback([options, &action] { action = [options] { return bench(*options); }; });
}

} // namespace lathe::tools
