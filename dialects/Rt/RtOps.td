// The rt dialect: what a host program asks of the runtime, and what can go wrong while running.
#ifndef LATHE_RT_OPS
#define LATHE_RT_OPS

include "mlir/Dialect/LLVMIR/LLVMTypes.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Rt_Dialect : Dialect {
  let name = "rt";
  let cppNamespace = "::lathe::rt";
  let summary = "the host program: weights, memory, dispatches, checks";
  let useDefaultTypePrinterParser = 1;
}

class Rt_Op<string mnemonic, list<Trait> traits = []> : Op<Rt_Dialect, mnemonic, traits>;

// ---- Values that are no tensors ----------------------------------------------------------------

def Rt_Value : TypeDef<Rt_Dialect, "Value"> {
  let mnemonic = "value";
  let summary = "a sequence, an optional or a map: the address of a lathe_value that never changes";
  let description = "It belongs to the caller or to the run, and lives as long as that.";
}

// What builtins take and give.
def Rt_Operand : AnyTypeOf<[AnyRankedTensor, Rt_Value]>;

def Rt_WeightOp : Rt_Op<"weight", [Pure]> {
  let summary = "constant data that stays in the artifact's weights section";
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
}

def Rt_CheckOp : Rt_Op<"check", [MemoryEffects<[MemWrite]>]> {
  let summary = "fail the run unless the condition holds";
  let description = [{
    `code` is a lathe_code, `message` holds %0..%5 for `args` (index or integer values); the node's
    name comes from the location. May stand in the body of a `linalg.generic`. Execution continues
    until the end of the dispatch, so what follows must be safe either way (clamp the index). On a
    device it continues until the host waits: see rt.failed.
  }];
  let arguments = (ins I1:$condition, I32Attr:$code, StrAttr:$message,
                       Variadic<AnyTypeOf<[AnySignlessInteger, Index]>>:$args);
  let assemblyFormat = "$condition `,` $code `,` $message (`,` $args^ `:` type($args))? attr-dict";
}

// ---- Lists of parts: what a loop stacks without knowing how much -------------------------------

def Rt_List : TypeDef<Rt_Dialect, "List"> {
  let mnemonic = "list";
  let summary = "tensors of one shape, one after the other in memory that grows";
}

