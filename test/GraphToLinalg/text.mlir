// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Three keys: two steps by halves, then the comparison with the key that was found.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic
// CHECK-COUNT-2:   tensor.extract %{{.*}} : tensor<3xi64>
// CHECK:           tensor.extract %{{.*}} : tensor<3xi64>
// CHECK:           arith.select
// CHECK:           linalg.yield
func.func @main(%x: tensor<?x2xi64>) -> tensor<?x2xi64> {
  %keys = graph.constant dense<[-3, 5, 8]> : tensor<3xi64>
  %0 = graph.find %x, %keys : (tensor<?x2xi64>, tensor<3xi64>) -> tensor<?x2xi64>
  return %0 : tensor<?x2xi64>
}

// -----

// NaN is the last of the keys.
// CHECK-LABEL: func @main
// CHECK:         arith.cmpf uno
// CHECK:         arith.cmpf ord
// CHECK:         arith.cmpf olt
func.func @main(%x: tensor<4xf32>) -> tensor<4xi64> {
  %keys = graph.constant dense<[0.5, 0x7FC00000]> : tensor<2xf32>
  %0 = graph.find %x, %keys : (tensor<4xf32>, tensor<2xf32>) -> tensor<4xi64>
  return %0 : tensor<4xi64>
}

// -----

// Loops over grams, then places and distances.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "reduction"]
func.func @main(%x: tensor<?xi64>) -> tensor<2xf32> {
  %grams = graph.constant dense<[[1, 0], [2, 3]]> : tensor<2x2xi64>
  %lengths = graph.constant dense<[1, 2]> : tensor<2xi64>
  %0 = graph.count_ngrams %x, %grams, %lengths {max_skip = 1 : i64} : (tensor<?xi64>, tensor<2x2xi64>, tensor<2xi64>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
