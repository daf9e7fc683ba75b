// Products of what is widened from 8-bit floats take these, as bytes, where a matrix unit does, whatever the
// operations that widen: their 256 results tell. Constants of f32 do where each is such a number.
// RUN: %lathe-opt --schedule-narrow-operands="matrix-unit=mma.sync,mma.sync.f8" %s | FileCheck %s
// RUN: %lathe-opt --schedule-narrow-operands="matrix-unit=mma.sync" %s | FileCheck %s --check-prefix=NONE
// NONE-NOT: f8E5M2
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
// 240 is no number of e5m2: the constant is of e4m3.
// CHECK-LABEL: func.func @constant(
// CHECK-SAME: %[[A:.*]]: tensor<8x8xi8>
// CHECK: %[[W:.*]] = rt.weight dense<119> : tensor<8x8xi8>
// CHECK: linalg.generic {{.*}} ins(%[[A]], %[[W]] : tensor<8x8xi8>, tensor<8x8xi8>)
// CHECK-DAG: %[[L:.*]] = arith.bitcast %{{.*}} : i8 to f8E5M2
// CHECK-DAG: %[[R:.*]] = arith.bitcast %{{.*}} : i8 to f8E4M3FN
// CHECK-DAG: arith.extf %[[L]] : f8E5M2 to f32
// CHECK-DAG: arith.extf %[[R]] : f8E4M3FN to f32
func.func @constant(%a: tensor<8x8xi8>, %sum: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %c24 = arith.constant 24 : i32
  %c21 = arith.constant 21 : i32
  %c4 = arith.constant 4 : i32
  %c80000000 = arith.constant 0x80000000 : i32
  %c7f = arith.constant 0x7f : i32
  %c7b = arith.constant 0x7b : i32
  %c7c = arith.constant 0x7c : i32
  %bias = arith.constant 0x38000000 : i32
  %step = arith.constant 1.52587890625e-05 : f32
  %nan = arith.constant 0x7fc00000 : i32
  %inf = arith.constant 0x7f800000 : i32
  %w = rt.weight dense<240.0> : tensor<8x8xf32> : tensor<8x8xf32>
  %e = tensor.empty() : tensor<8x8xf32>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<8x8xi8>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%in: i8, %o: f32):
    %wide8 = arith.extui %in : i8 to i32
    %moved = arith.shli %wide8, %c24 : i32
    %sign = arith.andi %moved, %c80000000 : i32
    %magnitude = arith.andi %wide8, %c7f : i32
    %shifted = arith.shli %magnitude, %c21 : i32
    %normal = arith.addi %shifted, %bias : i32
    %count = arith.uitofp %magnitude : i32 to f32
    %tiny = arith.mulf %count, %step : f32
    %small = arith.bitcast %tiny : f32 to i32
    %isSmall = arith.cmpi ult, %magnitude, %c4 : i32
    %finite = arith.select %isSmall, %small, %normal : i32
    %isBeyond = arith.cmpi ugt, %magnitude, %c7b : i32
    %orNaN = arith.select %isBeyond, %nan, %finite : i32
    %isInf = arith.cmpi eq, %magnitude, %c7c : i32
    %orInf = arith.select %isInf, %inf, %orNaN : i32
    %bits = arith.ori %orInf, %sign : i32
    %f = arith.bitcast %bits : i32 to f32
    linalg.yield %f : f32
  } -> tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%wide, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%sum : tensor<8x8xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<8x8xf32>
  return %p : tensor<8x8xf32>
}

// Twice the number is another one, and 0.3 is none: both products stay as they are.
// CHECK-LABEL: func.func @others(
// CHECK-NOT: f8E
func.func @others(%a: tensor<8x8xi8>, %sum: tensor<8x8xf32>) -> (tensor<8x8xf32>, tensor<8x8xf32>) {
  %c24 = arith.constant 24 : i32
  %c21 = arith.constant 21 : i32
  %c4 = arith.constant 4 : i32
  %c80000000 = arith.constant 0x80000000 : i32
  %c7f = arith.constant 0x7f : i32
  %c7b = arith.constant 0x7b : i32
  %c7c = arith.constant 0x7c : i32
  %bias = arith.constant 0x38000000 : i32
  %step = arith.constant 1.52587890625e-05 : f32
  %nan = arith.constant 0x7fc00000 : i32
  %inf = arith.constant 0x7f800000 : i32
  %w = rt.weight dense<240.0> : tensor<8x8xf32> : tensor<8x8xf32>
  %v = rt.weight dense<0.3> : tensor<8x8xf32> : tensor<8x8xf32>
  %e = tensor.empty() : tensor<8x8xf32>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<8x8xi8>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%in: i8, %o: f32):
    %wide8 = arith.extui %in : i8 to i32
    %moved = arith.shli %wide8, %c24 : i32
    %sign = arith.andi %moved, %c80000000 : i32
    %magnitude = arith.andi %wide8, %c7f : i32
    %shifted = arith.shli %magnitude, %c21 : i32
    %normal = arith.addi %shifted, %bias : i32
    %count = arith.uitofp %magnitude : i32 to f32
    %tiny = arith.mulf %count, %step : f32
    %small = arith.bitcast %tiny : f32 to i32
    %isSmall = arith.cmpi ult, %magnitude, %c4 : i32
    %finite = arith.select %isSmall, %small, %normal : i32
    %isBeyond = arith.cmpi ugt, %magnitude, %c7b : i32
    %orNaN = arith.select %isBeyond, %nan, %finite : i32
    %isInf = arith.cmpi eq, %magnitude, %c7c : i32
    %orInf = arith.select %isInf, %inf, %orNaN : i32
    %bits = arith.ori %orInf, %sign : i32
    %f = arith.bitcast %bits : i32 to f32
    linalg.yield %f : f32
  } -> tensor<8x8xf32>
  %twice = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<8x8xi8>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%in: i8, %o: f32):
    %wide8 = arith.extui %in : i8 to i32
    %moved = arith.shli %wide8, %c24 : i32
    %sign = arith.andi %moved, %c80000000 : i32
    %magnitude = arith.andi %wide8, %c7f : i32
    %shifted = arith.shli %magnitude, %c21 : i32
    %normal = arith.addi %shifted, %bias : i32
    %count = arith.uitofp %magnitude : i32 to f32
    %tiny = arith.mulf %count, %step : f32
    %small = arith.bitcast %tiny : f32 to i32
    %isSmall = arith.cmpi ult, %magnitude, %c4 : i32
    %finite = arith.select %isSmall, %small, %normal : i32
    %isBeyond = arith.cmpi ugt, %magnitude, %c7b : i32
    %orNaN = arith.select %isBeyond, %nan, %finite : i32
    %isInf = arith.cmpi eq, %magnitude, %c7c : i32
    %orInf = arith.select %isInf, %inf, %orNaN : i32
    %bits = arith.ori %orInf, %sign : i32
    %f = arith.bitcast %bits : i32 to f32
    %k = arith.constant 2.0 : f32
    %g = arith.mulf %f, %k : f32
    linalg.yield %g : f32
  } -> tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%twice, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%sum : tensor<8x8xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<8x8xf32>
  %q = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%wide, %v : tensor<8x8xf32>, tensor<8x8xf32>) outs(%sum : tensor<8x8xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<8x8xf32>
  return %p, %q : tensor<8x8xf32>, tensor<8x8xf32>
}

