// RUN: %lathe-opt %s --graph-channels-last --split-input-file | FileCheck %s

// One transpose in front, a reshape behind; the operations between follow, their constants as well.
// CHECK-LABEL: func @chain
// CHECK-DAG: %[[SCALE:.*]] = graph.constant dense<{{\[\[\[\[}}1.000000e+00, 2.000000e+00]]]]> : tensor<1x1x1x2xf32>
// CHECK-DAG: %[[W:.*]] = graph.constant {{.*}} : tensor<1x1x3x2xf32>
// CHECK: %[[X:.*]] = graph.transpose %arg0 {perm = array<i64: 0, 2, 3, 1>}
// CHECK: %[[C:.*]] = graph.conv %[[X]], %[[W]] {{.*}}channels_last = true
// CHECK: %[[R:.*]] = graph.unary relu %[[C]]
// CHECK: %[[S:.*]] = graph.binary mul %[[R]], %[[SCALE]]
// CHECK: %[[P:.*]] = graph.pool max %[[S]] {{.*}}channels_last = true
// CHECK: %[[J:.*]] = graph.concat %[[P]], %[[P]] {axis = 3 : i64}
// CHECK: %[[M:.*]] = graph.reduce mean %[[J]] {axes = array<i64: 1, 2>, keep_dims = true}
// CHECK: graph.reshape %[[M]]
func.func @chain(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x1x1xf32> {
  %w = graph.constant dense<[[[[1.0]], [[2.0]], [[3.0]]], [[[4.0]], [[5.0]], [[6.0]]]]> : tensor<2x3x1x1xf32>
  %s = graph.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x8x8xf32>, tensor<2x3x1x1xf32>) -> tensor<1x2x8x8xf32>
  %1 = graph.unary relu %0 : (tensor<1x2x8x8xf32>) -> tensor<1x2x8x8xf32>
  %2 = graph.binary mul %1, %s : (tensor<1x2x8x8xf32>, tensor<2x1x1xf32>) -> tensor<1x2x8x8xf32>
  %3 = graph.pool max %2 {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, auto_pad = #graph<auto_pad none>} : (tensor<1x2x8x8xf32>) -> tensor<1x2x4x4xf32>
  %4 = graph.concat %3, %3 {axis = 1 : i64} : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x4x4x4xf32>
  %5 = graph.reduce mean %4 {axes = array<i64: 2, 3>, keep_dims = true} : (tensor<1x4x4x4xf32>) -> tensor<1x4x1x1xf32>
  return %5 : tensor<1x4x1x1xf32>
}

// -----

// A model that is channels last around its convolution needs no transpose at all; reshapes that
// regroup space only do not stand in the way.
// CHECK-LABEL: func @no_transposes
// CHECK-NOT: graph.transpose
func.func @no_transposes(%x: tensor<1x8x8x3xf32>) -> tensor<1x64x2xf32> {
  %w = graph.constant dense<[[[[1.0]], [[2.0]], [[3.0]]], [[[4.0]], [[5.0]], [[6.0]]]]> : tensor<2x3x1x1xf32>
  %shape = graph.constant dense<[1, 2, 64]> : tensor<3xi64>
  %0 = graph.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x8x8x3xf32>) -> tensor<1x3x8x8xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x8x8xf32>, tensor<2x3x1x1xf32>) -> tensor<1x2x8x8xf32>
  %2 = graph.reshape %1, %shape : (tensor<1x2x8x8xf32>, tensor<3xi64>) -> tensor<1x2x64xf32>
  %3 = graph.transpose %2 {perm = array<i64: 0, 2, 1>} : (tensor<1x2x64xf32>) -> tensor<1x64x2xf32>
  return %3 : tensor<1x64x2xf32>
}

// -----

// Stride 2 and a kernel of 2: one matrix product per pixel whose channels move into space. Filter
// [phase row, phase column, m] of channel c is w[c, m, row, column].
// CHECK-LABEL: func @conv_transpose
// CHECK-DAG: %[[W:.*]] = graph.constant dense<{{\[\[\[\[}}1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]]]]> : tensor<1x1x1x4xf32>
// CHECK-DAG: %[[B:.*]] = graph.constant dense<5.000000e+00> : tensor<4xf32>
// CHECK: graph.conv %{{.*}}, %[[W]], %[[B]] {{.*}} -> tensor<1x3x3x4xf32>
// CHECK: graph.transpose {{.*}} {perm = array<i64: 0, 1, 3, 2, 4{{(, 5)?}}>}
// CHECK-NOT: graph.slice
func.func @conv_transpose(%x: tensor<1x1x3x3xf32>) -> tensor<1x1x6x6xf32> {
  %w = graph.constant dense<[[[[1.0, 2.0], [3.0, 4.0]]]]> : tensor<1x1x2x2xf32>
  %b = graph.constant dense<[5.0]> : tensor<1xf32>
  %0 = graph.conv_transpose %x, %w, %b {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>, output_padding = array<i64: 0, 0>} : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, tensor<1xf32>) -> tensor<1x1x6x6xf32>
  return %0 : tensor<1x1x6x6xf32>
}