def Rt_ListOp : Rt_Op<"list", [MemoryEffects<[MemAlloc]>]> {
  let summary = "an empty list";
  let results = (outs Rt_List:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Rt_AppendOp : Rt_Op<"append", [MemoryEffects<[MemWrite]>]> {
  let summary = "put a copy of a tensor at `position`, which is the number of those in the list";
  let arguments = (ins Rt_List:$list, Index:$position, AnyRankedTensor:$part);
  let assemblyFormat = "$list `[` $position `]` `,` $part attr-dict `:` type($part)";
}

def Rt_StackOp : Rt_Op<"stack", [MemoryEffects<[MemRead]>]> {
  let summary = "all tensors of a list along a new first axis";
  let description = "`sizes` are those of the result that its type does not have.";
  let arguments = (ins Rt_List:$list, Variadic<Index>:$sizes);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$list `sizes` `(` $sizes `)` attr-dict `:` type($result)";
}

// Elements of less than a byte share bytes outside of a program, the first in the low bits; inside
// each has a byte of its own.

def Rt_BytesOp : Rt_Op<"bytes", [Pure]> {
  let summary = "the bytes of a tensor whose elements share bytes; `size` where it is dynamic";
  let arguments = (ins AnyRankedTensor:$packed, Optional<Index>:$size);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$packed (`size` $size^)? attr-dict `:` type($packed) `->` type($result)";
}

def Rt_PackedOp : Rt_Op<"packed", [Pure]> {
  let summary = "bytes as a tensor whose elements share them; may only be returned";
  let arguments = (ins AnyRankedTensor:$bytes, Variadic<Index>:$sizes);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$bytes `sizes` `(` $sizes `)` attr-dict `:` type($bytes) `->` type($result)";
}

// ---- Functions of the builtins on whole tensors -------------------------------------------------

def Rt_CallOp : Rt_Op<"call", [AttrSizedResultSegments, MemoryEffects<[MemAlloc]>]> {
  let summary = "run a builtin on whole tensors and other values";
  let description = [{
    `callee` is a function of lib/Codegen/Host/builtins that takes the call, the tensors as lathe_value,
    places for its results, and `parameters`. It allocates its results; `sizes` are those of their
    sizes that the types do not have, one result after the other. Of an `rt.value` the builtin sees,
    and gives, a scalar whose `data` is its address. Where it fails, the run ends with `message`.
  }];
  let arguments = (ins StrAttr:$callee, Variadic<Rt_Operand>:$inputs,
                       DenseI64ArrayAttr:$parameters, StrAttr:$message);
  let results = (outs Variadic<Rt_Operand>:$results, Variadic<Index>:$sizes);
  let assemblyFormat = [{
    $callee `(` $inputs `)` $parameters `,` $message attr-dict
    `:` `(` type($inputs) `)` `->` `(` type($results) `)` `sizes` `(` type($sizes) `)`
  }];
}

def Rt_InvokeOp : Rt_Op<"invoke", [AttrSizedOperandSegments, AttrSizedResultSegments,
                                   MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "rt.call on addresses";
  let description = [{
    `sizes` are all sizes of the inputs, whose ranks `ranks` tells; the same holds for the results and
    `result_ranks`. `widths` and `result_widths` say how many bytes an element has that a device may hold:
    0 where it stays with the host, as strings and values that are no tensors do.
  }];
  let arguments = (ins StrAttr:$callee, LLVM_AnyPointer:$call, Variadic<LLVM_AnyPointer>:$buffers,
                       Variadic<Index>:$sizes, DenseI64ArrayAttr:$ranks,
                       DenseI64ArrayAttr:$result_ranks, DenseI64ArrayAttr:$parameters,
                       StrAttr:$message, OptionalAttr<DenseI64ArrayAttr>:$widths,
                       OptionalAttr<DenseI64ArrayAttr>:$result_widths);
  let results = (outs Variadic<LLVM_AnyPointer>:$results, Variadic<Index>:$result_sizes);
  let assemblyFormat = [{
    $callee `(` $call `)` `buffers` `(` $buffers `)` `sizes` `(` $sizes `)` attr-dict
    `:` type($call) `,` `(` type($buffers) `)` `->` `(` type($results) `)` `sizes` `(`
    type($result_sizes) `)`
  }];
}

def Rt_DispatchOp : Rt_Op<"dispatch", [AttrSizedOperandSegments,
                                       DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel over [0, count), in parallel when it is worth it";
  let description = [{
    The kernel is a function (call, buffers..., sizes..., begin, end). Pieces are multiples of `grain`
    iterations, or of the value `piece` where that follows from sizes known when running; `serial`
    runs it on the calling thread. For profiles, the attributes `flops` and
    `bytes` say what the dispatch computes and touches, or, where that follows from sizes known when
    running, the two values `work`. Where the kernel may find a fault in the data (`checked`), the run ends
    after it. With the attribute `launch`, the number of a kernel on the device, it only begins there: rt.fetch
    waits for it, and ends the run. `extents` tell of each buffer how many bytes it has, or 0: unknown.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, LLVM_AnyPointer:$call,
                       Variadic<LLVM_AnyPointer>:$buffers, Variadic<Index>:$sizes, Index:$count,
                       Variadic<Index>:$work, Optional<Index>:$piece, Variadic<Index>:$extents,
                       I64Attr:$grain, UnitAttr:$serial, UnitAttr:$checked);
  let assemblyFormat = [{
    $kernel `(` $call `)` `buffers` `(` $buffers `)` `sizes` `(` $sizes `)` `count` $count
    (`work` `(` $work^ `)`)? (`piece` $piece^)? (`extents` `(` $extents^ `)`)? attr-dict `:` type($call) (`,` type($buffers)^)?
  }];
}

// ---- What a host program reads from its call -------------------------------------------------

def Rt_DimOp : Rt_Op<"dim", [Pure]> {
  let summary = "size of a dimension of an input";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$input, I64Attr:$dim);
  let results = (outs Index:$result);
  let assemblyFormat = "$call `[` $input `,` $dim `]` attr-dict `:` type($call)";
}

def Rt_InputOp : Rt_Op<"input", [Pure]> {
  let summary = "address of an input's first element";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$index);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "$call `[` $index `]` attr-dict `:` type($call) `->` type($result)";
}

def Rt_InputValueOp : Rt_Op<"input_value", [Pure]> {
  let summary = "address of an input that is no tensor";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$index);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "$call `[` $index `]` attr-dict `:` type($call) `->` type($result)";
}

