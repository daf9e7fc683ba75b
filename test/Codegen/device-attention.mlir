// Attention by blocks spills no register, neither for AMD nor, says ptxas, for NVIDIA.
// REQUIRES: ptxas
// RUN: rm -rf %t && mkdir %t
// RUN: %lathe compile -q %s --target nvidia:sm_80,nvidia:sm_90a,amd:gfx942,amd:gfx1100 -o %t/m.lathe
// RUN: %lathe inspect %t/m.lathe --images %t > %t/inspect.txt
// RUN: ptxas -v -arch=sm_80 %t/nvidia-sm_80.ptx -o %t/sm_80.cubin 2>&1 | FileCheck %s
// RUN: ptxas -v -arch=sm_90a %t/nvidia-sm_90a.ptx -o %t/sm_90a.cubin 2>&1 | FileCheck %s
// RUN: FileCheck %s --check-prefix=PTX < %t/nvidia-sm_80.ptx
// CHECK-NOT: error
// CHECK-COUNT-2: 0 bytes spill stores, 0 bytes spill loads
// RUN: llvm-readelf --notes %t/amd-gfx942.hsaco | FileCheck %s --check-prefix=AMD
// RUN: llvm-readelf --notes %t/amd-gfx1100.hsaco | FileCheck %s --check-prefix=AMD
// AMD-COUNT-2: .vgpr_spill_count: 0
// Of 16 bits all comes by copies of 16 bytes and is read as matrices, values transposed; of f32 keys
// come by 8 bytes.
// PTX-DAG: cp.async.cg.shared.global {{.*}}, 16
// PTX-DAG: cp.async.wait_group 1;
// PTX-DAG: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// PTX-DAG: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// PTX-DAG: cp.async.ca.shared.global {{.*}}, 8
// PTX-NOT: ld.global.b16
// PTX-NOT: ld.shared.b16
#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
// Only what expands the bodies looks at them.
func.func private @attention_0(%q: tensor<1x8x?x64xf16>, %k: tensor<1x8x?x64xf16>,
                               %v: tensor<1x8x?x64xf16>, %n: index) -> tensor<1x8x?x64xf16>
    attributes {sched.kind = #sched.kind<attention, {causal, scale = 0.125 : f64}>} {
  %e = tensor.empty(%n) : tensor<1x8x?x64xf16>
  return %e : tensor<1x8x?x64xf16>
}
func.func private @attention_1(%q: tensor<1x8x?x64xf32>, %k: tensor<1x8x?x64xf32>,
                               %v: tensor<1x8x?x64xf32>, %n: index) -> tensor<1x8x?x64xf32>
    attributes {sched.kind = #sched.kind<attention, {scale = 0.125 : f64}>} {
  %e = tensor.empty(%n) : tensor<1x8x?x64xf32>
  return %e : tensor<1x8x?x64xf32>
}
func.func @main(%x: tensor<1x8x?x64xf16> {graph.name = "x", graph.dims = ["", "", "rows", ""]},
                %y: tensor<1x8x?x64xf32> {graph.name = "y", graph.dims = ["", "", "rows", ""]})
    -> (tensor<1x8x?x64xf16> {graph.name = "a", graph.dims = ["", "", "rows", ""]},
        tensor<1x8x?x64xf32> {graph.name = "b", graph.dims = ["", "", "rows", ""]})
    attributes {graph.entry = "run"} {
  %c2 = arith.constant 2 : index
  %n = tensor.dim %x, %c2 : tensor<1x8x?x64xf16>
  %m = tensor.dim %y, %c2 : tensor<1x8x?x64xf32>
  %0 = call @attention_0(%x, %x, %x, %n) : (tensor<1x8x?x64xf16>, tensor<1x8x?x64xf16>,
      tensor<1x8x?x64xf16>, index) -> tensor<1x8x?x64xf16>
  %1 = call @attention_1(%y, %y, %y, %m) : (tensor<1x8x?x64xf32>, tensor<1x8x?x64xf32>,
      tensor<1x8x?x64xf32>, index) -> tensor<1x8x?x64xf32>
  return %0, %1 : tensor<1x8x?x64xf16>, tensor<1x8x?x64xf32>
}
