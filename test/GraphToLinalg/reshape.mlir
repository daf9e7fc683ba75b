// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Shape arithmetic becomes sizes; what it was computed with is gone.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[X:.*]]: tensor<?x12x64xf32>
// CHECK-NEXT:    tensor.collapse_shape %[[X]] {{\[\[}}0], [1, 2]] : tensor<?x12x64xf32> into tensor<?x768xf32>
// CHECK-NEXT:    return
func.func @main(%x: tensor<?x12x64xf32>) -> tensor<?x?xf32> {
  %shape = graph.shape %x : (tensor<?x12x64xf32>) -> tensor<3xi64>
  %zero = graph.constant dense<0> : tensor<1xi64>
  %batch = graph.gather %shape, %zero {axis = 0 : i64} : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %rest = graph.constant dense<-1> : tensor<1xi64>
  %to = graph.concat %batch, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = graph.reshape %x, %to : (tensor<?x12x64xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Groups of dimensions are found one by one, so nothing is flattened.
// CHECK-LABEL: func @main
// CHECK:         %[[C:.*]] = tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]] : tensor<2x3x20xf32> into tensor<6x20xf32>
// CHECK:         tensor.expand_shape %[[C]] {{\[\[}}0], [1, 2]] output_shape [6, 4, 5]
func.func @main(%x: tensor<2x3x20xf32>) -> tensor<6x4x5xf32> {
  %to = graph.constant dense<[6, 4, 5]> : tensor<3xi64>
  %0 = graph.reshape %x, %to : (tensor<2x3x20xf32>, tensor<3xi64>) -> tensor<6x4x5xf32>
  return %0 : tensor<6x4x5xf32>
}

// -----

// A shape from the data: -1 and 0 are resolved and the number of elements compared at run time.
// CHECK-LABEL: func @main
// CHECK:         tensor.extract
// CHECK:         rt.check %{{.*}}, 5, "a size is %0, it must not be negative"
// CHECK:         rt.check %{{.*}}, 4, "a tensor of %0 elements cannot have a shape of %1 elements"
// CHECK:         tensor.expand_shape
func.func @main(%x: tensor<12xf32>, %to: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = graph.reshape %x, %to : (tensor<12xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Moving a dimension of size 1 moves no data.
// CHECK-LABEL: func @main
// CHECK-NOT:     linalg.generic
// CHECK:         tensor.collapse_shape
// CHECK:         tensor.expand_shape
func.func @main(%x: tensor<1x3x4xf32>) -> tensor<3x1x4xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<1x3x4xf32>) -> tensor<3x1x4xf32>
  return %0 : tensor<3x1x4xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         tensor.expand_shape %{{.*}} : tensor<1x8x2x3xf32> into tensor<1x2x2x2x2x3xf32>
// CHECK:         linalg.generic
// CHECK:         tensor.collapse_shape %{{.*}} into tensor<1x2x4x6xf32>
func.func @main(%x: tensor<1x8x2x3xf32>) -> tensor<1x2x4x6xf32> {
  %0 = graph.depth_to_space %x {block = 2 : i64, column_row = true} : (tensor<1x8x2x3xf32>) -> tensor<1x2x4x6xf32>
  return %0 : tensor<1x2x4x6xf32>
}

// -----

// Constants that are transposed are laid out when compiling.
// CHECK-LABEL: func @main
// CHECK:         %[[C:.*]] = arith.constant dense<{{\[\[}}1.000000e+00, 4.000000e+00], [2.000000e+00, 5.000000e+00], [3.000000e+00, 6.000000e+00]]>
// CHECK-NEXT:    return %[[C]]
func.func @main() -> tensor<3x2xf32> {
  %c = graph.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %0 = graph.transpose %c {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK-DAG:     %[[ROWS:.*]] = tensor.dim %arg0, %c0
// CHECK-DAG:     %[[COLUMNS:.*]] = tensor.dim %arg0, %c1
// CHECK-DAG:     %[[OTHER:.*]] = tensor.dim %arg1
// CHECK:         rt.check {{.*}} "a dimension has size %0, not %1", %[[ROWS]], %[[OTHER]]
// CHECK:         rt.check {{.*}} "a dimension has size %0, not %1", %[[COLUMNS]], %c3
// CHECK:         tensor.extract_slice %arg0{{.*}} to tensor<?x3x?xf32>
func.func @main(%x: tensor<?x?x?xf32>, %y: tensor<?xf32>) -> tensor<?x3x?xf32> {
  %0 = graph.shape %y : (tensor<?xf32>) -> tensor<1xi64>
  %1 = graph.constant dense<[3, -1]> : tensor<2xi64>
  %2 = graph.concat %0, %1 {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %3 = graph.require_shape %x, %2 : (tensor<?x?x?xf32>, tensor<3xi64>) -> tensor<?x3x?xf32>
  return %3 : tensor<?x3x?xf32>
}
