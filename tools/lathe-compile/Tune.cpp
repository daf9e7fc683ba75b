// Candidates are tried in rounds: in each, every kernel in question has another schedule, since
// kernels hardly depend on each other. What looks faster is measured once more, run by run beside
// what it is to replace.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe-compile/Tune.h"
#include "tools/common/KernelTimes.h"
#include "tools/common/Manifest.h"
#include "tools/common/Support.h"
#include "tools/lathe-compile/Diagnostics.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <memory>
#include <set>

namespace lathe::tools {

namespace {

/// Schedules by the shape of the kernels: the right side of a table's lines.
using Schedules = std::map<std::string, std::string>;

/// Seconds of a run by the shape of the kernels.
using Times = std::map<std::string, double>;

std::string writeTable(const std::string &registers, const Schedules &schedules) {
  std::string text;
  for (const auto &[shape, schedule] : schedules)
    text.append(registers).append(" ").append(shape).append(": ").append(schedule).append("\n");
  return text;
}

/// A compiled form of the model, ready to be measured.
class Form {
public:
  Form(const std::string &model, CompileOptions compiler, const std::string &table)
      : artifact(".lathe"), tableFile(".schedule") {
    if (!table.empty()) {
      writeFile(tableFile.path(), table);
      compiler.scheduleFile = tableFile.path();
    }
    compiler.progress = nullptr;
    compiler.kernelsDone = nullptr;
    std::string diagnostics;
    if (!compileFile(model, artifact.path(), compiler, diagnostics))
      throw Failure(model + ": cannot be compiled: " + firstError(diagnostics));
    module = std::make_unique<Module>(artifact.path(), OpenOptions());
    Manifest manifest(module->manifest());
    if (const TargetInfo *found = manifest.find(module->chosenVariant()))
      target = *found;
    RandomOptions random;
    random.dims = compiler.dims;
    for (const DimSizes &dim : compiler.dimSizes)
      random.dims.emplace_back(dim.name, dim.sizes.front());
    for (size_t i = 0; i < module->inputs().size(); ++i)
      inputs.push_back(randomValue(*module->inputs()[i], i, random));
    times = std::make_unique<KernelTimes>(*module, 1, inputs);
  }

  /// Runs so many times; the mean seconds of a run.
  double run(int runs) { return times->run(runs); }
  void clear() { times->clear(); }
  const std::string &registers() const { return target.registers; }
  const std::string &variant() const { return target.name; }

  /// A fifth of the calls were at most that fast: what else the machine does comes on top.
  Times byShape() const {
    Times result;
    for (const auto &[name, kernel] : times->kernels())
      if (const KernelInfo *info = target.findKernel(name); info && !info->shape.empty())
        result[info->shape] += kernel.seconds(20) * kernel.calls / times->runs();
    return result;
  }

