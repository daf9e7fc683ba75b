// All operations of the graph dialect, one file per family.
#ifndef LATHE_GRAPH_OPS
#define LATHE_GRAPH_OPS

include "dialects/Graph/GraphBase.td"

def Graph_ConstantOp : Graph_Op<"constant", [ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a tensor known when compiling";
  let description = [{
    `value` is a dense elements attribute (up to a kilobyte) or a `#graph.weight`.
  }];
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

include "dialects/Graph/Elementwise.td"
include "dialects/Graph/Shape.td"
include "dialects/Graph/Reduction.td"
include "dialects/Graph/Contraction.td"
include "dialects/Graph/Conv.td"
include "dialects/Graph/Pool.td"
include "dialects/Graph/Normalization.td"
include "dialects/Graph/Attention.td"
include "dialects/Graph/Recurrent.td"
include "dialects/Graph/Quantization.td"
include "dialects/Graph/Sort.td"
include "dialects/Graph/Tree.td"
include "dialects/Graph/Text.td"
include "dialects/Graph/Control.td"
include "dialects/Graph/Sequence.td"
include "dialects/Graph/Detection.td"
include "dialects/Graph/Random.td"
include "dialects/Graph/Signal.td"

#endif
