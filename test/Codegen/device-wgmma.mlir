// Products of f16 on sm_90a of which rows of one operand begin at multiples of 8 bytes: all threads copy, four instructions of a warpgroup multiply
// a part of 64 numbers, that of the right operand as rows of it lie, and nothing is loaded from shared
// memory to be multiplied. Tiles take more shared memory than a kernel can declare.
// RUN: rm -rf %t && mkdir %t
// RUN: %lathe compile -q %s --target nvidia:sm_90a -o %t/m.lathe
// RUN: %lathe inspect %t/m.lathe --images %t > %t/inspect.txt
// RUN: FileCheck %s --input-file %t/nvidia-sm_90a.ptx
// CHECK: .extern .shared .align 1024 .b8 lathe_launch_shared[];
// CHECK: .visible .entry tile_
// CHECK-NOT: .shared .align
// CHECK: cp.async.ca.shared.global
// CHECK: cp.async.wait_group 1;
// CHECK: fence.proxy.async.shared::cta;
// CHECK: bar{{.*}}sync
// CHECK: wgmma.fence.sync.aligned;
// CHECK: wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {
// CHECK-SAME: , p, 1, 1, 0, 1;
// CHECK: wgmma.commit_group.sync.aligned;
// CHECK: wgmma.wait_group.sync.aligned 0;
// RUN: grep "wgmma.wait_group.sync.aligned 1;" %t/nvidia-sm_90a.ptx | count 1
// RUN: grep "wgmma.mma_async" %t/nvidia-sm_90a.ptx | count 4
// RUN: not grep ldmatrix %t/nvidia-sm_90a.ptx
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @main(%a: tensor<2048x2052xf16>, %b: tensor<2052x2048xf16>) -> tensor<2048x2048xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2048x2048xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<2048x2048xf32>) -> tensor<2048x2048xf32>
  %1 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<2048x2052xf16>, tensor<2052x2048xf16>) outs(%0 : tensor<2048x2048xf32>) {
  ^bb0(%l: f16, %r: f16, %s: f32):
    %lw = arith.extf %l : f16 to f32
    %rw = arith.extf %r : f16 to f32
    %m = arith.mulf %lw, %rw fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<2048x2048xf32>
  return %1 : tensor<2048x2048xf32>
}
