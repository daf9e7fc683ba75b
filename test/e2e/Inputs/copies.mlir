// A kernel, written by hand, that brings 256 numbers into the memory that 32 threads share by two
// groups of copies, of 16 and of 8 bytes, and stores what other threads brought. Of the last eight
// bytes only the first four are read.
module attributes {rt.flops = 1 : i64, rt.target = "nvidia:sm_80"} {
  func.func @run(%call: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %one = arith.constant 1 : index
    %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_copies(%call) buffers(%x, %y) sizes() count %one {bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %size = arith.constant 192 : index
    rt.plan_output %call[0] dims(%size) {unknown = array<i64>} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }
  func.func private @tile_copies(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr, %begin: index, %end: index) attributes {rt.block = 32 : i32} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c4 = arith.constant 4 : index
    %c31 = arith.constant 31 : index
    %c32 = arith.constant 32 : index
    %c128 = arith.constant 128 : index
    %x = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %part = rt.shared : memref<192xf32>
    %thread = rt.thread
    %mirror = arith.subi %c31, %thread : index
    %four = arith.muli %thread, %c4 : index
    rt.copy_async %x[%four], %part[%four] count 4 : memref<1099511627776xf32>, memref<192xf32>
    rt.commit_copies
    %two = arith.muli %thread, %c2 : index
    %behind = arith.addi %two, %c128 : index
    %last = arith.cmpi eq, %thread, %c31 : index
    %valid = arith.select %last, %c1, %c2 : index
    rt.copy_async %x[%behind], %part[%behind] count 2 valid %valid : memref<1099511627776xf32>, memref<192xf32>
    rt.commit_copies
    rt.wait_copies 1
    rt.barrier
    scf.for %i = %c0 to %c128 step %c32 {
      %at = arith.addi %mirror, %i : index
      %value = memref.load %part[%at] : memref<192xf32>
      memref.store %value, %y[%at] : memref<1099511627776xf32>
    }
    rt.wait_copies 0
    rt.barrier
    scf.for %i = %c0 to %c2 step %c1 {
      %pair = arith.muli %i, %c32 : index
      %over = arith.addi %c128, %pair : index
      %at = arith.addi %mirror, %over : index
      %value = memref.load %part[%at] : memref<192xf32>
      memref.store %value, %y[%at] : memref<1099511627776xf32>
    }
    return
  }
  func.func private @main(tensor<256xf32> {graph.dims = [""], graph.name = "x"}) -> (tensor<192xf32> {graph.dims = [""], graph.name = "y"}) attributes {graph.entry = "run"}
}
