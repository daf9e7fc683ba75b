// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize | FileCheck %s

// A row at a computed place is read in vectors: the table's entry once, as a scalar, then whole
// vectors, and the tail with a mask.
// CHECK-LABEL: func.func private @loop_
// CHECK:         %[[AT:.*]] = memref.load %{{.*}} : memref<{{[0-9]+}}xi64>
// CHECK:         arith.index_cast %[[AT]] : i64 to index
// CHECK:         vector.load %{{.*}} : memref<{{[0-9]+}}xf32>, vector<8xf32>
// CHECK:         vector.constant_mask
// CHECK:         vector.maskedload %{{.*}} : memref<{{[0-9]+}}xf32>, vector<8xi1>, vector<8xf32>
// CHECK:         vector.maskedstore
#id = affine_map<(y, x) -> (y, x)>
#row = affine_map<(y, x) -> (y)>
func.func @main(%t: tensor<9x100xf32>, %rows: tensor<20xi64>, %w: tensor<20xf32>) -> tensor<20x100xf32> {
  %e = tensor.empty() : tensor<20x100xf32>
  %r = linalg.generic {indexing_maps = [#row, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%rows, %w : tensor<20xi64>, tensor<20xf32>) outs(%e : tensor<20x100xf32>) {
  ^bb0(%at: i64, %weight: f32, %out: f32):
    %y = arith.index_cast %at : i64 to index
    %x = linalg.index 1 : index
    %read = tensor.extract %t[%y, %x] : tensor<9x100xf32>
    %scaled = arith.mulf %read, %weight : f32
    linalg.yield %scaled : f32
  } -> tensor<20x100xf32>
  return %r : tensor<20x100xf32>
}

// -----

// A column at places of a table is not: its elements lie apart.
// CHECK-LABEL: func.func private @loop_
// CHECK-NOT:     vector.load
// CHECK:         memref.load
// CHECK:         return
#id = affine_map<(y, x) -> (y, x)>
#column = affine_map<(y, x) -> (x)>
func.func @main(%t: tensor<9x100xf32>, %columns: tensor<64xi64>) -> tensor<9x64xf32> {
  %e = tensor.empty() : tensor<9x64xf32>
  %r = linalg.generic {indexing_maps = [#column, #id], iterator_types = ["parallel", "parallel"]}
      ins(%columns : tensor<64xi64>) outs(%e : tensor<9x64xf32>) {
  ^bb0(%at: i64, %out: f32):
    %x = arith.index_cast %at : i64 to index
    %y = linalg.index 0 : index
    %read = tensor.extract %t[%y, %x] : tensor<9x100xf32>
    linalg.yield %read : f32
  } -> tensor<9x64xf32>
  return %r : tensor<9x64xf32>
}

// -----

// Rows of 21 are too short for an item each: the loop around them stays inside as well.
// CHECK-LABEL: func.func private @loop_
// CHECK-NOT:     arith.remui
// CHECK:         scf.for %{{.*}} = %{{.*}} to %c40 step %c1
// CHECK:           vector.maskedstore
#id = affine_map<(y, x, c) -> (y, x, c)>
#at = affine_map<(y, x, c) -> (x)>
func.func @main(%t: tensor<30x9x21xf32>, %columns: tensor<40xi64>) -> tensor<30x40x21xf32> {
  %e = tensor.empty() : tensor<30x40x21xf32>
  %r = linalg.generic {indexing_maps = [#at, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%columns : tensor<40xi64>) outs(%e : tensor<30x40x21xf32>) {
  ^bb0(%at: i64, %out: f32):
    %x = arith.index_cast %at : i64 to index
    %y = linalg.index 0 : index
    %c = linalg.index 2 : index
    %read = tensor.extract %t[%y, %x, %c] : tensor<30x9x21xf32>
    linalg.yield %read : f32
  } -> tensor<30x40x21xf32>
  return %r : tensor<30x40x21xf32>
}

// -----

// But it does not where nothing says that there are more rows than one.
// CHECK-LABEL: func.func @run
// CHECK:         %[[ITEMS:.*]] = arith.muli %{{.*}}, %c40 : index
// CHECK:         rt.dispatch @loop_{{.*}} count %[[ITEMS]]
#id = affine_map<(y, x, c) -> (y, x, c)>
#at = affine_map<(y, x, c) -> (x)>
func.func @main(%t: tensor<?x9x21xf32>, %columns: tensor<40xi64>) -> tensor<?x40x21xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %t, %c0 : tensor<?x9x21xf32>
  %e = tensor.empty(%n) : tensor<?x40x21xf32>
  %r = linalg.generic {indexing_maps = [#at, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%columns : tensor<40xi64>) outs(%e : tensor<?x40x21xf32>) {
  ^bb0(%at: i64, %out: f32):
    %x = arith.index_cast %at : i64 to index
    %y = linalg.index 0 : index
    %c = linalg.index 2 : index
    %read = tensor.extract %t[%y, %x, %c] : tensor<?x9x21xf32>
    linalg.yield %read : f32
  } -> tensor<?x40x21xf32>
  return %r : tensor<?x40x21xf32>
}
