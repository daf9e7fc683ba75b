# Writes scheduled modules for a GPU, some with a fault in the kernel.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: device_faults.py FOLDER     writes FOLDER/<name>.mlir"""
import os
import sys

MODULE = """
module attributes {rt.flops = 0 : i64, rt.target = "TARGET"} {
  func.func @run(%call: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %count = arith.constant 300 : index
    %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
    %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
    rt.dispatch @loop_planted(%call) buffers(%x, %y) sizes() count %count {grain = 1 : i64}
        : !llvm.ptr, !llvm.ptr, !llvm.ptr
    return %ok : i32
  }
  func.func @plan(%call: !llvm.ptr, %plan: !llvm.ptr) -> i32 {
    %ok = arith.constant 0 : i32
    %zero = arith.constant 0 : index
    %count = arith.constant 300 : index
    rt.plan_output %call[0] dims(%count) {unknown = array<i64>} : !llvm.ptr
    rt.plan_arena %plan, %zero : !llvm.ptr
    return %ok : i32
  }
  func.func private @loop_planted(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr,
                                  %begin: index, %end: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %x = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    scf.for %i = %begin to %end step %c1 {
BODY
    }
    return
  }
  func.func private @main(tensor<300xf32> {graph.name = "x"}) -> (tensor<300xf32> {graph.name = "y"})
      attributes {graph.entry = "run"}
}
"""
LOAD = "%v = memref.load %x[%i] : memref<1099511627776xf32>\n"
STORE = "memref.store %v, %y[%i] : memref<1099511627776xf32>"
BODIES = {
    "right": ("nvidia:sm_80", LOAD + STORE),
    "write-behind": ("nvidia:sm_80", LOAD + """
      // Memory is handed out in whole cache lines: 1200 bytes of 1216.
      %c299 = arith.constant 299 : index
      %c16 = arith.constant 16 : index
      %last = arith.cmpi eq, %i, %c299 : index
      %far = arith.addi %i, %c16 : index
      %at = arith.select %last, %far, %i : index
      memref.store %v, %y[%at] : memref<1099511627776xf32>"""),
    "read-before": ("amd:gfx942", """
      %first = arith.cmpi eq, %i, %c0 : index
      %near = arith.subi %i, %c1 : index
      %at = arith.select %first, %near, %i : index
      %v = memref.load %x[%at] : memref<1099511627776xf32>
      """ + STORE),
    "misaligned": ("nvidia:sm_80", LOAD + """
      %odd = llvm.getelementptr %out[2] : (!llvm.ptr) -> !llvm.ptr, i8
      %z = rt.view %odd sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
      memref.store %v, %z[%i] : memref<1099511627776xf32>"""),
    "order": ("nvidia:sm_80", """
      %n = arith.index_cast %i : index to i32
      %v = arith.sitofp %n : i32 to f32
      memref.store %v, %y[%c0] : memref<1099511627776xf32>"""),
    "unwritten": ("nvidia:sm_80", LOAD + """
      memref.store %v, %y[%c0] : memref<1099511627776xf32>"""),
}

for name, (target, body) in BODIES.items():
    with open(os.path.join(sys.argv[1], name + ".mlir"), "w", encoding="utf-8") as file:
        file.write(MODULE.replace("TARGET", target).replace("BODY", body))
