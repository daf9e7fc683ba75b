// Ensembles of decision trees.
#ifndef LATHE_GRAPH_TREE
#define LATHE_GRAPH_TREE

include "dialects/Graph/Elementwise.td"

def Graph_TreeAggregate : Graph_Enum<"TreeAggregate", "how the values of all trees are combined",
  ["sum", "min", "max"]>;
def Graph_TreeAggregateAttr : EnumAttr<Graph_Dialect, Graph_TreeAggregate, "tree_aggregate">;

def Graph_TreeEnsembleOp : Graph_Op<"tree_ensemble"> {
  let summary = "walk every tree for every row of `input` and combine what the leaves hold";
  let description = [{
    `nodes` [count, 4] are integers as wide as the elements of `input` [rows, features]. A node holds
    a feature, the place of its children, the bits of a threshold, and the payload. The false child
    lies at that place, the true child behind it; a row goes to the true child when its feature is
    `<=` the threshold. Bits of the feature change that: the top one, to go there for NaN as well
    (`missing` says whether any node has it); the next, to compare by `==` (`equal`). A leaf is its
    own false child and has the threshold NaN, so that a walk may go on for any number of steps.

    `roots` hold the first node of a tree and the steps that reach any of its leaves. They are
    [targets, trees, 2] where every tree counts for one target, and the payload of a leaf is the bits
    of its value; or [trees, 2], and the payload is a row of `values` [leaves, targets]. Values are
    combined in the order of the trees. `features`: how many features of a row are read.
  }];
  let arguments = (ins Graph_TreeAggregateAttr:$aggregate, Graph_Tensor:$input,
                       Graph_IntTensor:$nodes, Graph_IntTensor:$roots,
                       Optional<Graph_Tensor>:$values, I64Attr:$features, UnitAttr:$missing,
                       UnitAttr:$equal);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    `` $aggregate $input `,` $nodes `,` $roots (`,` $values^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

#endif
