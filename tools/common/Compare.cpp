// Says how far a result is from what was expected.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Compare.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace lathe::tools {

namespace {

/// The bounds that hold for one tensor.
struct Bounds {
  double relative, absolute;
};

double rootMeanSquare(const Tensor &tensor, int64_t count) {
  double sum = 0;
  int64_t finite = 0;
  for (int64_t i = 0; i < count; ++i) {
    double element = elementAsDouble(tensor, i);
    if (!std::isfinite(element))
      continue;
    sum += element * element;
    ++finite;
  }
  return finite ? std::sqrt(sum / static_cast<double>(finite)) : 0;
}

Bounds boundsFor(const TypeInfo &type, const Tensor &expected, int64_t count,
                 const Tolerance &tolerance) {
  bool isNumber = type.kind == TypeKind::Float || type.kind == TypeKind::Complex;
  if (!isNumber && (type.kind == TypeKind::Bool || !tolerance.asOnnxRunner))
    return {0, type.kind == TypeKind::Bool ? 0 : tolerance.integers};
  // Half precision cannot be held to 1e-4; types below it store what they were given.
  bool isHalf = type.dtype == LATHE_F16 || type.dtype == LATHE_BF16;
  double fourUlp = isHalf ? std::ldexp(4.0, -static_cast<int>(type.fraction)) : 0;
  double relative = tolerance.relative.value_or(std::max(1e-4, fourUlp));
  if (tolerance.asOnnxRunner && type.dtype == LATHE_BF16)
    relative = std::max(relative, std::ldexp(1.0, -6));
  if (tolerance.absolute)
    return {relative, *tolerance.absolute};
  double perRms = tolerance.absoluteRms.value_or(std::max(2e-5, fourUlp));
  return {relative, perRms * rootMeanSquare(expected, count)};
}

/// A floating-point element as an integer, so that neighbours differ by one.
double orderedBits(const TypeInfo &type, const Tensor &tensor, int64_t index) {
  uint64_t bits = elementBits(tensor, index);
  uint64_t sign = uint64_t(1) << (type.bits - 1);
  double magnitude = static_cast<double>(bits & (sign - 1));
  return bits & sign ? -magnitude : magnitude;
}

/// Real parts, then imaginary parts are compared as elements of their own.
Tensor realParts(const Tensor &tensor) {
  Tensor parts = tensor;
  parts.dtype = tensor.dtype == LATHE_C64 ? LATHE_F32 : LATHE_F64;
  parts.dims.push_back(2);
  return parts;
}

std::string indexText(const std::vector<int64_t> &dims, int64_t flat) {
  std::vector<std::string> index(dims.size());
  for (size_t i = dims.size(); i-- > 0; flat /= dims[i])
    index[i] = std::to_string(flat % dims[i]);
  return "[" + join(index, ",") + "]";
}

void compareStrings(const Tensor &actual, const Tensor &expected, Comparison &result) {
  for (size_t i = 0; i < expected.strings.size(); ++i)
    if (actual.strings[i] != expected.strings[i] && result.wrong++ == 0)
      result.reason = "element " + indexText(expected.dims, static_cast<int64_t>(i)) + " is \"" +
                      actual.strings[i] + "\" and should be \"" + expected.strings[i] + '"';
}

void compareNumbers(const Tensor &actual, const Tensor &expected, const Tolerance &tolerance,
                    Comparison &result) {
  const TypeInfo &type = *findType(expected.dtype);
  int64_t count = expected.elementCount();
  Bounds bounds = boundsFor(type, expected, count, tolerance);
  double worst = -1;
  int64_t worstIndex = 0;
  for (int64_t i = 0; i < count; ++i) {
    double a = elementAsDouble(actual, i), e = elementAsDouble(expected, i);
    double excess; // how far beyond the bound
    if (std::isfinite(a) && std::isfinite(e)) {
      // Large 64-bit integers are not told apart as doubles.
      double difference = std::fabs(a - e);
      if (difference == 0 && type.bits == 64 && type.kind != TypeKind::Float)
        difference = elementBits(actual, i) == elementBits(expected, i) ? 0 : 1;
      result.maxAbsolute = std::max(result.maxAbsolute, difference);
      if (e != 0)
        result.maxRelative = std::max(result.maxRelative, difference / std::fabs(e));
      if (type.kind == TypeKind::Float && type.bits <= 64)
        result.maxUlp = std::max(result.maxUlp, std::fabs(orderedBits(type, actual, i) -
                                                          orderedBits(type, expected, i)));
      excess = difference - (bounds.absolute + bounds.relative * std::fabs(e));
    } else {
      bool same = (std::isnan(a) && std::isnan(e)) || a == e;
      excess = same ? 0 : HUGE_VAL;
      if (!same)
        result.maxAbsolute = result.maxRelative = result.maxUlp = HUGE_VAL;
    }
    if (excess <= 0)
      continue;
    ++result.wrong;
    if (excess > worst) {
      worst = excess;
      worstIndex = i;
    }
  }
  if (result.wrong == 0)
    return;
  result.reason = std::to_string(result.wrong) + " of " + std::to_string(count) +
                  " elements are off; worst at " + indexText(expected.dims, worstIndex) + ": " +
                  formatNumber(elementAsDouble(actual, worstIndex), 9) + " should be " +
                  formatNumber(elementAsDouble(expected, worstIndex), 9) + " (rtol " +
                  formatNumber(bounds.relative) + ", atol " + formatNumber(bounds.absolute) + ")";
}

/// Mean, variance and number of the finite elements.
struct Moments {
  double mean = 0, variance = 0;
  int64_t count = 0;

