// Changes to a model that the caller asks for, before it is imported.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Rewrite.h"
#include "lib/Import/Importer.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include <set>

using namespace lathe;
using namespace lathe::import;

static llvm::StringSet<> initializersOf(const onnx::GraphProto &graph) {
  llvm::StringSet<> names;
  for (const onnx::TensorProto &tensor : graph.initializer())
    names.insert(tensor.name());
  for (const onnx::SparseTensorProto &tensor : graph.sparse_initializer())
    names.insert(tensor.values().name());
  return names;
}

// Ranks stay, as they are part of types; and with them the lengths of lists of integers, such as
// axes, pads and shapes, which ranks follow from.
static void forgetDims(onnx::TypeProto &type) {
  if (type.has_sequence_type() && type.sequence_type().has_elem_type())
    return forgetDims(*type.mutable_sequence_type()->mutable_elem_type());
  if (type.has_optional_type() && type.optional_type().has_elem_type())
    return forgetDims(*type.mutable_optional_type()->mutable_elem_type());
  const auto &tensor = type.tensor_type();
  if (!type.has_tensor_type() || !tensor.has_shape() ||
      (tensor.elem_type() == onnx::TensorProto::INT64 && tensor.shape().dim_size() == 1))
    return;
  for (auto &dim : *type.mutable_tensor_type()->mutable_shape()->mutable_dim())
    dim.Clear();
}

namespace {

/// Adds values to a graph under a name: tensors as initializers, what holds values as a node that
/// makes it of those.
struct ValueAdder {
  onnx::GraphProto &graph;

  bool add(const onnx::TensorProto &value, const std::string &name) {
    onnx::TensorProto &tensor = *graph.add_initializer();
    tensor = value;
    tensor.set_name(name);
    return true;
  }
  bool add(const onnx::SequenceProto &value, const std::string &name) {
    if (value.map_values_size() || value.sparse_tensor_values_size())
      return false;
    int count =
        value.tensor_values_size() + value.sequence_values_size() + value.optional_values_size();
    onnx::NodeProto &node = *graph.add_node();
    node.set_op_type(count ? "SequenceConstruct" : "SequenceEmpty");
    node.add_output(name);
    auto addAll = [&](const auto &items) {
      for (const auto &item : items) {
        *node.add_input() = name + "/" + std::to_string(node.input_size());
        if (!add(item, node.input(node.input_size() - 1)))
          return false;
      }
      return true;
    };
    return addAll(value.tensor_values()) && addAll(value.sequence_values()) &&
           addAll(value.optional_values());
  }
  bool add(const onnx::OptionalProto &value, const std::string &name) {
    onnx::NodeProto &node = *graph.add_node();
    node.set_op_type("Optional");
    node.add_output(name);
    std::string held = name + "/0";
    bool isEmpty =
        !value.has_tensor_value() && !value.has_sequence_value() && !value.has_optional_value();
    if (!isEmpty)
      node.add_input(held);
    if (value.has_tensor_value())
      return add(value.tensor_value(), held);
    if (value.has_sequence_value())
      return add(value.sequence_value(), held);
    if (value.has_optional_value())
      return add(value.optional_value(), held);
    return !value.has_map_value() && !value.has_sparse_tensor_value();
  }

  template <typename Proto> bool parseAndAdd(llvm::StringRef bytes, const std::string &name) {
    Proto value;
    return bytes.size() <= size_t(INT_MAX) &&
           value.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
           add(value, name);
  }
};

} // namespace

static bool addConstant(onnx::GraphProto &graph, const onnx::ValueInfoProto &info,
                        llvm::StringRef bytes) {
  ValueAdder adder{graph};
  if (info.type().has_sequence_type())
    return adder.parseAndAdd<onnx::SequenceProto>(bytes, info.name());
  if (info.type().has_optional_type())
    return adder.parseAndAdd<onnx::OptionalProto>(bytes, info.name());
  return adder.parseAndAdd<onnx::TensorProto>(bytes, info.name());
}

static llvm::Error addConstants(onnx::GraphProto &graph,
                                llvm::ArrayRef<std::string> constantInputs) {
  llvm::StringSet<> initializers = initializersOf(graph);
  size_t next = 0;
  // Inputs with an initializer are constants; what a node makes is no input.
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> kept;
  for (const onnx::ValueInfoProto &info : graph.input()) {
    bool isConstant = initializers.contains(info.name());
    if (isConstant || next == constantInputs.size() || constantInputs[next++].empty()) {
      *kept.Add() = info;
      continue;
    }
    const std::string &path = constantInputs[next - 1];
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!buffer)
      return llvm::createStringError(
          buffer.getError(),
          llvm::formatv("cannot read '{0}': {1}", path, buffer.getError().message()).str());
    if (!addConstant(graph, info, (*buffer)->getBuffer()))
      return llvm::createStringError(
          llvm::formatv("'{0}' is no tensor, sequence or optional of them as input '{1}' takes",
                        path, info.name())
              .str());
    if (info.type().has_tensor_type())
      *kept.Add() = info;
  }
  graph.mutable_input()->Swap(&kept);
  if (next < constantInputs.size())
    return llvm::createStringError(
        llvm::formatv("{0} constants are given, the model has {1} inputs", constantInputs.size(),
                      next)
            .str());
  return llvm::Error::success();
}

static llvm::Error fixDims(onnx::GraphProto &graph,
                           llvm::ArrayRef<std::pair<std::string, int64_t>> dims) {
  llvm::StringMap<int64_t> sizes;
  for (const auto &[name, size] : dims)
    sizes[name] = size;
  llvm::StringSet<> initializers = initializersOf(graph), used;
  llvm::SetVector<std::string, std::vector<std::string>, std::set<std::string>> known;
  for (onnx::ValueInfoProto &info : *graph.mutable_input()) {
    if (initializers.contains(info.name()) || !info.type().tensor_type().has_shape())
      continue;
    auto &shape = *info.mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int i = 0; i < shape.dim_size(); ++i) {
      auto &dim = *shape.mutable_dim(i);
      if (dim.has_dim_value() && dim.dim_value() >= 0)
        continue;
      std::string name = isSymbol(dim.dim_param()) ? dim.dim_param() : unnamedDim(info.name(), i);
      known.insert(name);
      if (auto size = sizes.find(name); size != sizes.end()) {
        dim.set_dim_value(size->second);
        used.insert(name);
      }
    }
  }
  for (const auto &[name, size] : dims)
    if (!used.contains(name))
      return llvm::createStringError(
          "the model has no symbolic dimension '" + name + "' to set to " + llvm::Twine(size) +
          "; those of its inputs are " +
          (known.empty() ? "none" : "'" + llvm::join(known, "', '") + "'"));
  return llvm::Error::success();
}

llvm::Error lathe::import::rewriteModel(onnx::ModelProto &model, const ImportOptions &options) {
  onnx::GraphProto &graph = *model.mutable_graph();
  if (!options.constantInputs.empty())
    if (llvm::Error error = addConstants(graph, options.constantInputs))
      return error;
  if (options.dynamicDims) {
    llvm::StringSet<> initializers = initializersOf(graph);
    for (onnx::ValueInfoProto &info : *graph.mutable_input())
      if (!initializers.contains(info.name()))
        forgetDims(*info.mutable_type());
    for (onnx::ValueInfoProto &info : *graph.mutable_output())
      forgetDims(*info.mutable_type());
    graph.clear_value_info();
  }
  if (!options.dims.empty())
    return fixDims(graph, options.dims);
  return llvm::Error::success();
}
