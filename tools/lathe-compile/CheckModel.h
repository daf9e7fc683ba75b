// Compiles a model, runs it on data sets and compares: what lathe check does for one model.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_LATHE_COMPILE_CHECKMODEL_H
#define LATHE_TOOLS_LATHE_COMPILE_CHECKMODEL_H

#include "lathe/Compiler.h"
#include "tools/common/DataSet.h"

namespace lathe::tools {

/// What the model is made to be before it is checked.
enum class CheckMode {
  Plain,
  /// Every dimension of the inputs unknown; after the data sets the artifact runs at other sizes,
  /// where it must do what the plain form (-O0) does.
  Dynamic,
  /// Every input a constant: the compiler folds the whole model, and no kernel may remain.
  ConstantInputs,
};

struct CheckOptions {
  CompileOptions compiler;
  CheckMode mode = CheckMode::Plain;
  Tolerance tolerance;
  uint32_t threads = 0; ///< 0: one per processor
  std::string device;   ///< where to run: "emulator:sm_80"; empty: on the host
  bool verbose = true;  ///< print the compiler's warnings and errors
};

struct CheckReport {
  std::vector<OutputReport> outputs;
  double compileSeconds = 0, runSeconds = 0;
  std::string failure; ///< what is wrong beside outputs; empty: nothing
  bool passed() const;
  /// Why the first output that failed did.
  std::string reason() const;
};

/// The folders beside a model that hold data sets, in order: test_data_set_*.
std::vector<std::string> findDataSets(const std::string &model);

/// Compiles `model` to `artifact` and runs it on the data sets: folders with input_K.pb and
/// output_K.pb, where K counts the model's inputs that are not initializers, and its outputs.
/// Throws Failure where that is not possible at all.
CheckReport checkModel(const std::string &model, const std::vector<std::string> &dataSets,
                       const std::string &artifact, const CheckOptions &options);

} // namespace lathe::tools

#endif // LATHE_TOOLS_LATHE_COMPILE_CHECKMODEL_H
