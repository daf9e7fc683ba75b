// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// CHECK-DAG:   #[[ROW:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func @main
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]} {{.*}} outs(%{{.*}} : tensor<?xf32>)
// CHECK:           arith.addf %{{.*}}, %{{.*}} fastmath<reassoc,contract>
// CHECK:         linalg.generic {{.*}} ins(%[[SUM]]
// CHECK:           arith.mulf %{{.*}}, %cst{{.*}} fastmath<contract>
// CHECK:         tensor.expand_shape {{.*}} into tensor<?x1xf32>
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x1xf32> {
  %0 = graph.reduce mean %x {axes = array<i64: 1>, keep_dims = true} : (tensor<?x8xf32>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// The maximum of nothing is the lowest value; NaN propagates.
// CHECK-LABEL: func @main
// CHECK:         %[[LOWEST:.*]] = arith.constant 0xFF800000 : f32
// CHECK:         linalg.fill ins(%[[LOWEST]]
// CHECK:           arith.maximumf
func.func @main(%x: tensor<4x8xf32>) -> tensor<f32> {
  %0 = graph.reduce max %x {keep_dims = false} : (tensor<4x8xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         linalg.fill ins(%c0_i8
// CHECK:           arith.maxui
func.func @main(%x: tensor<4x8xui8>) -> tensor<4xui8> {
  %0 = graph.reduce max %x {axes = array<i64: 1>, keep_dims = false} : (tensor<4x8xui8>) -> tensor<4xui8>
  return %0 : tensor<4xui8>
}

// -----

// The exponents are shifted by the maximum, unless that is infinite.
// CHECK-LABEL: func @main
// CHECK:           arith.maximumf
// CHECK:           math.absf
// CHECK:           arith.select
// CHECK:           math.exp
// CHECK:           arith.addf
// CHECK:           math.log
// CHECK:           arith.addf
func.func @main(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %0 = graph.reduce log_sum_exp %x {axes = array<i64: 1>, keep_dims = false} : (tensor<4x8xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// The best value, in which a NaN wins, then the least index that has it.
// CHECK-LABEL: func @main
// CHECK-DAG:     %[[COUNT:.*]] = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7]> : tensor<8xi32>
// CHECK:         %[[BEST:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK:           arith.maximumf
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[BEST]], %[[COUNT]] : tensor<4x8xf32>, tensor<4xf32>, tensor<8xi32>)
// CHECK-DAG:       %[[SAME:.*]] = arith.cmpf oeq
// CHECK-DAG:       %[[NAN:.*]] = arith.cmpf uno
// CHECK:           arith.ori %[[SAME]], %[[NAN]]
// CHECK:           arith.minsi
// CHECK-NOT:     linalg.index
// CHECK:         arith.extsi %{{.*}} : i32 to i64
func.func @main(%x: tensor<4x8xf32>) -> tensor<4xi64> {
  %0 = graph.arg_reduce %x {smallest = false, axis = 1 : i64, keep_dims = false, select_last = false} : (tensor<4x8xf32>) -> tensor<4xi64>
  return %0 : tensor<4xi64>
}

// -----

// A short running sum adds up every prefix.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
// CHECK:           arith.cmpi sle
// CHECK-NOT:     scf.for
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.cumulative sum %x {axis = 1 : i64, exclusive = false, reverse = false} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// A long one carries the sum along.
// CHECK-LABEL: func @main
// CHECK:         scf.for {{.*}} iter_args(%[[SUM:.*]] = %{{.*}}, %[[OUT:.*]] = %{{.*}}) -> (tensor<4x1xf32>, tensor<4x?xf32>)
// CHECK:           tensor.extract_slice
// CHECK:           linalg.generic
// CHECK:           tensor.insert_slice
func.func @main(%x: tensor<4x?xf32>) -> tensor<4x?xf32> {
  %0 = graph.cumulative sum %x {axis = 1 : i64, exclusive = false, reverse = false} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  return %0 : tensor<4x?xf32>
}
