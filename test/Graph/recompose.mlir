// RUN: %lathe-opt %s --graph-recompose --split-input-file | FileCheck %s

// CHECK-LABEL: func @gelu
// CHECK-NEXT: graph.unary gelu %arg0
func.func @gelu(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %sqrt2 = graph.constant dense<1.41421354> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32>
  %0 = graph.binary div %x, %sqrt2 : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %1 = graph.unary erf %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = graph.binary add %1, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %3 = graph.binary mul %x, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = graph.binary mul %3, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// -----

// Another order of the factors.
// CHECK-LABEL: func @gelu_order
// CHECK-NEXT: graph.unary gelu %arg0
func.func @gelu_order(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %rsqrt2 = graph.constant dense<0.707106769> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32>
  %0 = graph.binary mul %rsqrt2, %x : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = graph.unary erf %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = graph.binary add %one, %1 : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = graph.binary mul %half, %2 : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = graph.binary mul %3, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// -----

// erf(x / 2) is no GELU.
// CHECK-LABEL: func @not_gelu
// CHECK: graph.unary erf
func.func @not_gelu(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32>
  %0 = graph.binary div %x, %two : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %1 = graph.unary erf %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = graph.binary add %1, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %3 = graph.binary mul %x, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = graph.binary mul %3, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @gelu_tanh
// CHECK-NEXT: graph.unary gelu_tanh %arg0
func.func @gelu_tanh(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %cubic = graph.constant dense<4.471500e-02> : tensor<f32>
  %factor = graph.constant dense<0.797884583> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %three = graph.constant dense<3.0> : tensor<f32>
  %half = graph.constant dense<0.5> : tensor<f32>
  %0 = graph.binary pow %x, %three : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %1 = graph.binary mul %0, %cubic : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %2 = graph.binary add %x, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = graph.binary mul %2, %factor : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %4 = graph.unary tanh %3 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %5 = graph.binary add %4, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %6 = graph.binary mul %x, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %7 = graph.binary mul %6, %5 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %7 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @layer_norm
// CHECK: graph.layer_norm %arg0, %arg1, %arg2 {axis = 2 : i64, epsilon = 9.99999974E-6 : f32
// CHECK-NEXT: return
func.func @layer_norm(%x: tensor<2x4x8xf32>, %scale: tensor<8xf32>, %bias: tensor<8xf32>) -> tensor<2x4x8xf32> {
  %epsilon = graph.constant dense<9.99999974E-6> : tensor<f32>
  %two = graph.constant dense<2.0> : tensor<f32>
  %mean = graph.reduce mean %x {axes = array<i64: 2>, keep_dims = true} : (tensor<2x4x8xf32>) -> tensor<2x4x1xf32>
  %d = graph.binary sub %x, %mean : (tensor<2x4x8xf32>, tensor<2x4x1xf32>) -> tensor<2x4x8xf32>
  %square = graph.binary pow %d, %two : (tensor<2x4x8xf32>, tensor<f32>) -> tensor<2x4x8xf32>
  %var = graph.reduce mean %square {axes = array<i64: 2>, keep_dims = true} : (tensor<2x4x8xf32>) -> tensor<2x4x1xf32>
  %shifted = graph.binary add %var, %epsilon : (tensor<2x4x1xf32>, tensor<f32>) -> tensor<2x4x1xf32>
  %std = graph.unary sqrt %shifted : (tensor<2x4x1xf32>) -> tensor<2x4x1xf32>
  %n = graph.binary div %d, %std : (tensor<2x4x8xf32>, tensor<2x4x1xf32>) -> tensor<2x4x8xf32>
  %s = graph.binary mul %n, %scale : (tensor<2x4x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
  %y = graph.binary add %s, %bias : (tensor<2x4x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// TensorFlow's form.
// CHECK-LABEL: func @layer_norm_spread
// CHECK: graph.layer_norm %arg0, %arg1, %arg2 {axis = 1 : i64
// CHECK-NEXT: return
func.func @layer_norm_spread(%x: tensor<4x8xf32>, %scale: tensor<8xf32>, %bias: tensor<8xf32>) -> tensor<4x8xf32> {
  %epsilon = graph.constant dense<9.99999974E-6> : tensor<f32>
  %mean = graph.reduce mean %x {axes = array<i64: 1>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %d = graph.binary sub %x, %mean : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %square = graph.binary mul %d, %d : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %var = graph.reduce mean %square {axes = array<i64: 1>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %shifted = graph.binary add %var, %epsilon : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %std = graph.unary sqrt %shifted : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %r = graph.unary reciprocal %std : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %f = graph.binary mul %r, %scale : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %a = graph.binary mul %x, %f : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %b = graph.binary mul %mean, %f : (tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %c = graph.binary sub %bias, %b : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = graph.binary add %a, %c : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @rms_norm
// CHECK: graph.layer_norm %arg0, %arg1 {axis = 1 : i64, {{.*}}rms = true
func.func @rms_norm(%x: tensor<4x8xf32>, %scale: tensor<8xf32>) -> tensor<4x8xf32> {
  %epsilon = graph.constant dense<9.99999974E-6> : tensor<f32>
  %square = graph.binary mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %var = graph.reduce mean %square {axes = array<i64: 1>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %shifted = graph.binary add %var, %epsilon : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %std = graph.unary sqrt %shifted : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %r = graph.unary reciprocal %std : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = graph.binary mul %x, %r : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %y = graph.binary mul %scale, %n : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// The mean over other dimensions than the last is no layer normalization.
// CHECK-LABEL: func @not_layer_norm
// CHECK-NOT: graph.layer_norm
func.func @not_layer_norm(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %epsilon = graph.constant dense<9.99999974E-6> : tensor<f32>
  %square = graph.binary mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %var = graph.reduce mean %square {axes = array<i64: 0>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  %shifted = graph.binary add %var, %epsilon : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
  %std = graph.unary sqrt %shifted : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %y = graph.binary div %x, %std : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @softmax
// CHECK-DAG: graph.softmax %arg0 {axis = 1 : i64, axis_end = 2 : i64}
// CHECK-DAG: graph.softmax %arg0 {axis = 1 : i64, axis_end = 2 : i64, log = true}
func.func @softmax(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %max = graph.reduce max %x {axes = array<i64: 1>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %d = graph.binary sub %x, %max : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %e = graph.unary exp %d : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %sum = graph.reduce sum %e {axes = array<i64: 1>, keep_dims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %y = graph.binary div %e, %sum : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %log = graph.unary log %sum : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %z = graph.binary sub %d, %log : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %y, %z : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// The scale is at the query, the key's transpose moves the heads as well.
// CHECK-LABEL: func @attention
// CHECK: %[[K:.*]] = graph.transpose %arg1 {perm = array<i64: 0, 2, 1, 3>}
// CHECK: graph.attention %arg0, %[[K]], %arg2, %arg3 {scale = 2.500000e-01 : f32}
func.func @attention(%q: tensor<2x3x4x16xf32>, %k: tensor<2x5x3x16xf32>, %v: tensor<2x3x5x16xf32>,
                     %mask: tensor<2x1x1x5xf32>) -> tensor<2x3x4x16xf32> {
  %four = graph.constant dense<4.0> : tensor<f32>
  %scaled = graph.binary div %q, %four : (tensor<2x3x4x16xf32>, tensor<f32>) -> tensor<2x3x4x16xf32>
  %kt = graph.transpose %k {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x5x3x16xf32>) -> tensor<2x3x16x5xf32>
  %s = graph.matmul %scaled, %kt : (tensor<2x3x4x16xf32>, tensor<2x3x16x5xf32>) -> tensor<2x3x4x5xf32>
  %m = graph.binary add %s, %mask : (tensor<2x3x4x5xf32>, tensor<2x1x1x5xf32>) -> tensor<2x3x4x5xf32>
  %p = graph.softmax %m {axis = 3 : i64, axis_end = 4 : i64} : (tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
  %y = graph.matmul %p, %v : (tensor<2x3x4x5xf32>, tensor<2x3x5x16xf32>) -> tensor<2x3x4x16xf32>
  return %y : tensor<2x3x4x16xf32>
}

// -----

// A scale after the mask scales the mask, so this is left alone.
// CHECK-LABEL: func @not_attention
// CHECK-NOT: graph.attention
func.func @not_attention(%q: tensor<2x3x4x16xf32>, %k: tensor<2x3x5x16xf32>, %v: tensor<2x3x5x16xf32>,
                         %mask: tensor<2x1x1x5xf32>) -> tensor<2x3x4x16xf32> {
  %four = graph.constant dense<4.0> : tensor<f32>
  %kt = graph.transpose %k {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x5x16xf32>) -> tensor<2x3x16x5xf32>
  %s = graph.matmul %q, %kt : (tensor<2x3x4x16xf32>, tensor<2x3x16x5xf32>) -> tensor<2x3x4x5xf32>
  %m = graph.binary add %s, %mask : (tensor<2x3x4x5xf32>, tensor<2x1x1x5xf32>) -> tensor<2x3x4x5xf32>
  %d = graph.binary div %m, %four : (tensor<2x3x4x5xf32>, tensor<f32>) -> tensor<2x3x4x5xf32>
  %p = graph.softmax %d {axis = 3 : i64, axis_end = 4 : i64} : (tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32>
  %y = graph.matmul %p, %v : (tensor<2x3x4x5xf32>, tensor<2x3x5x16xf32>) -> tensor<2x3x4x16xf32>
  return %y : tensor<2x3x4x16xf32>
}
