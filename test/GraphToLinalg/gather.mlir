// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Negative indices count from the end; all are checked, and read at 0 where the check fails.
// CHECK-DAG:   #[[INDEX:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[DATA:.*]]: tensor<10x4xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[INDEX]]
// CHECK:           %[[GIVEN:.*]] = arith.index_cast %{{.*}} : i32 to index
// CHECK:           %[[VALID:.*]] = arith.andi
// CHECK:           rt.check %[[VALID]], 2, "index %0 is out of range for an axis of size %1", %[[GIVEN]]
// CHECK:           %[[SAFE:.*]] = arith.select %[[VALID]]
// CHECK:           tensor.extract %[[DATA]][%[[SAFE]], %{{.*}}]
func.func @main(%data: tensor<10x4xf32>, %i: tensor<?xi32>) -> tensor<?x4xf32> {
  %0 = graph.gather %data, %i {axis = 0 : i64} : (tensor<10x4xf32>, tensor<?xi32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// One known index is a slice.
// CHECK-LABEL: func @main
// CHECK:         tensor.extract_slice %{{.*}}[0, 9] [4, 1] [1, 1]
// CHECK:         tensor.collapse_shape
// CHECK-NOT:     linalg
func.func @main(%data: tensor<4x10xf32>) -> tensor<4xf32> {
  %i = graph.constant dense<-1> : tensor<i64>
  %0 = graph.gather %data, %i {axis = 1 : i64} : (tensor<4x10xf32>, tensor<i64>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:           tensor.extract %{{.*}}[%{{.*}}, %{{.*}}] : tensor<3x2xi64>
// CHECK:           rt.check
// CHECK:           tensor.extract %{{.*}}[%{{.*}}, %{{.*}}] : tensor<3x2xi64>
// CHECK:           rt.check
// CHECK:           tensor.extract %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : tensor<4x5x6xf32>
func.func @main(%data: tensor<4x5x6xf32>, %i: tensor<3x2xi64>) -> tensor<3x6xf32> {
  %0 = graph.gather_nd %data, %i {batch_dims = 0 : i64} : (tensor<4x5x6xf32>, tensor<3x2xi64>) -> tensor<3x6xf32>
  return %0 : tensor<3x6xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:           arith.cmpi eq
// CHECK:           arith.select
func.func @main(%i: tensor<3xi64>, %v: tensor<2xf32>) -> tensor<3x5xf32> {
  %depth = graph.constant dense<5> : tensor<i64>
  %0 = graph.one_hot %i, %depth, %v {axis = -1 : i64} : (tensor<3xi64>, tensor<i64>, tensor<2xf32>) -> tensor<3x5xf32>
  return %0 : tensor<3x5xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         rt.check %{{.*}}, 5, "the step of a range is 0"
// CHECK:         %[[N:.*]] = arith.index_cast
// CHECK:         tensor.empty(%[[N]])
func.func @main(%a: tensor<f32>, %b: tensor<f32>, %c: tensor<f32>) -> tensor<?xf32> {
  %0 = graph.range %a, %b, %c : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// Where each row is read, and with which weights, is a table known when compiling.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic
// CHECK:           tensor.extract
// CHECK:           arith.mulf
// CHECK:           tensor.extract
// CHECK:           arith.mulf
func.func @main(%x: tensor<1x1x4xf32>) -> tensor<1x1x8xf32> {
  %s = graph.constant dense<[1.0, 1.0, 2.0]> : tensor<3xf32>
  %0 = graph.resize %x scales %s {mode = #graph<resize_mode linear>, coordinates = #graph<resize_coordinates half_pixel>, nearest = #graph<resize_nearest floor>, policy = #graph<resize_policy stretch>} : (tensor<1x1x4xf32>, tensor<3xf32>) -> tensor<1x1x8xf32>
  return %0 : tensor<1x1x8xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         linalg.generic
// CHECK:           rt.check %{{.*}}, {{[0-9]+}}, "a length is %0, it must be from 0 to %1"
func.func @main(%x: tensor<4xi32>, %y: tensor<?xf32>) -> tensor<4xi32> {
  %most = graph.size %y : (tensor<?xf32>) -> tensor<i64>
  %0 = graph.require_range %x, %most {what = "a length"} : (tensor<4xi32>, tensor<i64>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}
