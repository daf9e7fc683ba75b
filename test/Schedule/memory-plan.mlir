// RUN: %lathe-opt %s --split-input-file --schedule-plan-memory | FileCheck %s

// The first and the third value never live at the same time and share a place; the arena is as
// large as the two that do.
// CHECK-LABEL: func.func @run(
// CHECK-DAG:     %[[FIRST:.*]] = rt.arena %{{.*}}, %c0{{.*}}
// CHECK-DAG:     %[[SECOND:.*]] = rt.arena %{{.*}}, %c4096{{.*}}
// CHECK-DAG:     %[[THIRD:.*]] = rt.arena %{{.*}}, %c0{{.*}}
// CHECK:         rt.dispatch @f{{.*}} buffers(%{{.*}}, %[[FIRST]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[FIRST]], %[[SECOND]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[SECOND]], %[[THIRD]])
// CHECK-LABEL: func.func @plan(
// CHECK:         %[[BYTES:.*]] = arith.constant 8192 : index
// CHECK:         rt.plan_arena %{{.*}}, %[[BYTES]]
func.func @run(%call: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  %one = arith.constant 1 : index
  %bytes = arith.constant 4096 : index
  %in = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  %out = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
  %a = rt.alloc %bytes : !llvm.ptr
  %b = rt.alloc %bytes : !llvm.ptr
  %c = rt.alloc %bytes : !llvm.ptr
  rt.dispatch @f(%call) buffers(%in, %a) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%a, %b) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%b, %c) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%c, %out) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  return %ok : i32
}
func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  return %ok : i32
}
func.func private @f(!llvm.ptr, !llvm.ptr, !llvm.ptr, index, index)

// -----

// A size that follows from the dims is a formula in @plan. It may be computed late in @run: offsets
// stand at the top all the same, and dispatches keep their order.
// CHECK-LABEL: func.func @run(
// CHECK:         %[[DIM:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK:         %[[BYTES:.*]] = arith.muli %[[DIM]], %c128
// CHECK:         %[[B:.*]] = rt.arena
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[IN:[^,]*]], %[[OUT:[^)]*]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[OUT]], %[[B]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[B]], %[[OUT]])
// CHECK-LABEL: func.func @plan(
// CHECK:         %[[PLANNED:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK:         %[[SIZE:.*]] = arith.muli %[[PLANNED]], %c128
// CHECK:         %[[UP:.*]] = arith.addi %[[SIZE]], %c63
// CHECK:         %[[ROUNDED:.*]] = arith.andi %[[UP]], %c-64
// CHECK:         %[[TOTAL:.*]] = arith.addi %{{.*}}, %[[ROUNDED]]
// CHECK:         rt.plan_arena %{{.*}}, %[[TOTAL]]
func.func @run(%call: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  %one = arith.constant 1 : index
  %c128 = arith.constant 128 : index
  %in = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  %out = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
  rt.dispatch @f(%call) buffers(%in, %out) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  %dim = rt.dim %call[0, 0] : !llvm.ptr
  %bytes = arith.muli %dim, %c128 : index
  %b = rt.alloc %bytes : !llvm.ptr
  rt.dispatch @f(%call) buffers(%out, %b) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%b, %out) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  return %ok : i32
}
func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  return %ok : i32
}
func.func private @f(!llvm.ptr, !llvm.ptr, !llvm.ptr, index, index)

// -----

