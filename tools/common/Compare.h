// Says how far a result is from what was expected.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_COMPARE_H
#define LATHE_TOOLS_COMMON_COMPARE_H

#include "tools/common/Tensor.h"
#include <optional>

namespace lathe::tools {

/// An element passes where |actual - expected| <= atol + rtol * |expected|. NaN equals NaN, an
/// infinity itself alone.
struct Tolerance {
  /// Relative tolerance; absent: 1e-4, and four units of the last place for f16 and bf16.
  std::optional<double> relative;
  /// Absolute tolerance; absent: `absoluteRms` decides.
  std::optional<double> absolute;
  /// Absolute tolerance in units of the root mean square of the expected output; absent: 2e-5, and
  /// four units of the last place of one for f16 and bf16.
  std::optional<double> absoluteRms;
  /// How far integers may be off, beside 0; booleans and strings never may.
  double integers = 0;
  /// As ONNX's own test runner: integers get the tolerance of floating point, and bf16 a relative
  /// one of at least two units of its last place (2^-6).
  bool asOnnxRunner = false;

  /// What is absent becomes what ONNX's own test runner takes, whatever the type.
  void useOnnxRunners();
};

struct Comparison {
  bool passed = false;
  /// Why types or shapes or elements differ; empty when passed.
  std::string reason;
  /// Largest distances; infinite where only one of the two is a number.
  double maxAbsolute = 0, maxRelative = 0;
  /// Distance in representable numbers of the type; 0 for what is not floating point.
  double maxUlp = 0;
  int64_t elements = 0, wrong = 0;
};

/// Compares an output with what was expected of it.
Comparison compareValues(const Value &actual, const Value &expected, const Tolerance &tolerance);

/// Compares an output that is up to chance: type and shape, and whether mean and variance of the
/// elements are as near as those of two samples of one distribution are.
Comparison compareStatistics(const Value &actual, const Value &expected);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_COMPARE_H
