// What is known ahead (memory, devices) and afterwards (statistics), and warming up.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <gmock/gmock.h>
#include <thread>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

struct Query : testing::Test {
  lathe_module *module = sharedModule();
  TestAllocator allocator;
  int64_t peak = 0;
  ContextPtr context;
  lathe_status status;

  Query() {
    allocator.refuses = [this](uint64_t bytes) {
      peak = std::max(peak, allocator.live + int64_t(bytes));
      return false;
    };
    renew();
  }
  void renew() {
    context.reset();
    lathe_context_options options = contextOptions();
    options.threads = 1;
    options.allocator = allocator.get();
    context = makeContext(module, &options);
    peak = allocator.live;
  }
  lathe_memory_info memory(const char *entry, const std::vector<lathe_value> &inputs) {
    lathe_memory_info info = {};
    info.size = sizeof(info);
    EXPECT_EQ(lathe_context_memory(context.get(), entryOf(module, entry), inputs.data(),
                                   inputs.size(), &info, &status),
              LATHE_STATUS_OK)
        << status.message;
    return info;
  }
  // Runs with a zeroed output, which it releases.
  int32_t run(const char *entry, const std::vector<lathe_value> &inputs) {
    lathe_value output = {};
    int32_t code = lathe_context_run(context.get(), entryOf(module, entry), inputs.data(),
                                     inputs.size(), &output, 1, &status);
    lathe_value_release(&output);
    return code;
  }
  lathe_statistics statistics() {
    lathe_statistics result = {};
    result.size = sizeof(result);
    EXPECT_EQ(lathe_context_statistics(context.get(), &result, &status), LATHE_STATUS_OK);
    return result;
  }
};

TEST_F(Query, PromisesThePeak) {
  std::vector<float> data(4096 * 4);
  for (int64_t rows : {7, 0, 1, 4096, 100}) {
    std::vector<lathe_value> inputs = {borrow(LATHE_F32, {rows, 4}, data),
                                       borrow(LATHE_F32, {rows, 4}, data)};
    lathe_memory_info info = memory("run", inputs);
    EXPECT_EQ(info.dynamic, 0u);
    EXPECT_EQ(info.peak_bytes, info.arena_bytes + info.output_bytes + info.state_bytes);
    EXPECT_LE(peak, int64_t(info.peak_bytes)) << "asking allocated";
    ASSERT_EQ(run("run", inputs), LATHE_STATUS_OK) << status.message;
    EXPECT_EQ(peak, int64_t(info.peak_bytes)) << rows;
    peak = allocator.live;
  }
}

