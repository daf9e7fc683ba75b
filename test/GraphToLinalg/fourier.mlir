// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// A step for each factor: 2 first, whose results but the first are turned, then 5, which turns none.
// No product is contracted into a sum.
// CHECK-LABEL: func @main
// CHECK-NOT:     fastmath
// CHECK:         tensor.expand_shape %arg0 {{.*}} into tensor<3x1x2x5x1xf32>
// CHECK:         linalg.generic
// CHECK:           arith.mulf
// CHECK:           linalg.yield %{{[0-9]+}}, %{{[0-9]+}}, %{{[0-9]+}}, %{{[0-9]+}} : f32, f32, f32, f32
// CHECK:         tensor.insert_slice {{.*}} into tensor<3x2x1x5x1xf32>
// CHECK:         linalg.generic
// CHECK:         tensor.insert_slice {{.*}} into tensor<3x5x2x1x1xf32>
// CHECK-NOT:     linalg.generic
func.func @main(%x: tensor<3x10xf32>, %y: tensor<3x10xf32>) -> (tensor<3x10xf32>, tensor<3x10xf32>) {
  %0:2 = graph.fourier %x, %y {axis = 1 : i64} : (tensor<3x10xf32>, tensor<3x10xf32>) -> (tensor<3x10xf32>, tensor<3x10xf32>)
  return %0#0, %0#1 : tensor<3x10xf32>, tensor<3x10xf32>
}

// -----

// The inverse is scaled by the number nearest to 1 / 3. A real signal has zeros beside it.
// CHECK-LABEL: func @main
// CHECK-DAG:       arith.constant 0.333333343 : f32
// CHECK-DAG:       arith.constant 0.000000e+00 : f32
// CHECK:           arith.mulf
func.func @main(%x: tensor<3x?xf32>) -> (tensor<3x?xf32>, tensor<3x?xf32>) {
  %0:2 = graph.fourier %x {axis = 0 : i64, inverse = true} : (tensor<3x?xf32>) -> (tensor<3x?xf32>, tensor<3x?xf32>)
  return %0#0, %0#1 : tensor<3x?xf32>, tensor<3x?xf32>
}

// -----

// A builtin transforms what the compiler emits no steps for: sizes that only the run knows, and those
// with large prime factors.
// CHECK-LABEL: func @main
// CHECK:         rt.call "lathe_fourier"(%arg0) {{.*}}[0, 1, 1, 0]
// CHECK:         rt.call "lathe_fourier"(%arg1, %arg2) {{.*}}[1, 0, 0, 1]
func.func @main(%x: tensor<?x3xf32>, %y: tensor<2x74xf64>, %z: tensor<2x74xf64>)
    -> (tensor<?x3xf32>, tensor<2x74xf64>) {
  %0:2 = graph.fourier %x {axis = 0 : i64, inverse = true} : (tensor<?x3xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>)
  %1:2 = graph.fourier %y, %z {axis = 1 : i64} : (tensor<2x74xf64>, tensor<2x74xf64>) -> (tensor<2x74xf64>, tensor<2x74xf64>)
  return %0#0, %1#1 : tensor<?x3xf32>, tensor<2x74xf64>
}
