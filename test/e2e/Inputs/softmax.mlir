// A softmax of rows that no block of threads divides.
#id = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
func.func @main(%x: tensor<5x300xf32> {graph.name = "x", graph.dims = ["", ""]})
    -> (tensor<5x300xf32> {graph.name = "y", graph.dims = ["", ""]}) attributes {graph.entry = "run"} {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %rows = tensor.empty() : tensor<5xf32>
  %all = tensor.empty() : tensor<5x300xf32>
  %0 = linalg.fill ins(%lowest : f32) outs(%rows : tensor<5xf32>) -> tensor<5xf32>
  %top = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<5x300xf32>) outs(%0 : tensor<5xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %t = arith.maximumf %acc, %in : f32
    linalg.yield %t : f32
  } -> tensor<5xf32>
  %power = linalg.generic {indexing_maps = [#id, #row, #id],
                           iterator_types = ["parallel", "parallel"]}
      ins(%x, %top : tensor<5x300xf32>, tensor<5xf32>) outs(%all : tensor<5x300xf32>) {
  ^bb0(%in: f32, %m: f32, %out: f32):
    %d = arith.subf %in, %m : f32
    %t = math.exp %d : f32
    linalg.yield %t : f32
  } -> tensor<5x300xf32>
  %1 = linalg.fill ins(%zero : f32) outs(%rows : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%power : tensor<5x300xf32>) outs(%1 : tensor<5xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %t = arith.addf %acc, %in fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<5xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%power, %sum : tensor<5x300xf32>, tensor<5xf32>) outs(%all : tensor<5x300xf32>) {
  ^bb0(%in: f32, %s: f32, %out: f32):
    %t = arith.divf %in, %s : f32
    linalg.yield %t : f32
  } -> tensor<5x300xf32>
  return %y : tensor<5x300xf32>
}
