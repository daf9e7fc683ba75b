// The graph dialect: registration and its one base operation.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Map.h"
#include "dialects/Graph/SymbolicShapes.h"
#include "dialects/Graph/Weights.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe::graph;

#include "dialects/Graph/ShapeInference.cpp.inc"

#include "dialects/Graph/GraphDialect.cpp.inc"
#include "dialects/Graph/GraphEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Graph/GraphAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Graph/GraphTypes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/Graph/GraphOps.cpp.inc"

void GraphDialect::initialize() {
  weights = std::make_shared<WeightStore>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Graph/GraphAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Graph/GraphTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Graph/GraphOps.cpp.inc"
      ,
#define GET_OP_LIST
#include "dialects/Graph/MapOps.cpp.inc"
      >();
}

Operation *GraphDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                             Location loc) {
  auto typed = dyn_cast<TypedAttr>(value);
  if (!typed || typed.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, typed);
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult ConstantOp::verify() {
  if (!isa<ElementsAttr, WeightAttr>(getValue()))
    return emitOpError("value must be a dense elements attribute or a #graph.weight, got ")
           << getValue();
  if (getValue().getType() != getResult().getType())
    return emitOpError("value has type ")
           << getValue().getType() << ", result has " << getResult().getType();
  return success();
}

LogicalResult ConstantOp::inferShapes(SymbolicShapes &shapes) {
  auto type = dyn_cast<RankedTensorType>(getValue().getType());
  if (!type)
    return success();
  getResult().setType(type);
  shapes.getDims(getResult());
  return success();
}
