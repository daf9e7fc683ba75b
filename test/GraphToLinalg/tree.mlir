// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// The loops run over rows and targets; inside, four trees are walked side by side, a step of each in
// turn, then what is left one by one. Two steps are two loads of a node, a comparison and a sum,
// without a branch; the payloads of the leaves are added in the order of the trees.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[X:.*]]: tensor<?x2xf32>
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]
// CHECK:           %[[ROW:.*]] = linalg.index 0
// CHECK:           scf.for {{.*}} step %c4 iter_args
// CHECK-COUNT-4:     tensor.extract %[[X]][%[[ROW]], %{{.*}}]
// CHECK-COUNT-4:     tensor.extract %[[X]][%[[ROW]], %{{.*}}]
// CHECK-COUNT-4:     arith.addf
// CHECK:           scf.for {{.*}} step %c1{{.*}} iter_args(%[[SUM:.*]] = %
// CHECK:             %[[FEATURE:.*]] = tensor.extract %{{.*}}[%{{.*}}, %c0
// CHECK:             tensor.extract %[[X]][%[[ROW]], %{{.*}}]
// CHECK:             arith.bitcast %{{.*}} : i32 to f32
// CHECK:             %[[GOES:.*]] = arith.cmpf ole
// CHECK:             %[[ONE:.*]] = arith.extui %[[GOES]] : i1 to i32
// CHECK:             arith.addi %{{.*}}, %[[ONE]]
// CHECK:             arith.cmpf ole
// CHECK-NOT:         arith.cmpf
// CHECK:             %[[VALUE:.*]] = arith.bitcast
// CHECK:             arith.addf %[[SUM]], %[[VALUE]]
func.func @main(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %nodes = graph.constant dense<[[0, 1, 1065353216, 0], [0, 1, 2143289344, 1065353216],
                                 [1, 3, 0, 0], [0, 3, 2143289344, 0],
                                 [0, 4, 2143289344, 1073741824]]> : tensor<5x4xi32>
  %roots = graph.constant dense<[[[0, 2]]]> : tensor<1x1x2xi32>
  %0 = graph.tree_ensemble sum %x, %nodes, %roots {features = 2 : i64} : (tensor<?x2xf32>, tensor<5x4xi32>, tensor<1x1x2xi32>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// Deep trees are walked in rounds of four steps until the leaf is reached. Leaves with a row
// of values: they are found first. The width of the rows is only known when running.
// CHECK-LABEL: func @main
// CHECK:         rt.check %{{.*}}, 1, "a row has %0 features, the trees read %1"
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK:           scf.while
// CHECK-COUNT-4:     arith.cmpf uno
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK:           arith.maximumf
func.func @main(%x: tensor<3x?xf64>) -> tensor<3x2xf64> {
  %nodes = graph.constant dense<[[-9223372036854775808, 1, 0, 0], [0, 1, 9221120237041090560, 0],
                                 [0, 2, 9221120237041090560, 1]]> : tensor<3x4xi64>
  %roots = graph.constant dense<[[0, 9]]> : tensor<1x2xi64>
  %values = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf64>
  %0 = graph.tree_ensemble max %x, %nodes, %roots, %values {features = 5 : i64, missing} : (tensor<3x?xf64>, tensor<3x4xi64>, tensor<1x2xi64>, tensor<2x2xf64>) -> tensor<3x2xf64>
  return %0 : tensor<3x2xf64>
}

// -----

// Trees of different depths, up to eight: each to its own depth, a step of all that are side by side
// in turn. Nothing tells leaves from branches on the way.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%{{.*}} : tensor<2x2xi32>, tensor<2x2xi32>)
// CHECK-NEXT:    ^bb0(%{{.*}}: i32, %[[STEPS:.*]]: i32, %{{.*}}: i32):
// CHECK:           %[[END:.*]] = arith.index_cast %[[STEPS]]
// CHECK:           scf.for %{{.*}} = %{{.*}} to %[[END]] step %{{.*}} iter_args
// CHECK-NOT:       scf.while
// CHECK:             arith.cmpf ole
// CHECK-NEXT:        arith.extui
// CHECK-NOT:         arith.cmpf
// CHECK:             scf.yield
func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %nodes = graph.constant dense<[[0, 1, 2143289344, 0], [0, 2, 1065353216, 0], [0, 2, 2143289344, 0],
                                 [1, 2, 2143289344, 1]]> : tensor<4x4xi32>
  %roots = graph.constant dense<[[0, 1], [1, 2]]> : tensor<2x2xi32>
  %values = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %0 = graph.tree_ensemble sum %x, %nodes, %roots, %values {features = 2 : i64} : (tensor<?x2xf32>, tensor<4x4xi32>, tensor<2x2xi32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
