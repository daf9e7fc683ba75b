// Attention on a GPU is one kernel, whose blocks hold no more scores than those of one part of the
// keys; on a matrix unit both products are multiplied there. What does not fit is scheduled as any
// other code, and so is all of it at -O0 and where rounding must keep its order.
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync" --split-input-file %s | FileCheck %s
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync copy-stages=3" --split-input-file %s | FileCheck %s --check-prefix=AHEAD
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mfma" --split-input-file %s | FileCheck %s --check-prefix=WAVES
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread strict" --split-input-file %s | FileCheck %s --check-prefix=PLAIN
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread opt-level=0" --split-input-file %s | FileCheck %s --check-prefix=PLAIN
// PLAIN-NOT: attention
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
#turn = affine_map<(a, b, c, d) -> (a, c, b, d)>
// The bodies are cut short here: only what expands them looks at them.
func.func private @attention_0(%q: tensor<1x4x70x32xf16>, %k: tensor<1x4x70x32xf16>,
                               %v: tensor<1x4x70x32xf16>) -> tensor<1x4x70x32xf16>
    attributes {sched.kind = #sched.kind<attention, {causal, scale = 0.125 : f64}>} {
  %e = tensor.empty() : tensor<1x4x70x32xf16>
  %0 = linalg.generic {indexing_maps = [#id, #id, #id, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q, %k, %v : tensor<1x4x70x32xf16>, tensor<1x4x70x32xf16>, tensor<1x4x70x32xf16>)
      outs(%e : tensor<1x4x70x32xf16>) {
  ^bb0(%a: f16, %b: f16, %c: f16, %o: f16):
    %s = arith.addf %a, %b : f16
    %t = arith.mulf %s, %c : f16
    linalg.yield %t : f16
  } -> tensor<1x4x70x32xf16>
  return %0 : tensor<1x4x70x32xf16>
}
// 16 queries in a block where there are few blocks; a transpose before is but other strides.
// CHECK-LABEL: func.func @run
// CHECK: %[[BLOCKS:.*]] = arith.ceildivui %c70{{.*}}, %c16
// CHECK: %[[COUNT:.*]] = arith.muli %c4{{.*}}, %[[BLOCKS]]
// CHECK: rt.dispatch @attention_{{[0-9a-f]+}}({{.*}} count %[[COUNT]]
// CHECK-NOT: rt.dispatch
// WAVES-LABEL: func.func @run
// WAVES: rt.dispatch @attention_
// WAVES-NOT: rt.dispatch
func.func @main(%x: tensor<1x70x4x32xf16>, %k: tensor<1x4x70x32xf16>, %v: tensor<1x4x70x32xf16>)
    -> tensor<1x4x70x32xf16> {
  %e = tensor.empty() : tensor<1x4x70x32xf16>
  %q = linalg.generic {indexing_maps = [#turn, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x70x4x32xf16>) outs(%e : tensor<1x4x70x32xf16>) {
  ^bb0(%a: f16, %o: f16):
    linalg.yield %a : f16
  } -> tensor<1x4x70x32xf16>
  %0 = call @attention_0(%q, %k, %v) : (tensor<1x4x70x32xf16>, tensor<1x4x70x32xf16>,
                                        tensor<1x4x70x32xf16>) -> tensor<1x4x70x32xf16>
  return %0 : tensor<1x4x70x32xf16>
}
// CHECK-LABEL: func.func private @attention_
// CHECK-SAME: rt.block = 128 : i32
// Keys and values in f16, scores, the largest of each thread and the factors in f32.
// CHECK: rt.shared : memref<2560xf16>
// CHECK: rt.shared : memref<2560xf16>
// CHECK: rt.shared : memref<4608xi8>
// CHECK: rt.shared : memref<128xf32>
// CHECK: rt.shared : memref<16xf32>
// Queries come by way of the memory of scores, while the first keys are on their way.
// CHECK: rt.copy_async {{.*}} count 8 valid {{.*}} memref<640xf16>
// CHECK: rt.commit_copies
// CHECK: rt.copy_async {{.*}} count 8 valid {{.*}} memref<2560xf16>
// CHECK: rt.commit_copies
// CHECK: rt.wait_copies 1
// CHECK: rt.barrier
// CHECK-COUNT-2: rt.load_matrices {{.*}} : memref<640xf16> -> vector<8xf16>
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (f32, f32, vector<4xf32>, index)
// Values come during the products with keys, the next keys from then on.
// CHECK: rt.wait_copies 0
// CHECK-NEXT: rt.barrier
// CHECK-COUNT-2: rt.copy_async
// CHECK: rt.commit_copies
// CHECK-NOT: memref.load {{.*}}f16
// CHECK: rt.load_matrices {{.*}} : memref<2560xf16> -> vector<8xf16>
// CHECK-COUNT-4: rt.multiply_matrices "mma.sync"
// CHECK: rt.barrier
// CHECK-COUNT-2: rt.copy_async
// CHECK: rt.commit_copies
// CHECK: rt.barrier
// CHECK: math.exp
// CHECK: rt.wait_copies 1
// CHECK-NEXT: rt.barrier
// CHECK-NOT: memref.load {{.*}}f16
// CHECK: rt.load_matrices {{.*}} transposed : memref<2560xf16> -> vector<4xf16>
// CHECK-COUNT-8: rt.multiply_matrices "mma.sync"
// CHECK-NOT: rt.multiply_matrices
// With room for two parts of each the next keys and values are under way during all of a step.
// AHEAD-LABEL: func.func private @attention_
// AHEAD-COUNT-2: rt.shared : memref<5120xf16>
// AHEAD-COUNT-3: rt.commit_copies
// AHEAD-NEXT: rt.wait_copies 2
// AHEAD: scf.for
// AHEAD: rt.wait_copies 1
// AHEAD-NEXT: rt.barrier
// AHEAD-COUNT-2: rt.commit_copies
// AHEAD: rt.multiply_matrices
// AHEAD-NOT: rt.c{{opy|ommit}}
// AHEAD: rt.wait_copies 2
// AHEAD-NEXT: rt.barrier
// AHEAD-NOT: rt.c{{opy|ommit}}
// AHEAD: return
// Waves load what lies along what is added up: values, which do not, element by element.
// WAVES-LABEL: func.func private @attention_
// WAVES-SAME: rt.block = 256 : i32
// WAVES: rt.copy_async {{.*}} count 8
// WAVES-NOT: rt.load_matrices
// WAVES: vector.load {{.*}} {alignment = 16 : i64} : memref<1099511627776xf16>, vector<8xf16>
// WAVES: rt.multiply_matrices "mfma"

// -----

// In f32 each thread multiplies for itself: keys come in pieces of 8 bytes, so that threads find
// different banks, values in those of 16.
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
func.func private @attention_0(%q: tensor<8x16x?x64xf32>, %k: tensor<8x16x?x64xf32>,
                               %v: tensor<8x16x?x64xf32>, %m: tensor<?x?xf32>, %n: index) -> tensor<8x16x?x64xf32>
    attributes {sched.kind = #sched.kind<attention, {masked, scale = 0.125 : f64}>} {
  %e = tensor.empty(%n) : tensor<8x16x?x64xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q : tensor<8x16x?x64xf32>) outs(%e : tensor<8x16x?x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<8x16x?x64xf32>
  return %0 : tensor<8x16x?x64xf32>
}
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @attention_
func.func @main(%q: tensor<8x16x?x64xf32>, %k: tensor<8x16x?x64xf32>, %v: tensor<8x16x?x64xf32>,
                %m: tensor<?x?xf32>) -> tensor<8x16x?x64xf32> {
  %c2 = arith.constant 2 : index
  %n = tensor.dim %q, %c2 : tensor<8x16x?x64xf32>
  %0 = call @attention_0(%q, %k, %v, %m, %n) : (tensor<8x16x?x64xf32>, tensor<8x16x?x64xf32>,
      tensor<8x16x?x64xf32>, tensor<?x?xf32>, index) -> tensor<8x16x?x64xf32>
  return %0 : tensor<8x16x?x64xf32>
}
// CHECK-LABEL: func.func private @attention_
// CHECK-SAME: rt.block = 256 : i32
// CHECK-NOT: rt.multiply_matrices
// CHECK: rt.copy_async {{.*}} count 2 valid {{.*}} memref<2112xf32>
// CHECK: rt.copy_async {{.*}} count 4 valid {{.*}} memref<2048xf32>
// CHECK-COUNT-4: math.fma

// -----

// Heads that leave no room in shared memory.
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
func.func private @attention_0(%q: tensor<1x1x20x512xf32>, %k: tensor<1x1x20x512xf32>,
                               %v: tensor<1x1x20x512xf32>) -> tensor<1x1x20x512xf32>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  %e = tensor.empty() : tensor<1x1x20x512xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q : tensor<1x1x20x512xf32>) outs(%e : tensor<1x1x20x512xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<1x1x20x512xf32>
  return %0 : tensor<1x1x20x512xf32>
}
// CHECK-LABEL: func.func @run
// CHECK-NOT: attention
func.func @main(%q: tensor<1x1x20x512xf32>, %k: tensor<1x1x20x512xf32>,
                %v: tensor<1x1x20x512xf32>) -> tensor<1x1x20x512xf32> {
  %0 = call @attention_0(%q, %k, %v) : (tensor<1x1x20x512xf32>, tensor<1x1x20x512xf32>,
                                        tensor<1x1x20x512xf32>) -> tensor<1x1x20x512xf32>
  return %0 : tensor<1x1x20x512xf32>
}

// -----

// Where keys lie beside each other, matrices of them are transposed on the way, those of values not.
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
#turn = affine_map<(a, b, c, d) -> (a, b, d, c)>
func.func private @attention_0(%q: tensor<1x2x64x32xf16>, %k: tensor<1x2x64x32xf16>,
                               %v: tensor<1x2x64x32xf16>) -> tensor<1x2x64x32xf16>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  %e = tensor.empty() : tensor<1x2x64x32xf16>
  return %e : tensor<1x2x64x32xf16>
}
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @attention_
// CHECK-LABEL: func.func private @attention_
// CHECK-NOT: memref.store {{.*}}f16
// CHECK: scf.for
// CHECK: rt.copy_async {{.*}} count 8
// CHECK: rt.load_matrices {{.*}} transposed
// CHECK: math.exp
// CHECK-NOT: transposed
// CHECK: rt.load_matrices
// CHECK-NOT: transposed
// CHECK: return
func.func @main(%q: tensor<1x2x64x32xf16>, %x: tensor<1x2x32x64xf16>) -> tensor<1x2x64x32xf16> {
  %e = tensor.empty() : tensor<1x2x64x32xf16>
  %k = linalg.generic {indexing_maps = [#turn, #id],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x2x32x64xf16>) outs(%e : tensor<1x2x64x32xf16>) {
  ^bb0(%a: f16, %o: f16):
    linalg.yield %a : f16
  } -> tensor<1x2x64x32xf16>
  %0 = call @attention_0(%q, %k, %k) : (tensor<1x2x64x32xf16>, tensor<1x2x64x32xf16>,
                                        tensor<1x2x64x32xf16>) -> tensor<1x2x64x32xf16>
  return %0 : tensor<1x2x64x32xf16>
}

// -----

// Rows of an odd number of elements begin at no multiple of four bytes: nothing is copied.
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
func.func private @attention_0(%q: tensor<1x2x64x33xf16>, %k: tensor<1x2x64x33xf16>,
                               %v: tensor<1x2x64x33xf16>) -> tensor<1x2x64x33xf16>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  %e = tensor.empty() : tensor<1x2x64x33xf16>
  return %e : tensor<1x2x64x33xf16>
}
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @attention_
// CHECK-LABEL: func.func private @attention_
// CHECK-NOT: rt.{{copy|commit|wait}}
// CHECK: memref.load {{.*}} : memref<1099511627776xf16>
// CHECK-NOT: rt.{{copy|commit|wait}}
// CHECK: rt.load_matrices
// CHECK-NOT: rt.{{copy|commit|wait}}
// CHECK: return
func.func @main(%q: tensor<1x2x64x33xf16>) -> tensor<1x2x64x33xf16> {
  %0 = call @attention_0(%q, %q, %q) : (tensor<1x2x64x33xf16>, tensor<1x2x64x33xf16>,
                                        tensor<1x2x64x33xf16>) -> tensor<1x2x64x33xf16>
  return %0 : tensor<1x2x64x33xf16>
}
