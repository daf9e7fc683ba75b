// Kernels, written by hand, that copy boxes of tensors.
//
// In the first one thread of a warp brings 40 rows of 64 numbers, 8 rows at a time, into two stages, and
// the threads of another warp store them. The tensor has as many rows as the input, and 70 columns of its 72; what
// lies outside of it is 0. Rows of 128 bytes in shared memory have their pieces of 16 swizzled.
//
// In the second one a box of three dimensions begins outside of its tensor, in two of them.
module attributes {rt.flops = 1 : i64, rt.target = "nvidia:sm_90a"} {
  func.func @run(%call: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %one = arith.constant 1 : index
    %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %rows = rt.dim %call[0, 0] : !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_rows(%call) buffers(%x, %y) sizes(%rows) count %one {bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
    %z = rt.output %call[1] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @tile_box(%call) buffers(%x, %z) sizes() count %one {bytes = 1 : i64, flops = 1 : i64, grain = 1 : i64} : !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %all = arith.constant 40 : index
    %columns = arith.constant 64 : index
    rt.plan_output %call[0] dims(%all, %columns) {unknown = array<i64>} : !llvm.ptr
    rt.plan_output %call[1] dims(%columns) {unknown = array<i64>} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }
  func.func private @tile_rows(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr, %rows: index, %begin: index, %end: index) attributes {rt.block = 64 : i32} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c5 = arith.constant 5 : index
    %c8 = arith.constant 8 : index
    %c32 = arith.constant 32 : index
    %c64 = arith.constant 64 : index
    %c70 = arith.constant 70 : index
    %c72 = arith.constant 72 : index
    %c512 = arith.constant 512 : index
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf16>
    %part = rt.shared align 1024 : memref<1024xf16>
    %barriers = rt.shared : memref<4xi64>
    %map = rt.tensor_map %in sizes(%c70, %rows) strides(%c72) box [64, 8] of f16 {swizzle = 128 : i64} : !llvm.ptr -> !llvm.ptr
    %thread = rt.thread
    %first = arith.cmpi eq, %thread, %c0 : index
    scf.if %first {
      rt.init_phases %barriers[%c0] count 1 : memref<4xi64>
      rt.init_phases %barriers[%c1] count 1 : memref<4xi64>
      rt.init_phases %barriers[%c2] count 32 : memref<4xi64>
      rt.init_phases %barriers[%c3] count 32 : memref<4xi64>
      rt.fence_phases
    }
    rt.barrier
    scf.if %first {
      scf.for %i = %c0 to %c5 step %c1 {
        %stage = arith.remui %i, %c2 : index
        %round = arith.divui %i, %c2 : index
        %parity = arith.remui %round, %c2 : index
        %other = arith.subi %c1, %parity : index
        %empty = arith.addi %stage, %c2 : index
        rt.wait_phase %barriers[%empty] parity %other : memref<4xi64>
        rt.arrive %barriers[%stage] expect 1024 : memref<4xi64>
        %to = arith.muli %stage, %c512 : index
        %row = arith.muli %i, %c8 : index
        rt.copy_tensor %map[%c8, %row], %part[%to], %barriers[%stage] : !llvm.ptr, memref<1024xf16>, memref<4xi64>
      }
    }
    %takes = arith.cmpi uge, %thread, %c32 : index
    scf.if %takes {
      %lane = arith.subi %thread, %c32 : index
      scf.for %i = %c0 to %c5 step %c1 {
        %stage = arith.remui %i, %c2 : index
        %round = arith.divui %i, %c2 : index
        %parity = arith.remui %round, %c2 : index
        rt.wait_phase %barriers[%stage] parity %parity : memref<4xi64>
        %from = arith.muli %stage, %c512 : index
        %done = arith.muli %i, %c512 : index
        scf.for %j = %lane to %c512 step %c32 {
          %row = arith.divui %j, %c64 : index
          %column = arith.remui %j, %c64 : index
          %piece = arith.divui %column, %c8 : index
          %in_piece = arith.remui %column, %c8 : index
          %moved = arith.xori %piece, %row : index
          %moved8 = arith.muli %moved, %c8 : index
          %row64 = arith.muli %row, %c64 : index
          %a = arith.addi %moved8, %in_piece : index
          %b = arith.addi %a, %row64 : index
          %at = arith.addi %b, %from : index
          %value = memref.load %part[%at] : memref<1024xf16>
          %target = arith.addi %done, %j : index
          memref.store %value, %y[%target] : memref<1099511627776xf16>
        }
        %empty = arith.addi %stage, %c2 : index
        rt.arrive %barriers[%empty] : memref<4xi64>
      }
    }
    return
  }
  func.func private @tile_box(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr, %begin: index, %end: index) attributes {rt.block = 32 : i32} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %c3 = arith.constant 3 : index
    %c12 = arith.constant 12 : index
    %c32 = arith.constant 32 : index
    %c72 = arith.constant 72 : index
    %c216 = arith.constant 216 : index
    %back1 = arith.constant -1 : index
    %back2 = arith.constant -2 : index
    %z = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf16>
    %part = rt.shared align 128 : memref<64xf16>
    %barriers = rt.shared : memref<1xi64>
    %map = rt.tensor_map %in sizes(%c12, %c3, %c2) strides(%c72, %c216) box [16, 2, 2] of f16 {offset = 8 : i64} : !llvm.ptr -> !llvm.ptr
    %thread = rt.thread
    %first = arith.cmpi eq, %thread, %c0 : index
    scf.if %first {
      rt.init_phases %barriers[%c0] count 1 : memref<1xi64>
      rt.fence_phases
      rt.copy_tensor %map[%back2, %back1, %c1], %part[%c0], %barriers[%c0] : !llvm.ptr, memref<64xf16>, memref<1xi64>
      rt.arrive %barriers[%c0] expect 128 : memref<1xi64>
    }
    rt.barrier
    rt.wait_phase %barriers[%c0] parity %c0 : memref<1xi64>
    scf.for %i = %c0 to %c2 step %c1 {
      %half = arith.muli %i, %c32 : index
      %at = arith.addi %thread, %half : index
      %value = memref.load %part[%at] : memref<64xf16>
      memref.store %value, %z[%at] : memref<1099511627776xf16>
    }
    return
  }
  func.func private @main(tensor<?x72xf16> {graph.dims = ["rows", ""], graph.name = "x"}) -> (tensor<40x64xf16> {graph.dims = ["", ""], graph.name = "y"}, tensor<64xf16> {graph.dims = [""], graph.name = "z"}) attributes {graph.entry = "run"}
}
