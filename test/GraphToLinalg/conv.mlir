// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Channels last throughout: the input and the weights are transposed, the bias is added before the
// way back.
// CHECK-DAG:   #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1 * 2 + d4, d2 * 2 + d5 * 3, d6)>
// CHECK-DAG:   #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d4, d5, d6, d3)>
// CHECK-LABEL: func @main
// CHECK:         %[[PADDED:.*]] = tensor.pad %{{.*}} low[0, 1, 2, 0] high[0, 1, 2, 0]
// CHECK:         %[[CONV:.*]] = linalg.generic {indexing_maps = [#[[IN]], #[[W]]
// CHECK-SAME:      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-SAME:      ins(%[[PADDED]]
// CHECK:         %[[BIASED:.*]] = linalg.generic {{.*}} ins(%[[CONV]], %{{.*}} : {{.*}}, tensor<8xf32>)
// CHECK:         linalg.generic {{.*}} ins(%[[BIASED]] {{.*}} outs(%{{.*}} : tensor<1x8x8x6xf32>)
func.func @main(%x: tensor<1x3x16x14xf32>, %w: tensor<8x3x3x3xf32>, %b: tensor<8xf32>) -> tensor<1x8x8x6xf32> {
  %0 = graph.conv %x, %w, %b {strides = array<i64: 2, 2>, pads = array<i64: 1, 2, 1, 2>, dilations = array<i64: 1, 3>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x16x14xf32>, tensor<8x3x3x3xf32>, tensor<8xf32>) -> tensor<1x8x8x6xf32>
  return %0 : tensor<1x8x8x6xf32>
}

// -----

// Weights known when compiling are laid out then.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[X:.*]]: tensor<?x5x5x2xf32>
// CHECK:         %[[W:.*]] = arith.constant dense<{{.*}}> : tensor<1x1x2x3xf32>
// CHECK:         linalg.generic {{.*}} ins(%[[X]], %[[W]]
// CHECK-NOT:     linalg.generic
func.func @main(%x: tensor<?x5x5x2xf32>) -> tensor<?x5x5x3xf32> {
  %w = graph.constant dense<[[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]> : tensor<1x1x2x3xf32>
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>, channels_last = true} : (tensor<?x5x5x2xf32>, tensor<1x1x2x3xf32>) -> tensor<?x5x5x3xf32>
  return %0 : tensor<?x5x5x3xf32>
}

// -----

// Depthwise: the channel is shared by input, weight and result.
// CHECK-DAG:   #[[IN:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1 + d3, d2)>
// CHECK-DAG:   #[[W:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "reduction"]
func.func @main(%x: tensor<1x9x4xf32>, %w: tensor<3x1x4xf32>) -> tensor<1x7x4xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 4 : i64, auto_pad = #graph<auto_pad none>, channels_last = true} : (tensor<1x9x4xf32>, tensor<3x1x4xf32>) -> tensor<1x7x4xf32>
  return %0 : tensor<1x7x4xf32>
}

// -----

// Groups are a loop of their own.
// CHECK-LABEL: func @main
// CHECK:         tensor.expand_shape %{{.*}} : tensor<1x9x4xf32> into tensor<1x9x2x2xf32>
// CHECK:         tensor.expand_shape %{{.*}} : tensor<3x2x6xf32> into tensor<3x2x2x3xf32>
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]
// CHECK:         tensor.collapse_shape %{{.*}} : tensor<1x7x2x3xf32> into tensor<1x7x6xf32>
func.func @main(%x: tensor<1x9x4xf32>, %w: tensor<3x2x6xf32>) -> tensor<1x7x6xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 2 : i64, auto_pad = #graph<auto_pad none>, channels_last = true} : (tensor<1x9x4xf32>, tensor<3x2x6xf32>) -> tensor<1x7x6xf32>
  return %0 : tensor<1x7x6xf32>
}

// -----

// Pads of auto_pad for a size that only the run knows are computed there.
// CHECK-LABEL: func @main
// CHECK:         tensor.pad %{{.*}} low[0, %[[LOW:.*]], 0] high[0, %[[HIGH:.*]], 0]
func.func @main(%x: tensor<1x?x4xf32>, %w: tensor<3x4x6xf32>) -> tensor<1x?x6xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 2>, pads = array<i64: 0, 0>, dilations = array<i64: 1>, group = 1 : i64, auto_pad = #graph<auto_pad same_upper>, channels_last = true} : (tensor<1x?x4xf32>, tensor<3x4x6xf32>) -> tensor<1x?x6xf32>
  return %0 : tensor<1x?x6xf32>
}

// -----

// A transposed convolution spreads its input into zeros and convolves it with the flipped weights.
// CHECK-LABEL: func @main
// CHECK:         %[[ZEROS:.*]] = linalg.fill {{.*}} outs(%{{.*}} : tensor<1x9x1xf32>)
// CHECK:         %[[SPREAD:.*]] = tensor.insert_slice %{{.*}} into %[[ZEROS]][0, 1, 0] [1, 4, 1] [1, 2, 1]
// CHECK:         linalg.generic {{.*}} ins(%[[SPREAD]]
func.func @main(%x: tensor<1x1x4xf32>) -> tensor<1x2x7xf32> {
  %w = graph.constant dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>
  %0 = graph.conv_transpose %x, %w {strides = array<i64: 2>, pads = array<i64: 1, 1>, dilations = array<i64: 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>, output_padding = array<i64: 0>} : (tensor<1x1x4xf32>, tensor<1x2x3xf32>) -> tensor<1x2x7xf32>
  return %0 : tensor<1x2x7xf32>
}

// -----

// Single channels along long rows stay where they lie.
// CHECK-DAG:     #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 + d4, d3 + d5)>
// CHECK-DAG:     #[[WEIGHT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d1, d4, d5)>
// CHECK-DAG:     #[[OUT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d3)>
// CHECK-LABEL: func @main
// CHECK:         tensor.pad %arg0 low[0, 0, 1, 1] high[0, 0, 1, 1]
// CHECK:         linalg.generic {indexing_maps = [#[[IN]], #[[WEIGHT]], #[[OUT]]]
// CHECK-NOT:     linalg.generic
func.func @main(%x: tensor<1x4x6x56xf32>, %w: tensor<4x1x3x3xf32>) -> tensor<1x4x6x56xf32> {
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, group = 4 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x4x6x56xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x6x56xf32>
  return %0 : tensor<1x4x6x56xf32>
}
