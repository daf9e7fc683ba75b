// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="item-per-thread=true" --canonicalize --schedule-plan-memory="for-device=true" | FileCheck %s

// What the host program of a device does with values: it puts scalars there as parameters of kernels.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[N:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK-DAG:     %[[OUT:.*]] = rt.output
// CHECK-NOT:     llvm.store
// CHECK:         rt.dispatch @[[STORE:.*]](%{{.*}}) buffers(%[[OUT]]) sizes(%[[N]]) count %c1
// CHECK-NEXT:    %[[NEXT:.*]] = llvm.getelementptr %[[OUT]][8]
// CHECK-NEXT:    rt.dispatch @[[STORE]](%{{.*}}) buffers(%[[NEXT]]) sizes(%c5) count %c1
// CHECK-NEXT:    return
func.func @main(%x: tensor<?xf32>) -> tensor<2xi64> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %a = arith.index_cast %n : index to i64
  %c5 = arith.constant 5 : i64
  %s = tensor.from_elements %a, %c5 : tensor<2xi64>
  return %s : tensor<2xi64>
}

// -----

// Strings are never in the arena, which is the device's. The kernel that the host runs is told how
// large its buffers are, up to the last element of every second one.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     rt.arena
// CHECK:         %[[TEXT:.*]] = rt.allocate %{{.*}}, %{{.*}} host
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[TEXT]]) sizes() count %c3 extents(%c80, %c48)
// CHECK:         rt.invoke "lathe_text_rank"
// CHECK-SAME:      result_widths = array<i64: 8>
// CHECK-SAME:      widths = array<i64: 0>
func.func @main(%x: tensor<6xi128>) -> tensor<?xi64> {
  %part = tensor.extract_slice %x[0] [3] [2] : tensor<6xi128> to tensor<3xi128>
  %made, %size = rt.call "lathe_text_rank"(%part) [-1], "failed" : (tensor<3xi128>) -> (tensor<?xi64>) sizes(index)
  return %made : tensor<?xi64>
}

// -----

// Nor are slots.
// CHECK-LABEL: func.func @run
// CHECK:         rt.slot
// CHECK:         scf.for
// CHECK:           rt.reserve
// CHECK-SAME:        keep
// CHECK-LABEL: func.func @plan
// CHECK:         rt.plan_arena %{{.*}}, %c0
func.func @main(%x: tensor<4xf32>, %n: tensor<?xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %count = tensor.dim %n, %c0 : tensor<?xf32>
  %list = rt.list : !rt.list
  scf.for %i = %c0 to %count step %c1 {
    rt.append %list[%i], %x : tensor<4xf32>
  }
  %all = rt.stack %list sizes(%count) : tensor<?x4xf32>
  return %all : tensor<?x4xf32>
}
