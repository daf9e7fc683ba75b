// Old and new forms of operators give the same operations.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Compiler.h"
#include "lib/Import/Operators.h"
#include "test/unit/import/TestModel.h"

using namespace lathe;
using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::vector<std::string> strings(std::initializer_list<const char *> names) {
  return {names.begin(), names.end()};
}

/// Imports one node on input "x" of the given shape, and whatever else `setUp` adds.
Imported importOne(int64_t opset, const char *op, const Dims &shape,
                   const std::function<void(TestModel &, onnx::NodeProto &)> &setUp) {
  TestModel model(opset);
  model.input("x", shape).output("y");
  onnx::NodeProto &node = model.node(op, {"x"}, {"y"});
  setUp(model, node);
  return importModel(model);
}

TEST(Operator, AxesAsAttributeAndAsInput) {
  for (int64_t opset : {11, 13}) {
    Imported imported = importOne(opset, "Unsqueeze", {2, 3}, [&](auto &model, auto &node) {
      if (opset == 11) {
        attribute(node, "axes", {-1, 0});
      } else {
        node.add_input("axes");
        model.ints("axes", {-1, 0});
      }
    });
    ASSERT_TRUE(imported.module) << imported.errors;
    EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<1x2x3x1xf32>"));
    EXPECT_THAT(imported.find<graph::UnsqueezeOp>().getAxes(), ElementsAre(0, 3));
  }
}

TEST(Operator, OnlyTheNumberOfAxesMustBeKnown) {
  Imported imported = importOne(13, "Squeeze", {1, 3}, [](auto &model, auto &node) {
    model.input("axes", {1}, onnx::TensorProto::INT64);
    node.add_input("axes");
  });
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?xf32>"));
  Imported refused = importOne(13, "Squeeze", {1, 3}, [](auto &model, auto &node) {
    model.input("axes", {-1}, onnx::TensorProto::INT64);
    node.add_input("axes");
  });
  EXPECT_THAT(refused.errors, HasSubstr("the number of axes of Squeeze must be known"));
}

TEST(Operator, AxesMayBeComputedFromConstants) {
  Imported imported = importOne(13, "Unsqueeze", {2, 3}, [](auto &model, auto &node) {
    model.ints("one", {1});
    node.add_input("two");
    auto &add = model.node("Add", {"one", "one"}, {"two"});
    (void)add;
  });
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x3x1xf32>"));
}

TEST(Operator, LegacyBroadcastLinesUpAtAxis) {
  TestModel model(6);
  model.input("x", {2, 3, 4}).input("b", {3}).output("y");
  onnx::NodeProto &node = model.node("Add", {"x", "b"}, {"y"});
  attribute(node, "broadcast", int64_t(1));
  attribute(node, "axis", int64_t(1));
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.operations(), strings({"unsqueeze", "binary"}));
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x3x4xf32>"));
}

TEST(Operator, ClipAsAttributesAndAsInputs) {
  auto limits = [](auto &model, auto &node) {
    attribute(node, "min", 0.0f);
    attribute(node, "max", 6.0f);
  };
  Imported old = importOne(6, "Clip", {4}, limits);
  Imported now = importOne(13, "Clip", {4}, [](auto &model, auto &node) {
    model.floats("low", {}, {0}).floats("high", {}, {6});
    node.add_input("low");
    node.add_input("high");
  });
  ASSERT_TRUE(old.module && now.module) << old.errors << now.errors;
  EXPECT_EQ(old.operations(), strings({"binary", "binary"}));
  EXPECT_EQ(now.operations(), old.operations());
}

TEST(Operator, SoftmaxOfOldNormalizesAllDimensionsFromAxis) {
  Imported old = importOne(11, "Softmax", {2, 3, 4}, [](auto &, auto &) {});
  Imported now = importOne(13, "Softmax", {2, 3, 4}, [](auto &, auto &) {});
  ASSERT_TRUE(old.module && now.module) << old.errors << now.errors;
  EXPECT_EQ(old.find<graph::SoftmaxOp>().getAxis(), 1u);
  EXPECT_EQ(old.find<graph::SoftmaxOp>().getAxisEnd(), 3u);
  EXPECT_EQ(now.find<graph::SoftmaxOp>().getAxis(), 2u);
  EXPECT_EQ(now.find<graph::SoftmaxOp>().getAxisEnd(), 3u);
}

