// RUN: %lathe-opt %s --graph-to-linalg --split-input-file | FileCheck %s

// Equal symbolic dimensions are one value and need no broadcasting.
// CHECK-LABEL: func @main
// CHECK-SAME:    (%[[X:.*]]: tensor<?x8xf32> {{.*}}, %[[Y:.*]]: tensor<?x8xf32>
// CHECK:         %[[N:.*]] = tensor.dim %[[X]]
// CHECK:         %[[INIT:.*]] = tensor.empty(%[[N]]) : tensor<?x8xf32>
// CHECK:         linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
// CHECK-SAME:      ins(%[[X]], %[[Y]] : {{.*}}) outs(%[[INIT]]
// CHECK:           arith.addf %{{.*}}, %{{.*}} fastmath<contract>
// CHECK-NOT:     rt.check
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["n", ""]},
                %y: tensor<?x8xf32> {graph.dims = ["n", ""]}) -> tensor<?x8xf32> {
  %0 = graph.binary add %x, %y : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Dimensions of size 1 are read at 0; missing leading ones are not addressed.
// CHECK-DAG:   #[[ROW:.*]] = affine_map<(d0, d1, d2) -> (0, d2)>
// CHECK-DAG:   #[[ALL:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]], #[[ALL]]]
func.func @main(%x: tensor<2x3x4xf32>, %y: tensor<1x4xf32>) -> tensor<2x3x4xf32> {
  %0 = graph.binary mul %x, %y : (tensor<2x3x4xf32>, tensor<1x4xf32>) -> tensor<2x3x4xf32>
  return %0 : tensor<2x3x4xf32>
}

// -----

// Whether a dimension is 1 is found when running: checked, and copied to the size it broadcasts to.
// CHECK-LABEL: func @main
// CHECK:         %[[IS_ONE:.*]] = arith.cmpi eq, %[[N:.*]], %c1
// CHECK:         rt.check %{{.*}}, 1, "dimension of size %0 does not broadcast to size %1"
// CHECK:         %[[COPY:.*]] = linalg.generic
// CHECK:           %[[I:.*]] = linalg.index 0
// CHECK:           %[[AT:.*]] = arith.select %[[IS_ONE]], %{{.*}}, %[[I]]
// CHECK:           tensor.extract %{{.*}}[%[[AT]]]
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[COPY]]
func.func @main(%x: tensor<4xf32>, %y: tensor<?xf32>) -> tensor<4xf32> {
  %0 = graph.binary sub %x, %y : (tensor<4xf32>, tensor<?xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// Constants of one value are constants of the body; x^2 needs no power.
// CHECK-LABEL: func @main
// CHECK:         linalg.generic {{.*}} ins(%{{[^,]*}} : tensor<4xf32>)
// CHECK-NOT:       math.powf
// CHECK:           arith.mulf %[[X:.*]], %[[X]]
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %0 = graph.binary pow %x, %two : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// Booleans are bytes in memory and bits in bodies; the types of the model stay as attributes.
// CHECK-LABEL: func @main
// CHECK-SAME:    %{{.*}}: tensor<4xi8> {graph.element_type = ui8}
// CHECK-SAME:    -> (tensor<4xi8> {graph.element_type = i1})
// CHECK:         linalg.generic
// CHECK:           %[[LESS:.*]] = arith.cmpi ult
// CHECK:           arith.extui %[[LESS]] : i1 to i8
func.func @main(%x: tensor<4xui8>, %y: tensor<4xui8>) -> tensor<4xi1> {
  %0 = graph.binary less %x, %y : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1>
  return %0 : tensor<4xi1>
}

// -----

// Half precision is computed in single and rounded once.
// CHECK-LABEL: func @main
// CHECK:           arith.extf %{{.*}} : f16 to f32
// CHECK:           math.tanh %{{.*}} : f32
// CHECK:           arith.truncf %{{.*}} : f32 to f16
func.func @main(%x: tensor<4xf16>) -> tensor<4xf16> {
  %0 = graph.unary tanh %x : (tensor<4xf16>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// -----

// Division by what may be zero is checked and made safe.
// CHECK-LABEL: func @main
// CHECK:           %[[BAD:.*]] = arith.ori
// CHECK:           rt.check %{{.*}}, 3, "integer division of %0 by %1 has no result"
// CHECK:           %[[SAFE:.*]] = arith.select %[[BAD]]
// CHECK:           arith.divsi %{{.*}}, %[[SAFE]]
func.func @main(%x: tensor<4xi32>, %y: tensor<4xi32>) -> tensor<4xi32> {
  %0 = graph.binary div %x, %y : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// By a constant it needs no check; `mod` takes the sign of the divisor.
// CHECK-LABEL: func @main
// CHECK-NOT:       rt.check
// CHECK:           %[[REST:.*]] = arith.remsi
// CHECK:           arith.addi %[[REST]]
func.func @main(%x: tensor<4xi32>) -> tensor<4xi32> {
  %three = graph.constant dense<3> : tensor<i32>
  %0 = graph.binary mod %x, %three : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// Shifts by the width or more give 0, not poison.
// CHECK-LABEL: func @main
// CHECK:           %[[FAR:.*]] = arith.cmpi uge
// CHECK:           %[[BY:.*]] = arith.select %[[FAR]]
// CHECK:           %[[SHIFTED:.*]] = arith.shli %{{.*}}, %[[BY]]
// CHECK:           arith.select %[[FAR]], %{{.*}}, %[[SHIFTED]]
func.func @main(%x: tensor<4xui8>, %y: tensor<4xui8>) -> tensor<4xui8> {
  %0 = graph.binary shift_left %x, %y : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %0 : tensor<4xui8>
}

// -----

// Of a signed number copies of its sign remain.
// CHECK-LABEL: func @main
// CHECK:           %[[FAR:.*]] = arith.cmpi uge
// CHECK:           %[[BY:.*]] = arith.select %[[FAR]], %{{.*}}, %{{.*}}
// CHECK:           %[[SHIFTED:.*]] = arith.shrsi %{{.*}}, %[[BY]]
// CHECK-NEXT:      linalg.yield %[[SHIFTED]]
func.func @main(%x: tensor<4xi32>, %y: tensor<4xi32>) -> tensor<4xi32> {
  %0 = graph.binary shift_right %x, %y : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// Floats out of an integer's range saturate and NaN becomes 0.
// CHECK-LABEL: func @main
// CHECK:           arith.cmpf uno
// CHECK:           %[[OUTSIDE:.*]] = arith.ori
// CHECK:           %[[SAFE:.*]] = arith.select %[[OUTSIDE]]
// CHECK:           arith.fptosi %[[SAFE]] : f32 to i32
// CHECK:           arith.select
// CHECK:           arith.select
func.func @main(%x: tensor<4xf32>) -> tensor<4xi32> {
  %0 = graph.cast %x : (tensor<4xf32>) -> tensor<4xi32>
  return %0 : tensor<4xi32>
}

// -----

// CHECK-LABEL: func @main
// CHECK:           %[[C:.*]] = arith.cmpi ne, %{{.*}}, %c0_i8
// CHECK:           arith.select %[[C]], %{{.*}}, %{{.*}} : f16
func.func @main(%c: tensor<4xi1>, %x: tensor<4xf16>, %y: tensor<f16>) -> tensor<4xf16> {
  %0 = graph.select %c, %x, %y : (tensor<4xi1>, tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}
