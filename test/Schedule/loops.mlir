// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// A carried tensor has one place: it starts as a copy of the initial value, every iteration reads
// it, and ends by overwriting it. Memory of the body is planned like any other.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[IN:.*]] = rt.input
// CHECK-DAG:     %[[STATE:.*]] = rt.arena %{{.*}}, %c{{[0-9]+}}
// CHECK-DAG:     %[[NEXT:.*]] = rt.arena %{{.*}}, %c{{[0-9]+}}
// CHECK:         rt.dispatch @{{.*}} buffers(%[[IN]], %[[STATE]])
// CHECK:         scf.for
// CHECK-NOT:       rt.allocate
// CHECK:           rt.dispatch @{{.*}} buffers(%[[STATE]], %[[NEXT]])
// CHECK:           rt.dispatch @{{.*}} buffers(%[[NEXT]], %[[STATE]])
// CHECK:         }
// CHECK:         rt.dispatch @{{.*}} buffers(%[[STATE]], %{{.*}})
#row = affine_map<(i, k) -> (i)>
#all = affine_map<(i, k) -> (k)>
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<16xf32>) -> tensor<16xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %last = scf.for %i = %c0 to %c5 step %c1 iter_args(%state = %x) -> (tensor<16xf32>) {
    %e = tensor.empty() : tensor<16xf32>
    %init = linalg.fill ins(%zero : f32) outs(%e : tensor<16xf32>) -> tensor<16xf32>
    %next = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
        ins(%state : tensor<16xf32>) outs(%init : tensor<16xf32>) {
    ^bb0(%in: f32, %acc: f32):
      %0 = arith.addf %acc, %in : f32
      linalg.yield %0 : f32
    } -> tensor<16xf32>
    scf.yield %next : tensor<16xf32>
  }
  %e = tensor.empty() : tensor<16xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%last : tensor<16xf32>) outs(%e : tensor<16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<16xf32>
  return %y : tensor<16xf32>
}

// -----

// A slice written into the carried tensor, and nothing else, is written in place.
// CHECK-LABEL: func.func @run
// CHECK:         %[[OUT:.*]] = rt.output
// CHECK:         scf.for
// CHECK:           rt.dispatch
// CHECK-NOT:       rt.dispatch
// CHECK:         }
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %all = tensor.empty() : tensor<8x16xf32>
  %y = scf.for %i = %c0 to %c8 step %c1 iter_args(%rows = %all) -> (tensor<8x16xf32>) {
    %row = tensor.extract_slice %x[%i, 0] [1, 16] [1, 1] : tensor<8x16xf32> to tensor<16xf32>
    %place = tensor.extract_slice %rows[%i, 0] [1, 16] [1, 1] : tensor<8x16xf32> to tensor<16xf32>
    %next = tensor.insert_slice %row into %rows[%i, 0] [1, 16] [1, 1]
        : tensor<16xf32> into tensor<8x16xf32>
    scf.yield %next : tensor<8x16xf32>
  }
  return %y : tensor<8x16xf32>
}

// -----

// Two carried tensors that change places: the one that would be overwritten first is saved.
// CHECK-LABEL: func.func @run
// CHECK:         scf.for
// CHECK:           rt.dispatch @{{.*}} buffers(%[[B:.*]], %[[SAVED_B:[^)]*]])
// CHECK:           rt.dispatch @{{.*}} buffers(%[[A:.*]], %[[SAVED_A:[^)]*]])
// CHECK:           rt.dispatch @{{.*}} buffers(%[[SAVED_B]], %[[A]])
// CHECK:           rt.dispatch @{{.*}} buffers(%[[SAVED_A]], %[[B]])
func.func @main(%x: tensor<16xf32>, %y: tensor<16xf32>, %n: tensor<i64>)
    -> (tensor<16xf32>, tensor<16xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %count = tensor.extract %n[] : tensor<i64>
  %end = arith.index_cast %count : i64 to index
  %r:2 = scf.for %i = %c0 to %end step %c1 iter_args(%a = %x, %b = %y)
      -> (tensor<16xf32>, tensor<16xf32>) {
    scf.yield %b, %a : tensor<16xf32>, tensor<16xf32>
  }
  return %r#0, %r#1 : tensor<16xf32>, tensor<16xf32>
}

// -----

