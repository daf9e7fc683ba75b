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

// -----

// Strings are moved as numbers of 16 bytes; a builtin compares them.
// CHECK-LABEL: func @main
// CHECK-SAME:    %[[X:.*]]: tensor<2x?xi128> {graph.element_type = !graph.string}
// CHECK:         %[[WORDS:.*]] = rt.weight dense<["a", "b"]> : tensor<2x!graph.string> : tensor<2xi128>
// CHECK:         linalg.generic
// CHECK:         %[[EQUAL:.*]], %{{.*}} = rt.call "lathe_text_equal"(%{{.*}}, %{{.*}}) []
// CHECK-SAME:      : (tensor<?x2xi128>, tensor<?x2xi128>) -> (tensor<?x2xi8>) sizes(index)
func.func @main(%x: tensor<2x?x!graph.string>) -> tensor<?x2xi1> {
  %words = graph.constant dense<["a", "b"]> : tensor<2x!graph.string>
  %t = graph.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x?x!graph.string>) -> tensor<?x2x!graph.string>
  %0 = graph.binary equal %t, %words : (tensor<?x2x!graph.string>, tensor<2x!graph.string>) -> tensor<?x2xi1>
  return %0 : tensor<?x2xi1>
}

// -----

// How many pieces there are, only the data says.
// CHECK-LABEL: func @main
// CHECK:         %{{.*}}:2, %[[MOST:.*]] = rt.call "lathe_text_split"(%{{.*}}, %{{.*}}) [-1]
// CHECK-SAME:      : (tensor<3xi128>, tensor<i128>) -> (tensor<3x?xi128>, tensor<3xi64>) sizes(index)
func.func @main(%x: tensor<3x!graph.string>) -> (tensor<3x?x!graph.string>, tensor<3xi64>) {
  %0, %1 = graph.string_split %x {delimiter = ",", max_splits = -1 : i64} : (tensor<3x!graph.string>) -> (tensor<3x?x!graph.string>, tensor<3xi64>)
  return %0, %1 : tensor<3x?x!graph.string>, tensor<3xi64>
}