TEST(Operator, GemmIsComposed) {
  TestModel model(11);
  model.input("x", {2, 3}).floats("w", {4, 3}, std::vector<float>(12, 1)).output("y");
  model.floats("c", {4}, {1, 2, 3, 4});
  onnx::NodeProto &node = model.node("Gemm", {"x", "w", "c"}, {"y"});
  attribute(node, "transB", int64_t(1));
  attribute(node, "alpha", 0.5f);
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.operations(), strings({"transpose", "matmul", "binary", "binary"}));
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x4xf32>"));
}

TEST(Operator, GemmOfSizesThatDoNotFit) {
  for (const char *op : {"Gemm", "FusedGemm"}) {
    TestModel model(18);
    model.import("com.microsoft", 1);
    model.input("x", {3, 4}).input("c", {4, 1}).output("y");
    onnx::NodeProto &node = model.node(op, {"x", "x", "c"}, {"y"});
    if (op == std::string("FusedGemm"))
      node.set_domain("com.microsoft");
    attribute(node, "beta", 2.0f);
    Imported imported = importModel(model);
    EXPECT_FALSE(imported.module);
    EXPECT_THAT(imported.errors, HasSubstr(op));
  }
}

TEST(Operator, ReduceWithoutAxes) {
  auto noop = [](auto &, auto &node) { attribute(node, "noop_with_empty_axes", int64_t(1)); };
  Imported all = importOne(13, "ReduceSum", {2, 3}, [](auto &, auto &) {});
  Imported none = importOne(13, "ReduceSum", {2, 3}, noop);
  ASSERT_TRUE(all.module && none.module) << all.errors << none.errors;
  EXPECT_THAT(all.resultTypes(), ElementsAre("tensor<1x1xf32>"));
  EXPECT_THAT(none.resultTypes(), ElementsAre("tensor<2x3xf32>"));
}

TEST(Operator, SplitForms) {
  for (int64_t opset : {2, 13, 18}) {
    TestModel model(opset);
    model.input("x", {6, 2}).output("a").output("b");
    onnx::NodeProto &node = model.node("Split", {"x"}, {"a", "b"});
    if (opset == 2)
      attribute(node, "split", {2, 4});
    if (opset == 13) {
      model.ints("sizes", {2, 4});
      node.add_input("sizes");
    }
    if (opset == 18)
      attribute(node, "num_outputs", int64_t(2));
    Imported imported = importModel(model);
    ASSERT_TRUE(imported.module) << imported.errors;
    if (opset == 18)
      EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<3x2xf32>", "tensor<3x2xf32>"));
    else
      EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x2xf32>", "tensor<4x2xf32>"));
  }
}

TEST(Operator, SliceForms) {
  Imported old = importOne(9, "Slice", {5, 6}, [](auto &, auto &node) {
    attribute(node, "starts", Dims{1});
    attribute(node, "ends", Dims{-1});
    attribute(node, "axes", Dims{1});
  });
  Imported now = importOne(13, "Slice", {5, 6}, [](auto &model, auto &node) {
    model.ints("starts", {1}).ints("ends", {-1}).ints("axes", {1});
    for (const char *name : {"starts", "ends", "axes"})
      node.add_input(name);
  });
  ASSERT_TRUE(old.module && now.module) << old.errors << now.errors;
  EXPECT_THAT(old.resultTypes(), ElementsAre("tensor<5x4xf32>"));
  EXPECT_EQ(now.resultTypes(), old.resultTypes());
}

TEST(Operator, ConvChecksItsWindow) {
  auto conv = [](const std::vector<int64_t> &strides) {
    TestModel model(11);
    model.input("x", {1, 3, 8, 8}).floats("w", {4, 3, 3, 3}, std::vector<float>(108)).output("y");
    attribute(model.node("Conv", {"x", "w"}, {"y"}), "strides", strides);
    return importModel(model);
  };
  Imported imported = conv({2, 2});
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<1x4x3x3xf32>"));
  EXPECT_THAT(conv({2}).errors, HasSubstr("'strides' of Conv has 1 values"));
  EXPECT_THAT(conv({0, 1}).errors, HasSubstr("'strides' of Conv holds 0"));
}

