// Artifacts of every format version that was released load and run; see formats/model.py.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <fstream>
#include <gmock/gmock.h>
#include <iterator>
#include <random>

using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

#if defined(__x86_64__)
TEST(Formats, EveryVersionRuns) {
  for (uint32_t version = 1; version <= lathe_version_format(); ++version) {
    std::string path = LATHE_TEST_FORMATS "/v" + std::to_string(version) + ".lathe";
    lathe_module *opened = nullptr;
    lathe_status status;
    ASSERT_EQ(lathe_module_open(path.c_str(), nullptr, &opened, &status), LATHE_STATUS_OK)
        << status.message;
    ModulePtr module(opened);
    EXPECT_EQ(lathe_module_verify(module.get(), &status), LATHE_STATUS_OK) << status.message;
    uint32_t entry = entryOf(module.get(), "run");
    ASSERT_EQ(lathe_module_input_count(module.get(), entry), 2u);
    const lathe_tensor_spec *spec = lathe_module_input_spec(module.get(), entry, 1);
    EXPECT_STREQ(spec->name, "i");
    EXPECT_STREQ(spec->dims[0].symbol, "count");
    ContextPtr context = makeContext(module.get());
    std::vector<float> x = {1, 1, 1, 1, 2, 2, 2, 2, -1, 0, 1, 0.5f};
    std::vector<int64_t> i = {2, 0};
    lathe_value inputs[] = {borrow(LATHE_F32, {3, 4}, x), borrow(LATHE_I64, {2}, i)}, output = {};
    ASSERT_EQ(lathe_context_run(context.get(), entry, inputs, 2, &output, 1, &status),
              LATHE_STATUS_OK)
        << status.message;
    auto *y = static_cast<const float *>(output.data);
    EXPECT_THAT(std::vector<float>(y, y + 8), ElementsAre(-1, 0, 3, 2, 1, 2, 3, 4));
    lathe_value_release(&output);
    i[1] = 3; // out of range: the node is named as ever
    EXPECT_EQ(lathe_context_run(context.get(), entry, inputs, 2, &output, 1, &status),
              LATHE_STATUS_INDEX);
    EXPECT_THAT(status.message, HasSubstr("node 'pick': index 3"));
  }
}

// As Loader.NoticesFlippedBits, of what the compiler makes: code for two levels, debug sections.
TEST(Formats, DamageIsNoticed) {
  std::ifstream file(LATHE_TEST_FORMATS "/v1.lathe", std::ios::binary);
  const Bytes whole((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(whole.size(), 10000u);
  std::mt19937 random(4);
  for (int i = 0; i < 2000; ++i) {
    Bytes bytes = whole;
    size_t byte = random() % whole.size();
    bytes[byte] ^= 1 << random() % 8;
    OpenResult result = openBytes(bytes);
    lathe_status status = result.status;
    if (result.module) {
      EXPECT_EQ(lathe_module_verify(result.module.get(), &status), LATHE_STATUS_ALTERED) << byte;
    }
    EXPECT_NE(status.message[0], 0) << byte;
    OpenResult cut = openBytes(Bytes(whole.begin(), whole.begin() + byte));
    EXPECT_EQ(cut.module, nullptr) << byte;
    EXPECT_NE(cut.status.message[0], 0) << byte;
  }
}
#endif

} // namespace
