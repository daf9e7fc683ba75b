// The rt dialect: what a host program asks of the runtime, and what can go wrong while running.
#ifndef LATHE_RT_OPS
#define LATHE_RT_OPS

include "mlir/Dialect/LLVMIR/LLVMTypes.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Rt_Dialect : Dialect {
  let name = "rt";
  let cppNamespace = "::lathe::rt";
  let summary = "the host program: weights, memory, dispatches, checks";
}

class Rt_Op<string mnemonic, list<Trait> traits = []> : Op<Rt_Dialect, mnemonic, traits>;

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
    until the end of the dispatch, so what follows must be safe either way (clamp the index).
  }];
  let arguments = (ins I1:$condition, I32Attr:$code, StrAttr:$message,
                       Variadic<AnyTypeOf<[AnySignlessInteger, Index]>>:$args);
  let assemblyFormat = "$condition `,` $code `,` $message (`,` $args^ `:` type($args))? attr-dict";
}

def Rt_DispatchOp : Rt_Op<"dispatch", [AttrSizedOperandSegments,
                                       DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel over [0, count), in parallel when it is worth it";
  let description = [{
    The kernel is a function (call, buffers..., sizes..., begin, end). Pieces are multiples of `grain`
    iterations; `serial` runs it on the calling thread.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, LLVM_AnyPointer:$call,
                       Variadic<LLVM_AnyPointer>:$buffers, Variadic<Index>:$sizes, Index:$count,
                       I64Attr:$grain, UnitAttr:$serial, UnitAttr:$checked);
  let assemblyFormat = [{
    $kernel `(` $call `)` `buffers` `(` $buffers `)` `sizes` `(` $sizes `)` `count` $count
    attr-dict `:` type($call) (`,` type($buffers)^)?
  }];
}

def Rt_ViewOp : Rt_Op<"view", [Pure, AttrSizedOperandSegments]> {
  let summary = "a pointer seen as a memref with the given dynamic sizes and strides";
  let arguments = (ins LLVM_AnyPointer:$base, Variadic<Index>:$sizes, Variadic<Index>:$strides);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = [{
    $base `sizes` `(` $sizes `)` `strides` `(` $strides `)` attr-dict `:` type($base) `->` type($result)
  }];
}

#endif