TEST(Operator, UpsampleAndResize) {
  Imported old = importOne(9, "Upsample", {1, 1, 4, 4}, [](auto &model, auto &node) {
    model.floats("scales", {4}, {1, 1, 2, 2});
    node.add_input("scales");
    attribute(node, "mode", "linear");
  });
  ASSERT_TRUE(old.module) << old.errors;
  EXPECT_THAT(old.resultTypes(), ElementsAre("tensor<1x1x8x8xf32>"));
  auto resize = old.find<graph::ResizeOp>();
  EXPECT_EQ(resize.getCoordinates(), graph::ResizeCoordinates::asymmetric);
  Imported now = importOne(13, "Resize", {1, 1, 4, 4}, [](auto &model, auto &node) {
    model.ints("sizes", {1, 1, 7, 9}).floats("none", {0}, {});
    for (const char *name : {"none", "none", "sizes"})
      node.add_input(name);
  });
  ASSERT_TRUE(now.module) << now.errors;
  EXPECT_THAT(now.resultTypes(), ElementsAre("tensor<1x1x7x9xf32>"));
}

TEST(Operator, EinsumIsMadeExplicit) {
  TestModel model(12);
  model.input("x", {2, 3, 4}).input("z", {2, 4, 5}).output("y");
  attribute(model.node("Einsum", {"x", "z"}, {"y"}), "equation", "...ij, ...jk");
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.find<graph::EinsumOp>().getEquation(), "aij,ajk->aik");
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x3x5xf32>"));
  model.proto.mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_s("ij,ajk");
  EXPECT_THAT(refusal(model), HasSubstr("does not fit an operand of rank 3"));
}

TEST(Operator, LstmTakesDefaults) {
  TestModel model(14);
  model.input("x", {5, 1, 3}).output("y").output("h");
  model.floats("w", {1, 16, 3}, std::vector<float>(48));
  model.floats("r", {1, 16, 4}, std::vector<float>(64));
  attribute(model.node("LSTM", {"x", "w", "r"}, {"y", "h"}), "hidden_size", int64_t(4));
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<5x1x1x4xf32>", "tensor<1x1x4xf32>"));
  EXPECT_EQ(imported.find<graph::RecurrentOp>().getActivations().size(), 3u);
}

TEST(Operator, ConstantForms) {
  TestModel model;
  model.output("f").output("i").output("v");
  attribute(model.node("Constant", {}, {"f"}), "value_float", 2.0f);
  attribute(model.node("Constant", {}, {"i"}), "value_int", int64_t(3));
  attribute(model.node("Constant", {}, {"v"}), "value_ints", {1, 2});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<f32>", "tensor<i64>", "tensor<2xi64>"));
}

TEST(Operator, ShapeArithmeticIsFollowed) {
  // The chain that exporters write to flatten: Shape, Gather, Concat, Reshape.
  TestModel model;
  model.input("x", {-1, 3, 4}).ints("minus", {-1}).output("y");
  model.tensor("zero", onnx::TensorProto::INT64, {}).add_int64_data(0);
  model.ints("axis0", {0});
  model.node("Shape", {"x"}, {"shape"});
  model.node("Gather", {"shape", "zero"}, {"batch"});
  model.node("Unsqueeze", {"batch", "axis0"}, {"batch1"});
  attribute(model.node("Concat", {"batch1", "minus"}, {"target"}), "axis", int64_t(0));
  model.node("Reshape", {"x", "target"}, {"y"});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?x12xf32>"));
}

TEST(Operator, AttentionIsOneOperation) {
  TestModel model(23);
  model.input("q", {1, 4, 6, 8}).input("k", {1, 2, 6, 8}).input("v", {1, 2, 6, 8}).output("y");
  attribute(model.node("Attention", {"q", "k", "v"}, {"y"}), "is_causal", int64_t(1));
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.operations(), strings({"attention"}));
  EXPECT_TRUE(imported.find<graph::AttentionOp>().getCausal());
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<1x4x6x8xf32>"));
  // More keys than queries and no cache: query 0 sees key 0 only, which a mask must say.
  TestModel longer(23);
  longer.input("q", {1, 4, 6, 8}).input("k", {1, 4, 9, 8}).input("v", {1, 4, 9, 8}).output("y");
  attribute(longer.node("Attention", {"q", "k", "v"}, {"y"}), "is_causal", int64_t(1));
  Imported masked = importModel(longer);
  ASSERT_TRUE(masked.module) << masked.errors;
  EXPECT_FALSE(masked.find<graph::AttentionOp>().getCausal());
  EXPECT_TRUE(masked.find<graph::AttentionOp>().getMask());
}

