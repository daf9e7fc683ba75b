// Kernels for GPUs need no library of device code and call nothing that is not in them: math is written
// out, and remainders go through the exact function, which a GPU's own division is not for large
// quotients.
// RUN: rm -rf %t && mkdir %t
// RUN: %lathe compile -q %s --target nvidia:sm_80,nvidia:sm_90a,nvidia:sm_100a,nvidia:sm_120 -o %t/nvidia.lathe
// RUN: %lathe inspect %t/nvidia.lathe --images %t | FileCheck %s --check-prefix=INSPECT
// INSPECT: nvidia:sm_80 a device
// INSPECT-NEXT: 4 kernels on the device as ptx {{.*}}, emulator
// INSPECT: nvidia:sm_120 a device
// RUN: FileCheck %s --check-prefixes=PTX,SM80 --input-file %t/nvidia-sm_80.ptx
// RUN: FileCheck %s --check-prefixes=PTX,SM90 --input-file %t/nvidia-sm_90a.ptx
// RUN: FileCheck %s --check-prefixes=PTX,SM100 --input-file %t/nvidia-sm_100a.ptx
// RUN: FileCheck %s --check-prefixes=PTX,SM120 --input-file %t/nvidia-sm_120.ptx
// SM80: .version 7.0
// SM80-NEXT: .target sm_80
// SM90: .version 8.0
// SM90-NEXT: .target sm_90a
// SM100: .version 8.6
// SM100-NEXT: .target sm_100a
// SM120: .version 8.7
// SM120-NEXT: .target sm_120
// PTX-NOT: .extern
// PTX-COUNT-4: .visible .entry
// PTX-NOT: .visible .entry
// PTX-NOT: .extern
// PTX-NOT: __nv_

// Nothing rounds a quotient to a whole number and takes the rest of that.
// RUN: not grep "cvt.rzi.f32.f32\|cvt.rzi.f64.f64" %t/nvidia-sm_80.ptx

// The text as it is asked for, of one device, and the same without optimization.
// RUN: %lathe compile -q %s --target nvidia:sm_80 --emit asm -o - | cmp - %t/nvidia-sm_80.ptx
// RUN: %lathe compile -q %s --target nvidia:sm_80 -O0 --emit asm -o %t/plain.ptx
// RUN: FileCheck %s --check-prefix=PTX --input-file %t/plain.ptx

// What a kernel is in LLVM's IR, before it becomes an entry.
// RUN: %lathe compile -q %s --target nvidia:sm_80 --emit llvm -o - | FileCheck %s --check-prefix=LLVM
// LLVM: define internal void @loop_{{.*}}(ptr {{.*}}, i64 %{{.*}}, i64 %{{.*}})
// LLVM: call float @{{(lathe.math|llvm)}}.tanh

// For AMD objects, linked in process: nothing is undefined, and each kernel has its descriptor and
// registers enough.
// RUN: %lathe compile -q %s --target amd -o %t/amd.lathe
// RUN: %lathe inspect %t/amd.lathe --images %t --json > %t/amd.json
// RUN: llvm-nm --undefined-only %t/amd-gfx90a.hsaco | count 0
// RUN: llvm-nm --undefined-only %t/amd-gfx942.hsaco | count 0
// RUN: llvm-nm --undefined-only %t/amd-gfx1100.hsaco | count 0
// RUN: llvm-nm --undefined-only %t/amd-gfx1201.hsaco | count 0
// RUN: llvm-readelf -hW --dyn-symbols --notes %t/amd-gfx90a.hsaco | FileCheck %s --check-prefixes=HSACO,GFX90A
// RUN: llvm-readelf -hW --dyn-symbols --notes %t/amd-gfx942.hsaco | FileCheck %s --check-prefixes=HSACO,GFX942
// RUN: llvm-readelf -hW --dyn-symbols --notes %t/amd-gfx1100.hsaco | FileCheck %s --check-prefixes=HSACO,GFX1100
// RUN: llvm-readelf -hW --dyn-symbols --notes %t/amd-gfx1201.hsaco | FileCheck %s --check-prefixes=HSACO,GFX1201
// HSACO: Machine: {{.*}}AMDGPU
// GFX90A: Flags: {{.*}}gfx90a
// GFX942: Flags: {{.*}}gfx942
// GFX1100: Flags: {{.*}}gfx1100
// GFX1201: Flags: {{.*}}gfx1201
// HSACO-COUNT-4: loop_{{[0-9a-f]+}}.kd
// HSACO-COUNT-4: .vgpr_spill_count: 0
// RUN: %lathe compile -q %s --target amd:gfx942 --emit asm -o - | FileCheck %s --check-prefix=GCN
// GCN: .amdgcn_target "amdgcn-amd-amdhsa--gfx942"
// GCN: .amdhsa_kernel loop_
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<1000xf32>, %d: tensor<1000xf64>, %h: tensor<1000xf16>, %n: tensor<1000xi64>)
    -> (tensor<1000xf32>, tensor<1000xf64>, tensor<1000xf16>, tensor<1000xi64>) {
  %e = tensor.empty() : tensor<1000xf32>
  %ed = tensor.empty() : tensor<1000xf64>
  %eh = tensor.empty() : tensor<1000xf16>
  %en = tensor.empty() : tensor<1000xi64>
  %two = arith.constant 2.5 : f32
  %seven = arith.constant 7 : i64
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<1000xf32>) outs(%e : tensor<1000xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    %1 = math.erf %0 : f32
    %2 = math.sin %in : f32
    %3 = math.powf %1, %two : f32
    %4 = math.log %2 : f32
    %5 = arith.remf %3, %4 : f32
    %6 = math.sqrt %5 : f32
    %7 = math.roundeven %6 : f32
    linalg.yield %7 : f32
  } -> tensor<1000xf32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%d : tensor<1000xf64>) outs(%ed : tensor<1000xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = math.exp %in : f64
    %1 = arith.remf %0, %in : f64
    linalg.yield %1 : f64
  } -> tensor<1000xf64>
  %c = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%h : tensor<1000xf16>) outs(%eh : tensor<1000xf16>) {
  ^bb0(%in: f16, %out: f16):
    %0 = math.tanh %in : f16
    %1 = arith.remf %in, %0 : f16
    linalg.yield %1 : f16
  } -> tensor<1000xf16>
  %f = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%n : tensor<1000xi64>) outs(%en : tensor<1000xi64>) {
  ^bb0(%in: i64, %out: i64):
    %0 = arith.remsi %in, %seven : i64
    %1 = arith.divsi %seven, %in : i64
    %2 = arith.addi %0, %1 : i64
    linalg.yield %2 : i64
  } -> tensor<1000xi64>
  return %a, %b, %c, %f : tensor<1000xf32>, tensor<1000xf64>, tensor<1000xf16>, tensor<1000xi64>
}