def Rt_OutputValueOp : Rt_Op<"output_value", [MemoryEffects<[MemWrite]>]> {
  let summary = "make a value that is no tensor an output; the runtime copies what it holds";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$index, LLVM_AnyPointer:$value);
  let assemblyFormat = "$call `[` $index `]` `,` $value attr-dict `:` type($call) `,` type($value)";
}

def Rt_OutputOp : Rt_Op<"output", [Pure]> {
  let summary = "address of the memory of an output whose shape is known before the run";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$index);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "$call `[` $index `]` attr-dict `:` type($call) `->` type($result)";
}

def Rt_WeightAddressOp : Rt_Op<"weight_address", [Pure]> {
  let summary = "address of a constant in the weights";
  let arguments = (ins LLVM_AnyPointer:$call, TypedAttrInterface:$value);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "$call `,` $value attr-dict `:` type($call) `->` type($result)";
}

// ---- Memory ------------------------------------------------------------------------------------

def Rt_AllocOp : Rt_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "memory for an intermediate value";
  let description = [{
    The memory plan turns it into a place in the arena when `bytes` follows from the inputs' dims,
    else into `rt.allocate`. The value lives from its first to its last use. With `host` the program drives
    a device, which never sees the value: a tensor of strings. It is not in the arena then.
  }];
  let arguments = (ins Index:$bytes, UnitAttr:$host);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "$bytes (`host` $host^)? attr-dict `:` type($result)";
}

def Rt_ArenaOp : Rt_Op<"arena", [Pure]> {
  let summary = "address in the arena, `offset` bytes from its start, of a value of `bytes`";
  let arguments = (ins LLVM_AnyPointer:$call, Index:$offset, Optional<Index>:$bytes);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat =
      "$call `,` $offset (`bytes` $bytes^)? attr-dict `:` type($call) `->` type($result)";
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$call,
                                 "::mlir::Value":$offset), [{
    build($_builder, $_state, result, call, offset, ::mlir::Value());
  }]>];
}

def Rt_AllocateOp : Rt_Op<"allocate", [MemoryEffects<[MemAlloc]>]> {
  let summary = "memory from the caller for a size that depends on data; the run fails without it";
  let description = "Of the device with `device`, of the host with `host` or where there is no device.";
  let arguments = (ins LLVM_AnyPointer:$call, Index:$bytes, UnitAttr:$host, UnitAttr:$device);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = [{
    $call `,` $bytes (`host` $host^)? (`device` $device^)? attr-dict `:` type($call) `->` type($result)
  }];
}

