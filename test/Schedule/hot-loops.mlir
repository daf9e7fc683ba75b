// Accumulators stay in registers, nothing is called, and what is loaded is used several times.
// RUN: %lathe-compile compile -q %s --target x86-64-v3 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --per-load 1.3
// RUN: %lathe-compile compile -q %s --target x86-64-v4 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --per-load 1.5
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#x = affine_map<(n, h, w, o, kh, kw, c) -> (n, h + kh, w + kw, c)>
#k = affine_map<(n, h, w, o, kh, kw, c) -> (kh, kw, c, o)>
#y = affine_map<(n, h, w, o, kh, kw, c) -> (n, h, w, o)>
#id = affine_map<(m, n) -> (m, n)>
#column = affine_map<(m, n) -> (n)>
func.func @main(%left: tensor<96x160xf32>, %right: tensor<160x192xf32>, %bias: tensor<192xf32>,
                %image: tensor<1x30x30x32xf32>)
    -> (tensor<96x192xf32>, tensor<96x192xf32>, tensor<1x28x28x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %packed = arith.constant dense<0.5> : tensor<160x192xf32>
  %e = tensor.empty() : tensor<96x192xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<96x192xf32>) -> tensor<96x192xf32>
  %plain = linalg.generic {indexing_maps = [#a, #b, #c],
                           iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%left, %right : tensor<96x160xf32>, tensor<160x192xf32>)
      outs(%init : tensor<96x192xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<96x192xf32>
  %product = linalg.generic {indexing_maps = [#a, #b, #c],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%left, %packed : tensor<96x160xf32>, tensor<160x192xf32>)
      outs(%init : tensor<96x192xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<96x192xf32>
  %biased = linalg.generic {indexing_maps = [#id, #column, #id],
                            iterator_types = ["parallel", "parallel"]}
      ins(%product, %bias : tensor<96x192xf32>, tensor<192xf32>) outs(%e : tensor<96x192xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %0 = arith.addf %l, %r : f32
    %1 = arith.maximumf %0, %zero : f32
    linalg.yield %1 : f32
  } -> tensor<96x192xf32>
  %taps = arith.constant dense<0.25> : tensor<3x3x32x64xf32>
  %e1 = tensor.empty() : tensor<1x28x28x64xf32>
  %init1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x28x28x64xf32>)
      -> tensor<1x28x28x64xf32>
  %conv = linalg.generic {indexing_maps = [#x, #k, #y],
                          iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                            "reduction", "reduction", "reduction"]}
      ins(%image, %taps : tensor<1x30x30x32xf32>, tensor<3x3x32x64xf32>)
      outs(%init1 : tensor<1x28x28x64xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<1x28x28x64xf32>
  return %plain, %biased, %conv
      : tensor<96x192xf32>, tensor<96x192xf32>, tensor<1x28x28x64xf32>
}
