// Streams: runs of several contexts beside the caller, one after another.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

constexpr int64_t second = 1'000'000'000;

struct DestroyStream {
  void operator()(lathe_stream *stream) const { lathe_stream_destroy(stream); }
};
using StreamPtr = std::unique_ptr<lathe_stream, DestroyStream>;

StreamPtr makeStream() {
  lathe_stream *stream = nullptr;
  lathe_status status;
  EXPECT_EQ(lathe_stream_create(0, &stream, &status), LATHE_STATUS_OK) << status.message;
  return StreamPtr(stream);
}

// A context on the stream, with a run of "increment" that adds one to each of four numbers.
struct Counting {
  explicit Counting(lathe_stream *stream, uint32_t threads = 1) {
    lathe_context_options options = contextOptions();
    options.threads = threads;
    options.stream = stream;
    context = makeContext(sharedModule(), &options);
  }
  int32_t start(std::vector<int32_t> &data, const lathe_completion *completion = nullptr) {
    value = borrow(LATHE_I32, {4}, data);
    output = value;
    return lathe_context_run_async(context.get(), entryOf(sharedModule(), "increment"), &value, 1,
                                   &output, 1, completion, &status);
  }
  int32_t startWaiting() {
    return lathe_context_run_async(context.get(), entryOf(sharedModule(), "wait"), nullptr, 0,
                                   nullptr, 0, nullptr, &status);
  }
  ContextPtr context;
  lathe_value value = {}, output = {};
  lathe_status status;
};

TEST(Stream, RunsInOrder) {
  StreamPtr stream = makeStream();
  constexpr int count = 8;
  std::vector<std::unique_ptr<Counting>> contexts;
  for (int i = 0; i < count; ++i)
    contexts.push_back(std::make_unique<Counting>(stream.get(), 1 + i % 2));
  // All work on the same numbers: at the same time it would be a race.
  std::vector<int32_t> data(4), order;
  struct Place {
    std::vector<int32_t> *order;
    int32_t number;
  };
  std::vector<Place> places;
  for (int i = 0; i < count; ++i)
    places.push_back({&order, i});
  lathe_status status;
  for (int round = 0; round < 50; ++round) {
    order.clear();
    for (int i = 0; i < count; ++i) {
      lathe_completion completion = {&places[i], [](void *user, const lathe_status *) {
                                       auto &place = *static_cast<Place *>(user);
                                       place.order->push_back(place.number);
                                     }};
      ASSERT_EQ(contexts[i]->start(data, &completion), LATHE_STATUS_OK)
          << contexts[i]->status.message;
    }
    ASSERT_EQ(lathe_stream_wait(stream.get(), -1, &status), LATHE_STATUS_OK) << status.message;
    ASSERT_EQ(data[3], count * (round + 1));
    ASSERT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  }
  for (auto &each : contexts) {
    EXPECT_EQ(lathe_context_wait(each->context.get(), 0, &status), LATHE_STATUS_OK);
    lathe_statistics statistics = {};
    statistics.size = sizeof(statistics);
    EXPECT_EQ(lathe_context_statistics(each->context.get(), &statistics, nullptr), LATHE_STATUS_OK);
    EXPECT_EQ(statistics.runs, 50u);
  }
}

TEST(Stream, WaitsForATime) {
  StreamPtr stream = makeStream();
  lathe_status status;
  EXPECT_EQ(lathe_stream_wait(stream.get(), 0, &status), LATHE_STATUS_OK); // nothing in it
  Counting first(stream.get()), second(stream.get());
  std::vector<int32_t> data(4);
  ASSERT_EQ(first.startWaiting(), LATHE_STATUS_OK);
  ASSERT_EQ(second.start(data), LATHE_STATUS_OK);
  EXPECT_EQ(lathe_stream_wait(stream.get(), 2'000'000, &status), LATHE_STATUS_PENDING);
  EXPECT_STREQ(status.message, "2 runs of the stream are still going on");
  EXPECT_EQ(data[0], 0);
  lathe_context_cancel(first.context.get());
  EXPECT_EQ(lathe_stream_wait(stream.get(), 60 * ::second, &status), LATHE_STATUS_OK);
  EXPECT_EQ(data[0], 1); // a run that fails stops no other
  EXPECT_EQ(lathe_context_wait(first.context.get(), 0, &status), LATHE_STATUS_CANCELLED);
}

// One that waits in the queue, and the one that runs.
TEST(Stream, ContextsMayBeDestroyedWhileTheyAreInIt) {
  StreamPtr stream = makeStream();
  Counting queued(stream.get()), last(stream.get());
  std::vector<int32_t> data(4), more(4);
  {
    Counting running(stream.get());
    ASSERT_EQ(running.startWaiting(), LATHE_STATUS_OK);
    ASSERT_EQ(queued.start(data), LATHE_STATUS_OK);
    lathe_context_cancel(queued.context.get());
    ASSERT_EQ(last.start(more), LATHE_STATUS_OK);
  }
  queued.context.reset();
  EXPECT_EQ(lathe_context_wait(last.context.get(), 60 * second, nullptr), LATHE_STATUS_OK);
  EXPECT_EQ(data[0], 0);
  EXPECT_EQ(more[0], 1);
}

