// RUN: %lathe-opt %s --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// Equal work on other memory is one kernel; names come from what a kernel does, so another size is
// another kernel.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[EXP:loop_[0-9a-f]+]](
// CHECK:         rt.dispatch @[[EXP]](
// CHECK-NOT:     rt.dispatch @[[EXP]](
// CHECK:         rt.dispatch @[[OTHER:loop_[0-9a-f]+]](
// CHECK:       func.func private @[[EXP]]
// CHECK:       func.func private @[[OTHER]]
// CHECK-NOT:   func.func private
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<3x8xf32>, %b: tensor<3x8xf32>, %c: tensor<3x9xf32>)
    -> (tensor<3x8xf32>, tensor<3x8xf32>, tensor<3x9xf32>) {
  %e = tensor.empty() : tensor<3x8xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<3x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%b : tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<3x8xf32>
  %e1 = tensor.empty() : tensor<3x9xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c : tensor<3x9xf32>) outs(%e1 : tensor<3x9xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    linalg.yield %0 : f32
  } -> tensor<3x9xf32>
  return %x, %y, %z : tensor<3x8xf32>, tensor<3x8xf32>, tensor<3x9xf32>
}
