// A kernel, written by hand, whose warp loads four matrices of 8 x 8, two, and one transposed, and
// stores what each lane has, one load behind the other.
module attributes {rt.flops = 1 : i64, rt.target = "nvidia:sm_80"} {
  func.func @run(%call: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %one = arith.constant 1 : index
    %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_matrices(%call) buffers(%x, %y) sizes() count %one {bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %size = arith.constant 448 : index
    rt.plan_output %call[0] dims(%size) {unknown = array<i64>} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }
  func.func private @tile_matrices(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr, %begin: index, %end: index) attributes {rt.block = 32 : i32} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %x = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xf16>
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf16>
    %part = rt.shared : memref<256xf16>
    %thread = rt.thread
    %row = arith.muli %thread, %c8 : index
    rt.copy_async %x[%row], %part[%row] count 8 : memref<1099511627776xf16>, memref<256xf16>
    rt.commit_copies
    rt.wait_copies 0
    rt.barrier
    %four = rt.load_matrices %part[%row] : memref<256xf16> -> vector<8xf16>
    %two = rt.load_matrices %part[%row] : memref<256xf16> -> vector<4xf16>
    %one = rt.load_matrices %part[%row] transposed : memref<256xf16> -> vector<2xf16>
    %c14 = arith.constant 14 : index
    %at = arith.muli %thread, %c14 : index
    scf.for %i = %c0 to %c8 step %c1 {
      %value = vector.extract %four[%i] : f16 from vector<8xf16>
      %place = arith.addi %at, %i : index
      memref.store %value, %y[%place] : memref<1099511627776xf16>
    }
    %c4 = arith.constant 4 : index
    scf.for %i = %c0 to %c4 step %c1 {
      %value = vector.extract %two[%i] : f16 from vector<4xf16>
      %behind = arith.addi %i, %c8 : index
      %place = arith.addi %at, %behind : index
      memref.store %value, %y[%place] : memref<1099511627776xf16>
    }
    %c2 = arith.constant 2 : index
    %c12 = arith.constant 12 : index
    scf.for %i = %c0 to %c2 step %c1 {
      %value = vector.extract %one[%i] : f16 from vector<2xf16>
      %behind = arith.addi %i, %c12 : index
      %place = arith.addi %at, %behind : index
      memref.store %value, %y[%place] : memref<1099511627776xf16>
    }
    return
  }
  func.func private @main(tensor<256xf16> {graph.dims = [""], graph.name = "x"}) -> (tensor<448xf16> {graph.dims = [""], graph.name = "y"}) attributes {graph.entry = "run"}
}
