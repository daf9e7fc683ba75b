// A kernel, written by hand, in which every one of 32 threads copies a number to shared memory and
// changes it, before it waits.
module attributes {rt.flops = 1 : i64, rt.target = "nvidia:sm_80"} {
  func.func @run(%call: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %one = arith.constant 1 : index
    %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_moment(%call) buffers(%x, %y) sizes() count %one {bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %size = arith.constant 32 : index
    rt.plan_output %call[0] dims(%size) {unknown = array<i64>} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }
  func.func private @tile_moment(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr, %begin: index, %end: index) attributes {rt.block = 32 : i32} {
    %before = arith.constant 1.0 : f32
    %after = arith.constant 2.0 : f32
    %x = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %part = rt.shared : memref<32xf32>
    %thread = rt.thread
    memref.store %before, %x[%thread] : memref<1099511627776xf32>
    rt.copy_async %x[%thread], %part[%thread] count 1 : memref<1099511627776xf32>, memref<32xf32>
    rt.commit_copies
    memref.store %after, %x[%thread] : memref<1099511627776xf32>
    rt.wait_copies 0
    %value = memref.load %part[%thread] : memref<32xf32>
    memref.store %value, %y[%thread] : memref<1099511627776xf32>
    return
  }
  func.func private @main(tensor<32xf32> {graph.dims = [""], graph.name = "x"}) -> (tensor<32xf32> {graph.dims = [""], graph.name = "y"}) attributes {graph.entry = "run"}
}
