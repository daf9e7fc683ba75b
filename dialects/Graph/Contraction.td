// Matrix products.
#ifndef LATHE_GRAPH_CONTRACTION
#define LATHE_GRAPH_CONTRACTION

include "dialects/Graph/GraphBase.td"

def Graph_MatMulOp : Graph_Op<"matmul"> {
  let summary = "product of the last two dimensions, the others broadcast (NumPy matmul)";
  let arguments = (ins Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_EinsumOp : Graph_Op<"einsum"> {
  let summary = "Einstein summation; the equation is explicit (`...` and `->` expanded on import)";
  let arguments = (ins Variadic<Graph_Tensor>:$inputs, StrAttr:$equation);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type(operands, results)";
}

def Graph_DeterminantOp : Graph_Op<"determinant"> {
  let summary = "determinant of the square matrices in the last two dimensions";
  let arguments = (ins Graph_Tensor:$input);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

#endif
