// Copies of boxes of tensors on NVIDIA: maps are parameters of 128 bytes, waits are loops. ptxas takes the
// text, and spills nothing.
// REQUIRES: ptxas
// RUN: rm -rf %t && mkdir %t
// RUN: sed "s/nvidia:sm_90a/nvidia:sm_120/" %S/../e2e/Inputs/tensors.mlir > %t/sm_120.mlir
// RUN: %lathe compile -q %S/../e2e/Inputs/tensors.mlir --target nvidia:sm_90a -o %t/sm_90a.lathe
// RUN: %lathe compile -q %t/sm_120.mlir --target nvidia:sm_120 -o %t/sm_120.lathe
// RUN: %lathe inspect %t/sm_90a.lathe --images %t > %t/inspect.txt
// RUN: %lathe inspect %t/sm_120.lathe --images %t > %t/inspect.txt
// RUN: FileCheck %s --input-file %t/nvidia-sm_90a.ptx
// RUN: ptxas -v -arch=sm_90a %t/nvidia-sm_90a.ptx -o %t/cubin 2>&1 | FileCheck %s --check-prefix=PTXAS
// RUN: ptxas -v -arch=sm_120 %t/nvidia-sm_120.ptx -o %t/cubin 2>&1 | FileCheck %s --check-prefix=PTXAS
// PTXAS-COUNT-2: 0 bytes spill stores, 0 bytes spill loads

// CHECK: .entry tile_rows(
// CHECK: .param .align 64 .b8 tile_rows_param_5[128]
// CHECK-NOT: __local_depot
// CHECK: cvta.param.u64 [[MAP:%rd[0-9]+]],
// CHECK: mbarrier.init.shared.b64 [lathe_shared_{{[0-9]+}}], %r{{[0-9]+}};
// CHECK: fence.mbarrier_init.release.cluster;
// CHECK: fence.proxy.async.shared::cta;
// CHECK: mbarrier.try_wait.parity.shared.b64 %p{{[0-9]+}}, [%rd{{[0-9]+}}], %r{{[0-9]+}};
// CHECK-NEXT: not.pred
// CHECK-NEXT: bra
// CHECK: mbarrier.arrive.expect_tx.shared.b64 %rd{{[0-9]+}}, [lathe_shared_{{[0-9]+}}], %r{{[0-9]+}};
// CHECK: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%rd{{[0-9]+}}], {{\[}}[[MAP]], {%r{{[0-9]+}}, %r{{[0-9]+}}}], [lathe_shared_{{[0-9]+}}];
// CHECK: mbarrier.arrive.shared.b64
// CHECK-NOT: __local_depot
// CHECK: .entry tile_box(
// CHECK: cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
