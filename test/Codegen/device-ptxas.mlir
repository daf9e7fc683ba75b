// ptxas takes the text for every NVIDIA device and spills nothing.
// REQUIRES: ptxas
// RUN: rm -rf %t && mkdir %t
// RUN: %lathe compile -q %S/device.mlir --target nvidia:sm_80,nvidia:sm_90a,nvidia:sm_100a,nvidia:sm_120 -o %t/m.lathe
// RUN: %lathe inspect %t/m.lathe --images %t > %t/inspect.txt
// RUN: ptxas -v -arch=sm_80 %t/nvidia-sm_80.ptx -o %t/sm_80.cubin 2>&1 | FileCheck %s
// RUN: ptxas -v -arch=sm_90a %t/nvidia-sm_90a.ptx -o %t/sm_90a.cubin 2>&1 | FileCheck %s
// RUN: ptxas -v -arch=sm_100a %t/nvidia-sm_100a.ptx -o %t/sm_100a.cubin 2>&1 | FileCheck %s
// RUN: ptxas -v -arch=sm_120 %t/nvidia-sm_120.ptx -o %t/sm_120.cubin 2>&1 | FileCheck %s
// CHECK-NOT: error
// CHECK-COUNT-4: 0 bytes spill stores, 0 bytes spill loads

// Nor does it of a product, which has copies, matrices and sums in registers at once.
// RUN: %lathe compile -q %S/device-copies.mlir --target nvidia:sm_80,nvidia:sm_90a,nvidia:sm_100a,nvidia:sm_120 -o %t/p.lathe
// RUN: mkdir %t/product && %lathe inspect %t/p.lathe --images %t/product > %t/product.txt
// RUN: ptxas -v -arch=sm_80 %t/product/nvidia-sm_80.ptx -o %t/sm_80.cubin 2>&1 | FileCheck %s --check-prefix=PRODUCT
// RUN: ptxas -v -arch=sm_90a %t/product/nvidia-sm_90a.ptx -o %t/sm_90a.cubin 2>&1 | FileCheck %s --check-prefix=PRODUCT
// RUN: ptxas -v -arch=sm_100a %t/product/nvidia-sm_100a.ptx -o %t/sm_100a.cubin 2>&1 | FileCheck %s --check-prefix=PRODUCT
// RUN: ptxas -v -arch=sm_120 %t/product/nvidia-sm_120.ptx -o %t/sm_120.cubin 2>&1 | FileCheck %s --check-prefix=PRODUCT

// Products of a warpgroup go on while threads do: ptxas finds no reason to wait between them (its notes C7510
// and C7517).
// RUN: %lathe compile -q %S/device-wgmma.mlir --target nvidia:sm_90a -o %t/w.lathe
// RUN: mkdir %t/group && %lathe inspect %t/w.lathe --images %t/group > %t/group.txt
// RUN: ptxas -v -arch=sm_90a %t/group/nvidia-sm_90a.ptx -o %t/sm_90a.cubin 2>&1 | FileCheck %s --check-prefix=PRODUCT --implicit-check-not=C75
// PRODUCT-NOT: error
// PRODUCT: tile_
// PRODUCT: 0 bytes spill stores, 0 bytes spill loads
