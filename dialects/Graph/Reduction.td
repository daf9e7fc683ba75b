// Reductions and scans.
#ifndef LATHE_GRAPH_REDUCTION
#define LATHE_GRAPH_REDUCTION

include "dialects/Graph/Elementwise.td"

def Graph_ReduceKind : Graph_Enum<"ReduceKind", "how elements are combined",
  ["sum", "mean", "prod", "max", "min", "l1", "l2", "log_sum", "log_sum_exp", "sum_square"]>;
def Graph_ReduceKindAttr : EnumAttr<Graph_Dialect, Graph_ReduceKind, "reduce_kind">;

def Graph_ReduceOp : Graph_Op<"reduce"> {
  let summary = "combine the elements along `axes`";
  let description = "`axes` are sorted and non-negative; without it all dimensions are reduced.";
  let arguments = (ins Graph_ReduceKindAttr:$kind, Graph_Tensor:$input,
                       OptionalAttr<DenseI64ArrayAttr>:$axes, BoolAttr:$keep_dims);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "`` $kind $input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_ArgReduceOp : Graph_Op<"arg_reduce"> {
  let summary = "index of the largest (or smallest) element along `axis`";
  let description = "An empty axis is refused, unless it `may_be_empty`: its index is 0.";
  let arguments = (ins Graph_Tensor:$input, BoolAttr:$smallest, I64Attr:$axis, BoolAttr:$keep_dims,
                       BoolAttr:$select_last, UnitAttr:$may_be_empty);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def Graph_CumulativeOp : Graph_Op<"cumulative"> {
  let summary = "running sum or product along `axis`";
  let arguments = (ins Graph_ReduceKindAttr:$kind, Graph_Tensor:$input, I64Attr:$axis,
                       BoolAttr:$exclusive, BoolAttr:$reverse);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "`` $kind $input attr-dict `:` functional-type(operands, results)";
}

#endif
