// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// Both parts are computed in their place in the output: two dispatches, no copy.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     rt.arena
// CHECK:         %[[OUT:.*]] = rt.output
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[OUT]])
// CHECK:         %[[PART:.*]] = llvm.getelementptr %[[OUT]][96]
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[PART]])
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<3x8xf32>, %b: tensor<2x8xf32>) -> tensor<5x8xf32> {
  %e = tensor.empty() : tensor<3x8xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<3x8xf32>
  %e1 = tensor.empty() : tensor<2x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%b : tensor<2x8xf32>) outs(%e1 : tensor<2x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  } -> tensor<2x8xf32>
  %whole = tensor.empty() : tensor<5x8xf32>
  %first = tensor.insert_slice %x into %whole[0, 0] [3, 8] [1, 1]
      : tensor<3x8xf32> into tensor<5x8xf32>
  %second = tensor.insert_slice %y into %first[3, 0] [2, 8] [1, 1]
      : tensor<2x8xf32> into tensor<5x8xf32>
  return %second : tensor<5x8xf32>
}

// -----

// A part with another reader has memory of its own and is copied.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[WHOLE:.*]] = rt.output %{{.*}}[0]
// CHECK-DAG:     %[[PART:.*]] = rt.output %{{.*}}[1]
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[PART]])
// CHECK:         rt.dispatch @{{.*}} buffers(%[[PART]], %[[WHOLE]])
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<3x8xf32>) -> (tensor<6x8xf32>, tensor<3x8xf32>) {
  %e = tensor.empty() : tensor<3x8xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<3x8xf32>
  %whole = tensor.empty() : tensor<6x8xf32>
  %first = tensor.insert_slice %x into %whole[0, 0] [3, 8] [1, 1]
      : tensor<3x8xf32> into tensor<6x8xf32>
  %second = tensor.insert_slice %a into %first[3, 0] [3, 8] [1, 1]
      : tensor<3x8xf32> into tensor<6x8xf32>
  return %second, %x : tensor<6x8xf32>, tensor<3x8xf32>
}

// -----

// The producer writes the interior, and only the strips of the border are filled: above, below,
// and on the right.
// CHECK-LABEL: func.func @run
// CHECK:         %[[OUT:.*]] = rt.output
// CHECK:         %[[INTERIOR:.*]] = llvm.getelementptr %[[OUT]][40]
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[INTERIOR]])
// CHECK:         rt.dispatch @{{.*}} buffers(%[[OUT]])
// CHECK:         rt.dispatch @{{.*}} buffers(%{{[0-9]+}})
// CHECK:         rt.dispatch @{{.*}} buffers(%{{[0-9]+}})
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<4x8xf32>) -> tensor<6x10xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<4x8xf32>
  %zero = arith.constant 0.0 : f32
  %y = tensor.pad %x low[1, 0] high[1, 2] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<4x8xf32> to tensor<6x10xf32>
  return %y : tensor<6x10xf32>
}

// -----

// Slices, reshapes and casts are views: the only dispatch computes.
// CHECK-LABEL: func.func @run
// CHECK:         %[[IN:.*]] = rt.input
// CHECK:         %[[SLICE:.*]] = llvm.getelementptr %[[IN]][64]
// CHECK:         rt.dispatch @{{.*}} buffers(%[[SLICE]], %{{.*}})
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @main(%a: tensor<4x8xf32>) -> tensor<16xf32> {
  %slice = tensor.extract_slice %a[2, 0] [2, 8] [1, 1] : tensor<4x8xf32> to tensor<2x8xf32>
  %flat = tensor.collapse_shape %slice [[0, 1]] : tensor<2x8xf32> into tensor<16xf32>
  %e = tensor.empty() : tensor<16xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%flat : tensor<16xf32>) outs(%e : tensor<16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<16xf32>
  return %y : tensor<16xf32>
}

// -----

