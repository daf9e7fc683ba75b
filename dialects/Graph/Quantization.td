// Quantization.
#ifndef LATHE_GRAPH_QUANTIZATION
#define LATHE_GRAPH_QUANTIZATION

include "dialects/Graph/GraphBase.td"

def Graph_QuantizeOp : Graph_Op<"quantize"> {
  let summary = "saturate(round_half_even(x / scale) + zero_point)";
  let description = [{
    The scale and the zero point are scalars or vectors of size 1, vectors of as many elements as
    the input has along `axis`, or blocked along it (`block_size` > 0). Of vectors of unknown size
    the run sees which.
  }];
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$scale, Optional<Graph_Tensor>:$zero_point,
    I64Attr:$axis, DefaultValuedAttr<I64Attr, "0">:$block_size,
    DefaultValuedAttr<BoolAttr, "true">:$saturate);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $scale (`,` $zero_point^)? attr-dict `:` functional-type(operands, results)";
}

def Graph_DequantizeOp : Graph_Op<"dequantize"> {
  let summary = "(x - zero_point) * scale";
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$scale, Optional<Graph_Tensor>:$zero_point,
    I64Attr:$axis, DefaultValuedAttr<I64Attr, "0">:$block_size);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $scale (`,` $zero_point^)? attr-dict `:` functional-type(operands, results)";
}

#endif
