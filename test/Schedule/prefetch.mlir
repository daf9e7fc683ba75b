// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="vector-bits=512 vector-registers=32 l2-bytes=1048576" --canonicalize --schedule-plan-memory | FileCheck %s

// Weights of 512 KiB are fetched ahead: two passes of 12 rows walk along a panel of 256 steps, which
// are 512 cache lines, in chunks of 16 steps: 16 lines a chunk fetch the next panel meanwhile.
// CHECK-LABEL: func.func private @tile
// CHECK:         scf.for {{.*}} step %c16 iter_args
// CHECK-COUNT-16:  memref.prefetch %{{.*}}, read, locality<2>, data
// CHECK-NOT:       memref.prefetch
// CHECK:           scf.for {{.*}} step %c1 iter_args
// CHECK:             vector.fma
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<24x256xf32>) -> tensor<24x512xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<256x512xf32>
  %e = tensor.empty() : tensor<24x512xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<24x512xf32>) -> tensor<24x512xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<24x256xf32>, tensor<256x512xf32>) outs(%init : tensor<24x512xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<24x512xf32>
  return %y : tensor<24x512xf32>
}

// -----

// The last chunk is shorter.
// CHECK-LABEL: func.func private @tile
// CHECK:         scf.for {{.*}} step %c16 iter_args
// CHECK:           memref.prefetch
// CHECK:           arith.minui
// CHECK:           scf.for {{.*}} step %c1 iter_args
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<24x250xf32>) -> tensor<24x512xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<250x512xf32>
  %e = tensor.empty() : tensor<24x512xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<24x512xf32>) -> tensor<24x512xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<24x250xf32>, tensor<250x512xf32>) outs(%init : tensor<24x512xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<24x512xf32>
  return %y : tensor<24x512xf32>
}

// -----

// What stays in the cache from run to run is not fetched.
// CHECK-LABEL: func.func private @tile
// CHECK-NOT:     memref.prefetch
// CHECK:         vector.fma
// CHECK-NOT:     memref.prefetch
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<24x128xf32>) -> tensor<24x96xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<128x96xf32>
  %e = tensor.empty() : tensor<24x96xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<24x96xf32>) -> tensor<24x96xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<24x128xf32>, tensor<128x96xf32>) outs(%init : tensor<24x96xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<24x96xf32>
  return %y : tensor<24x96xf32>
}

// -----

// Rows 4 KiB apart share a set of the first-level cache: 8 of them make a tile, else 12.
// CHECK-LABEL: func.func private @tile
// CHECK-COUNT-16: vector.fma
// CHECK-NOT:      vector.fma
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<24x1024xf32>) -> tensor<24x64xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<1024x64xf32>
  %e = tensor.empty() : tensor<24x64xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<24x64xf32>) -> tensor<24x64xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<24x1024xf32>, tensor<1024x64xf32>) outs(%init : tensor<24x64xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<24x64xf32>
  return %y : tensor<24x64xf32>
}

// -----

// CHECK-LABEL: func.func private @tile
// CHECK-COUNT-24: vector.fma
// CHECK-NOT:      vector.fma
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<24x1000xf32>) -> tensor<24x64xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<1000x64xf32>
  %e = tensor.empty() : tensor<24x64xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<24x64xf32>) -> tensor<24x64xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<24x1000xf32>, tensor<1000x64xf32>) outs(%init : tensor<24x64xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<24x64xf32>
  return %y : tensor<24x64xf32>
}

// -----

// 1024 rows of 4 KiB are more than the second-level cache holds: 16 blocks of 8 rows meet all three
// vector tiles before the next 16.
// CHECK-LABEL: func.func private @tile
// CHECK:         %[[STRIPE:.*]] = arith.divui %{{.*}}, %c48
// CHECK:         %[[FIRST:.*]] = arith.muli %[[STRIPE]], %c16
// CHECK:         %[[WITHIN:.*]] = arith.remui %{{.*}}, %c48
// CHECK:         %[[LEFT:.*]] = arith.subi %c128, %[[FIRST]]
// CHECK:         arith.minui %[[LEFT]], %c16
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<1024x1024xf32>) -> tensor<1024x96xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<1024x96xf32>
  %e = tensor.empty() : tensor<1024x96xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<1024x96xf32>) -> tensor<1024x96xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1024x1024xf32>, tensor<1024x96xf32>) outs(%init : tensor<1024x96xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1024x96xf32>
  return %y : tensor<1024x96xf32>
}
