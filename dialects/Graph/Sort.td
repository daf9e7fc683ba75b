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

def Graph_UniqueOp : Graph_Op<"unique"> {
  let summary = "the different elements of a vector, or slices along `axis`";
  let description = [{
    `indices` says where each of them is first; `inverse` which of them each element is; `counts` how
    often each is there. They are sorted (slices by their first difference), or in the order in which
    they come. NaN is the largest number and equal to itself.
  }];
  let arguments = (ins Graph_Tensor:$input, I64Attr:$axis, BoolAttr:$sorted);
  let results = (outs Graph_I64Tensor:$indices, Graph_I64Tensor:$inverse, Graph_I64Tensor:$counts);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

#endif
