// Element types: small floats in both directions, packed integers, sizes that overflow.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Dims.h"
#include "tools/common/Session.h"
#include "tools/common/Support.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

using namespace lathe::tools;
using testing::ElementsAre;

namespace {

double decode(uint32_t dtype, uint64_t bits) { return floatFromBits(*findType(dtype), bits); }

TEST(Tensor, DecodesSmallFloats) {
  EXPECT_EQ(decode(LATHE_F16, 0x3c00), 1);
  EXPECT_EQ(decode(LATHE_F16, 0x0001), std::ldexp(1, -24));
  EXPECT_EQ(decode(LATHE_F16, 0x7bff), 65504);
  EXPECT_EQ(decode(LATHE_F16, 0xfc00), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(decode(LATHE_F16, 0x7e00)));
  EXPECT_EQ(decode(LATHE_BF16, 0x4049), 3.140625);
  EXPECT_EQ(decode(LATHE_F8E4M3FN, 0x7e), 448);
  EXPECT_TRUE(std::isnan(decode(LATHE_F8E4M3FN, 0xff)));
  EXPECT_EQ(decode(LATHE_F8E4M3FNUZ, 0x7f), 240);
  EXPECT_TRUE(std::isnan(decode(LATHE_F8E4M3FNUZ, 0x80)));
  EXPECT_EQ(decode(LATHE_F8E5M2, 0x7b), 57344);
  EXPECT_EQ(decode(LATHE_F8E5M2, 0x7c), std::numeric_limits<double>::infinity());
  EXPECT_EQ(decode(LATHE_F8E5M2FNUZ, 0x7f), 57344);
  EXPECT_EQ(decode(LATHE_F4E2M1, 0x7), 6);
  EXPECT_EQ(decode(LATHE_F8E8M0, 128), 2);
}

TEST(Tensor, RoundsToHalfPrecisionAndBack) {
  for (uint32_t dtype : {LATHE_F16, LATHE_BF16})
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      double value = decode(dtype, bits);
      if (!std::isnan(value))
        EXPECT_EQ(bitsFromFloat(dtype, static_cast<float>(value)), bits);
    }
  EXPECT_EQ(bitsFromFloat(LATHE_F16, 65519), 0x7bff);
  EXPECT_EQ(bitsFromFloat(LATHE_F16, 65520), 0x7c00);
  EXPECT_EQ(bitsFromFloat(LATHE_F16, 1 + 1 / 2048.0f), 0x3c00); // a tie, to even
  EXPECT_EQ(bitsFromFloat(LATHE_F16, 1 + 3 / 2048.0f), 0x3c02);
  EXPECT_EQ(bitsFromFloat(LATHE_F16, std::ldexp(1.0f, -25)), 0);
  EXPECT_TRUE(std::isnan(decode(LATHE_BF16, bitsFromFloat(LATHE_BF16, NAN))));
}

TEST(Tensor, CountsWithoutOverflow) {
  EXPECT_EQ(elementCount(std::vector<int64_t>{}), 1);
  EXPECT_EQ(elementCount(std::vector<int64_t>{3, 0, 5}), 0);
  EXPECT_EQ(elementCount(std::vector<int64_t>{-1}), -1);
  EXPECT_EQ(elementCount(std::vector<int64_t>{int64_t(1) << 40, int64_t(1) << 40}), -1);
  EXPECT_EQ(elementCount(std::vector<int64_t>{int64_t(1) << 40, int64_t(1) << 40, 0}), -1);
  EXPECT_EQ(byteSize(*findType(LATHE_F64), int64_t(1) << 62), -1);
  EXPECT_EQ(byteSize(*findType(LATHE_U4), 3), 2);
}

