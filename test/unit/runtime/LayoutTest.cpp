// Tensors with strides and alignment of the caller's choice, and copies between layouts.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <gmock/gmock.h>
#include <numeric>

using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

lathe_value_layout withStrides(const int64_t *strides) {
  lathe_value_layout layout = {};
  layout.size = sizeof(layout);
  layout.strides = strides;
  return layout;
}

struct Layout : testing::Test {
  lathe_status status;

  template <typename T>
  lathe_value view(uint32_t dtype, std::vector<int64_t> dims, std::vector<int64_t> strides,
                   T *data) {
    lathe_value value = {};
    lathe_value_layout layout = withStrides(strides.data());
    EXPECT_EQ(
        lathe_value_borrow_layout(&value, dtype, dims.size(), dims.data(), &layout, data, &status),
        LATHE_STATUS_OK)
        << status.message;
    return value;
  }
};

TEST_F(Layout, CopiesTransposedReversedAndBroadcast) {
  std::vector<float> from(6), to(6);
  std::iota(from.begin(), from.end(), 0);
  lathe_value contiguous = borrow(LATHE_F32, {3, 2}, to);
  lathe_value transposed = view(LATHE_F32, {3, 2}, {1, 3}, from.data());
  ASSERT_EQ(lathe_value_copy(&transposed, &contiguous, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_THAT(to, ElementsAre(0, 3, 1, 4, 2, 5));
  lathe_value reversed = view(LATHE_F32, {3, 2}, {-2, -1}, from.data() + 5);
  ASSERT_EQ(lathe_value_copy(&reversed, &contiguous, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_THAT(to, ElementsAre(5, 4, 3, 2, 1, 0));
  lathe_value broadcast = view(LATHE_F32, {3, 2}, {0, 1}, from.data() + 1);
  ASSERT_EQ(lathe_value_copy(&broadcast, &contiguous, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_THAT(to, ElementsAre(1, 2, 1, 2, 1, 2));
  // Back into a view: every second column of a wider tensor.
  std::vector<float> wide(12, -1);
  lathe_value columns = view(LATHE_F32, {3, 2}, {4, 2}, wide.data());
  ASSERT_EQ(lathe_value_copy(&contiguous, &columns, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_THAT(wide, ElementsAre(1, -1, 2, -1, 1, -1, 2, -1, 1, -1, 2, -1));
}

TEST_F(Layout, CopiesElementsOfEverySize) {
  for (uint32_t dtype = LATHE_F32; dtype <= LATHE_I2; ++dtype) {
    uint32_t bits = lathe_dtype_bits(dtype);
    if (dtype == LATHE_STRING || bits < 8)
      continue;
    size_t bytes = bits / 8;
    std::vector<char> from(6 * bytes), to(6 * bytes);
    std::iota(from.begin(), from.end(), 1);
    lathe_value source = view(dtype, {2, 3}, {1, 2}, from.data());
    lathe_value target = borrow(dtype, {2, 3}, to);
    ASSERT_EQ(lathe_value_copy(&source, &target, &status), LATHE_STATUS_OK) << status.message;
    for (size_t i = 0; i < 6; ++i)
      EXPECT_EQ(memcmp(&to[i * bytes], &from[(i / 3 + i % 3 * 2) * bytes], bytes), 0) << dtype;
  }
  // Packed elements are copied as they are, scalars and nothing as well.
  std::vector<uint8_t> packed = {0x21, 0x43, 0x05}, other(3);
  lathe_value small = borrow(LATHE_I4, {5}, packed), copy = borrow(LATHE_I4, {5}, other);
  ASSERT_EQ(lathe_value_copy(&small, &copy, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(packed, other);
  std::vector<double> one = {3.5}, copied(1);
  lathe_value scalar = borrow(LATHE_F64, {}, one), scalarTo = borrow(LATHE_F64, {}, copied);
  ASSERT_EQ(lathe_value_copy(&scalar, &scalarTo, &status), LATHE_STATUS_OK);
  EXPECT_EQ(copied[0], 3.5);
  lathe_value empty = borrow(LATHE_F64, {3, 0}, one), emptyTo = borrow(LATHE_F64, {3, 0}, copied);
  EXPECT_EQ(lathe_value_copy(&empty, &emptyTo, &status), LATHE_STATUS_OK);
}

TEST_F(Layout, RefusesCopiesThatCannotBe) {
  std::vector<float> data(12);
  std::vector<int32_t> integers(12);
  std::vector<uint8_t> bytes(12);
  lathe_value a = borrow(LATHE_F32, {3, 2}, data), b = borrow(LATHE_F32, {2, 3}, data);
  lathe_value integer = borrow(LATHE_I32, {3, 2}, integers);
  EXPECT_EQ(lathe_value_copy(nullptr, &a, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_copy(&a, nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_copy(&a, &integer, &status), LATHE_STATUS_TYPE);
  EXPECT_STREQ(status.message, "a tensor of f32 cannot be copied to a tensor of i32");
  EXPECT_EQ(lathe_value_copy(&a, &b, &status), LATHE_STATUS_SHAPE);
  EXPECT_STREQ(status.message, "dims [3, 2] cannot be copied to dims [2, 3]");
  EXPECT_EQ(lathe_value_copy(&a, &a, &status), LATHE_STATUS_LAYOUT);
  EXPECT_STREQ(status.message, "the tensors share memory");
  lathe_value behind = view(LATHE_F32, {3, 2}, {2, 1}, data.data() + 6);
  EXPECT_EQ(lathe_value_copy(&a, &behind, &status), LATHE_STATUS_OK) << status.message;
  lathe_value reaching = view(LATHE_F32, {3, 2}, {-2, 1}, data.data() + 9);
  EXPECT_EQ(lathe_value_copy(&a, &reaching, &status), LATHE_STATUS_LAYOUT);
  lathe_value lost = behind;
  lost.data = nullptr;
  EXPECT_EQ(lathe_value_copy(&a, &lost, &status), LATHE_STATUS_LAYOUT);
  lathe_value far = behind; // strides that somebody wrote by hand
  far.strides[0] = INT64_MAX / 2;
  EXPECT_EQ(lathe_value_copy(&a, &far, &status), LATHE_STATUS_LAYOUT);
  lathe_value elsewhere = behind;
  elsewhere.device = 1;
  EXPECT_EQ(lathe_value_copy(&a, &elsewhere, &status), LATHE_STATUS_LAYOUT);
}

TEST_F(Layout, AlignsAndStridesNewMemory) {
  TestAllocator allocator;
  lathe_value_layout layout = {};
  layout.size = sizeof(layout);
  layout.allocator = allocator.get();
  int64_t dims[] = {2, 3}, strides[] = {8, 2};
  for (uint64_t alignment : {0, 1, 64, 128, 4096, 1 << 20}) {
    layout.alignment = alignment;
    layout.strides = alignment == 4096 ? strides : nullptr;
    lathe_value value = {};
    ASSERT_EQ(lathe_value_create_layout(&value, LATHE_F32, 2, dims, &layout, &status),
              LATHE_STATUS_OK)
        << status.message;
    EXPECT_EQ(reinterpret_cast<uint64_t>(value.data) % std::max<uint64_t>(alignment, 64), 0u);
    EXPECT_EQ(value.strides[0], alignment == 4096 ? 8 : 3);
    auto *data = static_cast<float *>(value.data);
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < 3; ++j) {
        EXPECT_EQ(data[i * value.strides[0] + j * value.strides[1]], 0);
        data[i * value.strides[0] + j * value.strides[1]] = 1;
      }
    lathe_value_release(&value);
    EXPECT_EQ(allocator.live, 0);
  }
  allocator.refuses = [](uint64_t) { return true; };
  lathe_value value = {};
  EXPECT_EQ(lathe_value_create_layout(&value, LATHE_F32, 2, dims, &layout, &status),
            LATHE_STATUS_MEMORY);
  EXPECT_EQ(value.kind, LATHE_VALUE_NONE);
}

TEST_F(Layout, RefusesLayoutsThatCannotBe) {
  alignas(64) float data[8];
  int64_t dims[] = {2, 2}, far[] = {INT64_MAX, 1}, minus[] = {-2, 1};
  lathe_value value = {};
  auto borrowed = [&](lathe_value_layout layout, uint32_t dtype = LATHE_F32, float *at = nullptr) {
    return lathe_value_borrow_layout(&value, dtype, 2, dims, &layout, at ? at : data, &status);
  };
  lathe_value_layout layout = withStrides(nullptr);
  EXPECT_EQ(lathe_value_borrow_layout(nullptr, LATHE_F32, 2, dims, &layout, data, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(borrowed(withStrides(far)), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("reach too far for dims [2, 2]"));
  EXPECT_EQ(borrowed(withStrides(minus), LATHE_I4), LATHE_STATUS_ARGUMENT);
  EXPECT_STREQ(status.message, "elements of i4 take no strides");
  layout.device = 1;
  EXPECT_EQ(borrowed(layout), LATHE_STATUS_ARGUMENT);
  EXPECT_STREQ(status.message, "device 1 does not exist; there are 1");
  layout.device = 0;
  layout.alignment = 48;
  EXPECT_EQ(borrowed(layout), LATHE_STATUS_ARGUMENT);
  layout.alignment = 64;
  EXPECT_EQ(borrowed(layout, LATHE_F32, data + 1), LATHE_STATUS_LAYOUT);
  EXPECT_EQ(borrowed(layout), LATHE_STATUS_OK) << status.message;
  layout.size = 4;
  EXPECT_EQ(borrowed(layout), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_borrow_layout(&value, LATHE_F32, 2, dims, nullptr, data, &status),
            LATHE_STATUS_OK);
  layout = withStrides(minus);
  EXPECT_EQ(lathe_value_create_layout(&value, LATHE_F32, 2, dims, &layout, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_value_create_layout(nullptr, LATHE_F32, 2, dims, &layout, &status),
            LATHE_STATUS_ARGUMENT);
}

// What a run refuses, the copy makes right.
TEST_F(Layout, MakesInputsThatRunsTake) {
  std::vector<float> from = {0, 1, 2, 3, 4, 5, 6, 7}, to(8);
  lathe_value inputs[2] = {view(LATHE_F32, {2, 4}, {1, 2}, from.data()),
                           borrow(LATHE_F32, {2, 4}, from)};
  ContextPtr context = makeContext(sharedModule());
  lathe_value output = {};
  EXPECT_EQ(lathe_context_run(context.get(), 0, inputs, 2, &output, 1, &status),
            LATHE_STATUS_LAYOUT);
  EXPECT_THAT(status.message, HasSubstr("lathe_value_copy"));
  lathe_value copy = borrow(LATHE_F32, {2, 4}, to);
  ASSERT_EQ(lathe_value_copy(&inputs[0], &copy, &status), LATHE_STATUS_OK);
  inputs[0] = copy;
  EXPECT_EQ(lathe_context_run(context.get(), 0, inputs, 2, &output, 1, &status), LATHE_STATUS_OK)
      << status.message;
  lathe_value_release(&output);
}

} // namespace
