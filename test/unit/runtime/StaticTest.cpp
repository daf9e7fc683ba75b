// Models that are part of the program.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <dlfcn.h>
#include <gmock/gmock.h>

using namespace lathe::test;
using testing::HasSubstr;

namespace {

struct Static : testing::Test {
  // The system's loader stands in for a static link.
  void *library = dlopen(LATHE_TEST_MODEL, RTLD_NOW | RTLD_LOCAL);
  const lathe_static_model *model = nullptr;
  lathe_status status;

  void SetUp() override {
    ASSERT_TRUE(library) << dlerror();
    model = static_cast<const lathe_static_model *>(dlsym(library, "lathe_model_test"));
    ASSERT_TRUE(model) << dlerror();
  }
  ~Static() override {
    if (library)
      dlclose(library);
  }
  int32_t open(const lathe_static_model *given, ModulePtr &module) {
    lathe_module *result = nullptr;
    int32_t code = lathe_module_open_static(given, nullptr, &result, &status);
    module.reset(result);
    return code;
  }
};

TEST_F(Static, Runs) {
  ModulePtr module;
  ASSERT_EQ(open(model, module), LATHE_STATUS_OK) << status.message;
  EXPECT_STREQ(lathe_module_manifest(module.get(), nullptr), "{}");
  EXPECT_EQ(lathe_module_verify(module.get(), &status), LATHE_STATUS_OK) << status.message;
  EXPECT_EQ(lathe_module_section_count(module.get()), 0u);
  EXPECT_EQ(lathe_module_file_bytes(module.get()), 0u);
  ContextPtr context = makeContext(module.get());
  std::vector<float> x = {1, 2, 3, 4};
  lathe_value inputs[] = {borrow(LATHE_F32, {1, 4}, x), borrow(LATHE_F32, {1, 4}, x)};
  lathe_value output = {};
  ASSERT_EQ(lathe_context_run(context.get(), entryOf(module.get(), "run"), inputs, 2, &output, 1,
                              &status),
            LATHE_STATUS_OK)
      << status.message;
  EXPECT_EQ(static_cast<float *>(output.data)[3], 4); // its weights are zeros
  lathe_value_release(&output);
}

TEST_F(Static, RefusesWhatIsNoModel) {
  ModulePtr module;
  EXPECT_EQ(open(nullptr, module), LATHE_STATUS_ARGUMENT);
  lathe_static_model wrong = *model;
  wrong.size = 8;
  EXPECT_EQ(open(&wrong, module), LATHE_STATUS_ARGUMENT);
  wrong = *model;
  lathe_artifact other = *model->table;
  other.format_version = 99;
  wrong.table = &other;
  EXPECT_EQ(open(&wrong, module), LATHE_STATUS_VERSION);
  EXPECT_THAT(status.message, HasSubstr("test: made for format version 99"));
}

} // namespace
