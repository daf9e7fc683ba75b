// RUN: %lathe-opt %s --graph-simplify --split-input-file | FileCheck %s

// CHECK-LABEL: func @transposes
// CHECK-NEXT: return %arg0
func.func @transposes(%x: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %0 = graph.transpose %x {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %1 = graph.transpose %0 {perm = array<i64: 2, 0, 1>} : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  return %1 : tensor<2x3x4xf32>
}

// -----

// What is the same everywhere is so in any order. (Smaller ones are constants.)
// CHECK-LABEL: func @transpose_full
// CHECK: %[[SHAPE:.*]] = graph.constant dense<[1000, 20000]>
// CHECK-NEXT: %[[R:.*]] = graph.full %[[SHAPE]], dense<2.000000e+00> : tensor<f32> : (tensor<2xi64>) -> tensor<1000x20000xf32>
// CHECK-NEXT: return %[[R]]
func.func @transpose_full(%shape: tensor<2xi64>) -> tensor<1000x20000xf32> {
  %0 = graph.full %shape, dense<2.0> : tensor<f32> : (tensor<2xi64>) -> tensor<20000x1000xf32>
  %1 = graph.transpose %0 {perm = array<i64: 1, 0>} : (tensor<20000x1000xf32>) -> tensor<1000x20000xf32>
  return %1 : tensor<1000x20000xf32>
}

// -----

// A transpose that moves only dimensions of size 1 is a reshape, and reshapes merge.
// CHECK-LABEL: func @reshapes
// CHECK: %[[SHAPE:.*]] = graph.constant dense<[-1, 8]>
// CHECK-NEXT: %[[R:.*]] = graph.reshape %arg0, %[[SHAPE]]
// CHECK-NEXT: return %[[R]]
func.func @reshapes(%x: tensor<?x8x1x1xf32>) -> tensor<?x8xf32> {
  %0 = graph.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x8x1x1xf32>) -> tensor<?x1x1x8xf32>
  %1 = graph.squeeze %0 {axes = array<i64: 1, 2>} : (tensor<?x1x1x8xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----

// x + 0 is not x for x = -0; x * 1, x / 1, x - 0 and x + -0 are.
// CHECK-LABEL: func @identities
// CHECK: %[[ZERO:.*]] = graph.constant dense<0.0
// CHECK-NEXT: %[[SUM:.*]] = graph.binary add %arg0, %[[ZERO]]
// CHECK-NEXT: return %[[SUM]]
func.func @identities(%x: tensor<4xf32>) -> tensor<4xf32> {
  %one = graph.constant dense<1.0> : tensor<f32>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %minusZero = graph.constant dense<-0.0> : tensor<f32>
  %0 = graph.binary add %x, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = graph.binary mul %one, %0 : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %2 = graph.binary div %1, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = graph.binary sub %2, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = graph.binary add %3, %minusZero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %4 : tensor<4xf32>
}

// -----

// An operand that broadcasts changes the shape, so it stays.
// CHECK-LABEL: func @broadcasts
// CHECK: graph.binary mul
func.func @broadcasts(%x: tensor<1xf32>) -> tensor<4xf32> {
  %ones = graph.constant dense<1.0> : tensor<4xf32>
  %0 = graph.binary mul %x, %ones : (tensor<1xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// f32 -> f64 -> f32 is exact, f32 -> f16 -> f32 is not.
// CHECK-LABEL: func @casts
// CHECK: %[[HALF:.*]] = graph.cast %arg0 : (tensor<4xf32>) -> tensor<4xf16>
// CHECK: %[[BACK:.*]] = graph.cast %[[HALF]]
// CHECK: return %arg0, %[[BACK]]
func.func @casts(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = graph.cast %x : (tensor<4xf32>) -> tensor<4xf64>
  %1 = graph.cast %0 : (tensor<4xf64>) -> tensor<4xf32>
  %2 = graph.cast %x : (tensor<4xf32>) -> tensor<4xf16>
  %3 = graph.cast %2 : (tensor<4xf16>) -> tensor<4xf32>
  return %1, %3 : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func @constants
// CHECK-DAG: %[[T:.*]] = graph.constant dense<{{\[\[}}1.000000e+00, 3.000000e+00], [2.000000e+00, 4.000000e+00]]>
// CHECK-DAG: %[[S:.*]] = graph.constant dense<{{\[\[}}2.000000e+00, 1.000000e+00]]>
// CHECK-DAG: %[[A:.*]] = graph.constant dense<{{\[\[}}1.100000e+01, 2.200000e+01], [1.300000e+01, 2.400000e+01]]>
// CHECK-DAG: %[[P:.*]] = graph.constant dense<[0.000000e+00, 1.000000e+01, 2.000000e+01]>
// CHECK: return %[[T]], %[[S]], %[[A]], %[[P]]
func.func @constants() -> (tensor<2x2xf32>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<3xf32>) {
  %c = graph.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %row = graph.constant dense<[10.0, 20.0]> : tensor<2xf32>
  %zero = graph.constant dense<[0, 1]> : tensor<2xi64>
  %from = graph.constant dense<[0, -1]> : tensor<2xi64>
  %to = graph.constant dense<[1, -9223372036854775808]> : tensor<2xi64>
  %step = graph.constant dense<[1, -1]> : tensor<2xi64>
  %pads = graph.constant dense<[1, 0]> : tensor<2xi64>
  %0 = graph.transpose %c {perm = array<i64: 1, 0>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = graph.slice %c from %from to %to axes %zero steps %step : (tensor<2x2xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x2xf32>
  %2 = graph.binary add %row, %c : (tensor<2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %3 = graph.pad %row by %pads {mode = #graph<pad_mode constant>} : (tensor<2xf32>, tensor<2xi64>) -> tensor<3xf32>
  return %0, %1, %2, %3 : tensor<2x2xf32>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<3xf32>
}

// -----

// Division by zero in constants is left to the run, which reports it.
// CHECK-LABEL: func @division
// CHECK: graph.binary div
func.func @division() -> tensor<i64> {
  %one = graph.constant dense<1> : tensor<i64>
  %zero = graph.constant dense<0> : tensor<i64>
  %0 = graph.binary div %one, %zero : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %0 : tensor<i64>
}

// -----

// CHECK-LABEL: func @reductions
// CHECK-NEXT: graph.reduce mean %arg0 {axes = array<i64: 2, 3>, keep_dims = false}
func.func @reductions(%x: tensor<1x8x4x4xf32>) -> tensor<1x8xf32> {
  %0 = graph.reduce mean %x {axes = array<i64: 3>, keep_dims = false} : (tensor<1x8x4x4xf32>) -> tensor<1x8x4xf32>
  %1 = graph.reduce mean %0 {axes = array<i64: 2>, keep_dims = false} : (tensor<1x8x4xf32>) -> tensor<1x8xf32>
  return %1 : tensor<1x8xf32>
}

// -----

// Zeros around the image are pads; other values, or other dimensions, are not.
// CHECK-LABEL: func @pads
// CHECK: graph.conv %arg0, %arg1 {{.*}}pads = array<i64: 1, 2, 4, 5>
// CHECK: %[[P:.*]] = graph.pad %arg0
// CHECK: graph.conv %[[P]], %arg1 {{.*}}pads = array<i64: 0, 1, 2, 3>
func.func @pads(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> (tensor<1x4x11x14xf32>, tensor<1x4x11x14xf32>) {
  %sizes = graph.constant dense<[0, 0, 1, 1, 0, 0, 2, 2]> : tensor<8xi64>
  %one = graph.constant dense<1.0> : tensor<f32>
  %0 = graph.pad %x by %sizes {mode = #graph<pad_mode constant>} : (tensor<1x3x8x8xf32>, tensor<8xi64>) -> tensor<1x3x11x11xf32>
  %1 = graph.conv %0, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 1, 2, 3>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x11x11xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x11x14xf32>
  %2 = graph.pad %x by %sizes value %one {mode = #graph<pad_mode constant>} : (tensor<1x3x8x8xf32>, tensor<8xi64>, tensor<f32>) -> tensor<1x3x11x11xf32>
  %3 = graph.conv %2, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 1, 2, 3>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x11x11xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x11x14xf32>
  return %1, %3 : tensor<1x4x11x14xf32>, tensor<1x4x11x14xf32>
}

// -----

// A choice between the same values is no choice, but whether a condition of unknown size fits is
// still to be checked.
// CHECK-LABEL: func @main
// CHECK:         graph.select
// CHECK-NOT:     graph.select
// CHECK:         return
func.func @main(%c: tensor<?xi1>, %d: tensor<4xi1>, %x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = graph.select %c, %x, %x : (tensor<?xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %1 = graph.select %d, %x, %x : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// A reshape that may be impossible is not hidden by the next one; one that always fits is.
// CHECK-LABEL: func @may_be_impossible
// CHECK:         graph.reshape %arg0
// CHECK:         graph.reshape
// CHECK-LABEL: func @always_fits
// CHECK:         %[[R:.*]] = graph.reshape %arg0
// CHECK-NEXT:    return %[[R]]
func.func @may_be_impossible(%x: tensor<?x6xf32>) -> tensor<?xf32> {
  %shape = graph.constant dense<[4, -1]> : tensor<2xi64>
  %all = graph.constant dense<-1> : tensor<1xi64>
  %0 = graph.reshape %x, %shape : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<4x?xf32>
  %1 = graph.reshape %0, %all : (tensor<4x?xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}
func.func @always_fits(%x: tensor<?x6xf32>) -> tensor<?xf32> {
  %shape = graph.constant dense<[3, -1]> : tensor<2xi64>
  %all = graph.constant dense<-1> : tensor<1xi64>
  %0 = graph.reshape %x, %shape : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<3x?xf32>
  %1 = graph.reshape %0, %all : (tensor<3x?xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %1 : tensor<?xf32>
}

// -----

// A shape that is only known when running says whether the elements fit: a size that follows from
// them would take any.
// CHECK-LABEL: func @computed_shape(
// CHECK:         graph.reshape %arg0, %arg1
// CHECK-LABEL: func @computed_static_shape(
// CHECK:         graph.reshape %arg0, %arg1
// CHECK-LABEL: func @copied_size(
// CHECK:         %[[S:.*]] = graph.constant dense<[0, 24]>
// CHECK:         graph.reshape %arg0, %[[S]]
func.func @computed_shape(%x: tensor<?x?x?xf32>, %shape: tensor<1xi64>) -> tensor<?xf32> {
  %0 = graph.reshape %x, %shape : (tensor<?x?x?xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
func.func @computed_static_shape(%x: tensor<?xf32>, %shape: tensor<2xi64>) -> tensor<3x8xf32> {
  %0 = graph.reshape %x, %shape : (tensor<?xf32>, tensor<2xi64>) -> tensor<3x8xf32>
  return %0 : tensor<3x8xf32>
}
func.func @copied_size(%x: tensor<?x?xf32>) -> tensor<?x24xf32> {
  %shape = graph.constant dense<[0, 24]> : tensor<2xi64>
  %0 = graph.reshape %x, %shape : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x24xf32>
  return %0 : tensor<?x24xf32>
}

// -----

// Of a shape that only the run knows in part, the part that seems to follow may be one that does
// not fit: neither the identity nor a constant shape stands for it.
// CHECK-LABEL: func @size_from_data(
// CHECK:         %[[S:.*]] = graph.concat
// CHECK:         graph.reshape %arg0, %[[S]]
// CHECK-LABEL: func @static_shape_from_data(
// CHECK:         graph.reshape %arg0, %arg1
// CHECK-LABEL: func @constant_of_shape_from_data(
// CHECK:         graph.reshape %{{.*}}, %arg0
func.func @size_from_data(%x: tensor<?x3xf32>, %size: tensor<1xi64>) -> tensor<?x3xf32> {
  %three = graph.constant dense<3> : tensor<1xi64>
  %shape = graph.concat %size, %three {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = graph.reshape %x, %shape : (tensor<?x3xf32>, tensor<2xi64>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}
func.func @static_shape_from_data(%x: tensor<2x3xf32>, %shape: tensor<2xi64>) -> tensor<2x3xf32> {
  %0 = graph.reshape %x, %shape : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
func.func @constant_of_shape_from_data(%shape: tensor<2xi64>) -> tensor<2x3xf32> {
  %x = graph.constant dense<1.0> : tensor<6xf32>
  %0 = graph.reshape %x, %shape : (tensor<6xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// A shape that a tensor is known to have is no question.
// CHECK-LABEL: func @require_known_shape
// CHECK-NEXT: return %arg0
func.func @require_known_shape(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %shape = graph.constant dense<[-1, 3]> : tensor<2xi64>
  %0 = graph.require_shape %x, %shape : (tensor<?x3xf32>, tensor<2xi64>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// -----

// Integers that are known to be in range are left as they are.
// CHECK-LABEL: func @require_known_range
// CHECK:         %[[FAR:.*]] = graph.require_range
// CHECK-NOT:     graph.require_range
// CHECK:         return {{.*}}, %[[FAR]]
func.func @require_known_range() -> (tensor<2xi64>, tensor<2xi64>) {
  %lengths = graph.constant dense<[0, 3]> : tensor<2xi64>
  %most = graph.constant dense<3> : tensor<i64>
  %less = graph.constant dense<2> : tensor<i64>
  %0 = graph.require_range %lengths, %most {what = "a length"} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  %1 = graph.require_range %lengths, %less {what = "a length"} : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  return %0, %1 : tensor<2xi64>, tensor<2xi64>
}

// -----

// A product that may not broadcast is not dropped with the branch that nobody takes.
// CHECK-LABEL: func @branch_that_may_be_refused(
// CHECK:         graph.binary mul
// CHECK:         graph.select
func.func @branch_that_may_be_refused(%slope: tensor<?xf32>) -> tensor<3xf32> {
  %x = graph.constant dense<[0.5, 1.25, 1.75]> : tensor<3xf32>
  %never = graph.constant dense<false> : tensor<3xi1>
  %0 = graph.binary mul %x, %slope : (tensor<3xf32>, tensor<?xf32>) -> tensor<3xf32>
  %1 = graph.select %never, %0, %x : (tensor<3xi1>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  return %1 : tensor<3xf32>
}
