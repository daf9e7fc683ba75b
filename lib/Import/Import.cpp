// Entry points of the import stage: files, bytes, diagnostics.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Import.h"
#include "dialects/Graph/Locations.h"
#include "lib/Import/Importer.h"
#include "lib/Import/Rewrite.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

using namespace mlir;
using namespace lathe;
using namespace lathe::import;

/// Model, graph, node, attribute and tensor messages nest; protobuf's own default.
static constexpr int kMaxNesting = 100;

static Location locationOfFile(MLIRContext &context, StringRef name) {
  return FileLineColLoc::get(&context, name, 0, 0);
}

static OwningOpRef<ModuleOp> importBytes(MLIRContext &context, StringRef bytes, StringRef fileName,
                                         std::string dataFolder, const ImportOptions &options) {
  context.loadDialect<func::FuncDialect, graph::GraphDialect>();
  Location location = locationOfFile(context, fileName);
  if (bytes.empty()) {
    emitError(location) << "the file is empty, it should be an ONNX model";
    return {};
  }
  if (bytes.size() > size_t(INT_MAX)) {
    emitError(location) << "the file has " << bytes.size() << " bytes, the format allows "
                        << INT_MAX << ": save the weights as external data";
    return {};
  }
  onnx::ModelProto model;
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetRecursionLimit(kMaxNesting);
  if (!model.ParsePartialFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    emitError(location)
        << "the file is no ONNX model, or it is damaged, cut off or nested too deeply: its "
        << bytes.size() << " bytes are no protobuf message of that kind";
    return {};
  }
  if (llvm::Error error = rewriteModel(model, options)) {
    emitError(location) << llvm::toString(std::move(error));
    return {};
  }
  return GraphImporter(&context, model, fileName, std::move(dataFolder), options).run();
}

OwningOpRef<ModuleOp> lathe::importOnnx(MLIRContext &context, StringRef path,
                                        const ImportOptions &options) {
  StringRef fileName = llvm::sys::path::filename(path);
  Location location = locationOfFile(context, fileName);
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(path, status)) {
    emitError(location) << "cannot read '" << path << "': " << error.message();
    return {};
  }
  if (status.type() != llvm::sys::fs::file_type::regular_file) {
    emitError(location) << "cannot read '" << path << "': it is not a regular file";
    return {};
  }
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer) {
    emitError(location) << "cannot read '" << path << "': " << buffer.getError().message();
    return {};
  }
  std::string folder = options.dataFolder;
  if (folder.empty())
    folder = llvm::sys::path::parent_path(path).str();
  if (folder.empty())
    folder = ".";
  return importBytes(context, (*buffer)->getBuffer(), fileName, std::move(folder), options);
}

OwningOpRef<ModuleOp> lathe::importOnnxBuffer(MLIRContext &context, llvm::MemoryBufferRef model,
                                              const ImportOptions &options) {
  return importBytes(context, model.getBuffer(), model.getBufferIdentifier(), options.dataFolder,
                     options);
}

// ---- Diagnostics

/// Names come from the file: control characters must not reach a terminal, nor megabytes.
static std::string printable(StringRef text, size_t most = 3000) {
  std::string result;
  if (text.size() > most)
    return printable(text.take_front(most), most) + "...";
  for (char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)
      result += c;
    else
      result += llvm::formatv("\\x{0:x-2}", static_cast<unsigned char>(c)).str();
  }
  return result;
}

std::string lathe::describeNode(Location location) {
  if (auto name = dyn_cast<NameLoc>(location)) {
    StringRef text = name.getName();
    // Nodes without a name are located as "#17 (Conv)".
    bool anonymous = text.starts_with("#") && text.ends_with(")");
    constexpr size_t longestName = 400;
    return anonymous ? "node " + printable(text, longestName)
                     : "node '" + printable(text, longestName) + "'";
  }
  if (auto call = dyn_cast<CallSiteLoc>(location)) {
    std::string caller = describeNode(call.getCaller()), callee = describeNode(call.getCallee());
    return caller.empty() || callee.empty() ? caller + callee : caller + ": " + callee;
  }
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (std::string text = describeNode(part); !text.empty())
        return text;
  return "";
}

/// The file that a location lies in; "" when it names none.
static StringRef fileOf(Location location) {
  if (auto file = dyn_cast<FileLineColLoc>(location))
    return file.getFilename();
  if (auto name = dyn_cast<NameLoc>(location))
    return fileOf(name.getChildLoc());
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return fileOf(call.getCaller());
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (StringRef file = fileOf(part); !file.empty())
        return file;
  return "";
}

std::string lathe::formatDiagnostic(const Diagnostic &diagnostic) {
  std::string line;
  if (diagnostic.getSeverity() == DiagnosticSeverity::Warning)
    line += "warning: ";
  if (StringRef file = fileOf(diagnostic.getLocation()); !file.empty())
    line += printable(file) + ": ";
  if (std::string node = describeNode(diagnostic.getLocation()); !node.empty())
    line += node + ": ";
  // "'graph.conv' op message": the node is named already, and the user knows no graph operations.
  std::string message = diagnostic.str();
  size_t prefix =
      StringRef(message).starts_with("'graph.") ? message.find("' op ") : std::string::npos;
  line += printable(prefix == std::string::npos ? message : message.substr(prefix + 5));
  // The importer says which operator it is, of which types.
  bool isSaid = false;
  for (Diagnostic &note : const_cast<Diagnostic &>(diagnostic).getNotes())
    if (std::string text = note.str(); StringRef(text).consume_front("operator ")) {
      line += " (" + printable(text.substr(strlen("operator "))) + ")";
      isSaid = true;
    }
  // Of later stages, the location does.
  StringRef known = graph::getOperator(diagnostic.getLocation());
  if (!isSaid && !known.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
    line += " (" + printable(known) + ")";
  return line;
}
