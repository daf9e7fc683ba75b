// RUN: not %lathe compile %s -o %t.lathe 2>&1 | FileCheck %s

// Errors after the import name the model's node, its operator and opset, and no operation of ours.
// CHECK: model.onnx: node 'Neg_3': Neg is not supported in this form: element type complex<f32> (Neg-13, opset 17, of 'tensor<4xcomplex<f32>>')
func.func @main(%x: tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> attributes {graph.entry = "run"} {
  %0 = graph.unary neg %x : (tensor<4xcomplex<f32>>) -> tensor<4xcomplex<f32>> loc("Neg_3"(fused<"Neg-13, opset 17">["model.onnx":4:0]))
  return %0 : tensor<4xcomplex<f32>>
}
