// RUN: %lathe-opt %s --graph-drop-subnormals --split-input-file | FileCheck %s

// Filters are columns: the second has nothing that is larger. Infinities, NaN and signs stay.
// CHECK-LABEL: func @matmul
// CHECK: %[[W:.*]] = graph.constant dense<{{\[\[}}-1.000000e+00, -9.999940e-41, 0x7FC00000, 1.17549435E-38], [1.17549435E-38, 1.17549435E-38, -1.17549435E-38, 0xFF800000]]>
// CHECK: graph.matmul %arg0, %[[W]]
func.func @matmul(%x: tensor<3x2xf32>) -> tensor<3x4xf32> {
  %w = graph.constant dense<[[-1.0, -1.0e-40, 0x7FC00000, 1.0e-40], [1.0e-40, 1.17549435E-38, -1.0e-40, 0xFF800000]]> : tensor<2x4xf32>
  %0 = graph.matmul %x, %w : (tensor<3x2xf32>, tensor<2x4xf32>) -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}

// -----

// 2^-101 is large, the number below it is not.
// CHECK-LABEL: func @bound
// CHECK: graph.constant dense<{{\[\[}}3.94430453E-31, 3.94430429E-31], [1.17549435E-38, 1.401300e-45]]>
func.func @bound(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %w = graph.constant dense<[[0x0D000000, 0x0CFFFFFF], [0x00000001, 0x00000001]]> : tensor<2x2xf32>
  %0 = graph.matmul %x, %w : (tensor<3x2xf32>, tensor<2x2xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// Products of batches, and vectors.
// CHECK-LABEL: func @batches
// CHECK-DAG: graph.constant dense<{{\[\[\[}}1.000000e+00], [1.17549435E-38]], {{\[}}[9.999940e-41], [9.999940e-41]]]>
// CHECK-DAG: graph.constant dense<[1.000000e+00, 1.17549435E-38]>
func.func @batches(%x: tensor<2x3x2xf32>) -> (tensor<2x3x1xf32>, tensor<2x3xf32>) {
  %w = graph.constant dense<[[[1.0], [1.0e-40]], [[1.0e-40], [1.0e-40]]]> : tensor<2x2x1xf32>
  %0 = graph.matmul %x, %w : (tensor<2x3x2xf32>, tensor<2x2x1xf32>) -> tensor<2x3x1xf32>
  %v = graph.constant dense<[1.0, 1.0e-40]> : tensor<2xf32>
  %1 = graph.matmul %x, %v : (tensor<2x3x2xf32>, tensor<2xf32>) -> tensor<2x3xf32>
  return %0, %1 : tensor<2x3x1xf32>, tensor<2x3xf32>
}

// -----

// Filters are the first dimension; another type, and weights that are not constant, stay.
// CHECK-LABEL: func @conv
// CHECK: %[[W:.*]] = graph.constant dense<{{\[\[\[}}1.000000e+00, 1.17549435E-38]], {{\[}}[9.999940e-41, 0.000000e+00]]]>
// CHECK: graph.conv %arg0, %[[W]]
// CHECK: %[[D:.*]] = graph.constant dense<{{\[\[}}1.000000e+00], [4.940660e-324]]>
// CHECK: graph.matmul %arg1, %[[D]]
// CHECK: graph.matmul %arg2, %arg3
func.func @conv(%x: tensor<1x1x4xf32>, %y: tensor<1x2xf64>, %z: tensor<1x2xf32>, %v: tensor<2x1xf32>) -> (tensor<1x2x3xf32>, tensor<1x1xf64>, tensor<1x1xf32>) {
  %w = graph.constant dense<[[[1.0, 1.0e-40]], [[1.0e-40, 0.0]]]> : tensor<2x1x2xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x1x4xf32>, tensor<2x1x2xf32>) -> tensor<1x2x3xf32>
  %d = graph.constant dense<[[1.0], [4.94e-324]]> : tensor<2x1xf64>
  %1 = graph.matmul %y, %d : (tensor<1x2xf64>, tensor<2x1xf64>) -> tensor<1x1xf64>
  %2 = graph.matmul %z, %v : (tensor<1x2xf32>, tensor<2x1xf32>) -> tensor<1x1xf32>
  return %0, %1, %2 : tensor<1x2x3xf32>, tensor<1x1xf64>, tensor<1x1xf32>
}

// -----

// What is clipped or a sigmoid is finite, and infinity times zero does not occur.
// CHECK-LABEL: func @finite
// CHECK: %[[ZEROED:.*]] = graph.constant dense<{{\[\[}}1.000000e+00], [-0.000000e+00]]>
// CHECK: graph.matmul %{{.*}}, %[[ZEROED]]
// CHECK: %[[ZEROED:.*]] = graph.constant dense<{{\[\[}}1.000000e+00], [-0.000000e+00]]>
// CHECK: graph.matmul %{{.*}}, %[[ZEROED]]
// CHECK-LABEL: func @unbounded
// CHECK: %[[RAISED:.*]] = graph.constant dense<{{\[\[}}1.000000e+00], [-1.17549435E-38]]>
// CHECK: graph.matmul %{{.*}}, %[[RAISED]]
func.func @finite(%x: tensor<3x2xf32>) -> (tensor<3x1xf32>, tensor<3x1xf32>) {
  %w = graph.constant dense<[[1.0], [-1.0e-40]]> : tensor<2x1xf32>
  %six = graph.constant dense<6.0> : tensor<f32>
  %0 = graph.unary relu %x : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %1 = graph.binary min %0, %six : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %2 = graph.matmul %1, %w : (tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<3x1xf32>
  %3 = graph.unary sigmoid %x : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %4 = graph.matmul %3, %w : (tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<3x1xf32>
  return %2, %4 : tensor<3x1xf32>, tensor<3x1xf32>
}
func.func @unbounded(%x: tensor<3x2xf32>) -> tensor<3x1xf32> {
  %w = graph.constant dense<[[1.0], [-1.0e-40]]> : tensor<2x1xf32>
  %infinity = graph.constant dense<0x7F800000> : tensor<f32>
  %0 = graph.unary relu %x : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %1 = graph.binary min %0, %infinity : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %2 = graph.matmul %1, %w : (tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<3x1xf32>
  return %2 : tensor<3x1xf32>
}

// -----

// A product over nothing has no weights.
// CHECK-LABEL: func @nothing
// CHECK: graph.matmul
func.func @nothing(%x: tensor<3x0xf32>) -> tensor<3x4xf32> {
  %w = graph.constant dense<> : tensor<0x4xf32>
  %0 = graph.matmul %x, %w : (tensor<3x0xf32>, tensor<0x4xf32>) -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}
