// Constant evaluation: whatever the compiler can compile, it can fold, by running it.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
#include "dialects/Graph/Graph.h"
#include "dialects/Graph/Weights.h"
#include "lathe-c/Runtime.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace mlir;
using namespace lathe;

std::string lathe::pipeline::baselineTarget() {
  llvm::Triple host(llvm::sys::getProcessTriple());
  return host.isAArch64() ? "aarch64" : "x86-64-v3";
}

uint64_t lathe::pipeline::countProducts(ModuleOp subgraphs) {
  auto elements = [](Value value) -> uint64_t {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && type.hasStaticShape() ? type.getNumElements() : 0;
  };
  uint64_t total = 0;
  subgraphs.walk([&](Operation *op) {
    if (auto conv = dyn_cast<graph::ConvOp>(op)) {
      auto weight = dyn_cast<RankedTensorType>(conv.getWeight().getType());
      if (elements(conv.getWeight()) > 0)
        total += elements(conv.getResult()) * elements(conv.getWeight()) / weight.getDimSize(0);
    } else if (auto product = dyn_cast<graph::MatMulOp>(op)) {
      auto lhs = dyn_cast<RankedTensorType>(product.getLhs().getType());
      if (elements(product.getLhs()) > 0 && lhs.getRank() > 0)
        total += elements(product.getResult()) * lhs.getShape().back();
    }
  });
  return total;
}

