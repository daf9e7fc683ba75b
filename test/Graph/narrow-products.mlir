// RUN: %lathe-opt %s --graph-narrow-products --split-input-file | FileCheck %s --check-prefixes=CHECK,MODEL
// RUN: %lathe-opt %s --graph-narrow-products=bf16=true --split-input-file | FileCheck %s --check-prefixes=CHECK,BF16

// Differences of 8-bit numbers need 16 bits, these weights 8.
// CHECK-LABEL: func @matmul
// CHECK-DAG: %[[W:.*]] = graph.constant dense<{{\[\[}}-128, 127], [1, 0], [3, -4]]> : tensor<3x2xi8>
// CHECK-DAG: %[[X:.*]] = graph.cast %{{.*}} : (tensor<?x3xi32>) -> tensor<?x3xi16>
// CHECK: graph.matmul %[[X]], %[[W]] : (tensor<?x3xi16>, tensor<3x2xi8>) -> tensor<?x2xi32>
func.func @matmul(%x: tensor<?x3xui8>, %zero: tensor<ui8>) -> tensor<?x2xi32> {
  %w = graph.constant dense<[[-128, 127], [1, 0], [3, -4]]> : tensor<3x2xi32>
  %0 = graph.cast %x : (tensor<?x3xui8>) -> tensor<?x3xi32>
  %1 = graph.cast %zero : (tensor<ui8>) -> tensor<i32>
  %2 = graph.binary sub %0, %1 : (tensor<?x3xi32>, tensor<i32>) -> tensor<?x3xi32>
  %3 = graph.matmul %2, %w : (tensor<?x3xi32>, tensor<3x2xi32>) -> tensor<?x2xi32>
  return %3 : tensor<?x2xi32>
}

// -----

// Weights of more than 8 bits; a bias keeps the type of the sums.
// CHECK-LABEL: func @conv
// CHECK-DAG: %[[W:.*]] = graph.constant dense<{{.*}}> : tensor<2x1x1x1xi16>
// CHECK: graph.conv %{{.*}}, %[[W]], %{{.*}} : (tensor<1x1x4x4xi16>, tensor<2x1x1x1xi16>, tensor<2xi32>) -> tensor<1x2x4x4xi32>
func.func @conv(%x: tensor<1x1x4x4xi8>, %bias: tensor<2xi32>) -> tensor<1x2x4x4xi32> {
  %w = graph.constant dense<[[[[128]]], [[[-255]]]]> : tensor<2x1x1x1xi32>
  %0 = graph.cast %x : (tensor<1x1x4x4xi8>) -> tensor<1x1x4x4xi32>
  %1 = graph.conv %0, %w, %bias {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x1x4x4xi32>, tensor<2x1x1x1xi32>, tensor<2xi32>) -> tensor<1x2x4x4xi32>
  return %1 : tensor<1x2x4x4xi32>
}

// -----

// What may not fit stays: numbers of 32 bits, differences of 16-bit ones, -2^15 itself.
// CHECK-LABEL: func @wide
// CHECK-COUNT-3: graph.matmul {{.*}} : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x2xi32>
func.func @wide(%x: tensor<2x2xi32>, %y: tensor<2x2xi16>, %z: tensor<2x2xui16>) -> (tensor<2x2xi32>, tensor<2x2xi32>, tensor<2x2xi32>) {
  %w = graph.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi32>
  %0 = graph.matmul %x, %w : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x2xi32>
  %1 = graph.cast %y : (tensor<2x2xi16>) -> tensor<2x2xi32>
  %2 = graph.matmul %1, %w : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x2xi32>
  %3 = graph.cast %z : (tensor<2x2xui16>) -> tensor<2x2xi32>
  %4 = graph.matmul %3, %w : (tensor<2x2xi32>, tensor<2x2xi32>) -> tensor<2x2xi32>
  return %0, %2, %4 : tensor<2x2xi32>, tensor<2x2xi32>, tensor<2x2xi32>
}

// -----

// On request weights are rounded to the nearest bf16, even on a tie (1 + 2^-8 down, 1 + 3 * 2^-8
// up), and so are the numbers they multiply.
// CHECK-LABEL: func @bf16
// MODEL: graph.matmul {{.*}} : (tensor<2x4xf32>, tensor<4x1xf32>) -> tensor<2x1xf32>
// BF16-DAG: %[[W:.*]] = graph.constant dense<{{\[\[}}1.000000e+00], [1.015630e+00], [0x7FC0], [0xFF80]]> : tensor<4x1xbf16>
// BF16-DAG: %[[X:.*]] = graph.cast %{{.*}} : (tensor<2x4xf32>) -> tensor<2x4xbf16>
// BF16: graph.matmul %[[X]], %[[W]] : (tensor<2x4xbf16>, tensor<4x1xbf16>) -> tensor<2x1xf32>
func.func @bf16(%x: tensor<2x4xf32>) -> tensor<2x1xf32> {
  %w = graph.constant dense<[[1.00390625], [1.01171875], [0x7FC00001], [0xFF800000]]> : tensor<4x1xf32>
  %0 = graph.matmul %x, %w : (tensor<2x4xf32>, tensor<4x1xf32>) -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}

// -----

// Both operands known when running only, a depthwise window, a window for Winograd's algorithm.
// CHECK-LABEL: func @stays
// CHECK: graph.matmul {{.*}} : (tensor<2x2xf32>, tensor<2x2xf32>)
// CHECK: graph.conv {{.*}} : (tensor<1x8x4x4xf32>, tensor<8x1x3x3xf32>)
// CHECK: graph.conv {{.*}} : (tensor<1x8x4x4xf32>, tensor<8x8x3x3xf32>)
// MODEL: graph.conv {{.*}} : (tensor<1x8x4x4xf32>, tensor<8x8x3x3xf32>)
// BF16: graph.conv {{.*}} : (tensor<1x8x4x4xbf16>, tensor<8x8x3x3xbf16>) -> tensor<1x8x1x1xf32>
func.func @stays(%x: tensor<2x2xf32>, %image: tensor<1x8x4x4xf32>) -> (tensor<2x2xf32>, tensor<1x8x2x2xf32>, tensor<1x8x2x2xf32>, tensor<1x8x1x1xf32>) {
  %depthwise = graph.constant dense<0.5> : tensor<8x1x3x3xf32>
  %w = graph.constant dense<0.5> : tensor<8x8x3x3xf32>
  %0 = graph.matmul %x, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = graph.conv %image, %depthwise {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 8 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x8x4x4xf32>, tensor<8x1x3x3xf32>) -> tensor<1x8x2x2xf32>
  %2 = graph.conv %image, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x8x4x4xf32>, tensor<8x8x3x3xf32>) -> tensor<1x8x2x2xf32>
  %3 = graph.conv %image, %w {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x8x4x4xf32>, tensor<8x8x3x3xf32>) -> tensor<1x8x1x1xf32>
  return %0, %1, %2, %3 : tensor<2x2xf32>, tensor<1x8x2x2xf32>, tensor<1x8x2x2xf32>, tensor<1x8x1x1xf32>
}
