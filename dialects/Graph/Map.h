// Maps, whose type is that of an entry: tuple<KEY, VALUE> of element types.
// Apache-2.0 WITH LLVM-exception
#ifndef LATHE_DIALECTS_GRAPH_MAP_H
#define LATHE_DIALECTS_GRAPH_MAP_H

#include "dialects/Graph/Graph.h"

#define GET_OP_CLASSES
#include "dialects/Graph/MapOps.h.inc"

namespace lathe::graph {

inline mlir::TupleType makeMapType(mlir::Type key, mlir::Type value) {
  return mlir::TupleType::get(key.getContext(), {key, value});
}
inline mlir::Type getKeyType(mlir::Type map) { return mlir::cast<mlir::TupleType>(map).getType(0); }
inline mlir::Type getValueType(mlir::Type map) {
  return mlir::cast<mlir::TupleType>(map).getType(1);
}

} // namespace lathe::graph

#endif // LATHE_DIALECTS_GRAPH_MAP_H
