// Control flow that only the run decides: regions of graph operations.
#ifndef LATHE_GRAPH_CONTROL
#define LATHE_GRAPH_CONTROL

include "dialects/Graph/GraphBase.td"

def Graph_YieldOp : Op<Graph_Dialect, "yield", [Pure, Terminator]> {
  let summary = "ends a region of `if` or `loop` with its values";
  let arguments = (ins Variadic<Graph_Value>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Graph_IfOp : Graph_Op<"if", [SingleBlock, NoRegionArguments]> {
  let summary = "the values of one of two regions";
  let description = [{
    Both regions see the values around them. A result's sizes are those that both branches agree on;
    others depend on data.

    ```mlir
    %0 = graph.if %condition {
      graph.yield %x : tensor<2xf32>
    } else {
      graph.yield %y : tensor<3xf32>
    } : (tensor<i1>) -> tensor<?xf32>
    ```
  }];
  let arguments = (ins Graph_BoolTensor:$condition);
  let results = (outs Variadic<Graph_Value>:$results);
  let regions = (region SizedRegion<1>:$then_region, SizedRegion<1>:$else_region);
  let assemblyFormat = [{
    $condition $then_region `else` $else_region attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Graph_LoopOp : Graph_Op<"loop", [SingleBlock]> {
  let summary = "repeats a region, carrying values, at most `trip` times and while a condition holds";
  let description = [{
    The body's arguments are the number of the iteration (`i64`) and the carried values; it yields
    whether to go on (`i1`), the next carried values, and one part for each stacked result. Results
    are the carried values at the end, then the parts of all iterations stacked along a new first
    axis; all parts of one result have the same shape. Without an iteration the results are `inits`
    and nothing. A carried value may change its sizes, but not its rank, from one iteration to the
    next; its type has `?` where it does.

    ```mlir
    %last, %all = graph.loop %trip, %condition iter(%init) {
    ^bb0(%i: tensor<i64>, %x: tensor<2xf32>):
      %next = graph.binary add %x, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
      graph.yield %true, %next, %x : tensor<i1>, tensor<2xf32>, tensor<2xf32>
    } : (tensor<i64>, tensor<i1>, tensor<2xf32>) -> (tensor<2xf32>, tensor<?x2xf32>)
    ```
  }];
  let arguments = (ins Graph_I64Tensor:$trip, Graph_BoolTensor:$condition,
                       Variadic<Graph_Value>:$inits);
  let results = (outs Variadic<Graph_Value>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $trip `,` $condition `iter` `(` $inits `)` $body attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    ::mlir::Block &getBlock() { return getBody().front(); }
    /// The condition, the next carried values, the parts of the stacked results.
    ::mlir::OperandRange getYielded() { return getBlock().getTerminator()->getOperands(); }
    unsigned getNumCarried() { return getInits().size(); }
    ::mlir::ValueRange getStacked() { return getResults().drop_front(getNumCarried()); }
  }];
  let hasCanonicalizer = 1;
}

#endif
