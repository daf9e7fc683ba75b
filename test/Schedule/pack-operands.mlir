// An operand of a product that only the run knows is packed into panels of 32 columns, for as many columns
// at a time as stay in the second-level cache; what follows the product reads its columns too.
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="l2-bytes=262144" --canonicalize --schedule-plan-memory | FileCheck %s

// 128 columns, then 72: two panels and 8 columns of a third.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[COPY:loop_[0-9a-f]+]]{{.*}} count %c512
// CHECK:         rt.dispatch @[[PRODUCT:tile_[0-9a-f]+]]{{.*}} shape = "f32 product 50x128 by 512"
// CHECK:         rt.dispatch @[[COPY_REST:loop_[0-9a-f]+]]{{.*}} count %c512
// CHECK:         rt.dispatch @[[LANES:loop_[0-9a-f]+]]{{.*}} count %c512
// CHECK:         rt.dispatch @[[REST:tile_[0-9a-f]+]]{{.*}} shape = "f32 product 50x72 by 512"
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[COPY]](
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @main(%a: tensor<50x512xf32>, %b: tensor<512x200xf32>) -> tensor<50x200xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<50x200xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<50x200xf32>) -> tensor<50x200xf32>
  %1 = linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<50x512xf32>, tensor<512x200xf32>) outs(%0 : tensor<50x200xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<50x200xf32>
  return %1 : tensor<50x200xf32>
}

// -----

// Not for few rows, nor for little; of a number of rows that only the run knows, it chooses.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @tile_{{.*}} shape = "f32 product 8x1024 by 256"
// CHECK:         rt.dispatch @tile_{{.*}} shape = "f32 product 40x64 by 64"
// CHECK:         arith.cmpi ult, {{.*}}, %c15
// CHECK:         scf.if
// CHECK:           rt.dispatch @tile_{{.*}} shape = "f32 product ?x1024 by 64"
// CHECK:         } else {
// CHECK:           rt.dispatch @loop_
// CHECK:           rt.dispatch @tile_
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @main(%a: tensor<8x256xf32>, %b: tensor<256x1024xf32>, %c: tensor<40x64xf32>, %d: tensor<64x64xf32>, %x: tensor<?x64xf32>, %y: tensor<64x1024xf32>)
    -> (tensor<8x1024xf32>, tensor<40x64xf32>, tensor<?x1024xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x1024xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<8x1024xf32>) -> tensor<8x1024xf32>
  %1 = linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<8x256xf32>, tensor<256x1024xf32>) outs(%0 : tensor<8x1024xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<8x1024xf32>
  %f = tensor.empty() : tensor<40x64xf32>
  %2 = linalg.fill ins(%zero : f32) outs(%f : tensor<40x64xf32>) -> tensor<40x64xf32>
  %3 = linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%c, %d : tensor<40x64xf32>, tensor<64x64xf32>) outs(%2 : tensor<40x64xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<40x64xf32>
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %g = tensor.empty(%rows) : tensor<?x1024xf32>
  %4 = linalg.fill ins(%zero : f32) outs(%g : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  %5 = linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %y : tensor<?x64xf32>, tensor<64x1024xf32>) outs(%4 : tensor<?x1024xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<?x1024xf32>
  return %1, %3, %5 : tensor<8x1024xf32>, tensor<40x64xf32>, tensor<?x1024xf32>
}
