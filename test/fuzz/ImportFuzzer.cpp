// Fuzzes the importer: whatever the bytes are, it gives a module that verifies, or an error.
// Apache-2.0 WITH LLVM-exception
#include "lathe/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  bool hasError = false;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    // Printed in any case, as a warning's text is made of the file's bytes too.
    bool hasText = !lathe::formatDiagnostic(diagnostic).empty();
    hasError |= hasText && diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
    return mlir::success();
  });
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      lathe::importOnnxBuffer(context, {bytes, "model.onnx"});
  // Refusing without a word is as bad as accepting what is invalid.
  if (!module != hasError || (module && failed(mlir::verify(*module))))
    __builtin_trap();
  return 0;
}