// Kernels have limits of size: two stages of 30 functions are two dispatches, of 20 one.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch
// CHECK:         rt.dispatch
// CHECK-NOT:     rt.dispatch
// CHECK-LABEL: func.func @plan
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<5x77xf32>) -> tensor<5x77xf32> {
  %e = tensor.empty() : tensor<5x77xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<5x77xf32>) outs(%e : tensor<5x77xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    %1 = math.tanh %0 : f32
    %2 = math.tanh %1 : f32
    %3 = math.tanh %2 : f32
    %4 = math.tanh %3 : f32
    %5 = math.tanh %4 : f32
    %6 = math.tanh %5 : f32
    %7 = math.tanh %6 : f32
    %8 = math.tanh %7 : f32
    %9 = math.tanh %8 : f32
    %10 = math.tanh %9 : f32
    %11 = math.tanh %10 : f32
    %12 = math.tanh %11 : f32
    %13 = math.tanh %12 : f32
    %14 = math.tanh %13 : f32
    %15 = math.tanh %14 : f32
    %16 = math.tanh %15 : f32
    %17 = math.tanh %16 : f32
    %18 = math.tanh %17 : f32
    %19 = math.tanh %18 : f32
    %20 = math.tanh %19 : f32
    %21 = math.tanh %20 : f32
    %22 = math.tanh %21 : f32
    %23 = math.tanh %22 : f32
    %24 = math.tanh %23 : f32
    %25 = math.tanh %24 : f32
    %26 = math.tanh %25 : f32
    %27 = math.tanh %26 : f32
    %28 = math.tanh %27 : f32
    %29 = math.tanh %28 : f32
    linalg.yield %29 : f32
  } -> tensor<5x77xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<5x77xf32>) outs(%e : tensor<5x77xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    %1 = math.tanh %0 : f32
    %2 = math.tanh %1 : f32
    %3 = math.tanh %2 : f32
    %4 = math.tanh %3 : f32
    %5 = math.tanh %4 : f32
    %6 = math.tanh %5 : f32
    %7 = math.tanh %6 : f32
    %8 = math.tanh %7 : f32
    %9 = math.tanh %8 : f32
    %10 = math.tanh %9 : f32
    %11 = math.tanh %10 : f32
    %12 = math.tanh %11 : f32
    %13 = math.tanh %12 : f32
    %14 = math.tanh %13 : f32
    %15 = math.tanh %14 : f32
    %16 = math.tanh %15 : f32
    %17 = math.tanh %16 : f32
    %18 = math.tanh %17 : f32
    %19 = math.tanh %18 : f32
    %20 = math.tanh %19 : f32
    %21 = math.tanh %20 : f32
    %22 = math.tanh %21 : f32
    %23 = math.tanh %22 : f32
    %24 = math.tanh %23 : f32
    %25 = math.tanh %24 : f32
    %26 = math.tanh %25 : f32
    %27 = math.tanh %26 : f32
    %28 = math.tanh %27 : f32
    %29 = math.tanh %28 : f32
    linalg.yield %29 : f32
  } -> tensor<5x77xf32>
  return %y : tensor<5x77xf32>
}

// -----

// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch
// CHECK-NOT:     rt.dispatch
// CHECK-LABEL: func.func @plan
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<5x77xf32>) -> tensor<5x77xf32> {
  %e = tensor.empty() : tensor<5x77xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<5x77xf32>) outs(%e : tensor<5x77xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    %1 = math.tanh %0 : f32
    %2 = math.tanh %1 : f32
    %3 = math.tanh %2 : f32
    %4 = math.tanh %3 : f32
    %5 = math.tanh %4 : f32
    %6 = math.tanh %5 : f32
    %7 = math.tanh %6 : f32
    %8 = math.tanh %7 : f32
    %9 = math.tanh %8 : f32
    %10 = math.tanh %9 : f32
    %11 = math.tanh %10 : f32
    %12 = math.tanh %11 : f32
    %13 = math.tanh %12 : f32
    %14 = math.tanh %13 : f32
    %15 = math.tanh %14 : f32
    %16 = math.tanh %15 : f32
    %17 = math.tanh %16 : f32
    %18 = math.tanh %17 : f32
    %19 = math.tanh %18 : f32
    linalg.yield %19 : f32
  } -> tensor<5x77xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<5x77xf32>) outs(%e : tensor<5x77xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32
    %1 = math.tanh %0 : f32
    %2 = math.tanh %1 : f32
    %3 = math.tanh %2 : f32
    %4 = math.tanh %3 : f32
    %5 = math.tanh %4 : f32
    %6 = math.tanh %5 : f32
    %7 = math.tanh %6 : f32
    %8 = math.tanh %7 : f32
    %9 = math.tanh %8 : f32
    %10 = math.tanh %9 : f32
    %11 = math.tanh %10 : f32
    %12 = math.tanh %11 : f32
    %13 = math.tanh %12 : f32
    %14 = math.tanh %13 : f32
    %15 = math.tanh %14 : f32
    %16 = math.tanh %15 : f32
    %17 = math.tanh %16 : f32
    %18 = math.tanh %17 : f32
    %19 = math.tanh %18 : f32
    linalg.yield %19 : f32
  } -> tensor<5x77xf32>
  return %y : tensor<5x77xf32>
}
