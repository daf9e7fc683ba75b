// The passes of stage Graph.
#ifndef LATHE_GRAPH_PASSES
#define LATHE_GRAPH_PASSES

include "mlir/Pass/PassBase.td"

def InferShapesPass : Pass<"graph-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Infer shapes, static and symbolic, and fold what they determine";
  let description = [{
    Refines the type of every value, resolves negative axes and automatic pads, and replaces small
    tensors whose elements are known by constants. Dimensions of arguments with equal names in
    `graph.dims` are one symbol.

    ```mlir
    func.func @main(%x: tensor<?x4x6xf32> {graph.dims = ["batch", "", ""]}) -> tensor<*xf32> {
      %s = graph.shape %x : (tensor<?x4x6xf32>) -> tensor<*xi64>
      %r = graph.reshape %x, %minus_one : (tensor<?x4x6xf32>, tensor<1xi64>) -> tensor<*xf32>
    ```
    becomes
    ```mlir
      %s = graph.shape %x : (tensor<?x4x6xf32>) -> tensor<3xi64>
      %r = graph.reshape %x, %minus_one : (tensor<?x4x6xf32>, tensor<1xi64>) -> tensor<?xf32>
    ```
    where the analysis knows the `?` to be `batch * 24`.
  }];
  let options = [Option<"printDims", "print-dims", "bool", "false",
                        "Attach the symbolic sizes of results as `dims` (for tests)">];
}

def SimplifyPass : Pass<"graph-simplify", "::mlir::func::FuncOp"> {
  let summary = "Fold, canonicalize, evaluate operations on constants, share equal values";
  let description = [{
    Removes what does nothing (identity transposes, reshapes, casts, slices; exact identities of
    arithmetic), merges chains of transposes, reshapes, casts and concats, and computes data movement
    and simple arithmetic on constants directly.

    ```mlir
    %0 = graph.transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<1x4x6xf32>) -> tensor<1x6x4xf32>
    %1 = graph.transpose %0 {perm = array<i64: 0, 2, 1>} : (tensor<1x6x4xf32>) -> tensor<1x4x6xf32>
    %2 = graph.binary mul %1, %one : (tensor<1x4x6xf32>, tensor<f32>) -> tensor<1x4x6xf32>
    ```
    becomes `%x`.
  }];
}

def FoldBatchNormPass : Pass<"graph-fold-batch-norm", "::mlir::func::FuncOp"> {
  let summary = "Fold per-channel scales and shifts into the weights before them";
  let description = [{
    Requires inferred shapes. Batch normalization with constant parameters becomes a product and a
    sum; these, and any other with a constant that varies along the channels only, move into the
    weights and bias of the convolution, transposed convolution or matrix product before them when it
    has no other use.

    ```mlir
    %0 = graph.conv %x, %w {...} : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<1x4x8x8xf32>
    %1 = graph.batch_norm %0, %scale, %bias, %mean, %variance {epsilon = 1.0e-5 : f32} : ...
    ```
    becomes
    ```mlir
    %1 = graph.conv %x, %w2, %b2 {...} : (...) -> tensor<1x4x8x8xf32>
    ```
  }];
}

def FoldQuantizationPass : Pass<"graph-fold-quantization", "::mlir::func::FuncOp"> {
  let summary = "Products of dequantized numbers as integer products; quantize before moving";
  let description = [{
    Requires inferred shapes. A convolution or matrix product of tensors dequantized from 8 bits, the
    second a constant, becomes an i32 product times both scales. A quantization with one scale moves
    before reshapes, transposes and concatenations, and vanishes where it meets the dequantization
    that it undoes.

    ```mlir
    %0 = graph.dequantize %x, %s, %z {axis = 0 : i64} : (tensor<4x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<4x8xf32>
    %1 = graph.dequantize %w, %t {axis = 1 : i64} : (tensor<8x16xi8>, tensor<16xf32>) -> tensor<8x16xf32>
    %2 = graph.matmul %0, %1 : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    ```
    becomes
    ```mlir
    %2 = graph.matmul %x0, %w0 : (tensor<4x8xi32>, tensor<8x16xi32>) -> tensor<4x16xi32>
    %3 = graph.cast %2 : (tensor<4x16xi32>) -> tensor<4x16xf32>
    %4 = graph.binary mul %3, %st : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    ```
    where `%x0` and `%w0` are what is left of the numbers without their zero points.
  }];
}

def ScaleProductsPass : Pass<"graph-scale-products", "::mlir::func::FuncOp"> {
  let summary = "Scales of 8-bit floats behind their products";
  let description = [{
    Requires inferred shapes; run with `--precision fp8` only. A product or convolution of tensors that
    were dequantized from `f8E4M3FN` or `f8E5M2` becomes the product of these in f32 times the scales: one
    for all, or one for each row of the left operand, column of the right one, or filter. Zero points
    have to be 0. What has scales along what is added up, or in blocks, stays as it is.

    ```mlir
    %0 = graph.dequantize %x, %s {axis = 1 : i64} : (tensor<4x8xf8E4M3FN>, tensor<f32>) -> tensor<4x8xf32>
    %1 = graph.dequantize %w, %t {axis = 1 : i64} : (tensor<8x16xf8E4M3FN>, tensor<16xf32>) -> tensor<8x16xf32>
    %2 = graph.matmul %0, %1 : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    ```
    becomes
    ```mlir
    %2 = graph.matmul %x32, %w32 : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    %3 = graph.binary mul %2, %s : (tensor<4x16xf32>, tensor<f32>) -> tensor<4x16xf32>
    %4 = graph.binary mul %3, %t : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    ```
    where `%x32` and `%w32` are casts of `%x` and `%w`.
  }];
}

