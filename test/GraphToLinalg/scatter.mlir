// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// The rank of an element is the number of those before it; NaN counts as the largest.
// CHECK-LABEL: func @main
// CHECK:         %[[RANKS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8xi64>)
// CHECK:           arith.cmpf uno
// CHECK:           arith.cmpf ogt
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[RANKS]] : {{.*}}) outs(%{{.*}}, %{{.*}} : tensor<3xf32>, tensor<3xi64>)
func.func @main(%x: tensor<8xf32>) -> (tensor<3xf32>, tensor<3xi64>) {
  %k = graph.constant dense<3> : tensor<1xi64>
  %0:2 = graph.top_k %x, %k {axis = 0 : i64, largest = true, sorted = true} : (tensor<8xf32>, tensor<1xi64>) -> (tensor<3xf32>, tensor<3xi64>)
  return %0#0, %0#1 : tensor<3xf32>, tensor<3xi64>
}

// -----

// Indices are checked once and sorted; then each row finds its updates, and adds them in their order.
// CHECK-LABEL: func @main
// CHECK:         %[[TARGETS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<2xi64>)
// CHECK:           rt.check %{{.*}}, 2
// CHECK:         %[[ORDER:.*]] = scf.for {{.*}} -> (tensor<2xi64>)
// CHECK:         %[[FIRST:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<5xi64>)
// CHECK:           scf.for
// CHECK:             tensor.extract %[[ORDER]]
// CHECK:             tensor.extract %[[TARGETS]]
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<4x3xf32>)
// CHECK:           tensor.extract %[[FIRST]]
// CHECK:           tensor.extract %[[FIRST]]
// CHECK:           scf.for
// CHECK:             arith.addf
func.func @main(%x: tensor<4x3xf32>, %i: tensor<2x1xi64>, %u: tensor<2x3xf32>) -> tensor<4x3xf32> {
  %0 = graph.scatter_nd %x, %i, %u {reduction = #graph<scatter_reduction add>} : (tensor<4x3xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// Constant indices that are a box, as exporters write an assignment to a slice: nothing is searched.
// CHECK-LABEL: func @main
// CHECK-NOT:     linalg.generic
// CHECK:         tensor.insert_slice %{{.*}} into %{{.*}}[1, 2, 0] [2, 1, 5] [1, 1, 1]
func.func @main(%x: tensor<4x3x5xf32>, %u: tensor<2x1x5xf32>) -> tensor<4x3x5xf32> {
  %i = graph.constant dense<[[[1, 2]], [[2, 2]]]> : tensor<2x1x2xi64>
  %0 = graph.scatter_nd %x, %i, %u {reduction = #graph<scatter_reduction none>} : (tensor<4x3x5xf32>, tensor<2x1x2xi64>, tensor<2x1x5xf32>) -> tensor<4x3x5xf32>
  return %0 : tensor<4x3x5xf32>
}

// -----

// Tuples whose length only the run knows: the data is a matrix of as many rows as they can address.
// CHECK-LABEL: func @main
// CHECK:         rt.check %{{.*}}, {{.*}} "indices address %0 dimensions, the data has rank %1"
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?xf32>)
func.func @main(%x: tensor<4x3xf32>, %i: tensor<2x?xi64>, %u: tensor<2x3xf32>) -> tensor<4x3xf32> {
  %0 = graph.scatter_nd %x, %i, %u {reduction = #graph<scatter_reduction max>} : (tensor<4x3xf32>, tensor<2x?xi64>, tensor<2x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
