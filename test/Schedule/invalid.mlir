// RUN: %lathe-opt %s --split-input-file --verify-diagnostics --schedule-form-dispatches

// expected-error @+1 {{the module has no function @main}}
module {
}

// -----

// expected-error @+1 {{input 0 is not a ranked tensor}}
func.func @main(%x: tensor<*xf32>) {
  return
}

// -----

func.func @main() -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  // expected-error @+1 {{operation 'tensor.generate' cannot be scheduled}}
  %y = tensor.generate {
  ^bb0(%i: index):
    tensor.yield %zero : f32
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<*xf32> {
  // expected-error @+1 {{cast to an unranked tensor cannot be scheduled}}
  %y = tensor.cast %x : tensor<4xf32> to tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<6xf32> {
  // expected-error @+1 {{pad with computed values cannot be scheduled}}
  %y = tensor.pad %x low[1] high[1] {
  ^bb0(%i: index):
    %0 = arith.index_cast %i : index to i32
    %1 = arith.sitofp %0 : i32 to f32
    tensor.yield %1 : f32
  } : tensor<4xf32> to tensor<6xf32>
  return %y : tensor<6xf32>
}

// -----

#id = affine_map<(i) -> (i)>
#half = affine_map<(i) -> (i floordiv 2)>
func.func @main(%x: tensor<2xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  // expected-error @+1 {{is not linear}}
  %y = linalg.generic {indexing_maps = [#half, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<2xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}
