// Models of ai.onnx.ml that must be refused, each with its reason, and the forms of trees.
// Apache-2.0 WITH LLVM-exception
#include "test/unit/import/TestModel.h"

using namespace lathe;
using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

using Ints = std::vector<int64_t>;

void strings(onnx::NodeProto &node, const std::string &name,
             const std::vector<std::string> &values) {
  auto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRINGS);
  for (const std::string &value : values)
    attribute.add_strings(value);
}

void floats(onnx::NodeProto &node, const std::string &name, const std::vector<float> &values) {
  auto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOATS);
  for (float value : values)
    attribute.add_floats(value);
}

/// One tree of a branch (node 0) and two leaves, of which tests change what they want.
struct Stump {
  Ints trees{0, 0, 0}, ids{0, 1, 2}, features{1, 0, 0}, whenTrue{1, 0, 0}, whenFalse{2, 0, 0};
  std::vector<std::string> modes{"BRANCH_LEQ", "LEAF", "LEAF"};
  std::vector<float> thresholds{0.5f, 0, 0}, weights{1, 2}, base;
  Ints weightTrees{0, 0}, weightNodes{1, 2}, weightTargets{0, 0};
  int64_t targets = 1;

  TestModel model() const {
    TestModel model(17);
    model.import("ai.onnx.ml", 1).input("x", {-1, 2}).output("y");
    onnx::NodeProto &node = model.node("TreeEnsembleRegressor", {"x"}, {"y"});
    node.set_domain("ai.onnx.ml");
    attribute(node, "nodes_treeids", trees);
    attribute(node, "nodes_nodeids", ids);
    attribute(node, "nodes_featureids", features);
    attribute(node, "nodes_truenodeids", whenTrue);
    attribute(node, "nodes_falsenodeids", whenFalse);
    strings(node, "nodes_modes", modes);
    floats(node, "nodes_values", thresholds);
    attribute(node, "target_treeids", weightTrees);
    attribute(node, "target_nodeids", weightNodes);
    attribute(node, "target_ids", weightTargets);
    floats(node, "target_weights", weights);
    floats(node, "base_values", base);
    attribute(node, "n_targets", targets);
    return model;
  }
};

TEST(Trees, AreTables) {
  Imported imported = importModel(Stump().model());
  ASSERT_TRUE(imported.module) << imported.errors;
  auto op = imported.find<graph::TreeEnsembleOp>();
  EXPECT_EQ(op.getFeatures(), 2u);
  EXPECT_FALSE(op.getMissing() || op.getEqual() || op.getValues());
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?x1xf32>"));
  auto nodes = llvm::cast<mlir::DenseIntElementsAttr>(
      op.getNodes().getDefiningOp<graph::ConstantOp>().getValue());
  // The false child comes first, and leaves are their own.
  EXPECT_THAT(
      llvm::to_vector(nodes.getValues<int32_t>()),
      ElementsAre(1, 1, 0x3f000000, 0, 0, 1, 0x7fc00000, 0x40000000, 0, 2, 0x7fc00000, 0x3f800000));
}

TEST(Trees, LeavesOfSeveralTargetsAreRows) {
  Stump stump;
  stump.targets = 2;
  stump.weightTrees = {0, 0, 0};
  stump.weightNodes = {1, 1, 2};
  stump.weightTargets = {0, 1, 1};
  stump.weights = {1, 2, 3};
  Imported imported = importModel(stump.model());
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_TRUE(imported.find<graph::TreeEnsembleOp>().getValues());
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?x2xf32>"));
}

TEST(Trees, MalformedOnesAreRefused) {
  auto error = [](auto change) {
    Stump stump;
    change(stump);
    return refusal(stump.model());
  };
  EXPECT_THAT(error([](Stump &s) { s.whenTrue[0] = 7; }), HasSubstr("has no node 7, a branch"));
  EXPECT_THAT(error([](Stump &s) { s.whenTrue[0] = 0; }), HasSubstr("form a cycle"));
  EXPECT_THAT(error([](Stump &s) { s.modes[0] = "BRANCH"; }), HasSubstr("has mode 'BRANCH'"));
  EXPECT_THAT(error([](Stump &s) { s.features[0] = -1; }), HasSubstr("reads feature -1"));
  EXPECT_THAT(error([](Stump &s) { s.features[0] = 2; }), HasSubstr("the nodes read 3"));
  EXPECT_THAT(error([](Stump &s) { s.ids[2] = 1; }), HasSubstr("is given twice"));
  EXPECT_THAT(error([](Stump &s) { s.thresholds.pop_back(); }),
              HasSubstr("'nodes_values' of TreeEnsembleRegressor has 2 values, it takes 3"));
  EXPECT_THAT(error([](Stump &s) { s.weightTargets[1] = 1; }), HasSubstr("weight for target 1"));
  EXPECT_THAT(error([](Stump &s) { s.weightNodes[1] = 1; }), HasSubstr("has no weight"));
  EXPECT_THAT(error([](Stump &s) { s.weightNodes[1] = 9; }), HasSubstr("a weight names it"));
  EXPECT_THAT(error([](Stump &s) { s.base = {1, 2}; }), HasSubstr("'base_values'"));
  EXPECT_THAT(error([](Stump &s) { s.targets = 0; }), HasSubstr("'n_targets'"));
  EXPECT_THAT(error([](Stump &s) {
                s.trees = s.ids = s.features = s.whenTrue = s.whenFalse = {};
                s.modes = {};
                s.thresholds = {};
              }),
              HasSubstr("has no nodes"));
}

