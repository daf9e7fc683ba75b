// Initializers: every way to write data, and every way to get it wrong.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Weights.h"
#include "test/unit/import/TestModel.h"
#include "llvm/Support/FileSystem.h"
#include <fstream>

using namespace lathe;
using namespace lathe::test;
using onnx::TensorProto;
using testing::HasSubstr;

namespace {

/// A model that returns its only initializer.
TestModel constantModel() { return TestModel(21).output("w"); }

std::string bytesOf(Imported &imported) {
  auto constant = imported.find<graph::ConstantOp>();
  llvm::SmallVector<char> storage;
  llvm::ArrayRef<char> bytes = graph::getConstantBytes(constant.getValue(), storage);
  return std::string(bytes.begin(), bytes.end());
}

TEST(Tensor, TypedFieldsEqualRawBytes) {
  struct Case {
    int type;
    std::string raw;
    void (*fill)(TensorProto &);
  };
  const Case cases[] = {
      {TensorProto::FLOAT, std::string("\0\0\x80\x3f\0\0\0\xc0", 8),
       [](TensorProto &t) { t.add_float_data(1), t.add_float_data(-2); }},
      {TensorProto::DOUBLE, std::string("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", 16),
       [](TensorProto &t) { t.add_double_data(1), t.add_double_data(-2); }},
      {TensorProto::FLOAT16, std::string("\x00\x3c\x00\xc0", 4),
       [](TensorProto &t) { t.add_int32_data(0x3c00), t.add_int32_data(0xc000); }},
      {TensorProto::BFLOAT16, std::string("\x80\x3f\x00\xc0", 4),
       [](TensorProto &t) { t.add_int32_data(0x3f80), t.add_int32_data(0xc000); }},
      {TensorProto::INT8, "\x01\xfe",
       [](TensorProto &t) { t.add_int32_data(1), t.add_int32_data(-2); }},
      {TensorProto::UINT8, "\x01\xfe",
       [](TensorProto &t) { t.add_int32_data(1), t.add_int32_data(254); }},
      {TensorProto::INT16, std::string("\x01\x00\xfe\xff", 4),
       [](TensorProto &t) { t.add_int32_data(1), t.add_int32_data(-2); }},
      {TensorProto::UINT32, std::string("\x01\0\0\0\xff\xff\xff\xff", 8),
       [](TensorProto &t) { t.add_uint64_data(1), t.add_uint64_data(0xffffffff); }},
      {TensorProto::INT64, std::string("\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16),
       [](TensorProto &t) { t.add_int64_data(1), t.add_int64_data(-1); }},
      {TensorProto::BOOL, std::string("\x01\x00", 2),
       [](TensorProto &t) { t.add_int32_data(7), t.add_int32_data(0); }},
      {TensorProto::FLOAT8E4M3FN, "\x38\x40",
       [](TensorProto &t) { t.add_int32_data(0x38), t.add_int32_data(0x40); }},
      {TensorProto::UINT4, "\x21", [](TensorProto &t) { t.add_int32_data(0x21); }},
  };
  for (const Case &each : cases) {
    TestModel typed = constantModel(), raw = constantModel();
    each.fill(typed.tensor("w", each.type, {2}));
    raw.tensor("w", each.type, {2}).set_raw_data(each.raw);
    Imported first = importModel(typed), second = importModel(raw);
    ASSERT_TRUE(first.module && second.module) << each.type << first.errors << second.errors;
    EXPECT_EQ(bytesOf(first), each.raw) << each.type;
    EXPECT_EQ(bytesOf(second), each.raw) << each.type;
    EXPECT_EQ(first.resultTypes(), second.resultTypes());
  }
}

TEST(Tensor, LargeOnesLiveOutsideTheIr) {
  TestModel model = constantModel();
  std::string data(4000, 'x');
  model.tensor("w", TensorProto::FLOAT, {1000}).set_raw_data(data);
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_TRUE(llvm::isa<graph::WeightAttr>(imported.find<graph::ConstantOp>().getValue()));
  EXPECT_EQ(bytesOf(imported), data);
}

TEST(Tensor, RefusesWhatDoesNotFit) {
  TestModel model = constantModel();
  model.tensor("w", TensorProto::FLOAT, {4}).set_raw_data("short");
  EXPECT_THAT(refusal(model), AllOf(HasSubstr("initializer 'w'"), HasSubstr("raw_data has 5 bytes"),
                                    HasSubstr("takes 16")));
  model = constantModel().floats("w", {3}, {1});
  EXPECT_THAT(refusal(model), HasSubstr("float_data holds 1 values, its shape takes 3"));
  model = constantModel();
  model.tensor("w", TensorProto::INT8, {1}).add_int32_data(300);
  EXPECT_THAT(refusal(model), HasSubstr("value 300 at index 0 of int32_data does not fit"));
  model = constantModel();
  model.tensor("w", TensorProto::FLOAT, {-4});
  EXPECT_THAT(refusal(model), HasSubstr("dimension -4 is negative"));
  model = constantModel();
  model.tensor("w", TensorProto::FLOAT, {int64_t(1) << 40, int64_t(1) << 40, 0});
  EXPECT_THAT(refusal(model), HasSubstr("too large"));
  model = constantModel();
  model.tensor("w", 77, {1});
  EXPECT_THAT(refusal(model), HasSubstr("type 77"));
  model = constantModel();
  model.tensor("w", TensorProto::STRING, {2}).add_string_data("text");
  EXPECT_THAT(refusal(model), HasSubstr("string_data holds 1 values, its shape takes 2"));
  model = constantModel();
  model.tensor("w", TensorProto::STRING, {1}).set_raw_data("text");
  EXPECT_THAT(refusal(model), HasSubstr("strings stand in string_data alone"));
  // An initializer that nothing uses is checked as well.
  model = TestModel().input("x", {2}).output("x");
  model.tensor("w", TensorProto::FLOAT, {4}).set_raw_data("short");
  EXPECT_THAT(refusal(model), HasSubstr("initializer 'w'"));
}

TEST(Tensor, SparseIsMadeDense) {
  TestModel model = constantModel();
  auto &sparse = *model.proto.mutable_graph()->add_sparse_initializer();
  sparse.add_dims(2);
  sparse.add_dims(3);
  auto &values = *sparse.mutable_values();
  values.set_name("w");
  values.set_data_type(TensorProto::UINT8);
  values.add_dims(2);
  values.set_raw_data("ab");
  auto &indices = *sparse.mutable_indices();
  indices.set_data_type(TensorProto::INT64);
  indices.add_dims(2);
  indices.add_int64_data(1);
  indices.add_int64_data(5);
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(bytesOf(imported), std::string("\0a\0\0\0b", 6));
  indices.set_int64_data(1, 6);
  EXPECT_THAT(refusal(model), HasSubstr("index 6 of a sparse tensor is out of range"));
  // A few bytes that claim a terabyte.
  indices.set_int64_data(1, 5);
  sparse.set_dims(0, int64_t(1) << 38);
  EXPECT_THAT(refusal(model), HasSubstr("over the limit"));
}

class External : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("lathe-import", folder));
    std::ofstream(path("weights.bin"), std::ios::binary) << std::string(16, 'p') << "abcdefgh";
    llvm::sys::fs::create_directory(path("model"));
    std::ofstream(path("model/inner.bin"), std::ios::binary) << "abcdefgh";
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string path(const std::string &name) { return (folder + "/" + name).str(); }

