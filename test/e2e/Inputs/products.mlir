// A kernel, written by hand, whose warpgroup multiplies 64 x 32 by 32 x 64 numbers in shared memory,
// by two products one after the other, and adds a third whose left operand is in registers. How the
// operands lie in shared memory the input says, and check_products.py, which edits the lines below.
module attributes {rt.flops = 1 : i64, rt.target = "nvidia:sm_90a"} {
  func.func @run(%call: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %one = arith.constant 1 : index
    %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_products(%call) buffers(%x, %y) sizes() count %one {bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %size = arith.constant 4096 : index
    rt.plan_output %call[0] dims(%size) {unknown = array<i64>} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }
  func.func private @tile_products(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr, %begin: index, %end: index) attributes {rt.block = 128 : i32} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %c32 = arith.constant 32 : index
    %c64 = arith.constant 64 : index
    %c1024 = arith.constant 1024 : index
    %c4096 = arith.constant 4096 : index
    %c8192 = arith.constant 8192 : index
    %x = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xf16>
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %part = rt.shared align 1024 : memref<8192xf16>
    %thread = rt.thread
    %eight = arith.muli %thread, %c8 : index
    scf.for %i = %c0 to %c8192 step %c1024 {
      %at = arith.addi %eight, %i : index
      rt.copy_async %x[%at], %part[%at] count 8 : memref<1099511627776xf16>, memref<8192xf16>
    }
    rt.commit_copies
    rt.wait_copies 0
    rt.fence_shared
    rt.barrier
    %left = rt.describe_matrix %part[%c0] leading 16 stride 1024 swizzle 128 : memref<8192xf16>
    %right = rt.describe_matrix %part[%c4096] leading 16 stride 1024 swizzle 128 : memref<8192xf16>
    %left_step = arith.constant 2 : i64
    %right_step = arith.constant 128 : i64
    %left_on = arith.addi %left, %left_step : i64
    %right_on = arith.addi %right, %right_step : i64
    %registers = arith.addi %eight, %c8192 : index
    %numbers = vector.load %x[%registers] : memref<1099511627776xf16>, vector<8xf16>
    %zero = arith.constant dense<0.0> : vector<32xf32>
    rt.fence_products
    %one = rt.multiply_shared %left, %right transposed, %zero of f16 : i64, vector<32xf32>
    %two = rt.multiply_shared %left_on, %right_on transposed, %one of f16 : i64, vector<32xf32>
    rt.commit_products
    %three = rt.multiply_shared %numbers, %right transposed, %two of f16 : vector<8xf16>, vector<32xf32>
    rt.commit_products
    %sums = rt.wait_products 0, %three : vector<32xf32> -> vector<32xf32>
    %first = arith.muli %thread, %c32 : index
    scf.for %i = %c0 to %c32 step %c1 {
      %sum = vector.extract %sums[%i] : f32 from vector<32xf32>
      %at = arith.addi %first, %i : index
      memref.store %sum, %y[%at] : memref<1099511627776xf32>
    }
    return
  }
  func.func private @main(tensor<9216xf16> {graph.dims = [""], graph.name = "x"}) -> (tensor<4096xf32> {graph.dims = [""], graph.name = "y"}) attributes {graph.entry = "run"}
}
