// Operators on strings: what they become, and what is refused.
// Apache-2.0 WITH LLVM-exception
#include "test/unit/import/TestModel.h"

using namespace lathe;
using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

TestModel textModel(const char *op) {
  TestModel model(20);
  model.input("x", {-1, 2}, onnx::TensorProto::STRING).output("y");
  model.node(op, {"x"}, {"y"});
  return model;
}

onnx::NodeProto &nodeOf(TestModel &model) { return *model.proto.mutable_graph()->mutable_node(0); }

TEST(Text, StringsAreElements) {
  TestModel model(20);
  model.input("x", {-1}, onnx::TensorProto::STRING).output("y");
  auto &one = model.tensor("one", onnx::TensorProto::STRING, {2});
  one.add_string_data("a");
  one.add_string_data("");
  auto &node = model.node("Concat", {"x", "one"}, {"y"});
  attribute(node, "axis", int64_t(0));
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?x!graph.string>"));
}

TEST(Text, NumbersAndStringsDoNotMix) {
  TestModel model(20);
  model.input("x", {2}, onnx::TensorProto::STRING).input("n", {2}).output("y");
  model.node("StringConcat", {"x", "n"}, {"y"});
  EXPECT_THAT(refusal(model), HasSubstr("they must agree"));
  TestModel sum(20);
  sum.input("x", {2}, onnx::TensorProto::STRING).output("y");
  sum.node("Add", {"x", "x"}, {"y"});
  EXPECT_THAT(refusal(sum), HasSubstr("input 0 of Add has element type"));
}

TEST(Text, PatternsBecomeAutomata) {
  TestModel model = textModel("RegexFullMatch");
  attribute(nodeOf(model), "pattern", "ab*");
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  auto match = imported.find<graph::StringMatchOp>();
  // Before, nowhere, behind the a, behind a b.
  EXPECT_EQ(
      match.getTransitions().getType(),
      mlir::RankedTensorType::get({4, 256}, mlir::IntegerType::get(imported.context.get(), 32)));
  EXPECT_EQ(match.getAccepting(), 2u);
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?x2xi1>"));
}

TEST(Text, PatternsThatAreRefused) {
  const std::pair<const char *, const char *> cases[] = {
      {"(a", "there is a ( without )"},
      {"a)", "there is a ) without ("},
      {"[a", "there is a [ without ]"},
      {"*a", "there is nothing before '*'"},
      {"a**", "one repetition follows another"},
      {"a{2,1}", "a repetition is out of range"},
      {"a{1001}", "a repetition is out of range"},
      {"a\\", "it ends with a \\"},
      {"\\pLword", "\\p is not supported"},
      {"(?x)a", "neither flags nor a name"},
      {"(?i-)a", "neither flags nor a name"},
      {"(?i)*", "there is nothing before '*'"},
      {"\xc3", "not valid UTF-8"},
      {"\\x{110000}", "\\x needs"},
      {"\\1", "\\1 is not supported"},
      {"[z-a]", "a range of a class"},
      {"(a|b)*a(a|b){20}", "it needs too many states"},
      {"((a{100}){100}){100}", "it is too large"},
  };
  for (auto [pattern, reason] : cases) {
    TestModel model = textModel("RegexFullMatch");
    attribute(nodeOf(model), "pattern", pattern);
    EXPECT_THAT(refusal(model), HasSubstr(reason)) << pattern;
  }
  std::string deep(1000, '(');
  TestModel model = textModel("RegexFullMatch");
  attribute(nodeOf(model), "pattern", deep.c_str());
  EXPECT_THAT(refusal(model), HasSubstr("nested too deep"));
  EXPECT_THAT(refusal(textModel("RegexFullMatch")), HasSubstr("no attribute 'pattern'"));
}

TEST(Text, NGramsAreChecked) {
  auto error = [](auto setUp) {
    TestModel model(20);
    model.input("x", {4}, onnx::TensorProto::INT64).output("y");
    onnx::NodeProto &node = model.node("TfIdfVectorizer", {"x"}, {"y"});
    attribute(node, "mode", "TF");
    setUp(node);
    return refusal(model);
  };
  using Ints = std::vector<int64_t>;
  EXPECT_THAT(error([](auto &) {}), HasSubstr("neither of 'pool_int64s' and 'pool_strings'"));
  EXPECT_THAT(error([](auto &node) {
                attribute(node, "pool_int64s", Ints{1, 2, 3});
                attribute(node, "ngram_indexes", Ints{0, 0, 1});
                attribute(node, "ngram_counts", Ints{0});
              }),
              HasSubstr("two n-grams of TfIdfVectorizer have index 0"));
  EXPECT_THAT(error([](auto &node) {
                attribute(node, "pool_int64s", Ints{1, 2, 3});
                attribute(node, "ngram_indexes", Ints{0, 1});
                attribute(node, "ngram_counts", Ints{0, 2});
                attribute(node, "max_gram_length", int64_t(2));
              }),
              HasSubstr("the n-grams of length 2 of TfIdfVectorizer lie from 2 to 3"));
  EXPECT_THAT(error([](auto &node) {
                attribute(node, "pool_int64s", Ints{1});
                attribute(node, "ngram_indexes", Ints{-1});
                attribute(node, "ngram_counts", Ints{0});
              }),
              HasSubstr("'ngram_indexes' of TfIdfVectorizer holds -1"));
}

TEST(Text, KeysHaveTheTypeOfTheInput) {
  TestModel model(20);
  model.import("ai.onnx.ml", 2).input("x", {2}).output("y");
  onnx::NodeProto &node = model.node("LabelEncoder", {"x"}, {"y"});
  node.set_domain("ai.onnx.ml");
  attribute(node, "keys_int64s", std::vector<int64_t>{1, 2});
  attribute(node, "values_int64s", std::vector<int64_t>{3, 4});
  EXPECT_THAT(refusal(model), HasSubstr("its keys have 'i64'"));
}

} // namespace
