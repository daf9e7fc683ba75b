// Signals.
#ifndef LATHE_GRAPH_SIGNAL
#define LATHE_GRAPH_SIGNAL

include "dialects/Graph/GraphBase.td"

def Graph_FourierOp : Graph_Op<"fourier"> {
  let summary = "discrete Fourier transform along an axis of known size";
  let description = [{
    Of complex numbers whose real and imaginary parts (0 where absent) are tensors of f32 or f64, in
    the type and the order of operations that a mixed-radix transform has; with `inverse` the other
    way, times 1 / size. The size is a product of primes up to `maxRadix`.
  }];
  let arguments = (ins Graph_Tensor:$real, Optional<Graph_Tensor>:$imaginary, I64Attr:$axis,
                       DefaultValuedAttr<BoolAttr, "false">:$inverse);
  let results = (outs Graph_Tensor:$real_result, Graph_Tensor:$imaginary_result);
  let assemblyFormat = [{
    $real (`,` $imaginary^)? attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    static constexpr int64_t maxRadix = 31;
    /// The sizes of the steps whose product `size` is, in their order; empty for a size of 1, and
    /// nullopt for one with a larger prime factor.
    static std::optional<::llvm::SmallVector<int64_t>> getRadices(int64_t size);
  }];
}

#endif