TEST(Operator, AttentionKeepsItsCache) {
  TestModel model(23);
  model.input("q", {-1, 1, 32}).input("k", {-1, 1, 16}).input("v", {-1, 1, 16});
  model.input("pk", {-1, 2, -1, 8}).input("pv", {-1, 2, -1, 8});
  for (const char *name : {"y", "nk", "nv"})
    model.output(name);
  onnx::NodeProto &node =
      model.node("Attention", {"q", "k", "v", "", "pk", "pv"}, {"y", "nk", "nv"});
  attribute(node, "q_num_heads", int64_t(4));
  attribute(node, "kv_num_heads", int64_t(2));
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(),
              ElementsAre("tensor<?x1x32xf32>", "tensor<?x2x?x8xf32>", "tensor<?x2x?x8xf32>"));
  node.set_input(5, "");
  EXPECT_THAT(refusal(model), HasSubstr("one of past_key and past_value"));
}

TEST(Operator, RotaryEmbeddingForms) {
  for (bool is3D : {false, true}) {
    TestModel model(23);
    model.input("x", is3D ? Dims{2, 5, 24} : Dims{2, 3, 5, 8});
    model.input("cos", {2, 5, 4}).input("sin", {2, 5, 4}).output("y");
    onnx::NodeProto &node = model.node("RotaryEmbedding", {"x", "cos", "sin"}, {"y"});
    if (is3D)
      attribute(node, "num_heads", int64_t(3));
    attribute(node, "interleaved", int64_t(is3D));
    Imported imported = importModel(model);
    ASSERT_TRUE(imported.module) << imported.errors;
    EXPECT_THAT(imported.resultTypes(),
                ElementsAre(is3D ? "tensor<2x5x24xf32>" : "tensor<2x3x5x8xf32>"));
  }
}

TEST(Operator, RotaryEmbeddingOfAnyHeadSize) {
  TestModel model(23);
  model.input("x", {2, 3, -1, -1}).input("cos", {2, -1, -1}).input("sin", {2, -1, -1}).output("y");
  onnx::NodeProto &node = model.node("RotaryEmbedding", {"x", "cos", "sin"}, {"y"});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x3x?x?xf32>"));
  attribute(node, "rotary_embedding_dim", int64_t(3));
  EXPECT_THAT(refusal(model), HasSubstr("rotates 3 of the elements, it takes an even number"));
  node.clear_attribute();
  model.input("table", {9, 4});
  node.set_input(1, "table");
  EXPECT_THAT(refusal(model), HasSubstr("rank 3 is needed, or 2 and positions"));
}

TEST(Operator, CausalConvOfAnySize) {
  for (int64_t channels : {4, -1}) {
    TestModel model(27);
    model.input("x", {2, channels, 7}).input("w", {channels, 1, -1}).output("y").output("state");
    model.node("CausalConvWithState", {"x", "w"}, {"y", "state"});
    Imported imported = importModel(model);
    ASSERT_TRUE(imported.module) << imported.errors;
    bool isKnown = channels > 0;
    EXPECT_THAT(imported.resultTypes(),
                isKnown ? ElementsAre("tensor<2x4x7xf32>", "tensor<2x4x?xf32>")
                        : ElementsAre("tensor<2x?x7xf32>", "tensor<2x?x?xf32>"));
    EXPECT_EQ(bool(imported.find<graph::ConvOp>()), isKnown);
  }
  TestModel model(27);
  model.input("x", {2, 4, 7}).input("w", {4, 1, 3}).input("past", {2, 4, 3}).output("y");
  model.node("CausalConvWithState", {"x", "w", "", "past"}, {"y"});
  EXPECT_THAT(refusal(model), HasSubstr("must be equal, got 80 and 72"));
}

