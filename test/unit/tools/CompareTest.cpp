// Comparison: the tolerance of each type, and numbers that are none.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Compare.h"

#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

using namespace lathe::tools;
using testing::HasSubstr;

namespace {

template <typename T> Value tensorOf(uint32_t dtype, std::vector<T> elements) {
  Value value{LATHE_VALUE_TENSOR, makeTensor(dtype, {static_cast<int64_t>(elements.size())}), {}};
  if (!elements.empty()) // memcpy takes no null, not even for nothing
    std::memcpy(value.tensor.bytes.data(), elements.data(), value.tensor.bytes.size());
  return value;
}
Value floats(std::vector<float> elements) { return tensorOf(LATHE_F32, std::move(elements)); }
Value halves(const std::vector<float> &elements, uint32_t dtype = LATHE_F16) {
  std::vector<uint16_t> bits;
  for (float element : elements)
    bits.push_back(bitsFromFloat(dtype, element));
  return tensorOf(dtype, std::move(bits));
}

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

TEST(Compare, SamplesAreAsNearAsOthersOfTheirDistribution) {
  std::vector<float> some, others, shifted, wider;
  for (int i = 0; i < 1000; ++i) {
    some.push_back(float(i * 7919 % 1000) / 1000);
    others.push_back(float(i * 6101 % 1009) / 1009);
    shifted.push_back(others.back() + 0.2f);
    wider.push_back((others.back() - 0.5f) * 2 + 0.5f);
  }
  EXPECT_TRUE(compareStatistics(floats(others), floats(some)).passed);
  EXPECT_THAT(compareStatistics(floats(shifted), floats(some)).reason, HasSubstr("has mean 0.69"));
  EXPECT_FALSE(compareStatistics(floats(wider), floats(some)).passed);
  others[3] = nan;
  EXPECT_THAT(compareStatistics(floats(others), floats(some)).reason,
              HasSubstr("999 elements are finite and should be 1000"));
  EXPECT_THAT(compareStatistics(floats({1}), floats({1, 2})).reason, HasSubstr("should be"));
  EXPECT_TRUE(compareStatistics(floats({}), floats({})).passed);
}

TEST(Compare, MeasuresErrors) {
  Comparison result =
      compareValues(floats({1, std::nextafter(2.0f, 3.0f), 0}), floats({1, 2, 0}), {});
  EXPECT_TRUE(result.passed);
  EXPECT_EQ(result.maxUlp, 1);
  EXPECT_DOUBLE_EQ(result.maxAbsolute, std::ldexp(1, -22));
  EXPECT_DOUBLE_EQ(result.maxRelative, std::ldexp(1, -23));
}

TEST(Compare, DefaultToleranceFollowsTheRms) {
  // RMS 100, so atol is 2e-3: enough for the element at 0.
  EXPECT_TRUE(compareValues(floats({100, -100, 1.9e-3f}), floats({100, -100, 0}), {}).passed ==
              false);
  EXPECT_TRUE(compareValues(floats({100, -100, 1.6e-3f}), floats({100, -100, 0}), {}).passed);
  EXPECT_FALSE(compareValues(floats({1.001f}), floats({1}), {}).passed);
}

TEST(Compare, GivenToleranceReplacesTheDefault) {
  Tolerance tolerance;
  tolerance.relative = 0;
  tolerance.absolute = 0.5;
  EXPECT_TRUE(compareValues(floats({1.5}), floats({1}), tolerance).passed);
  EXPECT_FALSE(compareValues(floats({1.6f}), floats({1}), tolerance).passed);
  tolerance.absolute.reset();
  tolerance.absoluteRms = 0.1;
  EXPECT_TRUE(compareValues(floats({10.9f}), floats({10}), tolerance).passed);
}

TEST(Compare, HalfPrecisionGetsFourUnits) {
  EXPECT_TRUE(compareValues(halves({1 + 4 / 1024.0f}), halves({1}), {}).passed);
  EXPECT_FALSE(compareValues(halves({1 + 10 / 1024.0f}), halves({1}), {}).passed);
  EXPECT_TRUE(
      compareValues(halves({1 + 4 / 128.0f}, LATHE_BF16), halves({1}, LATHE_BF16), {}).passed);
  EXPECT_EQ(compareValues(halves({1 + 3 / 1024.0f}), halves({1}), {}).maxUlp, 3);
}

TEST(Compare, NotANumberAndInfinity) {
  EXPECT_TRUE(compareValues(floats({nan, inf, -inf}), floats({nan, inf, -inf}), {}).passed);
  EXPECT_FALSE(compareValues(floats({nan}), floats({1}), {}).passed);
  EXPECT_EQ(compareValues(floats({nan}), floats({1}), {}).maxAbsolute, inf);
  EXPECT_FALSE(compareValues(floats({1}), floats({nan}), {}).passed);
  EXPECT_FALSE(compareValues(floats({inf}), floats({-inf}), {}).passed);
  EXPECT_FALSE(compareValues(floats({3e38f}), floats({inf}), {}).passed);
}

TEST(Compare, IntegersAreExact) {
  auto integers = [](std::vector<int64_t> elements) { return tensorOf(LATHE_I64, elements); };
  EXPECT_TRUE(compareValues(integers({5}), integers({5}), {}).passed);
  EXPECT_FALSE(compareValues(integers({1000001}), integers({1000000}), {}).passed);
  int64_t large = int64_t(1) << 60; // one apart, the same as doubles
  EXPECT_FALSE(compareValues(integers({large + 1}), integers({large}), {}).passed);
  Tolerance tolerance;
  tolerance.integers = 1;
  EXPECT_TRUE(compareValues(integers({6}), integers({5}), tolerance).passed);
  EXPECT_FALSE(compareValues(integers({7}), integers({5}), tolerance).passed);
  tolerance = {};
  tolerance.asOnnxRunner = true;
  tolerance.relative = 1e-3;
  tolerance.absolute = 1e-7;
  EXPECT_TRUE(compareValues(integers({1001}), integers({1000}), tolerance).passed);
  auto booleans = [](std::vector<char> elements) { return tensorOf(LATHE_BOOL, elements); };
  EXPECT_FALSE(compareValues(booleans({1}), booleans({0}), tolerance).passed);
}

TEST(Compare, OnnxRunnerGivesBfloat16TwoUnits) {
  Tolerance tolerance;
  tolerance.relative = 1e-3;
  tolerance.absolute = 1e-7;
  tolerance.asOnnxRunner = true;
  Value expected = halves({1.75f}, LATHE_BF16);
  EXPECT_TRUE(compareValues(halves({1.75f + 1 / 64.0f}, LATHE_BF16), expected, tolerance).passed);
  EXPECT_FALSE(compareValues(halves({1.75f + 4 / 128.0f}, LATHE_BF16), expected, tolerance).passed);
  tolerance.asOnnxRunner = false;
  EXPECT_FALSE(compareValues(halves({1.75f + 1 / 64.0f}, LATHE_BF16), expected, tolerance).passed);
}

TEST(Compare, ComplexPartsCountEach) {
  auto complex = [](std::vector<float> parts) {
    Value value{LATHE_VALUE_TENSOR, makeTensor(LATHE_C64, {int64_t(parts.size() / 2)}), {}};
    std::memcpy(value.tensor.bytes.data(), parts.data(), value.tensor.bytes.size());
    return value;
  };
  EXPECT_TRUE(compareValues(complex({1, 2}), complex({1, 2}), {}).passed);
  EXPECT_FALSE(compareValues(complex({1, 3}), complex({1, 2}), {}).passed);
}

TEST(Compare, TypesAndShapesMustAgree) {
  Comparison result = compareValues(floats({1}), tensorOf<double>(LATHE_F64, {1}), {});
  EXPECT_EQ(result.reason, "is f32[1] and should be f64[1]");
  EXPECT_FALSE(compareValues(floats({1}), floats({1, 2}), {}).passed);
}

TEST(Compare, NamesTheWorstElement) {
  Value expected = floats({1, 2, 3, 4}), actual = floats({1, 2.5, 30, 4});
  expected.tensor.dims = actual.tensor.dims = {2, 2};
  EXPECT_THAT(compareValues(actual, expected, {}).reason,
              HasSubstr("2 of 4 elements are off; worst at [1,0]: 30 should be 3"));
}

TEST(Compare, ContainersCompareTheirParts) {
  Value expected{LATHE_VALUE_SEQUENCE, {}, {floats({1}), floats({2})}};
  Value actual{LATHE_VALUE_SEQUENCE, {}, {floats({1}), floats({3})}};
  EXPECT_TRUE(compareValues(expected, expected, {}).passed);
  EXPECT_THAT(compareValues(actual, expected, {}).reason, HasSubstr("part 1: "));
  actual.elements.pop_back();
  EXPECT_EQ(compareValues(actual, expected, {}).reason,
            "is sequence of 1 and should be sequence of 2");
}

} // namespace
