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
