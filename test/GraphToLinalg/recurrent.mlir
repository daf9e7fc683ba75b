// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// One product for all steps, then a loop with one product and one elementwise operation for all
// gates; y is filled in place.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<6x20xf32>)
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %[[Y:.*]] = %{{.*}}) -> (tensor<2x5xf32>, tensor<2x5xf32>, tensor<3x1x2x5xf32>)
// CHECK:           linalg.generic {{.*}} outs(%{{.*}} : tensor<2x20xf32>)
// CHECK:           linalg.generic {{.*}} outs(%{{.*}}, %{{.*}} : tensor<2x5xf32>, tensor<2x5xf32>)
// CHECK:           tensor.insert_slice %{{.*}} into %[[Y]][%{{.*}}, 0, 0, 0]
func.func @main(%x: tensor<3x2x4xf32>, %w: tensor<1x20x4xf32>, %r: tensor<1x20x5xf32>, %b: tensor<1x40xf32>) -> (tensor<3x1x2x5xf32>, tensor<1x2x5xf32>) {
  %0:2 = graph.recurrent lstm %x, %w, %r bias %b {hidden_size = 5 : i64, direction = #graph<direction forward>, activations = ["Sigmoid", "Tanh", "Tanh"], activation_alpha = [0.0 : f32, 0.0 : f32, 0.0 : f32], activation_beta = [0.0 : f32, 0.0 : f32, 0.0 : f32], resultSegmentSizes = array<i32: 1, 1, 0>} : (tensor<3x2x4xf32>, tensor<1x20x4xf32>, tensor<1x20x5xf32>, tensor<1x40xf32>) -> (tensor<3x1x2x5xf32>, tensor<1x2x5xf32>)
  return %0#0, %0#1 : tensor<3x1x2x5xf32>, tensor<1x2x5xf32>
}

// -----

// Both directions fill one result; behind a sequence's end the state stays and y is 0.
// CHECK-LABEL: func @main
// CHECK:         %[[FIRST:.*]]:2 = scf.for
// CHECK:           arith.cmpi slt
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %[[FIRST]]#1)
// CHECK:           arith.subi
func.func @main(%x: tensor<?x2x4xf32>, %w: tensor<2x5x4xf32>, %r: tensor<2x5x5xf32>, %l: tensor<2xi32>) -> tensor<?x2x2x5xf32> {
  %0 = graph.recurrent rnn %x, %w, %r lengths %l {hidden_size = 5 : i64, direction = #graph<direction bidirectional>, activations = ["Tanh", "Tanh"], activation_alpha = [0.0 : f32, 0.0 : f32], activation_beta = [0.0 : f32, 0.0 : f32], resultSegmentSizes = array<i32: 1, 0, 0>} : (tensor<?x2x4xf32>, tensor<2x5x4xf32>, tensor<2x5x5xf32>, tensor<2xi32>) -> tensor<?x2x2x5xf32>
  return %0 : tensor<?x2x2x5xf32>
}
