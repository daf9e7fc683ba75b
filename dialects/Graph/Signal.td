// Signals.
#ifndef LATHE_GRAPH_SIGNAL
#define LATHE_GRAPH_SIGNAL

include "dialects/Graph/GraphBase.td"

def Graph_FourierOp : Graph_Op<"fourier"> {
  let summary = "discrete Fourier transform along an axis";
  let description = [{
    Of complex numbers whose real and imaginary parts (0 where absent) are tensors of f32 or f64, in
    the type and the order of operations that a mixed-radix transform has; with `inverse` the other
    way, times 1 / size. Sizes with large prime factors run in f64.
  }];
  let arguments = (ins Graph_Tensor:$real, Optional<Graph_Tensor>:$imaginary, I64Attr:$axis,
                       DefaultValuedAttr<BoolAttr, "false">:$inverse);
  let results = (outs Graph_Tensor:$real_result, Graph_Tensor:$imaginary_result);
  let assemblyFormat = [{
    $real (`,` $imaginary^)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif
