// On a GPU, products and reductions are computed by blocks of threads; what is too narrow for that, and
// what runs element by element, by one thread for each item.
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread" %s | FileCheck %s
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync copy-stages=3" %s \
// RUN:   | FileCheck %s --check-prefix=UNIT
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync group-unit=wgmma copy-stages=4 shared-bytes=232448" %s \
// RUN:   | FileCheck %s --check-prefix=GROUP
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync group-unit=wgmma copies-tensors copy-stages=4 shared-bytes=232448" %s \
// RUN:   | FileCheck %s --check-prefix=TENSOR
// RUN: sed "s/70x48x/70x46x/g; s/48x40x/46x40x/g" %s | %lathe-opt --schedule-form-dispatches="item-per-thread matrix-unit=mma.sync group-unit=wgmma copies-tensors copy-stages=4 shared-bytes=232448" \
// RUN:   | FileCheck %s --check-prefix=ROWS
// RUN: %lathe-opt --schedule-form-dispatches="item-per-thread opt-level=0" %s \
// RUN:   | FileCheck %s --check-prefix=PLAIN
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#row = affine_map<(m, k) -> (m)>
#all = affine_map<(m, k) -> (m, k)>
func.func @main(%a: tensor<70x48xf16>, %b: tensor<48x40xf16>, %x: tensor<5x300xf32>,
                %u: tensor<70x3xf32>, %v: tensor<3x40xf32>)
    -> (tensor<70x40xf32>, tensor<5xf32>, tensor<70x40xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<70x40xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<70x40xf32>) -> tensor<70x40xf32>
  %product = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<70x48xf16>, tensor<48x40xf16>) outs(%0 : tensor<70x40xf32>) {
  ^bb0(%l: f16, %r: f16, %s: f32):
    %lw = arith.extf %l : f16 to f32
    %rw = arith.extf %r : f16 to f32
    %m = arith.mulf %lw, %rw fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<70x40xf32>
  // What follows each result runs with it.
  %relu = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%product : tensor<70x40xf32>) outs(%e : tensor<70x40xf32>) {
  ^bb0(%in: f32, %o: f32):
    %t = arith.maximumf %in, %zero : f32
    linalg.yield %t : f32
  } -> tensor<70x40xf32>
  %f = tensor.empty() : tensor<5xf32>
  %1 = linalg.fill ins(%zero : f32) outs(%f : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<5x300xf32>) outs(%1 : tensor<5xf32>) {
  ^bb0(%in: f32, %s: f32):
    %t = arith.addf %s, %in fastmath<reassoc> : f32
    linalg.yield %t : f32
  } -> tensor<5xf32>
  %narrow = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                            iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%u, %v : tensor<70x3xf32>, tensor<3x40xf32>) outs(%0 : tensor<70x40xf32>) {
  ^bb0(%l: f32, %r: f32, %s: f32):
    %m = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<70x40xf32>
  return %relu, %sum, %narrow : tensor<70x40xf32>, tensor<5xf32>, tensor<70x40xf32>
}
// Tiles of 64 rows, whose sums come to the place of the operands, five rows of a block each, and a thread for each of 2,800 results.
// CHECK-LABEL: func.func @run
// CHECK: rt.dispatch @tile_{{[0-9a-f]+}}
// CHECK: rt.dispatch @row_{{[0-9a-f]+}}{{.*}}count %c5{{(_[0-9]+)?}} {
// CHECK: rt.dispatch @loop_{{[0-9a-f]+}}{{.*}}count %c2800{{(_[0-9]+)?}} {
// CHECK-NOT: rt.dispatch
// CHECK: func.func private @tile_{{.*}}rt.block = 256
// CHECK: rt.thread
// CHECK: rt.shared : memref<20480xi8>
// CHECK: memref.view {{.*}} to memref<1536xf16>
// CHECK: memref.view {{.*}} to memref<1024xf16>
// CHECK: memref.view {{.*}} to memref<5120xf32>
// CHECK: rt.copy_async {{.*}} count 8 valid
// CHECK: rt.copy_async {{.*}} count 8 valid
// CHECK: rt.commit_copies
// CHECK-NEXT: rt.wait_copies 0
// CHECK-NEXT: rt.barrier
// CHECK: math.fma
// CHECK: rt.barrier
// CHECK: arith.maximumf
// CHECK: func.func private @row_{{.*}}rt.block = 128
// CHECK: rt.shared : memref<128xf32>
// CHECK: rt.shared : memref<16xf32>
// CHECK-COUNT-2: rt.barrier
// CHECK-NOT: rt.barrier
// CHECK: func.func private @loop_
// CHECK-NOT: rt.thread
// CHECK-NOT: vector<

