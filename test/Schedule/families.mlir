// RUN: %lathe-opt %s --canonicalize --schedule-form-dispatches --canonicalize | FileCheck %s

#id = affine_map<(i) -> (i)>

// Kernels that differ in constants alone are one, and the constants are its arguments: the f32 of
// the first, by its bits, and of the second, and the integers that differ with them.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[A:.*]] = arith.constant 1036831949 : index
// CHECK-DAG:     %[[B:.*]] = arith.constant 1045220557 : index
// CHECK-DAG:     %[[ZA:.*]] = arith.constant 130 : index
// CHECK-DAG:     %[[ZB:.*]] = arith.constant 138 : index
// CHECK:         rt.dispatch @[[KERNEL:loop_[0-9a-f]+]]({{.*}} sizes(%[[A]], %[[ZA]])
// CHECK:         rt.dispatch @[[KERNEL]]({{.*}} sizes(%[[B]], %[[ZB]])
// What makes an operation cheap stays in the code: a multiplication by a power of two, and one by
// another number, where it has a kernel for itself.
// CHECK:         rt.dispatch @[[HALF:loop_[0-9a-f]+]]({{.*}} sizes()
// CHECK-NOT:     @[[KERNEL]]
// CHECK:         rt.dispatch @[[SHIFT:loop_[0-9a-f]+]]({{.*}} sizes()
// CHECK:         rt.dispatch @[[OTHER:loop_[0-9a-f]+]]({{.*}} sizes()
// CHECK:       func.func private @[[KERNEL]]({{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %[[SCALE:.*]]: index, %[[ZERO:.*]]: index, %{{.*}}: index, %{{.*}}: index)
// CHECK:         arith.index_cast %[[ZERO]] : index to i64
// CHECK:         arith.index_cast %[[SCALE]] : index to i64
// CHECK:       func.func private @[[HALF]]
// CHECK:         arith.constant dense<5.000000e-01>
// CHECK:       func.func private @[[SHIFT]]
// CHECK:       func.func private @[[OTHER]]
// CHECK-NOT:   func.func private
func.func @main(%a: tensor<40xf32>, %b: tensor<40xf32>, %i: tensor<40xi32>)
    -> (tensor<40xi32>, tensor<40xi32>, tensor<40xi32>, tensor<40xi32>, tensor<40xi32>) {
  %e = tensor.empty() : tensor<40xi32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<40xf32>) outs(%e : tensor<40xi32>) {
  ^bb0(%in: f32, %out: i32):
    %scale = arith.constant 0.1 : f32
    %zero = arith.constant 130 : i32
    %0 = arith.mulf %in, %scale : f32
    %1 = arith.fptosi %0 : f32 to i32
    %2 = arith.addi %1, %zero : i32
    linalg.yield %2 : i32
  } -> tensor<40xi32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%b : tensor<40xf32>) outs(%e : tensor<40xi32>) {
  ^bb0(%in: f32, %out: i32):
    %scale = arith.constant 0.2 : f32
    %zero = arith.constant 138 : i32
    %0 = arith.mulf %in, %scale : f32
    %1 = arith.fptosi %0 : f32 to i32
    %2 = arith.addi %1, %zero : i32
    linalg.yield %2 : i32
  } -> tensor<40xi32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%b : tensor<40xf32>) outs(%e : tensor<40xi32>) {
  ^bb0(%in: f32, %out: i32):
    %scale = arith.constant 0.5 : f32
    %zero = arith.constant 138 : i32
    %0 = arith.mulf %in, %scale : f32
    %1 = arith.fptosi %0 : f32 to i32
    %2 = arith.addi %1, %zero : i32
    linalg.yield %2 : i32
  } -> tensor<40xi32>
  %s = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%i : tensor<40xi32>) outs(%e : tensor<40xi32>) {
  ^bb0(%in: i32, %out: i32):
    %places = arith.constant 3 : i32
    %0 = arith.shrsi %in, %places : i32
    linalg.yield %0 : i32
  } -> tensor<40xi32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%i : tensor<40xi32>) outs(%e : tensor<40xi32>) {
  ^bb0(%in: i32, %out: i32):
    %places = arith.constant 5 : i32
    %0 = arith.shrsi %in, %places : i32
    linalg.yield %0 : i32
  } -> tensor<40xi32>
  return %x, %y, %z, %s, %t : tensor<40xi32>, tensor<40xi32>, tensor<40xi32>, tensor<40xi32>,
      tensor<40xi32>
}