  /// The shapes whose convolutions are by Winograd's algorithm.
  std::set<std::string> winograd() const {
    std::set<std::string> shapes;
    for (const auto &[name, kernel] : times->kernels())
      if (const KernelInfo *info = target.findKernel(name); info && info->kind == "winograd")
        shapes.insert(info->shape);
    return shapes;
  }

private:
  TemporaryFile artifact, tableFile;
  std::unique_ptr<Module> module;
  TargetInfo target; ///< that runs here
  std::vector<Value> inputs;
  std::unique_ptr<KernelTimes> times;
};

/// Tiles that keep their accumulators, what rows share and one number in registers, and are large
/// enough to hide the latency of the multiply-add.
std::vector<std::string> listTiles(const std::string &registers) {
  size_t count = std::strtoul(registers.c_str() + registers.find('x') + 1, nullptr, 10);
  std::vector<std::string> tiles;
  for (size_t vectors = 1; vectors <= 4; ++vectors)
    for (size_t rows : {14, 12, 10, 8, 6, 5, 4, 3, 2}) {
      size_t sums = rows * vectors;
      if (sums + vectors + 1 <= count && sums >= std::min<size_t>(8, count / 2) &&
          (vectors > 1 || rows >= 8))
        tiles.push_back("rows=" + std::to_string(rows) + " vectors=" + std::to_string(vectors));
    }
  return tiles;
}

/// The shapes that take nine tenths of the time in tiled kernels, but none below a hundredth.
std::vector<std::string> findCostliest(const Times &times) {
  std::vector<std::pair<double, std::string>> sorted;
  double total = 0, seen = 0;
  for (const auto &[shape, seconds] : times) {
    sorted.emplace_back(seconds, shape);
    total += seconds;
  }
  std::ranges::sort(sorted, std::greater());
  std::vector<std::string> shapes;
  for (const auto &[seconds, shape] : sorted) {
    if (seen >= 0.9 * total || seconds < 0.01 * total)
      break;
    shapes.push_back(shape);
    seen += seconds;
  }
  return shapes;
}

} // namespace

TuneResult tune(const std::string &model, const CompileOptions &compiler,
                const std::function<void(const std::string &)> &progress) {
  constexpr double roundSeconds = 0.25;
  constexpr double gain = 1.02; // less than that is noise
  progress("as it is");
  Form before(model, compiler, "");
  double once = before.run(1);
  int runs = static_cast<int>(std::clamp(roundSeconds / std::max(once, 1e-7), 3.0, 100000.0));
  before.run(runs);
  Times best = before.byShape();
  std::vector<std::string> shapes = findCostliest(best);
  TuneResult result;
  result.kernels = shapes.size();

  Schedules chosen;
  auto tryRound = [&](const std::string &name, const Schedules &schedules) {
    progress(name);
    auto form = std::make_unique<Form>(model, compiler, writeTable(before.registers(), schedules));
    form->run(runs);
    for (const auto &[shape, seconds] : form->byShape())
      if (auto found = schedules.find(shape);
          found != schedules.end() && seconds * gain < best[shape]) {
        best[shape] = seconds;
        chosen[shape] = found->second;
      }
    return form;
  };
  auto everywhere = [&](const std::string &schedule) {
    Schedules schedules;
    for (const std::string &shape : shapes)
      schedules[shape] = schedule;
    return schedules;
  };
  std::set<std::string> winograd;
  if (!shapes.empty() && !compiler.strict)
    winograd = tryRound("winograd=on", everywhere("winograd=on"))->winograd();
  std::erase_if(chosen, [&](const auto &entry) { return !winograd.contains(entry.first); });
  if (!shapes.empty())
    for (const std::string &tile : listTiles(before.registers())) {
      Schedules schedules = everywhere(tile);
      for (auto &[shape, schedule] : schedules)
        if (winograd.contains(shape))
          schedule += " winograd=off";
      tryRound(tile, schedules);
    }

  // Side by side, as a machine that warms up or is shared favours what comes first or last.
  auto compare = [&](Form &after) {
    before.clear();
    after.clear();
    result.before = result.after = std::numeric_limits<double>::infinity();
    constexpr int turns = 8;
    for (int turn = 0; turn < turns; ++turn) {
      result.before = std::min(result.before, before.run(std::max(1, runs / 4)));
      result.after = std::min(result.after, after.run(std::max(1, runs / 4)));
    }
  };
  progress("the choice beside what it replaces");
  auto after = std::make_unique<Form>(model, compiler, writeTable(before.registers(), chosen));
  compare(*after);
  Times old = before.byShape(), now = after->byShape();
  if (std::erase_if(chosen, [&](const auto &entry) {
        return now[entry.first] * gain >= old[entry.first];
      }) > 0) {
    after = std::make_unique<Form>(model, compiler, writeTable(before.registers(), chosen));
    compare(*after);
  }
  if (chosen.empty() || result.after >= result.before) {
    chosen.clear();
    result.after = result.before;
  }
  result.faster = chosen.size();

  char day[32];
  time_t seconds = std::time(nullptr);
  std::strftime(day, sizeof(day), "%F", std::localtime(&seconds));
  std::string name = model.substr(model.find_last_of('/') + 1);
  result.table = "# lathe compile --tune: schedules that are faster than the built-in ones for " +
                 name + "\n# " + day + ", " + processorName() + ", " + before.variant() +
                 ", one thread: " + formatSeconds(result.before) + " a run, " +
                 formatSeconds(result.after) + " with these\n" +
                 writeTable(before.registers(), chosen);
  return result;
}

} // namespace lathe::tools
