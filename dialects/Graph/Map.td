// Maps: single numbers or strings by key.
#ifndef LATHE_GRAPH_MAP
#define LATHE_GRAPH_MAP

include "dialects/Graph/GraphBase.td"

def Graph_MapConstructOp : Graph_Op<"map_construct"> {
  let summary = "a map of keys, none of them twice, to values";
  let arguments = (ins Graph_Tensor:$keys, Graph_Tensor:$values);
  let results = (outs Graph_Map:$result);
  let assemblyFormat = "$keys `,` $values attr-dict `:` functional-type(operands, results)";
}

def Graph_MapEntriesOp : Graph_Op<"map_entries"> {
  let summary = "the keys of a map, in no particular order, and the values that belong to them";
  let arguments = (ins Graph_Map:$map);
  let results = (outs Graph_Tensor:$keys, Graph_Tensor:$values);
  let assemblyFormat = "$map attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

#endif