  explicit Moments(const Tensor &tensor) {
    double squares = 0;
    for (int64_t i = 0, end = tensor.elementCount(); i < end; ++i) {
      double value = elementAsDouble(tensor, i);
      if (!std::isfinite(value))
        continue;
      ++count;
      double step = value - mean;
      mean += step / static_cast<double>(count);
      squares += step * (value - mean);
    }
    variance = count ? squares / static_cast<double>(count) : 0;
  }
};

/// Samples of one distribution differ by more than this many deviations once in millions.
constexpr double maxDeviations = 6;

Comparison compareSamples(const Tensor &actual, const Tensor &expected) {
  Comparison result;
  result.elements = expected.elementCount();
  Moments a(actual), e(expected);
  if (a.count != e.count) {
    result.wrong = std::llabs(a.count - e.count);
    result.reason =
        std::to_string(a.count) + " elements are finite and should be " + std::to_string(e.count);
    return result;
  }
  double count = static_cast<double>(std::max<int64_t>(e.count, 1));
  double spread = std::max(a.variance, e.variance);
  double meanBound = maxDeviations * std::sqrt(2 * spread / count) + 1e-6 * std::fabs(e.mean);
  // Of few elements the variance says little.
  double varianceBound = maxDeviations * spread * std::sqrt(4 / count);
  result.maxAbsolute = std::fabs(a.mean - e.mean);
  result.passed =
      result.maxAbsolute <= meanBound && std::fabs(a.variance - e.variance) <= varianceBound;
  if (!result.passed) {
    result.wrong = result.elements;
    result.reason = "has mean " + formatNumber(a.mean) + " and variance " +
                    formatNumber(a.variance) + ", which should be near " + formatNumber(e.mean) +
                    " and " + formatNumber(e.variance);
  }
  return result;
}

Comparison compareTensors(const Tensor &actual, const Tensor &expected,
                          const Tolerance &tolerance) {
  Comparison result;
  if (actual.dtype != expected.dtype || actual.dims != expected.dims) {
    result.reason = "is " + describeType(actual.dtype, actual.dims) + " and should be " +
                    describeType(expected.dtype, expected.dims);
    return result;
  }
  result.elements = expected.elementCount();
  TypeKind kind = findType(expected.dtype)->kind;
  if (kind == TypeKind::String)
    compareStrings(actual, expected, result);
  else if (kind == TypeKind::Complex)
    compareNumbers(realParts(actual), realParts(expected), tolerance, result);
  else
    compareNumbers(actual, expected, tolerance, result);
  result.passed = result.wrong == 0;
  return result;
}

/// Numbers of a map's entries in the order of their keys.
std::vector<int64_t> keyOrder(const Tensor &keys) {
  std::vector<int64_t> order(static_cast<size_t>(keys.elementCount()));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int64_t a, int64_t b) {
    if (keys.dtype == LATHE_STRING)
      return keys.strings[a] < keys.strings[b];
    return static_cast<int64_t>(elementBits(keys, a)) < static_cast<int64_t>(elementBits(keys, b));
  });
  return order;
}

