// lathe.hpp: what the C API does, with owners, spans and results.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include "TestArtifact.h"

#include <gmock/gmock.h>

using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

struct Cpp : testing::Test {
  TemporaryFile file{makeArtifact()};
  lathe::Module module = *lathe::Module::open(file.path());
  lathe::Context context = *lathe::Context::create(module, lathe::contextOptions(1));
  std::vector<float> x = std::vector<float>(8, 1), y = std::vector<float>(8, 2);

  std::vector<lathe::Tensor> inputs() {
    std::vector<lathe::Tensor> result;
    result.push_back(*lathe::Tensor::borrow(x, {2, 4}));
    result.push_back(*lathe::Tensor::borrow(y, {2, 4}));
    return result;
  }
};

TEST_F(Cpp, DescribesAModule) {
  EXPECT_EQ(module.entryName(0), "run");
  EXPECT_EQ(module.findEntry("gather"), 1);
  EXPECT_EQ(module.findEntry("walk"), -1);
  ASSERT_EQ(module.inputCount(), 2u);
  EXPECT_EQ(module.input(1).name(), "y");
  EXPECT_EQ(module.input(1).text(), "f32[batch,4]");
  EXPECT_EQ(module.input(0).dims()[0].max, 4096);
  EXPECT_FALSE(module.input(0).isState());
  EXPECT_EQ(module.findOutput("z"), 0);
  EXPECT_EQ(module.manifest(), manifestText);
  EXPECT_TRUE(module.verify());
}

TEST_F(Cpp, Runs) {
  auto outputs = context.run(inputs());
  ASSERT_TRUE(outputs) << outputs.error().message();
  ASSERT_EQ(outputs->size(), 1u);
  const lathe::Tensor &z = outputs->front();
  EXPECT_THAT(z.dims(), ElementsAre(2, 4));
  EXPECT_THAT(z.strides(), ElementsAre(4, 1));
  auto elements = z.as<float>();
  ASSERT_TRUE(elements);
  EXPECT_EQ(elements->size(), 8u);
  EXPECT_GT((*elements)[7], 4);
  EXPECT_EQ(z.as<double>().error().code(), LATHE_STATUS_TYPE);
  EXPECT_STREQ(z.as<double>().error().message(),
               "the tensor's elements are f32 where f64 is asked for");
  std::vector<float> four(4);
  EXPECT_STREQ(lathe::Tensor::borrow(four, {5}).error().message(),
               "the dims have 5 elements where 4 are given");

  // Into memory of the caller's.
  std::vector<float> memory(8);
  std::vector<lathe::Tensor> into;
  into.push_back(*lathe::Tensor::borrow(memory, {2, 4}));
  ASSERT_TRUE(context.run(inputs(), into));
  EXPECT_EQ(memory[7], (*elements)[7]);
  EXPECT_EQ(context.statistics().runs, 2u);
}

TEST_F(Cpp, RunsBesideTheCaller) {
  std::vector<lathe::Tensor> outputs(1), given = inputs();
  ASSERT_TRUE(context.runAsync(given, outputs));
  auto done = context.wait(std::chrono::seconds(60));
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(outputs[0].size(), 8u);
}

TEST_F(Cpp, RunsInAStream) {
  auto stream = lathe::Stream::create();
  ASSERT_TRUE(stream) << stream.error().message();
  EXPECT_FALSE(lathe::Stream::create(1));
  lathe_context_options options = lathe::contextOptions(1);
  options.stream = stream->get();
  auto own = lathe::Context::create(module, options);
  ASSERT_TRUE(own) << own.error().message();
  std::vector<lathe::Tensor> given = inputs(), outputs(1);
  ASSERT_TRUE(own->runAsync(given, outputs));
  ASSERT_TRUE(stream->wait());
  EXPECT_EQ(outputs[0].size(), 8u);
}

TEST_F(Cpp, KnowsAhead) {
  auto planned = context.plan(inputs());
  ASSERT_TRUE(planned);
  EXPECT_THAT(planned->front().dims(), ElementsAre(2, 4));
  auto memory = context.memory(inputs());
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->peak_bytes, memory->arena_bytes + memory->output_bytes);
  EXPECT_TRUE(context.warmUp(inputs()));
  EXPECT_EQ(context.statistics().runs, 0u);
}

TEST_F(Cpp, SaysWhatIsWrong) {
  auto missing = lathe::Module::open("/nonexistent.lathe");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), LATHE_STATUS_IO);
  EXPECT_EQ(missing.error().name(), "io");
  EXPECT_THAT(missing.error().message(), HasSubstr("/nonexistent.lathe"));
  EXPECT_FALSE(lathe::Tensor::borrow(x, {3, 4}));
  EXPECT_FALSE(lathe::Tensor::borrow(x, {-1, 4}));
  std::vector<lathe::Tensor> one(1);
  auto refused = context.run(one);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), LATHE_STATUS_ARGUMENT);
}

TEST_F(Cpp, Stops) {
  std::vector<lathe::Tensor> none;
  uint32_t wait = module.findEntry("wait");
  context.deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(5));
  auto late = context.run(none, wait);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), LATHE_STATUS_DEADLINE);
  context.noDeadline();
  context.cancel();
  EXPECT_EQ(context.run(none, wait).error().code(), LATHE_STATUS_CANCELLED);
  context.resume();
  EXPECT_TRUE(context.run(inputs()));
}

TEST_F(Cpp, TensorsMoveTheirMemory) {
  TestAllocator allocator;
  lathe_allocator given = allocator.get();
  {
    lathe::Tensor a = *lathe::Tensor::create(LATHE_I64, {3}, &given);
    EXPECT_EQ((*a.as<int64_t>())[2], 0);
    lathe::Tensor b = std::move(a);
    EXPECT_TRUE(a.empty());
    EXPECT_EQ(b.size(), 3u);
    a = std::move(b);
    EXPECT_EQ(a.size(), 3u);
    EXPECT_GT(allocator.live, 0);
  }
  EXPECT_EQ(allocator.live, 0);
}

TEST_F(Cpp, ContextsShareAPoolAndKeepTheModule) {
  lathe::Pool pool = *lathe::Pool::create(2);
  EXPECT_EQ(pool.threads(), 2u);
  lathe_context_options options = lathe::contextOptions();
  options.pool = pool.get();
  lathe::Context other = *lathe::Context::create(module, options);
  module = *lathe::Module::open(file.path());
  EXPECT_EQ(other.threads(), 2u);
  EXPECT_TRUE(other.run(inputs()));
}

} // namespace
