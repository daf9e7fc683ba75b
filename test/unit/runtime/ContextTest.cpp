// Contexts: threads, cancellation, deadlines, executors, floating-point state, traces.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <atomic>
#include <cfenv>
#include <ctime>
#include <gmock/gmock.h>
#include <set>
#include <thread>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace lathe::test;
using testing::HasSubstr;

namespace {

int64_t nowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t(1'000'000'000) + time.tv_nsec;
}

int32_t runEntry(lathe_context *context, const char *entry, std::vector<lathe_value> outputs,
                 lathe_status *status) {
  return lathe_context_run(context, entryOf(sharedModule(), entry), nullptr, 0, outputs.data(),
                           outputs.size(), status);
}

lathe_context_options withThreads(uint32_t threads) {
  lathe_context_options options = contextOptions();
  options.threads = threads;
  return options;
}

// Runs "run" many times and checks every result.
void checkRuns(lathe_context *context, int rows, int times) {
  std::vector<float> x(rows * 4), y(rows * 4), first, z(rows * 4);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = i * 0.37f, y[i] = i * 1.3f;
  lathe_value inputs[2] = {borrow(LATHE_F32, {rows, 4}, x), borrow(LATHE_F32, {rows, 4}, y)};
  for (int i = 0; i < times; ++i) {
    std::fill(z.begin(), z.end(), -1);
    lathe_value output = borrow(LATHE_F32, {rows, 4}, z);
    lathe_status status;
    ASSERT_EQ(lathe_context_run(context, 0, inputs, 2, &output, 1, &status), LATHE_STATUS_OK)
        << status.message;
    if (i == 0)
      first = z;
    ASSERT_EQ(z, first);
    ASSERT_GT(z[5], x[5]);
  }
}

TEST(Context, RunsInSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([t] {
      lathe_context_options options = withThreads(1 + t % 2);
      ContextPtr context = makeContext(sharedModule(), &options);
      checkRuns(context.get(), 100 + t, 200);
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Context, SharesAPool) {
  lathe_pool *pool = nullptr;
  lathe_status status;
  ASSERT_EQ(lathe_pool_create(3, &pool, &status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(lathe_pool_threads(pool), 3u);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([t, pool] {
      lathe_context_options options = withThreads(0);
      options.pool = pool;
      ContextPtr context = makeContext(sharedModule(), &options);
      EXPECT_EQ(lathe_context_threads(context.get()), 3u);
      checkRuns(context.get(), 500 + t, 200);
    });
  for (std::thread &thread : threads)
    thread.join();
  lathe_pool_destroy(pool);
}

TEST(Context, RefusesASecondThread) {
  ContextPtr context = makeContext(sharedModule());
  std::thread waiting([&] {
    // The loop below is a second thread to this one, too.
    lathe_status status;
    int32_t code;
    do
      code = runEntry(context.get(), "wait", {}, &status);
    while (code == LATHE_STATUS_ARGUMENT);
    EXPECT_EQ(code, LATHE_STATUS_CANCELLED);
  });
  lathe_status status = {};
  // Until the thread has entered, this finds the context free.
  while (status.code != LATHE_STATUS_ARGUMENT)
    lathe_context_reserve(context.get(), 0, &status);
  EXPECT_THAT(status.message, HasSubstr("another thread is using the context"));
  lathe_context_cancel(context.get());
  waiting.join();
}

TEST(Context, OutlivesItsModulesHandle) {
  OpenResult result = openBytes(makeArtifact());
  ContextPtr context = makeContext(result.module.get());
  result.module.reset();
  checkRuns(context.get(), 10, 1);
}

TEST(Context, StopsWhenCancelled) {
  for (uint32_t threads : {1, 2}) {
    lathe_context_options options = withThreads(threads);
    ContextPtr context = makeContext(sharedModule(), &options);
    std::thread canceller([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      lathe_context_cancel(context.get());
    });
    lathe_status status;
    EXPECT_EQ(runEntry(context.get(), "wait", {}, &status), LATHE_STATUS_CANCELLED);
    EXPECT_STREQ(status.message, "the run was cancelled");
    canceller.join();
    // It stays cancelled until resumed.
    lathe_value output = {};
    EXPECT_EQ(lathe_context_run(context.get(), entryOf(sharedModule(), "nest"), nullptr, 0, &output,
                                1, &status),
              LATHE_STATUS_CANCELLED);
    lathe_context_resume(context.get());
    EXPECT_EQ(lathe_context_run(context.get(), entryOf(sharedModule(), "nest"), nullptr, 0, &output,
                                1, &status),
              LATHE_STATUS_OK);
    lathe_value_release(&output);
  }
}

TEST(Context, StopsAtTheDeadline) {
  ContextPtr context = makeContext(sharedModule());
  int64_t begin = nowNs();
  lathe_context_deadline(context.get(), begin + 20'000'000);
  lathe_status status;
  EXPECT_EQ(runEntry(context.get(), "wait", {}, &status), LATHE_STATUS_DEADLINE);
  EXPECT_GE(nowNs(), begin + 20'000'000);
  EXPECT_EQ(runEntry(context.get(), "many", {}, &status), LATHE_STATUS_DEADLINE);
  lathe_context_deadline(context.get(), 0);
  EXPECT_EQ(runEntry(context.get(), "many", {}, &status), LATHE_STATUS_OK) << status.message;
}

TEST(Context, RunsNestedRegionsInline) {
  for (uint32_t threads : {1, 2, 4}) {
    lathe_context_options options = withThreads(threads);
    ContextPtr context = makeContext(sharedModule(), &options);
    std::vector<int64_t> sum(1);
    lathe_status status;
    ASSERT_EQ(runEntry(context.get(), "nest", {borrow(LATHE_I64, {}, sum)}, &status),
              LATHE_STATUS_OK)
        << status.message;
    EXPECT_EQ(sum[0], 1000);
  }
}

TEST(Context, UsesTheCallersExecutor) {
  struct Executor {
    std::atomic<int> regions{0};
    static void parallel(void *user, uint32_t width, void (*task)(void *), void *argument) {
      ++static_cast<Executor *>(user)->regions;
      std::vector<std::thread> threads;
      for (uint32_t i = 1; i < width; ++i)
        threads.emplace_back(task, argument);
      task(argument);
      for (std::thread &thread : threads)
        thread.join();
    }
  } executor;
  lathe_context_options options = contextOptions();
  options.executor = {&executor, 3, 0, Executor::parallel};
  ContextPtr context = makeContext(sharedModule(), &options);
  EXPECT_EQ(lathe_context_threads(context.get()), 3u);
  checkRuns(context.get(), 300, 3);
  EXPECT_EQ(executor.regions, 6);
  options.executor.width = 0;
  lathe_context *other = nullptr;
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &other, nullptr), LATHE_STATUS_ARGUMENT);
}

// As of a caller whose own allocation failed, or who forgot the function.
TEST(Context, RefusesHalfAnArenaOrExecutor) {
  lathe_context *context = nullptr;
  lathe_status status;
  lathe_context_options options = contextOptions();
  options.arena_bytes = 4096;
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_STREQ(status.message, "the arena of 4096 bytes is NULL");
  options = contextOptions();
  options.executor.width = 3;
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_STREQ(status.message, "the executor has width 3 but no parallel");
  EXPECT_EQ(context, nullptr);
}

TEST(Context, TracesRegionsAndNamesTheirFunctions) {
  std::multiset<std::string> names;
  lathe_context_options options = contextOptions();
  options.tracer = {&names,
                    [](void *user, const void *body, int64_t count, int64_t begin, int64_t end) {
                      EXPECT_LE(begin, end);
                      EXPECT_EQ(count, 40);
                      const char *name = lathe_module_symbol(sharedModule(), body);
                      static_cast<std::multiset<std::string> *>(user)->insert(name ? name : "?");
                    }};
  ContextPtr context = makeContext(sharedModule(), &options);
  checkRuns(context.get(), 10, 1);
  EXPECT_EQ(names, (std::multiset<std::string>{"add_body", "scale_body"}));
}

TEST(Context, LogsAGrowingArena) {
  std::string text;
  lathe_context_options options = contextOptions();
  options.logger = {&text, [](void *user, int32_t, const char *message) {
                      *static_cast<std::string *>(user) += message;
                    }};
  ContextPtr context = makeContext(sharedModule(), &options);
  checkRuns(context.get(), 10, 2);
  EXPECT_EQ(text, "the arena grew from 0 to 160 bytes");
}

#if defined(__x86_64__)
TEST(Context, SetsTheFloatingPointState) {
  uint32_t before = _mm_getcsr();
  lathe_context_options options = withThreads(3);
  ContextPtr context = makeContext(sharedModule(), &options);
  std::vector<uint32_t> states(64);
  _mm_setcsr(0x1f80 | 0x8040 | 0x6000); // flush to zero, denormals are zero, round toward zero
  lathe_status status;
  int32_t code = runEntry(context.get(), "floats", {borrow(LATHE_U32, {64}, states)}, &status);
  uint32_t after = _mm_getcsr();
  _mm_setcsr(before);
  ASSERT_EQ(code, LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(after, 0x1f80u | 0x8040 | 0x6000);
  EXPECT_THAT(states, testing::Each(0x1f80u));
}
#endif

TEST(Context, RefusesBadOptions) {
  lathe_context *context = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_context_create(nullptr, nullptr, &context, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_create(sharedModule(), nullptr, nullptr, &status), LATHE_STATUS_ARGUMENT);
  lathe_context_options options = {};
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  options = contextOptions();
  options.allocator.release = [](void *, void *, uint64_t) {};
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  options = withThreads(100000);
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("100000 threads are over the limit of 1024"));
  EXPECT_EQ(context, nullptr);
}

} // namespace