Tensor takeElements(const Tensor &tensor, const std::vector<int64_t> &order) {
  Tensor taken{tensor.dtype, tensor.dims, {}, {}};
  size_t size = tensor.dtype == LATHE_STRING ? 0 : findType(tensor.dtype)->bits / 8;
  for (int64_t i : order) {
    if (tensor.dtype == LATHE_STRING)
      taken.strings.push_back(tensor.strings[i]);
    else
      taken.bytes.insert(taken.bytes.end(), tensor.bytes.begin() + i * size,
                         tensor.bytes.begin() + (i + 1) * size);
  }
  return taken;
}

/// The map with its keys in order: a map has none of its own.
Value orderMap(const Value &map) {
  std::vector<int64_t> order = keyOrder(map.elements[0].tensor);
  Value ordered = map;
  for (Value &part : ordered.elements)
    part.tensor = takeElements(part.tensor, order);
  return ordered;
}

bool isOrdered(const Value &map) {
  return std::ranges::is_sorted(keyOrder(map.elements[0].tensor));
}

} // namespace

void Tolerance::useOnnxRunners() {
  relative = relative.value_or(1e-3);
  if (!absoluteRms)
    absolute = absolute.value_or(1e-7);
  asOnnxRunner = true;
}

Comparison compareValues(const Value &actual, const Value &expected, const Tolerance &tolerance) {
  Comparison result;
  if (actual.kind != expected.kind || actual.elements.size() != expected.elements.size()) {
    result.reason = "is " + describeType(actual) + " and should be " + describeType(expected);
    return result;
  }
  if (actual.kind == LATHE_VALUE_TENSOR || actual.kind == LATHE_VALUE_STRINGS)
    return compareTensors(actual.tensor, expected.tensor, tolerance);
  if (actual.kind == LATHE_VALUE_MAP && !(isOrdered(actual) && isOrdered(expected)))
    return compareValues(orderMap(actual), orderMap(expected), tolerance);
  result.passed = true;
  for (size_t i = 0; i < expected.elements.size(); ++i) {
    Comparison part = compareValues(actual.elements[i], expected.elements[i], tolerance);
    result.maxAbsolute = std::max(result.maxAbsolute, part.maxAbsolute);
    result.maxRelative = std::max(result.maxRelative, part.maxRelative);
    result.maxUlp = std::max(result.maxUlp, part.maxUlp);
    result.elements += part.elements;
    result.wrong += part.wrong;
    if (!part.passed && result.passed) {
      result.passed = false;
      result.reason = "part " + std::to_string(i) + ": " + part.reason;
    }
  }
  return result;
}

Comparison compareStatistics(const Value &actual, const Value &expected) {
  Comparison result;
  if (actual.kind != expected.kind || actual.kind != LATHE_VALUE_TENSOR ||
      actual.tensor.dtype != expected.tensor.dtype || actual.tensor.dims != expected.tensor.dims) {
    result.reason = "is " + describeType(actual) + " and should be " + describeType(expected);
    return result;
  }
  return compareSamples(actual.tensor, expected.tensor);
}

} // namespace lathe::tools
