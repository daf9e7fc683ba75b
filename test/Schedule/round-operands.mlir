// On request, products and attentions of f32 take operands rounded to bf16: constants as such, the others
// by an elementwise operation, before transposes, so that these remain but other strides.
// RUN: %lathe-opt --schedule-narrow-operands="precision=bf16" %s | FileCheck %s
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
#turn = affine_map<(a, b, c, d) -> (a, c, b, d)>
// CHECK-LABEL: func.func @product(
// CHECK-SAME: %[[A:.*]]: tensor<?x16xf32>, %[[B:.*]]: tensor<16x8xf32>
// CHECK-DAG: %[[WEIGHT:.*]] = rt.weight {{.*}} : tensor<8x16xbf16>
// CHECK-DAG: %[[LEFT:.*]] = linalg.generic {{.*}} ins(%[[A]] : tensor<?x16xf32>) outs({{.*}} : tensor<?x16xbf16>)
// CHECK-DAG: %[[RIGHT:.*]] = linalg.generic {{.*}} ins(%[[B]] : tensor<16x8xf32>) outs({{.*}} : tensor<16x8xbf16>)
// CHECK: %[[FIRST:.*]] = linalg.generic {{.*}} ins(%[[LEFT]], %[[RIGHT]] : tensor<?x16xbf16>, tensor<16x8xbf16>)
// CHECK: arith.extf
// CHECK: arith.extf
// CHECK: %[[MADE:.*]] = linalg.generic {{.*}} ins(%[[FIRST]] : {{.*}} outs({{.*}} : tensor<?x8xbf16>)
// CHECK: linalg.generic {{.*}} ins(%[[MADE]], %[[WEIGHT]] :
func.func @product(%a: tensor<?x16xf32>, %b: tensor<16x8xf32>, %sum: tensor<?x8xf32>,
                   %last: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = rt.weight dense<0.333333343> : tensor<8x16xf32> : tensor<8x16xf32>
  %0 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x16xf32>, tensor<16x8xf32>) outs(%sum : tensor<?x8xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %1 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0, %w : tensor<?x8xf32>, tensor<8x16xf32>) outs(%last : tensor<?x16xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}

// Sums that no tile is for stay as they are.
// CHECK-LABEL: func.func @narrow(
// CHECK-NOT: bf16
// CHECK: return
func.func @narrow(%a: tensor<4x16xf32>, %b: tensor<16x8xf32>, %sum: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<4x16xf32>, tensor<16x8xf32>) outs(%sum : tensor<4x8xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// The plain form of an attention widens what it is given.
// CHECK-LABEL: func.func private @attention_0(
// CHECK-SAME: tensor<1x4x70x32xbf16>, {{.*}}tensor<1x4x70x32xbf16>, {{.*}}tensor<1x4x70x32xbf16>) -> tensor<1x4x70x32xf32>
// CHECK-COUNT-3: arith.extf
func.func private @attention_0(%q: tensor<1x4x70x32xf32>, %k: tensor<1x4x70x32xf32>,
                               %v: tensor<1x4x70x32xf32>) -> tensor<1x4x70x32xf32>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  %e = tensor.empty() : tensor<1x4x70x32xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id, #id, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q, %k, %v : tensor<1x4x70x32xf32>, tensor<1x4x70x32xf32>, tensor<1x4x70x32xf32>)
      outs(%e : tensor<1x4x70x32xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    %t = arith.mulf %s, %c : f32
    linalg.yield %t : f32
  } -> tensor<1x4x70x32xf32>
  return %0 : tensor<1x4x70x32xf32>
}
// CHECK-LABEL: func.func @attend(
// CHECK-SAME: %[[X:.*]]: tensor<1x70x4x32xf32>
// CHECK: %[[ROUNDED:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<1x70x4x32xf32>) outs({{.*}} : tensor<1x70x4x32xbf16>)
// CHECK: %[[TURNED:.*]] = linalg.generic {{.*}} ins(%[[ROUNDED]] : tensor<1x70x4x32xbf16>) outs({{.*}} : tensor<1x4x70x32xbf16>)
// CHECK: call @attention_0(%[[TURNED]], %[[TURNED]], %{{.*}}) :
func.func @attend(%x: tensor<1x70x4x32xf32>, %v: tensor<1x4x70x32xf32>) -> tensor<1x4x70x32xf32> {
  %e = tensor.empty() : tensor<1x4x70x32xf32>
  %q = linalg.generic {indexing_maps = [#turn, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x70x4x32xf32>) outs(%e : tensor<1x4x70x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<1x4x70x32xf32>
  %0 = call @attention_0(%q, %q, %v) : (tensor<1x4x70x32xf32>, tensor<1x4x70x32xf32>,
                                        tensor<1x4x70x32xf32>) -> tensor<1x4x70x32xf32>
  return %0 : tensor<1x4x70x32xf32>
}
