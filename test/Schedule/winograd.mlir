// Convolutions of 3x3 windows at stride 1 in the transformed domain; what is too small, or moves
// two steps at a time, stays direct.
// RUN: lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 l2-bytes=1048576" \
// RUN:   %s | FileCheck %s
// RUN: lathe-opt --schedule-form-dispatches="opt-level=0" %s | FileCheck %s --check-prefix=PLAIN
// RUN: lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 strict=true" %s \
// RUN:   | FileCheck %s --check-prefix=STRICT
#x = affine_map<(n, h, w, o, kh, kw, c) -> (n, h + kh, w + kw, c)>
#x2 = affine_map<(n, h, w, o, kh, kw, c) -> (n, h * 2 + kh, w * 2 + kw, c)>
#k = affine_map<(n, h, w, o, kh, kw, c) -> (kh, kw, c, o)>
#y = affine_map<(n, h, w, o, kh, kw, c) -> (n, h, w, o)>
#id = affine_map<(n, h, w, o) -> (n, h, w, o)>
#o = affine_map<(n, h, w, o) -> (o)>
// CHECK-LABEL: func.func @run
// A batch known when running only: items by the work there is, each with scratch of its own, up to
// a fixed number.
// CHECK: rt.weight_address %{{.*}}, #graph.weight<{{.*}}tensor<36864xf32>
// CHECK: %[[WORK:.*]] = arith.divui %{{.*}}, %c1800000
// CHECK: %[[ITEMS:.*]] = arith.maxui %[[WORK]], %c1
// CHECK: %[[COUNT:.*]] = arith.minui %[[ITEMS]], %c32
// CHECK: rt.dispatch @winograd_{{[0-9a-f]+}}{{.*}} count %[[COUNT]] work(
// CHECK: rt.dispatch @tile_
// PLAIN-NOT: winograd
// STRICT-NOT: winograd
// STRICT: rt.dispatch @tile_
func.func @main(%image: tensor<?x30x30x32xf32>) -> (tensor<?x28x28x32xf32>, tensor<?x14x14x32xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %image, %c0 : tensor<?x30x30x32xf32>
  %taps = arith.constant dense<0.25> : tensor<3x3x32x32xf32>
  %bias = arith.constant dense<0.5> : tensor<32xf32>
  %e = tensor.empty(%n) : tensor<?x28x28x32xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x28x28x32xf32>) -> tensor<?x28x28x32xf32>
  %conv = linalg.generic {indexing_maps = [#x, #k, #y],
                          iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                            "reduction", "reduction", "reduction"]}
      ins(%image, %taps : tensor<?x30x30x32xf32>, tensor<3x3x32x32xf32>)
      outs(%init : tensor<?x28x28x32xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<?x28x28x32xf32>
  %biased = linalg.generic {indexing_maps = [#id, #o, #id],
                            iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%conv, %bias : tensor<?x28x28x32xf32>, tensor<32xf32>)
      outs(%e : tensor<?x28x28x32xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %0 = arith.addf %l, %r : f32
    linalg.yield %0 : f32
  } -> tensor<?x28x28x32xf32>
  %e2 = tensor.empty(%n) : tensor<?x14x14x32xf32>
  %init2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<?x14x14x32xf32>)
      -> tensor<?x14x14x32xf32>
  %strided = linalg.generic {indexing_maps = [#x2, #k, #y],
                             iterator_types = ["parallel", "parallel", "parallel", "parallel",
                                               "reduction", "reduction", "reduction"]}
      ins(%image, %taps : tensor<?x30x30x32xf32>, tensor<3x3x32x32xf32>)
      outs(%init2 : tensor<?x14x14x32xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<?x14x14x32xf32>
  return %biased, %strided : tensor<?x28x28x32xf32>, tensor<?x14x14x32xf32>
}
// The products: seven tiles by two vectors, in registers through the channels.
// CHECK-LABEL: func.func private @winograd_
// CHECK: scf.for %{{.*}} = %c0{{.*}} to %c32{{.*}} step %c1{{.*}} iter_args
// CHECK-COUNT-14: vector.fma
// CHECK: scf.yield
