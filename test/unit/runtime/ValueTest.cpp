// Values, dtypes, names.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <gmock/gmock.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

TEST(Value, KnowsDtypes) {
  for (uint32_t dtype = LATHE_F32; dtype <= LATHE_I2; ++dtype) {
    ASSERT_NE(lathe_dtype_name(dtype), nullptr);
    EXPECT_EQ(lathe_dtype_find(lathe_dtype_name(dtype)), dtype);
    EXPECT_GT(lathe_dtype_bits(dtype), 0u);
  }
  EXPECT_STREQ(lathe_dtype_name(LATHE_BF16), "bf16");
  EXPECT_EQ(lathe_dtype_bits(LATHE_I4), 4u);
  EXPECT_EQ(lathe_dtype_bits(LATHE_C128), 128u);
  for (uint32_t dtype : {0u, LATHE_I2 + 1u, 0xffffffffu}) {
    EXPECT_EQ(lathe_dtype_name(dtype), nullptr);
    EXPECT_EQ(lathe_dtype_bits(dtype), 0u);
  }
  EXPECT_EQ(lathe_dtype_find("f33"), 0u);
  EXPECT_EQ(lathe_dtype_find(nullptr), 0u);
}

TEST(Value, OwnsAndReleases) {
  TestAllocator allocator;
  lathe_allocator functions = allocator.get();
  lathe_value value;
  int64_t dims[3] = {2, 3, 5};
  lathe_status status;
  ASSERT_EQ(lathe_value_create(&value, LATHE_I16, 3, dims, &functions, &status), LATHE_STATUS_OK);
  EXPECT_EQ(lathe_value_elements(&value), 30);
  EXPECT_EQ(lathe_value_bytes(&value), 60);
  EXPECT_EQ(value.strides[0], 15);
  EXPECT_EQ(static_cast<int16_t *>(value.data)[29], 0);
  EXPECT_GT(allocator.live, 0);
  lathe_value_release(&value);
  EXPECT_EQ(allocator.live, 0);
  allocator.refuses = [](uint64_t) { return true; };
  EXPECT_EQ(lathe_value_create(&value, LATHE_I16, 3, dims, &functions, &status),
            LATHE_STATUS_MEMORY);
  EXPECT_STREQ(status.message, "60 bytes for a value could not be allocated");
  lathe_value_release(nullptr);
}

TEST(Value, PacksSmallElements) {
  lathe_value value;
  int64_t dims[1] = {7};
  ASSERT_EQ(lathe_value_borrow(&value, LATHE_U4, 1, dims, nullptr, nullptr), LATHE_STATUS_OK);
  EXPECT_EQ(lathe_value_bytes(&value), 4);
  ASSERT_EQ(lathe_value_borrow(&value, LATHE_I2, 1, dims, nullptr, nullptr), LATHE_STATUS_OK);
  EXPECT_EQ(lathe_value_bytes(&value), 2);
}

TEST(Value, KnowsContiguity) {
  lathe_value value;
  int64_t dims[3] = {2, 1, 3};
  ASSERT_EQ(lathe_value_borrow(&value, LATHE_F32, 3, dims, nullptr, nullptr), LATHE_STATUS_OK);
  EXPECT_TRUE(lathe_value_contiguous(&value));
  value.strides[1] = 99; // of a dim of size 1: never used
  EXPECT_TRUE(lathe_value_contiguous(&value));
  value.strides[0] = 4;
  EXPECT_FALSE(lathe_value_contiguous(&value));
  value.dims[2] = 0;
  EXPECT_TRUE(lathe_value_contiguous(&value));
  EXPECT_FALSE(lathe_value_contiguous(nullptr));
}

TEST(Value, RefusesBadShapes) {
  lathe_value value = {};
  lathe_status status;
  int64_t dims[17] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_EQ(lathe_value_borrow(nullptr, LATHE_F32, 0, nullptr, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_borrow(&value, 0, 0, nullptr, nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_borrow(&value, LATHE_F32, 17, dims, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_borrow(&value, LATHE_F32, 1, nullptr, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  for (int64_t size : {int64_t(-1), INT64_MIN, INT64_MAX, int64_t(1) << 46}) {
    dims[0] = size;
    EXPECT_EQ(lathe_value_borrow(&value, LATHE_F32, 2, dims, nullptr, &status),
              LATHE_STATUS_ARGUMENT);
    EXPECT_THAT(status.message, HasSubstr("negative or too large"));
  }
  // Overflow does not hide behind a zero.
  int64_t hidden[3] = {int64_t(1) << 40, int64_t(1) << 40, 0};
  EXPECT_EQ(lathe_value_borrow(&value, LATHE_F32, 3, hidden, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(value.kind, LATHE_VALUE_NONE);
  EXPECT_EQ(lathe_value_elements(&value), -1);
  EXPECT_EQ(lathe_value_bytes(nullptr), -1);
}

TEST(Value, HoldsOthers) {
  lathe_status status;
  lathe_value items[2] = {}, value = {};
  EXPECT_EQ(lathe_value_borrow_items(&value, LATHE_VALUE_MAP, 2, items, &status), LATHE_STATUS_OK);
  EXPECT_EQ(value.data, items);
  EXPECT_EQ(value.rank, 1u);
  lathe_value_release(&value); // frees nothing: it borrows
  EXPECT_EQ(value.kind, LATHE_VALUE_NONE);
  struct {
    uint32_t kind;
    int64_t count;
  } wrong[] = {{LATHE_VALUE_TENSOR, 1},   {LATHE_VALUE_NONE, 0},      {LATHE_VALUE_MAP, 1},
               {LATHE_VALUE_OPTIONAL, 2}, {LATHE_VALUE_SEQUENCE, -1}, {99, 1}};
  for (auto [kind, count] : wrong)
    EXPECT_EQ(lathe_value_borrow_items(&value, kind, count, items, &status), LATHE_STATUS_ARGUMENT)
        << kind;
  EXPECT_EQ(lathe_value_borrow_items(&value, LATHE_VALUE_SEQUENCE, 1, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(value.kind, LATHE_VALUE_NONE);
}

TEST(Status, HasNames) {
  EXPECT_STREQ(lathe_status_name(LATHE_STATUS_TRUNCATED), "truncated");
  EXPECT_STREQ(lathe_status_name(12345), "unknown");
  EXPECT_STRNE(lathe_version_string(), "");
  EXPECT_EQ(lathe_version_format(), LATHE_FORMAT_VERSION);
  EXPECT_GE(lathe_host_processors(), 1u);
  char text[8];
  EXPECT_EQ(lathe_features_format(LATHE_X86_V3 | LATHE_X86_VNNI, text, sizeof(text)), 22u);
  EXPECT_STREQ(text, "x86-64-");
  EXPECT_EQ(lathe_features_format(0, nullptr, 0), 4u);
}

} // namespace
