// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// CHECK-DAG:   #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG:   #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG:   #[[OUT:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func @main
// CHECK:         %[[ZERO:.*]] = linalg.fill ins(%cst : f32)
// CHECK:         linalg.generic {indexing_maps = [#[[LHS]], #[[RHS]], #[[OUT]]], iterator_types = ["parallel", "parallel", "reduction"]}
// CHECK-SAME:      outs(%[[ZERO]]
// CHECK:           %[[P:.*]] = arith.mulf %{{.*}}, %{{.*}} fastmath<reassoc,contract>
// CHECK:           arith.addf %{{.*}}, %[[P]] fastmath<reassoc,contract>
func.func @main(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>) -> tensor<?x8xf32> {
  %0 = graph.matmul %x, %w : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Batch dimensions broadcast by maps.
// CHECK-DAG:   #[[LHS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, 0, d2, d4)>
// CHECK-DAG:   #[[RHS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d4, d3)>
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {indexing_maps = [#[[LHS]], #[[RHS]]
// CHECK-SAME:      outs(%{{.*}} : tensor<2x5x3x6xf32>)
func.func @main(%x: tensor<2x1x3x4xf32>, %y: tensor<5x4x6xf32>) -> tensor<2x5x3x6xf32> {
  %0 = graph.matmul %x, %y : (tensor<2x1x3x4xf32>, tensor<5x4x6xf32>) -> tensor<2x5x3x6xf32>
  return %0 : tensor<2x5x3x6xf32>
}

// -----

// A vector is a matrix with one row, which the result loses. Half precision sums in f32.
// CHECK-LABEL: func @main
// CHECK:         tensor.expand_shape %{{.*}} : tensor<4xf16> into tensor<1x4xf16>
// Widened once, before the product.
// CHECK:         linalg.generic {{.*}} ins(%{{.*}} : tensor<1x4xf16>) outs(%{{.*}} : tensor<1x4xf32>)
// CHECK:         linalg.generic {{.*}} ins(%{{.*}} : tensor<4x6xf16>) outs(%{{.*}} : tensor<4x6xf32>)
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<1x6xf32>)
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<1x6xf16>)
// CHECK:           arith.truncf
// CHECK:         tensor.collapse_shape %{{.*}} : tensor<1x6xf16> into tensor<6xf16>
func.func @main(%x: tensor<4xf16>, %y: tensor<4x6xf16>) -> tensor<6xf16> {
  %0 = graph.matmul %x, %y : (tensor<4xf16>, tensor<4x6xf16>) -> tensor<6xf16>
  return %0 : tensor<6xf16>
}

// -----

// Inner sizes that only the run knows are compared there.
// CHECK-LABEL: func @main
// CHECK:         %[[EQ:.*]] = arith.cmpi eq, %[[A:.*]], %[[B:.*]] : index
// CHECK:         rt.check %[[EQ]], 1, "the inner dimensions of a matrix product are %0 and %1", %[[A]], %[[B]]
func.func @main(%x: tensor<2x?xf32>, %y: tensor<?x3xf32>) -> tensor<2x3xf32> {
  %0 = graph.matmul %x, %y : (tensor<2x?xf32>, tensor<?x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// The loops follow the result, which needs no transposition.
// CHECK-DAG:   #[[Q:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d4)>
// CHECK-DAG:   #[[K:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d1, d4)>
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {indexing_maps = [#[[Q]], #[[K]], #{{.*}}], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
// CHECK-NOT:     linalg.generic
func.func @main(%q: tensor<2x5x3x8xf32>, %k: tensor<2x6x3x8xf32>) -> tensor<2x3x5x6xf32> {
  %0 = graph.einsum %q, %k {equation = "bqhd,bkhd->bhqk"} : (tensor<2x5x3x8xf32>, tensor<2x6x3x8xf32>) -> tensor<2x3x5x6xf32>
  return %0 : tensor<2x3x5x6xf32>
}

// -----

// A repeated letter reads the diagonal, one that nobody needs is summed.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic
// CHECK:           tensor.extract %{{.*}}[%[[I:.*]], %[[I]]]
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction"]
func.func @main(%x: tensor<4x4xf32>) -> tensor<f32> {
  %0 = graph.einsum %x {equation = "ii->"} : (tensor<4x4xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}