// A value is updated in a place of its own while it has another reader, be it of another shape.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[VALUE:.*]] = rt.arena
// CHECK-DAG:     %[[UPDATED:.*]] = rt.output %{{.*}}[0]
// CHECK-DAG:     %[[NEGATED:.*]] = rt.output %{{.*}}[1]
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[VALUE]])
// CHECK:         rt.dispatch @{{.*}} buffers(%[[VALUE]], %[[UPDATED]])
// CHECK:         rt.dispatch @{{.*}} buffers(%[[VALUE]], %[[NEGATED]]){{.*}} count %c16
#line = affine_map<(i) -> (i)>
func.func @main(%a: tensor<16xf32>, %b: tensor<1x8xf32>)
    -> (tensor<2x8xf32>, tensor<16xf32>) {
  %e = tensor.empty() : tensor<16xf32>
  %x = linalg.generic {indexing_maps = [#line, #line], iterator_types = ["parallel"]}
      ins(%a : tensor<16xf32>) outs(%e : tensor<16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<16xf32>
  %s = tensor.expand_shape %x [[0, 1]] output_shape [2, 8]
      : tensor<16xf32> into tensor<2x8xf32>
  %y = tensor.insert_slice %b into %s[1, 0] [1, 8] [1, 1]
      : tensor<1x8xf32> into tensor<2x8xf32>
  %z = linalg.generic {indexing_maps = [#line, #line], iterator_types = ["parallel"]}
      ins(%x : tensor<16xf32>) outs(%e : tensor<16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  } -> tensor<16xf32>
  return %y, %z : tensor<2x8xf32>, tensor<16xf32>
}

// -----

// Two concatenations that start alike: the common start is copied before the rest is computed.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[START:.*]] = rt.output %{{.*}}[0]
// CHECK-DAG:     %[[BOTH:.*]] = rt.output %{{.*}}[1]
// CHECK:         rt.dispatch @{{.*}} buffers(%[[START]], %[[BOTH]])
// CHECK:         %[[REST:.*]] = llvm.getelementptr %[[BOTH]][32]
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[REST]])
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%a: tensor<1x8xf32>, %b: tensor<1x8xf32>)
    -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %e = tensor.empty() : tensor<1x8xf32>
  %w = tensor.empty() : tensor<2x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%b : tensor<1x8xf32>) outs(%e : tensor<1x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  } -> tensor<1x8xf32>
  %f = tensor.insert_slice %a into %w[0, 0] [1, 8] [1, 1]
      : tensor<1x8xf32> into tensor<2x8xf32>
  %s = tensor.insert_slice %y into %f[1, 0] [1, 8] [1, 1]
      : tensor<1x8xf32> into tensor<2x8xf32>
  return %f, %s : tensor<2x8xf32>, tensor<2x8xf32>
}

// -----

// A shape that the elements may not fit is checked before they are written into the output, which is
// as large as the shape says.
// CHECK-LABEL: func.func @run
// CHECK:         rt.check {{.*}}"%0 elements do not fit"
// CHECK:         rt.dispatch
// CHECK-NOT:     rt.dispatch
// CHECK:         return
#id = affine_map<(i) -> (i)>
func.func @main(%a: tensor<?xf32>) -> tensor<24x?xf32> {
  %c0 = arith.constant 0 : index
  %c24 = arith.constant 24 : index
  %n = tensor.dim %a, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %m = arith.divsi %n, %c24 : index
  %all = arith.muli %m, %c24 : index
  %fits = arith.cmpi eq, %n, %all : index
  rt.check %fits, 4, "%0 elements do not fit", %n : index
  %y = tensor.expand_shape %x [[0, 1]] output_shape [24, %m] : tensor<?xf32> into tensor<24x?xf32>
  return %y : tensor<24x?xf32>
}

// -----

// The memory of an output whose shape follows from data is not there when its elements are computed.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[OWN:[^)]*]])
// CHECK:         %[[OUT:.*]] = rt.allocate_output
// CHECK:         rt.dispatch @{{.*}} buffers(%[[OWN]], %[[OUT]])
#id = affine_map<(i) -> (i)>
func.func @main(%a: tensor<24xf32>, %shape: tensor<2xi64>) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<24xf32>
  %x = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<24xf32>) outs(%e : tensor<24xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<24xf32>
  %s0 = tensor.extract %shape[%c0] : tensor<2xi64>
  %s1 = tensor.extract %shape[%c1] : tensor<2xi64>
  %d0 = arith.index_cast %s0 : i64 to index
  %d1 = arith.index_cast %s1 : i64 to index
  %cast = tensor.cast %x : tensor<24xf32> to tensor<?xf32>
  %y = tensor.expand_shape %cast [[0, 1]] output_shape [%d0, %d1] : tensor<?xf32> into tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
