// Sorting and selection.
#ifndef LATHE_GRAPH_SORT
#define LATHE_GRAPH_SORT

include "dialects/Graph/GraphBase.td"

def Graph_TopKOp : Graph_Op<"top_k"> {
  let summary = "the k largest (or smallest) elements along `axis`, and their indices";
  let description = "Equal elements keep the order of their indices. `sorted` results are in order.";
  let arguments = (ins Graph_Tensor:$input, Graph_I64Tensor:$k, I64Attr:$axis, BoolAttr:$largest,
                       BoolAttr:$sorted);
  let results = (outs Graph_Tensor:$values, Graph_I64Tensor:$indices);
  let assemblyFormat = "$input `,` $k attr-dict `:` functional-type(operands, results)";
}

#endif
