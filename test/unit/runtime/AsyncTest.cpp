// Runs beside the caller: waiting, completion, cancellation, the caller's threads.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <condition_variable>
#include <ctime>
#include <deque>
#include <gmock/gmock.h>
#include <mutex>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

constexpr int64_t second = 1'000'000'000;

// Counts completions, and keeps the code of the last.
struct Told {
  std::atomic<int> times{0};
  std::atomic<int32_t> code{-1};
  lathe_completion get() {
    return {this, [](void *user, const lathe_status *status) {
              static_cast<Told *>(user)->code = status->code;
              ++static_cast<Told *>(user)->times;
            }};
  }
};

// One thread that does what is submitted to it.
class Worker {
public:
  Worker() : thread([this] { serve(); }) {}
  ~Worker() {
    submit(this, nullptr, nullptr);
    thread.join();
  }
  static void submit(void *user, void (*task)(void *), void *argument) {
    auto &self = *static_cast<Worker *>(user);
    std::lock_guard guard(self.mutex);
    self.tasks.push_back({task, argument});
    self.changed.notify_one();
  }
  std::atomic<int> done{0};

private:
  void serve() {
    for (;;) {
      std::unique_lock guard(mutex);
      changed.wait(guard, [&] { return !tasks.empty(); });
      auto [task, argument] = tasks.front();
      tasks.pop_front();
      guard.unlock();
      if (!task)
        return;
      task(argument);
      ++done;
    }
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<void (*)(void *), void *>> tasks;
  std::thread thread;
};

struct Async : testing::Test {
  lathe_module *module = sharedModule();
  ContextPtr context = makeContext(module);
  lathe_status status;
  std::vector<float> x = std::vector<float>(400, 1), z = std::vector<float>(400);
  std::vector<lathe_value> inputs = {borrow(LATHE_F32, {100, 4}, x),
                                     borrow(LATHE_F32, {100, 4}, x)};
  std::vector<lathe_value> outputs = {borrow(LATHE_F32, {100, 4}, z)};

