// Operands that lie across one another are turned in registers, square by square.
// RUN: lathe-opt --schedule-form-dispatches="vector-bits=256" %s | FileCheck %s
// RUN: lathe-opt --schedule-form-dispatches="opt-level=0" %s | FileCheck %s --check-prefix=PLAIN
#t = affine_map<(m, n) -> (n, m)>
#id = affine_map<(m, n) -> (m, n)>
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @transpose_{{[0-9a-f]+}}{{.*}} count %c3{{ }}
// CHECK: rt.dispatch @loop_
// PLAIN-NOT: vector.shuffle
func.func @main(%x: tensor<64x20xf32>, %y: tensor<20x64xf32>, %z: tensor<64x2xf32>)
    -> (tensor<20x64xf32>, tensor<2x64xf32>) {
  %e = tensor.empty() : tensor<20x64xf32>
  %0 = linalg.generic {indexing_maps = [#t, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<64x20xf32>, tensor<20x64xf32>) outs(%e : tensor<20x64xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<20x64xf32>
  %e1 = tensor.empty() : tensor<2x64xf32>
  %1 = linalg.generic {indexing_maps = [#t, #id], iterator_types = ["parallel", "parallel"]}
      ins(%z : tensor<64x2xf32>) outs(%e1 : tensor<2x64xf32>) {
  ^bb0(%a: f32, %out: f32):
    linalg.yield %a : f32
  } -> tensor<2x64xf32>
  return %0, %1 : tensor<20x64xf32>, tensor<2x64xf32>
}
// Whole squares without masks, the last band with them.
// CHECK-LABEL: func.func private @transpose_
// CHECK: scf.if
// CHECK-COUNT-8: vector.load
// CHECK-COUNT-24: vector.shuffle
// CHECK-COUNT-8: vector.store
// CHECK: else
// CHECK: vector.maskedload
// CHECK: vector.maskedstore
