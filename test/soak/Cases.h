// What a soak runs: models, and inputs for them whose results are known.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_SOAK_CASES_H
#define LATHE_TEST_SOAK_CASES_H

#include "tools/common/Session.h"

#include <random>

namespace lathe::soak {

/// One call of a model, and what it gave when nothing else ran.
struct Case {
  std::vector<tools::Value> values;
  std::unique_ptr<tools::BorrowedValues> inputs; ///< borrow from `values`
  int32_t code = 0;                              ///< not 0: the model refuses this
  std::vector<std::string> outputs;              ///< the bytes of each
};

struct Model {
  std::string path;
  std::unique_ptr<tools::Module> module;
  std::vector<Case> cases;
};

/// Kind, dims and bytes of values, and of what they hold.
std::vector<std::string> bytesOf(const std::vector<lathe_value> &values);

/// Opens an artifact and makes up `count` calls with different sizes of its symbolic dims; some
/// have integers that are out of every range.
Model makeModel(const std::string &path, int count, std::mt19937_64 &random);

} // namespace lathe::soak

#endif // LATHE_TEST_SOAK_CASES_H
