// RUN: %lathe-opt %s --graph-infer-shapes --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @sizes
func.func @sizes(%x: tensor<?x12x3xf32>, %y: tensor<?x12x3xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  // CHECK: graph.fourier %arg0, %arg1 {axis = 1 : i64, inverse = true} {{.*}} -> (tensor<?x12x3xf32>, tensor<?x12x3xf32>)
  %0:2 = graph.fourier %x, %y {axis = -2 : i64, inverse = true} : (tensor<?x12x3xf32>, tensor<?x12x3xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  // CHECK: graph.fourier %arg0 {axis = 2 : i64} {{.*}} -> (tensor<?x12x3xf32>, tensor<?x12x3xf32>)
  %1:2 = graph.fourier %x {axis = 2 : i64} : (tensor<?x12x3xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return %0#0, %1#1 : tensor<*xf32>, tensor<*xf32>
}

// -----

func.func @type(%x: tensor<4xf16>) {
  // expected-error@+1 {{takes f32 or f64, not 'f16'}}
  %0:2 = graph.fourier %x {axis = 0 : i64} : (tensor<4xf16>) -> (tensor<4xf16>, tensor<4xf16>)
  return
}

// -----

func.func @axis(%x: tensor<4xf32>) {
  // expected-error@+1 {{axis is 1, but must lie in [-1, 1) for a tensor of rank 1}}
  %0:2 = graph.fourier %x {axis = 1 : i64} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @parts(%x: tensor<2x4xf32>, %y: tensor<3x4xf32>) {
  // expected-error@+1 {{dimension 0 of real and imaginary parts must be equal, got 2 and 3}}
  %0:2 = graph.fourier %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<3x4xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return
}

// -----

func.func @ranks(%x: tensor<2x4xf32>, %y: tensor<4xf32>) {
  // expected-error@+1 {{real parts of rank 2 have imaginary parts of rank 1}}
  %0:2 = graph.fourier %x, %y {axis = 1 : i64} : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return
}
