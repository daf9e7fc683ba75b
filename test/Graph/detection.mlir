// RUN: %lathe-opt %s --graph-infer-shapes --split-input-file --verify-diagnostics | FileCheck %s

// Sizes that the data decides are unknown, all others follow from the operands.
// CHECK-LABEL: func @sizes
func.func @sizes(%boxes: tensor<?x6x4xf32>, %scores: tensor<?x2x6xf32>, %x: tensor<2x3x8x8xf32>, %rois: tensor<?x4xf32>, %batch: tensor<?xi64>, %m: tensor<?x5x3x3xf32>) -> (tensor<*xi64>, tensor<*xf32>, tensor<*xf32>, tensor<*xi64>, tensor<*xi32>, tensor<*xf32>, tensor<*xf64>) {
  // CHECK: graph.non_max_suppression {{.*}} -> tensor<?x3xi64>
  %0 = graph.non_max_suppression %boxes, %scores {center_point = false} : (tensor<?x6x4xf32>, tensor<?x2x6xf32>) -> tensor<*xi64>
  // CHECK: graph.roi_align {{.*}} -> tensor<?x3x2x4xf32>
  %1 = graph.roi_align %x, %rois, %batch {half_pixel = true, height = 2 : i64, largest = false, sampling_ratio = 0 : i64, spatial_scale = 1.0 : f32, width = 4 : i64} : (tensor<2x3x8x8xf32>, tensor<?x4xf32>, tensor<?xi64>) -> tensor<*xf32>
  // CHECK: graph.determinant {{.*}} -> tensor<?x5xf32>
  %2 = graph.determinant %m : (tensor<?x5x3x3xf32>) -> tensor<*xf32>
  // CHECK: graph.unique {{.*}} -> (tensor<?xi64>, tensor<3xi64>, tensor<?xi64>)
  %3:3 = graph.unique %x {axis = -3 : i64, sorted = true} : (tensor<2x3x8x8xf32>) -> (tensor<*xi64>, tensor<*xi64>, tensor<*xi64>)
  // CHECK: graph.bit_cast {{.*}} -> tensor<?x6x4xi32>
  %4 = graph.bit_cast %boxes : (tensor<?x6x4xf32>) -> tensor<*xi32>
  %image = graph.constant dense<[5, 6]> : tensor<2xi64>
  %block = graph.constant dense<[2, 4]> : tensor<2xi64>
  %columns = graph.constant dense<0.0> : tensor<1x16x15xf32>
  // CHECK: graph.columns_to_image {{.*}} -> tensor<1x2x5x6xf32>
  %5 = graph.columns_to_image %columns, %image, %block {dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x16x15xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  // CHECK: graph.random uniform {{.*}} -> tensor<5x6xf64>
  %6 = graph.random uniform %image {seed = 0 : i64} : (tensor<2xi64>) -> tensor<*xf64>
  return %0, %1, %2, %3#0, %4, %5, %6 : tensor<*xi64>, tensor<*xf32>, tensor<*xf32>, tensor<*xi64>, tensor<*xi32>, tensor<*xf32>, tensor<*xf64>
}

// -----

func.func @boxes(%boxes: tensor<1x6x5xf32>, %scores: tensor<1x2x6xf32>) {
  // expected-error@+1 {{the size found and expected in dimension 2 of boxes must be equal, got 5 and 4}}
  %0 = graph.non_max_suppression %boxes, %scores {center_point = false} : (tensor<1x6x5xf32>, tensor<1x2x6xf32>) -> tensor<*xi64>
  return
}

// -----

func.func @width(%x: tensor<4xf32>) {
  // expected-error@+1 {{element types 'f32' and 'i16' differ in width}}
  %0 = graph.bit_cast %x : (tensor<4xf32>) -> tensor<4xi16>
  return
}

// -----

func.func @square(%x: tensor<4x5xf32>) {
  // expected-error@+1 {{the sizes of the last two dimensions must be equal, got 4 and 5}}
  %0 = graph.determinant %x : (tensor<4x5xf32>) -> tensor<f32>
  return
}

// -----

func.func @type(%shape: tensor<2xi64>) {
  // expected-error@+1 {{gives f32 or f64, not 'f16'}}
  %0 = graph.random normal %shape {seed = 0 : i64} : (tensor<2xi64>) -> tensor<*xf16>
  return
}

// -----

func.func @blocks(%x: tensor<1x7x20xf32>) {
  %image = graph.constant dense<[5, 6]> : tensor<2xi64>
  %block = graph.constant dense<[2, 3]> : tensor<2xi64>
  // expected-error@+1 {{blocks of 6 elements do not divide 7 rows}}
  %0 = graph.columns_to_image %x, %image, %block {dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 1>, strides = array<i64: 1, 1>} : (tensor<1x7x20xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return
}
