// Sizes as products, of which parts are taken out.
// Apache-2.0 WITH LLVM-exception
#include "SamplePlaces.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lathe::schedule;

bool lathe::schedule::areKnown(const Factors &factors) {
  return llvm::all_of(factors, [](OpFoldResult factor) { return bool(factor); });
}

bool lathe::schedule::isSameSize(const Factors &one, const Factors &other) {
  return areKnown(one) && areKnown(other) && one.size() == other.size() &&
         std::is_permutation(one.begin(), one.end(), other.begin());
}

int64_t lathe::schedule::getStaticSize(OpFoldResult factor) {
  std::optional<int64_t> known = factor ? getConstantIntValue(factor) : std::nullopt;
  return known.value_or(ShapedType::kDynamic);
}

bool lathe::schedule::divide(Factors &factors, OpFoldResult by) {
  if (!by)
    return false;
  int64_t number = getStaticSize(by);
  if (number == 1)
    return true;
  if (ShapedType::isDynamic(number)) {
    auto *found = llvm::find(factors, by);
    if (found == factors.end())
      return false;
    factors.erase(found);
    return true;
  }
  int64_t product = 1;
  Factors others;
  for (OpFoldResult factor : factors) {
    int64_t known = getStaticSize(factor);
    if (ShapedType::isDynamic(known))
      others.push_back(factor);
    else if (llvm::MulOverflow(product, known, product))
      return false;
  }
  if (number <= 0 || product <= 0 || product % number != 0)
    return false;
  others.push_back(Builder(by.getContext()).getIndexAttr(product / number));
  factors = std::move(others);
  return true;
}