// Weights that are bytes already, too large to be evaluated before, with what is added up together.
// CHECK-LABEL: func.func @held(
// CHECK: rt.weight dense<{{\[\[}}0, 8, 16, 24, 32, 40, 48, 56], [1, 9,
// CHECK: linalg.generic {{.*}} : tensor<8x8xi8>, tensor<8x8xi8>)
func.func @held(%given: tensor<8x8xi8>, %sum: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %c24 = arith.constant 24 : i32
  %c21 = arith.constant 21 : i32
  %c4 = arith.constant 4 : i32
  %c80000000 = arith.constant 0x80000000 : i32
  %c7f = arith.constant 0x7f : i32
  %c7b = arith.constant 0x7b : i32
  %c7c = arith.constant 0x7c : i32
  %bias = arith.constant 0x38000000 : i32
  %step = arith.constant 1.52587890625e-05 : f32
  %nan = arith.constant 0x7fc00000 : i32
  %inf = arith.constant 0x7f800000 : i32
  %w = rt.weight dense<"0x000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F"> : tensor<8x8xi8> : tensor<8x8xi8>
  %e = tensor.empty() : tensor<8x8xf32>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%given : tensor<8x8xi8>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%in: i8, %o: f32):
    %wide8 = arith.extui %in : i8 to i32
    %moved = arith.shli %wide8, %c24 : i32
    %sign = arith.andi %moved, %c80000000 : i32
    %magnitude = arith.andi %wide8, %c7f : i32
    %shifted = arith.shli %magnitude, %c21 : i32
    %normal = arith.addi %shifted, %bias : i32
    %count = arith.uitofp %magnitude : i32 to f32
    %tiny = arith.mulf %count, %step : f32
    %small = arith.bitcast %tiny : f32 to i32
    %isSmall = arith.cmpi ult, %magnitude, %c4 : i32
    %finite = arith.select %isSmall, %small, %normal : i32
    %isBeyond = arith.cmpi ugt, %magnitude, %c7b : i32
    %orNaN = arith.select %isBeyond, %nan, %finite : i32
    %isInf = arith.cmpi eq, %magnitude, %c7c : i32
    %orInf = arith.select %isInf, %inf, %orNaN : i32
    %bits = arith.ori %orInf, %sign : i32
    %f = arith.bitcast %bits : i32 to f32
    linalg.yield %f : f32
  } -> tensor<8x8xf32>
  %weights = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w : tensor<8x8xi8>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%in: i8, %o: f32):
    %wide8 = arith.extui %in : i8 to i32
    %moved = arith.shli %wide8, %c24 : i32
    %sign = arith.andi %moved, %c80000000 : i32
    %magnitude = arith.andi %wide8, %c7f : i32
    %shifted = arith.shli %magnitude, %c21 : i32
    %normal = arith.addi %shifted, %bias : i32
    %count = arith.uitofp %magnitude : i32 to f32
    %tiny = arith.mulf %count, %step : f32
    %small = arith.bitcast %tiny : f32 to i32
    %isSmall = arith.cmpi ult, %magnitude, %c4 : i32
    %finite = arith.select %isSmall, %small, %normal : i32
    %isBeyond = arith.cmpi ugt, %magnitude, %c7b : i32
    %orNaN = arith.select %isBeyond, %nan, %finite : i32
    %isInf = arith.cmpi eq, %magnitude, %c7c : i32
    %orInf = arith.select %isInf, %inf, %orNaN : i32
    %bits = arith.ori %orInf, %sign : i32
    %f = arith.bitcast %bits : i32 to f32
    linalg.yield %f : f32
  } -> tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%wide, %weights : tensor<8x8xf32>, tensor<8x8xf32>) outs(%sum : tensor<8x8xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r : f32
    %t = arith.addf %s, %m : f32
    linalg.yield %t : f32
  } -> tensor<8x8xf32>
  return %p : tensor<8x8xf32>
}
