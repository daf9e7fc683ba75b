// RUN: %lathe-opt %s --graph-infer-shapes=print-dims --split-input-file | FileCheck %s --check-prefix=INFER
// RUN: %lathe-opt %s --graph-simplify --split-input-file | FileCheck %s --check-prefix=SIMPLE

// What both branches agree on is the size of the result, in symbols of the values around them.
// INFER-LABEL: func @branch
// INFER: graph.if
// INFER: {dims = ["[d{{[0-9]+}}, 3, s]"]} : (tensor<i1>) -> tensor<?x3x?xf32>
func.func @branch(%c: tensor<i1>, %x: tensor<2x3x?xf32> {graph.dims = ["", "", "s"]}, %y: tensor<5x3x?xf32> {graph.dims = ["", "", "s"]}) -> tensor<*xf32> {
  %r = graph.if %c {
    %a = graph.unary neg %x : (tensor<2x3x?xf32>) -> tensor<*xf32>
    graph.yield %a : tensor<*xf32>
  } else {
    graph.yield %y : tensor<5x3x?xf32>
  } : (tensor<i1>) -> tensor<*xf32>
  return %r : tensor<*xf32>
}

// -----

// A carried value keeps the sizes that the body keeps; what is stacked has as many parts as there
// are iterations, where only they end the loop.
// INFER-LABEL: func @counted
// INFER: graph.loop
// INFER: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<?x4xf32>)
// INFER: {dims = ["[b, 4]", "[t, b, 4]"]}
func.func @counted(%x: tensor<?x?x4xf32> {graph.dims = ["t", "b", ""]}, %h: tensor<?x4xf32> {graph.dims = ["b", ""]}) -> (tensor<*xf32>, tensor<*xf32>) {
  %true = graph.constant dense<true> : tensor<i1>
  %shape = graph.shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x?x4xf32>) -> tensor<1xi64>
  %n = graph.squeeze %shape {axes = array<i64: 0>} : (tensor<1xi64>) -> tensor<i64>
  %last, %all = graph.loop %n, %true iter(%h) {
  ^bb0(%i: tensor<i64>, %s: tensor<?x4xf32>):
    %xt = graph.gather %x, %i {axis = 0 : i64} : (tensor<?x?x4xf32>, tensor<i64>) -> tensor<*xf32>
    %next = graph.binary add %s, %xt : (tensor<?x4xf32>, tensor<*xf32>) -> tensor<*xf32>
    graph.yield %true, %next, %xt : tensor<i1>, tensor<*xf32>, tensor<*xf32>
  } : (tensor<i64>, tensor<i1>, tensor<?x4xf32>) -> (tensor<*xf32>, tensor<*xf32>)
  return %last, %all : tensor<*xf32>, tensor<*xf32>
}

// -----

// One that grows has a size of its own, although it starts with a known one.
// INFER-LABEL: func @growing
// INFER: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<?xf32>)
// INFER: graph.yield {{.*}} tensor<?xf32>
// INFER: } {dims = ["[{{.*}}]"]} : (tensor<i64>, tensor<i1>, tensor<1xf32>) -> tensor<?xf32>
func.func @growing(%n: tensor<i64>, %x: tensor<1xf32>) -> tensor<*xf32> {
  %true = graph.constant dense<true> : tensor<i1>
  %last = graph.loop %n, %true iter(%x) {
  ^bb0(%i: tensor<i64>, %s: tensor<?xf32>):
    %next = graph.concat %s, %x {axis = 0 : i64} : (tensor<?xf32>, tensor<1xf32>) -> tensor<*xf32>
    graph.yield %true, %next : tensor<i1>, tensor<*xf32>
  } : (tensor<i64>, tensor<i1>, tensor<1xf32>) -> tensor<*xf32>
  return %last : tensor<*xf32>
}

// -----

