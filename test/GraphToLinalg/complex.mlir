// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Both parts side by side are an integer that is moved.
// CHECK-LABEL: func @main
// CHECK-SAME:    tensor<2x3xi64> {graph.element_type = complex<f32>}
// CHECK-DAG:     arith.constant dense<4611686018427387904> : tensor<1x3xi64>
// CHECK-DAG:     arith.constant 0 : i64
// CHECK:         tensor.pad
// CHECK:         return %{{.*}} : tensor<4x3xi64>
func.func @main(%x: tensor<2x3xcomplex<f32>>) -> tensor<4x3xcomplex<f32>> {
  %pads = graph.constant dense<[1, 0, 0, 0]> : tensor<4xi64>
  %y = graph.constant dense<(0.0, 2.0)> : tensor<1x3xcomplex<f32>>
  %0 = graph.pad %x by %pads {mode = #graph<pad_mode constant>} : (tensor<2x3xcomplex<f32>>, tensor<4xi64>) -> tensor<3x3xcomplex<f32>>
  %1 = graph.concat %0, %y {axis = 0 : i64} : (tensor<3x3xcomplex<f32>>, tensor<1x3xcomplex<f32>>) -> tensor<4x3xcomplex<f32>>
  return %1 : tensor<4x3xcomplex<f32>>
}

// -----

// The signs of zeros do not count.
// CHECK-LABEL: func @main
// CHECK-DAG:     arith.constant 9223372034707292159 : i64
// CHECK:         arith.andi
// CHECK:         arith.cmpi ne
func.func @main(%x: tensor<4xcomplex<f32>>) -> tensor<1x?xi64> {
  %0 = graph.non_zero %x : (tensor<4xcomplex<f32>>) -> tensor<1x?xi64>
  return %0 : tensor<1x?xi64>
}