  int32_t start(const lathe_completion *completion = nullptr) {
    return lathe_context_run_async(context.get(), 0, inputs.data(), inputs.size(), outputs.data(),
                                   outputs.size(), completion, &status);
  }
  int32_t startWaiting(const lathe_completion *completion = nullptr) {
    return lathe_context_run_async(context.get(), entryOf(module, "wait"), nullptr, 0, nullptr, 0,
                                   completion, &status);
  }
  int32_t wait(int64_t timeout = -1) { return lathe_context_wait(context.get(), timeout, &status); }
};

TEST_F(Async, RunsAndIsWaitedFor) {
  EXPECT_EQ(wait(), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("nothing to wait for"));
  for (int i = 0; i < 200; ++i) {
    std::fill(z.begin(), z.end(), 0);
    {
      // The array of inputs may go at once.
      std::vector<lathe_value> copies = inputs;
      ASSERT_EQ(lathe_context_run_async(context.get(), 0, copies.data(), 2, outputs.data(), 1,
                                        nullptr, &status),
                LATHE_STATUS_OK)
          << status.message;
    }
    ASSERT_EQ(wait(), LATHE_STATUS_OK) << status.message;
    ASSERT_GT(z[399], 1);
    // Whoever has waited may go on at once.
    ASSERT_EQ(lathe_context_reserve(context.get(), 0, &status), LATHE_STATUS_OK) << status.message;
  }
  EXPECT_EQ(wait(), LATHE_STATUS_OK); // again: the same
}

TEST_F(Async, TellsOfTheEnd) {
  Told told;
  lathe_completion completion = told.get();
  ASSERT_EQ(start(&completion), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(wait(), LATHE_STATUS_OK);
  inputs[0].dims[1] = 5;
  while (told.times < 1)
    std::this_thread::yield();
  EXPECT_EQ(told.code, LATHE_STATUS_OK);
  ASSERT_EQ(start(&completion), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(wait(), LATHE_STATUS_SHAPE);
  EXPECT_THAT(status.message, HasSubstr("input 'x': dim 1 of [100, 5] is 5"));
  context.reset(); // waits for the completion
  EXPECT_EQ(told.times, 2);
  EXPECT_EQ(told.code, LATHE_STATUS_SHAPE);
}

TEST_F(Async, IsPendingUntilCancelled) {
  ASSERT_EQ(startWaiting(), LATHE_STATUS_OK);
  EXPECT_EQ(wait(0), LATHE_STATUS_PENDING);
  EXPECT_EQ(wait(2'000'000), LATHE_STATUS_PENDING);
  // As long as it runs, the context is in use.
  EXPECT_EQ(start(), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("another thread is using the context"));
  EXPECT_EQ(lathe_context_wait_descriptor(context.get()), -1);
  lathe_context_cancel(context.get());
  EXPECT_EQ(wait(60 * second), LATHE_STATUS_CANCELLED);
  lathe_context_resume(context.get());
  ASSERT_EQ(start(), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(wait(60 * second), LATHE_STATUS_OK);
}

TEST_F(Async, EndsAtTheDeadline) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lathe_context_deadline(context.get(), now.tv_sec * second + now.tv_nsec + 5'000'000);
  ASSERT_EQ(startWaiting(), LATHE_STATUS_OK);
  EXPECT_EQ(wait(60 * second), LATHE_STATUS_DEADLINE);
}

TEST_F(Async, MayBeDestroyedWhileItRuns) {
  Told told;
  lathe_completion completion = told.get();
  ASSERT_EQ(startWaiting(&completion), LATHE_STATUS_OK);
  context.reset();
  EXPECT_EQ(told.times, 1);
  EXPECT_EQ(told.code, LATHE_STATUS_CANCELLED);
}

TEST_F(Async, CompletionStartsTheNextRun) {
  struct Chain {
    Async *test;
    std::atomic<int> left{100};
    std::atomic<bool> failed{false};
    static void next(void *user, const lathe_status *status) {
      auto &self = *static_cast<Chain *>(user);
      self.failed = self.failed || status->code != LATHE_STATUS_OK;
      lathe_completion completion = {user, next};
      if (self.left.fetch_sub(1) > 1 && self.test->start(&completion) != LATHE_STATUS_OK)
        self.failed = true;
    }
  } chain{this};
  lathe_completion completion = {&chain, Chain::next};
  ASSERT_EQ(start(&completion), LATHE_STATUS_OK);
  while (chain.left > 0 && !chain.failed)
    std::this_thread::yield();
  EXPECT_FALSE(chain.failed);
}

TEST_F(Async, UsesTheCallersThread) {
  Worker worker;
  lathe_context_options options = contextOptions();
  options.threads = 1;
  options.submit = Worker::submit;
  options.submit_user = &worker;
  context = makeContext(module, &options);
  Told told;
  lathe_completion completion = told.get();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(start(&completion), LATHE_STATUS_OK) << status.message;
    ASSERT_EQ(wait(), LATHE_STATUS_OK) << status.message;
  }
  context.reset();
  EXPECT_EQ(told.times, 100);
  while (worker.done < 100)
    std::this_thread::yield();
}

TEST_F(Async, DescriptorIsReadableUntilWaitedFor) {
  int descriptor = lathe_context_wait_descriptor(context.get());
  ASSERT_GE(descriptor, 0);
  pollfd entry = {descriptor, POLLIN, 0};
  EXPECT_EQ(poll(&entry, 1, 0), 0);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(start(), LATHE_STATUS_OK);
    ASSERT_EQ(poll(&entry, 1, 60'000), 1);
    ASSERT_EQ(wait(), LATHE_STATUS_OK);
    ASSERT_EQ(poll(&entry, 1, 0), 0);
  }
  // One that is made when the run has ended already.
  context = makeContext(module);
  ASSERT_EQ(start(), LATHE_STATUS_OK);
  do
    entry.fd = lathe_context_wait_descriptor(context.get());
  while (entry.fd < 0);
  EXPECT_EQ(poll(&entry, 1, 0), 1);
  EXPECT_EQ(lathe_context_wait_descriptor(context.get()), entry.fd);
}

TEST_F(Async, WorksInAForkedChild) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "the thread sanitizer knows no threads after fork";
#endif
#endif
  ASSERT_EQ(start(), LATHE_STATUS_OK);
  ASSERT_EQ(wait(), LATHE_STATUS_OK);
  pid_t child = fork();
  if (!child) {
    bool ran = start() == LATHE_STATUS_OK && wait(60 * second) == LATHE_STATUS_OK;
    context.reset();
    _exit(ran ? 0 : 1);
  }
  int result = -1;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  EXPECT_EQ(result, 0);
  ASSERT_EQ(start(), LATHE_STATUS_OK);
  EXPECT_EQ(wait(), LATHE_STATUS_OK);
}

TEST_F(Async, RefusesBadCalls) {
  EXPECT_EQ(lathe_context_run_async(nullptr, 0, nullptr, 0, nullptr, 0, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_wait(nullptr, 0, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_wait_descriptor(nullptr), -1);
  EXPECT_EQ(lathe_context_run_async(context.get(), 1000, nullptr, 0, nullptr, 0, nullptr, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_run_async(context.get(), 0, inputs.data(), 3, outputs.data(), 1, nullptr,
                                    &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(
      lathe_context_run_async(context.get(), 0, nullptr, 2, outputs.data(), 1, nullptr, &status),
      LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(
      lathe_context_run_async(context.get(), 0, inputs.data(), 2, nullptr, 1, nullptr, &status),
      LATHE_STATUS_ARGUMENT);
  // None of them holds the context.
  EXPECT_EQ(start(), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(wait(), LATHE_STATUS_OK);
}

} // namespace
