// Models for programs to link: a relocatable object and a C header.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Artifact/Internal.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace lathe::artifact {
namespace {

/// A name from the model as part of a comment, which it must not end.
std::string commentOf(StringRef text) {
  std::string result;
  for (char c : text.take_front(80))
    result += isAlnum(c) || StringRef("_-.:+ ").contains(c) ? c : '?';
  return result;
}

/// "batch x 3 x ?"
std::string dimsOf(const TensorSpec &spec) {
  SmallVector<std::string> dims;
  for (const Dim &dim : spec.dims)
    dims.push_back(dim.size != LATHE_DYNAMIC ? std::to_string(dim.size)
                   : dim.symbol.empty()      ? "?"
                                             : commentOf(dim.symbol));
  return dims.empty() ? "scalar" : join(dims, " x ");
}

/// An enumerator for each tensor: its number.
void addNumbers(raw_ostream &header, StringRef model, StringRef role,
                const std::vector<TensorSpec> &specs) {
  StringSet<> taken;
  for (auto [number, spec] : llvm::enumerate(specs)) {
    std::string name =
        StringRef((model + "_" + role + "_" + makeIdentifier(spec.name)).str()).upper();
    std::string unique = name;
    for (unsigned i = 2; !taken.insert(unique).second; ++i)
      unique = name + "_" + std::to_string(i);
    header << formatv("  {0} = {1}, /* {2}: {3}, element type {4}{5} */\n", unique, number,
                      commentOf(spec.name), dimsOf(spec), spec.dtype,
                      spec.state < 0 ? "" : formatv(", state {0}", spec.state).str());
  }
}

} // namespace

std::string makeIdentifier(StringRef text) {
  std::string result;
  for (char c : text)
    result += isAlnum(c) ? c : '_';
  if (result.empty() || isDigit(result.front()))
    result.insert(result.begin(), '_');
  return result;
}

std::string modelSymbol(StringRef model) { return ("lathe_model_" + model).str(); }

Error writeObject(const Contents &contents, StringRef model, StringRef path) {
  if (Error error = check(contents))
    return error;
  if (Error error = checkReplaceable(path))
    return error;
  Expected<std::unique_ptr<MemoryBuffer>> table = emitModel(contents, model);
  if (!table)
    return table.takeError();
  std::vector<LinkInput> inputs;
  inputs.push_back({(*table)->getMemBufferRef(), "model"});
  addCode(contents, inputs);
  TemporaryFile file;
  if (Error error = file.create(path))
    return error;
  if (Error error = link(contents.triple, inputs, LinkOutput::Relocatable, file.path()))
    return error;
  return file.keepAs(path);
}

Error writeHeader(const Contents &contents, StringRef model, StringRef path) {
  if (Error error = check(contents))
    return error;
  if (Error error = checkReplaceable(path))
    return error;
  std::string text;
  raw_string_ostream header(text);
  std::string guard = StringRef(modelSymbol(model)).upper() + "_H";
  const Entry &entry = contents.variants.front().entries.front();
  header << formatv("/* The model {0}, written by Lathe with the object to link. Element types are "
                    "those of\n * lathe/ArtifactFormat.h. */\n#ifndef {1}\n#define {1}\n\n"
                    "#include \"lathe-c/Runtime.h\"\n\n#ifdef __cplusplus\nextern \"C\" "
                    "{{\n#endif\n\n",
                    model, guard);
  header << formatv("/* For lathe_module_open_static. */\nextern const lathe_static_model {0};\n",
                    modelSymbol(model));
  if (!entry.inputs.empty() || !entry.outputs.empty()) {
    header << "\n/* Inputs and outputs of entry 0. */\nenum {\n";
    addNumbers(header, model, "INPUT", entry.inputs);
    addNumbers(header, model, "OUTPUT", entry.outputs);
    header << "};\n";
  }
  header << formatv("\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* {0} */\n", guard);
  TemporaryFile file;
  if (Error error = file.create(path))
    return error;
  if (Error error = file.write(0, text.data(), text.size()))
    return error;
  return file.keepAs(path);
}

} // namespace lathe::artifact
