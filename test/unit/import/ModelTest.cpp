// What a model as a whole must be: versions, names, order, functions, errors.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Compiler.h"
#include "test/unit/import/TestModel.h"

using namespace lathe;
using namespace lathe::test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace {

TestModel addModel() {
  TestModel model;
  model.input("x", {-1, 3}).output("y").node("Add", {"x", "x"}, {"y"}).set_name("the_add");
  return model;
}

TEST(Model, CarriesNamesDimensionsAndOrigin) {
  TestModel model;
  model.input("x", {-1, 3, 4}).output("y").node("Relu", {"x"}, {"y"});
  auto *dim = model.proto.mutable_graph()
                  ->mutable_input(0)
                  ->mutable_type()
                  ->mutable_tensor_type()
                  ->mutable_shape()
                  ->mutable_dim(1);
  dim->set_dim_param("channels");
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module);
  auto dims = imported.main().getArgAttrOfType<mlir::ArrayAttr>(0, "graph.dims");
  ASSERT_EQ(dims.size(), 3u);
  EXPECT_EQ(llvm::cast<mlir::StringAttr>(dims[0]).getValue(), "x.0");
  EXPECT_EQ(llvm::cast<mlir::StringAttr>(dims[1]).getValue(), "channels");
  EXPECT_EQ(llvm::cast<mlir::StringAttr>(dims[2]).getValue(), "");
  EXPECT_EQ(imported.main().getArgAttrOfType<mlir::StringAttr>(0, "graph.name").getValue(), "x");
  EXPECT_EQ(imported.main().getResultAttrOfType<mlir::StringAttr>(0, "graph.name").getValue(), "y");
  EXPECT_THAT(imported.resultTypes(), ElementsAre("tensor<?x?x4xf32>"));
  mlir::Operation *module = *imported.module;
  EXPECT_EQ(module->getAttrOfType<mlir::StringAttr>("graph.source").getValue(), "model.onnx");
}

TEST(Model, LocatesOperationsAtTheirNodes) {
  Imported imported = importModel(addModel());
  ASSERT_TRUE(imported.module);
  EXPECT_EQ(describeNode(imported.find<graph::BinaryOp>().getLoc()), "node 'the_add'");
}

TEST(Model, NodesWithoutNamesAreCounted) {
  TestModel model;
  model.input("x", {2}).output("y");
  model.node("Relu", {"x"}, {"a"});
  model.node("Add", {"a", "gone"}, {"y"});
  EXPECT_EQ(refusal(model), "model.onnx: node #1 (Add): input 'gone' of Add is not defined by any "
                            "node, graph input or initializer (Add-13, opset 13)\n");
}

TEST(Model, ControlCharactersOfNamesAreNotPrinted) {
  TestModel model = addModel();
  model.proto.mutable_graph()->mutable_node(0)->set_name("a\x1b[31m\nb");
  model.proto.mutable_graph()->mutable_node(0)->set_input(1, "gone");
  EXPECT_THAT(refusal(model), HasSubstr("node 'a\\x1b[31m\\x0ab': "));
}

TEST(Model, RefusesWhatIsNoModel) {
  EXPECT_THAT(importBytes("").errors, HasSubstr("model.onnx: the file is empty"));
  EXPECT_THAT(importBytes("these are not the bytes").errors, HasSubstr("no ONNX model"));
  std::string bytes;
  addModel().proto.SerializeToString(&bytes);
  for (size_t size = 1; size < bytes.size(); ++size)
    importBytes(bytes.substr(0, size)); // refused or not, but no crash
  // Graphs in graphs, 200 deep.
  TestModel model = addModel();
  onnx::GraphProto *graph = model.proto.mutable_graph();
  for (int i = 0; i < 200; ++i) {
    auto &body = attribute(*graph->add_node(), "body", int64_t(0));
    body.set_type(onnx::AttributeProto::GRAPH);
    graph = body.mutable_g();
  }
  EXPECT_THAT(refusal(model), HasSubstr("nested too deeply"));
}

