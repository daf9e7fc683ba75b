// RUN: %lathe-opt %s --split-input-file --schedule-fuse --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches=opt-level=0 --canonicalize --schedule-plan-memory | FileCheck %s --check-prefix=PLAIN

// One pass over memory, and all loops are joined into one.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     rt.arena
// CHECK:         rt.dispatch @[[LOOP:loop_[0-9a-f]+]]
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[LOOP]]
// CHECK:         scf.for
// CHECK-NOT:     scf.for
// CHECK:         vector.load
// CHECK-NEXT:    arith.mulf
// CHECK-NEXT:    math.exp %{{.*}} : vector<8xf32>
// CHECK-NEXT:    vector.store
// The rest with a mask.
// CHECK:         scf.for
// CHECK-NOT:     scf.for
// CHECK:         vector.maskedload
// CHECK:         vector.maskedstore

// PLAIN-LABEL: func.func @run
// PLAIN:         rt.arena
// PLAIN:         rt.dispatch
// PLAIN:         rt.dispatch
#id = affine_map<(i, j, k) -> (i, j, k)>
func.func @main(%x: tensor<8x5x6xf32>) -> tensor<8x5x6xf32> {
  %e = tensor.empty() : tensor<8x5x6xf32>
  %a = linalg.generic {indexing_maps = [#id, #id],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<8x5x6xf32>) outs(%e : tensor<8x5x6xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.mulf %in, %in : f32
    linalg.yield %0 : f32
  } -> tensor<8x5x6xf32>
  %y = linalg.generic {indexing_maps = [#id, #id],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%a : tensor<8x5x6xf32>) outs(%e : tensor<8x5x6xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<8x5x6xf32>
  return %y : tensor<8x5x6xf32>
}

// -----

// What is broadcast is computed once, not for every copy.
// CHECK-LABEL: func.func @run
// CHECK:         rt.arena
// CHECK:         rt.dispatch
// CHECK:         rt.dispatch
#one = affine_map<(i) -> (i)>
#id = affine_map<(i, j) -> (i, j)>
#column = affine_map<(i, j) -> (j)>
func.func @main(%x: tensor<7x9xf32>, %s: tensor<9xf32>) -> tensor<7x9xf32> {
  %e = tensor.empty() : tensor<9xf32>
  %a = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]}
      ins(%s : tensor<9xf32>) outs(%e : tensor<9xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<9xf32>
  %e2 = tensor.empty() : tensor<7x9xf32>
  %y = linalg.generic {indexing_maps = [#id, #column, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x, %a : tensor<7x9xf32>, tensor<9xf32>) outs(%e2 : tensor<7x9xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %0 = arith.mulf %l, %r : f32
    linalg.yield %0 : f32
  } -> tensor<7x9xf32>
  return %y : tensor<7x9xf32>
}
