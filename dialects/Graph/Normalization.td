// Normalizations.
#ifndef LATHE_GRAPH_NORMALIZATION
#define LATHE_GRAPH_NORMALIZATION

include "dialects/Graph/Elementwise.td"

def Graph_BatchNormOp : Graph_Op<"batch_norm"> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * scale + bias per channel (dimension 1)";
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$scale, Graph_Tensor:$bias,
                       Graph_Tensor:$mean, Graph_Tensor:$variance, F32Attr:$epsilon);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $scale `,` $bias `,` $mean `,` $variance attr-dict
    `:` functional-type(operands, results)
  }];
}

def Graph_LayerNormOp : Graph_Op<"layer_norm", [AttrSizedResultSegments]> {
  let summary = "normalize the dimensions from `axis` on, then scale and shift";
  let description = "`rms`: without subtracting the mean (RMSNormalization). Statistics are f32.";
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$scale, Optional<Graph_Tensor>:$bias,
                       I64Attr:$axis, F32Attr:$epsilon, DefaultValuedAttr<BoolAttr, "false">:$rms);
  let results = (outs Graph_Tensor:$result, Optional<Graph_Tensor>:$mean,
                      Optional<Graph_Tensor>:$inv_std_dev);
  let assemblyFormat = "$input `,` $scale (`,` $bias^)? attr-dict `:` functional-type(operands, results)";
}

def Graph_GroupNormOp : Graph_Op<"group_norm"> {
  let summary = "normalize over groups of channels; scale and bias per channel";
  let description = "`groups` 0: one group per channel (InstanceNormalization).";
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$scale, Graph_Tensor:$bias,
                       I64Attr:$groups, F32Attr:$epsilon);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $scale `,` $bias attr-dict `:` functional-type(operands, results)";
}

def Graph_SoftmaxOp : Graph_Op<"softmax"> {
  let summary = "exp(x - max) / sum of it over the dimensions [axis, axis_end); `log`: its logarithm";
  let description = [{
    `axis_end` is axis + 1 but for the old (opset < 13) meaning, which normalizes all dimensions from
    `axis` on.
  }];
  let arguments = (ins Graph_Tensor:$input, I64Attr:$axis, I64Attr:$axis_end,
                       DefaultValuedAttr<BoolAttr, "false">:$log);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def Graph_LrnOp : Graph_Op<"lrn"> {
  let summary = "local response normalization across channels";
  let arguments = (ins Graph_Tensor:$input, I64Attr:$size, F32Attr:$alpha, F32Attr:$beta,
                       F32Attr:$bias);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def Graph_LpNormOp : Graph_Op<"lp_norm"> {
  let summary = "divide by the p-norm along `axis`";
  let arguments = (ins Graph_Tensor:$input, I64Attr:$axis, I64Attr:$p);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

#endif