TEST(Model, RefusesNewerVersionsNamingBoth) {
  TestModel model = addModel();
  model.proto.set_ir_version(99);
  EXPECT_THAT(refusal(model), AllOf(HasSubstr("IR version 99"), HasSubstr("1 to 14")));
  model = addModel();
  model.proto.mutable_opset_import(0)->set_version(1000);
  EXPECT_THAT(refusal(model),
              AllOf(HasSubstr("opset 1000 of domain ai.onnx"), HasSubstr("1 to 28")));
  model.proto.mutable_opset_import(0)->set_version(0);
  EXPECT_THAT(refusal(model), HasSubstr("opset 0"));
  model.proto.clear_opset_import();
  EXPECT_THAT(refusal(model), HasSubstr("imports no opset of domain 'ai.onnx'"));
}

TEST(Model, RefusesTypesOfSixBitsByName) {
  TestModel model = addModel();
  model.proto.set_ir_version(14);
  EXPECT_EQ(refusal(model), "");
  auto *type = model.proto.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type();
  type->set_elem_type(27);
  EXPECT_THAT(refusal(model), HasSubstr("float6e2m3, which is not supported"));
}

TEST(Model, ListsAllUnknownOperatorsAtOnce) {
  TestModel model;
  model.input("x", {2}).output("c");
  model.node("Frob", {"x"}, {"a"}).set_name("first");
  model.node("Frob", {"a"}, {"b"});
  model.node("Quux", {"b"}, {"c"}).set_domain("com.example");
  std::string error = refusal(model);
  EXPECT_THAT(error, HasSubstr("Frob-13 (2 nodes, first node 'first')"));
  EXPECT_THAT(error, HasSubstr("com.example::Quux (1 node, first node #2 (Quux))"));
}

TEST(Model, OperatorsOfLaterOpsetsAreUnknown) {
  TestModel model(12);
  model.input("x", {2}).output("y").node("HardSwish", {"x"}, {"y"});
  EXPECT_THAT(refusal(model), HasSubstr("HardSwish-12"));
}

TEST(Model, SortsNodesAndFindsCycles) {
  TestModel model;
  model.input("x", {2}).output("y");
  model.node("Relu", {"a"}, {"y"});
  model.node("Neg", {"x"}, {"a"});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.find<graph::UnaryOp>().getKind(), graph::UnaryKind::neg);

  TestModel cycle;
  cycle.input("x", {2}).output("y");
  cycle.node("Add", {"x", "b"}, {"a"}).set_name("in_cycle");
  cycle.node("Relu", {"a"}, {"b"});
  cycle.node("Neg", {"b"}, {"y"});
  EXPECT_THAT(refusal(cycle), HasSubstr("cycle"));
}

TEST(Model, RefusesDuplicateNames) {
  TestModel model = addModel();
  model.node("Neg", {"x"}, {"y"}).set_name("second");
  EXPECT_THAT(refusal(model), HasSubstr("node 'second': output 'y' is already defined"));
  EXPECT_THAT(refusal(addModel().input("x", {2})), HasSubstr("two graph inputs named 'x'"));
  EXPECT_THAT(refusal(addModel().output("y")), HasSubstr("two graph outputs named 'y'"));
  EXPECT_THAT(refusal(addModel().ints("w", {1}).ints("w", {1})),
              HasSubstr("two initializers named 'w'"));
  model = addModel();
  model.node("Neg", {"x"}, {"z"}).set_name("the_add");
  EXPECT_THAT(refusal(model), HasSubstr("two nodes of this name"));
}