TEST(Operator, DeformConvChecksWhatItKnows) {
  for (int64_t filters : {6, -1}) {
    TestModel model(22);
    model.input("x", {2, 4, -1, 5}).input("w", {filters, 2, 2, -1}).output("y");
    model.input("offset", {2, -1, 3, 3});
    onnx::NodeProto &node = model.node("DeformConv", {"x", "w", "offset"}, {"y"});
    attribute(node, "group", int64_t(2));
    Imported imported = importModel(model);
    ASSERT_TRUE(imported.module) << imported.errors;
    EXPECT_THAT(imported.resultTypes(),
                ElementsAre(filters > 0 ? "tensor<2x6x3x3xf32>" : "tensor<2x?x3x3xf32>"));
    attribute(node, "kernel_shape", {3, 3});
    EXPECT_THAT(refusal(model), HasSubstr("differs from the shape of the weights"));
    node.mutable_attribute()->RemoveLast();
    attribute(node, "offset_group", int64_t(3));
    EXPECT_THAT(refusal(model), HasSubstr("2 groups and 3 offset groups"));
    node.mutable_attribute()->RemoveLast();
    attribute(node, "auto_pad", "SAME_UPPER");
    EXPECT_THAT(refusal(model), HasSubstr("attribute 'auto_pad'"));
  }
}

TEST(Operator, KernelShapeIsThatOfTheWeights) {
  for (const char *op : {"Conv", "ConvTranspose"})
    for (int64_t width : {2, -1}) {
      TestModel model(22);
      model.input("x", {1, 4, 8, 8}).input("w", {4, 4, -1, width}).output("y");
      attribute(model.node(op, {"x", "w"}, {"y"}), "kernel_shape", {3, 2});
      Imported imported = importModel(model);
      ASSERT_TRUE(imported.module) << imported.errors;
      bool isConv = op == std::string("Conv");
      EXPECT_THAT(imported.resultTypes(),
                  ElementsAre(isConv ? "tensor<1x4x6x7xf32>" : "tensor<1x4x10x9xf32>"));
      EXPECT_TRUE(imported.find<graph::RequireShapeOp>());
    }
  TestModel model(22);
  model.input("x", {1, 4, 8, 8}).input("w", {4, 4, 3, 2}).output("y");
  onnx::NodeProto &node = model.node("Conv", {"x", "w"}, {"y"});
  attribute(node, "kernel_shape", {3, 2});
  EXPECT_FALSE(importModel(model).find<graph::RequireShapeOp>());
  node.clear_attribute();
  attribute(node, "kernel_shape", {3, 3});
  EXPECT_THAT(refusal(model), HasSubstr("differs from the shape of the weights"));
}

TEST(Operator, QuantizationOfScalesOfAnySize) {
  for (int64_t scales : {1, 3, -1}) {
    TestModel model(21);
    model.input("x", {2, 3}).input("s", {scales}).input("z", {scales}, onnx::TensorProto::INT8);
    model.output("y").node("QuantizeLinear", {"x", "s", "z"}, {"y"});
    Imported imported = importModel(model);
    ASSERT_TRUE(imported.module) << imported.errors;
    EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x3xi8>"));
  }
  // Where all is known, nothing is left to check.
  TestModel model(21);
  model.input("a", {2, 3}, onnx::TensorProto::INT8).input("b", {3, 5}, onnx::TensorProto::INT8);
  model.input("za", {2}, onnx::TensorProto::INT8).input("zb", {5}, onnx::TensorProto::INT8);
  onnx::NodeProto &node = model.output("y").node("MatMulInteger", {"a", "b", "za", "zb"}, {"y"});
  EXPECT_FALSE(importModel(model).find<graph::RequireShapeOp>());
  model.input("any", {-1}, onnx::TensorProto::INT8);
  node.set_input(3, "any");
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x5xi32>"));
  model.input("one", {1, 3}, onnx::TensorProto::INT8);
  node.set_input(0, "one");
  EXPECT_THAT(refusal(model), HasSubstr("must be equal, got 2 and 1"));
}