// One @main that returns the results of all functions, in order.
static OwningOpRef<ModuleOp> joinFunctions(ModuleOp subgraphs) {
  OwningOpRef<ModuleOp> program = ModuleOp::create(subgraphs.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(program->getBody());
  SmallVector<Type> types;
  for (auto function : subgraphs.getOps<func::FuncOp>())
    llvm::append_range(types, function.getResultTypes());
  auto main =
      func::FuncOp::create(builder, subgraphs.getLoc(), "main", builder.getFunctionType({}, types));
  builder.setInsertionPointToStart(main.addEntryBlock());
  SmallVector<Value> results;
  for (auto function : subgraphs.getOps<func::FuncOp>()) {
    IRMapping mapping;
    for (Operation &op : function.getBody().front().without_terminator())
      builder.clone(op, mapping);
    for (Value result : function.getBody().front().getTerminator()->getOperands())
      results.push_back(mapping.lookup(result));
  }
  func::ReturnOp::create(builder, subgraphs.getLoc(), results);
  return program;
}

// Rank, dims and data; of strings the size of each before its bytes.
static bool writeValue(FILE *file, const lathe_value &value) {
  auto write = [&](const void *data, size_t bytes) {
    return bytes == 0 || fwrite(data, 1, bytes, file) == bytes;
  };
  uint64_t rank = value.rank;
  if (!write(&rank, sizeof(rank)) || !write(value.dims, rank * sizeof(int64_t)))
    return false;
  if (value.dtype != LATHE_STRING)
    return write(value.data, lathe_value_bytes(&value));
  auto *strings = static_cast<const lathe_string *>(value.data);
  for (int64_t i = 0, count = lathe_value_elements(&value); i < count; ++i)
    if (!write(&strings[i].size, sizeof(uint64_t)) || !write(strings[i].data, strings[i].size))
      return false;
  return true;
}

namespace {
/// What writeValue wrote, as constants.
class ValueReader {
public:
  ValueReader(StringRef rest) : rest(rest) {}
  /// A constant of these element type; null where the file has no such value.
  TypedAttr read(Type element) {
    std::optional<uint64_t> rank = number();
    if (!rank || *rank > LATHE_MAX_RANK)
      return {};
    SmallVector<int64_t> dims;
    for (uint64_t i = 0; i < *rank; ++i) {
      std::optional<uint64_t> dim = number();
      if (!dim || int64_t(*dim) < 0)
        return {};
      dims.push_back(*dim);
    }
    auto type = RankedTensorType::get(dims, element);
    if (isa<graph::StringType>(element))
      return readStrings(type);
    std::optional<uint64_t> bytes = graph::getStorageBytes(type);
    std::optional<StringRef> data = bytes ? take(*bytes) : std::nullopt;
    return data ? graph::makeConstantAttr(type, ArrayRef(data->data(), data->size())) : TypedAttr();
  }

private:
  TypedAttr readStrings(RankedTensorType type) {
    SmallVector<StringRef> strings;
    for (int64_t i = 0, count = type.getNumElements(); i < count; ++i) {
      std::optional<uint64_t> size = number();
      std::optional<StringRef> text = size ? take(*size) : std::nullopt;
      if (!text)
        return {};
      strings.push_back(*text);
    }
    return DenseStringElementsAttr::get(type, strings);
  }
  std::optional<uint64_t> number() {
    std::optional<StringRef> bytes = take(sizeof(uint64_t));
    if (!bytes)
      return std::nullopt;
    uint64_t value;
    std::memcpy(&value, bytes->data(), sizeof(value));
    return value;
  }
  std::optional<StringRef> take(uint64_t bytes) {
    if (rest.size() < bytes)
      return std::nullopt;
    StringRef taken = rest.take_front(bytes);
    rest = rest.drop_front(bytes);
    return taken;
  }
  StringRef rest;
};
} // namespace

// In the child: runs the artifact and writes its outputs one after the other. No return.
[[noreturn]] static void runChild(const char *artifact, const char *output, size_t count) {
  constexpr rlim_t seconds = 60, bytes = rlim_t(8) << 30;
  rlimit time{seconds, seconds}, memory{bytes, bytes}, core{0, 0};
  setrlimit(RLIMIT_CPU, &time);
  setrlimit(RLIMIT_AS, &memory);
  setrlimit(RLIMIT_CORE, &core);
  lathe_status status = {};
  lathe_module *module = nullptr;
  lathe_context *context = nullptr;
  lathe_context_options options = {};
  options.size = sizeof(options);
  options.threads = 1;
  std::vector<lathe_value> outputs(count);
  FILE *file = fopen(output, "wb");
  bool done =
      file && lathe_module_open(artifact, nullptr, &module, &status) == LATHE_STATUS_OK &&
      lathe_context_create(module, &options, &context, &status) == LATHE_STATUS_OK &&
      lathe_context_run(context, 0, nullptr, 0, outputs.data(), count, &status) == LATHE_STATUS_OK;
  for (size_t i = 0; done && i < count; ++i)
    done = writeValue(file, outputs[i]);
  done = done && fclose(file) == 0;
  _exit(done ? 0 : 1);
}

FailureOr<SmallVector<SmallVector<TypedAttr>>>
lathe::pipeline::evaluateByRunning(ModuleOp subgraphs,
                                   llvm::function_ref<bool(ModuleOp, StringRef path)> compile) {
  OwningOpRef<ModuleOp> program = joinFunctions(subgraphs);
  size_t count = 0;
  for (auto function : subgraphs.getOps<func::FuncOp>())
    for (Type type : function.getResultTypes()) {
      if (!isa<RankedTensorType>(type))
        return failure();
      ++count;
    }
  SmallString<128> artifact, output;
  if (llvm::sys::fs::createTemporaryFile("lathe-constants", "lathe", artifact))
    return failure();
  llvm::FileRemover removeArtifact(artifact);
  if (llvm::sys::fs::createTemporaryFile("lathe-constants", "bin", output))
    return failure();
  llvm::FileRemover removeOutput(output);
  if (!compile(*program, artifact))
    return failure();

  pid_t child = fork();
  if (child < 0)
    return failure();
  if (child == 0)
    runChild(artifact.c_str(), output.c_str(), count);
  int state = 0;
  while (waitpid(child, &state, 0) < 0)
    if (errno != EINTR)
      return failure();
  if (!WIFEXITED(state) || WEXITSTATUS(state) != 0)
    return failure();

  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return failure();
  ValueReader reader((*buffer)->getBuffer());
  SmallVector<SmallVector<TypedAttr>> values;
  for (auto function : subgraphs.getOps<func::FuncOp>()) {
    SmallVector<TypedAttr> &results = values.emplace_back();
    for (Type type : function.getResultTypes()) {
      results.push_back(reader.read(cast<RankedTensorType>(type).getElementType()));
      if (!results.back())
        return failure();
    }
  }
  return values;
}
