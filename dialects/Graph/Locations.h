// What locations say of the nodes of a model.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_LOCATIONS_H
#define LATHE_DIALECTS_GRAPH_LOCATIONS_H

#include "mlir/IR/Location.h"

namespace lathe::graph {

/// The place of a node, with its operator: "Conv-11, opset 13".
mlir::Location withOperator(mlir::Location place, llvm::StringRef text);

/// The operator of the (first, innermost) node that a location names; "" for none.
llvm::StringRef getOperator(mlir::Location location);

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_LOCATIONS_H