TEST(Operator, DeclaredRanksTellWhatLengthsDoNot) {
  auto check = [](const char *op, const std::vector<std::string> &inputs, const Dims &declared,
                  const char *type) {
    TestModel model(20);
    model.input("x", {4, 1, 6}).input("list", {-1}, onnx::TensorProto::INT64);
    model.input("tuples", {5, -1}, onnx::TensorProto::INT64).input("theta", {-1, -1, -1});
    model.output("y", declared).node(op, inputs, {"y"});
    Imported imported = importModel(model);
    ASSERT_TRUE(imported.module) << op << ": " << imported.errors;
    EXPECT_THAT(imported.resultTypes(), ElementsAre(type)) << op;
    EXPECT_TRUE(imported.find<graph::RequireShapeOp>()) << op;
  };
  check("GatherND", {"x", "tuples"}, {-1, -1}, "tensor<5x6xf32>");
  check("GatherND", {"x", "tuples"}, {-1}, "tensor<5xf32>");
  check("AffineGrid", {"theta", "list"}, {-1, -1, -1, -1}, "tensor<?x?x?x2xf32>");
  check("AffineGrid", {"theta", "list"}, {-1, -1, -1, -1, -1}, "tensor<?x?x?x?x3xf32>");
  check("Reshape", {"x", "list"}, {-1, -1}, "tensor<?x?xf32>");
  check("ConstantOfShape", {"list"}, {-1, -1}, "tensor<?x?xf32>");
  check("Squeeze", {"x", "list"}, {-1, -1}, "tensor<?x?xf32>");
  check("Unsqueeze", {"x", "list"}, {-1, -1, -1, -1}, "tensor<?x?x?x?xf32>");
  TestModel model(20);
  model.input("x", {4, 1, 6}).input("tuples", {5, -1}, onnx::TensorProto::INT64);
  model.output("y", {1, 2, 3, 4}).node("GatherND", {"x", "tuples"}, {"y"});
  EXPECT_THAT(refusal(model),
              HasSubstr("is declared with rank 4, of its operands follows at most 3"));
}

/// Halves of the spectra of 16 numbers, which are given in so many parts.
static void expectTransformSizes(int64_t parts) {
  TestModel model(17);
  model.input("x", {2, 16, parts}).output("y").output("z");
  attribute(model.node("DFT", {"x"}, {"y"}), "onesided", int64_t(1));
  model.tensor("step", onnx::TensorProto::INT64, {}).add_int64_data(4);
  model.tensor("length", onnx::TensorProto::INT64, {}).add_int64_data(8);
  model.node("STFT", {"x", "step", "", "length"}, {"z"});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x9x2xf32>", "tensor<2x3x5x2xf32>"));
}

TEST(Operator, TransformsKnowTheirSizes) { expectTransformSizes(1); }

TEST(Operator, TransformsOfRealOrComplexNumbers) {
  expectTransformSizes(-1);
  TestModel other(17);
  other.input("x", {2, 16, 3}).output("y").node("DFT", {"x"}, {"y"});
  EXPECT_THAT(refusal(other), HasSubstr("must be 1 (real) or 2 (complex)"));
}

TEST(Operator, HalfASpectrumIsOfRealNumbersAndComplex) {
  auto oneSided = [](int64_t parts, int64_t inverse) {
    return importOne(17, "DFT", {1, 8, parts},
                     [&](auto &, auto &node) {
                       attribute(node, "onesided", int64_t(1));
                       attribute(node, "inverse", inverse);
                     })
        .errors;
  };
  EXPECT_EQ(oneSided(1, 0), "");
  EXPECT_EQ(oneSided(2, 1), "");
  EXPECT_THAT(oneSided(2, 0),
              HasSubstr("attribute 'onesided' of a DFT takes real numbers, the last dimension of "
                        "input 0 must be 1, not 2"));
  EXPECT_THAT(oneSided(1, 1), HasSubstr("of an inverse DFT takes complex numbers"));
}

TEST(Operator, TransformsHaveALength) {
  Imported imported = importOne(17, "DFT", {1, 8, 1}, [](auto &model, auto &node) {
    model.tensor("length", onnx::TensorProto::INT64, {}).add_int64_data(0);
    node.add_input("length");
  });
  EXPECT_THAT(imported.errors, HasSubstr("input 1 of DFT is 0, a length must be 1 or more"));
}

