// Attention is one kernel without a matrix of scores, and reads its operands as they lie; where there
// is no emitter for it, its body is scheduled as any other code.
// RUN: %lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32" %s | FileCheck %s
// RUN: %lathe-opt --schedule-form-dispatches="opt-level=0" %s | FileCheck %s --check-prefix=PLAIN
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
#turn = affine_map<(a, b, c, d) -> (a, c, b, d)>
#q = affine_map<(b, h, s, t, d) -> (b, h, s, d)>
#k = affine_map<(b, h, s, t, d) -> (b, h, t, d)>
#out = affine_map<(b, h, s, t, d) -> (b, h, s, t)>
// The body is cut short here: only -O0 looks at it.
func.func private @attention_0(%q: tensor<1x4x16x32xf32>, %k: tensor<1x4x16x32xf32>,
                               %v: tensor<1x4x16x32xf32>) -> tensor<1x4x16x32xf32>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  %e = tensor.empty() : tensor<1x4x16x32xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id, #id, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q, %k, %v : tensor<1x4x16x32xf32>, tensor<1x4x16x32xf32>, tensor<1x4x16x32xf32>)
      outs(%e : tensor<1x4x16x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    %t = arith.mulf %s, %c : f32
    linalg.yield %t : f32
  } -> tensor<1x4x16x32xf32>
  return %0 : tensor<1x4x16x32xf32>
}
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @attention_{{[0-9a-f]+}}{{.*}} count %c1
// CHECK-NOT: rt.dispatch
// PLAIN-LABEL: func.func @run
// PLAIN-NOT: attention
// PLAIN-COUNT-3: rt.dispatch @loop
func.func @main(%x: tensor<1x16x4x32xf32>, %k: tensor<1x4x16x32xf32>, %v: tensor<1x4x16x32xf32>)
    -> tensor<1x16x4x32xf32> {
  %e = tensor.empty() : tensor<1x4x16x32xf32>
  %q = linalg.generic {indexing_maps = [#turn, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x16x4x32xf32>) outs(%e : tensor<1x4x16x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<1x4x16x32xf32>
  %0 = call @attention_0(%q, %k, %v) : (tensor<1x4x16x32xf32>, tensor<1x4x16x32xf32>,
                                        tensor<1x4x16x32xf32>) -> tensor<1x4x16x32xf32>
  %e1 = tensor.empty() : tensor<1x16x4x32xf32>
  %1 = linalg.generic {indexing_maps = [#turn, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%0 : tensor<1x4x16x32xf32>) outs(%e1 : tensor<1x16x4x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<1x16x4x32xf32>
  return %1 : tensor<1x16x4x32xf32>
}
// CHECK-LABEL: func.func private @attention_
// CHECK: vector.shuffle
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-16: vector.fma
// CHECK: math.exp
