// fork(): a child may use what its parent loaded, with the child's own thread alone.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace lathe::test;

namespace {

// Runs "run" on some rows; 0 when right.
int runOnce(lathe_context *context) {
  constexpr int rows = 300;
  std::vector<float> x(rows * 4), z(rows * 4, -1);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i);
  lathe_value inputs[2], output;
  int64_t dims[2] = {rows, 4};
  for (lathe_value *value : {&inputs[0], &inputs[1], &output})
    lathe_value_borrow(value, LATHE_F32, 2, dims, value == &output ? z.data() : x.data(), nullptr);
  if (lathe_context_run(context, 0, inputs, 2, &output, 1, nullptr))
    return 1;
  float weight = z[1] - 1;
  for (size_t i = 0; i < x.size(); ++i)
    if (z[i] != x[i] + x[i] * weight)
      return 2;
  return weight == betterWeight || weight == baseWeight ? 0 : 3;
}

// The exit status of a child that does this; it is killed, and the test fails, after 20 s.
template <typename Body> int inChild(Body body) {
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(body());
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Fork, ChildrenRunWithContextsOfTheirOwn) {
  lathe_module *module = sharedModule();
  for (uint32_t threads : {1, 3})
    EXPECT_EQ(inChild([&] {
                lathe_context_options options = contextOptions();
                options.threads = threads;
                ContextPtr context = makeContext(module, &options);
                return runOnce(context.get());
              }),
              0);
}

// Neither threads nor the region that they had in hand survive; the pool works all the same.
TEST(Fork, PoolsOfTheParentGoOnWithOneThread) {
  lathe_pool *pool = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_pool_create(3, &pool, &status), LATHE_STATUS_OK) << status.message;
  lathe_context_options options = contextOptions();
  options.pool = pool;
  ContextPtr idle = makeContext(sharedModule(), &options);
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    ContextPtr own = makeContext(sharedModule(), &options);
    while (!stop)
      EXPECT_EQ(runOnce(own.get()), 0);
  });
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(inChild([&] {
                for (int run = 0; run < 3; ++run)
                  if (int wrong = runOnce(idle.get()))
                    return wrong;
                idle.reset();
                lathe_pool_destroy(pool); // must not wait for threads that are not there
                return 0;
              }),
              0);
  stop = true;
  busy.join();
  EXPECT_EQ(runOnce(idle.get()), 0); // and the parent still has them
  idle.reset();
  lathe_pool_destroy(pool);
}

TEST(Fork, ContextsWithThreadsOfTheirOwnEnd) {
  lathe_context_options options = contextOptions();
  options.threads = 4;
  ContextPtr context = makeContext(sharedModule(), &options);
  EXPECT_EQ(inChild([&] {
              int wrong = runOnce(context.get());
              context.reset();
              return wrong;
            }),
            0);
  EXPECT_EQ(runOnce(context.get()), 0);
}

// The program's thread, which has a run in hand, is not there to end it.
TEST(Fork, ContextsWithSubmittedRunsEnd) {
  struct Kept {
    void (*task)(void *) = nullptr;
    void *argument = nullptr;
  } kept;
  lathe_context_options options = contextOptions();
  options.submit_user = &kept;
  options.submit = [](void *user, void (*task)(void *), void *argument) {
    *static_cast<Kept *>(user) = {task, argument};
  };
  ContextPtr context = makeContext(sharedModule(), &options);
  std::vector<int32_t> data(4);
  lathe_value value = borrow(LATHE_I32, {4}, data), output = value;
  ASSERT_EQ(lathe_context_run_async(context.get(), entryOf(sharedModule(), "increment"), &value, 1,
                                    &output, 1, nullptr, nullptr),
            LATHE_STATUS_OK);
  EXPECT_EQ(inChild([&] {
              context.reset();
              return 0;
            }),
            0);
  kept.task(kept.argument);
  EXPECT_EQ(lathe_context_wait(context.get(), -1, nullptr), LATHE_STATUS_OK);
  EXPECT_EQ(data[0], 1);
}

// What another thread was running at the fork stays occupied for ever, and says so.
TEST(Fork, AContextThatWasRunningIsRefused) {
  ContextPtr context = makeContext(sharedModule());
  std::thread running([&] {
    int32_t code;
    do
      code = lathe_context_run(context.get(), entryOf(sharedModule(), "wait"), nullptr, 0, nullptr,
                               0, nullptr);
    while (code == LATHE_STATUS_ARGUMENT);
  });
  lathe_status status = {};
  while (status.code != LATHE_STATUS_ARGUMENT)
    lathe_context_reserve(context.get(), 0, &status);
  EXPECT_EQ(inChild([&] { return lathe_context_reserve(context.get(), 0, nullptr); }),
            LATHE_STATUS_ARGUMENT);
  lathe_context_cancel(context.get());
  running.join();
}

} // namespace