TEST(Operator, ConstantOfShapeHoldsNoText) {
  TestModel model(9);
  model.input("x", {2}, onnx::TensorProto::INT64).output("y", {}, onnx::TensorProto::STRING);
  onnx::AttributeProto &value = *model.node("ConstantOfShape", {"x"}, {"y"}).add_attribute();
  value.set_name("value");
  value.set_type(onnx::AttributeProto::TENSOR);
  value.mutable_t()->set_data_type(onnx::TensorProto::STRING);
  value.mutable_t()->add_dims(1);
  value.mutable_t()->add_string_data("text");
  EXPECT_THAT(importModel(model).errors, HasSubstr("holds text, it takes a number"));
}

TEST(Operator, TheAxisOfATransformChoosesAmongKnownSizes) {
  TestModel model(20);
  model.input("x", {2, 6, 4, 2}).output("y").input("axis", {}, onnx::TensorProto::INT64);
  model.node("DFT", {"x", "", "axis"}, {"y"});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x6x4x2xf32>"));
  EXPECT_TRUE(imported.find<graph::FourierOp>());
}

TEST(Operator, WhatIsMissingSaysWhy) {
  for (const UnsupportedOperatorInfo &info : listUnsupportedOperators()) {
    EXPECT_EQ(import::findOperator(info.domain, info.name), nullptr) << info.name;
    EXPECT_FALSE(info.reason.empty()) << info.name;
  }
  TestModel model(20);
  model.input("x", {2}, onnx::TensorProto::UINT8).output("y");
  model.node("ImageDecoder", {"x"}, {"y"});
  EXPECT_THAT(
      importModel(model).errors,
      HasSubstr("ImageDecoder-20 (1 node, first node #0 (ImageDecoder): reads image files"));
}

TEST(Operator, ErrorsOfVerifiersNameOperatorAndTypes) {
  TestModel model(26);
  model.input("x", {2}).output("y");
  attribute(model.node("BitCast", {"x"}, {"y"}), "to", int64_t(onnx::TensorProto::INT64));
  EXPECT_EQ(importModel(model).errors,
            "model.onnx: node #0 (BitCast): element types 'f32' and 'i64' differ in width "
            "(BitCast-26, opset 26, of 'tensor<2xf32>')\n");
}

TEST(Operator, ResizeOfWhatIsNoNumber) {
  for (const char *mode : {"nearest", "linear"}) {
    TestModel model(19);
    model.input("x", {2, 2}, onnx::TensorProto::BOOL).output("y").floats("scales", {2}, {2, 2});
    attribute(model.node("Resize", {"x", "", "scales"}, {"y"}), "mode", mode);
    Imported imported = importModel(model);
    if (mode[0] == 'n')
      EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<4x4xi1>")) << imported.errors;
    else
      EXPECT_THAT(imported.errors, HasSubstr("Resize of element type 'i1' can only move elements"));
  }
}

TEST(Operator, GridSampleKnowsItsShape) {
  TestModel model(20);
  model.input("x", {2, 3, 8, 8}).input("grid", {2, 5, 6, 2}).output("y");
  attribute(model.node("GridSample", {"x", "grid"}, {"y"}), "padding_mode", "reflection");
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<2x3x5x6xf32>"));
}

TEST(Operator, IfWithAKnownConditionIsItsBranch) {
  for (bool known : {true, false}) {
    TestModel model;
    model.input("x", {2}).output("y");
    if (known)
      model.tensor("c", onnx::TensorProto::BOOL, {}).add_int32_data(1);
    else
      model.input("c", {}, onnx::TensorProto::BOOL);
    onnx::NodeProto &node = model.node("If", {"c"}, {"y"});
    for (const char *name : {"then_branch", "else_branch"}) {
      auto &branch = *node.add_attribute();
      branch.set_name(name);
      branch.set_type(onnx::AttributeProto::GRAPH);
      const char *op = name[0] == 't' ? "Neg" : "Abs";
      TestModel::fill(*branch.mutable_g()->add_node(), op, {"x"}, {"inner"});
      branch.mutable_g()->add_output()->set_name("inner");
    }
    Imported imported = importModel(model);
    if (known)
      EXPECT_EQ(imported.find<graph::UnaryOp>().getKind(), graph::UnaryKind::neg);
    else
      EXPECT_EQ(imported.find<graph::IfOp>().getNumResults(), 1u) << imported.errors;
  }
}

} // namespace
