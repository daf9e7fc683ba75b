// On a GPU, a thread has 16 bytes of elementwise work.
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="item-per-thread" --canonicalize --schedule-plan-memory | FileCheck %s

// Four numbers of 32 bits, and a fourth as many items, where the buffers begin at 16 bytes; one by
// one where they do not. What is the same for all four is read once.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[KERNEL:loop_[0-9a-f]+]]{{.*}} count %c65536
// CHECK:       func.func private @[[KERNEL]](
// CHECK:         llvm.ptrtoint
// CHECK:         arith.andi %{{.*}}, %c15
// CHECK:         %[[ALIGNED:.*]] = arith.cmpi eq
// CHECK:         scf.if %[[ALIGNED]] {
// CHECK:           vector.load {{.*}} {alignment = 16 : i64} : {{.*}}, vector<4xf32>
// CHECK:           memref.load
// CHECK-NOT:       memref.load
// CHECK-COUNT-4:   arith.mulf
// CHECK-NOT:       arith.mulf
// CHECK:           vector.store {{.*}} {alignment = 16 : i64} : {{.*}}, vector<4xf32>
// CHECK:         } else {
// CHECK:           scf.for
// CHECK:             memref.store
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @main(%x: tensor<512x512xf32>, %w: tensor<512xf32>) -> tensor<512x512xf32> {
  %e = tensor.empty() : tensor<512x512xf32>
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %w : tensor<512x512xf32>, tensor<512xf32>) outs(%e : tensor<512x512xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<512x512xf32>
  return %r : tensor<512x512xf32>
}

// -----

// Where a row is no multiple of four, a thread has one element; so it does of little.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch {{.*}} count %c513513
// CHECK:         rt.dispatch {{.*}} count %c4096
// CHECK-NOT:     vector.load
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#flat = affine_map<(i) -> (i)>
func.func @main(%x: tensor<1001x513xf32>, %w: tensor<1001xf32>, %z: tensor<4096xf32>) -> (tensor<1001x513xf32>, tensor<4096xf32>) {
  %e = tensor.empty() : tensor<1001x513xf32>
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %w : tensor<1001x513xf32>, tensor<1001xf32>) outs(%e : tensor<1001x513xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<1001x513xf32>
  %f = tensor.empty() : tensor<4096xf32>
  %s = linalg.generic {indexing_maps = [#flat, #flat], iterator_types = ["parallel"]}
      ins(%z : tensor<4096xf32>) outs(%f : tensor<4096xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.negf %a : f32
    linalg.yield %0 : f32
  } -> tensor<4096xf32>
  return %r, %s : tensor<1001x513xf32>, tensor<4096xf32>
}
