// The interface through which every operation of the dialect tells its result shapes.
#ifndef LATHE_GRAPH_SHAPE_INFERENCE
#define LATHE_GRAPH_SHAPE_INFERENCE

include "mlir/IR/OpBase.td"

def Graph_ShapeInferenceInterface : OpInterface<"ShapeInferenceInterface"> {
  let cppNamespace = "::lathe::graph";
  let description = [{
    Upstream's shape interfaces know static sizes and `?` only. This one computes sizes as
    expressions of the symbols of a function, and the elements of small integer tensors with the
    same expressions, so that shape arithmetic in the model becomes sizes.
  }];
  let methods = [
    InterfaceMethod<[{
        Records in `shapes` the sizes (and, where the operation can be part of shape arithmetic, the
        elements) of every result, which refines the result types, and normalises negative axes.
        The operation has passed its verifier. Emits an error when operands contradict each other.
      }],
      "::llvm::LogicalResult", "inferShapes", (ins "::lathe::graph::SymbolicShapes &":$shapes)>
  ];
}

#endif
