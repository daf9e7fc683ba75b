// Convolutions.
#ifndef LATHE_GRAPH_CONV
#define LATHE_GRAPH_CONV

include "dialects/Graph/Elementwise.td"

def Graph_AutoPad : Graph_Enum<"AutoPad", "how pads are found",
  ["none", "same_upper", "same_lower", "valid"]>;
def Graph_AutoPadAttr : EnumAttr<Graph_Dialect, Graph_AutoPad, "auto_pad">;

def Graph_ConvOp : Graph_Op<"conv"> {
  let summary = "convolution of any spatial rank";
  let description = [{
    `channels_last` false: input [N,C,spatial...], weight [M,C/group,kernel...], result
    [N,M,spatial...]. True: input [N,spatial...,C], weight [kernel...,C/group,M], result
    [N,spatial...,M]. `pads` holds all begins, then all ends; it is all zero unless `auto_pad` is none.
  }];
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$weight, Optional<Graph_Tensor>:$bias,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations,
    I64Attr:$group, Graph_AutoPadAttr:$auto_pad,
    DefaultValuedAttr<BoolAttr, "false">:$channels_last);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $weight (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
  let extraClassDeclaration = [{
    /// Whether every channel is convolved by itself, with channels first, along rows that fill vectors
    /// as they lie in memory: no stride along them, and a width that is known and close to a multiple
    /// of 16 elements.
    bool isDepthwiseAlongRows();
  }];
}

def Graph_ConvTransposeOp : Graph_Op<"conv_transpose"> {
  let summary = "transposed convolution";
  let description = [{
    Weight [C,M/group,kernel...], always channels first. `output_shape` (spatial) overrides pads, which are then
    split by `auto_pad`.
  }];
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$weight, Optional<Graph_Tensor>:$bias,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations,
    I64Attr:$group, Graph_AutoPadAttr:$auto_pad, DenseI64ArrayAttr:$output_padding,
    OptionalAttr<DenseI64ArrayAttr>:$output_shape);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $weight (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
}

def Graph_ColumnsToImageOp : Graph_Op<"columns_to_image"> {
  let summary = "sum of the blocks of an image at their places (ONNX Col2Im)";
  let description = [{
    Input [N, C * block elements, blocks], result [N, C, image...]; `image` and `block` hold one size
    per spatial dimension, of which the attributes have one as well (`pads`: all begins, then all ends).
  }];
  let arguments = (ins Graph_Tensor:$input, Graph_I64Tensor:$image, Graph_I64Tensor:$block,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $image `,` $block attr-dict `:` functional-type(operands, results)";
}

#endif