TEST(Model, OfTwoConstantsTheLastHolds) {
  TestModel model;
  model.output("y");
  attribute(model.node("Constant", {}, {"c"}), "value_int", int64_t(12));
  model.node("Neg", {"c"}, {"y"});
  attribute(model.node("Constant", {}, {"c"}), "value_int", int64_t(2));
  std::string bytes, text;
  model.proto.SerializeToString(&bytes);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    EXPECT_THAT(formatDiagnostic(diagnostic), StartsWith("warning: model.onnx: node #2"));
    return mlir::success();
  });
  auto module = importOnnxBuffer(context, {bytes, "model.onnx"});
  ASSERT_TRUE(module);
  llvm::raw_string_ostream(text) << *module;
  EXPECT_THAT(text, HasSubstr("dense<2>"));
  EXPECT_THAT(text, Not(HasSubstr("dense<12>")));
}

TEST(Model, InputsWithInitializersAreConstants) {
  TestModel model;
  model.input("x", {2}).input("w", {2}).floats("w", {2}, {1, 2}).output("y");
  model.node("Add", {"x", "w"}, {"y"});
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.main().getNumArguments(), 1u);
}

TEST(Model, ChecksOutputs) {
  EXPECT_THAT(refusal(addModel().output("gone")), HasSubstr("output 'gone' is not defined"));
  TestModel model;
  model.input("x", {2}).node("Neg", {"x"}, {"y"});
  EXPECT_THAT(refusal(model), HasSubstr("no outputs"));
  TestModel::describe(*model.proto.mutable_graph()->add_output(), "y", {2},
                      onnx::TensorProto::INT32);
  EXPECT_THAT(refusal(model), AllOf(HasSubstr("output 'y'"), HasSubstr("i32"), HasSubstr("f32")));
}

TEST(Model, RefusesInputsOfOtherKinds) {
  TestModel model = addModel();
  model.input("s", {2}, 77);
  EXPECT_THAT(refusal(model), HasSubstr("input 's' has element type type 77"));
  model = addModel().input("big", {int64_t(1) << 40, int64_t(1) << 40});
  EXPECT_THAT(refusal(model), HasSubstr("too large"));
  model = addModel();
  model.proto.mutable_graph()->add_input()->set_name("t");
  EXPECT_THAT(refusal(model), HasSubstr("input 't' has no type"));
}

TEST(Model, ChecksOperandsAndAttributes) {
  TestModel model = addModel();
  model.proto.mutable_graph()->mutable_node(0)->mutable_input()->RemoveLast();
  EXPECT_THAT(refusal(model), HasSubstr("node 'the_add': Add has 1 inputs, it takes at least 2"));

  model = addModel();
  attribute(*model.proto.mutable_graph()->mutable_node(0), "color", int64_t(1));
  EXPECT_THAT(refusal(model), HasSubstr("Add-13 has no attribute 'color'"));

  TestModel leaky;
  leaky.input("x", {2}).output("y");
  onnx::NodeProto &node = leaky.node("LeakyRelu", {"x"}, {"y"});
  attribute(node, "alpha", int64_t(1));
  EXPECT_THAT(refusal(leaky), HasSubstr("attribute 'alpha' of LeakyRelu must be FLOAT, it is INT"));
  attribute(node, "alpha", 1.0f);
  EXPECT_THAT(refusal(leaky), HasSubstr("two attributes named 'alpha'"));

  TestModel types;
  types.input("x", {2}).input("i", {2}, onnx::TensorProto::INT64).output("y");
  types.node("Add", {"x", "i"}, {"y"});
  EXPECT_THAT(refusal(types), AllOf(HasSubstr("f32"), HasSubstr("i64"), HasSubstr("agree")));
  TestModel real;
  real.input("i", {2}, onnx::TensorProto::INT64).output("y").node("Exp", {"i"}, {"y"});
  EXPECT_THAT(refusal(real), HasSubstr("supported are floats"));
}

// ---- Functions

/// A function `twice` of domain "own": y = x + x, through `steps` calls of itself-like functions.
onnx::FunctionProto &addFunction(TestModel &model, const std::string &name) {
  auto &function = *model.proto.add_functions();
  function.set_name(name);
  function.set_domain("own");
  function.add_input("a");
  function.add_output("b");
  auto *opset = function.add_opset_import();
  opset->set_domain("");
  opset->set_version(13);
  opset = function.add_opset_import();
  opset->set_domain("own");
  opset->set_version(1);
  return function;
}

