// On a GPU, columns are added up by blocks of 32 of them and several slices of threads.
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="item-per-thread" --canonicalize --schedule-plan-memory | FileCheck %s

// One row by a matrix: threads beside each other read columns beside each other, four steps of a
// slice at once; the parts of sixteen slices are added up by the first, which has the bias as well.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[SUMS:column_[0-9a-f]+]]{{.*}} count %c24
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[SUMS]]({{.*}}attributes {rt.block = 512
// CHECK:         %[[THREAD:.*]] = rt.thread
// CHECK-DAG:     %[[LANE:.*]] = arith.remui %[[THREAD]], %c32
// CHECK-DAG:     %[[SLICE:.*]] = arith.divui %[[THREAD]], %c32
// CHECK:         scf.for %{{.*}} = %[[SLICE]] to %c768 step %c64
// CHECK-COUNT-4:   math.fma
// CHECK:         rt.shared : memref<512xf32>
// CHECK-NEXT:    arith.muli %[[SLICE]], %c32
// CHECK:         rt.barrier
// CHECK:         scf.if
// CHECK-COUNT-15:  arith.addf
// CHECK:           memref.store
// CHECK:           arith.maximumf
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @main(%x: tensor<1x768xf32>, %w: tensor<768x768xf32>) -> tensor<1x768xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x768xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<1x768xf32>) -> tensor<1x768xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1x768xf32>, tensor<768x768xf32>) outs(%init : tensor<1x768xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %b fastmath<contract> : f32
    %1 = arith.addf %acc, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1x768xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<1x768xf32>) outs(%e : tensor<1x768xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %zero : f32
    linalg.yield %0 : f32
  } -> tensor<1x768xf32>
  return %r : tensor<1x768xf32>
}

// -----

// Three rows: what is read of the matrix is used for all.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[SUMS:column_[0-9a-f]+]]{{.*}} count %c3
// CHECK:       func.func private @[[SUMS]]({{.*}}attributes {rt.block = 256
// CHECK:         scf.for {{.*}} iter_args(%{{.*}}, %{{.*}}, %{{.*}}) -> (f32, f32, f32)
// CHECK:         rt.shared : memref<768xf32>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<3x64xf32>, %w: tensor<64x96xf32>) -> tensor<3x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x96xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<3x96xf32>) -> tensor<3x96xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<3x64xf32>, tensor<64x96xf32>) outs(%init : tensor<3x96xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %0 = arith.mulf %a, %b fastmath<contract> : f32
    %1 = arith.addf %acc, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<3x96xf32>
  return %p : tensor<3x96xf32>
}

// -----

// In the model's order there is one thread for each column.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @loop_
#in = affine_map<(c, r) -> (r, c)>
#out = affine_map<(c, r) -> (c)>
func.func @main(%x: tensor<100x50xf32>) -> tensor<50xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<50xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<50xf32>) -> tensor<50xf32>
  %p = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<100x50xf32>) outs(%init : tensor<50xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %0 = arith.addf %acc, %a : f32
    linalg.yield %0 : f32
  } -> tensor<50xf32>
  return %p : tensor<50xf32>
}