def DropSubnormalsPass : Pass<"graph-drop-subnormals", "::mlir::func::FuncOp"> {
  let summary = "Zero subnormal weights beside larger ones";
  let description = [{
    Requires convolutions with channels first. A constant f32 weight below 2^-126 of a convolution or
    the right of a matrix product becomes zero where its filter (its column) has one of at least
    2^-101: processors are slow with such numbers, and rounding changes the result by more. Where the
    input is not known to be finite (a sigmoid, or clipped), it becomes 2^-126 with its sign.

    ```mlir
    %w = graph.constant dense<[[1.0], [1.0e-40]]> : tensor<2x1xf32>
    %0 = graph.unary sigmoid %x : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %1 = graph.matmul %0, %w : (tensor<4x2xf32>, tensor<2x1xf32>) -> tensor<4x1xf32>
    ```
    becomes
    ```mlir
    %w = graph.constant dense<[[1.0], [0.0]]> : tensor<2x1xf32>
    %0 = graph.matmul %x, %w : (tensor<4x2xf32>, tensor<2x1xf32>) -> tensor<4x1xf32>
    ```
  }];
}

def NarrowProductsPass : Pass<"graph-narrow-products", "::mlir::func::FuncOp"> {
  let summary = "Operands of products in as few bits as their values need";
  let description = [{
    Requires inferred shapes and evaluated constants. The operands of an i32 product become i16 where
    all their values fit (differences of 8-bit numbers do), constants i8 where they fit; results stay
    the same. With `bf16`, products of f32 with constant weights round their operands to bf16 and add
    up in f32; 3x3 convolutions of stride 1 and those of few channels stay as they are.

    ```mlir
    %0 = graph.cast %x : (tensor<4x8xui8>) -> tensor<4x8xi32>
    %1 = graph.binary sub %0, %zero : (tensor<4x8xi32>, tensor<i32>) -> tensor<4x8xi32>
    %2 = graph.matmul %1, %w : (tensor<4x8xi32>, tensor<8x16xi32>) -> tensor<4x16xi32>
    ```
    becomes
    ```mlir
    %2 = graph.cast %1 : (tensor<4x8xi32>) -> tensor<4x8xi16>
    %3 = graph.matmul %2, %w8 : (tensor<4x8xi16>, tensor<8x16xi8>) -> tensor<4x16xi32>
    ```
  }];
  let options = [Option<"bf16", "bf16", "bool", "false",
                        "Round the operands of f32 products with constant weights to bf16">];
}

def ChannelsLastPass : Pass<"graph-channels-last", "::mlir::func::FuncOp"> {
  let summary = "Run convolutions with channels last, with the fewest transposes around";
  let description = [{
    Requires inferred shapes and explicit pads. Every convolution in one or two spatial dimensions
    with constant weights takes and gives channels last; its weights become
    [kernel..., channels / group, filters]. Operations that work in either layout follow where that
    saves transposes: the assignment is a minimum cut over the sizes of what would be transposed.
    So do convolutions whose kernel is one pixel; where they keep channels first, they become
    products of weights and image.

    ```mlir
    %0 = graph.conv %x, %w {...} : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<1x4x8x8xf32>
    %1 = graph.unary relu %0 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
    ```
    becomes
    ```mlir
    %0 = graph.transpose %x {perm = array<i64: 0, 2, 3, 1>} : ... -> tensor<1x8x8x3xf32>
    %1 = graph.conv %0, %w2 {channels_last = true, ...}
        : (tensor<1x8x8x3xf32>, tensor<3x3x3x4xf32>) -> tensor<1x8x8x4xf32>
    %2 = graph.unary relu %1 : (tensor<1x8x8x4xf32>) -> tensor<1x8x8x4xf32>
    %3 = graph.transpose %2 {perm = array<i64: 0, 3, 1, 2>} : ... -> tensor<1x4x8x8xf32>
    ```
  }];
}

def RecomposePass : Pass<"graph-recompose", "::mlir::func::FuncOp"> {
  let summary = "Recognise layer normalization, GELU, softmax and attention";
  let description = [{
    Requires inferred shapes. Puts back together what exporters write as primitive nodes, in the
    spellings that occur: layer and root-mean-square normalization (PyTorch's and TensorFlow's
    forms), GELU (erf and tanh), softmax and its logarithm, and attention with its scale and mask.

    ```mlir
    %0 = graph.binary div %x, %sqrt2 : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    %1 = graph.unary erf %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %2 = graph.binary add %1, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    %3 = graph.binary mul %x, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %4 = graph.binary mul %3, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    ```
    becomes
    ```mlir
    %4 = graph.unary gelu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
}

def EvaluateConstantsPass : Pass<"graph-evaluate-constants", "::mlir::func::FuncOp"> {
  let summary = "Replace subgraphs of constants by their values, by compiling and running them";
  let description = [{
    Each value that is computed from constants alone and used by something that is not becomes a
    function of its own in one module; an evaluator (given by the pipeline; without one the pass does
    nothing) compiles and runs the module. Values that would grow the data beyond `max-growth` stay.

    ```mlir
    %0 = graph.dequantize %weights, %scale {axis = 0 : i64} : (tensor<64x64xi8>, tensor<64xf32>) -> tensor<64x64xf32>
    %1 = graph.matmul %x, %0 : (tensor<4x64xf32>, tensor<64x64xf32>) -> tensor<4x64xf32>
    ```
    becomes
    ```mlir
    %0 = graph.constant #graph.weight<...> : tensor<64x64xf32>
    %1 = graph.matmul %x, %0 : (tensor<4x64xf32>, tensor<64x64xf32>) -> tensor<4x64xf32>
    ```
  }];
  let options = [Option<"maxGrowth", "max-growth", "int64_t", "1048576",
                        "Bytes that a value may take above the constants it is computed from">];
}

#endif