TEST(Trees, DeepOnesNeedNoStack) {
  Stump stump;
  int64_t depth = 100000;
  stump.trees.assign(2 * depth + 1, 0);
  stump.ids.clear();
  stump.features.assign(2 * depth + 1, 0);
  stump.whenTrue.assign(2 * depth + 1, 0);
  stump.whenFalse.assign(2 * depth + 1, 0);
  stump.modes.assign(2 * depth + 1, "LEAF");
  stump.thresholds.assign(2 * depth + 1, 0);
  stump.weightTrees.clear();
  stump.weightNodes.clear();
  stump.weightTargets.clear();
  stump.weights.clear();
  for (int64_t i = 0; i <= 2 * depth; ++i) {
    stump.ids.push_back(i);
    if (i % 2 == 0 && i < 2 * depth) {
      stump.modes[i] = "BRANCH_LT";
      stump.whenTrue[i] = i + 1;
      stump.whenFalse[i] = i + 2;
      continue;
    }
    stump.weightTrees.push_back(0);
    stump.weightNodes.push_back(i);
    stump.weightTargets.push_back(0);
    stump.weights.push_back(1);
  }
  EXPECT_TRUE(importModel(stump.model()).module);
}

TEST(LinearModels, SizesMustAgree) {
  auto error = [](const char *op, auto setUp) {
    TestModel model(17);
    model.import("ai.onnx.ml", 1).input("x", {3, 2}).output("y");
    onnx::NodeProto &node = model.node(op, {"x"}, {"y"});
    node.set_domain("ai.onnx.ml");
    setUp(node);
    return refusal(model);
  };
  EXPECT_THAT(error("LinearRegressor",
                    [](auto &node) {
                      floats(node, "coefficients", {1, 2, 3});
                      attribute(node, "targets", int64_t(2));
                    }),
              HasSubstr("which don't divide by 2"));
  EXPECT_THAT(error("LinearRegressor", [](auto &node) { floats(node, "coefficients", {1, 2, 3}); }),
              HasSubstr("must be equal, got 2 and 3"));
  EXPECT_THAT(error("LinearClassifier", [](auto &node) { floats(node, "coefficients", {1, 2}); }),
              HasSubstr("neither of 'classlabels_ints' and 'classlabels_strings'"));
  EXPECT_THAT(error("SVMRegressor",
                    [](auto &node) {
                      attribute(node, "kernel_type", "RBF");
                      floats(node, "rho", {1});
                    }),
              HasSubstr("'kernel_params' of SVMRegressor has 0 values, it takes 3"));
  EXPECT_THAT(error("SVMClassifier",
                    [](auto &node) {
                      strings(node, "classlabels_strings", {"a", "b"});
                      floats(node, "rho", {1});
                      floats(node, "prob_a", {1});
                    }),
              HasSubstr("'prob_a' and 'prob_b' of SVMClassifier have 1 and 0 values"));
  EXPECT_THAT(error("Scaler", [](auto &node) { floats(node, "scale", {1, 2, 3}); }),
              HasSubstr("'scale' of Scaler has 3 values, the input has 2 features"));
  EXPECT_THAT(error("Imputer", [](auto &) {}), HasSubstr("no attribute 'imputed_value_floats'"));
  EXPECT_THAT(error("OneHotEncoder", [](auto &) {}), HasSubstr("neither of 'cats_int64s'"));
  EXPECT_THAT(error("LabelEncoder",
                    [](auto &node) {
                      node.set_domain("ai.onnx.ml");
                      attribute(node, "default_int64", int64_t(1));
                    }),
              HasSubstr("LabelEncoder"));
}

} // namespace