TEST_F(Query, PromisesThePeakOfStates) {
  std::vector<float> data(64, 1);
  lathe_value x = borrow(LATHE_F32, {9}, data), given = borrow(LATHE_F32, {9}, data);
  // Nothing kept yet, something kept, and a tensor in its place.
  for (const lathe_value &state : {lathe_value(), lathe_value(), given}) {
    lathe_memory_info info = memory("sum", {x, state});
    ASSERT_EQ(run("sum", {x, state}), LATHE_STATUS_OK) << status.message;
    EXPECT_EQ(allocator.live, int64_t(info.state_bytes));
    EXPECT_EQ(peak, int64_t(info.peak_bytes));
  }
  renew();
  lathe_value news = borrow(LATHE_F32, {2, 3}, data);
  lathe_memory_info info = memory("append", {lathe_value(), news});
  ASSERT_EQ(run("append", {lathe_value(), news}), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(info.state_bytes, 2 * 8 * sizeof(float)); // its capacity at once
  EXPECT_EQ(peak, int64_t(info.peak_bytes));
}

TEST_F(Query, MarksWhatDependsOnData) {
  std::vector<float> data(64, 1);
  EXPECT_EQ(memory("nonzero", {borrow(LATHE_F32, {64}, data)}).dynamic, 1u);
  // Temporaries as well, where no output tells.
  EXPECT_EQ(memory("many", {}).dynamic, 1u);
}

TEST_F(Query, CallersArenaCostsNothing) {
  alignas(64) static char arena[4096];
  lathe_context_options options = contextOptions();
  options.arena = arena;
  options.arena_bytes = sizeof(arena);
  options.threads = 1;
  context = makeContext(module, &options);
  std::vector<float> data(40);
  lathe_value x = borrow(LATHE_F32, {10, 4}, data);
  EXPECT_EQ(memory("run", {x, x}).arena_bytes, 0u);
}

TEST_F(Query, RefusesBadCalls) {
  lathe_memory_info info = {};
  info.size = sizeof(info);
  EXPECT_EQ(lathe_context_memory(nullptr, 0, nullptr, 0, &info, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_memory(context.get(), 0, nullptr, 0, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_memory(context.get(), 0, nullptr, 2, &info, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_memory(context.get(), 99, nullptr, 0, &info, &status),
            LATHE_STATUS_ARGUMENT);
  info.size = 0;
  uint32_t nest = entryOf(module, "nest");
  EXPECT_EQ(lathe_context_memory(context.get(), nest, nullptr, 0, &info, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("lathe_memory_info.size is 0"));
  EXPECT_EQ(lathe_context_warm_up(nullptr, 0, nullptr, 0, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_warm_up(context.get(), 99, nullptr, 0, &status), LATHE_STATUS_ARGUMENT);
  lathe_statistics counts = {};
  EXPECT_EQ(lathe_context_statistics(context.get(), &counts, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_statistics(context.get(), nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_statistics(nullptr, &counts, &status), LATHE_STATUS_ARGUMENT);
}

// A program of a later version has a larger struct; what this runtime does not know stays.
TEST_F(Query, AnswersLaterVersions) {
  struct {
    lathe_memory_info info;
    uint64_t later;
  } larger = {{}, 42};
  larger.info.size = sizeof(larger);
  ASSERT_EQ(lathe_context_memory(context.get(), entryOf(module, "nest"), nullptr, 0, &larger.info,
                                 &status),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(larger.info.size, sizeof(larger));
  EXPECT_EQ(larger.later, 42u);
}

TEST_F(Query, WarmsUpAndLeavesNoTrace) {
  std::vector<float> data(400, 1);
  std::vector<lathe_value> inputs = {borrow(LATHE_F32, {100, 4}, data),
                                     borrow(LATHE_F32, {100, 4}, data)};
  ASSERT_EQ(lathe_context_warm_up(context.get(), 0, inputs.data(), 2, &status), LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(statistics().runs, 0u);
  EXPECT_EQ(allocator.live, int64_t(lathe_context_arena_bytes(context.get()))); // no output stays
  int64_t calls = allocator.calls;
  ASSERT_EQ(run("run", inputs), LATHE_STATUS_OK);
  EXPECT_EQ(allocator.calls, calls + 1); // the output alone: the arena is there

  // States are as they were.
  std::vector<float> two = {2, 2};
  std::vector<lathe_value> sum = {borrow(LATHE_F32, {2}, two), {}};
  lathe_value output = {};
  uint32_t entry = entryOf(module, "sum");
  for (float expected : {2, 4}) {
    ASSERT_EQ(lathe_context_warm_up(context.get(), entry, sum.data(), 2, &status), LATHE_STATUS_OK)
        << status.message;
    output = {};
    ASSERT_EQ(lathe_context_run(context.get(), entry, sum.data(), 2, &output, 1, &status),
              LATHE_STATUS_OK);
    EXPECT_EQ(static_cast<float *>(output.data)[0], expected);
  }
  uint32_t append = entryOf(module, "append");
  std::vector<lathe_value> news = {{}, borrow(LATHE_F32, {2, 1}, two)};
  for (int64_t expected : {1, 2}) {
    ASSERT_EQ(lathe_context_warm_up(context.get(), append, news.data(), 2, &status),
              LATHE_STATUS_OK)
        << status.message;
    output = {};
    ASSERT_EQ(lathe_context_run(context.get(), append, news.data(), 2, &output, 1, &status),
              LATHE_STATUS_OK);
    EXPECT_EQ(output.dims[1], expected);
  }
  inputs[0].dims[1] = 3;
  EXPECT_EQ(lathe_context_warm_up(context.get(), 0, inputs.data(), 2, &status), LATHE_STATUS_SHAPE);
}

TEST_F(Query, CountsRuns) {
  std::vector<float> data(4000, 1);
  std::vector<lathe_value> inputs = {borrow(LATHE_F32, {1000, 4}, data),
                                     borrow(LATHE_F32, {1000, 4}, data)};
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(run("run", inputs), LATHE_STATUS_OK);
  inputs[0].dims[1] = 3;
  EXPECT_EQ(run("run", inputs), LATHE_STATUS_SHAPE);
  lathe_context_cancel(context.get());
  EXPECT_EQ(run("nest", {}), LATHE_STATUS_CANCELLED);
  lathe_context_resume(context.get());
  lathe_context_deadline(context.get(), 1);
  EXPECT_EQ(run("nest", {}), LATHE_STATUS_DEADLINE);
  lathe_statistics counts = statistics();
  EXPECT_EQ(counts.runs, 5u);
  EXPECT_EQ(counts.failures, 3u);
  EXPECT_EQ(counts.cancelled, 1u);
  EXPECT_EQ(counts.late, 1u);
  EXPECT_GT(counts.prepare_ns, 0u);
  EXPECT_GT(counts.run_ns, 0u);
  EXPECT_GT(counts.finish_ns, 0u);
  uint64_t sum = counts.prepare_ns + counts.run_ns + counts.finish_ns;
  EXPECT_LE(counts.longest_ns, sum);
  EXPECT_GE(counts.longest_ns, sum / 8);
}

TEST_F(Query, StatisticsAreReadFromOtherThreads) {
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    uint64_t last = 0;
    while (!stop) {
      uint64_t runs = statistics().runs;
      EXPECT_GE(runs, last);
      last = runs;
    }
  });
  std::vector<float> data(4, 1);
  lathe_value x = borrow(LATHE_F32, {1, 4}, data);
  for (int i = 0; i < 1000; ++i) {
    lathe_status mine;
    lathe_value inputs[2] = {x, x}, output = {};
    ASSERT_EQ(lathe_context_run(context.get(), 0, inputs, 2, &output, 1, &mine), LATHE_STATUS_OK);
    lathe_value_release(&output);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(statistics().runs, 1000u);
}

TEST(Device, IsTheHost) {
  lathe_status status;
  ASSERT_EQ(lathe_device_count(), 1u);
  lathe_device_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(lathe_device_query(0, &info, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(info.kind, LATHE_DEVICE_CPU);
  EXPECT_STRNE(info.name, "");
  EXPECT_EQ(info.processors, lathe_host_processors());
  EXPECT_EQ(info.features, lathe_host_features());
  EXPECT_EQ(info.streams, info.processors);
  EXPECT_GT(info.memory_bytes, uint64_t(1) << 20);
  EXPECT_EQ(lathe_device_query(1, &info, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_device_query(0, nullptr, &status), LATHE_STATUS_ARGUMENT);
}

TEST(Spec, IsWritten) {
  char text[64];
  const lathe_tensor_spec *spec = lathe_module_input_spec(sharedModule(), 0, 0);
  EXPECT_EQ(lathe_tensor_spec_format(spec, text, sizeof(text)), 12u);
  EXPECT_STREQ(text, "f32[batch,4]");
  EXPECT_EQ(lathe_tensor_spec_format(spec, text, 5), 12u);
  EXPECT_STREQ(text, "f32[");
  EXPECT_EQ(lathe_tensor_spec_format(spec, nullptr, 0), 12u);
  EXPECT_EQ(lathe_tensor_spec_format(nullptr, text, sizeof(text)), 0u);
  EXPECT_EQ(lathe_module_output_find(sharedModule(), 0, "z"), 0);
  EXPECT_EQ(lathe_module_output_find(sharedModule(), 0, "x"), -1);
  EXPECT_EQ(lathe_module_output_find(sharedModule(), 0, nullptr), -1);
}

} // namespace
