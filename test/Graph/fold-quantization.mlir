// RUN: %lathe-opt %s --graph-fold-quantization --split-input-file | FileCheck %s

// Bytes are joined and moved, not floats.
// CHECK-LABEL: func @moved
// CHECK: %[[A:.*]] = graph.quantize %arg0, %{{.*}} : (tensor<1x2x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x2x3xui8>
// CHECK: %[[B:.*]] = graph.quantize %arg1, %{{.*}} -> tensor<1x4x3xui8>
// CHECK: %[[C:.*]] = graph.concat %[[A]], %[[B]] {{.*}} -> tensor<1x6x3xui8>
// CHECK: %[[T:.*]] = graph.transpose %[[C]] {{.*}} -> tensor<1x3x6xui8>
// CHECK: return %[[T]]
func.func @moved(%x: tensor<1x2x3xf32>, %y: tensor<1x4x3xf32>) -> tensor<1x3x6xui8> {
  %s = graph.constant dense<0.5> : tensor<f32>
  %z = graph.constant dense<3> : tensor<ui8>
  %0 = graph.concat %x, %y {axis = 1 : i64} : (tensor<1x2x3xf32>, tensor<1x4x3xf32>) -> tensor<1x6x3xf32>
  %1 = graph.transpose %0 {perm = array<i64: 0, 2, 1>} : (tensor<1x6x3xf32>) -> tensor<1x3x6xf32>
  %2 = graph.quantize %1, %s, %z {axis = 1 : i64} : (tensor<1x3x6xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x6xui8>
  return %2 : tensor<1x3x6xui8>
}

// -----

// A quantization that undoes what comes before vanishes; with another zero point it does not.
// CHECK-LABEL: func @again
// CHECK: %[[D:.*]] = graph.dequantize %arg0
// CHECK: %[[Q:.*]] = graph.quantize %[[D]]
// CHECK: return %arg0, %[[Q]]
func.func @again(%x: tensor<4xi8>) -> (tensor<4xi8>, tensor<4xi8>) {
  %s = graph.constant dense<0.5> : tensor<f32>
  %z = graph.constant dense<3> : tensor<i8>
  %z4 = graph.constant dense<4> : tensor<i8>
  %0 = graph.dequantize %x, %s, %z {axis = 0 : i64} : (tensor<4xi8>, tensor<f32>, tensor<i8>) -> tensor<4xf32>
  %1 = graph.quantize %0, %s, %z {axis = 0 : i64} : (tensor<4xf32>, tensor<f32>, tensor<i8>) -> tensor<4xi8>
  %2 = graph.quantize %0, %s, %z4 {axis = 0 : i64} : (tensor<4xf32>, tensor<f32>, tensor<i8>) -> tensor<4xi8>
  return %1, %2 : tensor<4xi8>, tensor<4xi8>
}

// -----

// A value that others read as well is moved as it is, and so is one with a scale per channel.
// CHECK-LABEL: func @not_moved
// CHECK: graph.transpose {{.*}} -> tensor<3x2xf32>
// CHECK: graph.transpose {{.*}} -> tensor<3x2xf32>
func.func @not_moved(%x: tensor<2x3xf32>, %s: tensor<f32>, %t: tensor<2xf32>) -> (tensor<3x2xf32>, tensor<3x2xui8>, tensor<3x2xui8>) {
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = graph.quantize %0, %s {axis = 1 : i64} : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xui8>
  %2 = graph.unary neg %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = graph.transpose %2 {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %4 = graph.quantize %3, %t {axis = 1 : i64} : (tensor<3x2xf32>, tensor<2xf32>) -> tensor<3x2xui8>
  return %0, %1, %4 : tensor<3x2xf32>, tensor<3x2xui8>, tensor<3x2xui8>
}

// -----

// The transpose goes to the constant, and the axis of the scales with it.
// CHECK-LABEL: func @matmul
// CHECK: %[[P:.*]] = graph.matmul %{{.*}}, %{{.*}} : (tensor<?x3xi32>, tensor<3x2xi32>) -> tensor<?x2xi32>
// CHECK: %[[F:.*]] = graph.cast %[[P]] : (tensor<?x2xi32>) -> tensor<?x2xf32>
// CHECK: graph.binary mul %[[F]], %{{.*}} : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
func.func @matmul(%x: tensor<?x3xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x2xf32> {
  %w = graph.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi8>
  %t = graph.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %0 = graph.dequantize %x, %s, %z {axis = 0 : i64} : (tensor<?x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x3xf32>
  %1 = graph.dequantize %w, %t {axis = 0 : i64} : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
  %2 = graph.transpose %1 {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %3 = graph.matmul %0, %2 : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}

// -----

// CHECK-LABEL: func @conv
// CHECK: graph.conv %{{.*}}, %{{.*}} {{{.*}}group = 2{{.*}}} : (tensor<1x2x4x4xi32>, tensor<2x1x3x3xi32>) -> tensor<1x2x4x4xi32>
// CHECK: graph.binary mul {{.*}} : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>)
// CHECK: graph.binary add {{.*}} : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>)
func.func @conv(%x: tensor<1x2x4x4xi8>, %bias: tensor<2xf32>) -> tensor<1x2x4x4xf32> {
  %s = graph.constant dense<0.5> : tensor<f32>
  %w = graph.constant dense<7> : tensor<2x1x3x3xi8>
  %t = graph.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %z = graph.constant dense<[0, 1]> : tensor<2xi8>
  %0 = graph.dequantize %x, %s {axis = 0 : i64} : (tensor<1x2x4x4xi8>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %1 = graph.dequantize %w, %t, %z {axis = 0 : i64} : (tensor<2x1x3x3xi8>, tensor<2xf32>, tensor<2xi8>) -> tensor<2x1x3x3xf32>
  %2 = graph.conv %0, %1, %bias {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, group = 2 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x2x4x4xf32>, tensor<2x1x3x3xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %2 : tensor<1x2x4x4xf32>
}