def Rt_SlotOp : Rt_Op<"slot", [MemoryEffects<[MemAlloc]>]> {
  let summary = "keeps memory from the caller from one use to the next";
  let description = "It belongs to the run, and is empty when that begins.";
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Rt_ReserveOp : Rt_Op<"reserve", [MemoryEffects<[MemAlloc, MemWrite]>]> {
  let summary = "a slot's memory, made larger where it has less than `bytes`";
  let description = [{
    It at least doubles, so that all memory a slot ever had is a constant times its largest size.
    The first `keep` bytes stay. `host` and `device` as for rt.allocate; the slot is the host's.
  }];
  let arguments = (ins LLVM_AnyPointer:$call, LLVM_AnyPointer:$slot, Index:$bytes, Index:$keep,
                       UnitAttr:$host, UnitAttr:$device);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = [{
    $call `,` $slot `,` $bytes `keep` $keep (`host` $host^)? (`device` $device^)? attr-dict
    `:` type($call) `,` type($slot) `->` type($result)
  }];
}

def Rt_LiveOp : Rt_Op<"live", [MemoryEffects<[MemWrite]>]> {
  let summary = "memory is in use here, also where no operation says so";
  let arguments = (ins LLVM_AnyPointer:$memory);
  let assemblyFormat = "$memory attr-dict `:` type($memory)";
}

def Rt_FetchOp : Rt_Op<"fetch", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "memory of the host with a copy of `bytes` of the device's";
  let description = [{
    Waits for all that was launched. The run ends where that fails, or a kernel has found a fault in the
    data. The next time that the operation runs it uses its memory again.
  }];
  let arguments = (ins LLVM_AnyPointer:$call, LLVM_AnyPointer:$from, Index:$bytes);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = [{
    $call `,` $from `bytes` $bytes attr-dict `:` type($call) `,` type($from) `->` type($result)
  }];
}

def Rt_PutOp : Rt_Op<"put", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "copy `bytes` of memory of the host to the device's, after what was launched";
  let arguments = (ins LLVM_AnyPointer:$call, LLVM_AnyPointer:$from, LLVM_AnyPointer:$to,
                       Index:$bytes);
  let assemblyFormat = [{
    $call `,` $from `to` $to `bytes` $bytes attr-dict `:` type($call) `,` type($from) `,` type($to)
  }];
}

def Rt_PollOp : Rt_Op<"poll", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "end the run when the caller has cancelled it: on the way back in loops";
  let arguments = (ins LLVM_AnyPointer:$call);
  let assemblyFormat = "$call attr-dict `:` type($call)";
}

def Rt_AllocateOutputOp : Rt_Op<"allocate_output", [MemoryEffects<[MemAlloc]>]> {
  let summary = "set the shape of an output that depends on data and get its memory";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$index, Variadic<Index>:$dims);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = "$call `[` $index `]` `dims` `(` $dims `)` attr-dict `:` type($call) `->` type($result)";
}

// ---- The plan function -------------------------------------------------------------------------

def Rt_PlanOutputOp : Rt_Op<"plan_output", [MemoryEffects<[MemWrite]>]> {
  let summary = "report the dims of an output; `unknown` lists those that depend on data";
  let arguments = (ins LLVM_AnyPointer:$call, I64Attr:$index, Variadic<Index>:$dims,
                       DenseI64ArrayAttr:$unknown);
  let assemblyFormat = "$call `[` $index `]` `dims` `(` $dims `)` attr-dict `:` type($call)";
}

def Rt_PlanArenaOp : Rt_Op<"plan_arena", [MemoryEffects<[MemWrite]>]> {
  let summary = "report the size of the arena";
  let arguments = (ins LLVM_AnyPointer:$plan, Index:$bytes);
  let assemblyFormat = "$plan `,` $bytes attr-dict `:` type($plan)";
}

// ---- Inside kernels ----------------------------------------------------------------------------

def Rt_ViewOp : Rt_Op<"view", [Pure, AttrSizedOperandSegments]> {
  let summary = "a pointer seen as a memref with the given dynamic sizes and strides";
  let arguments = (ins LLVM_AnyPointer:$base, Variadic<Index>:$sizes, Variadic<Index>:$strides);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = [{
    $base `sizes` `(` $sizes `)` `strides` `(` $strides `)` attr-dict `:` type($base) `->` type($result)
  }];
}

// In kernels that have the attribute `rt.block`, the number of threads that compute an item together
// on a GPU. All of them run the whole body.

def Rt_ThreadOp : Rt_Op<"thread", [MemoryEffects<[MemRead]>]> {
  let summary = "the number of this thread among those of the item";
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict";
}

