// RUN: %lathe-opt %s --graph-simplify --split-input-file --verify-diagnostics | FileCheck %s

// The entries of a map that is known are what it was made of.
// CHECK-LABEL: func @entries(
// CHECK-NEXT:    return %arg0, %arg1
func.func @entries(%k: tensor<3xi64>, %v: tensor<3xf32>) -> (tensor<3xi64>, tensor<3xf32>) {
  %map = graph.map_construct %k, %v : (tensor<3xi64>, tensor<3xf32>) -> tuple<i64, f32>
  %keys, %values = graph.map_entries %map : (tuple<i64, f32>) -> (tensor<3xi64>, tensor<3xf32>)
  return %keys, %values : tensor<3xi64>, tensor<3xf32>
}

// -----

func.func @wrong_key(%k: tensor<3xi32>, %v: tensor<3xf32>) -> tuple<i64, f32> {
  // expected-error @below {{keys of a map must have element type 'i64', got 'tensor<3xi32>'}}
  %map = graph.map_construct %k, %v : (tensor<3xi32>, tensor<3xf32>) -> tuple<i64, f32>
  return %map : tuple<i64, f32>
}

// -----

func.func @wrong_rank(%m: tuple<i64, f32>) -> tensor<1x1xf32> {
  // expected-error @below {{values}}
  %keys, %values = graph.map_entries %m : (tuple<i64, f32>) -> (tensor<1xi64>, tensor<1x1xf32>)
  return %values : tensor<1x1xf32>
}
