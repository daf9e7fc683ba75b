// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// Channels across the lanes, pixels of a row as accumulator rows; the window is part of the
// reduction.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[TILE:tile_[0-9a-f]+]]
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[TILE]]
// CHECK:         vector.broadcast %{{.*}} : f32 to vector<8xf32>
// CHECK:         vector.fma {{.*}} : vector<8xf32>
#x = affine_map<(n, h, w, o, kh, kw, c) -> (n, h + kh, w + kw, c)>
#k = affine_map<(n, h, w, o, kh, kw, c) -> (kh, kw, c, o)>
#y = affine_map<(n, h, w, o, kh, kw, c) -> (n, h, w, o)>
func.func @main(%x: tensor<1x10x10x16xf32>, %k: tensor<3x3x16x32xf32>) -> tensor<1x8x8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x8x32xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  %y = linalg.generic {indexing_maps = [#x, #k, #y],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                         "reduction", "reduction", "reduction"]}
      ins(%x, %k : tensor<1x10x10x16xf32>, tensor<3x3x16x32xf32>)
      outs(%init : tensor<1x8x8x32xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1x8x8x32xf32>
  return %y : tensor<1x8x8x32xf32>
}

// -----

// Depthwise: both operands across the lanes, and the window is unrolled.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @tile
// CHECK-NOT:     vector.broadcast
// CHECK-NOT:     iter_args
// CHECK:         vector.fma {{.*}} : vector<8xf32>
#x = affine_map<(n, h, w, c, kh, kw) -> (n, h + kh, w + kw, c)>
#k = affine_map<(n, h, w, c, kh, kw) -> (kh, kw, c)>
#y = affine_map<(n, h, w, c, kh, kw) -> (n, h, w, c)>
func.func @main(%x: tensor<1x10x10x16xf32>, %k: tensor<3x3x16xf32>) -> tensor<1x8x8x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x8x16xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32>
  %y = linalg.generic {indexing_maps = [#x, #k, #y],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                         "reduction", "reduction"]}
      ins(%x, %k : tensor<1x10x10x16xf32>, tensor<3x3x16xf32>)
      outs(%init : tensor<1x8x8x16xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1x8x8x16xf32>
  return %y : tensor<1x8x8x16xf32>
}

// -----

// A maximum over windows is a tile as well.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @tile
// CHECK:         arith.maximumf {{.*}} : vector<8xf32>
#x = affine_map<(n, h, w, c, kh, kw) -> (n, h * 2 + kh, w * 2 + kw, c)>
#k = affine_map<(n, h, w, c, kh, kw) -> (kh, kw)>
#y = affine_map<(n, h, w, c, kh, kw) -> (n, h, w, c)>
func.func @main(%x: tensor<1x8x8x16xf32>) -> tensor<1x4x4x16xf32> {
  %lowest = arith.constant 0xFF800000 : f32
  %window = tensor.empty() : tensor<2x2xf32>
  %e = tensor.empty() : tensor<1x4x4x16xf32>
  %init = linalg.fill ins(%lowest : f32) outs(%e : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
  %y = linalg.generic {indexing_maps = [#x, #k, #y],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                         "reduction", "reduction"]}
      ins(%x, %window : tensor<1x8x8x16xf32>, tensor<2x2xf32>)
      outs(%init : tensor<1x4x4x16xf32>) {
  ^bb0(%l: f32, %place: f32, %top: f32):
    %0 = arith.maximumf %top, %l : f32
    linalg.yield %0 : f32
  } -> tensor<1x4x4x16xf32>
  return %y : tensor<1x4x4x16xf32>
}
