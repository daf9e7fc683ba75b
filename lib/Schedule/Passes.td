// The passes of stage Schedule.
#ifndef LATHE_SCHEDULE_PASSES
#define LATHE_SCHEDULE_PASSES

include "mlir/Pass/PassBase.td"

def ScheduleFusePass : Pass<"schedule-fuse", "::mlir::ModuleOp"> {
  let summary = "Fuse elementwise producers into their only consumers, on tensors";
  let description = [{
    Pre-condition: the output of `graph-to-linalg`. Knows no target. Nothing is computed twice, and
    the operands of contractions and windows stay plain, as register tiles need them.

    Before, after:
    ```mlir
    %a = linalg.generic {...} ins(%x, %s : tensor<4x8xf32>, tensor<8xf32>) ... // multiply
    %b = linalg.generic {...} ins(%a : tensor<4x8xf32>) ...                    // exponential

    %b = linalg.generic {...} ins(%x, %s : tensor<4x8xf32>, tensor<8xf32>) outs(%e) {
    ^bb0(%in: f32, %scale: f32, %out: f32):
      %0 = arith.mulf %in, %scale : f32
      %1 = math.exp %0 : f32
      linalg.yield %1 : f32
    } -> tensor<4x8xf32>
    ```
  }];
}

def ScheduleMarkSamplesPass : Pass<"schedule-mark-samples", "::mlir::ModuleOp"> {
  let summary = "Mark a model whose code is to run once for each sample of a batch";
  let description = [{
    Pre-condition: the output of `graph-to-linalg`. A model whose inputs have a batch of unknown
    size in their first dimension, and that computes each sample from that sample alone, gets the
    batch's name in the attribute `sched.samples` of `@main`, where a sample is enough work and
    weights that all share are little of it; further names there are those of dimensions for which
    that holds from 16 on. Codegen then makes an entry that runs the code with a batch of one, for
    each sample, on as many threads as there are.

    Before, after:
    ```mlir
    func.func @main(%x: tensor<?x8xf32> {graph.dims = ["batch", ""]}) -> tensor<?x8xf32> {
      ...
      %y = linalg.generic {...} ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {...}

    func.func @main(%x: ...) -> tensor<?x8xf32> attributes {sched.samples = ["batch"]} {
    ```
  }];
  let options = [
    Option<"always", "always", "bool", "false", "Mark models of little work as well">
  ];
}

def ScheduleNarrowOperandsPass : Pass<"schedule-narrow-operands", "::mlir::ModuleOp"> {
  let summary = "Have products take the narrow numbers that their operands were widened from";
  let description = [{
    Pre-condition: linalg on tensors. For devices with a unit that multiplies matrices of f16 or bf16
    and adds up in f32. Constants become narrow where that loses nothing. On request, operands of
    products and attentions in f32 are rounded to bf16 before. With units for bytes, products of
    differences of bytes by constant bytes take the bytes, and what zero points add to each column
    is added afterwards. With units for 8-bit floats, products of what was widened from those take them.

    Before, after:
    ```mlir
    %wide = linalg.generic {...} ins(%a : tensor<4x8xf16>) ... // arith.extf
    %c = linalg.generic {...} ins(%wide, %w : tensor<4x8xf32>, tensor<8x16xf32>) ...

    %c = linalg.generic {...} ins(%a, %narrow : tensor<4x8xf16>, tensor<8x16xf16>) outs(...) {
    ^bb0(%l: f16, %r: f16, %sum: f32):
      %0 = arith.extf %l : f16 to f32
      %1 = arith.extf %r : f16 to f32
      ...
    ```
  }];
  let dependentDialects = ["::lathe::rt::RtDialect", "::lathe::sched::SchedDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"matrixUnit", "matrix-unit", "std::string", "",
           "Units that multiply matrices, separated by commas; those for bytes count here">,
    Option<"precision", "precision", "std::string", "\"model\"",
           "bf16: round the operands of f32 products and attentions">
  ];
}

