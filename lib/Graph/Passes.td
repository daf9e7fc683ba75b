// The passes of stage Graph.
#ifndef LATHE_GRAPH_PASSES
#define LATHE_GRAPH_PASSES

include "mlir/Pass/PassBase.td"

def InferShapesPass : Pass<"graph-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Infer shapes, static and symbolic, and fold what they determine";
  let description = [{
    Refines the type of every value, resolves negative axes and automatic pads, and replaces small
    tensors whose elements are known by constants. Dimensions of arguments with equal names in
    `graph.dims` are one symbol.

    ```mlir
    func.func @main(%x: tensor<?x4x6xf32> {graph.dims = ["batch", "", ""]}) -> tensor<*xf32> {
      %s = graph.shape %x : (tensor<?x4x6xf32>) -> tensor<*xi64>
      %r = graph.reshape %x, %minus_one : (tensor<?x4x6xf32>, tensor<1xi64>) -> tensor<*xf32>
    ```
    becomes
    ```mlir
      %s = graph.shape %x : (tensor<?x4x6xf32>) -> tensor<3xi64>
      %r = graph.reshape %x, %minus_one : (tensor<?x4x6xf32>, tensor<1xi64>) -> tensor<?xf32>
    ```
    where the analysis knows the `?` to be `batch * 24`.
  }];
  let options = [Option<"printDims", "print-dims", "bool", "false",
                        "Attach the symbolic sizes of results as `dims` (for tests)">];
}

#endif
