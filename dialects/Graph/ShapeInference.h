// The shape inference interface of graph operations.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_SHAPEINFERENCE_H
#define LATHE_DIALECTS_GRAPH_SHAPEINFERENCE_H

#include "mlir/IR/OpDefinition.h"

namespace lathe::graph {
class SymbolicShapes;
} // namespace lathe::graph

#include "dialects/Graph/ShapeInference.h.inc"

#endif // LATHE_DIALECTS_GRAPH_SHAPEINFERENCE_H
