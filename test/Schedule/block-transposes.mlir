// On a GPU, a block has a square of elements whose operands lie across the results.
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="item-per-thread" --canonicalize --schedule-plan-memory | FileCheck %s

// 3 by 4 squares; the operand is read along its rows, results are stored along theirs. What does not
// lie across is read where it is wanted.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[KERNEL:transpose_[0-9a-f]+]]{{.*}} count %c12
// CHECK:       func.func private @[[KERNEL]](
// CHECK-SAME:    rt.block = 256
// CHECK:         %[[SQUARE:.*]] = rt.shared : memref<1056xf32>
// CHECK-COUNT-4: memref.store {{.*}}, %[[SQUARE]]
// CHECK:         rt.barrier
// CHECK:         memref.load %[[SQUARE]]
// CHECK:         memref.load
// CHECK:         arith.addf
// CHECK:         memref.store
// CHECK-NOT:     rt.barrier
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
#turned = affine_map<(i, j) -> (j, i)>
func.func @main(%x: tensor<70x100xf32>, %z: tensor<100x70xf32>) -> tensor<100x70xf32> {
  %e = tensor.empty() : tensor<100x70xf32>
  %r = linalg.generic {indexing_maps = [#turned, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %z : tensor<70x100xf32>, tensor<100x70xf32>) outs(%e : tensor<100x70xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<100x70xf32>
  return %r : tensor<100x70xf32>
}

// -----

// Not where one side is short, nor where neighbours stay neighbours.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     transpose_
#id = affine_map<(i, j) -> (i, j)>
#turned = affine_map<(i, j) -> (j, i)>
#rows = affine_map<(i, j, k) -> (j, i, k)>
#all = affine_map<(i, j, k) -> (i, j, k)>
func.func @main(%x: tensor<3x100xf32>, %z: tensor<20x30x40xf32>) -> (tensor<100x3xf32>, tensor<30x20x40xf32>) {
  %e = tensor.empty() : tensor<100x3xf32>
  %r = linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x100xf32>) outs(%e : tensor<100x3xf32>) {
  ^bb0(%a: f32, %out: f32):
    linalg.yield %a : f32
  } -> tensor<100x3xf32>
  %f = tensor.empty() : tensor<30x20x40xf32>
  %s = linalg.generic {indexing_maps = [#rows, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%z : tensor<20x30x40xf32>) outs(%f : tensor<30x20x40xf32>) {
  ^bb0(%a: f32, %out: f32):
    linalg.yield %a : f32
  } -> tensor<30x20x40xf32>
  return %r, %s : tensor<100x3xf32>, tensor<30x20x40xf32>
}
