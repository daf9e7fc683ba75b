// Reductions whose lanes lie some elements apart, as in pooling with strides, are tiles too: every other
// element comes by two vectors, the second of which begins one element early so that nothing behind the
// last is read; lanes further apart, and the last ones of a row, by a gather.
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize | FileCheck %s

// 37 results of a row: the last 5, and four vectors of 8.
// CHECK-LABEL: func.func private @tile_
// CHECK:         %[[MASK:.*]] = vector.constant_mask [5]
// CHECK-COUNT-3: vector.gather {{.*}}, %[[MASK]]
// CHECK:         %[[LOW:.*]] = vector.load
// CHECK:         %[[HIGH:.*]] = vector.load
// CHECK:         vector.shuffle %[[LOW]], %[[HIGH]] [0, 2, 4, 6, 9, 11, 13, 15]
// CHECK-COUNT-11: vector.shuffle
// CHECK-NOT:     vector.gather
// CHECK:         return
#in = affine_map<(r, x, k) -> (r, x * 2 + k)>
#window = affine_map<(r, x, k) -> (k)>
#out = affine_map<(r, x, k) -> (r, x)>
func.func @main(%x: tensor<9x75xf32>) -> tensor<9x37xf32> {
  %low = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<9x37xf32>
  %w = tensor.empty() : tensor<3xf32>
  %0 = linalg.fill ins(%low : f32) outs(%e : tensor<9x37xf32>) -> tensor<9x37xf32>
  %1 = linalg.generic {indexing_maps = [#in, #window, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<9x75xf32>, tensor<3xf32>) outs(%0 : tensor<9x37xf32>) {
  ^bb0(%l: f32, %unused: f32, %s: f32):
    %m = arith.maximumf %s, %l : f32
    linalg.yield %m : f32
  } -> tensor<9x37xf32>
  return %1 : tensor<9x37xf32>
}

// -----

// Three apart, windows of four: gathers alone. Five apart is not worth them.
// CHECK-LABEL: func.func private @tile_
// CHECK-NOT:     vector.shuffle
// CHECK:         vector.gather
// CHECK-NOT:   func.func private @tile_
#three = affine_map<(x, k) -> (x * 3 + k)>
#five = affine_map<(x, k) -> (x * 5 + k)>
#window = affine_map<(x, k) -> (k)>
#out = affine_map<(x, k) -> (x)>
func.func @main(%x: tensor<97xf32>, %y: tensor<160xf32>) -> (tensor<32xf32>, tensor<32xf32>) {
  %low = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<32xf32>
  %w = tensor.empty() : tensor<4xf32>
  %v = tensor.empty() : tensor<5xf32>
  %0 = linalg.fill ins(%low : f32) outs(%e : tensor<32xf32>) -> tensor<32xf32>
  %1 = linalg.generic {indexing_maps = [#three, #window, #out], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<97xf32>, tensor<4xf32>) outs(%0 : tensor<32xf32>) {
  ^bb0(%l: f32, %unused: f32, %s: f32):
    %m = arith.maximumf %s, %l : f32
    linalg.yield %m : f32
  } -> tensor<32xf32>
  %2 = linalg.generic {indexing_maps = [#five, #window, #out], iterator_types = ["parallel", "reduction"]}
      ins(%y, %v : tensor<160xf32>, tensor<5xf32>) outs(%0 : tensor<32xf32>) {
  ^bb0(%l: f32, %unused: f32, %s: f32):
    %m = arith.maximumf %s, %l : f32
    linalg.yield %m : f32
  } -> tensor<32xf32>
  return %1, %2 : tensor<32xf32>, tensor<32xf32>
}
