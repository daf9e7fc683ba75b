// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// CHECK-DAG:   #[[AXIS:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {indexing_maps = [#{{.*}}, #[[AXIS]], #[[AXIS]], #{{.*}}]
// CHECK:           arith.divf
// CHECK:           math.roundeven
// CHECK:           arith.addf
// CHECK:           arith.maxnumf
// CHECK:           arith.minnumf
// CHECK:           arith.fptosi
// CHECK:           arith.trunci %{{.*}} : i32 to i8
func.func @main(%x: tensor<2x4xf32>, %s: tensor<4xf32>, %z: tensor<4xui8>) -> tensor<2x4xui8> {
  %0 = graph.quantize %x, %s, %z {axis = 1 : i64} : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xui8>) -> tensor<2x4xui8>
  return %0 : tensor<2x4xui8>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         tensor.expand_shape %{{.*}} : tensor<2x4xi8> into tensor<2x2x2xi8>
// CHECK:           arith.extsi
// CHECK:           arith.sitofp
// CHECK:           arith.mulf
func.func @main(%x: tensor<2x4xi8>, %s: tensor<2x2xf32>) -> tensor<2x4xf32> {
  %0 = graph.dequantize %x, %s {axis = 1 : i64, block_size = 2 : i64} : (tensor<2x4xi8>, tensor<2x2xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

// A vector of unknown size holds one scale, or one for each slice: it is spread along the axis.

// CHECK-LABEL: func @main
// CHECK:         rt.check {{.*}} "there are %0 scales, but %1 zero points"
// CHECK:         rt.check {{.*}} "dimension of size %0 does not broadcast to size %1"
// CHECK:         %[[SPREAD:.*]] = linalg.generic
// CHECK:           arith.select
// CHECK:           tensor.extract %arg1
// CHECK:           tensor.extract %arg2
// CHECK:         linalg.generic {{.*}} ins(%arg0, %[[SPREAD]],
func.func @main(%x: tensor<2x4xf32>, %s: tensor<?xf32>, %z: tensor<?xui8>) -> tensor<2x4xui8> {
  %0 = graph.quantize %x, %s, %z {axis = 1 : i64} : (tensor<2x4xf32>, tensor<?xf32>, tensor<?xui8>) -> tensor<2x4xui8>
  return %0 : tensor<2x4xui8>
}

// -----

// Without the axis there can be one scale only.

// CHECK-LABEL: func @main
// CHECK:         rt.check {{.*}} "%0 scales along an axis that is not there"
// CHECK-NOT:     tensor.extract
func.func @main(%x: tensor<4xi8>, %s: tensor<?xf32>) -> tensor<4xf32> {
  %0 = graph.dequantize %x, %s {axis = 1 : i64} : (tensor<4xi8>, tensor<?xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// Zero points of blocks have the shape of the scales.

// CHECK-LABEL: func @main
// CHECK:         rt.check {{.*}} "there are %0 scales, but %1 zero points"
func.func @main(%x: tensor<2x?xi8>, %s: tensor<2x?xf32>, %z: tensor<2x?xi8>) -> tensor<2x?xf32> {
  %0 = graph.dequantize %x, %s, %z {axis = 1 : i64, block_size = 2 : i64} : (tensor<2x?xi8>, tensor<2x?xf32>, tensor<2x?xi8>) -> tensor<2x?xf32>
  return %0 : tensor<2x?xf32>
}
