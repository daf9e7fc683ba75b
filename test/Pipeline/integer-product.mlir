// A product of bytes with constant weights: its targets include the one with VNNI.
// RUN: %lathe-compile compile -q %s -o %t.lathe
// RUN: %lathe inspect %t.lathe --json | FileCheck %s
// CHECK-DAG: "name": "x86-64-v4-vnni"
// CHECK-DAG: "name": "x86-64-v4"
// CHECK-DAG: "name": "x86-64-v3"
func.func @main(%x: tensor<2x3xui8> {graph.name = "x"}) -> (tensor<2x8xi32> {graph.name = "y"}) {
  %w = graph.constant dense<[[1, 2, 3, 4, 5, 6, 7, 8], [-1, -2, -3, -4, -5, -6, -7, -8], [9, 9, 9, 9, 9, 9, 9, 0]]> : tensor<3x8xi32>
  %0 = graph.cast %x : (tensor<2x3xui8>) -> tensor<2x3xi32>
  %1 = graph.matmul %0, %w : (tensor<2x3xi32>, tensor<3x8xi32>) -> tensor<2x8xi32>
  return %1 : tensor<2x8xi32>
}
