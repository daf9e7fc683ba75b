// Calls that are wrong in random ways: each gets a status that says why, and the context goes on.
// What fails is found again by its number. Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <cstring>
#include <gmock/gmock.h>
#include <random>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

// Whatever small dims a wrong value claims, this much is there.
constexpr size_t bufferBytes = 2 << 20;

struct Caller {
  std::mt19937 random;
  lathe_module *module = sharedModule();
  std::vector<std::vector<char>> buffers;

  explicit Caller(unsigned seed) : random(seed) {}

  template <typename T> T pick(std::initializer_list<T> list) {
    return list.begin()[random() % list.size()];
  }

  void *memory() {
    buffers.emplace_back(bufferBytes);
    return buffers.back().data();
  }

  // A tensor, or a sequence of two, that the entry takes.
  lathe_value good(const lathe_tensor_spec &spec) {
    lathe_value value = {};
    if (spec.state >= 0 && random() % 2)
      return value;
    int64_t dims[LATHE_MAX_RANK];
    for (uint32_t d = 0; d < spec.rank; ++d)
      dims[d] = spec.dims[d].size == LATHE_DYNAMIC ? 3 : spec.dims[d].size;
    if (spec.kind == LATHE_VALUE_SEQUENCE) {
      auto *items = static_cast<lathe_value *>(memory());
      for (int i = 0; i < 2; ++i)
        EXPECT_EQ(
            lathe_value_borrow(&items[i], LATHE_F32, 1, (const int64_t[]){3}, memory(), nullptr),
            LATHE_STATUS_OK);
      EXPECT_EQ(lathe_value_borrow_items(&value, spec.kind, 2, items, nullptr), LATHE_STATUS_OK);
      return value;
    }
    EXPECT_EQ(lathe_value_borrow(&value, spec.dtype, spec.rank, dims, memory(), nullptr),
              LATHE_STATUS_OK);
    return value;
  }

  void spoil(lathe_value &value) {
    uint32_t d = random() % LATHE_MAX_RANK % 3;
    int64_t size = pick<int64_t>({0, 1, 2, 3, 4, 5, 8, 9, 64, 4096, 4097, -1, INT64_MIN, INT64_MAX,
                                  int64_t(1) << 40, LATHE_DYNAMIC});
    switch (random() % 8) {
    case 0:
      value.kind = pick<uint32_t>({0, 1, 2, 3, 4, 5, 6, 1000, UINT32_MAX});
      break;
    case 1:
      value.dtype = pick<uint32_t>({0, LATHE_F32, LATHE_F64, LATHE_I4, LATHE_I64, LATHE_BOOL,
                                    LATHE_C128, LATHE_I2 + 1, UINT32_MAX});
      break;
    case 2:
      value.rank = pick<uint32_t>(
          {0, 1, 2, 3, LATHE_MAX_RANK, LATHE_MAX_RANK + 1, LATHE_ANY_RANK, UINT32_MAX});
      break;
    case 3:
      value.device = pick<uint32_t>({1, 2, 0x7fffffff, LATHE_VALUE_OWNED | 1});
      break;
    case 4:
      value.strides[d] = size;
      break;
    case 5:
      value.data = nullptr;
      break;
    case 6:
      if (value.data)
        value.data = static_cast<char *>(value.data) + 1 + random() % 3;
      break;
    default:
      value.dims[d] = size;
    }
    // A tensor may claim to be large, but not that there is memory where there is none.
    if (lathe_value_bytes(&value) > int64_t(bufferBytes / 2))
      value.data = nullptr;
  }

  void call(lathe_context *context);
};

