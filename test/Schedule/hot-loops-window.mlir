// A depthwise window keeps its accumulators and columns in registers (its weights are the same for
// all rows: from where they are read does not matter), and a product of three rows, which takes more
// vectors side by side, its accumulators.
// RUN: %lathe-compile compile -q %s --target x86-64-v3 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --hoisted
// RUN: %lathe-compile compile -q %s --target x86-64-v4 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --hoisted
#x = affine_map<(n, h, w, c, kh, kw) -> (n, h + kh, w + kw, c)>
#k = affine_map<(n, h, w, c, kh, kw) -> (kh, kw, c)>
#y = affine_map<(n, h, w, c, kh, kw) -> (n, h, w, c)>
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%image: tensor<1x30x30x96xf32>, %rows: tensor<3x256xf32>,
                %weights: tensor<256x512xf32>)
    -> (tensor<1x28x28x96xf32>, tensor<3x512xf32>) {
  %zero = arith.constant 0.0 : f32
  %taps = arith.constant dense<0.25> : tensor<3x3x96xf32>
  %e = tensor.empty() : tensor<1x28x28x96xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<1x28x28x96xf32>) -> tensor<1x28x28x96xf32>
  %conv = linalg.generic {indexing_maps = [#x, #k, #y],
                          iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                            "reduction", "reduction"]}
      ins(%image, %taps : tensor<1x30x30x96xf32>, tensor<3x3x96xf32>)
      outs(%init : tensor<1x28x28x96xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1x28x28x96xf32>
  %e1 = tensor.empty() : tensor<3x512xf32>
  %init1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3x512xf32>) -> tensor<3x512xf32>
  %product = linalg.generic {indexing_maps = [#a, #b, #c],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%rows, %weights : tensor<3x256xf32>, tensor<256x512xf32>)
      outs(%init1 : tensor<3x512xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<3x512xf32>
  return %conv, %product : tensor<1x28x28x96xf32>, tensor<3x512xf32>
}
