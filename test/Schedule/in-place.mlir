// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// The exponentials, which the quotients replace one by one, lie in the output: no other memory is
// planned but that of the sums.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[OUT:.*]] = rt.output %{{.*}}[0]
// CHECK-DAG:     %[[IN:.*]] = rt.input %{{.*}}[0]
// CHECK-DAG:     %[[SUMS:.*]] = rt.arena
// CHECK-NOT:     rt.arena
// CHECK:         rt.dispatch @{{.*}} buffers(%[[IN]], %[[OUT]], %[[SUMS]])
// CHECK-NOT:     rt.dispatch
// CHECK-LABEL: func.func @plan
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @main(%a: tensor<5x33xf32>) -> tensor<5x33xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x33xf32>
  %r = tensor.empty() : tensor<5xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<5x33xf32>) outs(%e : tensor<5x33xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<5x33xf32>
  %f = linalg.fill ins(%zero : f32) outs(%r : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<5x33xf32>) outs(%f : tensor<5xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<5x33xf32>, tensor<5xf32>) outs(%e : tensor<5x33xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<5x33xf32>
  return %y : tensor<5x33xf32>
}

// -----

// What is an output itself, as the exponentials here, has memory of its own.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[X:.*]] = rt.output %{{.*}}[1]
// CHECK-DAG:     %[[Y:.*]] = rt.output %{{.*}}[0]
// CHECK-DAG:     %[[IN:.*]] = rt.input %{{.*}}[0]
// CHECK:         rt.dispatch @{{.*}} buffers(%[[IN]], %[[X]], %{{.*}}, %[[Y]])
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @main(%a: tensor<5x33xf32>) -> (tensor<5x33xf32>, tensor<5x33xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x33xf32>
  %r = tensor.empty() : tensor<5xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<5x33xf32>) outs(%e : tensor<5x33xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<5x33xf32>
  %f = linalg.fill ins(%zero : f32) outs(%r : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<5x33xf32>) outs(%f : tensor<5xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<5x33xf32>, tensor<5xf32>) outs(%e : tensor<5x33xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<5x33xf32>
  return %y, %x : tensor<5x33xf32>, tensor<5x33xf32>
}
