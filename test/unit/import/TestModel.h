// Models built in memory, and what importing them gives.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_TEST_UNIT_IMPORT_TESTMODEL_H
#define LATHE_TEST_UNIT_IMPORT_TESTMODEL_H

#include "dialects/Graph/Graph.h"
#include "lathe/Import.h"
#include "lib/Import/onnx.pb.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lathe::test {

using Dims = std::vector<int64_t>;

/// Builds a model node by node. A dimension of -1 is one without a size.
class TestModel {
public:
  explicit TestModel(int64_t opset = 13) {
    proto.set_ir_version(8);
    proto.mutable_graph()->set_name("test");
    import("", opset);
  }

  TestModel &import(const std::string &domain, int64_t version) {
    auto *entry = proto.add_opset_import();
    entry->set_domain(domain);
    entry->set_version(version);
    return *this;
  }

  TestModel &input(const std::string &name, const Dims &dims, int type = onnx::TensorProto::FLOAT) {
    describe(*proto.mutable_graph()->add_input(), name, dims, type);
    return *this;
  }

  TestModel &output(const std::string &name) {
    proto.mutable_graph()->add_output()->set_name(name);
    return *this;
  }

  /// An output whose type is declared.
  TestModel &output(const std::string &name, const Dims &dims,
                    int type = onnx::TensorProto::FLOAT) {
    describe(*proto.mutable_graph()->add_output(), name, dims, type);
    return *this;
  }

  onnx::NodeProto &node(const std::string &op, const std::vector<std::string> &inputs,
                        const std::vector<std::string> &outputs) {
    return fill(*proto.mutable_graph()->add_node(), op, inputs, outputs);
  }

  static onnx::NodeProto &fill(onnx::NodeProto &node, const std::string &op,
                               const std::vector<std::string> &inputs,
                               const std::vector<std::string> &outputs) {
    node.set_op_type(op);
    for (const std::string &name : inputs)
      node.add_input(name);
    for (const std::string &name : outputs)
      node.add_output(name);
    return node;
  }

  /// An initializer whose data the caller adds.
  onnx::TensorProto &tensor(const std::string &name, int type, const Dims &dims) {
    auto &tensor = *proto.mutable_graph()->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (int64_t dim : dims)
      tensor.add_dims(dim);
    return tensor;
  }

  TestModel &ints(const std::string &name, const std::vector<int64_t> &values) {
    auto &data = tensor(name, onnx::TensorProto::INT64, {int64_t(values.size())});
    for (int64_t value : values)
      data.add_int64_data(value);
    return *this;
  }

  TestModel &floats(const std::string &name, const Dims &dims, const std::vector<float> &values) {
    auto &data = tensor(name, onnx::TensorProto::FLOAT, dims);
    for (float value : values)
      data.add_float_data(value);
    return *this;
  }

  static void describe(onnx::ValueInfoProto &info, const std::string &name, const Dims &dims,
                       int type) {
    info.set_name(name);
    auto *tensor = info.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->mutable_shape();
    for (int64_t dim : dims) {
      auto *entry = tensor->mutable_shape()->add_dim();
      if (dim >= 0)
        entry->set_dim_value(dim);
    }
  }

  onnx::ModelProto proto;
};

inline onnx::AttributeProto &attribute(onnx::NodeProto &node, const std::string &name, int64_t i) {
  auto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(i);
  return attribute;
}

inline onnx::AttributeProto &attribute(onnx::NodeProto &node, const std::string &name, float f) {
  auto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(f);
  return attribute;
}

inline onnx::AttributeProto &attribute(onnx::NodeProto &node, const std::string &name,
                                       const char *text) {
  auto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(text);
  return attribute;
}

inline onnx::AttributeProto &attribute(onnx::NodeProto &node, const std::string &name,
                                       const std::vector<int64_t> &values) {
  auto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (int64_t value : values)
    attribute.add_ints(value);
  return attribute;
}

/// The outcome of an import: a module, or the lines of its errors.
struct Imported {
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string errors;

  mlir::func::FuncOp main() { return module->lookupSymbol<mlir::func::FuncOp>("main"); }

  /// Mnemonics of the operations of main, without constants and the return.
  std::vector<std::string> operations() {
    std::vector<std::string> names;
    for (mlir::Operation &op : main().getBody().front().without_terminator())
      if (!llvm::isa<graph::ConstantOp>(op))
        names.push_back(op.getName().stripDialect().str());
    return names;
  }

  /// The first operation of that kind.
  template <typename Op> Op find() {
    Op found;
    main().walk([&](Op op) { found = found ? found : op; });
    return found;
  }

  /// The types of the results as text, for example "tensor<1x3xf32>".
  std::vector<std::string> resultTypes() {
    std::vector<std::string> types;
    for (mlir::Type type : main().getResultTypes()) {
      std::string text;
      llvm::raw_string_ostream(text) << type;
      types.push_back(text);
    }
    return types;
  }
};

inline Imported importBytes(const std::string &bytes, const ImportOptions &options = {}) {
  Imported result;
  result.context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler handler(result.context.get(), [&](mlir::Diagnostic &diagnostic) {
    result.errors += formatDiagnostic(diagnostic) + "\n";
    return mlir::success();
  });
  result.module = importOnnxBuffer(*result.context, {bytes, "model.onnx"}, options);
  EXPECT_EQ(!result.module, !result.errors.empty()) << result.errors;
  return result;
}

inline Imported importModel(const TestModel &model, const ImportOptions &options = {}) {
  std::string bytes;
  EXPECT_TRUE(model.proto.SerializePartialToString(&bytes));
  return importBytes(bytes, options);
}

/// The single error line of a model that must be refused.
inline std::string refusal(const TestModel &model, const ImportOptions &options = {}) {
  return importModel(model, options).errors;
}

} // namespace lathe::test

#endif // LATHE_TEST_UNIT_IMPORT_TESTMODEL_H
