// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// A position is an operand; an item is a value first, then a tensor of the type that was declared.
// CHECK-LABEL: func @at(
// CHECK-SAME:    %[[XS:.*]]: !rt.value {graph.type = !graph.sequence<tensor<?x3xf32>>}
// CHECK:         %[[ITEM:.*]] = rt.call "lathe_sequence_at"(%[[XS]], %{{.*}}) [1, 0]
// CHECK-SAME:      (!rt.value, tensor<i64>) -> (!rt.value)
// CHECK:         rt.call "lathe_value_tensor"(%[[ITEM]]) [1, -1, 3]
// CHECK-SAME:      -> (tensor<?x3xf32>)
func.func @at(%xs: !graph.sequence<tensor<?x3xf32>>, %p: tensor<i64>) -> tensor<?x3xf32> {
  %x = graph.sequence_at %xs at %p : (!graph.sequence<tensor<?x3xf32>>, tensor<i64>) -> tensor<?x3xf32>
  return %x : tensor<?x3xf32>
}

// -----

// What has no rank stays a value; what has one becomes one where others join it.
// CHECK-LABEL: func @any_rank(
// CHECK:         scf.if
// CHECK:           rt.call "lathe_sequence_at"
// CHECK:         } else {
// CHECK:           rt.call "lathe_value_of_tensor"(%{{.*}}) [1]
// CHECK:         rt.call "lathe_sequence_make"(%{{.*}}) [2, 1, 0]
func.func @any_rank(%c: tensor<i1>, %xs: !graph.sequence<tensor<*xf32>>, %p: tensor<i64>,
                    %y: tensor<2xf32>) -> !graph.sequence<tensor<*xf32>> {
  %x = graph.if %c {
    %item = graph.sequence_at %xs at %p : (!graph.sequence<tensor<*xf32>>, tensor<i64>) -> tensor<*xf32>
    graph.yield %item : tensor<*xf32>
  } else {
    graph.yield %y : tensor<2xf32>
  } : (tensor<i1>) -> tensor<*xf32>
  %ys = graph.sequence_construct %x : (tensor<*xf32>) -> !graph.sequence<tensor<*xf32>>
  return %ys : !graph.sequence<tensor<*xf32>>
}

// -----

// An optional is a list of at most one item, a map one of keys and values.
// CHECK-LABEL: func @held(
// CHECK:         rt.check {{.*}}"there are %0 keys and %1 values"
// CHECK:         rt.call "lathe_sequence_make"() [3, 0]
// CHECK:         rt.call "lathe_sequence_make"(%{{.*}}, %{{.*}}) [4, 2, 7, 1]
func.func @held(%k: tensor<?xi64>, %v: tensor<?xf32>)
    -> (!graph.optional<tensor<2xf32>>, tuple<i64, f32>) {
  %none = graph.optional_construct : () -> !graph.optional<tensor<2xf32>>
  %map = graph.map_construct %k, %v : (tensor<?xi64>, tensor<?xf32>) -> tuple<i64, f32>
  return %none, %map : !graph.optional<tensor<2xf32>>, tuple<i64, f32>
}
