// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func @main
// CHECK:         tensor.extract_slice %{{.*}}[0, 1] [%{{.*}}, 3] [1, 2] : tensor<?x8xf32> to tensor<?x3xf32>
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x3xf32> {
  %s = graph.constant dense<1> : tensor<1xi64>
  %e = graph.constant dense<-1> : tensor<1xi64>
  %a = graph.constant dense<1> : tensor<1xi64>
  %t = graph.constant dense<2> : tensor<1xi64>
  %0 = graph.slice %x from %s to %e axes %a steps %t : (tensor<?x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// -----

// Backwards: read element by element.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic
// CHECK:           %[[I:.*]] = linalg.index 0
// CHECK:           arith.muli %[[I]], %c-1
// CHECK:           tensor.extract
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %s = graph.constant dense<-1> : tensor<1xi64>
  %e = graph.constant dense<-9223372036854775807> : tensor<1xi64>
  %a = graph.constant dense<0> : tensor<1xi64>
  %t = graph.constant dense<-1> : tensor<1xi64>
  %0 = graph.slice %x from %s to %e axes %a steps %t : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         %[[E:.*]] = tensor.empty(%{{.*}}) : tensor<2x?xf32>
// CHECK:         %[[A:.*]] = tensor.insert_slice %{{.*}} into %[[E]][0, 0] [2, 3] [1, 1]
// CHECK:         tensor.insert_slice %{{.*}} into %[[A]][0, 3] [2, %{{.*}}] [1, 1]
func.func @main(%x: tensor<2x3xf32>, %y: tensor<2x?xf32>) -> tensor<2x?xf32> {
  %0 = graph.concat %x, %y {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x?xf32>) -> tensor<2x?xf32>
  return %0 : tensor<2x?xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK-DAG:     tensor.extract_slice %{{.*}}[0] [3] [1]
// CHECK-DAG:     tensor.extract_slice %{{.*}}[3] [2] [1]
func.func @main(%x: tensor<5xf32>) -> (tensor<3xf32>, tensor<2xf32>) {
  %0:2 = graph.split %x {axis = 0 : i64} : (tensor<5xf32>) -> (tensor<3xf32>, tensor<2xf32>)
  return %0#0, %0#1 : tensor<3xf32>, tensor<2xf32>
}

// -----

// Repeats are loops of their own that the input does not see.
// CHECK-DAG:   #[[IN:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {indexing_maps = [#[[IN]]
// CHECK:         tensor.collapse_shape %{{.*}} : tensor<2x3x4xf32> into tensor<6x4xf32>
func.func @main(%x: tensor<3x4xf32>) -> tensor<6x4xf32> {
  %r = graph.constant dense<[2, 1]> : tensor<2xi64>
  %0 = graph.tile %x, %r : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<6x4xf32>
  return %0 : tensor<6x4xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         %[[CUT:.*]] = tensor.extract_slice %{{.*}}[0, 1] [2, 3] [1, 1]
// CHECK:         tensor.pad %[[CUT]] low[1, 0] high[0, 2]
func.func @main(%x: tensor<2x4xf32>) -> tensor<3x5xf32> {
  %p = graph.constant dense<[1, -1, 0, 2]> : tensor<4xi64>
  %0 = graph.pad %x by %p {mode = #graph<pad_mode constant>} : (tensor<2x4xf32>, tensor<4xi64>) -> tensor<3x5xf32>
  return %0 : tensor<3x5xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK-NOT:     tensor.pad
// CHECK:           arith.minsi
// CHECK:           tensor.extract
func.func @main(%x: tensor<4xf32>) -> tensor<8xf32> {
  %p = graph.constant dense<[2, 2]> : tensor<2xi64>
  %0 = graph.pad %x by %p {mode = #graph<pad_mode reflect>} : (tensor<4xf32>, tensor<2xi64>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// Axes from the data: every dimension looks whether it is one of them.
// CHECK-LABEL: func @main
// CHECK:         arith.cmpi eq, %[[AXIS:.*]], %c0
// CHECK:         rt.check %{{.*}}, 5, "the step of a slice is %0"
// CHECK:         arith.cmpi eq, %[[AXIS]], %c1
// CHECK:         tensor.extract %{{.*}}[%{{.*}}, %{{.*}}] : tensor<4x5xf32>
func.func @main(%x: tensor<4x5xf32>, %s: tensor<1xi64>, %e: tensor<1xi64>, %a: tensor<1xi64>, %t: tensor<1xi64>) -> tensor<?x?xf32> {
  %0 = graph.slice %x from %s to %e axes %a steps %t : (tensor<4x5xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Nothing is cut from nothing.
// CHECK-LABEL: func @main
// CHECK-NOT:     tensor.extract_slice
// CHECK:         %[[E:.*]] = tensor.empty() : tensor<0x2xf32>
// CHECK:         return %[[E]]
func.func @main(%x: tensor<3x2xf32>) -> tensor<0x2xf32> {
  %s = graph.constant dense<3> : tensor<1xi64>
  %e = graph.constant dense<3> : tensor<1xi64>
  %a = graph.constant dense<0> : tensor<1xi64>
  %0 = graph.slice %x from %s to %e axes %a : (tensor<3x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0x2xf32>
  return %0 : tensor<0x2xf32>
}
