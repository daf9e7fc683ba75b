// RUN: %lathe-opt %s --graph-infer-shapes --split-input-file --verify-diagnostics

func.func @broadcast(%x: tensor<2x3xf32>, %y: tensor<4x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{operands of shapes [2, 3] and [4, 3] don't broadcast: dimension 0 of the result is 2 and 4, which must be equal or 1}}
  %0 = graph.binary add %x, %y : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @types(%x: tensor<2xf32>, %y: tensor<2xi64>) -> tensor<*xf32> {
  // expected-error @below {{add takes operands of one element type}}
  %0 = graph.binary add %x, %y : (tensor<2xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @reshape(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  %shape = graph.constant dense<[4, -1]> : tensor<2xi64>
  // expected-error @below {{cannot reshape [2, 3] to [4, -1]: 6 elements don't divide by 4}}
  %0 = graph.reshape %x, %shape : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @reshape_count(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  %shape = graph.constant dense<[4, 2]> : tensor<2xi64>
  // expected-error @below {{numbers of elements before and after must be equal, got 6 and 8}}
  %0 = graph.reshape %x, %shape : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @reshape_two_unknown(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  %shape = graph.constant dense<[-1, -1]> : tensor<2xi64>
  // expected-error @below {{at most one size may be negative}}
  %0 = graph.reshape %x, %shape : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @matmul(%x: tensor<2x3xf32>, %y: tensor<4x5xf32>) -> tensor<*xf32> {
  // expected-error @below {{columns of the left and rows of the right operand must be equal, got 3 and 4}}
  %0 = graph.matmul %x, %y : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @axis(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{axes is 2, but must lie in [-2, 2) for a tensor of rank 2}}
  %0 = graph.reduce sum %x {axes = array<i64: 2>, keep_dims = false} : (tensor<2x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @axis_twice(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{axes names dimension -1 twice}}
  %0 = graph.reduce sum %x {axes = array<i64: 1, -1>, keep_dims = false} : (tensor<2x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @permutation(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{is not a permutation of 2 dimensions}}
  %0 = graph.transpose %x {perm = array<i64: 0, 0>} : (tensor<2x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @conv_channels(%x: tensor<1x3x8x8xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{(channels per group times groups) must be equal, got 3 and 2}}
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x3x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @conv_window(%x: tensor<1x2x2x8xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{window of extent 3 is larger than the input of size 2 with its pads (2) in spatial dimension 0}}
  %0 = graph.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x2x2x8xf32>, tensor<4x2x3x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @strides(%x: tensor<1x2x8x8xf32>, %w: tensor<4x2x3x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{strides holds 0, but must lie in [1, 2^31]}}
  %0 = graph.conv %x, %w {strides = array<i64: 0, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, group = 1 : i64, auto_pad = #graph<auto_pad none>} : (tensor<1x2x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @too_large(%x: tensor<1x1xf32>) -> tensor<*xf32> {
  %shape = graph.constant dense<4611686018427387904> : tensor<2xi64>
  // expected-error @below {{is too large to address}}
  %0 = graph.expand %x, %shape : (tensor<1x1xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @tile_overflow(%x: tensor<3xf32>) -> tensor<*xf32> {
  %repeats = graph.constant dense<9223372036854775807> : tensor<1xi64>
  // expected-error @below {{is too large to address}}
  %0 = graph.tile %x, %repeats : (tensor<3xf32>, tensor<1xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @negative(%x: tensor<3xf32>) -> tensor<*xf32> {
  %pads = graph.constant dense<[-2, -2]> : tensor<2xi64>
  // expected-error @below {{dimension 0 of the result would be -1}}
  %0 = graph.pad %x by %pads {mode = #graph<pad_mode constant>} : (tensor<3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @gather(%x: tensor<3xf32>) -> tensor<*xf32> {
  %index = graph.constant dense<3> : tensor<i64>
  // expected-error @below {{index 3 is out of range for dimension 0 of size 3}}
  %0 = graph.gather %x, %index {axis = 0 : i64} : (tensor<3xf32>, tensor<i64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @range_step(%x: tensor<i64>) -> tensor<*xi64> {
  %zero = graph.constant dense<0> : tensor<i64>
  // expected-error @below {{delta is 0, so the range has no end}}
  %0 = graph.range %zero, %x, %zero : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<*xi64>
  return %0 : tensor<*xi64>
}

// -----

func.func @slice_step(%x: tensor<8xf32>) -> tensor<*xf32> {
  %zero = graph.constant dense<0> : tensor<1xi64>
  // expected-error @below {{step of dimension 0 is 0}}
  %0 = graph.slice %x from %zero to %zero steps %zero : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @split_sum(%x: tensor<8xf32>) -> tensor<*xf32> {
  %sizes = graph.constant dense<[3, 4]> : tensor<2xi64>
  // expected-error @below {{the sum of sizes and the size to split must be equal, got 7 and 8}}
  %0, %1 = graph.split %x, %sizes {axis = 0 : i64} : (tensor<8xf32>, tensor<2xi64>) -> (tensor<*xf32>, tensor<*xf32>)
  return %0 : tensor<*xf32>
}

// -----

func.func @einsum(%x: tensor<2x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{equation 'ij->k' is malformed}}
  %0 = graph.einsum %x {equation = "ij->k"} : (tensor<2x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @top_k(%x: tensor<3xf32>) -> tensor<*xf32> {
  %k = graph.constant dense<4> : tensor<1xi64>
  // expected-error @below {{k is 4, but dimension 0 has size 3}}
  %0, %1 = graph.top_k %x, %k {axis = 0 : i64, largest = true, sorted = true} : (tensor<3xf32>, tensor<1xi64>) -> (tensor<*xf32>, tensor<*xi64>)
  return %0 : tensor<*xf32>
}

// -----

func.func @if_kinds(%c: tensor<i1>, %x: tensor<4xf32>, %y: tensor<4xi64>) {
  // expected-error @+1 {{result 0 has type 'tensor<4xf32>' and 'tensor<4xi64>'}}
  %r = graph.if %c {
    graph.yield %x : tensor<4xf32>
  } else {
    graph.yield %y : tensor<4xi64>
  } : (tensor<i1>) -> tensor<4xf32>
  return
}

// -----

func.func @if_count(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{region yields 0 values, expected are 1}}
  %r = graph.if %c {
    graph.yield %x : tensor<4xf32>
  } else {
    graph.yield
  } : (tensor<i1>) -> tensor<4xf32>
  return
}

// -----

func.func @loop_counter(%n: tensor<i64>, %c: tensor<i1>) {
  // expected-error @+1 {{body's first argument must be tensor<i64>, got 'tensor<i32>'}}
  graph.loop %n, %c iter() {
  ^bb0(%i: tensor<i32>):
    graph.yield %c : tensor<i1>
  } : (tensor<i64>, tensor<i1>) -> ()
  return
}

// -----

func.func @loop_condition(%n: tensor<i64>, %c: tensor<i1>) {
  // expected-error @+1 {{the first yielded value must be a tensor of i1, got 'tensor<i64>'}}
  graph.loop %n, %c iter() {
  ^bb0(%i: tensor<i64>):
    graph.yield %i : tensor<i64>
  } : (tensor<i64>, tensor<i1>) -> ()
  return
}

// -----

func.func @sequence_item(%s: !graph.sequence<tensor<4xf32>>, %x: tensor<4xi64>) {
  // expected-error @+1 {{item of type 'tensor<4xi64>' in a sequence of 'tensor<4xf32>'}}
  %r = graph.sequence_insert %s, %x : (!graph.sequence<tensor<4xf32>>, tensor<4xi64>) -> !graph.sequence<tensor<4xf32>>
  return
}

// -----

func.func @require_shape(%x: tensor<2x?xf32>) -> tensor<*xf32> {
  %shape = graph.constant dense<[3, -1]> : tensor<2xi64>
  // expected-error @below {{size of dimension 0 and the one it must have must be equal, got 2 and 3}}
  %0 = graph.require_shape %x, %shape : (tensor<2x?xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @require_shape_rank(%x: tensor<2x?xf32>) -> tensor<*xf32> {
  %shape = graph.constant dense<2> : tensor<1xi64>
  // expected-error @below {{data has rank 2, shape has 1 elements}}
  %0 = graph.require_shape %x, %shape : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @require_range(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{data has type 'tensor<2xf32>', expected are integers}}
  %0 = graph.require_range %x {what = "a length"} : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @quantize_rank(%x: tensor<2x3xf32>, %s: tensor<2x3xf32>) -> tensor<*xui8> {
  // expected-error @below {{scale must be a scalar or a vector, got 'tensor<2x3xf32>'}}
  %0 = graph.quantize %x, %s {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<*xui8>
  return %0 : tensor<*xui8>
}

// -----

func.func @quantize_counts(%x: tensor<2x3xf32>, %s: tensor<3xf32>, %z: tensor<ui8>) -> tensor<*xui8> {
  // expected-error @below {{scale has 3 elements, zero_point has 1}}
  %0 = graph.quantize %x, %s, %z {axis = 1 : i64} : (tensor<2x3xf32>, tensor<3xf32>, tensor<ui8>) -> tensor<*xui8>
  return %0 : tensor<*xui8>
}

// -----

func.func @quantize_axis(%x: tensor<3xf32>, %s: tensor<3xf32>) -> tensor<*xui8> {
  // expected-error @below {{axis is 1, but must lie in [-1, 1) for a tensor of rank 1}}
  %0 = graph.quantize %x, %s {axis = 1 : i64} : (tensor<3xf32>, tensor<3xf32>) -> tensor<*xui8>
  return %0 : tensor<*xui8>
}

// -----

func.func @quantize_slices(%x: tensor<2x3xf32>, %s: tensor<2xf32>) -> tensor<*xui8> {
  // expected-error @below {{sizes of the input along axis and of scale must be equal, got 3 and 2}}
  %0 = graph.quantize %x, %s {axis = 1 : i64} : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<*xui8>
  return %0 : tensor<*xui8>
}
