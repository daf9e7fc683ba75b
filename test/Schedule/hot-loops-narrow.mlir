// Narrow products take pairs in one instruction, and nothing of the tile goes to the stack.
// RUN: %python -c "import sys; print(open(sys.argv[1]).read().replace('0xBYT''ES', '0x' + '0103FE04' * 7680).replace('0xHAL''VES', '0x' + '003F803F' * 15360).replace('0xTA''PS', '0x' + '01FD0307' * 4608))" %s > %t.mlir
// RUN: %lathe-compile compile -q %t.mlir --target x86-64-v3 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --per-load 1.3 --instruction vpmaddwd
// RUN: %lathe-compile compile -q %t.mlir --target x86-64-v4 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --per-load 1.3 --instruction vpmaddwd
// RUN: %lathe-compile compile -q %t.mlir --target x86-64-v4-vnni --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 2 --per-load 0.8 --instruction vpdpwssd
// RUN: %lathe-compile compile -q %t.mlir --target x86-64-v4-vnni-bf16 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 1 --per-load 0.8 --instruction vdpbf16ps
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#x = affine_map<(n, h, w, o, kh, kw, c) -> (n, h + kh, w + kw, c)>
#k = affine_map<(n, h, w, o, kh, kw, c) -> (kh, kw, c, o)>
#y = affine_map<(n, h, w, o, kh, kw, c) -> (n, h, w, o)>
func.func @main(%left: tensor<96x160xi16>, %half: tensor<96x160xbf16>,
                %image: tensor<1x30x30x32xi16>)
    -> (tensor<96x192xi32>, tensor<96x192xf32>, tensor<1x28x28x64xi32>) {
  %zero = arith.constant 0 : i32
  %zerof = arith.constant 0.0 : f32
  %weights = arith.constant dense<"0xBYTES"> : tensor<160x192xi8>
  %e = tensor.empty() : tensor<96x192xi32>
  %init = linalg.fill ins(%zero : i32) outs(%e : tensor<96x192xi32>) -> tensor<96x192xi32>
  %product = linalg.generic {indexing_maps = [#a, #b, #c],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%left, %weights : tensor<96x160xi16>, tensor<160x192xi8>)
      outs(%init : tensor<96x192xi32>) {
  ^bb0(%l: i16, %r: i8, %sum: i32):
    %0 = arith.extsi %l : i16 to i32
    %1 = arith.extsi %r : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %sum, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<96x192xi32>
  %halves = arith.constant dense<"0xHALVES"> : tensor<160x192xbf16>
  %ef = tensor.empty() : tensor<96x192xf32>
  %initf = linalg.fill ins(%zerof : f32) outs(%ef : tensor<96x192xf32>) -> tensor<96x192xf32>
  %rounded = linalg.generic {indexing_maps = [#a, #b, #c],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%half, %halves : tensor<96x160xbf16>, tensor<160x192xbf16>)
      outs(%initf : tensor<96x192xf32>) {
  ^bb0(%l: bf16, %r: bf16, %sum: f32):
    %0 = arith.extf %l : bf16 to f32
    %1 = arith.extf %r : bf16 to f32
    %2 = arith.mulf %0, %1 fastmath<reassoc,contract> : f32
    %3 = arith.addf %sum, %2 fastmath<reassoc,contract> : f32
    linalg.yield %3 : f32
  } -> tensor<96x192xf32>
  %taps = arith.constant dense<"0xTAPS"> : tensor<3x3x32x64xi8>
  %e1 = tensor.empty() : tensor<1x28x28x64xi32>
  %init1 = linalg.fill ins(%zero : i32) outs(%e1 : tensor<1x28x28x64xi32>)
      -> tensor<1x28x28x64xi32>
  %conv = linalg.generic {indexing_maps = [#x, #k, #y],
                          iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                            "reduction", "reduction", "reduction"]}
      ins(%image, %taps : tensor<1x30x30x32xi16>, tensor<3x3x32x64xi8>)
      outs(%init1 : tensor<1x28x28x64xi32>) {
  ^bb0(%l: i16, %r: i8, %sum: i32):
    %0 = arith.extsi %l : i16 to i32
    %1 = arith.extsi %r : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %sum, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<1x28x28x64xi32>
  return %product, %rounded, %conv
      : tensor<96x192xi32>, tensor<96x192xf32>, tensor<1x28x28x64xi32>
}
