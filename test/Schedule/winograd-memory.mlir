// 256 channels at 14x14: Winograd's algorithm, whose 9 MB of weights come from memory in each run,
// is for cores that read fast.
// RUN: lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 l2-bytes=1048576 memory-bytes=20" \
// RUN:   %s | FileCheck %s
// RUN: lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 l2-bytes=1048576 memory-bytes=10" \
// RUN:   %s | FileCheck %s --check-prefix=SLOW
// CHECK: rt.dispatch @winograd_
// SLOW-NOT: winograd
// SLOW: rt.dispatch @tile_
#x = affine_map<(n, h, w, o, kh, kw, c) -> (n, h + kh, w + kw, c)>
#k = affine_map<(n, h, w, o, kh, kw, c) -> (kh, kw, c, o)>
#y = affine_map<(n, h, w, o, kh, kw, c) -> (n, h, w, o)>
func.func @main(%image: tensor<1x16x16x256xf32>) -> tensor<1x14x14x256xf32> {
  %zero = arith.constant 0.0 : f32
  %taps = arith.constant dense<0.25> : tensor<3x3x256x256xf32>
  %e = tensor.empty() : tensor<1x14x14x256xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<1x14x14x256xf32>) -> tensor<1x14x14x256xf32>
  %conv = linalg.generic {indexing_maps = [#x, #k, #y],
                          iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                            "reduction", "reduction", "reduction"]}
      ins(%image, %taps : tensor<1x16x16x256xf32>, tensor<3x3x256x256xf32>)
      outs(%init : tensor<1x14x14x256xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1x14x14x256xf32>
  return %conv : tensor<1x14x14x256xf32>
}
