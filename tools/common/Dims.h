// The option --dim: sizes of a model's symbolic dimensions.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_DIMS_H
#define LATHE_TOOLS_COMMON_DIMS_H

#include "lathe/Dims.h"
#include <string>
#include <utility>
#include <vector>

namespace lathe::tools {

/// "NAME=N" pairs of --dim; sizes are checked.
std::vector<std::pair<std::string, int64_t>> parseDims(const std::vector<std::string> &texts);

/// What --dim may say where a model is compiled.
struct DimRules {
  std::vector<std::pair<std::string, int64_t>> fixed; ///< NAME=N
  std::vector<DimBounds> bounds;                      ///< NAME=A..B
  std::vector<DimSizes> sizes;                        ///< NAME=N,N,...
};

/// Throws WrongUsage where a text has none of the three forms, says nothing that can be, or speaks
/// of a dimension twice (bounds and sizes go together).
DimRules parseDimRules(const std::vector<std::string> &texts);

/// The text after NAME= in help.
inline constexpr const char *dimForm = "NAME=N|A..B|N,N,...";

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_DIMS_H
