// What users say of symbolic dimensions. Needs neither the compiler nor the runtime.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIMS_H
#define LATHE_DIMS_H

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lathe {

/// What is known of a symbolic dimension beside its name; a run with another size is refused.
struct DimBounds {
  std::string name;
  int64_t min = 0, max = INT64_MAX;
};

/// Sizes of a symbolic dimension that get code of their own.
struct DimSizes {
  std::string name;
  std::vector<int64_t> sizes;
};

/// Every combination of the dimensions' sizes, as pairs of name and size.
inline std::vector<std::vector<std::pair<std::string, int64_t>>>
combineSizes(const std::vector<DimSizes> &dims) {
  std::vector<std::vector<std::pair<std::string, int64_t>>> result{{}};
  for (const DimSizes &dim : dims) {
    std::vector<std::vector<std::pair<std::string, int64_t>>> longer;
    for (const auto &begin : result)
      for (int64_t size : dim.sizes) {
        longer.push_back(begin);
        longer.back().emplace_back(dim.name, size);
      }
    result = std::move(longer);
  }
  return result;
}

} // namespace lathe

#endif // LATHE_DIMS_H