// Multiples of one dim are placed like values of static size, in units of it: the first and the
// third value share a place. What is small has a slot, as rounding up would multiply its size.
// CHECK-LABEL: func.func @run(
// CHECK-DAG:     %[[DIM:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK-DAG:     %[[FIRST:.*]] = rt.arena %{{.*}}, %c0{{.*}}
// CHECK-DAG:     %[[HALF:.*]] = arith.muli %[[DIM]], %c4096
// CHECK-DAG:     %[[SECOND:.*]] = rt.arena %{{.*}}, %[[HALF]]
// CHECK-DAG:     %[[THIRD:.*]] = rt.arena %{{.*}}, %c0{{.*}}
// CHECK-DAG:     %[[ALL:.*]] = arith.muli %[[DIM]], %c6144
// CHECK-DAG:     %[[SMALL:.*]] = rt.arena %{{.*}}, %[[ALL]]
// CHECK:         rt.dispatch @f{{.*}} buffers(%{{.*}}, %[[FIRST]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[FIRST]], %[[SECOND]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[SECOND]], %[[THIRD]])
// CHECK:         rt.dispatch @f{{.*}} buffers(%[[THIRD]], %[[SMALL]])
// CHECK-LABEL: func.func @plan(
// CHECK:         %[[PLANNED:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK-DAG:     %[[SCALED:.*]] = arith.muli %[[PLANNED]], %c6144
// CHECK-DAG:     %[[SLOT:.*]] = arith.muli %[[PLANNED]], %c4{{[_ ]}}
// CHECK:         %[[UP:.*]] = arith.addi %[[SLOT]], %c63
// CHECK:         %[[ROUNDED:.*]] = arith.andi %[[UP]], %c-64
// CHECK:         %[[TOTAL:.*]] = arith.addi %[[SCALED]], %[[ROUNDED]]
// CHECK:         rt.plan_arena %{{.*}}, %[[TOTAL]]
func.func @run(%call: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  %one = arith.constant 1 : index
  %c1024 = arith.constant 1024 : index
  %c4 = arith.constant 4 : index
  %c500 = arith.constant 500 : index
  %in = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  %out = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
  %dim = rt.dim %call[0, 0] : !llvm.ptr
  %thousand = arith.muli %dim, %c1024 : index
  %bytes = arith.muli %thousand, %c4 : index
  %floats = arith.muli %dim, %c500 : index
  %fewer = arith.muli %floats, %c4 : index
  %least = arith.muli %dim, %c4 : index
  %a = rt.alloc %bytes : !llvm.ptr
  %b = rt.alloc %fewer : !llvm.ptr
  %c = rt.alloc %bytes : !llvm.ptr
  %d = rt.alloc %least : !llvm.ptr
  rt.dispatch @f(%call) buffers(%in, %a) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%a, %b) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%b, %c) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%c, %d) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%d, %out) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  return %ok : i32
}
func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  return %ok : i32
}
func.func private @f(!llvm.ptr, !llvm.ptr, !llvm.ptr, index, index)

// -----

// With two products there are slots; a slot is as large as the largest multiple of each.
// CHECK-LABEL: func.func @run(
// CHECK-LABEL: func.func @plan(
// CHECK-DAG:     %[[B:.*]] = rt.dim %{{.*}}[0, 0]
// CHECK-DAG:     %[[S:.*]] = rt.dim %{{.*}}[0, 1]
// CHECK-DAG:     %[[MORE:.*]] = arith.muli %[[B]], %c8192
// CHECK-DAG:     %[[OTHER:.*]] = arith.muli %[[S]], %c4096
// CHECK-NOT:     arith.maxui
// CHECK:         rt.plan_arena
func.func @run(%call: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  %one = arith.constant 1 : index
  %c4096 = arith.constant 4096 : index
  %c8192 = arith.constant 8192 : index
  %in = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  %out = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
  %b = rt.dim %call[0, 0] : !llvm.ptr
  %s = rt.dim %call[0, 1] : !llvm.ptr
  %0 = arith.muli %b, %c4096 : index
  %1 = arith.muli %s, %c4096 : index
  %2 = arith.muli %b, %c8192 : index
  %x = rt.alloc %0 : !llvm.ptr
  %y = rt.alloc %1 : !llvm.ptr
  %z = rt.alloc %2 : !llvm.ptr
  rt.dispatch @f(%call) buffers(%in, %x) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%x, %y) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%y, %z) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  rt.dispatch @f(%call) buffers(%z, %out) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  return %ok : i32
}
func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  return %ok : i32
}
func.func private @f(!llvm.ptr, !llvm.ptr, !llvm.ptr, index, index)

// -----

// A size read from data cannot be planned: the runtime is asked for the memory. What nobody uses
// takes no place.
// CHECK-LABEL: func.func @run(
// CHECK:         %[[LOADED:.*]] = llvm.load
// CHECK:         %[[SIZE:.*]] = arith.index_cast %[[LOADED]]
// CHECK:         rt.allocate %{{.*}}, %[[SIZE]]
// CHECK-NOT:     rt.arena
// CHECK-LABEL: func.func @plan(
// CHECK:         rt.plan_arena %{{.*}}, %c0
func.func @run(%call: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  %one = arith.constant 1 : index
  %in = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
  %size = llvm.load %in : !llvm.ptr -> i64
  %bytes = arith.index_cast %size : i64 to index
  %a = rt.alloc %bytes : !llvm.ptr
  %unused = rt.alloc %one : !llvm.ptr
  rt.dispatch @f(%call) buffers(%in, %a) sizes() count %one {grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
  return %ok : i32
}
func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
  %ok = arith.constant 0 : i32
  return %ok : i32
}
func.func private @f(!llvm.ptr, !llvm.ptr, !llvm.ptr, index, index)