// Three parts of each operand. Rows are eight numbers longer than what they hold, so that they begin in
// different banks. Two parts are on their way when the loop begins; a step waits for the older of them,
// brings a third and multiplies. Each operand lies as in the tensor; four matrices of 8 x 8 are loaded at
// once, those of the right operand, which are two fragments, as transposes.
// UNIT: func.func private @tile_{{.*}}rt.block = 128
// UNIT: rt.shared : memref<29184xi8>
// UNIT: memref.view {{.*}} to memref<7680xf16>
// UNIT: memref.view {{.*}} to memref<6912xf16>
// UNIT: memref.view {{.*}} to memref<4352xf32>
// UNIT-COUNT-4: rt.copy_async {{.*}} count 8 valid
// UNIT: rt.commit_copies
// UNIT-COUNT-4: rt.copy_async {{.*}} count 8 valid
// UNIT: rt.commit_copies
// UNIT-NEXT: scf.for
// UNIT-NEXT: rt.wait_copies 1
// UNIT-NEXT: rt.barrier
// UNIT: scf.if
// UNIT-COUNT-4: rt.copy_async {{.*}} count 8 valid
// UNIT: rt.commit_copies
// UNIT-COUNT-2: rt.load_matrices {{.*}}] : memref<7680xf16> -> vector<8xf16>
// UNIT-COUNT-2: rt.load_matrices {{.*}}] transposed : memref<6912xf16> -> vector<8xf16>
// UNIT-COUNT-16: rt.multiply_matrices "mma.sync" {{.*}} : vector<8xf16>, vector<4xf16>, vector<4xf32>
// UNIT-NOT: rt.multiply_matrices
// UNIT: scf.yield
// UNIT: rt.barrier

// Four warps multiply parts in shared memory together, 64 numbers of what is added up at a time. A part of
// the left operand has lines of those, of the right one lines of 64 columns. Two parts are on their way, one is
// multiplied, and one may still be.
// GROUP: func.func private @tile_{{.*}}rt.block = 128
// GROUP: rt.shared align 1024 : memref<65536xi8>
// GROUP-COUNT-2: memref.view {{.*}} to memref<16384xf16>
// GROUP: rt.describe_matrix {{.*}} leading 16 stride 1024 swizzle 128
// GROUP: rt.describe_matrix {{.*}} leading 8192 stride 1024 swizzle 128
// GROUP-COUNT-8: rt.copy_async {{.*}} count 8 valid
// GROUP: rt.commit_copies
// GROUP-COUNT-8: rt.copy_async {{.*}} count 8 valid
// GROUP: rt.commit_copies
// GROUP-NEXT: scf.for
// GROUP-NEXT: rt.wait_copies 1
// GROUP-NEXT: rt.fence_shared
// GROUP-NEXT: rt.barrier
// GROUP: rt.fence_products
// GROUP-COUNT-4: rt.multiply_shared {{.*}} transposed, {{.*}} of f16 : i64, vector<32xf32>
// GROUP-NOT: rt.multiply_shared
// GROUP: rt.commit_products
// GROUP-COUNT-8: rt.copy_async {{.*}} count 8 valid
// GROUP: rt.wait_products 1
// GROUP: scf.yield
// GROUP: rt.wait_products 0, {{.*}} : vector<32xf32> -> vector<32xf32>
// GROUP-NEXT: rt.barrier

// PLAIN-NOT: rt.block
// PLAIN-NOT: rt.barrier

// A warp more brings boxes of both operands, with two barriers for each of four stages.
// TENSOR: func.func private @tile_{{.*}}rt.block = 160
// TENSOR: rt.shared align 1024 : memref<65600xi8>
// TENSOR: %[[BARRIERS:.*]] = memref.view {{.*}} to memref<8xi64>
// TENSOR-COUNT-4: rt.init_phases %[[BARRIERS]][{{.*}}] count 1
// TENSOR-COUNT-4: rt.init_phases %[[BARRIERS]][{{.*}}] count 4
// TENSOR: rt.fence_phases
// TENSOR: rt.barrier
// TENSOR: %[[HAS_SUMS:.*]] = arith.cmpi ult, {{.*}}, %c128
// TENSOR: scf.if %[[HAS_SUMS]]
// TENSOR: scf.for
// TENSOR: rt.wait_phase %[[BARRIERS]]
// TENSOR: rt.fence_products
// TENSOR-COUNT-4: rt.multiply_shared
// TENSOR: rt.commit_products
// TENSOR: rt.wait_products 1
// TENSOR: rt.arrive %[[BARRIERS]]
// TENSOR: rt.wait_products 0
// TENSOR: else
// TENSOR: arith.cmpi eq, {{.*}}, %c128
// TENSOR: rt.tensor_map {{.*}} sizes(%c48, %c70) strides(%c48) box [64, 64] of f16 {swizzle = 128 : i64}
// TENSOR: rt.tensor_map {{.*}} sizes(%c40, %c48) strides(%c40) box [64, 64] of f16 {swizzle = 128 : i64}
// TENSOR: scf.for
// TENSOR-NEXT: arith.subi %c1
// TENSOR-NEXT: arith.addi {{.*}}, %c4
// TENSOR-NEXT: rt.wait_phase %[[BARRIERS]]
// TENSOR-NEXT: rt.arrive %[[BARRIERS]][{{.*}}] expect 16384
// TENSOR: rt.copy_tensor
// TENSOR: rt.copy_tensor
// TENSOR: rt.barrier
// TENSOR-NOT: rt.copy_async

// Not so where rows begin at no multiples of 16 bytes.
// ROWS: rt.copy_async
// ROWS-NOT: rt.tensor_map
