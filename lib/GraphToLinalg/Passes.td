// The pass of this stage.
#ifndef LATHE_GRAPHTOLINALG_PASSES
#define LATHE_GRAPHTOLINALG_PASSES

include "mlir/Pass/PassBase.td"

def GraphToLinalgPass : Pass<"graph-to-linalg", "::mlir::ModuleOp"> {
  let summary = "Lower the graph dialect to linalg on tensors";
  let description = [{
    Pre-condition: shapes are inferred (every tensor is ranked). After it the graph dialect is gone but
    for `#graph.weight` attributes; element types are signless and booleans are bytes.

    Before, after:
    ```mlir
    %y = graph.unary relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>

    %e = tensor.empty(%d) : tensor<?x4xf32>
    %y = linalg.generic {...} ins(%x : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %max = arith.maximumf %in, %zero : f32
      linalg.yield %max : f32
    } -> tensor<?x4xf32>
    ```
    An operator without a lowering is an error at its node; all of them are reported.
  }];
}

#endif
