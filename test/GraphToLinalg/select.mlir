// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Flags are counted by blocks; results look for their block, then for their place in it.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<4x5xi8>)
// CHECK:         %[[COUNTS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<1xi64>)
// CHECK:         %[[SUMS:.*]]:2 = scf.for
// CHECK:         %[[COUNT:.*]] = tensor.extract %[[SUMS]]#0
// CHECK:         arith.index_cast %[[COUNT]] : i64 to index
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?xi64>)
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<2x?xi64>)
func.func @main(%x: tensor<4x5xf32>) -> tensor<2x?xi64> {
  %0 = graph.non_zero %x : (tensor<4x5xf32>) -> tensor<2x?xi64>
  return %0 : tensor<2x?xi64>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<7xi64>)
// CHECK:           scf.for
// CHECK:             arith.cmpf olt
// CHECK:         return %{{.*}}, %{{.*}}, %{{.*}} : tensor<?xi64>, tensor<7xi64>, tensor<?xi64>
func.func @main(%x: tensor<7xf32>) -> (tensor<?xi64>, tensor<7xi64>, tensor<?xi64>) {
  %0:3 = graph.unique %x {axis = 0 : i64, sorted = true} : (tensor<7xf32>) -> (tensor<?xi64>, tensor<7xi64>, tensor<?xi64>)
  return %0#0, %0#1, %0#2 : tensor<?xi64>, tensor<7xi64>, tensor<?xi64>
}
