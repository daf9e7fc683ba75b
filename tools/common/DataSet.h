// Data sets: folders with a model's inputs and what it should give for them.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_DATASET_H
#define LATHE_TOOLS_COMMON_DATASET_H

#include "tools/common/CommandLine.h"
#include "tools/common/Compare.h"
#include "tools/common/Session.h"

#include <nlohmann/json.hpp>

namespace lathe::tools {

/// One output of one data set.
struct OutputReport {
  std::string dataSet, output, type;
  Comparison comparison;
};

/// The file of a data set's input or output: FOLDER/stem_INDEX.pb.
std::string dataFile(const std::string &folder, const char *stem, size_t index);

/// How many files stem_0.pb, stem_1.pb and so on there are. Throws Failure where one between is
/// missing, which would make the count a guess.
size_t countDataFiles(const std::string &folder, const char *stem);

/// The inputs of a data set. Those that it leaves out at the end are of kind NONE: the runtime says
/// where they are not optional.
std::vector<Value> loadDataSet(const Module &module, const std::string &folder);

/// Runs on a data set's inputs and adds how every output that the data set holds compares; returns
/// the seconds of the run. Throws Failure where it holds none, or one that the model does not give.
double compareDataSet(const Module &module, Session &session, const std::string &folder,
                      const std::vector<Value> &inputs, const Tolerance &tolerance,
                      std::vector<OutputReport> &reports);

bool allPassed(const std::vector<OutputReport> &reports);

/// Why the first output that failed did; empty where all passed.
std::string firstReason(const std::vector<OutputReport> &reports);

/// Prints a line for each output. Returns the start of the line that ends a report: "1 data set, 2
/// outputs, 0 wrong".
std::string printOutputs(const std::vector<OutputReport> &reports);

nlohmann::ordered_json describeOutputs(const std::vector<OutputReport> &reports);

/// --rtol, --atol, --atol-rms and --int-atol.
void addToleranceOptions(CLI::App &command, Tolerance &tolerance);

/// Throws WrongUsage where a tolerance is none.
void checkTolerance(const Tolerance &tolerance);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_DATASET_H
