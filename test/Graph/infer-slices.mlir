// RUN: %lathe-opt %s --graph-infer-shapes=print-dims --split-input-file | FileCheck %s

// ONNX clamps, counts from the end, and steps backwards. A slice of everything is nothing.
// CHECK-LABEL: func @constant
// CHECK: graph.slice {{.*}} -> tensor<4xf32>
// CHECK: graph.slice {{.*}} -> tensor<4xf32>
// CHECK: graph.slice {{.*}} -> tensor<0xf32>
// CHECK: return %{{.*}}, %arg0, %{{.*}}, %{{.*}}
func.func @constant(%x: tensor<10xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
  %m5 = graph.constant dense<-5> : tensor<1xi64>
  %m1 = graph.constant dense<-1> : tensor<1xi64>
  %last = graph.constant dense<9223372036854775807> : tensor<1xi64>
  %first = graph.constant dense<-9223372036854775808> : tensor<1xi64>
  %axis = graph.constant dense<0> : tensor<1xi64>
  %m3 = graph.constant dense<-3> : tensor<1xi64>
  %0 = graph.slice %x from %m5 to %m1 axes %axis : (tensor<10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  %1 = graph.slice %x from %first to %last axes %axis : (tensor<10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  %2 = graph.slice %x from %last to %first axes %axis steps %m3 : (tensor<10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  %3 = graph.slice %x from %m1 to %m5 axes %axis : (tensor<10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  return %0, %1, %2, %3 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
}

// -----

// What clamping does to an unknown size is not guessed: s - 1 may be negative. Equal cuts are one
// symbol all the same.
// CHECK-LABEL: func @symbolic
// CHECK: graph.slice {{.*}}dims = ["[[SIZE:\[d[0-9]+\]]]"]
// CHECK: graph.slice {{.*}}dims = ["[[SIZE]]"]
// CHECK: graph.concat {{.*}}dims = ["[s + p]"]
// CHECK: graph.slice {{.*}}dims = ["[s]"]
func.func @symbolic(%x: tensor<?xf32> {graph.dims = ["s"]}, %y: tensor<?xf32> {graph.dims = ["s"]},
                    %past: tensor<?xf32> {graph.dims = ["p"]}) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
  %zero = graph.constant dense<0> : tensor<1xi64>
  %one = graph.constant dense<1> : tensor<1xi64>
  %last = graph.constant dense<9223372036854775807> : tensor<1xi64>
  %0 = graph.slice %x from %one to %last axes %zero : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  %1 = graph.slice %y from %one to %last axes %zero : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  %2 = graph.slice %x from %zero to %last axes %zero : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  %all = graph.concat %past, %2 {axis = 0 : i64} : (tensor<?xf32>, tensor<*xf32>) -> tensor<*xf32>
  %pastSize = graph.shape %past : (tensor<?xf32>) -> tensor<*xi64>
  %allSize = graph.shape %all : (tensor<*xf32>) -> tensor<*xi64>
  %3 = graph.slice %all from %pastSize to %allSize axes %zero : (tensor<*xf32>, tensor<*xi64>, tensor<*xi64>, tensor<1xi64>) -> tensor<*xf32>
  return %0, %1, %all, %3 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
}

// -----

// CHECK-LABEL: func @split
// CHECK: graph.split {{.*}} -> (tensor<3xf32>, tensor<3xf32>, tensor<1xf32>)
// CHECK: graph.split {{.*}}dims = ["[s]", "[s]"]
func.func @split(%x: tensor<7xf32>, %y: tensor<?xf32> {graph.dims = ["s"]}) -> (tensor<*xf32>, tensor<*xf32>) {
  %0:3 = graph.split %x {axis = -1 : i64} : (tensor<7xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
  %twice = graph.concat %y, %y {axis = 0 : i64} : (tensor<?xf32>, tensor<?xf32>) -> tensor<*xf32>
  %1:2 = graph.split %twice {axis = 0 : i64} : (tensor<*xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return %0#2, %1#1 : tensor<*xf32>, tensor<*xf32>
}
