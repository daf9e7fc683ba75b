// RUN: %lathe-opt %s --split-input-file --schedule-form-dispatches | FileCheck %s
// RUN: %lathe-opt %s --split-input-file --schedule-form-dispatches=opt-level=0 | FileCheck %s --check-prefix=PLAIN
// RUN: %lathe-opt %s --split-input-file --schedule-form-dispatches=deterministic=true | FileCheck %s --check-prefix=FIXED

// A sum with a product that nobody else reads is rounded once wherever the body is emitted, in whole
// vectors and in the tail, and LLVM may not choose.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @loop
// CHECK-NOT:     arith.mulf
// CHECK-NOT:     fastmath
// CHECK:         math.fma %{{.*}} : vector<8xf32>
// CHECK:         %[[MINUS:.*]] = arith.negf %{{.*}} : vector<8xf32>
// CHECK:         math.fma %[[MINUS]], %{{.*}} : vector<8xf32>
// CHECK:         vector.maskedload
// CHECK-NOT:     arith.mulf
// CHECK:         math.fma %{{.*}} : vector<8xf32>
// CHECK:         arith.negf
// CHECK:         math.fma %{{.*}} : vector<8xf32>
// PLAIN-LABEL: func.func @run
// PLAIN:       func.func private @loop
// PLAIN-NOT:     fastmath
// PLAIN:         math.fma %{{.*}} : f32
// PLAIN:         math.fma %{{.*}} : f32
#id = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
func.func @main(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel"]}
      ins(%x, %s : tensor<?xf32>, tensor<f32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %scale: f32, %out: f32):
    %0 = arith.mulf %in, %scale fastmath<contract> : f32
    %1 = arith.addf %scale, %0 fastmath<contract> : f32
    %2 = arith.mulf %1, %in fastmath<contract> : f32
    %3 = arith.subf %scale, %2 fastmath<contract> : f32
    linalg.yield %3 : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Not where the product is read twice, where the model's operation may not be contracted, and not
// on numbers that no processor multiplies and adds at once.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @loop
// CHECK-NOT:     math.fma
// CHECK-NOT:     fastmath
// CHECK:       func.func private @loop
// CHECK-NOT:     math.fma
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<64xf32>, %h: tensor<64xf16>) -> (tensor<64xf32>, tensor<64xf16>) {
  %e = tensor.empty() : tensor<64xf32>
  %f = tensor.empty() : tensor<64xf16>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.mulf %in, %in fastmath<contract> : f32
    %1 = arith.addf %0, %in fastmath<contract> : f32
    %2 = arith.divf %1, %0 : f32
    %3 = arith.mulf %2, %in : f32
    %4 = arith.addf %3, %in : f32
    linalg.yield %4 : f32
  } -> tensor<64xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%h : tensor<64xf16>) outs(%f : tensor<64xf16>) {
  ^bb0(%in: f16, %out: f16):
    %0 = arith.mulf %in, %in fastmath<contract> : f16
    %1 = arith.addf %0, %in fastmath<contract> : f16
    linalg.yield %1 : f16
  } -> tensor<64xf16>
  return %y, %z : tensor<64xf32>, tensor<64xf16>
}

// -----

// A sum along short rows is added up in the order of the row. In a maximum signs of zeros do not
// count, unless that is asked for.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @loop
// CHECK-NOT:     fastmath
// CHECK:         math.fma
// CHECK-NOT:     fastmath
// CHECK:       func.func private @loop
// CHECK:         arith.maximumf %{{.*}} fastmath<nsz>
// FIXED-NOT:     fastmath
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
func.func @main(%x: tensor<?x3xf32>, %w: tensor<?x100xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x3xf32>
  %m = tensor.dim %w, %c0 : tensor<?x100xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %f = tensor.empty(%m) : tensor<?xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x3xf32>) outs(%init : tensor<?xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.mulf %in, %in fastmath<contract> : f32
    %1 = arith.addf %acc, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<?xf32>
  %least = linalg.fill ins(%zero : f32) outs(%f : tensor<?xf32>) -> tensor<?xf32>
  %z = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%w : tensor<?x100xf32>) outs(%least : tensor<?xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.maximumf %acc, %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  return %y, %z : tensor<?xf32>, tensor<?xf32>
}