def ScheduleFormDispatchesPass : Pass<"schedule-form-dispatches", "::mlir::ModuleOp"> {
  let summary = "Replace @main on tensors by a host program of dispatches and their kernels";
  let description = [{
    Pre-condition: the output of `graph-to-linalg`, fused or not; `@main` has one block. Afterwards
    the module has `@run(call)`, `@plan(call, plan)` and private kernels of vector loops; there are
    no tensors, and every intermediate is an `rt.alloc`. What cannot be scheduled is an error at its
    operation.

    Before, after:
    ```mlir
    func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %e = tensor.empty() : tensor<4x8xf32>
      %y = linalg.generic {...} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {...}
      return %y : tensor<4x8xf32>
    }

    func.func @run(%call: !llvm.ptr) -> i32 {
      %x = rt.input %call[0] : !llvm.ptr -> !llvm.ptr
      %y = rt.output %call[0] : !llvm.ptr -> !llvm.ptr
      rt.dispatch @loop_87a1(%call) buffers(%x, %y) sizes() count %c1 {grain = 1563 : i64} ...
      return %ok : i32
    }
    func.func private @loop_87a1(%x: !llvm.ptr, %y: !llvm.ptr, %begin: index, %end: index) {...}
    ```
    The options describe the processor; no field names a chip.
  }];
  let dependentDialects = [
    "::lathe::graph::GraphDialect", "::lathe::rt::RtDialect", "::lathe::sched::SchedDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
  let options = [
    Option<"vectorBits", "vector-bits", "unsigned", "256", "Width of a vector register">,
    Option<"vectorRegisters", "vector-registers", "unsigned", "16", "Number of vector registers">,
    Option<"l1Bytes", "l1-bytes", "uint64_t", "32 << 10", "Data in the first-level cache">,
    Option<"scheduleFile", "schedule", "std::string", "",
           "Table of schedules that comes before the built-in one">,
    Option<"l2Bytes", "l2-bytes", "uint64_t", "512 << 10", "Data in the second-level cache">,
    Option<"memoryBytes", "memory-bytes", "unsigned", "10",
           "What one core reads from memory in a nanosecond">,
    Option<"dotI16", "dot-i16", "std::string", "",
           "LLVM's intrinsic that adds up the products of pairs of i16">,
    Option<"dotBF16", "dot-bf16", "std::string", "",
           "LLVM's intrinsic that adds the products of pairs of bf16 to an f32">,
    Option<"matrixBF16", "matrix-bf16", "std::string", "",
           "LLVM's intrinsic that multiplies tiles of bf16">,
    Option<"itemPerThread", "item-per-thread", "bool", "false",
           "For a GPU: every item of a kernel is a thread, or a block of threads">,
    Option<"matrixUnit", "matrix-unit", "std::string", "",
           "For a GPU: what multiplies small matrices, such as mma.sync,mma.sync.i8 or mfma">,
    Option<"copyStages", "copy-stages", "unsigned", "1",
           "For a GPU: parts of operands in shared memory; more than one where copies are asynchronous">,
    Option<"groupUnit", "group-unit", "std::string", "",
           "For a GPU: wgmma, by which four warps multiply matrices of 16-bit numbers in shared memory">,
    Option<"copiesTensors", "copies-tensors", "bool", "false",
           "For a GPU: operands of a group unit come to shared memory as boxes of tensors">,
    Option<"processors", "processors", "unsigned", "0",
           "For a GPU: so many share the work, of which some is cut into parts for that; 0: none is">,
    Option<"sharedBytes", "shared-bytes", "unsigned", "48 << 10",
           "For a GPU: the memory that a block can share at most">,
    Option<"optLevel", "opt-level", "unsigned", "3",
           "0: a dispatch for every operation, plain loops, no register tiles">,
    Option<"strict", "strict", "bool", "false",
           "Leave out what changes the order of rounding beyond the lanes of a vector">,
    Option<"deterministic", "deterministic", "bool", "false",
           "Leave LLVM no choice of results: signs of zeros count in maxima as well">
  ];
}

def SchedulePlanMemoryPass : Pass<"schedule-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Put every intermediate into one arena";
  let description = [{
    Pre-condition: the output of `schedule-form-dispatches`. Each `rt.alloc` whose size follows from
    the inputs' dims becomes a place in the arena, shared by values that never live at the same time;
    `@plan` reports the arena's size as a formula of the dims. Sizes that depend on data are asked
    of the runtime when they are known.

    Before, after:
    ```mlir
    %a = rt.alloc %c4096 : index -> !llvm.ptr
    rt.dispatch @f(%call) buffers(%x, %a) ...
    %b = rt.alloc %bytes : index -> !llvm.ptr

    %a = rt.arena %call, %c0 : !llvm.ptr -> !llvm.ptr
    %b = rt.arena %call, %c4096 : !llvm.ptr -> !llvm.ptr
    rt.dispatch @f(%call) buffers(%x, %a) ...
    ```
  }];
  let options = [
    Option<"forDevice", "for-device", "bool", "false",
           "Have each place in the arena, which is a device's, tell how large its value is, and leave slots out of it">
  ];
}

#endif
