// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Small constants are dense, large ones weights, large ones of a single value filled; what nobody
// reads is not made.
// CHECK-LABEL: func @main
// CHECK-DAG:     %[[SMALL:.*]] = arith.constant dense<[1, 0]> : tensor<2xi8>
// CHECK-DAG:     %[[LARGE:.*]] = rt.weight #graph.weight<"w", 0, 4096, 7> : tensor<1024xf32> : tensor<1024xf32>
// CHECK-DAG:     %[[FILLED:.*]] = linalg.fill
// CHECK-NOT:     dense<3.0
// CHECK:         return %[[SMALL]], %[[LARGE]], %[[FILLED]]
func.func @main() -> (tensor<2xi1>, tensor<1024xf32>, tensor<1000xf32>) {
  %0 = graph.constant dense<[true, false]> : tensor<2xi1>
  %1 = graph.constant #graph.weight<"w", 0, 4096, 7> : tensor<1024xf32>
  %2 = graph.constant dense<2.0> : tensor<1000xf32>
  %3 = graph.constant dense<3.0> : tensor<4xf32>
  return %0, %1, %2 : tensor<2xi1>, tensor<1024xf32>, tensor<1000xf32>
}

// -----

// Small integer tensors that follow from sizes are made of those.
// CHECK-LABEL: func @main
// CHECK:         %[[N:.*]] = tensor.dim
// CHECK:         %[[I:.*]] = arith.index_cast %[[N]] : index to i64
// CHECK:         %[[S:.*]] = tensor.from_elements %[[I]], %{{.*}} : tensor<2xi64>
// CHECK:         return %[[S]]
func.func @main(%x: tensor<?x4xf32>) -> tensor<2xi64> {
  %0 = graph.shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  return %0 : tensor<2xi64>
}
