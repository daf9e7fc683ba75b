// Random numbers.
#ifndef LATHE_GRAPH_RANDOM
#define LATHE_GRAPH_RANDOM

include "dialects/Graph/Elementwise.td"

def Graph_RandomKind : Graph_Enum<"RandomKind", "the distribution", ["uniform", "normal"]>;
def Graph_RandomKindAttr : EnumAttr<Graph_Dialect, Graph_RandomKind, "random_kind">;

def Graph_RandomOp : Graph_Op<"random"> {
  let summary = "numbers in [0, 1), or normally distributed with deviation 1";
  let description = [{
    Each element is a function of `seed` and of its place alone: every run gives the same numbers,
    however many threads it has. f32 or f64.
  }];
  let arguments = (ins Graph_RandomKindAttr:$kind, Graph_I64Tensor:$shape, I64Attr:$seed);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "`` $kind $shape attr-dict `:` functional-type(operands, results)";
}

#endif