void Caller::call(lathe_context *context) {
  buffers.clear();
  uint32_t entry = random() % lathe_module_entry_count(module);
  if (!strcmp(lathe_module_entry_name(module, entry), "wait"))
    return; // nothing of it can be wrong, and it does not end
  uint32_t inputCount = lathe_module_input_count(module, entry);
  uint32_t outputCount = lathe_module_output_count(module, entry);
  std::vector<lathe_value> inputs, outputs(outputCount);
  for (uint32_t i = 0; i < inputCount; ++i)
    inputs.push_back(good(*lathe_module_input_spec(module, entry, i)));
  for (uint32_t i = 0; i < outputCount; ++i)
    if (const lathe_tensor_spec *spec = lathe_module_output_spec(module, entry, i);
        random() % 2 && spec->kind == LATHE_VALUE_TENSOR && spec->state < 0)
      outputs[i] = good(*spec);
  std::vector<lathe_value *> values;
  for (lathe_value &value : inputs) {
    values.push_back(&value);
    if (value.kind == LATHE_VALUE_SEQUENCE)
      values.push_back(static_cast<lathe_value *>(value.data) + random() % 2);
  }
  for (lathe_value &value : outputs)
    values.push_back(&value);
  for (int i = random() % 3; i >= 0 && !values.empty(); --i)
    spoil(*values[random() % values.size()]);
  switch (random() % 24) {
  case 0:
    ++inputCount;
    break;
  case 1:
    outputCount -= outputCount > 0;
    break;
  case 2:
    entry = pick<uint32_t>({lathe_module_entry_count(module), 1000, UINT32_MAX});
  }
  std::vector<bool> given;
  for (const lathe_value &value : outputs)
    given.push_back(value.kind != LATHE_VALUE_NONE);
  lathe_status status;
  memset(&status, 0x7f, sizeof(status));
  lathe_memory_info info = {};
  info.size = sizeof(info);
  uint64_t arena;
  const lathe_value *in = random() % 32 ? inputs.data() : nullptr;
  lathe_value *out = random() % 32 ? outputs.data() : nullptr;
  int32_t code = 0;
  bool runs = true;
  switch (random() % 5) {
  case 0:
    runs = false;
    code = lathe_context_plan(context, entry, in, inputCount, nullptr, &arena, &status);
    break;
  case 1:
    runs = false;
    code = lathe_context_memory(context, entry, in, inputCount, &info, &status);
    break;
  case 2:
    code =
        lathe_context_run_async(context, entry, in, inputCount, out, outputCount, nullptr, &status);
    code = code ? code : lathe_context_wait(context, -1, &status);
    break;
  default:
    code = lathe_context_run(context, entry, in, inputCount, out, outputCount, &status);
  }
  EXPECT_EQ(code, status.code);
  EXPECT_STRNE(lathe_status_name(code), "unknown") << code;
  EXPECT_NE(memchr(status.message, 0, sizeof(status.message)), nullptr);
  EXPECT_EQ(code == LATHE_STATUS_OK, status.message[0] == 0) << status.message;
  if (runs && !code && out)
    for (uint32_t i = 0; i < outputCount; ++i)
      if (!given[i])
        lathe_value_release(&outputs[i]);
}

TEST(BadCalls, GetAStatusAndTheContextGoesOn) {
  TestAllocator allocator;
  {
    lathe_context_options options = contextOptions();
    options.threads = 2;
    options.dynamic_limit = 1 << 20;
    options.allocator = allocator.get();
    ContextPtr context = makeContext(sharedModule(), &options);
    for (unsigned seed = 0; seed < 4000 && !testing::Test::HasFailure(); ++seed) {
      SCOPED_TRACE(seed);
      Caller(seed).call(context.get());
      if (seed % 50)
        continue;
      std::vector<int32_t> in = {1, 2, 3, 4}, out(4);
      lathe_value input = borrow(LATHE_I32, {4}, in), output = borrow(LATHE_I32, {4}, out);
      lathe_status status;
      EXPECT_EQ(lathe_context_run(context.get(), entryOf(sharedModule(), "increment"), &input, 1,
                                  &output, 1, &status),
                LATHE_STATUS_OK)
          << status.message;
      EXPECT_EQ(out, (std::vector<int32_t>{2, 3, 4, 5}));
    }
  }
  EXPECT_EQ(allocator.live, 0);
}

