// On a GPU, stages that walk the same rows are one kernel, with a block of threads for each row.
// RUN: %lathe-opt %s --split-input-file --canonicalize --schedule-form-dispatches="item-per-thread" --canonicalize --schedule-plan-memory | FileCheck %s

// A softmax: its rows are read once and written once, 32 threads hold the elements of one in four
// steps, of which the last is only for some. Nothing lies in memory between.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     rt.arena
// CHECK:         rt.dispatch @[[ROWS:row_[0-9a-f]+]]{{.*}} count %c64
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[ROWS]]({{.*}}%[[X:[^ ]*]]: !llvm.ptr, %[[Y:[^ ]*]]: !llvm.ptr, %[[ROW:[^ ]*]]: index, %{{[^ ]*}}: index) attributes {rt.block = 32
// CHECK:         [[IN:%[0-9]+]] = rt.view %[[X]]
// CHECK:         [[OUT:%[0-9]+]] = rt.view %[[Y]]
// CHECK:         %[[THREAD:.*]] = rt.thread
// CHECK:         memref.load [[IN]][
// CHECK:         memref.load [[IN]][
// CHECK:         arith.maximumf
// CHECK:         memref.load [[IN]][
// CHECK:         arith.maximumf
// CHECK:         scf.if
// CHECK:           memref.load [[IN]][
// CHECK:           arith.maximumf
// CHECK:         } else {
// CHECK-NOT:     memref.load [[IN]][
// CHECK:         rt.shared : memref<32xf32>
// CHECK:         rt.barrier
// CHECK-NEXT:    memref.load
// CHECK-NEXT:    scf.for
// CHECK:           arith.maximumf
// CHECK-COUNT-4: math.exp
// CHECK-NOT:     math.exp
// CHECK:         rt.shared : memref<32xf32>
// CHECK-NEXT:    memref.store
// CHECK-NEXT:    rt.barrier
// CHECK-NEXT:    memref.load
// CHECK-NEXT:    scf.for
// CHECK:           arith.addf
// CHECK-NOT:     rt.barrier
// CHECK-COUNT-4: memref.store {{.*}}, [[OUT]][
// CHECK-NOT:     memref.store
// CHECK:         return
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

// Of rows whose length only the run knows, a thread finds its exponentials where the results will be.
// They are added up in the loop that computes them.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[ROWS:row_[0-9a-f]+]]
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[ROWS]]({{.*}}rt.block = 128
// CHECK:         scf.for %{{.*}} = %[[THREAD:.*]] to %[[LENGTH:.*]] step %c128
// CHECK:           arith.maximumf
// CHECK:         rt.barrier
// CHECK:         scf.if
// CHECK:         rt.barrier
// CHECK:         scf.for %{{.*}} = %[[THREAD]] to %[[LENGTH]] step %c128{{.*}} iter_args
// CHECK:           %[[POWER:.*]] = math.exp
// CHECK:           memref.store %[[POWER]], [[OUT:%[0-9]+]][
// CHECK-NEXT:      arith.addf %{{.*}}, %[[POWER]]
// CHECK:         rt.barrier
// CHECK:         scf.if
// CHECK:         rt.barrier
// CHECK:         scf.for %{{.*}} = %[[THREAD]] to %[[LENGTH]] step %c128
// CHECK:           memref.load [[OUT]][
// CHECK:           memref.store %{{.*}}, [[OUT]][
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
func.func @main(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = tensor.dim %x, %c0 : tensor<?x?xf32>
  %n = tensor.dim %x, %c1 : tensor<?x?xf32>
  %rows = tensor.empty(%m) : tensor<?xf32>
  %all = tensor.empty(%m, %n) : tensor<?x?xf32>
  %init = linalg.fill ins(%lowest : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
  %top = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x?xf32>) outs(%init : tensor<?xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.maximumf %acc, %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %power = linalg.generic {indexing_maps = [#id, #row, #id],
                           iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<?x?xf32>, tensor<?xf32>) outs(%all : tensor<?x?xf32>) {
  ^bb0(%in: f32, %t: f32, %out: f32):
    %0 = arith.subf %in, %t : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<?x?xf32>
  %start = linalg.fill ins(%zero : f32) outs(%rows : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%power : tensor<?x?xf32>) outs(%start : tensor<?xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc,contract> : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%power, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%all : tensor<?x?xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// A layer normalization of which the mean is wanted as well: one thread stores it, all of them have it.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[ROWS:row_[0-9a-f]+]]{{.*}} count %c6
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[ROWS]]({{.*}}rt.block = 128
// CHECK:         memref.load [[IN:%[0-9]+]][
// CHECK:         memref.load [[IN]][
// CHECK:         scf.if
// CHECK:           memref.load [[IN]][
// CHECK-NOT:     memref.load [[IN]][
// CHECK:         rt.barrier
// CHECK:         rt.barrier
// CHECK:         %[[MEAN:.*]] = arith.mulf
// CHECK-NEXT:    %[[FIRST:.*]] = arith.cmpi eq, %{{.*}}, %c0
// CHECK-NEXT:    scf.if %[[FIRST]] {
// CHECK-NEXT:      memref.store %[[MEAN]]
// CHECK-NEXT:    }
// CHECK:         arith.subf %{{.*}}, %[[MEAN]]
// CHECK:         rt.barrier
// CHECK:         rt.barrier
// CHECK:         math.rsqrt
// CHECK-NOT:     memref.load [[IN]][
// CHECK:         return
#id = affine_map<(b, r, c) -> (b, r, c)>
#row = affine_map<(b, r, c) -> (b, r)>
#scale = affine_map<(b, r, c) -> (c)>
#each = affine_map<(b, r) -> (b, r)>
func.func @main(%x: tensor<2x3x300xf32>, %w: tensor<300xf32>)
    -> (tensor<2x3x300xf32>, tensor<2x3xf32>) {
  %zero = arith.constant 0.0 : f32
  %part = arith.constant 3.33333341E-3 : f32
  %rows = tensor.empty() : tensor<2x3xf32>
  %all = tensor.empty() : tensor<2x3x300xf32>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<2x3xf32>) -> tensor<2x3xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row],
                         iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x : tensor<2x3x300xf32>) outs(%init : tensor<2x3xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc,contract> : f32
    linalg.yield %0 : f32
  } -> tensor<2x3xf32>
  %mean = linalg.generic {indexing_maps = [#each, #each], iterator_types = ["parallel", "parallel"]}
      ins(%sum : tensor<2x3xf32>) outs(%rows : tensor<2x3xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.mulf %in, %part : f32
    linalg.yield %0 : f32
  } -> tensor<2x3xf32>
  %squares = linalg.generic {indexing_maps = [#id, #row, #row],
                             iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %mean : tensor<2x3x300xf32>, tensor<2x3xf32>) outs(%init : tensor<2x3xf32>) {
  ^bb0(%in: f32, %m: f32, %acc: f32):
    %0 = arith.subf %in, %m : f32
    %1 = arith.mulf %0, %0 : f32
    %2 = arith.addf %acc, %1 fastmath<reassoc,contract> : f32
    linalg.yield %2 : f32
  } -> tensor<2x3xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #row, #scale, #id],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %mean, %squares, %w : tensor<2x3x300xf32>, tensor<2x3xf32>, tensor<2x3xf32>,
                                    tensor<300xf32>) outs(%all : tensor<2x3x300xf32>) {
  ^bb0(%in: f32, %m: f32, %s: f32, %scale: f32, %out: f32):
    %0 = arith.subf %in, %m : f32
    %1 = arith.mulf %s, %part : f32
    %2 = math.rsqrt %1 : f32
    %3 = arith.mulf %0, %2 : f32
    %4 = arith.mulf %3, %scale : f32
    linalg.yield %4 : f32
  } -> tensor<2x3x300xf32>
  return %y, %mean : tensor<2x3x300xf32>, tensor<2x3xf32>
}

// -----

// A thread has a short row to itself.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @[[ROWS:loop_[0-9a-f]+]]{{.*}} count %c7
// CHECK-NOT:     rt.dispatch
// CHECK:       func.func private @[[ROWS]]
// CHECK-NOT:     rt.thread
// CHECK:         scf.for
// CHECK:           scf.for {{.*}} iter_args
// CHECK:           scf.for
// CHECK:             arith.divf
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
func.func @main(%x: tensor<7x20xf32>) -> tensor<7x20xf32> {
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty() : tensor<7xf32>
  %all = tensor.empty() : tensor<7x20xf32>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<7xf32>) -> tensor<7xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<7x20xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc> : f32
    linalg.yield %0 : f32
  } -> tensor<7xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<7x20xf32>, tensor<7xf32>) outs(%all : tensor<7x20xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<7x20xf32>
  return %y : tensor<7x20xf32>
}

// -----

// Two rows of a million: their sums keep two blocks busy, their elements many.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @row_{{.*}} count %c2
// CHECK:         rt.dispatch @loop_{{.*}} count %c500000
// CHECK-NOT:     rt.dispatch
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
func.func @main(%x: tensor<2x1000000xf32>) -> tensor<2x1000000xf32> {
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty() : tensor<2xf32>
  %all = tensor.empty() : tensor<2x1000000xf32>
  %init = linalg.fill ins(%zero : f32) outs(%rows : tensor<2xf32>) -> tensor<2xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<2x1000000xf32>) outs(%init : tensor<2xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc> : f32
    linalg.yield %0 : f32
  } -> tensor<2xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<2x1000000xf32>, tensor<2xf32>) outs(%all : tensor<2x1000000xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %0 = arith.divf %in, %s : f32
    linalg.yield %0 : f32
  } -> tensor<2x1000000xf32>
  return %y : tensor<2x1000000xf32>
}

// -----

// Sums of rows whose elements lie apart are sums of columns, and join nothing before them.
// CHECK-LABEL: func.func @run
// CHECK:         rt.dispatch @loop_{{.*}} count %c80000
// CHECK:         rt.dispatch @column_{{.*}} count %c157
// CHECK:         rt.dispatch @loop_{{.*}} count %c4096
// CHECK:         rt.dispatch @column_{{.*}} count %c2
// CHECK-NOT:     rt.dispatch
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
#turned = affine_map<(r, c) -> (c, r)>
func.func @main(%x: tensor<64x5000xf32>, %z: tensor<64x64xf32>)
    -> (tensor<5000xf32>, tensor<64x5000xf32>, tensor<64xf32>, tensor<64x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %columns = tensor.empty() : tensor<5000xf32>
  %all = tensor.empty() : tensor<64x5000xf32>
  %power = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x5000xf32>) outs(%all : tensor<64x5000xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<64x5000xf32>
  %init = linalg.fill ins(%zero : f32) outs(%columns : tensor<5000xf32>) -> tensor<5000xf32>
  %sum = linalg.generic {indexing_maps = [#turned, #row], iterator_types = ["parallel", "reduction"]}
      ins(%power : tensor<64x5000xf32>) outs(%init : tensor<5000xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc> : f32
    linalg.yield %0 : f32
  } -> tensor<5000xf32>
  %rows = tensor.empty() : tensor<64xf32>
  %square = tensor.empty() : tensor<64x64xf32>
  %power2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%z : tensor<64x64xf32>) outs(%square : tensor<64x64xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.exp %in : f32
    linalg.yield %0 : f32
  } -> tensor<64x64xf32>
  %init2 = linalg.fill ins(%zero : f32) outs(%rows : tensor<64xf32>) -> tensor<64xf32>
  %sum2 = linalg.generic {indexing_maps = [#turned, #row], iterator_types = ["parallel", "reduction"]}
      ins(%power2 : tensor<64x64xf32>) outs(%init2 : tensor<64xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in fastmath<reassoc> : f32
    linalg.yield %0 : f32
  } -> tensor<64xf32>
  return %sum, %power, %sum2, %power2 : tensor<5000xf32>, tensor<64x5000xf32>, tensor<64xf32>, tensor<64x64xf32>
}