  TestModel model(const std::string &location, const std::string &offset = "",
                  const std::string &length = "") {
    TestModel model = constantModel();
    auto &tensor = model.tensor("w", TensorProto::UINT8, {8});
    tensor.set_data_location(TensorProto::EXTERNAL);
    for (auto [key, value] : {std::pair<std::string, std::string>{"location", location},
                              {"offset", offset},
                              {"length", length}}) {
      if (value.empty())
        continue;
      auto *entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return model;
  }

  ImportOptions inFolder(const std::string &name) {
    ImportOptions options;
    options.dataFolder = path(name);
    return options;
  }

  llvm::SmallString<128> folder;
};

TEST_F(External, IsRead) {
  Imported imported = importModel(model("weights.bin", "16", "8"), inFolder(""));
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(bytesOf(imported), "abcdefgh");
  Imported below = importModel(model("model/inner.bin"), inFolder(""));
  ASSERT_TRUE(below.module) << below.errors;
}

TEST_F(External, StaysInItsFolder) {
  EXPECT_THAT(refusal(model("../weights.bin"), inFolder("model")), HasSubstr("outside"));
  EXPECT_THAT(refusal(model("x/../../weights.bin"), inFolder("model")), HasSubstr("outside"));
  EXPECT_THAT(refusal(model(path("weights.bin")), inFolder("model")), HasSubstr("outside"));
  ASSERT_FALSE(llvm::sys::fs::create_link(path("weights.bin"), path("model/link.bin")));
  EXPECT_THAT(refusal(model("link.bin", "16"), inFolder("model")), HasSubstr("outside"));
  ASSERT_FALSE(llvm::sys::fs::create_link(folder, path("model/up")));
  EXPECT_THAT(refusal(model("up/weights.bin", "16"), inFolder("model")), HasSubstr("outside"));
  EXPECT_THAT(refusal(model("weights.bin")), HasSubstr("model in memory"));
}

TEST_F(External, IsCheckedAgainstTheFile) {
  EXPECT_THAT(refusal(model("gone.bin"), inFolder("")), HasSubstr("gone.bin"));
  EXPECT_THAT(refusal(model("weights.bin", "17"), inFolder("")), HasSubstr("which has 24"));
  EXPECT_THAT(refusal(model("weights.bin", "18446744073709551615"), inFolder("")),
              HasSubstr("which has 24"));
  EXPECT_THAT(refusal(model("weights.bin", "-1"), inFolder("")), HasSubstr("no number"));
  EXPECT_THAT(refusal(model("weights.bin", "0", "9"), inFolder("")),
              AllOf(HasSubstr("length 9"), HasSubstr("takes 8")));
  EXPECT_THAT(refusal(model("model"), inFolder("")), HasSubstr("not a regular file"));
  EXPECT_THAT(refusal(model(""), inFolder("")), HasSubstr("names no location"));
}

} // namespace
