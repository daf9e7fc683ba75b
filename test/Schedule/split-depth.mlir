// On a GPU, sums of few results that each add up much: blocks have slices of what is added up, and another
// kernel adds up what they found, with what follows the sum. Of rows that only the run knows that depends
// on how many there are. Nothing is cut where rounding must keep its order, or where it is not known how
// many blocks there should be.
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread processors=100 matrix-unit=mma.sync" --split-input-file %s | FileCheck %s
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread processors=100 matrix-unit=mma.sync strict" --split-input-file %s | FileCheck %s --check-prefix=WHOLE
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync" --split-input-file %s | FileCheck %s --check-prefix=WHOLE
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#all = affine_map<(m, n) -> (m, n)>
// 16 slices of 256 terms: no slice is smaller.
// CHECK-LABEL: func.func @run
// CHECK: %[[PARTS:.*]] = rt.alloc %c327680
// CHECK: rt.dispatch @[[TILE:tile_[0-9a-f]+]]({{.*}}buffers({{.*}}, {{.*}}, %[[PARTS]])
// CHECK: rt.dispatch @[[SUM:(loop|column)_[0-9a-f]+]]({{.*}}buffers(%[[PARTS]],
// CHECK-NOT: rt.dispatch
// CHECK: func.func private @[[TILE]]
// CHECK: rt.multiply_matrices "mma.sync"
// The sum of the slices, and what follows.
// CHECK: func.func private @[[SUM]]
// CHECK: arith.addf
// CHECK: arith.maximumf
// WHOLE-LABEL: func.func @run
// WHOLE: rt.dispatch @tile_
// WHOLE-NOT: rt.dispatch
func.func @main(%a: tensor<64x4096xf16>, %b: tensor<4096x80xf16>) -> tensor<64x80xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x80xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<64x80xf32>) -> tensor<64x80xf32>
  %product = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<64x4096xf16>, tensor<4096x80xf16>) outs(%0 : tensor<64x80xf32>) {
  ^bb0(%l: f16, %r: f16, %s: f32):
    %lw = arith.extf %l : f16 to f32
    %rw = arith.extf %r : f16 to f32
    %m = arith.mulf %lw, %rw fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<64x80xf32>
  %relu = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%product : tensor<64x80xf32>) outs(%e : tensor<64x80xf32>) {
  ^bb0(%in: f32, %o: f32):
    %t = arith.maximumf %in, %zero : f32
    linalg.yield %t : f32
  } -> tensor<64x80xf32>
  return %relu : tensor<64x80xf32>
}

// -----

// Up to 64 rows by slices; more fill blocks by themselves.
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
// CHECK-LABEL: func.func @run
// CHECK: arith.cmpi ule, %{{.*}}, %c64
// CHECK: scf.if
// CHECK: rt.dispatch @tile_
// CHECK: rt.dispatch @{{loop|column}}_
// CHECK: } else {
// CHECK: rt.dispatch @tile_
// CHECK-NOT: rt.dispatch
// WHOLE-LABEL: func.func @run
// WHOLE: rt.dispatch @tile_
// WHOLE-NOT: rt.dispatch
func.func @main(%a: tensor<?x1024xf32>, %b: tensor<1024x80xf32>) -> tensor<?x80xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %a, %c0 : tensor<?x1024xf32>
  %e = tensor.empty(%n) : tensor<?x80xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<?x80xf32>) -> tensor<?x80xf32>
  %product = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x1024xf32>, tensor<1024x80xf32>) outs(%0 : tensor<?x80xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<?x80xf32>
  return %product : tensor<?x80xf32>
}

// -----

// Too little is added up for a second kernel.
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @tile_
// CHECK-NOT: rt.dispatch
// WHOLE-LABEL: func.func @run
func.func @main(%a: tensor<64x768xf32>, %b: tensor<768x80xf32>) -> tensor<64x80xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x80xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<64x80xf32>) -> tensor<64x80xf32>
  %product = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<64x768xf32>, tensor<768x80xf32>) outs(%0 : tensor<64x80xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<64x80xf32>
  return %product : tensor<64x80xf32>
}
