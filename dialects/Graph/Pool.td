// Pooling over windows. Global pooling is a reduction.
#ifndef LATHE_GRAPH_POOL
#define LATHE_GRAPH_POOL

include "dialects/Graph/Conv.td"

def Graph_PoolKind : Graph_Enum<"PoolKind", "how a window is combined", ["max", "average", "lp"]>;
def Graph_PoolKindAttr : EnumAttr<Graph_Dialect, Graph_PoolKind, "pool_kind">;

def Graph_PoolOp : Graph_Op<"pool"> {
  let summary = "combine each window of a [N,C,spatial...] tensor";
  let description = [{
    With `channels_last` the tensors are [N,spatial...,C]. `indices` (max only) are flat positions
    in the input as ONNX MaxPool gives them; `column_major` flips their spatial order.
  }];
  let arguments = (ins Graph_PoolKindAttr:$kind, Graph_Tensor:$input, DenseI64ArrayAttr:$kernel,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations,
    Graph_AutoPadAttr:$auto_pad, DefaultValuedAttr<BoolAttr, "false">:$ceil_mode,
    DefaultValuedAttr<BoolAttr, "false">:$count_include_pad,
    DefaultValuedAttr<I64Attr, "2">:$p, DefaultValuedAttr<BoolAttr, "false">:$column_major,
    DefaultValuedAttr<BoolAttr, "false">:$channels_last);
  let results = (outs Graph_Tensor:$result, Optional<Graph_I64Tensor>:$indices);
  let assemblyFormat = "`` $kind $input attr-dict `:` functional-type(operands, results)";
}

#endif
