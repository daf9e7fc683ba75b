// RUN: %lathe-opt %s --graph-infer-shapes=print-dims --split-input-file | FileCheck %s

// Equal names are one symbol; the product cancels in the reshape.
// CHECK-LABEL: func @reshape_cancels
// CHECK: graph.reshape {{.*}} {dims = ["[b, s, 12, 64]"]}
// CHECK: graph.transpose {{.*}} {dims = ["[b, 12, s, 64]"]
// CHECK: graph.reshape {{.*}} {dims = ["[b * s]"]} {{.*}} -> tensor<?xf32>
func.func @reshape_cancels(%x: tensor<?x?x768xf32> {graph.dims = ["b", "s", ""]},
                           %y: tensor<?x?xf32> {graph.dims = ["b", "s"]}) -> (tensor<*xf32>, tensor<*xf32>) {
  %shape = graph.shape %x : (tensor<?x?x768xf32>) -> tensor<*xi64>
  %zero = graph.constant dense<0> : tensor<i64>
  %one = graph.constant dense<1> : tensor<i64>
  %b = graph.gather %shape, %zero {axis = 0 : i64} : (tensor<*xi64>, tensor<i64>) -> tensor<*xi64>
  %s = graph.gather %shape, %one {axis = 0 : i64} : (tensor<*xi64>, tensor<i64>) -> tensor<*xi64>
  %b1 = graph.unsqueeze %b {axes = array<i64: 0>} : (tensor<*xi64>) -> tensor<*xi64>
  %s1 = graph.unsqueeze %s {axes = array<i64: 0>} : (tensor<*xi64>) -> tensor<*xi64>
  %rest = graph.constant dense<[12, -1]> : tensor<2xi64>
  %target = graph.concat %b1, %s1, %rest {axis = 0 : i64} : (tensor<*xi64>, tensor<*xi64>, tensor<2xi64>) -> tensor<*xi64>
  %r = graph.reshape %x, %target : (tensor<?x?x768xf32>, tensor<*xi64>) -> tensor<*xf32>
  %t = graph.transpose %r {perm = array<i64: 0, 2, 1, 3>} : (tensor<*xf32>) -> tensor<*xf32>
  %minus = graph.constant dense<[-1, 12, 64]> : tensor<3xi64>
  %flat = graph.reshape %t, %minus : (tensor<*xf32>, tensor<3xi64>) -> tensor<*xf32>
  %m1 = graph.constant dense<-1> : tensor<1xi64>
  %y1 = graph.reshape %y, %m1 : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<*xf32>
  return %flat, %y1 : tensor<*xf32>, tensor<*xf32>
}

// -----

// The size min(s, 512) of the sliced table adds to s.
// CHECK-LABEL: func @position_embedding
// CHECK: graph.slice
// CHECK: graph.binary add {{.*}} {dims = ["[1, s, 8]"]}
func.func @position_embedding(%x: tensor<1x?x8xf32> {graph.dims = ["", "s", ""]},
                              %table: tensor<1x512x8xf32>) -> tensor<*xf32> {
  %shape = graph.shape %x {start = 1 : i64, end = 2 : i64} : (tensor<1x?x8xf32>) -> tensor<*xi64>
  %zero = graph.constant dense<0> : tensor<1xi64>
  %axis = graph.constant dense<1> : tensor<1xi64>
  %part = graph.slice %table from %zero to %shape axes %axis : (tensor<1x512x8xf32>, tensor<1xi64>, tensor<*xi64>, tensor<1xi64>) -> tensor<*xf32>
  %sum = graph.binary add %x, %part : (tensor<1x?x8xf32>, tensor<*xf32>) -> tensor<*xf32>
  return %sum : tensor<*xf32>
}

// -----

// auto_pad becomes pads, strides of a symbolic image nest to one division.
// CHECK-LABEL: func @conv
// CHECK: graph.conv {{.*}}auto_pad = #graph<auto_pad none>{{.*}}pads = array<i64: 0, 0, 1, 1>
// CHECK: graph.conv {{.*}}dims = ["[1, 8, (h + 1) / 2, 16]"]
// CHECK: graph.pool max {{.*}}dims = ["[1, 8, (h + 3) / 4, 8]"]
func.func @conv(%x: tensor<1x3x32x32xf32>, %y: tensor<1x3x?x32xf32> {graph.dims = ["", "", "h", ""]},
                %w: tensor<8x3x3x3xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  %0 = graph.conv %x, %w {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad same_upper>} : (tensor<1x3x32x32xf32>, tensor<8x3x3x3xf32>) -> tensor<*xf32>
  %1 = graph.conv %y, %w {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x?x32xf32>, tensor<8x3x3x3xf32>) -> tensor<*xf32>
  %2 = graph.pool max %1 {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, auto_pad = #graph<auto_pad none>} : (tensor<*xf32>) -> tensor<*xf32>
  return %0, %2 : tensor<*xf32>, tensor<*xf32>
}

// -----

// What shape arithmetic determines becomes constant, also through floats; what keeps its size is not
// resized.
// CHECK-LABEL: func @resize
// CHECK-NOT: graph.shape
// CHECK: %[[SIZES:.*]] = graph.constant dense<[25, 50]> : tensor<2xi64>
// CHECK: graph.resize %arg0 sizes %[[SIZES]] {axes = array<i64: 2, 3>, {{.*}} -> tensor<1x3x25x50xf32>
func.func @resize(%x: tensor<1x3x10x20xf32>) -> tensor<*xf32> {
  %shape = graph.shape %x {start = 2 : i64} : (tensor<1x3x10x20xf32>) -> tensor<*xi64>
  %float = graph.cast %shape : (tensor<*xi64>) -> tensor<*xf32>
  %scale = graph.constant dense<2.5> : tensor<f32>
  %scaled = graph.binary mul %float, %scale : (tensor<*xf32>, tensor<f32>) -> tensor<*xf32>
  %floor = graph.unary floor %scaled : (tensor<*xf32>) -> tensor<*xf32>
  %int = graph.cast %floor : (tensor<*xf32>) -> tensor<*xi64>
  %head = graph.shape %x {end = 2 : i64} : (tensor<1x3x10x20xf32>) -> tensor<*xi64>
  %sizes = graph.concat %head, %int {axis = 0 : i64} : (tensor<*xi64>, tensor<*xi64>) -> tensor<*xi64>
  %r = graph.resize %x sizes %sizes {mode = #graph<resize_mode linear>, coordinates = #graph<resize_coordinates half_pixel>, nearest = #graph<resize_nearest floor>, policy = #graph<resize_policy stretch>} : (tensor<1x3x10x20xf32>, tensor<*xi64>) -> tensor<*xf32>
  return %r : tensor<*xf32>
}

// -----

// Numbers that a type does not hold are left to the run: they wrap around in unsigned and narrow types.
// CHECK-LABEL: func @wraps
// CHECK: %[[BYTE:.*]] = graph.cast {{.*}} -> tensor<2xui8>
// CHECK: %[[A:.*]] = graph.cast %[[BYTE]]
// CHECK: %[[NARROW:.*]] = graph.cast {{.*}} -> tensor<1xi8>
// CHECK: %[[B:.*]] = graph.cast %[[NARROW]]
// CHECK: %[[C:.*]] = graph.constant dense<[2.000000e+02, 7.000000e+00]>
// CHECK: return %[[A]], %[[B]], %[[C]]
func.func @wraps(%x: tensor<?xf32> {graph.dims = ["n"]}) -> (tensor<2xf32>, tensor<1xf32>, tensor<2xf32>) {
  %c = graph.constant dense<[-128, 40]> : tensor<2xi32>
  %byte = graph.cast %c : (tensor<2xi32>) -> tensor<2xui8>
  %a = graph.cast %byte : (tensor<2xui8>) -> tensor<2xf32>
  %size = graph.shape %x : (tensor<?xf32>) -> tensor<1xi64>
  %narrow = graph.cast %size : (tensor<1xi64>) -> tensor<1xi8>
  %b = graph.cast %narrow : (tensor<1xi8>) -> tensor<1xf32>
  %d = graph.constant dense<[200, 7]> : tensor<2xi32>
  %fits = graph.cast %d : (tensor<2xi32>) -> tensor<2xui8>
  %e = graph.cast %fits : (tensor<2xui8>) -> tensor<2xf32>
  return %a, %b, %e : tensor<2xf32>, tensor<1xf32>, tensor<2xf32>
}

// -----

// Of equal numbers the choice does not matter, but its size may be one that does not fit.
// CHECK-LABEL: func @equal_choices(
// CHECK: graph.select
// CHECK-LABEL: func @equal_choices_of_known_size(
// CHECK-NOT: graph.select
func.func @equal_choices(%c: tensor<?xi1>) -> tensor<3xi64> {
  %x = graph.constant dense<[1, 2, 3]> : tensor<3xi64>
  %0 = graph.select %c, %x, %x : (tensor<?xi1>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}
func.func @equal_choices_of_known_size(%c: tensor<3xi1>) -> tensor<3xi64> {
  %x = graph.constant dense<[1, 2, 3]> : tensor<3xi64>
  %0 = graph.select %c, %x, %x : (tensor<3xi1>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}

// -----

// What a shape must be counts as known.
// CHECK-LABEL: func @require_shape
// CHECK: graph.require_shape %arg0, {{.*}} {dims = ["[m, 3, c]"]} {{.*}} -> tensor<?x3x?xf32>
// CHECK: graph.require_shape %arg0, {{.*}} {dims = ["[a, b, c]"]}
func.func @require_shape(%x: tensor<?x?x?xf32> {graph.dims = ["a", "b", "c"]},
                         %y: tensor<?xf32> {graph.dims = ["m"]}) -> (tensor<*xf32>, tensor<*xf32>) {
  %m = graph.shape %y : (tensor<?xf32>) -> tensor<*xi64>
  %rest = graph.constant dense<[3, -1]> : tensor<2xi64>
  %shape = graph.concat %m, %rest {axis = 0 : i64} : (tensor<*xi64>, tensor<2xi64>) -> tensor<*xi64>
  %0 = graph.require_shape %x, %shape : (tensor<?x?x?xf32>, tensor<*xi64>) -> tensor<*xf32>
  %any = graph.constant dense<-1> : tensor<3xi64>
  %1 = graph.require_shape %x, %any : (tensor<?x?x?xf32>, tensor<3xi64>) -> tensor<*xf32>
  return %0, %1 : tensor<*xf32>, tensor<*xf32>
}

// -----

// Scales of unknown size say nothing of the sizes of the tensor.
// CHECK-LABEL: func @quantize_unknown_scales
// CHECK: graph.quantize {{.*}} dims = ["[n, 3]"]
func.func @quantize_unknown_scales(%x: tensor<?x3xf32> {graph.dims = ["n", ""]},
                                   %s: tensor<?xf32> {graph.dims = ["k"]},
                                   %z: tensor<ui8>) -> tensor<*xui8> {
  %0 = graph.quantize %x, %s, %z {axis = -1 : i64} : (tensor<?x3xf32>, tensor<?xf32>, tensor<ui8>) -> tensor<*xui8>
  return %0 : tensor<*xui8>
}