// Every function with nothing where it takes a pointer: an error, or nothing happens.
TEST(BadCalls, NullIsRefusedEverywhere) {
  lathe_status status;
  lathe_module *module = nullptr;
  lathe_context *context = nullptr;
  ContextPtr real = makeContext(sharedModule());
  int64_t dims[1] = {1};
  for (int32_t code :
       {lathe_device_query(0, nullptr, &status),
        lathe_value_borrow(nullptr, LATHE_F32, 1, dims, dims, &status),
        lathe_value_create(nullptr, LATHE_F32, 1, dims, nullptr, &status),
        lathe_value_borrow_layout(nullptr, LATHE_F32, 1, dims, nullptr, dims, &status),
        lathe_value_create_layout(nullptr, LATHE_F32, 1, dims, nullptr, &status),
        lathe_value_copy(nullptr, nullptr, &status),
        lathe_value_borrow_items(nullptr, LATHE_VALUE_SEQUENCE, 0, nullptr, &status),
        lathe_module_open(nullptr, nullptr, &module, &status),
        lathe_module_open("x", nullptr, nullptr, &status),
        lathe_module_open_fd(0, nullptr, nullptr, nullptr, &status),
        lathe_module_open_memory(nullptr, 64, nullptr, nullptr, &module, &status),
        lathe_module_open_static(nullptr, nullptr, &module, &status),
        lathe_module_verify(nullptr, &status),
        lathe_module_variant_info(nullptr, 0, nullptr, &status),
        lathe_module_variant_info(sharedModule(), 0, nullptr, &status),
        lathe_module_section_info(nullptr, 0, nullptr, &status),
        lathe_module_section_info(sharedModule(), 0, nullptr, &status),
        lathe_pool_create(1, nullptr, &status),
        lathe_context_create(nullptr, nullptr, &context, &status),
        lathe_context_plan(nullptr, 0, nullptr, 0, nullptr, nullptr, &status),
        lathe_context_memory(nullptr, 0, nullptr, 0, nullptr, &status),
        lathe_context_memory(real.get(), 3, nullptr, 0, nullptr, &status),
        lathe_context_reserve(nullptr, 0, &status),
        lathe_context_run(nullptr, 0, nullptr, 0, nullptr, 0, &status),
        lathe_context_run(real.get(), 0, nullptr, 2, nullptr, 1, &status),
        lathe_context_run_async(nullptr, 0, nullptr, 0, nullptr, 0, nullptr, &status),
        lathe_context_run_async(real.get(), 0, nullptr, 2, nullptr, 1, nullptr, &status),
        lathe_context_warm_up(nullptr, 0, nullptr, 0, &status),
        lathe_context_wait(nullptr, 0, &status),
        lathe_context_wait(real.get(), 0, &status),
        lathe_context_statistics(nullptr, nullptr, &status),
        lathe_context_statistics(real.get(), nullptr, &status)})
    EXPECT_EQ(code, LATHE_STATUS_ARGUMENT);
  EXPECT_EQ(module, nullptr);
  EXPECT_EQ(context, nullptr);
  EXPECT_EQ(lathe_context_wait_descriptor(nullptr), -1);
  EXPECT_EQ(lathe_context_run(nullptr, 0, nullptr, 0, nullptr, 0, nullptr), LATHE_STATUS_ARGUMENT);
  lathe_value_release(nullptr);
  lathe_module_close(nullptr);
  lathe_pool_destroy(nullptr);
  lathe_context_destroy(nullptr);
  lathe_context_reset(nullptr);
  lathe_context_cancel(nullptr);
  lathe_context_resume(nullptr);
  lathe_context_deadline(nullptr, 1);
  EXPECT_EQ(lathe_value_elements(nullptr), -1);
  EXPECT_EQ(lathe_value_bytes(nullptr), -1);
  EXPECT_EQ(lathe_value_contiguous(nullptr), 0);
  EXPECT_EQ(lathe_dtype_find(nullptr), 0u);
  EXPECT_EQ(lathe_pool_threads(nullptr), 0u);
  EXPECT_EQ(lathe_context_arena_bytes(nullptr), 0u);
  EXPECT_EQ(lathe_context_threads(nullptr), 0u);
  EXPECT_EQ(lathe_module_variant_count(nullptr), 0u);
  EXPECT_EQ(lathe_module_entry_name(nullptr, 0), nullptr);
  EXPECT_EQ(lathe_module_entry_find(nullptr, nullptr), -1);
  EXPECT_EQ(lathe_module_entry_find(sharedModule(), nullptr), -1);
  EXPECT_EQ(lathe_module_input_spec(nullptr, 0, 0), nullptr);
  EXPECT_EQ(lathe_module_output_spec(nullptr, 0, 0), nullptr);
  EXPECT_EQ(lathe_module_input_find(sharedModule(), 0, nullptr), -1);
  EXPECT_EQ(lathe_module_output_find(nullptr, 0, "x"), -1);
  EXPECT_EQ(lathe_module_section_count(nullptr), 0u);
  EXPECT_EQ(lathe_module_file_bytes(nullptr), 0u);
  EXPECT_EQ(lathe_module_image_bytes(nullptr), 0u);
  EXPECT_EQ(lathe_module_symbol(nullptr, nullptr), nullptr);
  EXPECT_STREQ(lathe_module_manifest(nullptr, nullptr), "");
  EXPECT_EQ(lathe_tensor_spec_format(nullptr, nullptr, 0), 0u);
  lathe_features_format(UINT64_MAX, nullptr, 0);
}

} // namespace