TEST(Stream, ACompletionStartsTheNextRun) {
  StreamPtr stream = makeStream();
  struct Chain {
    Counting *counting;
    std::vector<int32_t> data;
    std::atomic<int> left;
    lathe_completion next() {
      return {this, [](void *user, const lathe_status *) {
                auto &self = *static_cast<Chain *>(user);
                lathe_completion completion = self.next();
                if (--self.left > 0)
                  EXPECT_EQ(self.counting->start(self.data, &completion), LATHE_STATUS_OK);
              }};
    }
  };
  Counting a(stream.get()), b(stream.get());
  Chain chains[] = {{&a, std::vector<int32_t>(4), 100}, {&b, std::vector<int32_t>(4), 70}};
  for (Chain &chain : chains) {
    lathe_completion completion = chain.next();
    ASSERT_EQ(chain.counting->start(chain.data, &completion), LATHE_STATUS_OK);
  }
  while (chains[0].left > 0 || chains[1].left > 0)
    std::this_thread::yield();
  EXPECT_EQ(lathe_stream_wait(stream.get(), -1, nullptr), LATHE_STATUS_OK);
  EXPECT_EQ(chains[0].data[0], 100);
  EXPECT_EQ(chains[1].data[0], 70);
}

TEST(Stream, TakesRunsFromManyThreads) {
  StreamPtr stream = makeStream();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      std::vector<int32_t> data(4);
      for (int made = 0; made < 10; ++made) {
        Counting own(stream.get());
        for (int i = 0; i < 20; ++i) {
          ASSERT_EQ(own.start(data), LATHE_STATUS_OK) << own.status.message;
          if (i % 3 == 0)
            EXPECT_EQ(lathe_stream_wait(stream.get(), -1, nullptr), LATHE_STATUS_OK);
          ASSERT_EQ(lathe_context_wait(own.context.get(), -1, nullptr), LATHE_STATUS_OK);
        }
      }
      EXPECT_EQ(data[0], 200);
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Stream, StaysInItsProcess) {
  StreamPtr stream = makeStream();
  Counting idle(stream.get()), running(stream.get());
  std::vector<int32_t> data(4);
  ASSERT_EQ(idle.start(data), LATHE_STATUS_OK);
  ASSERT_EQ(lathe_stream_wait(stream.get(), -1, nullptr), LATHE_STATUS_OK);
  ASSERT_EQ(running.startWaiting(), LATHE_STATUS_OK);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    lathe_status status;
    bool right =
        lathe_stream_wait(stream.get(), -1, &status) == LATHE_STATUS_ARGUMENT &&
        idle.start(data) == LATHE_STATUS_ARGUMENT &&
        std::string(idle.status.message).find("after fork() make another one") != std::string::npos;
    // The context itself goes on, and everything can be destroyed.
    right &= lathe_context_run(idle.context.get(), entryOf(sharedModule(), "increment"),
                               &idle.value, 1, &idle.output, 1, nullptr) == LATHE_STATUS_OK;
    idle.context.reset();
    running.context.reset();
    stream.reset();
    _exit(right ? 0 : 1);
  }
  int ended = -1;
  ASSERT_EQ(waitpid(child, &ended, 0), child);
  EXPECT_EQ(ended, 0);
  lathe_context_cancel(running.context.get());
  EXPECT_EQ(idle.start(data), LATHE_STATUS_OK) << idle.status.message;
  EXPECT_EQ(lathe_stream_wait(stream.get(), 60 * second, nullptr), LATHE_STATUS_OK);
  EXPECT_EQ(data[0], 2);
}

TEST(Stream, RefusesBadCalls) {
  lathe_status status;
  lathe_stream *stream = nullptr;
  EXPECT_EQ(lathe_stream_create(1, &stream, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_STREQ(status.message, "device 1 does not exist; there are 1");
  EXPECT_EQ(lathe_stream_create(0, nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_stream_wait(nullptr, 0, &status), LATHE_STATUS_ARGUMENT);
  lathe_stream_destroy(nullptr);
  StreamPtr real = makeStream();
  lathe_context_options options = contextOptions();
  options.stream = real.get();
  options.submit = [](void *, void (*)(void *), void *) {};
  lathe_context *context = nullptr;
  EXPECT_EQ(lathe_context_create(sharedModule(), &options, &context, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("both a stream and submit"));
  EXPECT_EQ(context, nullptr);
}

} // namespace
