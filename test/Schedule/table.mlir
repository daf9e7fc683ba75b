// A table of schedules says how many rows and vectors a tile has; of shapes and classes that it is
// not about, the built-in table does.
// RUN: split-file %s %t
// RUN: %lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32" %t/product.mlir \
// RUN:   | FileCheck %s
// RUN: %lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 schedule=%t/shape.schedule" \
// RUN:   %t/product.mlir | FileCheck %s --check-prefix=SHAPE
// RUN: %lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 schedule=%t/class.schedule" \
// RUN:   %t/product.mlir | FileCheck %s --check-prefix=CLASS
// RUN: %lathe-opt --schedule-form-dispatches="vector-bits=512 vector-registers=32 schedule=%t/other.schedule" \
// RUN:   %t/product.mlir | FileCheck %s
// RUN: not %lathe-opt --schedule-form-dispatches="schedule=%t/none.schedule" %t/product.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NONE
// RUN: not %lathe-opt --schedule-form-dispatches="schedule=%t/broken.schedule" %t/product.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=BROKEN
// RUN: not %lathe-opt --schedule-form-dispatches="schedule=%t/large.schedule" %t/product.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LARGE

// 24 rows in two tiles of 12; beside them the loop along the product carries 24 vectors.
// CHECK: rt.dispatch @tile{{.*}} shape = "f32 product 24x96 by 40"
// CHECK-COUNT-24: vector.fma
// CHECK-NOT: vector.fma
// SHAPE-COUNT-12: vector.fma
// SHAPE-NOT: vector.fma
// SHAPE: }
// CLASS-COUNT-16: vector.fma
// CLASS-NOT: vector.fma
// NONE: none.schedule: No such file or directory
// BROKEN: broken.schedule:3: 'columns=4': there are rows=N, vectors=N and winograd=on|off
// LARGE: large.schedule:1: rows=14 vectors=4 takes more than 32 registers

//--- shape.schedule
# The shape comes before the class.
*x32 wide: rows=6
512x32 f32 product 24x96 by 40: rows=4 vectors=3

//--- class.schedule
*x32 wide: rows=8

//--- other.schedule
256x32 f32 product 24x96 by 40: rows=4
512x16 f32 product 24x96 by 40: rows=4
512x32 f32 product 25x96 by 40: rows=4

//--- broken.schedule

# a comment
*x16 wide: columns=4

//--- large.schedule
512x32 wide: rows=14 vectors=4

//--- product.mlir
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<24x40xf32>, %w: tensor<40x96xf32>) -> tensor<24x96xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x96xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<24x96xf32>) -> tensor<24x96xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<24x40xf32>, tensor<40x96xf32>) outs(%init : tensor<24x96xf32>) {
  ^bb0(%l: f32, %r: f32, %sum: f32):
    %0 = arith.mulf %l, %r fastmath<reassoc,contract> : f32
    %1 = arith.addf %sum, %0 fastmath<reassoc,contract> : f32
    linalg.yield %1 : f32
  } -> tensor<24x96xf32>
  return %y : tensor<24x96xf32>
}
