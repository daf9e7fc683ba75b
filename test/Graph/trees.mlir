// RUN: %lathe-opt %s --graph-infer-shapes --split-input-file --verify-diagnostics

func.func @features(%x: tensor<?x2xf32>, %n: tensor<5x4xi32>, %r: tensor<1x1x2xi32>) -> tensor<*xf32> {
  // expected-error @below {{a row has 2 features, the nodes read 3}}
  %0 = graph.tree_ensemble sum %x, %n, %r {features = 3 : i64} : (tensor<?x2xf32>, tensor<5x4xi32>, tensor<1x1x2xi32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @widths(%x: tensor<?x2xf32>, %n: tensor<5x4xi64>, %r: tensor<1x1x2xi64>) -> tensor<*xf32> {
  // expected-error @below {{nodes must be integers as wide as the elements of input, got 'tensor<5x4xi64>'}}
  %0 = graph.tree_ensemble sum %x, %n, %r {features = 1 : i64} : (tensor<?x2xf32>, tensor<5x4xi64>, tensor<1x1x2xi64>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @rows(%x: tensor<?x2xf32>, %n: tensor<5x4xi32>, %r: tensor<1x1x2xi32>, %v: tensor<2x3xf32>) -> tensor<*xf32> {
  // expected-error @below {{roots must have rank 2, got 'tensor<1x1x2xi32>'}}
  %0 = graph.tree_ensemble sum %x, %n, %r, %v {features = 1 : i64} : (tensor<?x2xf32>, tensor<5x4xi32>, tensor<1x1x2xi32>, tensor<2x3xf32>) -> tensor<*xf32>
  return %0 : tensor<*xf32>
}

// -----

func.func @integers(%x: tensor<?x2xi32>, %n: tensor<5x4xi32>, %r: tensor<1x1x2xi32>) -> tensor<*xi32> {
  // expected-error @below {{input must have elements of f32 or f64}}
  %0 = graph.tree_ensemble sum %x, %n, %r {features = 1 : i64} : (tensor<?x2xi32>, tensor<5x4xi32>, tensor<1x1x2xi32>) -> tensor<*xi32>
  return %0 : tensor<*xi32>
}

// -----

func.func @keys(%x: tensor<?xi64>, %k: tensor<3xf32>) -> tensor<*xi64> {
  // expected-error @below {{element types differ}}
  %0 = graph.find %x, %k : (tensor<?xi64>, tensor<3xf32>) -> tensor<*xi64>
  return %0 : tensor<*xi64>
}

// -----

func.func @stop_words(%x: tensor<1x2x3x!graph.string>, %k: tensor<3x!graph.string>) -> tensor<*x!graph.string> {
  // expected-error @below {{input must have rank 1 or 2}}
  %0 = graph.string_normalize keep %x, %k {case_sensitive = true} : (tensor<1x2x3x!graph.string>, tensor<3x!graph.string>) -> tensor<*x!graph.string>
  return %0 : tensor<*x!graph.string>
}
