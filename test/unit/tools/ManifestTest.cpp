// The manifest: what is there is read, what is missing or of another type is left out.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace lathe::tools;
using testing::ElementsAre;

namespace {

TEST(Manifest, ReadsTargetsAndKernels) {
  Manifest manifest(R"({"producer": {"version": "0.1.0"},
    "targets": [{"name": "x86-64-v3", "arena_bytes": 2048, "weights_bytes": 64,
      "kernels": [{"name": "k0", "kind": "matmul", "flops": 10, "bytes": 4, "calls": 3,
                   "nodes": ["a", "b"]},
                  {"name": "k1", "flops": 5}]}]})");
  EXPECT_EQ(manifest.text({"producer", "version"}), "0.1.0");
  EXPECT_EQ(manifest.text({"producer", "llvm"}), "");
  EXPECT_EQ(manifest.find("x86-64-v4"), nullptr);
  const TargetInfo *target = manifest.find("x86-64-v3");
  ASSERT_NE(target, nullptr);
  EXPECT_EQ(target->arena, "2.05 kB");
  EXPECT_EQ(target->flops, 35);
  EXPECT_EQ(target->bytes, 12);
  ASSERT_EQ(target->kernels.size(), 2u);
  EXPECT_THAT(target->kernels[0].nodes, ElementsAre("a", "b"));
  EXPECT_EQ(target->kernels[1].calls, 1);
}

TEST(Manifest, PrefersStatedTotalsAndFormulas) {
  Manifest manifest(R"({"targets": [{"name": "t", "flops": 7, "arena_formula": "batch * 64",
                                     "kernels": [{"flops": 1}]}]})");
  EXPECT_EQ(manifest.targets[0].flops, 7);
  EXPECT_EQ(manifest.targets[0].arena, "batch * 64");
}

TEST(Manifest, SurvivesAnything) {
  for (const char *text :
       {"", "{", "[]", "null", "3", "{\"targets\": 3}", "{\"targets\": [null, 3, []]}",
        "{\"targets\": [{\"name\": 3, \"kernels\": {\"a\": 1}, \"arena_bytes\": -1}]}",
        "{\"targets\": [{\"kernels\": [1, {\"nodes\": \"n\", \"flops\": \"x\", \"calls\": "
        "null}]}]}",
        "\xff\xfe"}) {
    Manifest manifest(text);
    EXPECT_TRUE(manifest.json.is_object());
    EXPECT_EQ(manifest.find("x86-64-v3"), nullptr);
  }
}

} // namespace