def Rt_MultiplyMatricesOp : Rt_Op<"multiply_matrices", [Pure, AllTypesMatch<["sums", "result"]>]> {
  let summary = "the lanes of a warp multiply small matrices and add up: sums + left * right";
  let description = [{
    Each lane has the part of every matrix that `unit` says (lib/Schedule/MatrixUnits.cpp). All lanes
    of the warp come here together. Integers are signed where `left_unsigned` and `right_unsigned` do
    not say otherwise. Of numbers in f32 a unit may take the ten upper bits of the mantissa alone.
  }];
  let arguments = (ins StrAttr:$unit, AnyVectorOfAnyRank:$left, AnyVectorOfAnyRank:$right,
                       AnyVectorOfAnyRank:$sums, UnitAttr:$left_unsigned, UnitAttr:$right_unsigned);
  let results = (outs AnyVectorOfAnyRank:$result);
  let assemblyFormat = [{
    $unit $left `,` $right `,` $sums attr-dict `:` type($left) `,` type($right) `,` type($sums)
  }];
}

def Rt_CopyAsyncOp : Rt_Op<"copy_async", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "begin to copy neighbouring elements to shared memory";
  let description = [{
    `count` elements, which are 4, 8 or 16 bytes and lie at multiples of that on both sides. Of these
    the first `valid` (all, where it is not given) are read, the others become 0. The thread that
    began a copy sees it after `rt.wait_copies`, the others after a barrier behind that; until then
    nobody may touch the place.
  }];
  let arguments = (ins AnyMemRef:$source, Index:$from, AnyMemRef:$part, Index:$to, I64Attr:$count,
                       Optional<Index>:$valid);
  let assemblyFormat = [{
    $source `[` $from `]` `,` $part `[` $to `]` `count` $count (`valid` $valid^)? attr-dict
    `:` type($source) `,` type($part)
  }];
  let hasVerifier = 1;
}

def Rt_CommitCopiesOp : Rt_Op<"commit_copies", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "end a group of copies: those that this thread began since the last, or none";
  let assemblyFormat = "attr-dict";
}

def Rt_WaitCopiesOp : Rt_Op<"wait_copies", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait until all groups of copies of this thread have arrived but the last `groups`";
  let arguments = (ins I32Attr:$groups);
  let assemblyFormat = "$groups attr-dict";
}

def Rt_LoadMatricesOp : Rt_Op<"load_matrices", [MemoryEffects<[MemRead]>]> {
  let summary = "the lanes of a warp load matrices of 8 x 8 numbers of 16 bits from shared memory";
  let description = [{
    One, two or four, by the size of the result. Of matrix number i, lane 8 * i + r says where row r
    begins, a multiple of 16 bytes. Lane l gets two neighbours of each matrix: those of row l / 4 from
    column l % 4 * 2 on or, `transposed`, those of column l / 4 from row l % 4 * 2 on. All lanes of
    the warp come here together.
  }];
  let arguments = (ins AnyMemRef:$part, Index:$at, UnitAttr:$transposed);
  let results = (outs AnyVectorOfAnyRank:$result);
  let assemblyFormat = [{
    $part `[` $at `]` (`transposed` $transposed^)? attr-dict `:` type($part) `->` type($result)
  }];
  let hasVerifier = 1;
}

// Products of a warpgroup, which is 128 threads from a multiple of that on: wgmma of NVIDIA's sm_90a.

def Rt_DescribeMatrixOp : Rt_Op<"describe_matrix", [Pure]> {
  let summary = "what rt.multiply_shared is told of a matrix in shared memory";
  let description = [{
    The matrix, of 16-bit numbers, begins at `at`. Its lines are those of what lies together: 8 (16, 32,
    64) numbers in `swizzle` 0 (32, 64, 128) bytes. Eight lines follow each other, the next eight begin
    `stride` bytes further on, and what is longer than a line goes on `leading` bytes further on; without a
    swizzle it is the other way round where rows or columns lie together. In a swizzle the 16 bytes
    number i of a line are at place i ^ (address of the line / 128 % 8), of which it takes as many bits
    as there are places. Adding 1 moves the matrix by 16 bytes.
  }];
  let arguments = (ins AnyMemRef:$part, Index:$at, I64Attr:$leading, I64Attr:$stride,
                       I64Attr:$swizzle);
  let results = (outs I64:$result);
  let assemblyFormat = [{
    $part `[` $at `]` `leading` $leading `stride` $stride `swizzle` $swizzle attr-dict `:` type($part)
  }];
  let hasVerifier = 1;
}

