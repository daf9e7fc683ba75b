// Constant evaluation: whatever the compiler can compile, it can fold, by running it.
// Apache-2.0 WITH LLVM-exception
#include "Pipeline.h"
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
  for (size_t i = 0; done && i < count; ++i) {
    size_t bytesOut = lathe_value_bytes(&outputs[i]);
    done = fwrite(outputs[i].data, 1, bytesOut, file) == bytesOut;
  }
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
      auto ranked = dyn_cast<RankedTensorType>(type);
      if (!ranked || !graph::getStorageBytes(ranked))
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
  StringRef rest = (*buffer)->getBuffer();
  SmallVector<SmallVector<TypedAttr>> values;
  for (auto function : subgraphs.getOps<func::FuncOp>()) {
    SmallVector<TypedAttr> &results = values.emplace_back();
    for (Type type : function.getResultTypes()) {
      auto ranked = cast<RankedTensorType>(type);
      uint64_t bytes = *graph::getStorageBytes(ranked);
      if (rest.size() < bytes)
        return failure();
      results.push_back(graph::makeConstantAttr(ranked, ArrayRef(rest.data(), bytes)));
      rest = rest.drop_front(bytes);
    }
  }
  return values;
}
