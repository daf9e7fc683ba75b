// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Max, exponentials, sum and division all walk the same rows.
// CHECK-DAG:   #[[ALL:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG:   #[[ROW:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func @main
// CHECK:         %[[MAX:.*]] = linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]]]
// CHECK:           arith.maximumf
// CHECK:         %[[EXP:.*]] = linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]], #[[ALL]]], {{.*}} ins(%{{.*}}, %[[MAX]]
// CHECK:           arith.subf
// CHECK:           math.exp
// CHECK:         %[[SUM:.*]] = linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]]]{{.*}} ins(%[[EXP]]
// CHECK:         linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]], #[[ALL]]], {{.*}} ins(%[[EXP]], %[[SUM]]
// CHECK:           arith.divf
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = graph.softmax %x {axis = 1 : i64, axis_end = 2 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// The variance is that of centred values; one operation normalizes, scales and shifts.
// CHECK-LABEL: func @main
// CHECK:         %[[MEAN:.*]] = linalg.generic
// CHECK:           arith.mulf
// CHECK:           %[[D:.*]] = arith.subf
// CHECK:           arith.mulf %[[D]], %[[D]]
// CHECK:         math.sqrt
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<2x8xf32>)
// CHECK-NEXT:    ^bb0
// CHECK-NEXT:      arith.subf
// CHECK-NEXT:      arith.mulf
// CHECK-NEXT:      arith.mulf
// CHECK-NEXT:      arith.addf
func.func @main(%x: tensor<2x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<2x8xf32> {
  %0 = graph.layer_norm %x, %s, %b {axis = 1 : i64, epsilon = 1.0e-5 : f32, resultSegmentSizes = array<i32: 1, 0, 0>} : (tensor<2x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:         tensor.expand_shape %{{.*}} : tensor<2x4x5xf32> into tensor<2x2x2x5xf32>
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction", "reduction"]
// CHECK:         tensor.collapse_shape %{{.*}} : tensor<2x2x2x5xf32> into tensor<2x4x5xf32>
func.func @main(%x: tensor<2x4x5xf32>, %s: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<2x4x5xf32> {
  %0 = graph.group_norm %x, %s, %b {groups = 2 : i64, epsilon = 1.0e-5 : f32} : (tensor<2x4x5xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4x5xf32>
  return %0 : tensor<2x4x5xf32>
}

// -----

// Scores, scale and causal mask, softmax, values. Two query heads share a head of keys.
// CHECK-DAG:   #[[KEY:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d4, d5)>
// A function of its own, which the schedule may replace whole.
// CHECK:       func.func private @attention_0(%{{.*}}: tensor<1x4x3x8xf32>, %{{.*}}: tensor<1x2x5x8xf32>, %{{.*}}: tensor<1x2x5x8xf32>{{.*}} attributes {sched.kind = #sched.kind<attention, {causal, scale = 5.000000e-01 : f64}>}
// CHECK:         tensor.expand_shape %{{.*}} : tensor<1x4x3x8xf32> into tensor<1x2x2x3x8xf32>
// CHECK:         %[[SCORES:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #[[KEY]], #{{.*}}]{{.*}} outs(%{{.*}} : tensor<1x2x2x3x5xf32>)
// CHECK:         linalg.generic {{.*}} ins(%[[SCORES]]
// CHECK:           arith.mulf
// CHECK:           linalg.index 4
// CHECK:           arith.select
// CHECK:         math.exp
// CHECK:         tensor.collapse_shape %{{.*}} into tensor<1x4x3x8xf32>
// CHECK-LABEL: func @main
// CHECK:         call @attention_0(
func.func @main(%q: tensor<1x4x3x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>) -> tensor<1x4x3x8xf32> {
  %0 = graph.attention %q, %k, %v {scale = 0.5 : f32, causal = true} : (tensor<1x4x3x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x4x3x8xf32>
  return %0 : tensor<1x4x3x8xf32>
}

// -----

// Every operand has an argument of its own, also where keys, values and queries are one tensor.
// CHECK:       func.func private @attention_0(%{{[^:]*}}: tensor<1x2x5x8xf32>, %{{[^:]*}}: tensor<1x2x5x8xf32>, %{{[^:]*}}: tensor<1x2x5x8xf32>)
// CHECK-LABEL: func @main
// CHECK:         call @attention_0(%arg0, %arg0, %arg0)
func.func @main(%x: tensor<1x2x5x8xf32>) -> tensor<1x2x5x8xf32> {
  %0 = graph.attention %x, %x, %x {scale = 0.5 : f32} : (tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) -> tensor<1x2x5x8xf32>
  return %0 : tensor<1x2x5x8xf32>
}

// -----

// Channels that only the run knows must be as many as the parameters.
// CHECK-LABEL: func @main
// CHECK:         %[[C:.*]] = tensor.dim %arg0
// CHECK:         %[[SAME:.*]] = arith.cmpi eq
// CHECK:         rt.check %[[SAME]], 1, "a dimension has size %0 where the other operand's has size %1"
func.func @main(%x: tensor<2x?x4xf32>, %s: tensor<3xf32>, %b: tensor<3xf32>, %m: tensor<3xf32>, %v: tensor<3xf32>) -> tensor<2x?x4xf32> {
  %0 = graph.batch_norm %x, %s, %b, %m, %v {epsilon = 1.0e-5 : f32} : (tensor<2x?x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x?x4xf32>
  return %0 : tensor<2x?x4xf32>
}