TEST(Tensor, RandomValuesAreSensibleAndRepeat) {
  lathe_dim dims[] = {{LATHE_DYNAMIC, "batch", 1, INT64_MAX}, {100, nullptr, 100, 100}};
  auto make = [&](uint32_t dtype, size_t index, uint64_t seed) {
    lathe_tensor_spec spec{"x", LATHE_VALUE_TENSOR, dtype, 2, -1, -1, 0, dims};
    return randomValue(spec, index, {seed, {{"batch", 3}}}).tensor;
  };
  Tensor floats = make(LATHE_F32, 0, 1);
  EXPECT_THAT(floats.dims, ElementsAre(3, 100));
  for (uint32_t dtype : {LATHE_F32, LATHE_F16, LATHE_BF16, LATHE_F64})
    for (Tensor tensor = make(dtype, 0, 1); int64_t i : {0, 7, 299}) {
      EXPECT_LE(std::fabs(elementAsDouble(tensor, i)), 1);
    }
  for (uint32_t dtype : {LATHE_I64, LATHE_I32, LATHE_BOOL, LATHE_U64})
    for (Tensor tensor = make(dtype, 0, 1); int64_t i : {0, 7, 299}) {
      double element = elementAsDouble(tensor, i);
      EXPECT_TRUE(element == 0 || element == 1);
    }
  for (uint32_t dtype : {LATHE_F8E4M3FN, LATHE_F8E5M2, LATHE_F4E2M1, LATHE_F8E8M0})
    for (Tensor tensor = make(dtype, 0, 1); int64_t i : {0, 7, 299})
      EXPECT_TRUE(std::isfinite(elementAsDouble(tensor, i)));
  EXPECT_EQ(floats.bytes, make(LATHE_F32, 0, 1).bytes);
  EXPECT_NE(floats.bytes, make(LATHE_F32, 1, 1).bytes);
  EXPECT_NE(floats.bytes, make(LATHE_F32, 0, 2).bytes);
}

TEST(Tensor, Summaries) {
  Value value{LATHE_VALUE_TENSOR, makeTensor(LATHE_I8, {2, 3}), {}};
  value.tensor.bytes[1] = -4;
  EXPECT_EQ(summarize(value), "i8[2,3]  min -4  max 0  mean -0.6667  [0, -4, 0, 0, 0, ...]");
}

TEST(Support, PairsAndDims) {
  EXPECT_EQ(splitPair("a=b=c", '=', "--input", "NAME=FILE").first, "a=b");
  EXPECT_THROW(splitPair("abc", '=', "--input", "NAME=FILE"), WrongUsage);
  EXPECT_THROW(splitPair("=c", '=', "--input", "NAME=FILE"), WrongUsage);
  EXPECT_EQ(parseDims({"n=12"})[0].second, 12);
  for (const char *bad : {"n=", "n=x", "n=1x", "n=-1", "n=99999999999999999999"})
    EXPECT_THROW(parseDims({bad}), WrongUsage) << bad;
}

TEST(Support, RulesForDims) {
  DimRules rules = parseDimRules({"b=1..64", "b=1,8", "s=16", "t=0..0"});
  EXPECT_EQ(rules.fixed, (std::vector<std::pair<std::string, int64_t>>{{"s", 16}}));
  EXPECT_EQ(rules.bounds.size(), 2u);
  EXPECT_EQ(rules.bounds[0].max, 64);
  EXPECT_THAT(rules.sizes[0].sizes, ElementsAre(1, 8));
  for (std::vector<std::string> bad :
       std::vector<std::vector<std::string>>{{"b=0..-1"},
                                             {"b=-1..4"},
                                             {"b=64..1"},
                                             {"b=1.."},
                                             {"b=..4"},
                                             {"b=1...4"},
                                             {"b=1..4..8"},
                                             {"b=1,"},
                                             {"b=1,,2"},
                                             {"b=1,1"},
                                             {"b=1..4,8"},
                                             {"b=1,-2"},
                                             {"b=1..99999999999999999999"},
                                             {"b=1", "b=2"},
                                             {"b=1", "b=1..4"},
                                             {"b=1..4", "b=1"},
                                             {"b=1,2", "b=3,4"},
                                             {"b=1..2", "b=1..3"},
                                             {"b=1..4", "b=1,8"}})
    EXPECT_THROW(parseDimRules(bad), WrongUsage) << bad.front();
}

TEST(Support, UnitsForPeople) {
  EXPECT_EQ(formatBytes(12), "12 B");
  EXPECT_EQ(formatBytes(3400000), "3.40 MB");
  EXPECT_EQ(formatSeconds(1.5e-6), "1.5 us");
  EXPECT_EQ(formatSeconds(0.25), "250 ms");
}

TEST(Support, NearestRankIsAPlace) {
  EXPECT_EQ(nearestRank(1, 0), 0u);
  EXPECT_EQ(nearestRank(1, 100), 0u);
  EXPECT_EQ(nearestRank(10, 0), 0u);
  EXPECT_EQ(nearestRank(10, 50), 4u);
  EXPECT_EQ(nearestRank(10, 51), 5u);
  EXPECT_EQ(nearestRank(10, 100), 9u);
}

} // namespace