// SIMPLE-LABEL: func @known
// SIMPLE-NEXT: %[[R:.*]] = graph.unary neg %arg0
// SIMPLE-NEXT: return %[[R]]
func.func @known(%x: tensor<4xf32>) -> tensor<4xf32> {
  %true = graph.constant dense<true> : tensor<i1>
  %r = graph.if %true {
    %a = graph.unary neg %x : (tensor<4xf32>) -> tensor<4xf32>
    graph.yield %a : tensor<4xf32>
  } else {
    graph.yield %x : tensor<4xf32>
  } : (tensor<i1>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

// What no one reads is not computed; what does not change is not carried.
// SIMPLE-LABEL: func @unused
// SIMPLE: graph.loop %arg0, %{{.*}} iter(%arg1) {
// SIMPLE-NEXT: ^bb0(%{{.*}}: tensor<i64>, %[[S:.*]]: tensor<4xf32>):
// SIMPLE-NEXT: %[[N:.*]] = graph.binary add %[[S]], %arg2
// SIMPLE-NEXT: graph.yield %{{.*}}, %[[N]] : tensor<i1>, tensor<4xf32>
func.func @unused(%n: tensor<i64>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %true = graph.constant dense<true> : tensor<i1>
  %a, %b, %all = graph.loop %n, %true iter(%x, %y) {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>, %t: tensor<4xf32>):
    %next = graph.binary add %s, %t : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    graph.yield %true, %next, %t, %next : tensor<i1>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  } : (tensor<i64>, tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<?x4xf32>)
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}

// -----

// SIMPLE-LABEL: func @never
// SIMPLE: %[[NONE:.*]] = graph.constant dense<> : tensor<0x4xf32>
// SIMPLE: return %arg0, %[[NONE]]
func.func @never(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<0x4xf32>) {
  %true = graph.constant dense<true> : tensor<i1>
  %n = graph.constant dense<-3> : tensor<i64>
  %a, %all = graph.loop %n, %true iter(%x) {
  ^bb0(%i: tensor<i64>, %s: tensor<4xf32>):
    %next = graph.unary neg %s : (tensor<4xf32>) -> tensor<4xf32>
    graph.yield %true, %next, %s : tensor<i1>, tensor<4xf32>, tensor<4xf32>
  } : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> (tensor<4xf32>, tensor<0x4xf32>)
  return %a, %all : tensor<4xf32>, tensor<0x4xf32>
}

// -----

// A loop that carries an optional of known content is unrolled, so that it is known as well.
// SIMPLE-LABEL: func @carried_optional
// SIMPLE-NOT: graph.loop
// SIMPLE: %[[A:.*]] = graph.unary exp %arg0
// SIMPLE: %[[B:.*]] = graph.unary exp %[[A]]
// SIMPLE: return %[[B]]
func.func @carried_optional(%x: tensor<4xf32>) -> tensor<4xf32> {
  %trip = graph.constant dense<2> : tensor<i64>
  %true = graph.constant dense<true> : tensor<i1>
  %some = graph.optional_construct %x : (tensor<4xf32>) -> !graph.optional<tensor<4xf32>>
  %last = graph.loop %trip, %true iter(%some) {
  ^bb0(%i: tensor<i64>, %carried: !graph.optional<tensor<4xf32>>):
    %go = graph.constant dense<true> : tensor<i1>
    %value = graph.optional_get %carried : (!graph.optional<tensor<4xf32>>) -> tensor<4xf32>
    %negated = graph.unary exp %value : (tensor<4xf32>) -> tensor<4xf32>
    %next = graph.optional_construct %negated : (tensor<4xf32>) -> !graph.optional<tensor<4xf32>>
    graph.yield %go, %next : tensor<i1>, !graph.optional<tensor<4xf32>>
  } : (tensor<i64>, tensor<i1>, !graph.optional<tensor<4xf32>>) -> !graph.optional<tensor<4xf32>>
  %result = graph.optional_get %last : (!graph.optional<tensor<4xf32>>) -> tensor<4xf32>
  return %result : tensor<4xf32>
}

// -----

// Sequences of known items are no sequences when running.
// SIMPLE-LABEL: func @sequence
// SIMPLE: %[[N:.*]] = graph.constant dense<2> : tensor<i64>
// SIMPLE: %[[C:.*]] = graph.concat %arg1, %arg0
// SIMPLE: return %[[N]], %arg1, %[[C]]
func.func @sequence(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<i64>, tensor<4xf32>, tensor<8xf32>) {
  %zero = graph.constant dense<0> : tensor<i64>
  %minus = graph.constant dense<-1> : tensor<i64>
  %s = graph.sequence_construct %x, %x : (tensor<4xf32>, tensor<4xf32>) -> !graph.sequence<tensor<4xf32>>
  %t = graph.sequence_insert %s, %y at %zero : (!graph.sequence<tensor<4xf32>>, tensor<4xf32>, tensor<i64>) -> !graph.sequence<tensor<4xf32>>
  %u = graph.sequence_erase %t at %minus : (!graph.sequence<tensor<4xf32>>, tensor<i64>) -> !graph.sequence<tensor<4xf32>>
  %n = graph.sequence_length %u : (!graph.sequence<tensor<4xf32>>) -> tensor<i64>
  %i = graph.sequence_at %u at %zero : (!graph.sequence<tensor<4xf32>>, tensor<i64>) -> tensor<4xf32>
  %c = graph.concat_from_sequence %u {axis = 0 : i64, new_axis = false} : (!graph.sequence<tensor<4xf32>>) -> tensor<8xf32>
  return %n, %i, %c : tensor<i64>, tensor<4xf32>, tensor<8xf32>
}
