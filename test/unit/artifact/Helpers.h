// Small artifacts from LLVM IR text, and their entries as functions.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TEST_UNIT_ARTIFACT_HELPERS_H
#define LATHE_TEST_UNIT_ARTIFACT_HELPERS_H

#include "lathe/Artifact.h"
#include "lathe/Codegen.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include <dlfcn.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace lathe::test {

/// A folder that is gone after the test.
class Folder {
public:
  Folder() {
    std::string model = (std::filesystem::temp_directory_path() / "lathe-test-XXXXXX").string();
    path = mkdtemp(model.data());
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string &name) const { return path + "/" + name; }
  size_t fileCount() const {
    auto files = std::filesystem::directory_iterator(path);
    return std::distance(begin(files), end(files));
  }

private:
  std::string path;
};

inline std::string messageOf(llvm::Error error) { return llvm::toString(std::move(error)); }

inline std::string readFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, false);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

inline codegen::HostTarget target(const char *name) {
  return llvm::cantFail(codegen::resolveTargets(name)).front();
}

/// Compiles IR text. `result` holds the object, or the error's message.
inline llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
compile(const std::string &ir, const codegen::HostTarget &host,
        const codegen::HostOptions &options = {}) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(ir, diagnostic, context);
  if (!module) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    diagnostic.print("test", stream);
    return llvm::createStringError(text);
  }
  return codegen::compileHost(std::move(module), host, options);
}

/// A function of one or two arguments that `elementwiseIR` calls in a loop.
struct Callee {
  std::string name; ///< "sinf", or an intrinsic: "llvm.sin.f32"
  std::string type; ///< "float", "double"
  unsigned arity = 1;
};

/// The symbol prefix of a callee's entry.
inline std::string symbolOf(const Callee &callee) {
  std::string symbol = callee.name;
  std::replace(symbol.begin(), symbol.end(), '.', '_');
  return symbol;
}

/// IR of an entry per callee: output[i] = callee(input0[i], input1[i]).
inline std::string elementwiseIR(const std::vector<Callee> &callees,
                                 const std::string &prefix = "lathe_v0_") {
  std::string ir;
  for (const Callee &callee : callees) {
    std::string symbol = prefix + symbolOf(callee), type = callee.type;
    std::string second = callee.arity == 2 ? ", " + type : "";
    std::string bytes = type == "double" ? "8" : type == "float" ? "4" : "2";
    ir += "declare " + type + " @" + callee.name + "(" + type + second + ")\n";
    ir += "define i32 @" + symbol + "_plan(ptr %call, ptr %plan) { ret i32 0 }\n";
    ir += "define i32 @" + symbol +
          "_run(ptr %call) {\n"
          "entry:\n"
          "  %inputs.at = getelementptr i8, ptr %call, i64 8\n"
          "  %inputs = load ptr, ptr %inputs.at\n"
          "  %outputs.at = getelementptr i8, ptr %call, i64 16\n"
          "  %outputs = load ptr, ptr %outputs.at\n"
          "  %x.at = getelementptr i8, ptr %inputs, i64 16\n"
          "  %x = load ptr, ptr %x.at\n"
          "  %n.at = getelementptr i8, ptr %inputs, i64 24\n"
          "  %n = load i64, ptr %n.at\n"
          "  %z.at = getelementptr i8, ptr %outputs, i64 16\n"
          "  %z = load ptr, ptr %z.at\n";
    if (callee.arity == 2)
      ir += "  %y.at = getelementptr i8, ptr %inputs, i64 " +
            std::to_string(sizeof(lathe_value) + 16) +
            "\n"
            "  %y = load ptr, ptr %y.at\n";
    ir += "  br label %loop\n"
          "loop:\n"
          "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]\n"
          "  %xi.at = getelementptr " +
          type +
          ", ptr %x, i64 %i\n"
          "  %xi = load " +
          type + ", ptr %xi.at\n";
    if (callee.arity == 2)
      ir += "  %yi.at = getelementptr " + type +
            ", ptr %y, i64 %i\n"
            "  %yi = load " +
            type + ", ptr %yi.at\n";
    ir += "  %r = call " + type + " @" + callee.name + "(" + type + " %xi" +
          (callee.arity == 2 ? ", " + type + " %yi" : "") +
          ")\n"
          "  %zi.at = getelementptr " +
          type +
          ", ptr %z, i64 %i\n"
          "  store " +
          type +
          " %r, ptr %zi.at\n"
          "  %next = add i64 %i, 1\n"
          "  %more = icmp ult i64 %next, %n\n"
          "  br i1 %more, label %loop, label %end\n"
          "end:\n"
          "  ret i32 0\n"
          "}\n";
  }
  return ir;
}

