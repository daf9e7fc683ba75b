// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Arguments whose elements share bytes get a byte for each, results give it back.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[X:.*]]: tensor<3x?xi4> {graph.element_type = ui4}
// CHECK-SAME:    -> (tensor<?x3xi4> {graph.element_type = ui4})
// CHECK:         %[[BYTES:.*]] = rt.bytes %[[X]] size %{{.*}} : tensor<3x?xi4> -> tensor<?xi8>
// CHECK:         linalg.generic
// CHECK:           tensor.extract %[[BYTES]]
// CHECK:           arith.shrui
// CHECK:           arith.andi
// CHECK:         tensor.expand_shape
// CHECK:         %[[PACKED:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?xi8>)
// CHECK:         %[[RESULT:.*]] = rt.packed %[[PACKED]] sizes(%{{.*}}) : tensor<?xi8> -> tensor<?x3xi4>
// CHECK:         return %[[RESULT]]
func.func @main(%x: tensor<3x?xui4>) -> tensor<?x3xui4> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<3x?xui4>) -> tensor<?x3xui4>
  return %0 : tensor<?x3xui4>
}

// -----

// Constants are given their bytes when compiling, with their signs.
// CHECK-LABEL: func @main
// CHECK:         arith.constant dense<[-8, 7, -1]> : tensor<3xi8>
func.func @main() -> tensor<3xf32> {
  %c = graph.constant dense<[-8, 7, -1]> : tensor<3xi4>
  %0 = graph.cast %c : (tensor<3xi4>) -> tensor<3xf32>
  return %0 : tensor<3xf32>
}

// -----

// Narrow floats are their bits, and arithmetic on them runs in f32.
// CHECK-LABEL: func @main
// CHECK-SAME:    %{{.*}}: tensor<4xi8> {graph.element_type = f8E4M3FN}
// CHECK:         linalg.generic
// CHECK:           arith.extui %{{.*}} : i8 to i32
// CHECK:           arith.bitcast %{{.*}} : i32 to f32
// CHECK-NOT:       f8E
func.func @main(%x: tensor<4xf8E4M3FN>) -> tensor<4xf32> {
  %0 = graph.cast %x : (tensor<4xf8E4M3FN>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// Doubles are rounded once.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic
// CHECK-NOT:       arith.truncf
// CHECK:           arith.trunci %{{.*}} : i64 to i8
func.func @main(%x: tensor<4xf64>) -> tensor<4xf8E5M2> {
  %0 = graph.cast %x {saturate = false} : (tensor<4xf64>) -> tensor<4xf8E5M2>
  return %0 : tensor<4xf8E5M2>
}

// -----

// CHECK-LABEL: func @main
// CHECK:           arith.bitcast %{{.*}} : f32 to i32
// CHECK-NEXT:      linalg.yield
func.func @main(%x: tensor<4xf32>) -> tensor<4xi32> {
  %0 = graph.bit_cast %x : (tensor<4xf32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// A last block that is cut off: scales are looked up.
// CHECK-LABEL: func @main
// CHECK-SAME:    %{{.*}}: tensor<5xi8>, %[[SCALE:.*]]: tensor<3xf32>
// CHECK:         linalg.generic
// CHECK:           arith.divui
// CHECK:           tensor.extract %[[SCALE]]
func.func @main(%x: tensor<5xi8>, %s: tensor<3xf32>) -> tensor<5xf32> {
  %0 = graph.dequantize %x, %s {axis = 0 : i64, block_size = 2 : i64} : (tensor<5xi8>, tensor<3xf32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}
