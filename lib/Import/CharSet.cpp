// Sets of characters.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/CharSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Unicode.h"
#include <map>

using namespace llvm;
using namespace lathe::import;

/// Characters that differ from others in case alone, by the one that all of them fold to.
static const std::map<uint32_t, SmallVector<uint32_t, 3>> &caseVariants() {
  static const auto variants = [] {
    std::map<uint32_t, SmallVector<uint32_t, 3>> result;
    constexpr int end = 0x20000; // no letter beyond has cases
    for (int c = 0; c < end; ++c)
      if (int folded = sys::unicode::foldCharSimple(c); folded != c)
        result[folded].push_back(c);
    return result;
  }();
  return variants;
}

void CharSet::add(uint32_t first, uint32_t last) {
  all.emplace_back(first, last);
  merge();
}

void CharSet::add(const CharSet &set) {
  all.append(set.all);
  merge();
}

void CharSet::invert() {
  SmallVector<Range, 4> gaps;
  uint32_t next = 0;
  for (auto [first, last] : all) {
    if (first > next)
      gaps.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLast)
    gaps.emplace_back(next, kLast);
  all = gaps;
}

void CharSet::addOtherCases() {
  SmallVector<Range, 4> more;
  for (const auto &[folded, variants] : caseVariants()) {
    if (!contains(folded) && none_of(variants, [&](uint32_t c) { return contains(c); }))
      continue;
    more.emplace_back(folded, folded);
    for (uint32_t c : variants)
      more.emplace_back(c, c);
  }
  all.append(more);
  merge();
}

bool CharSet::contains(uint32_t c) const {
  return any_of(all, [&](Range range) { return range.first <= c && c <= range.second; });
}

void CharSet::merge() {
  llvm::sort(all);
  SmallVector<Range, 4> merged;
  for (Range range : all)
    if (!merged.empty() && range.first <= merged.back().second + 1)
      merged.back().second = std::max(merged.back().second, range.second);
    else
      merged.push_back(range);
  all = merged;
}
