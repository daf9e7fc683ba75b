// Changes to a model that the caller asks for, before it is imported.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Rewrite.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

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
static void forgetDims(onnx::ValueInfoProto &info) {
  const auto &type = info.type().tensor_type();
  if (!info.type().has_tensor_type() || !type.has_shape() ||
      (type.elem_type() == onnx::TensorProto::INT64 && type.shape().dim_size() == 1))
    return;
  for (auto &dim : *info.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim())
    dim.Clear();
}

static llvm::Error addConstants(onnx::GraphProto &graph,
                                llvm::ArrayRef<std::string> constantInputs) {
  llvm::StringSet<> initializers = initializersOf(graph);
  size_t next = 0;
  for (const onnx::ValueInfoProto &info : graph.input()) {
    if (initializers.contains(info.name()))
      continue;
    if (next == constantInputs.size())
      return llvm::Error::success();
    const std::string &path = constantInputs[next++];
    if (path.empty())
      continue;
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!buffer)
      return llvm::createStringError(
          buffer.getError(),
          llvm::formatv("cannot read '{0}': {1}", path, buffer.getError().message()).str());
    onnx::TensorProto &tensor = *graph.add_initializer();
    if ((*buffer)->getBufferSize() > size_t(INT_MAX) ||
        !tensor.ParsePartialFromArray((*buffer)->getBufferStart(),
                                      static_cast<int>((*buffer)->getBufferSize())))
      return llvm::createStringError(llvm::formatv("'{0}' is no tensor", path).str());
    tensor.set_name(info.name());
  }
  if (next < constantInputs.size())
    return llvm::createStringError(
        llvm::formatv("{0} constants are given, the model has {1} inputs", constantInputs.size(),
                      next)
            .str());
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
        forgetDims(info);
    for (onnx::ValueInfoProto &info : *graph.mutable_output())
      forgetDims(info);
    graph.clear_value_info();
  }
  return llvm::Error::success();
}
