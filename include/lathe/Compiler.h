// The compiler as a library: one call turns a model file into an artifact file.
// Apache-2.0 WITH LLVM-exception.
//
// This header needs neither LLVM nor MLIR, so that embedders compile quickly and are not tied to
// the version of either.
#ifndef LATHE_COMPILER_H
#define LATHE_COMPILER_H

#include "lathe/Dims.h"
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace lathe {

/// What a compilation is to do. The defaults compile a model for every usual CPU level.
struct CompileOptions {
  /// Comma-separated targets: "host", "x86-64-v3", "x86-64-v4", "aarch64", ...; empty: x86-64-v4
  /// and v3, and the levels with dot products of 8 bits or bf16 where the model has such products.
  std::string target;
  /// The stage after which to stop and write `.mlir`: import, graph, graph-to-linalg, schedule or
  /// codegen; empty: run them all.
  std::string stopAfter;
  /// The form of the result: artifact, mlir, llvm or asm (of the first target); or, for a program
  /// to link, obj, header, or both as "obj,header": then the header lies beside the object with the
  /// extension .h, and both are named after the object's file.
  std::string emit = "artifact";
  /// Pairs of an input and an output that become states: the runtime hands the output of one run to
  /// the input of the next.
  std::vector<std::pair<std::string, std::string>> states;
  /// Fixed sizes of symbolic dimensions, by name.
  std::vector<std::pair<std::string, int64_t>> dims;
  /// Least and greatest sizes of symbolic dimensions.
  std::vector<DimBounds> dimBounds;
  /// Sizes that code is specialised to beside the general code, which the artifact keeps: every
  /// combination, where several dimensions have such sizes. A run takes the code for its sizes.
  std::vector<DimSizes> dimSizes;
  /// Takes every dimension of the inputs as unknown, whatever the model says.
  bool dynamicDims = false;
  /// TensorProto files that take the places of the inputs, in order; "" leaves an input.
  std::vector<std::string> constantInputs;
  /// Whether the samples of a batch, where a model computes each from that sample alone, are
  /// computed one by one, side by side on several threads: "auto" (where a sample is
  /// enough work), "each" (wherever that gives the same), "whole" (never).
  std::string batch = "auto";
  /// What to do about parts of the model that no device can run (strings, sequences, sorting):
  /// "report" a warning for each node, "forbid" them, or "allow" them without a word.
  std::string fallback = "report";
  /// Code for NVIDIA that no driver has to compile, by `ptxas` of CUDA, beside the text: "auto"
  /// (where there is one), "never", or "require" (an error without).
  std::string cubin = "auto";
  /// "model": products as the model defines them; "bf16": f32 products with constant weights round
  /// their operands to bf16 and add up in f32, on every target; "tf32": the same where a GPU
  /// multiplies that; "fp8": GPUs that can multiply 8-bit floats as the model has them, with scales
  /// after the sum, which may have fewer bits than f32.
  std::string precision = "model";
  /// 0 compiles the plain reference form of every operation; 3 is full optimization.
  unsigned optLevel = 3;
  /// Sums and products in the order in which the model writes them, but for the lanes of vectors:
  /// no Winograd convolutions, no online softmax, no scales moved into weights, no rewritten
  /// formulas.
  bool strict = false;
  /// Same inputs, same bits: with any number of threads and in any place of a batch, for one
  /// variant of the artifact. Nothing is left to LLVM that could round the same element in two
  /// ways; code for several sizes of a dimension is refused.
  bool deterministic = false;
  bool lowersPrecision() const { return precision != "model"; }
  /// A table of schedules that comes before the built-in one (docs/Schedule.md); empty: none.
  std::string scheduleFile;
  /// A folder in which objects of kernels are kept for later compilations; empty: nowhere. The
  /// result does not depend on what is there. One user's alone: what it holds becomes code.
  std::string cacheFolder;
  /// Print the IR to standard error after every pass that changed it.
  bool printIrAfterChange = false;
  /// Print MLIR's report of the time that every pass took to standard error.
  bool printPassTiming = false;
  /// Called after each stage with its name and duration, from the compiling thread.
  std::function<void(const std::string &stage, double seconds)> progress;
  /// Called once: how many kernels were compiled apart, and how many of them came from the cache.
  std::function<void(size_t kernels, size_t cached)> kernelsDone;
};

/// Compiles `input`, a `.onnx` model or the `.mlir` of an earlier stage, to the file `output`
/// ("-": standard output where the form is text). The file appears complete or not at all.
/// On failure returns false and appends diagnostics to `errors`, one per line, each naming file and
/// node ("model.onnx: node 'Conv_12': ..."); warnings are appended on success as well and start
/// with "warning: ". Calls may run concurrently.
bool compileFile(const std::string &input, const std::string &output, const CompileOptions &options,
                 std::string &errors);

/// Where `lathe compile` keeps kernels: $LATHE_CACHE ("off": nowhere, which is empty), else "lathe"
/// in the user's folder of caches ($XDG_CACHE_HOME, or ~/.cache).
std::string defaultCacheFolder();

/// Does what every compilation needs once per process, such as registering code generators. Called
/// by compileFile by itself; a process that forks workers calls it first, so that they share it.
/// Starts no threads.
void initializeCompiler();

/// The names that `target` takes beside "host", in the order in which help texts list them.
std::vector<std::string> listTargets();

/// One operator that can be imported.
struct OperatorInfo {
  std::string domain; ///< "" is ai.onnx
  std::string name;
  std::vector<int64_t> sinceVersions; ///< the operator's versions that are understood, ascending
  std::string types;                  ///< element types, as a short phrase
  std::string limits;                 ///< what is not supported; empty: nothing
  unsigned conformanceTests = 0;      ///< ONNX conformance cases that exercise it
  unsigned numericTests = 0;          ///< nodes in Lathe's own tests whose values are compared
};

/// The table of importable operators, ordered by domain and name.
std::vector<OperatorInfo> listOperators();

/// One operator of a domain that Lathe knows, which it cannot import.
struct UnsupportedOperatorInfo {
  std::string domain; ///< "" is ai.onnx
  std::string name;
  int64_t since;      ///< the opset that brought it
  std::string reason; ///< why, as a short phrase
};

/// What is missing from the table of importable operators, ordered by domain and name.
std::vector<UnsupportedOperatorInfo> listUnsupportedOperators();

} // namespace lathe

#endif // LATHE_COMPILER_H
