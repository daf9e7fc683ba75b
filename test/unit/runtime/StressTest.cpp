// Many threads on one module, with modules that come and go. LATHE_STRESS_SECONDS makes it longer.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <chrono>
#include <cstring>
#include <thread>
#include <unistd.h>

using namespace lathe::test;

namespace {

constexpr int threadCount = 64;

double seconds() {
  const char *text = getenv("LATHE_STRESS_SECONDS");
  return text ? atof(text) : 2;
}

// What one thread runs, over and over: three entries, with shapes of its own.
struct Work {
  explicit Work(int seed)
      : rows(1 + seed * 7 % 61), x(rows * 4), y(rows * 4), data(8), indices(rows) {
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = 0.37f * i + seed, y[i] = i % 3 ? 1.3f * i : 0;
    for (size_t i = 0; i < data.size(); ++i)
      data[i] = i + 0.5f * seed;
    for (size_t i = 0; i < indices.size(); ++i)
      indices[i] = (i * 5 + seed) % 8;
  }

  // All outputs' bytes, one after the other; empty where a run fails.
  Bytes run(lathe_context *context, lathe_module *module) {
    Bytes result;
    lathe_value matrix[2] = {borrow(LATHE_F32, {rows, 4}, x), borrow(LATHE_F32, {rows, 4}, y)};
    lathe_value gather[2] = {borrow(LATHE_F32, {8}, data), borrow(LATHE_I64, {rows}, indices)};
    lathe_value vector = borrow(LATHE_F32, {rows * 4}, y);
    struct Call {
      const char *entry;
      const lathe_value *inputs;
      uint32_t count;
    };
    for (const Call &call :
         {Call{"run", matrix, 2}, Call{"gather", gather, 2}, Call{"nonzero", &vector, 1}}) {
      lathe_value output = {};
      lathe_status status;
      int32_t entry = lathe_module_entry_find(module, call.entry);
      if (lathe_context_run(context, entry, call.inputs, call.count, &output, 1, &status)) {
        ADD_FAILURE() << call.entry << ": " << status.message;
        return {};
      }
      auto *bytes = static_cast<const char *>(output.data);
      result.insert(result.end(), bytes, bytes + lathe_value_bytes(&output));
      lathe_value_release(&output);
    }
    // One that fails, in between.
    indices[0] = 100;
    lathe_value output = {};
    EXPECT_EQ(lathe_context_run(context, lathe_module_entry_find(module, "gather"), gather, 2,
                                &output, 1, nullptr),
              LATHE_STATUS_INDEX);
    indices[0] = 3;
    return result;
  }

  int64_t rows;
  std::vector<float> x, y, data;
  std::vector<int64_t> indices;
};

TEST(Stress, ManyThreadsComputeWhatEachComputesAlone) {
  lathe_pool *pool = nullptr;
  ASSERT_EQ(lathe_pool_create(4, &pool, nullptr), LATHE_STATUS_OK);
  // A third of them have their own thread alone, a third share a pool, a third have two threads.
  auto contextOf = [&](int thread) {
    lathe_context_options options = contextOptions();
    options.pool = thread % 3 == 1 ? pool : nullptr;
    options.threads = thread % 3 == 2 ? 2 : 1;
    return makeContext(sharedModule(), &options);
  };
  std::vector<Bytes> alone(threadCount);
  for (int t = 0; t < threadCount; ++t) {
    Work work(t);
    work.indices[0] = 3;
    alone[t] = work.run(contextOf(t).get(), sharedModule());
    ASSERT_FALSE(alone[t].empty());
  }
  TemporaryFile file(makeArtifact());
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds());
  std::atomic<int64_t> runs{0}, opened{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < threadCount; ++t)
    threads.emplace_back([&, t] {
      Work work(t);
      work.indices[0] = 3;
      do {
        ContextPtr context = contextOf(t);
        for (int i = 0; i < 5; ++i, ++runs)
          ASSERT_EQ(work.run(context.get(), sharedModule()), alone[t]) << "thread " << t;
        if (t % 8)
          continue;
        // And a module of its own, closed before its context.
        lathe_module *module = nullptr;
        ASSERT_EQ(lathe_module_open(file.path(), nullptr, &module, nullptr), LATHE_STATUS_OK);
        ContextPtr other = makeContext(module);
        lathe_module_close(module);
        ASSERT_EQ(work.run(other.get(), sharedModule()), alone[t]);
        ++opened;
      } while (std::chrono::steady_clock::now() < end);
    });
  for (std::thread &thread : threads)
    thread.join();
  lathe_pool_destroy(pool);
  RecordProperty("runs", std::to_string(runs));
  RecordProperty("opened", std::to_string(opened));
  printf("%lld rounds in %d threads, %lld modules opened\n", (long long)runs.load(), threadCount,
         (long long)opened.load());
  EXPECT_GE(runs, threadCount * 5);
}

// A server that takes over a new file under the old path, while requests go on with the old one.
TEST(Stress, ReloadsAReplacedFile) {
  Bytes first = makeArtifact(), second = first;
  const Elf64_Shdr &weights = findSection(second, LATHE_SECTION_WEIGHTS);
  std::vector<float> changed(weights.sh_size / sizeof(float), 11);
  memcpy(second.data() + weights.sh_offset, changed.data(), weights.sh_size);
  ASSERT_TRUE(reseal(second));
  TemporaryFile file(first);
  auto weightOf = [](lathe_context *context) {
    std::vector<float> x(4, 0), y(4, 1), z(4, -1);
    lathe_value inputs[2] = {borrow(LATHE_F32, {1, 4}, x), borrow(LATHE_F32, {1, 4}, y)};
    lathe_value output = borrow(LATHE_F32, {1, 4}, z);
    EXPECT_EQ(lathe_context_run(context, 0, inputs, 2, &output, 1, nullptr), LATHE_STATUS_OK);
    return z[0];
  };
  auto open = [&] {
    lathe_module *module = nullptr;
    lathe_status status;
    EXPECT_EQ(lathe_module_open(file.path(), nullptr, &module, &status), LATHE_STATUS_OK)
        << status.message;
    ContextPtr context = makeContext(module);
    EXPECT_EQ(lathe_module_verify(module, nullptr), LATHE_STATUS_OK);
    lathe_module_close(module);
    return context;
  };
  ContextPtr old = open();
  float before = weightOf(old.get());
  EXPECT_NE(before, 11);
  for (int i = 0; i < 20; ++i) {
    TemporaryFile next(i % 2 ? first : second);
    ASSERT_EQ(rename(next.path(), file.path()), 0);
    ContextPtr fresh = open();
    EXPECT_EQ(weightOf(fresh.get()), i % 2 ? before : 11);
    EXPECT_EQ(weightOf(old.get()), before);
  }
}

} // namespace