// -----

// Without a convolution nothing is moved.
// CHECK-LABEL: func @no_convolution
// CHECK-NOT: channels_last
func.func @no_convolution(%x: tensor<1x3x8x8xf32>) -> tensor<1x3x4x4xf32> {
  %0 = graph.pool max %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, auto_pad = #graph<auto_pad none>} : (tensor<1x3x8x8xf32>) -> tensor<1x3x4x4xf32>
  return %0 : tensor<1x3x4x4xf32>
}

// -----

// A kernel of one pixel between a model's edges is a product of what lies in memory: no transpose.
// CHECK-LABEL: func @pointwise
// CHECK-DAG: %[[W:.*]] = graph.constant {{.*}} : tensor<2x3xf32>
// CHECK-DAG: %[[B:.*]] = graph.constant {{.*}} : tensor<2x1xf32>
// CHECK: %[[X:.*]] = graph.reshape %arg0, {{.*}} -> tensor<?x3x1024xf32>
// CHECK: %[[P:.*]] = graph.matmul %[[W]], %[[X]] : {{.*}} -> tensor<?x2x1024xf32>
// CHECK: %[[S:.*]] = graph.binary add %[[P]], %[[B]]
// CHECK: graph.reshape %[[S]], {{.*}} -> tensor<?x2x32x32xf32>
// CHECK-NOT: graph.conv
// CHECK-NOT: graph.transpose
func.func @pointwise(%x: tensor<?x3x32x32xf32>) -> tensor<?x2x32x32xf32> {
  %w = graph.constant dense<[[[[1.0]], [[2.0]], [[3.0]]], [[[4.0]], [[5.0]], [[6.0]]]]> : tensor<2x3x1x1xf32>
  %b = graph.constant dense<[7.0, 8.0]> : tensor<2xf32>
  %0 = graph.conv %x, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<?x3x32x32xf32>, tensor<2x3x1x1xf32>, tensor<2xf32>) -> tensor<?x2x32x32xf32>
  return %0 : tensor<?x2x32x32xf32>
}

// -----

// Rows of pixels need no reshape, so their number may be unknown; a stride, an image of unknown size
// and integers stay convolutions.
// CHECK-LABEL: func @rows
// CHECK: graph.matmul %{{.*}}, %arg0 : (tensor<2x3xf32>, tensor<?x3x?xf32>) -> tensor<?x2x?xf32>
// CHECK: graph.conv {{.*}}strides = array<i64: 2>
// CHECK: graph.conv {{.*}}tensor<?x?x?x3xf32>
// CHECK: graph.conv {{.*}}xi32>
// CHECK-NOT: graph.matmul
func.func @rows(%x: tensor<?x3x?xf32>, %y: tensor<?x3x?x?xf32>, %z: tensor<1x3x900xi32>) -> (tensor<?x2x?xf32>, tensor<?x2x?xf32>, tensor<?x2x?x?xf32>, tensor<1x2x900xi32>) {
  %w = graph.constant dense<[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]> : tensor<2x3x1xf32>
  %v = graph.constant dense<[[[[1.0]], [[2.0]], [[3.0]]], [[[4.0]], [[5.0]], [[6.0]]]]> : tensor<2x3x1x1xf32>
  %i = graph.constant dense<[[[1], [2], [3]], [[4], [5], [6]]]> : tensor<2x3x1xi32>
  %0 = graph.conv %x, %w {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<?x3x?xf32>, tensor<2x3x1xf32>) -> tensor<?x2x?xf32>
  %1 = graph.conv %x, %w {strides = array<i64: 2>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<?x3x?xf32>, tensor<2x3x1xf32>) -> tensor<?x2x?xf32>
  %2 = graph.conv %y, %v {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<?x3x?x?xf32>, tensor<2x3x1x1xf32>) -> tensor<?x2x?x?xf32>
  %3 = graph.conv %z, %i {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x900xi32>, tensor<2x3x1xi32>) -> tensor<1x2x900xi32>
  return %0, %1, %2, %3 : tensor<?x2x?xf32>, tensor<?x2x?xf32>, tensor<?x2x?x?xf32>, tensor<1x2x900xi32>
}
