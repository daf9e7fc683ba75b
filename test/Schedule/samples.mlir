// RUN: %lathe-opt %s --split-input-file --schedule-mark-samples="always=true" | FileCheck %s
// RUN: %lathe-opt %s --split-input-file --schedule-mark-samples | FileCheck %s --check-prefix=WORTH

// Which models compute each sample of a batch from that sample alone, and which of these are worth
// to be run a sample at a time: of the ones below only the large product.

// Rows by weights, and what a vector adds to all of them.
// CHECK: func.func @main({{.*}} attributes {sched.samples = ["batch"]}
// WORTH-NOT: sched.samples
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#row = affine_map<(m, n) -> (m, n)>
#vector = affine_map<(m, n) -> (n)>
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x8xf32>
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %v = arith.constant dense<0.5> : tensor<4xf32>
  %e = tensor.empty(%rows) : tensor<?x4xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x8xf32>, tensor<8x4xf32>) outs(%init : tensor<?x4xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<?x4xf32>
  %z = linalg.generic {indexing_maps = [#row, #vector, #row],
                       iterator_types = ["parallel", "parallel"]}
      ins(%y, %v : tensor<?x4xf32>, tensor<4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %0 = arith.addf %l, %r : f32
    linalg.yield %0 : f32
  } -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// -----

// Many rows a sample, as many as another dimension says: worth it where these are not few.
// CHECK: func.func @main({{.*}} attributes {sched.samples = ["batch"]}
// WORTH: func.func @main({{.*}} attributes {sched.samples = ["batch", "sequence"]}
// WORTH-NOT: sched.samples
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<?x?x1024xf32> {graph.dims = ["batch", "sequence", ""]},
                %w: tensor<1024x1024xf32>) -> tensor<?x?x1024xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %batch = tensor.dim %x, %c0 : tensor<?x?x1024xf32>
  %sequence = tensor.dim %x, %c1 : tensor<?x?x1024xf32>
  %rows = arith.muli %batch, %sequence : index
  %zero = arith.constant 0.0 : f32
  %all = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x?x1024xf32> into tensor<?x1024xf32>
  %e = tensor.empty(%rows) : tensor<?x1024xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%all, %w : tensor<?x1024xf32>, tensor<1024x1024xf32>) outs(%init : tensor<?x1024xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r : f32
    %1 = arith.addf %sum, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<?x1024xf32>
  %z = tensor.expand_shape %y [[0, 1], [2]] output_shape [%batch, %sequence, 1024]
      : tensor<?x1024xf32> into tensor<?x?x1024xf32>
  return %z : tensor<?x?x1024xf32>
}

// -----

// Samples in the second dimension, of which slices are taken along the first; each reads a row that
// is its own from a whole tensor, and one from a table.
// CHECK: func.func @main({{.*}} attributes {sched.samples = ["batch"]}
#row = affine_map<(m, n) -> (m, n)>
#from = affine_map<(p, m, n) -> (m, p, n)>
#to = affine_map<(p, m, n) -> (p, m, n)>
func.func @main(%x: tensor<?x2x8xf32> {graph.dims = ["batch", "", ""]}, %t: tensor<8xf32>)
    -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %batch = tensor.dim %x, %c0 : tensor<?x2x8xf32>
  %e = tensor.empty(%batch) : tensor<2x?x8xf32>
  %parts = linalg.generic {indexing_maps = [#from, #to],
                           iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<?x2x8xf32>) outs(%e : tensor<2x?x8xf32>) {
  ^bb0(%l: f32, %o: f32):
    linalg.yield %l : f32
  } -> tensor<2x?x8xf32>
  %part = tensor.extract_slice %parts[1, 0, 0] [1, %batch, 8] [1, 1, 1]
      : tensor<2x?x8xf32> to tensor<?x8xf32>
  %e2 = tensor.empty(%batch) : tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]}
      outs(%e2 : tensor<?x8xf32>) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %0 = tensor.extract %part[%i, %c0] : tensor<?x8xf32>
    %1 = tensor.extract %t[%j] : tensor<8xf32>
    %2 = arith.addf %0, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A mean over the batch.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
#in = affine_map<(m, n) -> (m, n)>
#out = affine_map<(m, n) -> (n)>
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<8xf32> {
  %init = arith.constant dense<0.0> : tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%init : tensor<8xf32>) {
  ^bb0(%l: f32, %sum: f32):
    %0 = arith.addf %sum, %l : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// What it adds is the number of the sample.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
#row = affine_map<(m, n) -> (m, n)>
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x8xi64> {
  %c0 = arith.constant 0 : index
  %batch = tensor.dim %x, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%batch) : tensor<?x8xi64>
  %y = linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]}
      outs(%e : tensor<?x8xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %0 = arith.index_cast %i : index to i64
    linalg.yield %0 : i64
  } -> tensor<?x8xi64>
  return %y : tensor<?x8xi64>
}

// -----

// How many samples there are is data.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
#row = affine_map<(m, n) -> (m, n)>
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x8xi64> {
  %c0 = arith.constant 0 : index
  %batch = tensor.dim %x, %c0 : tensor<?x8xf32>
  %number = arith.index_cast %batch : index to i64
  %e = tensor.empty(%batch) : tensor<?x8xi64>
  %y = linalg.fill ins(%number : i64) outs(%e : tensor<?x8xi64>) -> tensor<?x8xi64>
  return %y : tensor<?x8xi64>
}

// -----

// Rows of three from samples of two: they meet.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
func.func @main(%x: tensor<?x2xf32> {graph.dims = ["batch", ""]}) -> tensor<?x3xf32> {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %batch = tensor.dim %x, %c0 : tensor<?x2xf32>
  %numbers = arith.muli %batch, %c2 : index
  %rows = arith.divsi %numbers, %c3 : index
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<?x2xf32> into tensor<?xf32>
  %y = tensor.expand_shape %flat [[0, 1]] output_shape [%rows, 3] : tensor<?xf32> into tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// The first sample to all.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
#row = affine_map<(m, n) -> (m, n)>
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %batch = tensor.dim %x, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%batch) : tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]}
      outs(%e : tensor<?x8xf32>) {
  ^bb0(%o: f32):
    %j = linalg.index 1 : index
    %0 = tensor.extract %x[%c0, %j] : tensor<?x8xf32>
    linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// All but the last sample; a check of how many there are; a result that all share.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %batch = tensor.dim %x, %c0 : tensor<?x8xf32>
  %less = arith.subi %batch, %c1 : index
  %y = tensor.extract_slice %x[0, 0] [%less, 8] [1, 1] : tensor<?x8xf32> to tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// CHECK: func.func @main
// CHECK-NOT: sched.samples
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %batch = tensor.dim %x, %c0 : tensor<?x8xf32>
  %fits = arith.cmpi sle, %batch, %c4 : index
  rt.check %fits, 1, "%0 are too many", %batch : index
  return %x : tensor<?x8xf32>
}

// -----

// CHECK: func.func @main
// CHECK-NOT: sched.samples
func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}, %y: tensor<8xf32>)
    -> (tensor<?x8xf32>, tensor<8xf32>) {
  return %x, %y : tensor<?x8xf32>, tensor<8xf32>
}

// -----

// Whether there is anything is the same for one sample and for all.
// CHECK: func.func @main({{.*}} attributes {sched.samples = ["batch"]}
func.func @main(%x: tensor<?x?xf32> {graph.dims = ["batch", "width"]}) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %batch = tensor.dim %x, %c0 : tensor<?x?xf32>
  %width = tensor.dim %x, %c1 : tensor<?x?xf32>
  %all = arith.muli %batch, %width : index
  %some = arith.cmpi sgt, %all, %c0 : index
  rt.check %some, 1, "%0 elements", %width : index
  return %x : tensor<?x?xf32>
}

// -----

// Dimensions without a name are not the same for that: it is not known what a sample has of them.
// CHECK: func.func @main
// CHECK-NOT: sched.samples
func.func @main(%x: tensor<?x?xf32> {graph.dims = ["batch", ""]},
                %y: tensor<?xf32> {graph.dims = [""]}) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %batch = tensor.dim %x, %c0 : tensor<?x?xf32>
  %other = tensor.dim %y, %c0 : tensor<?xf32>
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<?x?xf32> into tensor<?xf32>
  %z = tensor.expand_shape %flat [[0, 1]] output_shape [%batch, %other]
      : tensor<?xf32> into tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}
