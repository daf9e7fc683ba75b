// Attention keeps its sums in registers and calls nothing, not even for exponentials. (With 16
// registers, LLVM interleaves the exponentials of a row so far that some of them are spilled.)
// RUN: %lathe-compile compile -q %s --target x86-64-v3 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 3 --sums
// RUN: %lathe-compile compile -q %s --target x86-64-v4 --emit=asm -o - \
// RUN:   | %python %utils/check-hot-loops --loops 3
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
func.func private @attention_0(%q: tensor<2x4x96x64xf32>, %k: tensor<2x4x96x64xf32>,
                               %v: tensor<2x4x96x64xf32>) -> tensor<2x4x96x64xf32>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  return %q : tensor<2x4x96x64xf32>
}
func.func @main(%q: tensor<2x4x96x64xf32>, %k: tensor<2x4x96x64xf32>, %v: tensor<2x4x96x64xf32>)
    -> tensor<2x4x96x64xf32> {
  %0 = call @attention_0(%q, %k, %v) : (tensor<2x4x96x64xf32>, tensor<2x4x96x64xf32>,
                                        tensor<2x4x96x64xf32>) -> tensor<2x4x96x64xf32>
  return %0 : tensor<2x4x96x64xf32>
}
