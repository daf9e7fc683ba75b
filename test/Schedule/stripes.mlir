// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="vector-bits=512 vector-registers=32 l2-bytes=1048576" --canonicalize --schedule-plan-memory | FileCheck %s

// Weights of 64 KiB are walked along for each of 8 stripes of rows, of which there are as many as
// the run says: a thread gets rows with all their columns.
// CHECK-LABEL: func.func private @tile
// CHECK:         %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c48
// CHECK:         scf.for %[[ITEM:.*]] =
// CHECK:           %[[SHARE:.*]] = arith.ceildivui %[[BLOCKS]], %c8
// CHECK:           %[[STRIPE:.*]] = arith.minui %[[SHARE]]
// CHECK:           %[[WHOLE:.*]] = arith.muli %[[STRIPE]], %c8
// CHECK:           arith.divui %[[ITEM]], %[[WHOLE]]
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<?x64xf32>) -> tensor<?x256xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<64x256xf32>
  %e = tensor.empty(%rows) : tensor<?x256xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x256xf32>) -> tensor<?x256xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x64xf32>, tensor<64x256xf32>) outs(%init : tensor<?x256xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<?x256xf32>
  return %y : tensor<?x256xf32>
}

// -----

// Weights of a megabyte would be fetched anew for each stripe: their panels are the slowest loop.
// CHECK-LABEL: func.func private @tile
// CHECK:         scf.for %[[ITEM:.*]] =
// CHECK-NOT:       %c8
// CHECK:           arith.divui %[[ITEM]]
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<96x1024xf32>) -> tensor<96x256xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<1024x256xf32>
  %e = tensor.empty() : tensor<96x256xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<96x256xf32>) -> tensor<96x256xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<96x1024xf32>, tensor<1024x256xf32>) outs(%init : tensor<96x256xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<96x256xf32>
  return %y : tensor<96x256xf32>
}

// -----

// The groups of a product lie within its rows in memory, so they are the faster loop.
// CHECK-LABEL: func.func private @tile
// CHECK:         scf.for %[[ITEM:.*]] =
// CHECK:           %[[ROWS:.*]] = arith.remui %[[ITEM]], %c16
// CHECK:           arith.remui %[[ROWS]], %c4
// CHECK:           %[[BLOCK:.*]] = arith.divui %[[ROWS]], %c4
// CHECK:           %[[PLACE:.*]] = arith.remui %[[BLOCK]], %c4
// CHECK:           arith.muli %[[PLACE]], %c21
#a = affine_map<(g, m, n, k) -> (m, g, k)>
#b = affine_map<(g, m, n, k) -> (g, k, n)>
#c = affine_map<(g, m, n, k) -> (m, g, n)>
func.func @main(%x: tensor<768x4x32xf32>) -> tensor<768x4x32xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<4x32x32xf32>
  %e = tensor.empty() : tensor<768x4x32xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<768x4x32xf32>) -> tensor<768x4x32xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<768x4x32xf32>, tensor<4x32x32xf32>) outs(%init : tensor<768x4x32xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<768x4x32xf32>
  return %y : tensor<768x4x32xf32>
}
