// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// A branch's result whose size is known before has one place that both branches write.
// CHECK-LABEL: func.func @run
// CHECK:       %[[OUT:.*]] = rt.output
// CHECK:       scf.if %{{.*}} {
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[OUT]])
// CHECK:       } else {
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[OUT]])
#id = affine_map<(i) -> (i)>
func.func @main(%c: tensor<i8>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %byte = tensor.extract %c[] : tensor<i8>
  %zero = arith.constant 0 : i8
  %condition = arith.cmpi ne, %byte, %zero : i8
  %e = tensor.empty() : tensor<4xf32>
  %r = scf.if %condition -> (tensor<4xf32>) {
    %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %0 = arith.negf %in : f32
      linalg.yield %0 : f32
    } -> tensor<4xf32>
    scf.yield %a : tensor<4xf32>
  } else {
    %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %0 = math.absf %in : f32
      linalg.yield %0 : f32
    } -> tensor<4xf32>
    scf.yield %b : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// -----

// Of one whose size the branch decides, each gives the address and the size: here only the size
// differs, and is chosen.
// CHECK-LABEL: func.func @run
// CHECK:       %[[X:.*]] = rt.input %{{.*}}[1]
// CHECK:       %[[SIZE:.*]] = arith.select %{{.*}}, %c2, %c4 : index
// CHECK:       %[[OUT:.*]] = rt.allocate_output %{{.*}}[0] dims(%[[SIZE]])
// CHECK:       rt.dispatch @{{.*}} buffers(%[[X]], %[[OUT]])
func.func @main(%c: tensor<i8>, %x: tensor<4xf32>) -> tensor<?xf32> {
  %byte = tensor.extract %c[] : tensor<i8>
  %zero = arith.constant 0 : i8
  %condition = arith.cmpi ne, %byte, %zero : i8
  %r = scf.if %condition -> (tensor<?xf32>) {
    %a = tensor.extract_slice %x[0] [2] [1] : tensor<4xf32> to tensor<2xf32>
    %b = tensor.cast %a : tensor<2xf32> to tensor<?xf32>
    scf.yield %b : tensor<?xf32>
  } else {
    %b = tensor.cast %x : tensor<4xf32> to tensor<?xf32>
    scf.yield %b : tensor<?xf32>
  }
  return %r : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @run
// CHECK:       %[[A:.*]] = rt.input %{{.*}}[1]
// CHECK:       %[[B:.*]] = rt.input %{{.*}}[2]
// CHECK:       %[[S:.*]] = arith.select %{{.*}}, %[[A]], %[[B]] : !llvm.ptr
// CHECK:       rt.dispatch @{{.*}} buffers(%[[S]], %{{.*}})
func.func @main(%c: tensor<i1>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %condition = tensor.extract %c[] : tensor<i1>
  %r = arith.select %condition, %x, %y : tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// A carried tensor that grows: its address and size are carried. What an iteration needs for a
// while, and what it hands on, are two slots, whose memory serves again; loops can be cancelled.
// CHECK-LABEL: func.func @run
// CHECK-DAG:   %[[SLOT0:.*]] = rt.arena %{{.*}}, %c0
// CHECK-DAG:   %[[SLOT1:.*]] = rt.arena %{{.*}}, %c16
// CHECK:       scf.while (%{{.*}} = %{{.*}}, %[[ADDRESS:.*]] = %{{.*}}, %[[SIZE:.*]] = %{{.*}}) : (index, !llvm.ptr, index)
// CHECK:       do
// CHECK:         rt.poll
// CHECK:         rt.reserve %{{.*}}, %[[FIRST:.*]], %{{.*}} keep %c0
// CHECK:         rt.reserve %{{.*}}, %[[NEXT:.*]], %{{.*}} keep %c0
// CHECK:         scf.yield
// CHECK-NOT:   rt.live
func.func @main(%x: tensor<1xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %init = tensor.cast %x : tensor<1xf32> to tensor<?xf32>
  %r:2 = scf.while (%i = %c0, %t = %init) : (index, tensor<?xf32>) -> (index, tensor<?xf32>) {
    %more = arith.cmpi slt, %i, %c5 : index
    scf.condition(%more) %i, %t : index, tensor<?xf32>
  } do {
  ^bb0(%i: index, %t: tensor<?xf32>):
    %size = tensor.dim %t, %c0 : tensor<?xf32>
    %larger = arith.addi %size, %c1 : index
    %e = tensor.empty(%larger) : tensor<?xf32>
    %a = tensor.insert_slice %t into %e[0] [%size] [1] : tensor<?xf32> into tensor<?xf32>
    %b = tensor.insert_slice %x into %a[%size] [1] [1] : tensor<1xf32> into tensor<?xf32>
    %next = arith.addi %i, %c1 : index
    scf.yield %next, %b : index, tensor<?xf32>
  }
  return %r#1 : tensor<?xf32>
}

// -----

// Parts of a list lie one after the other in a slot that keeps what it has when it grows.
// CHECK-LABEL: func.func @run
// CHECK:       %[[SLOT:.*]] = rt.arena %{{.*}}, %{{.*}}
// CHECK:       scf.for
// CHECK:         rt.reserve %{{.*}}, %[[SLOT]], %[[BYTES:.*]] keep %[[KEPT:.*]] :
// CHECK:       llvm.load %[[SLOT]] : !llvm.ptr -> !llvm.ptr
func.func @main(%n: tensor<i64>, %x: tensor<4xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %number = tensor.extract %n[] : tensor<i64>
  %count = arith.index_cast %number : i64 to index
  %list = rt.list : !rt.list
  scf.for %i = %c0 to %count step %c1 {
    rt.append %list[%i], %x : tensor<4xf32>
  }
  %all = rt.stack %list sizes(%count) : tensor<?x4xf32>
  return %all : tensor<?x4xf32>
}
