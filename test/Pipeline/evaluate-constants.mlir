// RUN: %lathe compile %s --stop-after=graph -o - | FileCheck %s
// RUN: %lathe compile %s -o %t.lathe && %lathe run %t.lathe --input x=random

// No folder knows softmax or matmul of constants: they are compiled, run, and replaced by their
// values. softmax([0, ln 2, ln 5]) is [1/8, 2/8, 5/8].
// CHECK-LABEL: func.func @main
// CHECK: graph.constant dense<{{\[}}[1.250000e-01, 2.500000e-01, {{6.250000e-01|0.62[45][0-9]+}}]]>
// CHECK-NOT: graph.softmax
// CHECK: graph.binary add
func.func @main(%x: tensor<1x3xf32> {graph.name = "x", graph.dims = ["", ""]})
    -> (tensor<1x3xf32> {graph.name = "y", graph.dims = ["", ""]}) {
  %c = graph.constant dense<[[0.0, 0.693147182, 1.609437912]]> : tensor<1x3xf32>
  %s = graph.softmax %c {axis = 1 : i64, axis_end = 2 : i64} : (tensor<1x3xf32>) -> tensor<1x3xf32>
  %y = graph.binary add %x, %s : (tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x3xf32>
  return %y : tensor<1x3xf32>
}
