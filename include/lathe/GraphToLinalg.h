// The stage from the graph dialect to linalg on tensors.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_GRAPHTOLINALG_H
#define LATHE_GRAPHTOLINALG_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/StringRef.h"
#include <memory>
#include <vector>

namespace lathe {

/// Loads the dialects that the result of the stage is written in.
void loadGraphToLinalgDialects(mlir::MLIRContext &context);

/// Lowers every function of `module` out of the graph dialect (see docs/GraphToLinalg.md for the
/// form of the result). Every operation that cannot be lowered is reported, each with an error at
/// its node; the module is then left as it was.
mlir::LogicalResult convertGraphToLinalg(mlir::ModuleOp module);

/// `convertGraphToLinalg` as the pass `graph-to-linalg`.
std::unique_ptr<mlir::Pass> createGraphToLinalgPass();

/// Makes the pass known to textual pipelines.
void registerGraphToLinalgPasses();

} // namespace lathe

#endif // LATHE_GRAPHTOLINALG_H
