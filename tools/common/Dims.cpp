// The option --dim: sizes of a model's symbolic dimensions.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Dims.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <charconv>

namespace lathe::tools {

static int64_t parseSize(const std::string &number, const std::string &text) {
  int64_t size = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), size);
  if (error != std::errc() || end != number.data() + number.size() || size < 0)
    throw WrongUsage("--dim wants a size of zero or more after '=', not '" + text + "'");
  return size;
}

std::vector<std::pair<std::string, int64_t>> parseDims(const std::vector<std::string> &texts) {
  std::vector<std::pair<std::string, int64_t>> dims;
  for (const std::string &text : texts) {
    auto [name, number] = splitPair(text, '=', "--dim", "NAME=N");
    dims.emplace_back(name, parseSize(number, text));
  }
  return dims;
}

static DimBounds parseBounds(const std::string &name, const std::string &range, size_t dots,
                             const std::string &text) {
  DimBounds bounds{name, parseSize(range.substr(0, dots), text),
                   parseSize(range.substr(dots + 2), text)};
  if (bounds.min > bounds.max)
    throw WrongUsage("--dim " + text + ": the least size, " + std::to_string(bounds.min) +
                     ", is above the greatest, " + std::to_string(bounds.max));
  return bounds;
}

static DimSizes parseList(const std::string &name, const std::string &list,
                          const std::string &text) {
  DimSizes dim{name, {}};
  for (size_t begin = 0, comma = 0; comma != std::string::npos; begin = comma + 1) {
    comma = list.find(',', begin);
    int64_t size = parseSize(list.substr(begin, comma - begin), text);
    if (std::ranges::find(dim.sizes, size) != dim.sizes.end())
      throw WrongUsage("--dim " + text + ": " + std::to_string(size) + " is given twice");
    dim.sizes.push_back(size);
  }
  return dim;
}

DimRules parseDimRules(const std::vector<std::string> &texts) {
  DimRules rules;
  auto names = [](const auto &list, const std::string &name) {
    return std::ranges::any_of(list, [&](const auto &dim) { return dim.name == name; });
  };
  for (const std::string &text : texts) {
    auto [name, value] = splitPair(text, '=', "--dim", dimForm);
    size_t dots = value.find("..");
    bool isList = value.find(',') != std::string::npos;
    bool isFixed = std::ranges::any_of(
        rules.fixed, [&name = name](const auto &dim) { return dim.first == name; });
    bool isBounded = names(rules.bounds, name), isSized = names(rules.sizes, name);
    bool isFree = isList                      ? !isFixed && !isSized
                  : dots != std::string::npos ? !isFixed && !isBounded
                                              : !isFixed && !isBounded && !isSized;
    if (!isFree)
      throw WrongUsage("--dim " + text + ": '" + name + "' has been set by another --dim");
    if (isList)
      rules.sizes.push_back(parseList(name, value, text));
    else if (dots != std::string::npos)
      rules.bounds.push_back(parseBounds(name, value, dots, text));
    else
      rules.fixed.emplace_back(name, parseSize(value, text));
  }
  for (const DimBounds &bounds : rules.bounds)
    for (const DimSizes &dim : rules.sizes)
      for (int64_t size : dim.sizes)
        if (dim.name == bounds.name && (size < bounds.min || size > bounds.max))
          throw WrongUsage("--dim " + dim.name + ": " + std::to_string(size) +
                           " is not within the bounds " + std::to_string(bounds.min) + ".." +
                           std::to_string(bounds.max));
  return rules;
}

} // namespace lathe::tools
