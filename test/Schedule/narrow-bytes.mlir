// Products of differences of bytes by constant bytes take the bytes where a matrix unit does: unsigned ones
// as they are, or each 128 less. What zero points add to a column follows from the sum of its weights.
// RUN: %lathe-opt --schedule-narrow-operands="matrix-unit=mma.sync,mma.sync.i8" %s | FileCheck %s
// RUN: %lathe-opt --schedule-narrow-operands="matrix-unit=mfma,mfma.i8" %s | FileCheck %s --check-prefix=SIGNED
// RUN: %lathe-opt --schedule-narrow-operands="matrix-unit=mma.sync" %s | FileCheck %s --check-prefix=NONE
// NONE-NOT: tensor<8xi32>
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
#none = affine_map<(m, n) -> ()>
// Each column's weights add up to 8.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[A:.*]]: tensor<8x8xi8>, %[[Z:.*]]: tensor<i32>
// CHECK: %[[P:.*]] = linalg.generic {{.*}} ins(%[[A]], %{{.*}} : tensor<8x8xi8>, tensor<8x8xi8>)
// CHECK: arith.extui
// CHECK: arith.extsi
// CHECK: %[[SUMS:.*]] = rt.weight dense<8> : tensor<8xi32>
// CHECK: linalg.generic {{.*}} ins(%[[P]], %[[SUMS]], %[[Z]] :
// CHECK: %[[FACTOR:.*]] = arith.subi %c0_i32
// CHECK: arith.muli %{{.*}}, %[[FACTOR]]
// CHECK: arith.addi
// SIGNED-LABEL: func.func @main(
// SIGNED-SAME: %[[A:.*]]: tensor<8x8xi8>
// SIGNED: %[[LESS:.*]] = linalg.generic {{.*}} ins(%[[A]] : tensor<8x8xi8>) outs({{.*}} : tensor<8x8xi8>)
// SIGNED: arith.xori %{{.*}}, %c-128_i8
// SIGNED: linalg.generic {{.*}} ins(%[[LESS]],
// SIGNED-NEXT: ^bb0
// SIGNED-NEXT: arith.extsi
// SIGNED-NEXT: arith.extsi
// SIGNED: arith.subi %c128_i32
func.func @main(%a: tensor<8x8xi8>, %z: tensor<i32>, %sum: tensor<8x8xi32>) -> tensor<8x8xi32> {
  %w = rt.weight dense<1> : tensor<8x8xi8> : tensor<8x8xi8>
  %e = tensor.empty() : tensor<8x8xi32>
  %n = tensor.empty() : tensor<8x8xi16>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<8x8xi8>) outs(%e : tensor<8x8xi32>) {
  ^bb0(%in: i8, %o: i32):
    %t = arith.extui %in : i8 to i32
    linalg.yield %t : i32
  } -> tensor<8x8xi32>
  %1 = linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel", "parallel"]}
      ins(%0, %z : tensor<8x8xi32>, tensor<i32>) outs(%e : tensor<8x8xi32>) {
  ^bb0(%in: i32, %zero: i32, %o: i32):
    %t = arith.subi %in, %zero : i32
    linalg.yield %t : i32
  } -> tensor<8x8xi32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%1 : tensor<8x8xi32>) outs(%n : tensor<8x8xi16>) {
  ^bb0(%in: i32, %o: i16):
    %t = arith.trunci %in : i32 to i16
    linalg.yield %t : i16
  } -> tensor<8x8xi16>
  %3 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%2, %w : tensor<8x8xi16>, tensor<8x8xi8>) outs(%sum : tensor<8x8xi32>) {
  ^bb0(%l: i16, %r: i8, %s: i32):
    %lw = arith.extsi %l : i16 to i32
    %rw = arith.extsi %r : i8 to i32
    %m = arith.muli %lw, %rw : i32
    %t = arith.addi %s, %m : i32
    linalg.yield %t : i32
  } -> tensor<8x8xi32>
  return %3 : tensor<8x8xi32>
}