inline artifact::TensorSpec vectorSpec(const std::string &name, uint32_t dtype) {
  artifact::TensorSpec spec;
  spec.name = name;
  spec.dtype = dtype;
  spec.dims = {{LATHE_DYNAMIC, "n", 0, INT64_MAX}};
  return spec;
}

inline uint32_t dtypeOf(const std::string &type) {
  return type == "double" ? LATHE_F64 : type == "float" ? LATHE_F32 : LATHE_BF16;
}

/// The variant of `elementwiseIR`, without its object.
inline artifact::Variant elementwiseVariant(const std::vector<Callee> &callees,
                                            const codegen::HostTarget &host,
                                            const std::string &prefix = "lathe_v0_") {
  artifact::Variant variant;
  variant.name = host.name;
  variant.features = host.featureBits;
  for (const Callee &callee : callees) {
    artifact::Entry entry;
    entry.name = callee.name;
    entry.planSymbol = prefix + symbolOf(callee) + "_plan";
    entry.runSymbol = prefix + symbolOf(callee) + "_run";
    for (unsigned i = 0; i < callee.arity; ++i)
      entry.inputs.push_back(vectorSpec(i ? "y" : "x", dtypeOf(callee.type)));
    entry.outputs.push_back(vectorSpec("z", dtypeOf(callee.type)));
    variant.entries.push_back(std::move(entry));
  }
  return variant;
}

/// An artifact of one variant with an entry per callee.
inline llvm::Expected<artifact::Contents>
elementwiseContents(const std::vector<Callee> &callees, const codegen::HostTarget &host,
                    const codegen::HostOptions &options = {}) {
  artifact::Contents contents;
  contents.triple = host.triple;
  contents.manifest = R"({"made-by": "test"})";
  artifact::Variant variant = elementwiseVariant(callees, host);
  auto object = compile(elementwiseIR(callees), host, options);
  if (!object)
    return object.takeError();
  variant.object = std::move(*object);
  contents.variants.push_back(std::move(variant));
  return contents;
}

/// An artifact opened by the system's loader, which knows nothing of Lathe.
class Opened {
public:
  explicit Opened(const std::string &path) {
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      ADD_FAILURE() << dlerror();
    else
      table = static_cast<const lathe_artifact *>(dlsym(handle, LATHE_TABLE_SYMBOL));
  }
  Opened(const Opened &) = delete;
  Opened &operator=(const Opened &) = delete;
  ~Opened() {
    if (handle)
      dlclose(handle);
  }

  const lathe_entry *find(const std::string &name, unsigned variant = 0) const {
    if (!table)
      return nullptr;
    const lathe_variant &chosen = table->variants[variant];
    for (uint32_t i = 0; i < chosen.entry_count; ++i)
      if (chosen.entries[i].name == name)
        return &chosen.entries[i];
    return nullptr;
  }

  const lathe_artifact *table = nullptr;

private:
  void *handle = nullptr;
};

/// Calls an entry of `elementwiseIR`.
template <typename T>
std::vector<T> call(const lathe_entry &entry, const std::vector<T> &x,
                    const std::vector<T> &y = {}) {
  std::vector<T> z(x.size());
  lathe_value inputs[2] = {}, output = {};
  inputs[0].data = const_cast<T *>(x.data());
  inputs[1].data = const_cast<T *>(y.data());
  output.data = z.data();
  inputs[0].dims[0] = inputs[1].dims[0] = output.dims[0] = int64_t(x.size());
  lathe_call call = {};
  call.inputs = inputs;
  call.outputs = &output;
  EXPECT_EQ(entry.run(&call), 0);
  return z;
}

} // namespace lathe::test

#endif // LATHE_TEST_UNIT_ARTIFACT_HELPERS_H
