// Attention.
#ifndef LATHE_GRAPH_ATTENTION
#define LATHE_GRAPH_ATTENTION

include "dialects/Graph/GraphBase.td"

def Graph_AttentionOp : Graph_Op<"attention"> {
  let summary = "softmax(scale * Q K^T + mask) V";
  let description = [{
    query [B,H,S,D], key [B,Hk,T,D], value [B,Hk,T,Dv], result [B,H,S,Dv]; H is a multiple of Hk
    (grouped heads). `mask` is added, broadcast to [B,H,S,T]. `causal`: query i sees keys up to
    i + T - S.
  }];
  let arguments = (ins Graph_Tensor:$query, Graph_Tensor:$key, Graph_Tensor:$value,
                       Optional<Graph_Tensor>:$mask, F32Attr:$scale,
                       DefaultValuedAttr<BoolAttr, "false">:$causal);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`,` $mask^)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif
