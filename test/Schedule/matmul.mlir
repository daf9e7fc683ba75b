// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="vector-bits=512 vector-registers=32" --canonicalize --schedule-plan-memory | FileCheck %s

// Bias and relu run on the accumulators: one dispatch, no intermediate in memory.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     rt.arena
// CHECK:         rt.dispatch @[[TILE:tile_[0-9a-f]+]]
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[TILE]]
// CHECK:         scf.for {{.*}} iter_args
// CHECK:           vector.fma {{.*}} : vector<16xf32>
// CHECK:           scf.yield
// CHECK:         arith.addf {{.*}} : vector<16xf32>
// CHECK:         arith.maximumf {{.*}} : vector<16xf32>
// CHECK:         vector.store
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
#column = affine_map<(m, n) -> (n)>
func.func @main(%x: tensor<12x40xf32>, %w: tensor<40x32xf32>, %bias: tensor<32xf32>)
    -> tensor<12x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<12x32xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<12x32xf32>) -> tensor<12x32xf32>
  %product = linalg.generic {indexing_maps = [#a, #b, #c],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<12x40xf32>, tensor<40x32xf32>) outs(%init : tensor<12x32xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<12x32xf32>
  %e1 = tensor.empty() : tensor<12x32xf32>
  %biased = linalg.generic {indexing_maps = [#id, #column, #id],
                            iterator_types = ["parallel", "parallel"]}
      ins(%product, %bias : tensor<12x32xf32>, tensor<32xf32>) outs(%e1 : tensor<12x32xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %0 = arith.addf %l, %r : f32
    linalg.yield %0 : f32
  } -> tensor<12x32xf32>
  %e2 = tensor.empty() : tensor<12x32xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%biased : tensor<12x32xf32>) outs(%e2 : tensor<12x32xf32>) {
  ^bb0(%l: f32, %out: f32):
    %0 = arith.maximumf %l, %zero : f32
    linalg.yield %0 : f32
  } -> tensor<12x32xf32>
  return %y : tensor<12x32xf32>
}

// -----

// Weights are stored as the tile reads them: two panels of 3 x 32, padded with zeros.
// CHECK-LABEL: func.func @run
// CHECK:         rt.weight_address {{.*}} : tensor<192xf32>
// CHECK:         rt.dispatch @tile
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<4x3xf32>) -> tensor<4x40xf32> {
  %w = arith.constant dense<1.0> : tensor<3x40xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x40xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<4x40xf32>) -> tensor<4x40xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x3xf32>, tensor<3x40xf32>) outs(%init : tensor<4x40xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<4x40xf32>
  return %y : tensor<4x40xf32>
}

// -----

// 17 columns are one whole vector and one with a mask of a single lane.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @tile
// CHECK:         %[[MASK:.*]] = vector.c{{.*}}_mask {{.*}} : vector<16xi1>
// CHECK:         vector.load
// CHECK:         vector.maskedload {{.*}}%[[MASK]]
// CHECK:         vector.maskedstore {{.*}}%[[MASK]]
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<4x50xf32>, %w: tensor<50x17xf32>) -> tensor<4x17xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x17xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<4x17xf32>) -> tensor<4x17xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x50xf32>, tensor<50x17xf32>) outs(%init : tensor<4x17xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<4x17xf32>
  return %y : tensor<4x17xf32>
}

// -----

// The batch is known when running: it reaches the kernel as a size, and the number of work items
// follows from it. The output's shape is planned from the input's.
// CHECK-LABEL: func.func @run(
// CHECK-SAME:    %[[CALL:.*]]: !llvm.ptr
// CHECK:         %[[BATCH:.*]] = rt.dim %[[CALL]][0, 0]
// CHECK:         %[[COUNT:.*]] = arith.ceildivui %[[BATCH]]
// CHECK:         rt.dispatch @tile_{{.*}} sizes(%[[BATCH]]) count %[[COUNT]]
// CHECK-LABEL: func.func @plan(
// CHECK:         %[[PLANNED:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK:         rt.plan_output %{{.*}}[0] dims(%[[PLANNED]], %c32)
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<?x8xf32>, %w: tensor<8x32xf32>) -> tensor<?x32xf32> {
  %c0 = arith.constant 0 : index
  %batch = tensor.dim %x, %c0 : tensor<?x8xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%batch) : tensor<?x32xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x8xf32>, tensor<8x32xf32>) outs(%init : tensor<?x32xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// A result without elements is no work, whatever the other sizes are.
// CHECK-LABEL: func.func @run(
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#in = affine_map<(a, b, c, d, k) -> (a, b, k, d)>
#out = affine_map<(a, b, c, d, k) -> (a, b, c, d)>
func.func @main(%x: tensor<0x?x1x16xf32>) -> tensor<0x?x1x16xf32> {
  %c1 = arith.constant 1 : index
  %size = tensor.dim %x, %c1 : tensor<0x?x1x16xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%size) : tensor<0x?x1x16xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<0x?x1x16xf32>) -> tensor<0x?x1x16xf32>
  %y = linalg.generic {indexing_maps = [#in, #out],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%x : tensor<0x?x1x16xf32>) outs(%init : tensor<0x?x1x16xf32>) {
  ^bb0(%v: f32, %sum: f32):
    %0 = arith.addf %sum, %v : f32
    linalg.yield %0 : f32
  } -> tensor<0x?x1x16xf32>
  return %y : tensor<0x?x1x16xf32>
}