def Rt_MultiplySharedOp : Rt_Op<"multiply_shared", [AllTypesMatch<["sums", "result"]>,
                                                    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "a warpgroup begins to multiply matrices in shared memory and to add up: sums + left * right";
  let description = [{
    64 rows, 16 numbers of `element` added up, as many columns as `sums` has numbers times two. In
    warp w of the group, lane l has of each eight columns two neighbours from column l % 4 * 2 on, of
    row 16 * w + l / 4 and of the row eight below. Operands are i64 (rt.describe_matrix), the left one may be in
    registers: 8 numbers, those of rt.multiply_matrices "mma.sync". What is added up lies together in
    shared memory or, `left_transposed` and `right_transposed`, rows and columns do. All threads of the
    group come here together. `result` is for the next product and for `rt.wait_products` alone, and
    until then nobody may write to the operands. What threads put in shared memory they let products see by
    `rt.fence_shared`, and a barrier.
  }];
  let arguments = (ins AnyTypeOf<[I64, AnyVectorOfAnyRank]>:$left, I64:$right,
                       AnyVectorOfAnyRank:$sums, TypeAttr:$element, UnitAttr:$left_transposed,
                       UnitAttr:$right_transposed);
  let results = (outs AnyVectorOfAnyRank:$result);
  let assemblyFormat = [{
    $left (`transposed` $left_transposed^)? `,` $right (`transposed` $right_transposed^)? `,` $sums `of` $element attr-dict
    `:` type($left) `,` type($sums)
  }];
  let hasVerifier = 1;
}

def Rt_FenceProductsOp : Rt_Op<"fence_products", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "products from here on may take what the thread has in registers";
  let description = "Before products whose sums, or left operands, come from anything but a product.";
  let assemblyFormat = "attr-dict";
}

def Rt_FenceSharedOp : Rt_Op<"fence_shared", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "what the thread wrote and copied to shared memory is for rt.multiply_shared to see";
  let assemblyFormat = "attr-dict";
}

def Rt_CommitProductsOp : Rt_Op<"commit_products", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "end a group of products: those that this thread began since the last, or none";
  let assemblyFormat = "attr-dict";
}

def Rt_WaitProductsOp : Rt_Op<"wait_products", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait until all groups of products of this thread are done but the last `groups`";
  let description = "`results` are the `sums` of products that are done.";
  let arguments = (ins I32Attr:$groups, Variadic<AnyVectorOfAnyRank>:$sums);
  let results = (outs Variadic<AnyVectorOfAnyRank>:$results);
  let assemblyFormat = "$groups (`,` $sums^ `:` type($sums) `->` type($results))? attr-dict";
  let hasVerifier = 1;
}

// Copies of whole boxes of tensors, which one thread begins for its block, and barriers with phases,
// eight bytes of shared memory each, which tell when they are there.

