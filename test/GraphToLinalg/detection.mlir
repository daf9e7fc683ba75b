// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Rounds take the best box of every class; the kept ones are then found among all places.
// CHECK-LABEL: func @main
// CHECK:         %[[ROUNDS:.*]]:2 = scf.for {{.*}} -> (tensor<1x2x6xi8>, tensor<1x2x3xi64>)
// CHECK:           linalg.generic {{.*}} outs(%{{.*}} : tensor<1x2x1xi64>)
// CHECK:           tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, %{{.*}}] [1, 2, 1] [1, 1, 1]
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3xi64>)
func.func @main(%boxes: tensor<1x6x4xf32>, %scores: tensor<1x2x6xf32>, %iou: tensor<f32>) -> tensor<?x3xi64> {
  %most = graph.constant dense<3> : tensor<i64>
  %0 = graph.non_max_suppression %boxes, %scores max %most iou %iou {center_point = false} : (tensor<1x6x4xf32>, tensor<1x2x6xf32>, tensor<i64>, tensor<f32>) -> tensor<?x3xi64>
  return %0 : tensor<?x3xi64>
}

// -----

// What a region asks for is checked: its image, and how many samples its bins take.
// CHECK-LABEL: func @main
// CHECK:         rt.check %{{.*}}, 1, "regions of images that have no pixels"
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3x2x2xf32>)
// CHECK:           rt.check %{{.*}}, 2, "region of image %0 in a batch of %1"
// CHECK:           rt.check %{{.*}}, 5, "a bin of a region would take %0 samples"
// CHECK:           scf.for
// CHECK:             scf.for
func.func @main(%x: tensor<2x3x8x8xf32>, %rois: tensor<?x4xf32>, %batch: tensor<?xi64>) -> tensor<?x3x2x2xf32> {
  %0 = graph.roi_align %x, %rois, %batch {half_pixel = true, height = 2 : i64, largest = false, sampling_ratio = 0 : i64, spatial_scale = 1.0 : f32, width = 2 : i64} : (tensor<2x3x8x8xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x3x2x2xf32>
  return %0 : tensor<?x3x2x2xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<1x1x5x6xf32>)
// CHECK:           scf.for
// CHECK:             scf.if
// CHECK:               tensor.extract
func.func @main(%x: tensor<1x6x20xf32>) -> tensor<1x1x5x6xf32> {
  %image = graph.constant dense<[5, 6]> : tensor<2xi64>
  %block = graph.constant dense<[2, 3]> : tensor<2xi64>
  %0 = graph.columns_to_image %x, %image, %block {dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 1>, strides = array<i64: 1, 1>} : (tensor<1x6x20xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x1x5x6xf32>
  return %0 : tensor<1x1x5x6xf32>
}

// -----

// Elimination in doubles, in step for all matrices.
// CHECK-LABEL: func @main
// CHECK:         scf.for {{.*}} -> (tensor<4x3x3xf64>, tensor<4xf64>)
// CHECK:         return %{{.*}} : tensor<4xf32>
func.func @main(%x: tensor<4x3x3xf32>) -> tensor<4xf32> {
  %0 = graph.determinant %x : (tensor<4x3x3xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// An element is a function of its place alone.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]
// CHECK:           arith.xori
// CHECK:           math.cos
func.func @main() -> tensor<2x3xf32> {
  %shape = graph.constant dense<[2, 3]> : tensor<2xi64>
  %0 = graph.random normal %shape {seed = 1 : i64} : (tensor<2xi64>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         scf.for {{.*}} -> (tensor<1x2x4x5xf32>, tensor<1x3x2x1x5xf32>)
// CHECK:           math.exp
func.func @main(%q: tensor<1x3x2x1x4xf32>, %k: tensor<1x3x2x4xf32>, %v: tensor<1x3x2x5xf32>, %s: tensor<1x2x4x5xf32>, %d: tensor<1x3x2x1xf32>) -> (tensor<1x3x2x1x5xf32>, tensor<1x2x4x5xf32>) {
  %0:2 = graph.linear_attention %q, %k, %v, %s decay %d : (tensor<1x3x2x1x4xf32>, tensor<1x3x2x4xf32>, tensor<1x3x2x5xf32>, tensor<1x2x4x5xf32>, tensor<1x3x2x1xf32>) -> (tensor<1x3x2x1x5xf32>, tensor<1x2x4x5xf32>)
  return %0#0, %0#1 : tensor<1x3x2x1x5xf32>, tensor<1x2x4x5xf32>
}

// -----

// As many taps as a scale of the data asks for.
// CHECK-LABEL: func @main
// CHECK:         rt.check %{{.*}}, 5, "the scale of a resize is out of range"
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?xi64>)
func.func @main(%x: tensor<8xf32>, %sizes: tensor<1xi64>) -> tensor<?xf32> {
  %0 = graph.resize %x sizes %sizes {antialias = true, coordinates = #graph<resize_coordinates half_pixel>, mode = #graph<resize_mode linear>, nearest = #graph<resize_nearest floor>, policy = #graph<resize_policy stretch>} : (tensor<8xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
