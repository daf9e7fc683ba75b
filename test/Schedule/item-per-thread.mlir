// RUN: %lathe-opt %s --split-input-file --schedule-fuse --canonicalize --schedule-form-dispatches="item-per-thread=true" --canonicalize --schedule-plan-memory | FileCheck %s
// RUN: %lathe-opt %s --split-input-file --schedule-fuse --canonicalize --schedule-form-dispatches="item-per-thread=true" --canonicalize --schedule-plan-memory | FileCheck %s --check-prefix=SCALAR

// Code for GPUs: every item is a thread, so an item is one element of what is written, and computes
// numbers alone.
// SCALAR-NOT: vector.
// SCALAR-NOT: vector<

// One loop over all elements, fused, and an item for each.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     rt.arena
// CHECK:         rt.dispatch @[[LOOP:loop_[0-9a-f]+]]{{.*}} count %c240
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[LOOP]](
// CHECK-SAME:      %[[BEGIN:[^ ]*]]: index, %[[END:[^ ]*]]: index)
// CHECK:         scf.for %[[I:.*]] = %[[BEGIN]] to %[[END]]
// CHECK-NOT:     scf.for
// CHECK:           %[[X:.*]] = memref.load %{{.*}}[%[[I]]]
// CHECK-NEXT:      %[[A:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK-NEXT:      %[[Y:.*]] = math.exp %[[A]] : f32
// CHECK-NEXT:      memref.store %[[Y]], %{{.*}}[%[[I]]]
// CHECK-NOT:     scf.for
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

// A product has an item for each of its elements, which adds up along the one loop that is left; what
// follows an element is part of the item.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[PRODUCT:[^(]*]]({{.*}} count %c12
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[PRODUCT]](
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             arith.mulf
// CHECK:             arith.addf
// CHECK:           arith.maximumf
// CHECK-NOT:     scf.for
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#row = affine_map<(m, n) -> (m, n)>
func.func @main(%x: tensor<3x64xf32>, %w: tensor<64x4xf32>) -> tensor<3x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x4xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<3x64xf32>, tensor<64x4xf32>) outs(%init : tensor<3x4xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<3x4xf32>
  %z = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.maximumf %in, %zero : f32
    linalg.yield %0 : f32
  } -> tensor<3x4xf32>
  return %z : tensor<3x4xf32>
}

// -----

// Rows that are added up in the model's order, and then divided: one kernel would have an item for each
// row, so there are two, the second with an item for each element.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @{{.*}} count %c7
// CHECK:         rt.dispatch @{{.*}} count %c448
// CHECK-NOT:     rt.dispatch
#all = affine_map<(i, j) -> (i, j)>
#left = affine_map<(i, j) -> (i)>
func.func @main(%x: tensor<7x64xf32>) -> tensor<7x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e0 : tensor<7xf32>) -> tensor<7xf32>
  %sum = linalg.generic {indexing_maps = [#all, #left], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<7x64xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  } -> tensor<7xf32>
  %e = tensor.empty() : tensor<7x64xf32>
  %y = linalg.generic {indexing_maps = [#all, #left, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<7x64xf32>, tensor<7xf32>) outs(%e : tensor<7x64xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<7x64xf32>
  return %y : tensor<7x64xf32>
}

// -----

// A narrow transpose reads where it must, an element for each thread.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[TURN:[^(]*]]({{.*}} count %c768
// CHECK:       func.func private @[[TURN]](
// CHECK:         scf.for
// CHECK-NOT:     scf.for
// CHECK:           memref.load
// CHECK:           memref.store
#to = affine_map<(i, j) -> (i, j)>
#from = affine_map<(i, j) -> (j, i)>
func.func @main(%x: tensor<12x64xf32>) -> tensor<64x12xf32> {
  %e = tensor.empty() : tensor<64x12xf32>
  %y = linalg.generic {indexing_maps = [#from, #to], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<12x64xf32>) outs(%e : tensor<64x12xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<64x12xf32>
  return %y : tensor<64x12xf32>
}

// -----

// A sum down many columns has a thread for each column, which also does what follows.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[COLUMNS:[^(]*]]({{.*}} count %c70000
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[COLUMNS]](
// CHECK:         scf.for %[[COLUMN:.*]] =
// CHECK:           scf.for %[[ROW:.*]] = %c0{{[^ ]*}} to %c300
// CHECK:             %[[LINE:.*]] = arith.muli %[[ROW]], %c70000
// CHECK:             %[[PLACE:.*]] = arith.addi %[[COLUMN]], %[[LINE]]
// CHECK:             memref.load %{{.*}}[%[[PLACE]]]
// CHECK:           math.sqrt
#all = affine_map<(i, j) -> (i, j)>
#column = affine_map<(i, j) -> (j)>
#each = affine_map<(j) -> (j)>
func.func @main(%x: tensor<300x70000xf32>) -> tensor<70000xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<70000xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<70000xf32>) -> tensor<70000xf32>
  %sum = linalg.generic {indexing_maps = [#all, #column], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<300x70000xf32>) outs(%init : tensor<70000xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc> : f32
    linalg.yield %0 : f32
  } -> tensor<70000xf32>
  %y = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel"]}
      ins(%sum : tensor<70000xf32>) outs(%e : tensor<70000xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.sqrt %in : f32
    linalg.yield %0 : f32
  } -> tensor<70000xf32>
  return %y : tensor<70000xf32>
}
