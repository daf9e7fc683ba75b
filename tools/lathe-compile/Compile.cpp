// lathe compile: a model becomes an artifact.
// Apache-2.0 WITH LLVM-exception.
#include "lathe/Compiler.h"
#include "tools/common/Dims.h"
#include "tools/common/Support.h"
#include "tools/lathe-compile/Commands.h"
#include "tools/lathe-compile/Diagnostics.h"
#include "tools/lathe-compile/Tune.h"

#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <unistd.h>

namespace lathe::tools {

namespace {

struct CompileFlags {
  std::string model, output;
  CompileOptions compiler;
  std::vector<std::string> dims, states;
  std::string cache;
  bool tune = false, time = false, quiet = false;
};

/// "model.onnx" becomes "model.lathe" in the current folder, or what fits the form of the output.
std::string defaultOutput(const CompileFlags &flags) {
  static constexpr struct {
    const char *emit, *suffix;
  } suffixes[] = {{"artifact", ".lathe"}, {"mlir", ".mlir"}, {"llvm", ".ll"},     {"asm", ".s"},
                  {"obj", ".o"},          {"header", ".h"},  {"obj,header", ".o"}};
  std::string stem = std::filesystem::path(flags.model).stem().string();
  for (auto [emit, suffix] : suffixes)
    if (flags.compiler.emit == emit)
      return stem + suffix;
  return stem;
}

/// The table beside the model: measured where it is not there yet.
void tuneOnce(CompileFlags &flags) {
  std::string &file = flags.compiler.scheduleFile;
  if (file.empty())
    file = std::filesystem::path(flags.model).replace_extension(".schedule").string();
  if (std::filesystem::exists(file)) {
    if (!flags.quiet)
      std::cout << file << "  used as it is; without it, --tune measures anew\n";
    return;
  }
  Style style(STDERR_FILENO);
  CompileOptions compiler = flags.compiler;
  compiler.scheduleFile.clear();
  compiler.emit = "artifact";
  if (compiler.target.empty())
    compiler.target = "host";
  TuneResult result = tune(flags.model, compiler, [&](const std::string &step) {
    if (style.isTerminal())
      std::cerr << "\r\x1b[K" << style.faint("tune: " + step) << std::flush;
  });
  if (style.isTerminal())
    std::cerr << "\r\x1b[K";
  writeFile(file, result.table);
  if (!flags.quiet)
    std::cout << file << "  " << result.faster << " of "
              << formatCount(result.kernels, "kernel shape")
              << " got another schedule: " << formatSeconds(result.before) << " a run before, "
              << formatSeconds(result.after) << " now\n";
}

int compile(CompileFlags flags) {
  if (flags.compiler.emit == "header,obj")
    flags.compiler.emit = "obj,header";
  requireOneOf("--emit", flags.compiler.emit,
               {"artifact", "mlir", "llvm", "asm", "obj", "header", "obj,header"});
  if (flags.compiler.emit.find("obj") != std::string::npos ||
      flags.compiler.emit.find("header") != std::string::npos)
    if (flags.output == "-")
      throw WrongUsage("--emit " + flags.compiler.emit + " writes files; give -o FILE");
  for (const std::string &state : flags.states)
    flags.compiler.states.push_back(splitPair(state, '=', "--state", "INPUT=OUTPUT"));
  if (!flags.compiler.stopAfter.empty()) {
    requireOneOf("--stop-after", flags.compiler.stopAfter,
                 {"import", "graph", "graph-to-linalg", "schedule", "codegen"});
    if (flags.compiler.emit == "artifact")
      flags.compiler.emit = "mlir";
  }
  checkChoices(flags.compiler);
  checkTargets(flags.compiler.target);
  setDims(flags.compiler, flags.dims);
  bool hasText = flags.compiler.emit == "mlir" || flags.compiler.emit == "llvm" ||
                 flags.compiler.emit == "asm" || !flags.compiler.stopAfter.empty();
  if (hasText && !flags.compiler.dimSizes.empty())
    throw WrongUsage("--dim " + flags.compiler.dimSizes.front().name +
                     " with several sizes adds code to an artifact; to see the code for one of "
                     "them, give that size alone");
  if (flags.output.empty())
    flags.output = defaultOutput(flags);
  std::error_code error;
  if (flags.output != "-" && std::filesystem::equivalent(flags.model, flags.output, error))
    throw WrongUsage("the output " + flags.output + " would overwrite the model");

  flags.compiler.cacheFolder = flags.cache.empty()    ? defaultCacheFolder()
                               : flags.cache == "off" ? std::string()
                                                      : flags.cache;

  if (flags.tune)
    tuneOnce(flags);

  Style style(STDERR_FILENO);
  std::vector<std::pair<std::string, double>> stages;
  flags.compiler.progress = [&](const std::string &stage, double seconds) {
    stages.emplace_back(stage, seconds);
    if (style.isTerminal())
      std::cerr << "\r\x1b[K" << style.faint(stage + " " + formatSeconds(seconds)) << std::flush;
  };
  size_t kernels = 0, cached = 0;
  flags.compiler.kernelsDone = [&](size_t all, size_t found) {
    kernels = all;
    cached = found;
  };
  auto start = std::chrono::steady_clock::now();
  std::string errors;
  bool done = compileFile(flags.model, flags.output, flags.compiler, errors);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (style.isTerminal())
    std::cerr << "\r\x1b[K";
  printDiagnostics(errors, flags.model, done);
  if (!done)
    return ExitFailed;
  if (flags.time) {
    for (const auto &[stage, duration] : stages)
      std::cerr << stage << "  " << formatSeconds(duration) << '\n';
    std::cerr << "total  " << formatSeconds(seconds) << '\n'
              << cached << " of " << kernels << " large kernels from the cache\n";
  }
  if (flags.output != "-" && !flags.quiet) {
    uint64_t bytes = std::filesystem::file_size(flags.output, error);
    std::cout << flags.output << "  " << formatBytes(error ? 0 : bytes) << "  compiled in "
              << formatSeconds(seconds) << '\n';
  }
  return ExitFine;
}

} // namespace

void addCompileCommand(CLI::App &root, Action &action) {
  auto flags = std::make_shared<CompileFlags>();
  CLI::App &command = addCommand(
      root, "compile", "Compile a model to an artifact",
      "  lathe compile model.onnx                          writes model.lathe\n"
      "  lathe compile model.onnx -o m.lathe --target host for this very machine\n"
      "  lathe compile model.onnx --target x86-64-v3,x86-64-v4\n"
      "  lathe compile model.onnx --target x86-64-v3,nvidia:sm_80,amd:gfx942\n"
      "  lathe compile model.onnx --dim batch=1 --dim seq=128\n"
      "  lathe compile model.onnx --dim batch=1..64        other sizes are refused when running\n"
      "  lathe compile model.onnx --dim batch=1,8,32       code for these beside the general one\n"
      "  lathe compile model.onnx --precision bf16         faster, with less exact products\n"
      "  lathe compile model.onnx --tune                   measures, and writes model.schedule\n"
      "  lathe compile model.onnx --deterministic          same bits in every batch, for certain\n"
      "  lathe compile model.onnx --stop-after schedule -o x.mlir\n"
      "  lathe compile x.mlir -o m.lathe                   goes on from there\n"
      "  lathe compile model.onnx --emit asm -o -          shows the machine code\n"
      "  lathe compile model.onnx --emit obj,header        model.o and model.h to link\n"
      "  lathe compile gpt.onnx --state past=present       keeps the cache between runs\n"
      "Stages: import, graph, graph-to-linalg, schedule, codegen.\n");
  command.add_option("model", flags->model, "Model (.onnx), or a stage written out (.mlir)")
      ->required();
  command.add_option("-o,--output", flags->output,
                     "Output file; - is standard output for text (default: the model's name with "
                     ".lathe, in this folder)");
  command.add_option("--target", flags->compiler.target,
                     "Processors and devices to compile for, separated by commas: host, " +
                         join(listTargets(), ", ") + " (default: the usual levels)");
  command
      .add_option(
          "--fallback", flags->compiler.fallback,
          "Of code for devices, what only the host can run: report it (default), forbid it, "
          "or allow it without a word")
      ->type_name("report|forbid|allow");
  command
      .add_option("--cubin", flags->compiler.cubin,
                  "Code for NVIDIA that no driver has to compile, beside PTX: where there is a "
                  "ptxas in PATH (auto, default), never, or an error without (require)")
      ->type_name("auto|never|require");
  command
      .add_option(
          "--precision", flags->compiler.precision,
          "model (default); bf16: f32 products round their operands to bf16 and add up "
          "in f32, on processors those with constant weights; tf32: the same on GPUs "
          "that multiply tf32; fp8: on GPUs that multiply 8-bit floats, products of such take "
          "them as they are, and scales come after sums, which may have fewer bits than f32")
      ->type_name("model|bf16|tf32|fp8");
  addRepeated(command, "--dim", flags->dims,
              "Fix a symbolic dimension of the model, bound it, or have code for some sizes beside "
              "the general code")
      ->type_name(dimForm);
  command
      .add_option("--batch", flags->compiler.batch,
                  "How samples of a batch are computed, where they do not depend "
                  "on each other: each by itself, side by side on several threads, the whole "
                  "batch layer by layer, or auto (default): each where it is enough work")
      ->type_name("auto|each|whole");
  command.add_flag("--dynamic", flags->compiler.dynamicDims,
                   "Take every dimension of the inputs as unknown, whatever the model says");
  addRepeated(command, "--state", flags->states,
              "Keep an output in the context as the next run's input, as for caches and recurrent "
              "models")
      ->type_name("INPUT=OUTPUT");
  command.add_option("--stop-after", flags->compiler.stopAfter, "Write the IR after this stage");
  command.add_option("--emit", flags->compiler.emit,
                     "What to write: artifact (default), mlir, llvm, asm, or for a program to link "
                     "obj, header or obj,header");
  command
      .add_option("-O", flags->compiler.optLevel,
                  "Optimization, 0 to 3 (default); 0 is the plain reference form")
      ->check(CLI::Range(0u, 3u));
  command.add_flag("--strict", flags->compiler.strict,
                   "Compute in the order that the model writes, but for the lanes of vectors");
  command.add_flag("--deterministic", flags->compiler.deterministic,
                   "Same bits with any number of threads and in any place of a batch");
  command
      .add_option("--cache", flags->cache,
                  "Folder in which compiled kernels are kept for later, or off (default: "
                  "$LATHE_CACHE, else lathe in $XDG_CACHE_HOME or ~/.cache)")
      ->type_name("DIR");
  command
      .add_option("--schedule", flags->compiler.scheduleFile,
                  "Table of schedules (docs/Schedule.md) that comes before the built-in one")
      ->type_name("FILE");
  command.add_flag(
      "--tune", flags->tune,
      "Measure on this machine which schedules are the fastest for the costliest "
      "kernels, with one thread and the sizes that --dim fixes (else 1), and keep them "
      "in the file of --schedule (default: the model's name with .schedule, beside "
      "it). Where the file is there, it is used and nothing is measured");
  command.add_flag("--time", flags->time, "Show the time of every stage");
  command.add_flag("--quiet,-q", flags->quiet, "Say nothing where all is well");
  command.add_flag("--mlir-print-ir-after-change", flags->compiler.printIrAfterChange,
                   "Print the IR after every pass that changed it");
  command.add_flag("--mlir-timing", flags->compiler.printPassTiming,
                   "Print the time of every pass");
  command.callback([flags, &action] { action = [flags] { return compile(*flags); }; });
}

} // namespace lathe::tools
