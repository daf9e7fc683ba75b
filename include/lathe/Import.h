// The import stage: an ONNX model becomes a module of the graph dialect.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_IMPORT_H
#define LATHE_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <string>
#include <vector>

namespace lathe {

struct ImportOptions {
  /// The folder that external data is looked up in, and that it may not leave. Empty: the model's
  /// own folder; for a model in memory: external data is refused.
  std::string dataFolder;
  /// Nodes that model-local functions may expand to, in total.
  uint64_t maxExpandedNodes = 200000;
  /// Depth of functions that call functions.
  unsigned maxCallDepth = 64;
  /// Takes every dimension of the inputs as unknown, and no declared shape at its word: the model
  /// as if its exporter had known ranks only.
  bool dynamicDims = false;
  /// TensorProto files, one for each input of the graph that has no initializer: the input becomes
  /// that constant. "", and what is missing at the end, leaves the input as it is.
  std::vector<std::string> constantInputs;
  /// Sizes of symbolic dimensions of the inputs, by name; a dimension without a name is "INPUT.2".
  /// Fails, listing the names there are, where no input has such a dimension.
  std::vector<std::pair<std::string, int64_t>> dims;
};

/// Imports the model in the file `path`. The result holds one function
/// `@main`, whose arguments are the graph's inputs that have no initializer and whose results are
/// its outputs, and these attributes:
///   module: graph.source (file name), graph.opsets (domain -> version)
///   function: graph.entry = "run"
///   arguments and results: graph.name, graph.dims (one string per dimension: its symbol, or "" for
///   a static one; absent for a value without a declared shape)
/// Every operation has the location of the node that it comes from; see formatDiagnostic.
/// On failure returns null; each error has gone to the context's diagnostic handlers.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(mlir::MLIRContext &context, llvm::StringRef path,
                                             const ImportOptions &options = {});

/// Imports a model from memory; the buffer's identifier serves as file name. `model` need not
/// outlive the call.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxBuffer(mlir::MLIRContext &context,
                                                   llvm::MemoryBufferRef model,
                                                   const ImportOptions &options = {});

/// One line for a diagnostic: "model.onnx: node 'Conv_12': message", with "warning: " in front of
/// warnings. Works for operations of every later stage as well, as they keep their locations.
std::string formatDiagnostic(const mlir::Diagnostic &diagnostic);

/// "node 'Conv_12'", or "" for a location without a node: what messages at run time begin with.
std::string describeNode(mlir::Location location);

} // namespace lathe

#endif // LATHE_IMPORT_H
