// RUN: %lathe-opt %s --graph-scale-products --split-input-file | FileCheck %s

// One scale for all, one for each column; zero points of 0 say nothing.
// CHECK-LABEL: func @columns
// CHECK-DAG: %[[S:.*]] = graph.constant dense<5.000000e-01> : tensor<f32>
// CHECK-DAG: %[[T:.*]] = graph.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK-DAG: %[[A:.*]] = graph.cast %arg0 : (tensor<3x4xf8E4M3FN>) -> tensor<3x4xf32>
// CHECK-DAG: %[[B:.*]] = graph.cast %arg1 : (tensor<4x2xf8E5M2>) -> tensor<4x2xf32>
// CHECK: %[[P:.*]] = graph.matmul %[[A]], %[[B]]
// CHECK: %[[Q:.*]] = graph.binary mul %[[P]], %[[S]]
// CHECK: %[[R:.*]] = graph.binary mul %[[Q]], %[[T]]
// CHECK: return %[[R]]
func.func @columns(%a: tensor<3x4xf8E4M3FN>, %b: tensor<4x2xf8E5M2>) -> tensor<3x2xf32> {
  %s = graph.constant dense<0.5> : tensor<f32>
  %z = graph.constant dense<0.0> : tensor<f8E4M3FN>
  %t = graph.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %0 = graph.dequantize %a, %s, %z {axis = 1 : i64} : (tensor<3x4xf8E4M3FN>, tensor<f32>, tensor<f8E4M3FN>) -> tensor<3x4xf32>
  %1 = graph.dequantize %b, %t {axis = 1 : i64} : (tensor<4x2xf8E5M2>, tensor<2xf32>) -> tensor<4x2xf32>
  %2 = graph.matmul %0, %1 : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  return %2 : tensor<3x2xf32>
}

// -----

// One for each row, of f16: the product is of f32, and rounded once.
// CHECK-LABEL: func @rows
// CHECK: graph.matmul %{{.*}}, %{{.*}} : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
// CHECK: graph.binary mul %{{.*}} : (tensor<3x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
// CHECK: graph.cast %{{.*}} : (tensor<3x2xf32>) -> tensor<3x2xf16>
func.func @rows(%a: tensor<3x4xf8E4M3FN>, %b: tensor<4x2xf8E4M3FN>, %s: tensor<3xf16>) -> tensor<3x2xf16> {
  %0 = graph.dequantize %a, %s {axis = 0 : i64} : (tensor<3x4xf8E4M3FN>, tensor<3xf16>) -> tensor<3x4xf16>
  %1 = graph.cast %b : (tensor<4x2xf8E4M3FN>) -> tensor<4x2xf16>
  %2 = graph.matmul %0, %1 : (tensor<3x4xf16>, tensor<4x2xf16>) -> tensor<3x2xf16>
  return %2 : tensor<3x2xf16>
}

// -----

// Scales along what is added up, a zero point that is not 0, blocks, another type: as they are.
// CHECK-LABEL: func @refused
// CHECK-COUNT-8: graph.dequantize
// CHECK-NOT: graph.binary
func.func @refused(%a: tensor<3x4xf8E4M3FN>, %b: tensor<4x2xf8E4M3FN>, %c: tensor<4x2xf8E4M3FNUZ>,
                   %s: tensor<f32>, %k: tensor<4xf32>, %d: tensor<2x2xf32>)
    -> (tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>) {
  %z = graph.constant dense<1.0> : tensor<f8E4M3FN>
  %0 = graph.dequantize %a, %s {axis = 1 : i64} : (tensor<3x4xf8E4M3FN>, tensor<f32>) -> tensor<3x4xf32>
  %1 = graph.dequantize %b, %k {axis = 0 : i64} : (tensor<4x2xf8E4M3FN>, tensor<4xf32>) -> tensor<4x2xf32>
  %2 = graph.matmul %0, %1 : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %3 = graph.dequantize %a, %s, %z {axis = 1 : i64} : (tensor<3x4xf8E4M3FN>, tensor<f32>, tensor<f8E4M3FN>) -> tensor<3x4xf32>
  %4 = graph.dequantize %b, %s {axis = 1 : i64} : (tensor<4x2xf8E4M3FN>, tensor<f32>) -> tensor<4x2xf32>
  %5 = graph.matmul %3, %4 : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %6 = graph.dequantize %a, %s {axis = 0 : i64} : (tensor<3x4xf8E4M3FN>, tensor<f32>) -> tensor<3x4xf32>
  %7 = graph.dequantize %b, %d {axis = 0 : i64, block_size = 2 : i64} : (tensor<4x2xf8E4M3FN>, tensor<2x2xf32>) -> tensor<4x2xf32>
  %8 = graph.matmul %6, %7 : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %9 = graph.dequantize %a, %s {axis = 0 : i64} : (tensor<3x4xf8E4M3FN>, tensor<f32>) -> tensor<3x4xf32>
  %10 = graph.dequantize %c, %s {axis = 0 : i64} : (tensor<4x2xf8E4M3FNUZ>, tensor<f32>) -> tensor<4x2xf32>
  %11 = graph.matmul %9, %10 : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  return %2, %5, %8, %11 : tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>
}

// -----

// CHECK-LABEL: func @filters
// CHECK: %[[C:.*]] = graph.conv %{{[^,]*}}, %{{[^,]*}} {
// CHECK: graph.binary mul %[[C]], %{{.*}} : (tensor<1x2x3x3xf32>, tensor<2x1x1xf32>)
// CHECK: graph.binary add %{{.*}} : (tensor<1x2x3x3xf32>, tensor<2x1x1xf32>)
func.func @filters(%x: tensor<1x4x3x3xf8E4M3FN>, %w: tensor<2x4x1x1xf8E4M3FN>, %s: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<1x2x3x3xf32> {
  %0 = graph.cast %x : (tensor<1x4x3x3xf8E4M3FN>) -> tensor<1x4x3x3xf32>
  %1 = graph.dequantize %w, %s {axis = 0 : i64} : (tensor<2x4x1x1xf8E4M3FN>, tensor<2xf32>) -> tensor<2x4x1x1xf32>
  %2 = graph.conv %0, %1, %b {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x4x3x3xf32>, tensor<2x4x1x1xf32>, tensor<2xf32>) -> tensor<1x2x3x3xf32>
  return %2 : tensor<1x2x3x3xf32>
}