TEST(Function, IsExpandedWithItsAttributes) {
  TestModel model;
  model.import("own", 1).input("x", {2}).output("y");
  auto &function = addFunction(model, "leak");
  function.add_attribute("slope");
  onnx::NodeProto &inner = TestModel::fill(*function.add_node(), "LeakyRelu", {"a"}, {"b"});
  auto &reference = *inner.add_attribute();
  reference.set_name("alpha");
  reference.set_type(onnx::AttributeProto::FLOAT);
  reference.set_ref_attr_name("slope");
  onnx::NodeProto &call = model.node("leak", {"x"}, {"y"});
  call.set_domain("own");
  call.set_name("call");
  attribute(call, "slope", 0.25f);
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_THAT(imported.operations(), ElementsAre("binary", "binary", "select"));
  EXPECT_EQ(describeNode(imported.find<graph::SelectOp>().getLoc()),
            "node 'call': node #0 (LeakyRelu)");
  std::string text;
  llvm::raw_string_ostream(text) << *imported.module;
  EXPECT_THAT(text, HasSubstr("2.500000e-01"));
}

TEST(Function, RefusesRecursionAndBombs) {
  TestModel model;
  model.import("own", 1).input("x", {2}).output("y");
  model.node("f", {"x"}, {"y"}).set_domain("own");
  TestModel::fill(*addFunction(model, "f").add_node(), "f", {"a"}, {"b"}).set_domain("own");
  EXPECT_THAT(refusal(model), HasSubstr("function own::f calls itself"));

  // Each function calls the next one twice: 2^40 nodes.
  TestModel bomb;
  bomb.import("own", 1).input("x", {2}).output("y");
  bomb.node("f0", {"x"}, {"y"}).set_domain("own");
  for (int i = 0; i < 40; ++i) {
    auto &function = addFunction(bomb, "f" + std::to_string(i));
    std::string next = "f" + std::to_string(i + 1);
    TestModel::fill(*function.add_node(), i == 39 ? "Neg" : next, {"a"}, {"c"})
        .set_domain(i == 39 ? "" : "own");
    TestModel::fill(*function.add_node(), i == 39 ? "Neg" : next, {"c"}, {"b"})
        .set_domain(i == 39 ? "" : "own");
  }
  EXPECT_THAT(refusal(bomb), HasSubstr("expand to more than 200000 nodes"));
  ImportOptions options;
  options.maxCallDepth = 8;
  EXPECT_THAT(refusal(bomb, options), HasSubstr("more than 8 deep"));
}

TEST(Function, OmittedInputsStayOmitted) {
  TestModel model;
  model.import("own", 1).input("x", {2}).output("y");
  auto &function = addFunction(model, "bounded");
  function.add_input("low");
  function.add_input("high");
  TestModel::fill(*function.add_node(), "Clip", {"a", "low", "high"}, {"b"});
  model.floats("six", {}, {6}).node("bounded", {"x", "", "six"}, {"y"}).set_domain("own");
  Imported imported = importModel(model);
  ASSERT_TRUE(imported.module) << imported.errors;
  EXPECT_EQ(imported.find<graph::BinaryOp>().getKind(), graph::BinaryKind::min);
}

// ---- The table

TEST(Table, ListsOperatorsInOrder) {
  std::vector<OperatorInfo> operators = listOperators();
  EXPECT_GT(operators.size(), 130u);
  for (size_t i = 1; i < operators.size(); ++i)
    EXPECT_LT(std::tie(operators[i - 1].domain, operators[i - 1].name),
              std::tie(operators[i].domain, operators[i].name));
  for (const OperatorInfo &op : operators) {
    EXPECT_FALSE(op.sinceVersions.empty()) << op.name;
    EXPECT_TRUE(std::is_sorted(op.sinceVersions.begin(), op.sinceVersions.end())) << op.name;
    EXPECT_FALSE(op.types.empty()) << op.name;
  }
}

} // namespace
