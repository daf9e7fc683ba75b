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
# Two kernels: the first finds a fault in the data, and would tell the second where to read.
LED = MODULE.replace("""    rt.dispatch @loop_planted(%call) buffers(%x, %y)""", """    %bytes = arith.constant 0 : index
    %places = rt.arena %call, %bytes : !llvm.ptr -> !llvm.ptr
    rt.dispatch @loop_checking(%call) buffers(%x, %places) sizes() count %count {checked, grain = 1 : i64}
        : !llvm.ptr, !llvm.ptr, !llvm.ptr
    rt.dispatch @loop_planted(%call) buffers(%places, %y)""").replace(
    "%zero = arith.constant 0 : index", "%zero = arith.constant 2432 : index").replace(
    "  func.func private @main", """  func.func private @loop_checking(%call: !llvm.ptr, %in: !llvm.ptr, %out: !llvm.ptr,
                                   %begin: index, %end: index) {
    %x = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xf32>
    %v = memref.load %x[%begin] : memref<1099511627776xf32>
    %most = arith.constant 1.0e30 : f32
    %right = arith.cmpf ogt, %v, %most : f32
    rt.check %right, 2, "no number is right"
    scf.if %right {
      %y = rt.view %out sizes() strides() : !llvm.ptr -> memref<1099511627776xi64>
      %zero = arith.constant 0 : i64
      memref.store %zero, %y[%begin] : memref<1099511627776xi64>
    }
    return
  }
  func.func private @main""")
LOAD = "%v = memref.load %x[%i] : memref<1099511627776xf32>\n"
STORE = "memref.store %v, %y[%i] : memref<1099511627776xf32>"
BODIES = {
    "right": ("nvidia:sm_80", LOAD + STORE),
    "write-behind": ("nvidia:sm_80", LOAD + """
      %c299 = arith.constant 299 : index
      %last = arith.cmpi eq, %i, %c299 : index
      %far = arith.addi %i, %c1 : index
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
    # What another thread, of another block for some, has written or will write.
    "neighbours": ("nvidia:sm_80", LOAD + """
      %next = arith.addi %i, %c1 : index
      %c300 = arith.constant 300 : index
      %near = arith.remui %next, %c300 : index
      %w = memref.load %y[%near] : memref<1099511627776xf32>
      %s = arith.addf %v, %w : f32
      memref.store %s, %y[%i] : memref<1099511627776xf32>"""),
    "unwritten": ("nvidia:sm_80", LOAD + """
      memref.store %v, %y[%c0] : memref<1099511627776xf32>"""),
}

def write(name, module, target, body):
    with open(os.path.join(sys.argv[1], name + ".mlir"), "w", encoding="utf-8") as file:
        file.write(module.replace("TARGET", target).replace("BODY", body))


for name, (target, body) in BODIES.items():
    write(name, MODULE, target, body)
write("led", LED, "nvidia:sm_80", """
      %p = rt.view %in sizes() strides() : !llvm.ptr -> memref<1099511627776xi64>
      %place = memref.load %p[%i] : memref<1099511627776xi64>
      %at = arith.index_cast %place : i64 to index
      %v = memref.load %x[%at] : memref<1099511627776xf32>
      """ + STORE)
# Both values lie in the arena, the second behind the first, of which one element too many is read.
write("beside", MODULE.replace("buffers(%x, %y)", "buffers(%a, %b)").replace(
    "    rt.dispatch", """    %at = arith.constant 64 : index
    %behind = arith.constant 1280 : index
    %bytes = arith.constant 1200 : index
    %a = rt.arena %call, %at bytes %bytes : !llvm.ptr -> !llvm.ptr
    %b = rt.arena %call, %behind bytes %bytes : !llvm.ptr -> !llvm.ptr
    rt.dispatch""").replace("%zero = arith.constant 0", "%zero = arith.constant 4096"), "nvidia:sm_80", """
      %next = arith.addi %i, %c1 : index
      %v = memref.load %x[%next] : memref<1099511627776xf32>
      """ + STORE)
