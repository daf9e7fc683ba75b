// For matrix units, products take the 16-bit numbers that their operands were widened from, and constants
// in 16 bits where nothing is lost.
// RUN: %lathe-opt --schedule-narrow-operands %s | FileCheck %s
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
// CHECK-LABEL: func.func @exact(
// CHECK-SAME: %[[A:.*]]: tensor<2x2xf16>
// CHECK: %[[W:.*]] = rt.weight dense<{{.*}}5.000000e-01{{.*}}> : tensor<2x2xf16>
// CHECK: linalg.generic {{.*}} ins(%[[A]], %[[W]] : tensor<2x2xf16>, tensor<2x2xf16>)
// CHECK: arith.extf
// CHECK: arith.extf
// CHECK: arith.mulf
func.func @exact(%a: tensor<2x2xf16>, %sum: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = rt.weight dense<[[0.5, 1.0], [2.0, -3.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<2x2xf16>) outs(%e : tensor<2x2xf32>) {
  ^bb0(%in: f16, %o: f32):
    %t = arith.extf %in : f16 to f32
    linalg.yield %t : f32
  } -> tensor<2x2xf32>
  %0 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%wide, %w : tensor<2x2xf32>, tensor<2x2xf32>) outs(%sum : tensor<2x2xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// A third has no 16-bit form; the product stays as it is.
// CHECK-LABEL: func.func @inexact(
// CHECK: rt.weight {{.*}}tensor<2x2xf32>
// CHECK: linalg.generic {{.*}} : tensor<2x2xf32>, tensor<2x2xf32>)
func.func @inexact(%a: tensor<2x2xf16>, %sum: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = rt.weight dense<0.333333343> : tensor<2x2xf32> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<2x2xf16>) outs(%e : tensor<2x2xf32>) {
  ^bb0(%in: f16, %o: f32):
    %t = arith.extf %in : f16 to f32
    linalg.yield %t : f32
  } -> tensor<2x2xf32>
  %0 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%wide, %w : tensor<2x2xf32>, tensor<2x2xf32>) outs(%sum : tensor<2x2xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}
