// RUN: %lathe-opt %s --graph-fold-batch-norm --split-input-file | FileCheck %s

// scale / sqrt(variance + epsilon) is [2, 0.5]: weights and bias are scaled by it.
// CHECK-LABEL: func @conv
// CHECK-DAG: %[[W:.*]] = graph.constant dense<{{\[\[\[\[}}6.000000e+00]]], {{\[\[\[}}2.000000e+00]]]]>
// CHECK-DAG: %[[B:.*]] = graph.constant dense<[1.000000e+00, 5.000000e-01]>
// CHECK: %[[C:.*]] = graph.conv %arg0, %[[W]], %[[B]]
// CHECK-NEXT: return %[[C]]
func.func @conv(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %w = graph.constant dense<[[[[3.0]]], [[[4.0]]]]> : tensor<2x1x1x1xf32>
  %b = graph.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %scale = graph.constant dense<[2.0, 1.0]> : tensor<2xf32>
  %shift = graph.constant dense<[3.0, 0.0]> : tensor<2xf32>
  %mean = graph.constant dense<[2.0, 1.0]> : tensor<2xf32>
  %variance = graph.constant dense<[1.0, 4.0]> : tensor<2xf32>
  %0 = graph.conv %x, %w, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %1 = graph.batch_norm %0, %scale, %shift, %mean, %variance {epsilon = 0.0 : f32} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %1 : tensor<1x2x4x4xf32>
}

// -----

// A convolution with another use keeps its weights.
// CHECK-LABEL: func @two_uses
// CHECK: graph.conv
// CHECK: graph.binary mul
func.func @two_uses(%x: tensor<1x1x4x4xf32>) -> (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) {
  %w = graph.constant dense<[[[[3.0]]], [[[4.0]]]]> : tensor<2x1x1x1xf32>
  %s = graph.constant dense<[[[2.0]], [[3.0]]]> : tensor<2x1x1xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x4x4xf32>
  %1 = graph.binary mul %0, %s : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>
  return %0, %1 : tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>
}

// -----

// A factor that varies in space is no scale of channels.
// CHECK-LABEL: func @spatial
// CHECK: graph.binary mul
func.func @spatial(%x: tensor<1x1x1x2xf32>) -> tensor<1x2x1x2xf32> {
  %w = graph.constant dense<[[[[3.0]]], [[[4.0]]]]> : tensor<2x1x1x1xf32>
  %s = graph.constant dense<[2.0, 3.0]> : tensor<2xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x1x1x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x1x2xf32>
  %1 = graph.binary mul %0, %s : (tensor<1x2x1x2xf32>, tensor<2xf32>) -> tensor<1x2x1x2xf32>
  return %1 : tensor<1x2x1x2xf32>
}

// -----

// CHECK-LABEL: func @matmul
// CHECK-DAG: %[[W:.*]] = graph.constant dense<{{\[\[}}2.000000e+00, 6.000000e+00]]>
// CHECK-DAG: %[[B:.*]] = graph.constant dense<[1.000000e+01, 3.000000e+01]>
// CHECK: %[[M:.*]] = graph.matmul %arg0, %[[W]]
// CHECK: graph.binary add %[[M]], %[[B]]
func.func @matmul(%x: tensor<4x1xf32>) -> tensor<4x2xf32> {
  %w = graph.constant dense<[[1.0, 2.0]]> : tensor<1x2xf32>
  %b = graph.constant dense<[5.0, 10.0]> : tensor<2xf32>
  %s = graph.constant dense<[2.0, 3.0]> : tensor<2xf32>
  %0 = graph.matmul %x, %w : (tensor<4x1xf32>, tensor<1x2xf32>) -> tensor<4x2xf32>
  %1 = graph.binary add %0, %b : (tensor<4x2xf32>, tensor<2xf32>) -> tensor<4x2xf32>
  %2 = graph.binary mul %1, %s : (tensor<4x2xf32>, tensor<2xf32>) -> tensor<4x2xf32>
  return %2 : tensor<4x2xf32>
}
