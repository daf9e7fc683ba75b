// Maps: verifiers, shapes, folding.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Map.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Verify.h"

using namespace mlir;
using namespace lathe::graph;

#define GET_OP_CLASSES
#include "dialects/Graph/MapOps.cpp.inc"

static LogicalResult verifyPart(Operation *op, StringRef name, Value part, Type element) {
  auto type = cast<TensorType>(part.getType());
  if (type.getElementType() != element)
    return op->emitOpError(name) << " of a map must have element type " << element << ", got "
                                 << type;
  return verifyRank(op, name, part, 1);
}

static LogicalResult verifyMap(Operation *op, Type type, Value keys, Value values) {
  auto map = cast<TupleType>(type);
  if (map.size() != 2)
    return op->emitOpError("a map must have type tuple<KEY, VALUE>, got ") << type;
  if (failed(verifyPart(op, "keys", keys, getKeyType(map))))
    return failure();
  return verifyPart(op, "values", values, getValueType(map));
}

LogicalResult MapConstructOp::verify() {
  return verifyMap(*this, getResult().getType(), getKeys(), getValues());
}

LogicalResult MapConstructOp::inferShapes(SymbolicShapes &) { return success(); }

LogicalResult MapEntriesOp::verify() {
  return verifyMap(*this, getMap().getType(), getKeys(), getValues());
}

LogicalResult MapEntriesOp::inferShapes(SymbolicShapes &shapes) {
  if (failed(shapes.setDims(getKeys(), {AffineExpr()})))
    return failure();
  SmallVector<AffineExpr> dims(*shapes.getDims(getKeys()));
  return shapes.setDims(getValues(), dims);
}

LogicalResult MapEntriesOp::fold(FoldAdaptor, SmallVectorImpl<OpFoldResult> &results) {
  auto map = getMap().getDefiningOp<MapConstructOp>();
  if (!map)
    return failure();
  results.assign({map.getKeys(), map.getValues()});
  return success();
}
