// A product of f16 whose operands both lie in rows that copies of 16 bytes can bring: on NVIDIA they are
// asynchronous, two or three groups of them at once, whose parts are multiplied by 16 instructions. Warps
// load four matrices at once, those of the right operand as transposes, and no single number.
// RUN: rm -rf %t && mkdir %t
// RUN: %lathe compile -q %s --target nvidia:sm_80,nvidia:sm_90,amd:gfx942 -o %t/m.lathe
// RUN: %lathe inspect %t/m.lathe --images %t > %t/inspect.txt
// RUN: FileCheck %s --check-prefixes=PTX,SM80 --input-file %t/nvidia-sm_80.ptx
// RUN: FileCheck %s --check-prefixes=PTX,SM90 --input-file %t/nvidia-sm_90.ptx
// PTX: .visible .entry
// SM80: .shared .align 16 .b8 lathe_shared_{{[0-9]+}}[29184]
// SM90: .shared .align 16 .b8 lathe_shared_{{[0-9]+}}[38912]
// PTX: cp.async.cg.shared.global [%r{{[a-z0-9]+}}], [%rd{{[0-9]+}}], 16;
// PTX: cp.async.commit_group
// SM80: cp.async.wait_group 1;
// SM90: cp.async.wait_group 2;
// PTX-NEXT: bar{{.*}}sync
// RUN: grep "mma.sync.aligned.m16n8k16" %t/nvidia-sm_80.ptx | count 16
// RUN: grep "ldmatrix.sync.aligned.m8n8.x4.shared.b16" %t/nvidia-sm_80.ptx | count 4
// RUN: grep "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16" %t/nvidia-sm_80.ptx | count 4
// RUN: not grep "ld.shared.*b16" %t/nvidia-sm_80.ptx

// AMD's copies are loads and stores of as much.
// RUN: llvm-objdump -d %t/amd-gfx942.hsaco > %t/gfx942.txt
// RUN: FileCheck %s --check-prefix=GCN --input-file %t/gfx942.txt
// GCN: global_load_dwordx4
// GCN: ds_write_b128
// RUN: grep v_mfma_f32_16x16x16_f16 %t/gfx942.txt | count 16
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @main(%a: tensor<256x512xf16>, %b: tensor<512x128xf16>) -> tensor<256x128xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<256x128xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<256x128xf32>) -> tensor<256x128xf32>
  %1 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<256x512xf16>, tensor<512x128xf16>) outs(%0 : tensor<256x128xf32>) {
  ^bb0(%l: f16, %r: f16, %s: f32):
    %lw = arith.extf %l : f16 to f32
    %rw = arith.extf %r : f16 to f32
    %m = arith.mulf %lw, %rw fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<256x128xf32>
  return %1 : tensor<256x128xf32>
}
