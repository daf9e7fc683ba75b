// A product of f16 with more rows than a tile, and a relu.
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @main(%a: tensor<80x48xf16> {graph.name = "a", graph.dims = ["", ""]},
                %b: tensor<48x24xf16> {graph.name = "b", graph.dims = ["", ""]})
    -> (tensor<80x24xf32> {graph.name = "c", graph.dims = ["", ""]}) attributes {graph.entry = "run"} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<80x24xf32>
  %0 = linalg.fill ins(%zero : f32) outs(%e : tensor<80x24xf32>) -> tensor<80x24xf32>
  %1 = linalg.generic {indexing_maps = [#mk, #kn, #mn],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<80x48xf16>, tensor<48x24xf16>) outs(%0 : tensor<80x24xf32>) {
  ^bb0(%l: f16, %r: f16, %s: f32):
    %lw = arith.extf %l : f16 to f32
    %rw = arith.extf %r : f16 to f32
    %m = arith.mulf %lw, %rw fastmath<reassoc,contract> : f32
    %t = arith.addf %s, %m fastmath<reassoc,contract> : f32
    linalg.yield %t : f32
  } -> tensor<80x24xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%1 : tensor<80x24xf32>) outs(%e : tensor<80x24xf32>) {
  ^bb0(%in: f32, %o: f32):
    %t = arith.maximumf %in, %zero : f32
    linalg.yield %t : f32
  } -> tensor<80x24xf32>
  return %2 : tensor<80x24xf32>
}
