// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// CHECK-DAG:   #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 * 2 + d4, d3 * 2 + d5)>
// CHECK-LABEL: func @main
// CHECK:         tensor.pad %{{.*}} low[0, 0, 1, 1] high[0, 0, 1, 1]
// CHECK:           tensor.yield %[[LOWEST:.*]] : f32
// CHECK:         %[[WINDOW:.*]] = tensor.empty() : tensor<3x3xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[IN]]
// CHECK-SAME:      ins(%{{.*}}, %[[WINDOW]]
// CHECK:           arith.maximumf
func.func @main(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32> {
  %0 = graph.pool max %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, auto_pad = #graph<auto_pad none>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
  return %0 : tensor<1x4x4x4xf32>
}

// -----

// Counts of static sizes are constants.
// CHECK-LABEL: func @main
// CHECK:         %[[COUNTS:.*]] = arith.constant dense<[5.000000e-01, 0.333333343, 5.000000e-01]> : tensor<3xf32>
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[COUNTS]]
// CHECK:           arith.mulf
func.func @main(%x: tensor<1x2x3xf32>) -> tensor<1x2x3xf32> {
  %0 = graph.pool average %x {kernel = array<i64: 3>, strides = array<i64: 1>, pads = array<i64: 1, 1>, dilations = array<i64: 1>, auto_pad = #graph<auto_pad none>} : (tensor<1x2x3xf32>) -> tensor<1x2x3xf32>
  return %0 : tensor<1x2x3xf32>
}

// -----

// Positions are those in the input without its padding; the first element of a window has no rival.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} outs(%{{.*}}, %{{.*}} : tensor<1x2x2xf32>, tensor<1x2x2xi64>)
// CHECK:           %[[GREATER:.*]] = arith.cmpf ogt
// CHECK:           %[[INSIDE:.*]] = arith.cmpi ult
// CHECK:           %[[FIRST:.*]] = arith.cmpi slt
// CHECK:           %[[EITHER:.*]] = arith.ori %[[GREATER]], %[[FIRST]]
// CHECK:           %[[BETTER:.*]] = arith.andi %[[EITHER]], %[[INSIDE]]
// CHECK:           arith.select %[[BETTER]], %{{.*}} : f32
// CHECK:           arith.select %[[BETTER]], %{{.*}} : i64
func.func @main(%x: tensor<1x2x4xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xi64>) {
  %0:2 = graph.pool max %x {kernel = array<i64: 2>, strides = array<i64: 2>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, auto_pad = #graph<auto_pad none>} : (tensor<1x2x4xf32>) -> (tensor<1x2x2xf32>, tensor<1x2x2xi64>)
  return %0#0, %0#1 : tensor<1x2x2xf32>, tensor<1x2x2xi64>
}
