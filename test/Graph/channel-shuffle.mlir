// RUN: %lathe-opt %s --graph-channels-last | FileCheck %s

// A shuffle between convolutions stays with channels last: its own transpose is the only one but
// those at the ends.
// CHECK-LABEL: func @shuffle
// CHECK: %[[X:.*]] = graph.transpose %arg0 {perm = array<i64: 0, 2, 3, 1>}
// CHECK: %[[A:.*]] = graph.conv %[[X]]
// CHECK: %[[S:.*]] = graph.reshape %[[A]], {{.*}} -> tensor<1x4x4x2x3xf32>
// CHECK: %[[T:.*]] = graph.transpose %[[S]] {perm = array<i64: 0, 1, 2, 4, 3>}
// CHECK: %[[M:.*]] = graph.reshape %[[T]], {{.*}} -> tensor<1x4x4x6xf32>
// CHECK: %[[B:.*]] = graph.conv %[[M]]
// CHECK: graph.transpose %[[B]] {perm = array<i64: 0, 3, 1, 2>}
func.func @shuffle(%x: tensor<1x6x4x4xf32>) -> tensor<1x6x4x4xf32> {
  %w = graph.constant dense<2.0> : tensor<6x6x1x1xf32>
  %split = graph.constant dense<[1, 2, 3, 4, 4]> : tensor<5xi64>
  %merge = graph.constant dense<[1, 6, 4, 4]> : tensor<4xi64>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x6x4x4xf32>, tensor<6x6x1x1xf32>) -> tensor<1x6x4x4xf32>
  %1 = graph.reshape %0, %split : (tensor<1x6x4x4xf32>, tensor<5xi64>) -> tensor<1x2x3x4x4xf32>
  %2 = graph.transpose %1 {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<1x2x3x4x4xf32>) -> tensor<1x3x2x4x4xf32>
  %3 = graph.reshape %2, %merge : (tensor<1x3x2x4x4xf32>, tensor<4xi64>) -> tensor<1x6x4x4xf32>
  %4 = graph.conv %3, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x6x4x4xf32>, tensor<6x6x1x1xf32>) -> tensor<1x6x4x4xf32>
  return %4 : tensor<1x6x4x4xf32>
}