def Rt_TensorMapOp : Rt_Op<"tensor_map", [Pure, AttrSizedOperandSegments]> {
  let summary = "how a tensor lies in a kernel's buffer, for rt.copy_tensor";
  let description = [{
    Dimension 0 is the one whose elements are neighbours; `strides`, in elements, are those of the others.
    `offset` is that of the first element. A copy brings `box` elements of each dimension, those outside
    of the tensor as 0, one row (dimension 0) behind the other. With a `swizzle` of so many bytes,
    the pieces of 16 bytes of these change places: bits 4 and up of an address in shared memory are those
    that it would have without, xor bits 7 and up; one bit for 32 bytes, two for 64, three for 128.

    The base is a parameter of the kernel; sizes and strides are products of parameters and constants, so that
    the runtime can make the map when it launches the kernel. There the address and the strides must be
    multiples of 16 bytes: the run fails if not.
  }];
  let arguments = (ins LLVM_AnyPointer:$base, Variadic<Index>:$sizes, Variadic<Index>:$strides,
                       TypeAttr:$element, DenseI64ArrayAttr:$box,
                       DefaultValuedAttr<I64Attr, "0">:$offset,
                       DefaultValuedAttr<I64Attr, "0">:$swizzle);
  let results = (outs LLVM_AnyPointer:$result);
  let assemblyFormat = [{
    $base `sizes` `(` $sizes `)` `strides` `(` $strides `)` `box` $box `of` $element attr-dict
    `:` type($base) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Rt_InitPhasesOp : Rt_Op<"init_phases", [MemoryEffects<[MemWrite]>]> {
  let summary = "make a barrier with phases, each of which ends after `count` arrivals";
  let description = [{
    And when as many bytes as those expect have come by tensor copies. One thread makes it, then comes
    rt.fence_phases, and a barrier before others use it.
  }];
  let arguments = (ins AnyMemRef:$barriers, Index:$at, I32Attr:$count);
  let assemblyFormat = "$barriers `[` $at `]` `count` $count attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def Rt_FencePhasesOp : Rt_Op<"fence_phases", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "let tensor copies use the barriers that this thread has made";
  let assemblyFormat = "attr-dict";
}

def Rt_ArriveOp : Rt_Op<"arrive", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "arrive in the present phase of a barrier, and expect `bytes` more of tensor copies";
  let description = "Who waits for the phase sees what this thread has done before.";
  let arguments = (ins AnyMemRef:$barriers, Index:$at, DefaultValuedAttr<I32Attr, "0">:$bytes);
  let assemblyFormat = "$barriers `[` $at `]` (`expect` $bytes^)? attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def Rt_WaitPhaseOp : Rt_Op<"wait_phase", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait until the phase of this parity is over";
  let description = [{
    The first phase has parity 0, each has another one than that before. So a wait for parity 1 of a
    barrier that is in its first phase goes on at once.
  }];
  let arguments = (ins AnyMemRef:$barriers, Index:$at, Index:$parity);
  let assemblyFormat = "$barriers `[` $at `]` `parity` $parity attr-dict `:` type($barriers)";
  let hasVerifier = 1;
}

def Rt_CopyTensorOp : Rt_Op<"copy_tensor", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "begin to copy a box of a tensor to shared memory";
  let description = [{
    `coordinates` are those of its first element, dimension 0 first; they may lie outside. The place is a multiple
    of 128 bytes, or of what a swizzle repeats after: 256, 512 or 1024. The bytes arrive in the present
    phase of the barrier, and nobody may touch the place but who has waited for that.
  }];
  let arguments = (ins LLVM_AnyPointer:$map, Variadic<Index>:$coordinates, AnyMemRef:$part,
                       Index:$to, AnyMemRef:$barriers, Index:$at);
  let assemblyFormat = [{
    $map `[` $coordinates `]` `,` $part `[` $to `]` `,` $barriers `[` $at `]` attr-dict
    `:` type($map) `,` type($part) `,` type($barriers)
  }];
  let hasVerifier = 1;
}

def Rt_FailedOp : Rt_Op<"failed", [MemoryEffects<[MemRead]>]> {
  let summary = "whether a check has failed in a kernel of this run, in this one or before it";
  let description = [{
    In kernels on a device alone, after which later ones still run. Their first parameter, `faults`, is the
    lathe_error that they have in common.
  }];
  let arguments = (ins LLVM_AnyPointer:$faults);
  let results = (outs I1:$result);
  let assemblyFormat = "$faults attr-dict `:` type($faults)";
}

def Rt_BarrierOp : Rt_Op<"barrier", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "wait until all threads of the item are here, and see what they wrote";
  let assemblyFormat = "attr-dict";
}

def Rt_SharedOp : Rt_Op<"shared", [MemoryEffects<[MemAlloc]>]> {
  let summary = "memory that the threads of an item share; holds nothing at first";
  let description = "It begins at a multiple of `alignment` bytes, 16 where nothing is said.";
  let arguments = (ins OptionalAttr<I64Attr>:$alignment);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = "(`align` $alignment^)? attr-dict `:` type($result)";
  let builders = [OpBuilder<(ins "mlir::Type":$type), [{ build($_builder, $_state, type, mlir::IntegerAttr()); }]>];
}

#endif
