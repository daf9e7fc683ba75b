// Running: results, checks of inputs and outputs, errors of compiled code, memory.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <cstring>
#include <gmock/gmock.h>
#include <malloc.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

struct Run : testing::Test {
  lathe_module *module = sharedModule();
  TestAllocator allocator; // outlives the context
  ContextPtr context = makeContext(module);
  lathe_status status;

  int32_t run(const char *entry, std::vector<lathe_value> inputs,
              std::vector<lathe_value> &outputs) {
    int32_t code = lathe_context_run(context.get(), entryOf(module, entry), inputs.data(),
                                     inputs.size(), outputs.data(), outputs.size(), &status);
    EXPECT_EQ(code, status.code);
    EXPECT_EQ(code == LATHE_STATUS_OK, status.message[0] == 0) << status.message;
    return code;
  }
};

float chosenWeight(const lathe_module *module) {
  lathe_variant_info info = {};
  info.size = sizeof(info);
  lathe_module_variant_info(module, 1, &info, nullptr);
  return info.chosen ? betterWeight : baseWeight;
}

std::vector<float> count(int n) {
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i)
    values[i] = i;
  return values;
}

TEST_F(Run, AllocatesOutputs) {
  std::vector<float> x = count(12), y = count(12);
  std::vector<lathe_value> outputs(1);
  ASSERT_EQ(run("run", {borrow(LATHE_F32, {3, 4}, x), borrow(LATHE_F32, {3, 4}, y)}, outputs),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(outputs[0].kind, LATHE_VALUE_TENSOR);
  EXPECT_EQ(outputs[0].rank, 2u);
  EXPECT_EQ(outputs[0].dims[0], 3);
  EXPECT_EQ(outputs[0].strides[0], 4);
  EXPECT_EQ(reinterpret_cast<uint64_t>(outputs[0].data) % LATHE_ALIGNMENT, 0u);
  const float *z = static_cast<float *>(outputs[0].data);
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(z[i], i + i * chosenWeight(module));
  // An owned output is an input like any other.
  std::vector<lathe_value> again(1);
  ASSERT_EQ(run("run", {outputs[0], outputs[0]}, again), LATHE_STATUS_OK) << status.message;
  lathe_value_release(&again[0]);
  lathe_value_release(&outputs[0]);
  EXPECT_EQ(outputs[0].kind, LATHE_VALUE_NONE);
  lathe_value_release(&outputs[0]);
}

TEST_F(Run, WritesToTheCallersMemory) {
  std::vector<float> x = count(8), y = count(8), z(8, -1);
  std::vector<lathe_value> outputs = {borrow(LATHE_F32, {2, 4}, z)};
  ASSERT_EQ(run("run", {borrow(LATHE_F32, {2, 4}, x), borrow(LATHE_F32, {2, 4}, y)}, outputs),
            LATHE_STATUS_OK);
  EXPECT_EQ(z[7], 7 + 7 * chosenWeight(module));
  EXPECT_EQ(outputs[0].data, z.data());
  EXPECT_EQ(outputs[0].device, 0u);
}

TEST_F(Run, TakesTensorsWithoutElements) {
  std::vector<float> none;
  std::vector<lathe_value> outputs(1);
  lathe_value empty = borrow(LATHE_F32, {0, 4}, none);
  ASSERT_EQ(run("run", {empty, empty}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(outputs[0].dims[0], 0);
  lathe_value_release(&outputs[0]);
  outputs = {empty};
  ASSERT_EQ(run("run", {empty, empty}, outputs), LATHE_STATUS_OK) << status.message;
}

TEST_F(Run, PlansWithoutData) {
  lathe_value inputs[2] = {};
  for (lathe_value &input : inputs) {
    int64_t dims[2] = {5, 4};
    lathe_value_borrow(&input, LATHE_F32, 2, dims, nullptr, nullptr);
  }
  lathe_value output;
  uint64_t arena = 0;
  ASSERT_EQ(lathe_context_plan(context.get(), 0, inputs, 2, &output, &arena, &status),
            LATHE_STATUS_OK);
  EXPECT_EQ(arena, 5 * 4 * sizeof(float));
  EXPECT_EQ(output.dims[0], 5);
  EXPECT_EQ(output.data, nullptr);
  EXPECT_EQ(lathe_context_arena_bytes(context.get()), 0u);
  ASSERT_EQ(lathe_context_reserve(context.get(), arena, &status), LATHE_STATUS_OK);
  EXPECT_EQ(lathe_context_arena_bytes(context.get()), arena);
  // The shapes must fit each other already here.
  inputs[1].dims[0] = 6;
  EXPECT_EQ(lathe_context_plan(context.get(), 0, inputs, 2, nullptr, nullptr, &status),
            LATHE_STATUS_SHAPE);
}

TEST_F(Run, RefusesWrongInputs) {
  std::vector<float> data = count(64);
  std::vector<double> wide(64);
  lathe_value good = borrow(LATHE_F32, {2, 4}, data);
  struct Case {
    int32_t code;
    const char *message;
    std::function<void(lathe_value &)> damage;
  } cases[] = {
      {LATHE_STATUS_TYPE, "input 'y': dtype f64 is given where the model takes f32",
       [](lathe_value &v) { v.dtype = LATHE_F64; }},
      {LATHE_STATUS_TYPE, "unknown dtype", [](lathe_value &v) { v.dtype = 77; }},
      {LATHE_STATUS_TYPE, "a none is given where the model takes a tensor",
       [](lathe_value &v) { v.kind = LATHE_VALUE_NONE; }},
      {LATHE_STATUS_TYPE, "unknown kind", [](lathe_value &v) { v.kind = 99; }},
      {LATHE_STATUS_SHAPE, "rank 3 is given where the model takes rank 2",
       [](lathe_value &v) { v.rank = 3; }},
      {LATHE_STATUS_SHAPE, "rank 4000000000", [](lathe_value &v) { v.rank = 4000000000; }},
      {LATHE_STATUS_SHAPE, "dim 1 of [2, 5] is 5 where the model takes 4",
       [](lathe_value &v) { v.dims[1] = 5; }},
      {LATHE_STATUS_SHAPE, "dim 0 ('batch') of [-1, 4] is -1 where the model takes 0 to 4096",
       [](lathe_value &v) { v.dims[0] = -1; }},
      {LATHE_STATUS_SHAPE, "is 4097 where", [](lathe_value &v) { v.dims[0] = 4097; }},
      {LATHE_STATUS_SHAPE, "dim 0 ('batch') is 3, but an earlier dim of that name is 2",
       [](lathe_value &v) { v.dims[0] = 3; }},
      {LATHE_STATUS_LAYOUT, "strides [1, 2] for dims [2, 4] are not contiguous",
       [](lathe_value &v) { v.strides[0] = 1, v.strides[1] = 2; }},
      {LATHE_STATUS_LAYOUT, "its data is NULL", [](lathe_value &v) { v.data = nullptr; }},
      {LATHE_STATUS_LAYOUT, "not aligned to 4 bytes",
       [](lathe_value &v) { v.data = static_cast<char *>(v.data) + 1; }},
      {LATHE_STATUS_LAYOUT, "on device 1", [](lathe_value &v) { v.device = 1; }},
  };
  for (const Case &test : cases) {
    lathe_value bad = good;
    test.damage(bad);
    std::vector<lathe_value> outputs(1);
    EXPECT_EQ(run("run", {good, bad}, outputs), test.code) << status.message;
    EXPECT_THAT(status.message, HasSubstr(test.message));
    EXPECT_EQ(outputs[0].kind, LATHE_VALUE_NONE);
  }
  // Strides that are all zero stand for contiguous ones.
  lathe_value zero = good;
  zero.strides[0] = zero.strides[1] = 0;
  std::vector<lathe_value> outputs(1);
  EXPECT_EQ(run("run", {good, zero}, outputs), LATHE_STATUS_OK) << status.message;
  lathe_value_release(&outputs[0]);
}

TEST_F(Run, RefusesHugeDims) {
  std::vector<float> data = count(8);
  lathe_value huge = borrow(LATHE_F32, {8}, data);
  for (int64_t size : {int64_t(1) << 44, int64_t(1) << 62, INT64_MAX, INT64_MIN, int64_t(-1)}) {
    huge.dims[0] = size;
    std::vector<lathe_value> outputs(1);
    EXPECT_EQ(run("nonzero", {huge}, outputs), LATHE_STATUS_SHAPE) << size;
  }
}

TEST_F(Run, RefusesWrongOutputs) {
  std::vector<float> data = count(64), out(64);
  lathe_value in = borrow(LATHE_F32, {2, 4}, data), good = borrow(LATHE_F32, {2, 4}, out);
  struct Case {
    int32_t code;
    const char *message;
    std::function<void(lathe_value &)> damage;
  } cases[] = {
      {LATHE_STATUS_TYPE, "a tensor of f64 is given where the model writes a tensor of f32",
       [](lathe_value &v) { v.dtype = LATHE_F64; }},
      {LATHE_STATUS_TYPE, "sequence", [](lathe_value &v) { v.kind = LATHE_VALUE_SEQUENCE; }},
      {LATHE_STATUS_SHAPE, "dims [3, 4] are given where the model writes [2, 4]",
       [](lathe_value &v) { v.dims[0] = 3; }},
      {LATHE_STATUS_SHAPE, "dims [2] are given", [](lathe_value &v) { v.rank = 1; }},
      {LATHE_STATUS_SHAPE, "given", [](lathe_value &v) { v.rank = 17; }},
      {LATHE_STATUS_LAYOUT, "not contiguous", [](lathe_value &v) { v.strides[0] = 5; }},
      {LATHE_STATUS_LAYOUT, "is NULL", [](lathe_value &v) { v.data = nullptr; }},
      {LATHE_STATUS_LAYOUT, "not aligned",
       [](lathe_value &v) { v.data = static_cast<char *>(v.data) + 2; }},
      {LATHE_STATUS_LAYOUT, "on device 3", [](lathe_value &v) { v.device = 3; }},
      {LATHE_STATUS_LAYOUT, "shares memory with input 'x'",
       [&](lathe_value &v) { v.data = data.data() + 1; }},
  };
  for (const Case &test : cases) {
    std::vector<lathe_value> outputs = {good};
    test.damage(outputs[0]);
    lathe_value before = outputs[0];
    EXPECT_EQ(run("run", {in, in}, outputs), test.code) << status.message;
    EXPECT_THAT(status.message, HasSubstr(test.message));
    EXPECT_EQ(memcmp(&before, &outputs[0], sizeof(before)), 0);
  }
}

TEST_F(Run, ComplexNumbersAlignAsTheirHalves) {
  // 16 bytes for the allocation, so 4 bytes on are 4 and no more.
  std::vector<float> in(8, 1), out(8);
  lathe_value x = borrow(LATHE_C64, {3}, in), y = borrow(LATHE_C64, {3}, out);
  x.data = in.data() + 1;
  y.data = out.data() + 1;
  std::vector<lathe_value> outputs = {y};
  ASSERT_EQ(run("conjugate", {x}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(out, (std::vector<float>{0, 1, -1, 1, -1, 1, -1, 0}));
  y.data = reinterpret_cast<char *>(out.data()) + 2;
  outputs = {y};
  EXPECT_EQ(run("conjugate", {x}, outputs), LATHE_STATUS_LAYOUT);
  EXPECT_THAT(status.message, HasSubstr("not aligned to 4 bytes"));
}

TEST_F(Run, SharesMemoryOnlyWhereTheModelAllows) {
  std::vector<int32_t> data = {1, 2, 3, 4, 0};
  std::vector<lathe_value> outputs = {borrow(LATHE_I32, {4}, data)};
  ASSERT_EQ(run("increment", {outputs[0]}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(data, (std::vector<int32_t>{2, 3, 4, 5, 0}));
  lathe_value in = outputs[0];
  outputs[0].data = data.data() + 1;
  EXPECT_EQ(run("increment", {in}, outputs), LATHE_STATUS_LAYOUT);
}

TEST_F(Run, SharesNoMemoryWithWhatSequencesHold) {
  std::vector<float> data = count(8);
  std::vector<int64_t> result(2);
  std::vector<lathe_value> items = {borrow(LATHE_F32, {4}, data), borrow(LATHE_F32, {2, 2}, data)};
  lathe_value list = {};
  ASSERT_EQ(lathe_value_borrow_items(&list, LATHE_VALUE_SEQUENCE, 2, items.data(), &status),
            LATHE_STATUS_OK);
  list.dtype = LATHE_F32; // as its spec says
  std::vector<lathe_value> outputs = {borrow(LATHE_I64, {}, result)};
  ASSERT_EQ(run("length", {list}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(result[0], 2);
  items[1].data = data.data() + 4;
  // Of the items, the second; then the array of items itself.
  for (void *place : {static_cast<void *>(data.data() + 6), static_cast<void *>(&items[1].dims)}) {
    outputs[0].data = place;
    EXPECT_EQ(run("length", {list}, outputs), LATHE_STATUS_LAYOUT);
    EXPECT_STREQ(status.message, "output 'value': it shares memory with input 'list'");
  }
}

TEST_F(Run, RefusesBadCalls) {
  std::vector<float> data = count(8);
  lathe_value in[2] = {borrow(LATHE_F32, {2, 4}, data), borrow(LATHE_F32, {2, 4}, data)};
  lathe_value out = {};
  EXPECT_EQ(lathe_context_run(nullptr, 0, in, 2, &out, 1, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_run(context.get(), 99, in, 2, &out, 1, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_THAT(status.message, HasSubstr("entry 99 does not exist"));
  EXPECT_EQ(lathe_context_run(context.get(), 0, in, 1, &out, 1, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_run(context.get(), 0, nullptr, 2, &out, 1, &status),
            LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_run(context.get(), 0, in, 2, &out, 2, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_run(context.get(), 0, in, 2, nullptr, 1, nullptr), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_plan(nullptr, 0, in, 2, &out, nullptr, &status), LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(lathe_context_reserve(nullptr, 0, &status), LATHE_STATUS_ARGUMENT);
  lathe_context_cancel(nullptr);
  lathe_context_resume(nullptr);
  lathe_context_deadline(nullptr, 1);
  lathe_context_destroy(nullptr);
  EXPECT_EQ(lathe_context_threads(nullptr), 0u);
}

TEST_F(Run, NamesTheNodeThatFailed) {
  std::vector<float> data = count(8);
  std::vector<int64_t> indices = {1, 2, 11, 4};
  std::vector<lathe_value> outputs(1);
  EXPECT_EQ(run("gather", {borrow(LATHE_F32, {8}, data), borrow(LATHE_I64, {4}, indices)}, outputs),
            LATHE_STATUS_INDEX);
  EXPECT_STREQ(status.message, "node 'Gather_3': index 11 is out of range for axis of size 8");
  EXPECT_EQ(status.site, 0u);
  EXPECT_EQ(status.args[0], 11);
  EXPECT_EQ(outputs[0].kind, LATHE_VALUE_NONE);
  indices[2] = 7; // the context stays usable
  ASSERT_EQ(run("gather", {borrow(LATHE_F32, {8}, data), borrow(LATHE_I64, {4}, indices)}, outputs),
            LATHE_STATUS_OK);
  EXPECT_EQ(static_cast<float *>(outputs[0].data)[2], 7);
  lathe_value_release(&outputs[0]);
}

TEST_F(Run, ConvertsWhateverCompiledCodeReturns) {
  auto fail = [&](int64_t returned, int64_t recorded, int64_t site) {
    std::vector<int64_t> what = {returned, recorded, site};
    std::vector<lathe_value> outputs;
    return run("fail", {borrow(LATHE_I64, {3}, what)}, outputs);
  };
  EXPECT_EQ(fail(0, 0, 0), LATHE_STATUS_OK);
  EXPECT_EQ(fail(3, 0, 0), LATHE_STATUS_DIVISION);
  EXPECT_EQ(status.site, UINT32_MAX);
  EXPECT_EQ(fail(0, 3, 2), LATHE_STATUS_DIVISION); // recorded by a body, not returned
  EXPECT_STREQ(status.message, "node 'Div_7': -7 is divided by 0 (2 3 4 5)");
  EXPECT_EQ(fail(3, 4, 3), LATHE_STATUS_RESHAPE); // the record knows more
  EXPECT_STREQ(status.message, "100% of 'Odd_%' fail with %9 and -7%");
  EXPECT_EQ(fail(5, 5, 4000), LATHE_STATUS_SIZE);
  EXPECT_STREQ(status.message, "a size is negative or too large");
  EXPECT_EQ(fail(77, 0, 0), LATHE_STATUS_MODEL);
  EXPECT_STREQ(status.message, "compiled code returned an unknown code (77)");
  EXPECT_EQ(fail(-1, 0, 0), LATHE_STATUS_MODEL);
  EXPECT_EQ(fail(8, 0, 0), LATHE_STATUS_LOOP);
}

TEST_F(Run, ChecksThePlan) {
  std::vector<float> data = count(32);
  auto shapes = [&](int64_t size) {
    std::vector<lathe_value> outputs(1);
    int32_t code = run("shapes", {borrow(LATHE_F32, {size}, data)}, outputs);
    lathe_value_release(&outputs[0]);
    return code;
  };
  EXPECT_EQ(shapes(12), LATHE_STATUS_OK);
  EXPECT_EQ(shapes(13), LATHE_STATUS_SHAPE);
  EXPECT_THAT(status.message, HasSubstr("node 'Div_7'"));
  EXPECT_EQ(shapes(14), LATHE_STATUS_MODEL);
  EXPECT_EQ(shapes(15), LATHE_STATUS_SIZE);
  EXPECT_EQ(shapes(16), LATHE_STATUS_MEMORY);
  EXPECT_THAT(status.message, HasSubstr("an arena of 18446744073709551615 bytes"));
  EXPECT_EQ(shapes(17), LATHE_STATUS_RUN_MEMORY);
  EXPECT_THAT(status.message, HasSubstr("contradicts the plan"));
}

TEST_F(Run, AllocatesOutputsWhoseSizeDependsOnData) {
  std::vector<float> data = {0, 1, 0, 2, 3, 0};
  lathe_value in = borrow(LATHE_F32, {6}, data);
  lathe_value planned;
  ASSERT_EQ(lathe_context_plan(context.get(), entryOf(module, "nonzero"), &in, 1, &planned, nullptr,
                               &status),
            LATHE_STATUS_OK);
  EXPECT_EQ(planned.dims[0], LATHE_DYNAMIC);
  std::vector<lathe_value> outputs(1);
  ASSERT_EQ(run("nonzero", {in}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(outputs[0].dims[0], 3);
  EXPECT_EQ(static_cast<int64_t *>(outputs[0].data)[2], 4);
  lathe_value_release(&outputs[0]);

  // The caller's memory serves up to its capacity.
  std::vector<int64_t> places(5, -1);
  outputs = {borrow(LATHE_I64, {5}, places)};
  ASSERT_EQ(run("nonzero", {in}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(outputs[0].dims[0], 3);
  EXPECT_EQ(places, (std::vector<int64_t>{1, 3, 4, -1, -1}));
  outputs = {borrow(LATHE_I64, {2}, places)};
  EXPECT_EQ(run("nonzero", {in}, outputs), LATHE_STATUS_RUN_MEMORY);
  EXPECT_STREQ(status.message, "node 'NonZero_1': no memory for the result: an output needs 24 "
                               "bytes where the caller gave 16");
}

TEST_F(Run, LimitsWhatDependsOnData) {
  lathe_context_options options = contextOptions();
  options.dynamic_limit = 100;
  context = makeContext(module, &options);
  std::vector<float> data = count(32);
  std::vector<lathe_value> outputs(1);
  EXPECT_EQ(run("nonzero", {borrow(LATHE_F32, {32}, data)}, outputs), LATHE_STATUS_RUN_MEMORY);
  EXPECT_STREQ(status.message, "node 'NonZero_1': no memory for the result: 256 bytes are wanted "
                               "where dynamic_limit leaves 100");
  EXPECT_EQ(run("nonzero", {borrow(LATHE_F32, {6}, data)}, outputs), LATHE_STATUS_OK);
  lathe_value_release(&outputs[0]);
}

TEST_F(Run, UsesTheCallersArena) {
  alignas(LATHE_ALIGNMENT) static char arena[256];
  lathe_context_options options = contextOptions();
  options.arena = arena;
  options.arena_bytes = sizeof(arena);
  options.allocator = allocator.get();
  context = makeContext(module, &options);
  std::vector<float> x = count(128), z(128);
  std::vector<lathe_value> outputs = {borrow(LATHE_F32, {16, 4}, z)};
  lathe_value in = borrow(LATHE_F32, {16, 4}, x);
  memset(arena, 0, sizeof(arena));
  ASSERT_EQ(run("run", {in, in}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_NE(std::count(arena, arena + sizeof(arena), 0), int64_t(sizeof(arena)));
  outputs = {borrow(LATHE_F32, {17, 4}, z)};
  in = borrow(LATHE_F32, {17, 4}, x);
  EXPECT_EQ(run("run", {in, in}, outputs), LATHE_STATUS_ARENA);
  EXPECT_STREQ(status.message, "the arena has 256 bytes where 272 are needed");
  EXPECT_EQ(allocator.calls, 0);
  options.arena = arena + 1;
  lathe_context *other = nullptr;
  EXPECT_EQ(lathe_context_create(module, &options, &other, &status), LATHE_STATUS_ARGUMENT);
}

// With outputs supplied and the arena large enough, a run asks neither the allocator nor malloc.
TEST_F(Run, AllocatesNothing) {
  lathe_context_options options = contextOptions();
  options.allocator = allocator.get();
  options.threads = 2;
  context = makeContext(module, &options);
  std::vector<float> x = count(4096), z(4096);
  std::vector<lathe_value> inputs = {borrow(LATHE_F32, {1024, 4}, x),
                                     borrow(LATHE_F32, {1024, 4}, x)};
  std::vector<lathe_value> outputs = {borrow(LATHE_F32, {1024, 4}, z)};
  auto call = [&] {
    return lathe_context_run(context.get(), 0, inputs.data(), 2, outputs.data(), 1, &status);
  };
  ASSERT_EQ(call(), LATHE_STATUS_OK);
  EXPECT_EQ(allocator.calls, 1); // the arena
  struct mallinfo2 before = mallinfo2();
  for (int i = 0; i < 100; ++i)
    call();
  struct mallinfo2 after = mallinfo2();
  EXPECT_EQ(before.uordblks, after.uordblks);
  EXPECT_EQ(allocator.calls, 1);
}

// Refuses the first, second, ... allocation of every kind of run: each is an error, and nothing
// leaks.
TEST_F(Run, SurvivesRefusedAllocations) {
  std::vector<float> x = count(64);
  lathe_value matrix = borrow(LATHE_F32, {16, 4}, x), vector = borrow(LATHE_F32, {64}, x);
  struct Case {
    const char *entry;
    std::vector<lathe_value> inputs;
    size_t outputs;
  } cases[] = {{"run", {matrix, matrix}, 1}, {"nonzero", {vector}, 1}, {"many", {}, 0}};
  for (const Case &test : cases) {
    bool succeeded = false;
    for (int refused = 0; refused < 300 && !succeeded; ++refused) {
      allocator.calls = 0;
      allocator.refuses = [&](uint64_t) { return allocator.calls == refused + 1; };
      lathe_context_options options = contextOptions();
      options.threads = 2;
      options.allocator = allocator.get();
      context = makeContext(module, &options);
      std::vector<lathe_value> outputs(test.outputs);
      int32_t code = run(test.entry, test.inputs, outputs);
      EXPECT_TRUE(code == LATHE_STATUS_OK || code == LATHE_STATUS_MEMORY ||
                  code == LATHE_STATUS_RUN_MEMORY)
          << status.message;
      succeeded = code == LATHE_STATUS_OK;
      for (lathe_value &output : outputs)
        lathe_value_release(&output);
      context.reset();
      EXPECT_EQ(allocator.live, 0) << test.entry << " " << refused;
    }
    EXPECT_TRUE(succeeded) << test.entry;
  }
}

TEST_F(Run, TakesSequences) {
  std::vector<float> data = count(4);
  std::vector<lathe_value> elements = {borrow(LATHE_F32, {4}, data),
                                       borrow(LATHE_F32, {2, 2}, data)};
  lathe_value list = {};
  list.kind = LATHE_VALUE_SEQUENCE;
  list.dtype = LATHE_F32;
  list.rank = 1;
  list.dims[0] = 2;
  list.data = elements.data();
  std::vector<lathe_value> outputs(1);
  ASSERT_EQ(run("length", {list}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(*static_cast<int64_t *>(outputs[0].data), 2);
  lathe_value_release(&outputs[0]);
  elements[1].rank = 99;
  EXPECT_EQ(run("length", {list}, outputs), LATHE_STATUS_SHAPE);
  elements[1] = list; // contains itself
  EXPECT_EQ(run("length", {list}, outputs), LATHE_STATUS_SHAPE);
  list.dims[0] = INT64_MAX;
  EXPECT_EQ(run("length", {list}, outputs), LATHE_STATUS_SHAPE);
  list.dims[0] = 2;
  list.data = reinterpret_cast<char *>(elements.data()) + 1;
  EXPECT_EQ(run("length", {list}, outputs), LATHE_STATUS_LAYOUT);
}

TEST_F(Run, GivesSequences) {
  std::vector<float> data = count(4);
  std::vector<lathe_value> elements = {borrow(LATHE_F32, {4}, data),
                                       borrow(LATHE_F32, {2, 2}, data)};
  lathe_value list = {};
  ASSERT_EQ(lathe_value_borrow_items(&list, LATHE_VALUE_SEQUENCE, 2, elements.data(), &status),
            LATHE_STATUS_OK);
  std::vector<lathe_value> outputs(1);
  ASSERT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_OK) << status.message;
  // One block, of which the items are a part: one release frees all.
  EXPECT_EQ(outputs[0].kind, LATHE_VALUE_SEQUENCE);
  EXPECT_EQ(outputs[0].device, LATHE_VALUE_OWNED);
  ASSERT_EQ(outputs[0].dims[0], 2);
  auto *items = static_cast<const lathe_value *>(outputs[0].data);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(items[i].device, 0u);
    EXPECT_EQ(lathe_value_bytes(&items[i]), 16);
    EXPECT_NE(items[i].data, data.data());
    EXPECT_EQ(memcmp(items[i].data, data.data(), 16), 0);
  }
  EXPECT_EQ(items[1].rank, 2u);
  lathe_value_release(&outputs[0]);
  EXPECT_EQ(outputs[0].kind, LATHE_VALUE_NONE);
  // None at all.
  ASSERT_EQ(lathe_value_borrow_items(&list, LATHE_VALUE_SEQUENCE, 0, nullptr, &status),
            LATHE_STATUS_OK);
  ASSERT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(outputs[0].dims[0], 0);
  lathe_value_release(&outputs[0]);
}

TEST_F(Run, ChecksWhatSequencesHold) {
  std::vector<float> data = count(4);
  std::vector<lathe_value> elements(7, borrow(LATHE_F32, {4}, data)), outputs(1);
  lathe_value list = {};
  ASSERT_EQ(lathe_value_borrow_items(&list, LATHE_VALUE_SEQUENCE, 7, elements.data(), &status),
            LATHE_STATUS_OK);
  // What compiled code does not write is not given.
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_MODEL);
  elements[3].dtype = LATHE_I32;
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_TYPE);
  EXPECT_STREQ(status.message,
               "input 'list': element 3: dtype i32 is given where the model takes f32");
  elements[3] = {};
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_TYPE);
  elements[3] = elements[0];
  elements[3].data = nullptr;
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_LAYOUT);
  elements[3] = elements[0];
  elements[3].device = 0x40000000u; // of the run's own lists only
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_LAYOUT);
  list.data = nullptr;
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_LAYOUT);
  // The caller allocates no such output.
  outputs[0] = list;
  list.dims[0] = 0;
  EXPECT_EQ(run("sequence", {list}, outputs), LATHE_STATUS_ARGUMENT);
}

} // namespace
