// RUN: %lathe-opt %s --graph-to-linalg --split-input-file --verify-diagnostics

// Everything that cannot be lowered is reported, each at its node; what depends on it is not.
func.func @main(%x: tensor<4xcomplex<f32>>, %y: tensor<4xf6E2M3FN>, %s: tensor<f32>) -> (tensor<4xcomplex<f32>>, tensor<4xf32>) {
  // expected-error@+1 {{operator 'unary' is not supported: element type complex<f32>}}
  %0 = graph.unary neg %x : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  %1 = graph.unary abs %0 : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>>
  // expected-error@+1 {{operator 'dequantize' is not supported: element type f6E2M3FN}}
  %2 = graph.dequantize %y, %s {axis = 0 : i64} : (tensor<4xf6E2M3FN>, tensor<f32>) -> tensor<4xf32>
  return %1, %2 : tensor<4xcomplex<f32>>, tensor<4xf32>
}

// -----

// expected-error@+1 {{input 0 of 'main' has no known rank}}
func.func @main(%x: tensor<*xf32>) -> tensor<*xf32> {
  %0 = graph.unary neg %x : (tensor<*xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}
