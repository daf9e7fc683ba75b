// Recurrent layers.
#ifndef LATHE_GRAPH_RECURRENT
#define LATHE_GRAPH_RECURRENT

include "dialects/Graph/Elementwise.td"

def Graph_RecurrentKind : Graph_Enum<"RecurrentKind", "the cell", ["rnn", "gru", "lstm"]>;
def Graph_RecurrentKindAttr : EnumAttr<Graph_Dialect, Graph_RecurrentKind, "recurrent_kind">;
def Graph_Direction : Graph_Enum<"Direction", "order in time",
  ["forward", "reverse", "bidirectional"]>;
def Graph_DirectionAttr : EnumAttr<Graph_Dialect, Graph_Direction, "direction">;

def Graph_RecurrentOp : Graph_Op<"recurrent", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "RNN, GRU or LSTM over a sequence (ONNX layouts, time first)";
  let description = [{
    x [T,B,I], w [D,gates*H,I], r [D,gates*H,H], bias [D,2*gates*H], lengths [B] (i32), initial
    states [D,B,H], peepholes [D,3*H]; y [T,D,B,H], last states [D,B,H]. `activations` names the
    functions per direction; `clip` 0: none. With `batch_first` (ONNX layout 1) x is [B,T,I], y [B,T,D,H],
    states [B,D,H].
  }];
  let arguments = (ins Graph_RecurrentKindAttr:$kind, Graph_Tensor:$x, Graph_Tensor:$w,
    Graph_Tensor:$r, Optional<Graph_Tensor>:$bias, Optional<Graph_IntTensor>:$lengths,
    Optional<Graph_Tensor>:$initial_h, Optional<Graph_Tensor>:$initial_c,
    Optional<Graph_Tensor>:$peepholes, I64Attr:$hidden_size, Graph_DirectionAttr:$direction,
    StrArrayAttr:$activations, F32ArrayAttr:$activation_alpha, F32ArrayAttr:$activation_beta,
    DefaultValuedAttr<F32Attr, "0.0f">:$clip, DefaultValuedAttr<BoolAttr, "false">:$linear_before_reset,
    DefaultValuedAttr<BoolAttr, "false">:$input_forget,
    DefaultValuedAttr<BoolAttr, "false">:$batch_first);
  let results = (outs Optional<Graph_Tensor>:$y, Optional<Graph_Tensor>:$y_h,
                      Optional<Graph_Tensor>:$y_c);
  let assemblyFormat = [{
    `` $kind $x `,` $w `,` $r (`bias` $bias^)? (`lengths` $lengths^)? (`h` $initial_h^)?
    (`c` $initial_c^)? (`peepholes` $peepholes^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Graph_LinearAttentionOp : Graph_Op<"linear_attention", [AttrSizedOperandSegments]> {
  let summary = "attention by a state that is updated in every step of time";
  let description = [{
    q [B,T,H,G,K] (G query heads per head of the state), k [B,T,H,K], v [B,T,H,V], state [B,H,K,V],
    decay [B,T,H,K or 1] (a logarithm), beta [B,T,H or 1]; y [B,T,H,G,V] and the last state. In each
    step: S = exp(decay) S; with beta v = beta (v - S^T k); S = S + k v^T; y = S^T q.
  }];
  let arguments = (ins Graph_Tensor:$q, Graph_Tensor:$k, Graph_Tensor:$v, Graph_Tensor:$state,
                       Optional<Graph_Tensor>:$decay, Optional<Graph_Tensor>:$beta);
  let results = (outs Graph_Tensor:$y, Graph_Tensor:$last);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $state (`decay` $decay^)? (`beta` $beta^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

#endif
