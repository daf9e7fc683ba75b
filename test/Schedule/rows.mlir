// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// The pieces of a softmax share the loop over rows: one dispatch, in which each row is read three
// times from the cache.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[ROWS:loop_[0-9a-f]+]]{{.*}} count %c64
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[ROWS]]
// CHECK:         scf.for
// CHECK:           scf.for {{.*}} iter_args
// CHECK:             arith.maximumf
// CHECK:           scf.for
// CHECK:             math.exp
// CHECK:           scf.for {{.*}} iter_args
// CHECK:             arith.addf
// CHECK:           scf.for
// CHECK:             arith.divf
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
func.func @main(%x: tensor<64x100xf32>) -> tensor<64x100xf32> {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty() : tensor<64xf32>
  %all = tensor.empty() : tensor<64x100xf32>
  %init = linalg.fill ins(%lowest : f32) outs(%rows : tensor<64xf32>) -> tensor<64xf32>
  %top = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<64x100xf32>) outs(%init : tensor<64xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.maximumf %acc, %in : f32
    linalg.yield %0 : f32
  } -> tensor<64xf32>
  %power = linalg.generic {indexing_maps = [#id, #row, #id],
                           iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<64x100xf32>, tensor<64xf32>) outs(%all : tensor<64x100xf32>) {
  ^bb0(%in: f32, %m: f32, %out: f32):
    %0 = arith.subf %in, %m : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<64x100xf32>
  %start = linalg.fill ins(%zero : f32) outs(%rows : tensor<64xf32>) -> tensor<64xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%power : tensor<64x100xf32>) outs(%start : tensor<64xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc,contract> : f32
    linalg.yield %0 : f32
  } -> tensor<64xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%power, %sum : tensor<64x100xf32>, tensor<64xf32>) outs(%all : tensor<64x100xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<64x100xf32>
  return %y : tensor<64x100xf32>
}

// -----

// A reader of another row cannot run in the same iteration as the writer.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch
// CHECK:         rt.dispatch
#id = affine_map<(r, c) -> (r, c)>
#transposed = affine_map<(r, c) -> (c, r)>
func.func @main(%x: tensor<9x9xf32>) -> tensor<9x9xf32> {
  %e = tensor.empty() : tensor<9x9xf32>
  %power = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<9x9xf32>) outs(%e : tensor<9x9xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<9x9xf32>
  %y = linalg.generic {indexing_maps = [#id, #transposed, #id],
                       iterator_types = ["parallel", "parallel"]}
      ins(%power, %power : tensor<9x9xf32>, tensor<9x9xf32>) outs(%e : tensor<9x9xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %0 = arith.addf %l, %r : f32
    linalg.yield %0 : f32
  } -> tensor<9x9xf32>
  return %y : tensor<9x9xf32>
}

// -----

// A sum down the columns keeps the columns across the lanes.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @tile
// CHECK:         arith.addf {{.*}} : vector<8xf32>
#id = affine_map<(r, c) -> (r, c)>
#column = affine_map<(r, c) -> (c)>
func.func @main(%x: tensor<100x64xf32>) -> tensor<64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %y = linalg.generic {indexing_maps = [#id, #column], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<100x64xf32>) outs(%init : tensor<64xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc,contract> : f32
    linalg.yield %0 : f32
  } -> tensor<64xf32>
  return %y : tensor<64xf32>
}

// -----

// How many rows are worth a thread depends on their length, which the run knows.
// CHECK-LABEL: func.func @run
// CHECK:         %[[LENGTH:.*]] = rt.dim %{{.*}}[0, 1]
// CHECK:         %[[COST:.*]] = arith.muli %[[LENGTH]], %{{.*}} : index
// CHECK:         %[[LEAST:.*]] = arith.maxui %[[COST]], %c1
// CHECK:         %[[ROWS:.*]] = arith.divui %c100000{{.*}}, %[[LEAST]]
// CHECK:         %[[PIECE:.*]] = arith.maxui %[[ROWS]], %c1
// CHECK:         rt.dispatch @loop_{{.*}} piece %[[PIECE]]
func.func @main(%x: tensor<?x?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x?xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%rows) : tensor<?xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>],
                       iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x?xf32>) outs(%init : tensor<?xf32>) {
  ^bb0(%v: f32, %sum: f32):
    %0 = arith.addf %sum, %v fastmath<reassoc> : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
