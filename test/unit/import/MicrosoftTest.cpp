// Operators of com.microsoft: what they check.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Compiler.h"
#include "test/unit/import/TestModel.h"

using namespace lathe;
using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

TEST(Microsoft, RotaryEmbeddingRanks) {
  for (const Dims &dims : {Dims{6, 8}, Dims{2, 3, 5, 8, 1}}) {
    TestModel model(17);
    model.input("x", dims).input("at", {1}, onnx::TensorProto::INT64);
    model.input("cos", {9, 4}).input("sin", {9, 4}).output("y");
    model.node("RotaryEmbedding", {"x", "at", "cos", "sin"}, {"y"}).set_domain("com.microsoft");
    EXPECT_THAT(refusal(model), HasSubstr("input 0 of RotaryEmbedding has rank " +
                                          std::to_string(dims.size()) + ", it takes 3 or 4"));
  }
}

TEST(Microsoft, MatMulNBitsBlockOfEachRow) {
  TestModel model(17);
  model.input("x", {2, 32}).input("w", {3, 2, 8}, onnx::TensorProto::UINT8).input("s", {6});
  model.input("z", {3}, onnx::TensorProto::UINT8).input("floats", {6}).output("y");
  model.input("order", {32}, onnx::TensorProto::INT32)
      .input("orders", {32, 1}, onnx::TensorProto::INT32);
  onnx::NodeProto &node = model.node("MatMulNBits", {"x", "w", "s", "z", "order"}, {"y"});
  node.set_domain("com.microsoft");
  for (auto [name, value] : {std::pair("K", 32), {"N", 3}, {"bits", 4}, {"block_size", 16}})
    attribute(node, name, int64_t(value));
  EXPECT_THAT(refusal(model), HasSubstr("has weights of 4 bits and packed zero points, supported "
                                        "are 4 bits without packed zero points"));
  node.set_input(4, "orders");
  node.set_input(3, "floats");
  EXPECT_THAT(refusal(model), HasSubstr("input 4 of MatMulNBits has rank 2, it must have rank 1"));
  node.set_input(4, "order");
  EXPECT_TRUE(importModel(model).module);
}

TEST(Microsoft, GatherBlockQuantizedForms) {
  TestModel model(17);
  model.input("w", {5, 20}, onnx::TensorProto::UINT8).input("i", {2, 3}, onnx::TensorProto::INT64);
  model.input("s", {5, 3}).input("flat", {15}).output("y");
  onnx::NodeProto &node = model.node("GatherBlockQuantized", {"w", "i", "s"}, {"y"});
  node.set_domain("com.microsoft");
  attribute(node, "block_size", int64_t(16));
  EXPECT_THAT(importModel(model).resultTypes(), ElementsAre("tensor<2x3x40xf32>"));
  node.set_input(2, "flat");
  EXPECT_THAT(refusal(model), HasSubstr("'tensor<15xf32>', they must have rank 2 as the data"));
  node.set_input(2, "s");
  attribute(node, "gather_axis", int64_t(1));
  EXPECT_THAT(refusal(model), HasSubstr("gathers along dimension 1 with blocks along 1 of 2"));
  node.mutable_attribute(1)->set_name("bits");
  EXPECT_THAT(refusal(model), HasSubstr("'bits' of GatherBlockQuantized is 1, uint8 holds"));
  node.mutable_attribute()->RemoveLast();
  node.mutable_attribute(0)->set_i(24);
  EXPECT_THAT(refusal(model), HasSubstr("'block_size' of GatherBlockQuantized is 24"));
}

TEST(Microsoft, FusedGemmParameters) {
  TestModel model(17);
  model.input("x", {2, 5}).input("w", {5, 3}).input("cube", {1, 5, 3}).output("y");
  onnx::NodeProto &node = model.node("FusedGemm", {"x", "w"}, {"y"});
  node.set_domain("com.microsoft");
  attribute(node, "activation", "LeakyRelu");
  EXPECT_THAT(refusal(model),
              HasSubstr("FusedGemm has no attribute 'activation_alpha', which LeakyRelu takes"));
  attribute(node, "activation_alpha", 0.1f);
  EXPECT_TRUE(importModel(model).module);
  node.set_input(1, "cube");
  EXPECT_THAT(refusal(model), HasSubstr("an operand of FusedGemm has rank 3"));
}

TEST(Microsoft, QGemmResult) {
  TestModel model(17);
  for (const char *name : {"a", "az", "b", "bz"})
    model.input(name, strlen(name) == 1 ? Dims{4, 4} : Dims{}, onnx::TensorProto::UINT8);
  model.input("s", {}).output("y");
  onnx::NodeProto &node = model.node("QGemm", {"a", "s", "az", "b", "s", "bz"}, {"y"});
  node.set_domain("com.microsoft");
  EXPECT_THAT(importModel(model).resultTypes(), ElementsAre("tensor<4x4xf32>"));
  node.add_input("");
  node.add_input("s");
  EXPECT_THAT(refusal(model), HasSubstr("one of a scale and a zero point of its result"));
  node.add_input("az");
  EXPECT_THAT(importModel(model).resultTypes(), ElementsAre("tensor<4x4xui8>"));
}

TEST(Microsoft, FusedConvParameters) {
  TestModel model(17);
  model.input("x", {1, 2, 5}).input("w", {3, 2, 1}).output("y");
  onnx::NodeProto &node = model.node("FusedConv", {"x", "w"}, {"y"});
  node.set_domain("com.microsoft");
  attribute(node, "activation", "Clip");
  EXPECT_THAT(refusal(model),
              HasSubstr("'activation_params' of FusedConv has 0 values, Clip takes 2"));
}

TEST(Microsoft, QuantizedLstm) {
  auto layer = [](const Dims &weights, int zeroType, const Dims &scale) {
    TestModel model(17);
    model.import("com.microsoft", 1);
    model.input("x", {7, 2, 3}).output("y");
    model.input("w", weights, onnx::TensorProto::INT8);
    model.input("r", {1, 5, 20}, onnx::TensorProto::INT8);
    model.input("scale", scale).input("zero", scale, zeroType);
    onnx::NodeProto &node =
        model.node("DynamicQuantizeLSTM",
                   {"x", "w", "r", "", "", "", "", "", "scale", "zero", "scale", "zero"}, {"y"});
    node.set_domain("com.microsoft");
    attribute(node, "hidden_size", int64_t(5));
    return importModel(model);
  };
  Imported imported = layer({1, 3, 20}, onnx::TensorProto::INT8, {1, 20});
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<7x1x2x5xf32>"));
  EXPECT_THAT(layer({1, 3, 15}, onnx::TensorProto::INT8, {1}).errors,
              HasSubstr("expected are 1 direction(s) of 20 columns"));
  EXPECT_THAT(layer({1, 3, 20}, onnx::TensorProto::UINT8, {1}).errors,
              HasSubstr("has element type 'i8' and its zero point 'ui8'"));
  EXPECT_THAT(layer({1, 3, 20}, onnx::TensorProto::INT8, {}).errors,
              HasSubstr("input 8 of DynamicQuantizeLSTM has rank 0"));
}

} // namespace
