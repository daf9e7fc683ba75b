// States: what stays in a context between runs.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <gmock/gmock.h>

using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

struct State : testing::Test {
  lathe_module *module = sharedModule();
  TestAllocator allocator; // outlives the context
  ContextPtr context = makeCounted();
  lathe_status status;

  ContextPtr makeCounted() {
    lathe_context_options options = {};
    options.size = sizeof(options);
    options.threads = 1;
    options.allocator = allocator.get();
    return makeContext(module, &options);
  }
  /// Runs with a zeroed output, and returns it.
  lathe_value run(const char *entry, std::vector<lathe_value> inputs,
                  int32_t expected = LATHE_STATUS_OK, lathe_value output = {}) {
    EXPECT_EQ(lathe_context_run(context.get(), entryOf(module, entry), inputs.data(), inputs.size(),
                                &output, 1, &status),
              expected)
        << status.message;
    return output;
  }
  std::vector<float> sum(std::vector<float> x, lathe_value state = {},
                         int32_t expected = LATHE_STATUS_OK) {
    lathe_value value = run("sum", {borrow(LATHE_F32, {int64_t(x.size())}, x), state}, expected);
    if (expected)
      return {};
    EXPECT_EQ(value.device, 0u); // borrowed
    auto *data = static_cast<const float *>(value.data);
    return std::vector<float>(data, data + value.dims[0]);
  }
  lathe_value append(std::vector<float> news, lathe_value past = {},
                     int32_t expected = LATHE_STATUS_OK) {
    return run("append", {past, borrow(LATHE_F32, {2, int64_t(news.size() / 2)}, news)}, expected);
  }
  static std::vector<float> row(const lathe_value &value, int64_t index) {
    auto *data = static_cast<const float *>(value.data) + index * value.strides[0];
    return std::vector<float>(data, data + value.dims[1]);
  }
};

TEST_F(State, StaysBetweenRuns) {
  EXPECT_THAT(sum({1, 2, 3}), ElementsAre(1, 2, 3)); // begins with zeros, as wide as x
  EXPECT_THAT(sum({1, 1, 1}), ElementsAre(2, 3, 4));
  EXPECT_THAT(sum({1, 1, 1}), ElementsAre(3, 4, 5));
  lathe_context_reset(context.get());
  EXPECT_THAT(sum({5, 6, 7}), ElementsAre(5, 6, 7));
  lathe_context_reset(context.get());
  EXPECT_THAT(sum({5, 6}), ElementsAre(5, 6)); // may have another size then
}

TEST_F(State, EachContextHasItsOwn) {
  sum({1, 2, 3});
  ContextPtr other = makeContext(module);
  std::swap(context, other);
  EXPECT_THAT(sum({1, 2, 3}), ElementsAre(1, 2, 3));
}

TEST_F(State, AllocatesOnce) {
  sum({1, 2, 3});
  sum({1, 2, 3});
  int64_t before = allocator.calls;
  for (int i = 0; i < 10; ++i)
    sum({1, 2, 3});
  EXPECT_EQ(allocator.calls, before);
  context.reset();
  EXPECT_EQ(allocator.live, 0);
}

TEST_F(State, CallerMayGiveIt) {
  sum({1, 1});
  std::vector<float> start = {10, 20};
  EXPECT_THAT(sum({1, 1}, borrow(LATHE_F32, {2}, start)), ElementsAre(11, 21));
  EXPECT_THAT(start, ElementsAre(10, 20));
  EXPECT_THAT(sum({1, 1}), ElementsAre(12, 22));
}

TEST_F(State, FailureChangesNothing) {
  sum({1, 2, 3});
  sum({-1, 1, 1}, {}, LATHE_STATUS_DIVISION);
  EXPECT_THAT(sum({1, 1, 1}), ElementsAre(2, 3, 4));
}

TEST_F(State, RefusesAnotherSizeAndMemory) {
  sum({1, 2, 3});
  sum({1, 2}, {}, LATHE_STATUS_SHAPE);
  EXPECT_THAT(status.message, HasSubstr("input 'sum': dim 0 ('width') is 3"));
  EXPECT_THAT(status.message, HasSubstr("lathe_context_reset"));
  std::vector<float> x = {1, 2, 3}, own(3);
  run("sum", {borrow(LATHE_F32, {3}, x), lathe_value()}, LATHE_STATUS_ARGUMENT,
      borrow(LATHE_F32, {3}, own));
  EXPECT_THAT(status.message, HasSubstr("output 'next': it is a state"));
}

TEST_F(State, OutOfMemory) {
  allocator.refuses = [](uint64_t) { return true; };
  sum({1, 2, 3}, {}, LATHE_STATUS_MEMORY);
  append({1, 2}, {}, LATHE_STATUS_MEMORY);
  allocator.refuses = [](uint64_t) { return false; };
  EXPECT_THAT(sum({1, 2, 3}), ElementsAre(1, 2, 3));
}

TEST_F(State, GrowsWhereItLies) {
  lathe_value first = append({1, 2, /*row*/ 3, 4});
  EXPECT_EQ(first.dims[1], 2);
  EXPECT_EQ(first.strides[0], 8);
  lathe_value second = append({5, /*row*/ 6});
  EXPECT_EQ(second.data, first.data);
  EXPECT_THAT(row(second, 0), ElementsAre(1, 2, 5));
  EXPECT_THAT(row(second, 1), ElementsAre(3, 4, 6));
  // A view with fewer elements goes back by some.
  second.dims[1] = 1;
  lathe_value third = append({7, /*row*/ 8}, second);
  EXPECT_THAT(row(third, 0), ElementsAre(1, 7));
  EXPECT_THAT(row(third, 1), ElementsAre(3, 8));
}

TEST_F(State, IsFull) {
  append(std::vector<float>(16, 1));
  append({1, 2}, {}, LATHE_STATUS_SHAPE);
  EXPECT_THAT(status.message,
              HasSubstr("output 'present': dim 1 would be 9 where the state holds 8"));
  lathe_context_reset(context.get());
  EXPECT_THAT(row(append({1, 2}), 0), ElementsAre(1));
}

TEST_F(State, GivenValuesAreCopiedToWhereTheyGrow) {
  std::vector<float> past = {1, 2, 3, /*row*/ 4, 5, 6};
  lathe_value value = append({7, /*row*/ 8}, borrow(LATHE_F32, {2, 3}, past));
  EXPECT_THAT(row(value, 0), ElementsAre(1, 2, 3, 7));
  EXPECT_THAT(row(value, 1), ElementsAre(4, 5, 6, 8));
  EXPECT_THAT(past, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(State, SizeMayDependOnData) {
  std::vector<float> data = {0, 1, 0, 2}, less = {3, 0, 0, 0};
  lathe_value value = run("keep", {borrow(LATHE_F32, {4}, data)});
  EXPECT_EQ(value.dims[0], 2);
  EXPECT_EQ(static_cast<int64_t *>(value.data)[1], 3);
  value = run("keep", {borrow(LATHE_F32, {4}, less)});
  EXPECT_EQ(value.dims[0], 1);
  EXPECT_EQ(value.device, 0u);
  context.reset();
  EXPECT_EQ(allocator.live, 0);
}

TEST_F(State, PlanKnowsIt) {
  sum({1, 2, 3});
  std::vector<float> x(3);
  lathe_value inputs[] = {borrow(LATHE_F32, {3}, x), {}}, output;
  ASSERT_EQ(lathe_context_plan(context.get(), entryOf(module, "sum"), inputs, 2, &output, nullptr,
                               &status),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(output.dims[0], 3);
}

} // namespace
