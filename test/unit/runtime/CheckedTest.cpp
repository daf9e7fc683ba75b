// Debug builds refuse values whose memory was released.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <gmock/gmock.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

struct Checked : testing::Test {
  ContextPtr context = makeContext(sharedModule());
  lathe_value owned = {};
  lathe_status status;

  void SetUp() override {
    int64_t dims[2] = {2, 4};
    ASSERT_EQ(lathe_value_create(&owned, LATHE_F32, 2, dims, nullptr, &status), LATHE_STATUS_OK);
  }
  void TearDown() override { lathe_value_release(&owned); }
  int32_t run(const lathe_value &x, lathe_value &output) {
    lathe_value inputs[2] = {x, owned};
    return lathe_context_run(context.get(), 0, inputs, 2, &output, 1, &status);
  }
};

TEST_F(Checked, RefusesAnInputThatWasReleased) {
  lathe_value other = {}, output = {};
  int64_t dims[2] = {2, 4};
  ASSERT_EQ(lathe_value_create(&other, LATHE_F32, 2, dims, nullptr, &status), LATHE_STATUS_OK);
  lathe_value copy = other;
  ASSERT_EQ(run(copy, output), LATHE_STATUS_OK) << status.message;
  lathe_value_release(&output);
  lathe_value_release(&other);
  EXPECT_EQ(run(copy, output), LATHE_STATUS_LAYOUT);
  EXPECT_THAT(status.message, HasSubstr("input 'x': its memory was released"));
  lathe_value_release(&copy); // a second time: nothing happens
  EXPECT_EQ(run(owned, output), LATHE_STATUS_OK) << status.message;
  lathe_value_release(&output);
}

TEST_F(Checked, RefusesAnOutputThatWasReleased) {
  lathe_value output = {};
  ASSERT_EQ(run(owned, output), LATHE_STATUS_OK) << status.message;
  lathe_value copy = output;
  lathe_value_release(&output);
  EXPECT_EQ(run(owned, copy), LATHE_STATUS_LAYOUT);
  EXPECT_THAT(status.message, HasSubstr("output 'z': its memory was released"));
}

// Beside the caller, who gives it up before the run begins.
TEST_F(Checked, RefusesWhatWasReleasedBeforeItsRun) {
  struct Kept {
    void (*task)(void *) = nullptr;
    void *argument = nullptr;
  } kept;
  lathe_context_options options = contextOptions();
  options.submit_user = &kept;
  options.submit = [](void *user, void (*task)(void *), void *argument) {
    *static_cast<Kept *>(user) = {task, argument};
  };
  ContextPtr own = makeContext(sharedModule(), &options);
  lathe_value other = {}, output = {};
  int64_t dims[2] = {2, 4};
  ASSERT_EQ(lathe_value_create(&other, LATHE_F32, 2, dims, nullptr, &status), LATHE_STATUS_OK);
  lathe_value inputs[2] = {other, owned};
  ASSERT_EQ(lathe_context_run_async(own.get(), 0, inputs, 2, &output, 1, nullptr, &status),
            LATHE_STATUS_OK);
  lathe_value_release(&other);
  kept.task(kept.argument);
  EXPECT_EQ(lathe_context_wait(own.get(), -1, &status), LATHE_STATUS_LAYOUT);
  EXPECT_THAT(status.message, HasSubstr("input 'x': its memory was released"));
}

// An input, of which the run has a view, or an output, in the run's first region.
TEST_F(Checked, NoticesWhatIsReleasedDuringItsRun) {
  for (bool input : {true, false}) {
    TestAllocator allocator;
    lathe_allocator given = allocator.get();
    lathe_value other = {}, output = {};
    int64_t dims[2] = {8, 4}; // enough for the executor
    for (lathe_value *value : {&other, &output})
      ASSERT_EQ(lathe_value_create(value, LATHE_F32, 2, dims, &given, &status), LATHE_STATUS_OK);
    struct Executor {
      lathe_value *value;
      static void parallel(void *user, uint32_t, void (*task)(void *), void *argument) {
        lathe_value_release(static_cast<Executor *>(user)->value);
        task(argument);
      }
    } executor = {input ? &other : &output};
    lathe_context_options options = contextOptions();
    options.executor = {&executor, 2, 0, Executor::parallel};
    ContextPtr own = makeContext(sharedModule(), &options);
    lathe_value x = {}, inputs[2];
    ASSERT_EQ(lathe_value_borrow(&x, LATHE_F32, 2, dims, other.data, &status), LATHE_STATUS_OK);
    inputs[0] = inputs[1] = x;
    EXPECT_EQ(lathe_context_run(own.get(), 0, inputs, 2, &output, 1, &status), LATHE_STATUS_LAYOUT);
    EXPECT_THAT(status.message, HasSubstr(input ? "input 'x': its memory was released while"
                                                : "output 'z': its memory was released while"));
    lathe_value_release(input ? &output : &other);
    EXPECT_EQ(allocator.live, 0);
  }
}

TEST_F(Checked, RefusesDimsThatPassTheMemory) {
  lathe_value output = {}, larger = owned;
  larger.dims[0] = 3;
  lathe_value inputs[2] = {larger, larger};
  EXPECT_EQ(lathe_context_run(context.get(), 0, inputs, 2, &output, 1, &status),
            LATHE_STATUS_LAYOUT);
  EXPECT_THAT(status.message, HasSubstr("too small for dims [3, 4]"));
  // A part of it is fine.
  lathe_value part = owned;
  part.dims[0] = 1;
  part.data = static_cast<float *>(part.data) + 4;
  inputs[0] = inputs[1] = part;
  EXPECT_EQ(lathe_context_run(context.get(), 0, inputs, 2, &output, 1, &status), LATHE_STATUS_OK)
      << status.message;
  lathe_value_release(&output);
}

} // namespace
