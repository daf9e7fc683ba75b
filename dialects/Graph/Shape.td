// Operations that move data or compute with shapes.
#ifndef LATHE_GRAPH_SHAPE
#define LATHE_GRAPH_SHAPE

include "dialects/Graph/Elementwise.td"

def Graph_ReshapeOp : Graph_Op<"reshape"> {
  let summary = "same data under another shape (ONNX Reshape)";
  let description = [{
    In `shape`, -1 (at most once) is computed; 0 copies the input's dimension unless `allow_zero`.
  }];
  let arguments = (ins Graph_Tensor:$data, Graph_I64Tensor:$shape,
                       DefaultValuedAttr<BoolAttr, "false">:$allow_zero);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $shape attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_FlattenOp : Graph_Op<"flatten"> {
  let summary = "collapse to two dimensions: those before `axis` and those from it";
  let arguments = (ins Graph_Tensor:$data, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_SqueezeOp : Graph_Op<"squeeze"> {
  let summary = "remove dimensions of size 1; all of them where `axes` is absent";
  let arguments = (ins Graph_Tensor:$data, OptionalAttr<DenseI64ArrayAttr>:$axes);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_UnsqueezeOp : Graph_Op<"unsqueeze"> {
  let summary = "insert dimensions of size 1; `axes` are positions in the result, sorted";
  let arguments = (ins Graph_Tensor:$data, DenseI64ArrayAttr:$axes);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_TransposeOp : Graph_Op<"transpose"> {
  let summary = "permute dimensions: result dimension i is input dimension perm[i]";
  let arguments = (ins Graph_Tensor:$data, DenseI64ArrayAttr:$perm);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_ExpandOp : Graph_Op<"expand"> {
  let summary = "broadcast against `shape` in both directions (ONNX Expand)";
  let arguments = (ins Graph_Tensor:$data, Graph_I64Tensor:$shape);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $shape attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Graph_RequireShapeOp : Graph_Op<"require_shape"> {
  let summary = "the same tensor, whose sizes must be those of `shape`";
  let description = [{
    What is only known when running is checked there, and counts as known from here on. A constant
    -1 stands for any size.
  }];
  let arguments = (ins Graph_Tensor:$data, Graph_I64Tensor:$shape);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $shape attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Graph_RequireRangeOp : Graph_Op<"require_range"> {
  let summary = "the same integers, each from 0 to the one element of `most`, if that is given";
  let description = [{
    Another ends the run, with `what` as the beginning of its error.
  }];
  let arguments = (ins Graph_Tensor:$data, Optional<Graph_I64Tensor>:$most, StrAttr:$what);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data (`,` $most^)? attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Graph_ConcatOp : Graph_Op<"concat"> {
  let summary = "join along `axis`";
  let arguments = (ins Variadic<Graph_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_SplitOp : Graph_Op<"split"> {
  let summary = "cut along `axis` into the given sizes, or evenly (the last may be smaller)";
  let arguments = (ins Graph_Tensor:$data, Optional<Graph_I64Tensor>:$sizes, I64Attr:$axis);
  let results = (outs Variadic<Graph_Tensor>:$results);
  let assemblyFormat = "$data (`,` $sizes^)? attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_SliceOp : Graph_Op<"slice", [AttrSizedOperandSegments]> {
  let summary = "sub-tensor from starts to ends by steps on axes (ONNX Slice, clamped)";
  let arguments = (ins Graph_Tensor:$data, Graph_I64Tensor:$starts, Graph_I64Tensor:$ends,
                       Optional<Graph_I64Tensor>:$axes, Optional<Graph_I64Tensor>:$steps);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $data `from` $starts `to` $ends (`axes` $axes^)? (`steps` $steps^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_GatherOp : Graph_Op<"gather"> {
  let summary = "take slices of `data` along `axis` at `indices`; negative ones count from the end";
  let arguments = (ins Graph_Tensor:$data, Graph_IntTensor:$indices, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
}

def Graph_GatherElementsOp : Graph_Op<"gather_elements"> {
  let summary = "take single elements of `data` along `axis` (ONNX GatherElements)";
  let arguments = (ins Graph_Tensor:$data, Graph_IntTensor:$indices, I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
}

def Graph_GatherNDOp : Graph_Op<"gather_nd"> {
  let summary = "take slices addressed by index tuples (ONNX GatherND)";
  let arguments = (ins Graph_Tensor:$data, Graph_IntTensor:$indices, I64Attr:$batch_dims);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $indices attr-dict `:` functional-type(operands, results)";
}

def Graph_ScatterReduction : Graph_Enum<"ScatterReduction", "how scattered values combine",
  ["none", "add", "mul", "max", "min"]>;
def Graph_ScatterReductionAttr
    : EnumAttr<Graph_Dialect, Graph_ScatterReduction, "scatter_reduction">;

def Graph_ScatterElementsOp : Graph_Op<"scatter_elements"> {
  let summary = "copy of `data` with single elements replaced along `axis` (ONNX ScatterElements)";
  let arguments = (ins Graph_Tensor:$data, Graph_IntTensor:$indices, Graph_Tensor:$updates,
                       I64Attr:$axis, Graph_ScatterReductionAttr:$reduction);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
}

def Graph_ScatterNDOp : Graph_Op<"scatter_nd"> {
  let summary = "copy of `data` with slices replaced at index tuples (ONNX ScatterND)";
  let arguments = (ins Graph_Tensor:$data, Graph_IntTensor:$indices, Graph_Tensor:$updates,
                       Graph_ScatterReductionAttr:$reduction);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)";
}

def Graph_PadMode : Graph_Enum<"PadMode", "what fills the border",
  ["constant", "edge", "reflect", "wrap"]>;
def Graph_PadModeAttr : EnumAttr<Graph_Dialect, Graph_PadMode, "pad_mode">;

def Graph_PadOp : Graph_Op<"pad", [AttrSizedOperandSegments]> {
  let summary = "grow (or, with negative pads, crop) every dimension (ONNX Pad)";
  let description = "`pads` holds all begins, then all ends, for `axes` (default: all dimensions).";
  let arguments = (ins Graph_Tensor:$data, Graph_I64Tensor:$pads, Optional<Graph_Tensor>:$value,
                       Optional<Graph_I64Tensor>:$axes, Graph_PadModeAttr:$mode);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $data `by` $pads (`value` $value^)? (`axes` $axes^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def Graph_TileOp : Graph_Op<"tile"> {
  let summary = "repeat along every dimension";
  let arguments = (ins Graph_Tensor:$data, Graph_I64Tensor:$repeats);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $repeats attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Graph_ShapeOp : Graph_Op<"shape"> {
  let summary = "dimensions [start, end) of the input as a 1-D `i64` tensor";
  let arguments = (ins Graph_Tensor:$data, DefaultValuedAttr<I64Attr, "0">:$start,
                       OptionalAttr<I64Attr>:$end);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_SizeOp : Graph_Op<"size"> {
  let summary = "number of elements as a scalar `i64` tensor";
  let arguments = (ins Graph_Tensor:$data);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}

def Graph_FullOp : Graph_Op<"full"> {
  let summary = "tensor of a given shape filled with one value (ONNX ConstantOfShape)";
  let arguments = (ins Graph_I64Tensor:$shape, TypedAttrInterface:$value);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$shape `,` $value attr-dict `:` functional-type(operands, results)";
}

def Graph_RangeOp : Graph_Op<"range"> {
  let summary = "start, start + delta, ... before limit (scalars)";
  let arguments = (ins Graph_Tensor:$start, Graph_Tensor:$limit, Graph_Tensor:$delta);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$start `,` $limit `,` $delta attr-dict `:` functional-type(operands, results)";
}

def Graph_OneHotOp : Graph_Op<"one_hot"> {
  let summary = "`values` = [off, on] spread at `indices` along a new dimension `axis`";
  let arguments = (ins Graph_Tensor:$indices, Graph_Tensor:$depth, Graph_Tensor:$values,
                       I64Attr:$axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$indices `,` $depth `,` $values attr-dict `:` functional-type(operands, results)";
}

def Graph_TriluOp : Graph_Op<"trilu"> {
  let summary = "keep the upper or lower triangle of the last two dimensions";
  let arguments = (ins Graph_Tensor:$data, Optional<Graph_I64Tensor>:$k, BoolAttr:$upper);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data (`,` $k^)? attr-dict `:` functional-type(operands, results)";
}

def Graph_DepthToSpaceOp : Graph_Op<"depth_to_space"> {
  let summary = "move blocks of channels into space; `column_row`: CRD order, else DCR";
  let arguments = (ins Graph_Tensor:$data, I64Attr:$block, BoolAttr:$column_row);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}

def Graph_SpaceToDepthOp : Graph_Op<"space_to_depth"> {
  let summary = "move blocks of space into channels";
  let arguments = (ins Graph_Tensor:$data, I64Attr:$block);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}

def Graph_NonZeroOp : Graph_Op<"non_zero"> {
  let summary = "indices of the elements that are not zero, as [rank, count]";
  let arguments = (ins Graph_Tensor:$data);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = "$data attr-dict `:` functional-type(operands, results)";
}

def Graph_ResizeMode : Graph_Enum<"ResizeMode", "interpolation", ["nearest", "linear", "cubic"]>;
def Graph_ResizeModeAttr : EnumAttr<Graph_Dialect, Graph_ResizeMode, "resize_mode">;
def Graph_ResizeCoordinates : Graph_Enum<"ResizeCoordinates", "output to input coordinates",
  ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
   "tf_half_pixel_for_nn", "tf_crop_and_resize"]>;
def Graph_ResizeCoordinatesAttr
    : EnumAttr<Graph_Dialect, Graph_ResizeCoordinates, "resize_coordinates">;
def Graph_ResizeNearest : Graph_Enum<"ResizeNearest", "rounding of nearest",
  ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "ceil_if_smaller"]>;
def Graph_ResizeNearestAttr : EnumAttr<Graph_Dialect, Graph_ResizeNearest, "resize_nearest">;
def Graph_ResizePolicy : Graph_Enum<"ResizePolicy", "how sizes keep the aspect ratio",
  ["stretch", "not_larger", "not_smaller"]>;
def Graph_ResizePolicyAttr : EnumAttr<Graph_Dialect, Graph_ResizePolicy, "resize_policy">;

def Graph_ResizeOp : Graph_Op<"resize", [AttrSizedOperandSegments]> {
  let summary = "interpolate to another size (ONNX Resize, Upsample)";
  let description = [{
    Exactly one of `scales` (f32) and `sizes` is given, for `axes` or all dimensions. Rounding
    `ceil_if_smaller` is `ceil` along a dimension that shrinks, else `floor`.
  }];
  let arguments = (ins Graph_Tensor:$data, Optional<Graph_Tensor>:$roi,
    Optional<Graph_Tensor>:$scales, Optional<Graph_I64Tensor>:$sizes,
    OptionalAttr<DenseI64ArrayAttr>:$axes, Graph_ResizeModeAttr:$mode,
    Graph_ResizeCoordinatesAttr:$coordinates, Graph_ResizeNearestAttr:$nearest,
    Graph_ResizePolicyAttr:$policy, DefaultValuedAttr<BoolAttr, "false">:$antialias,
    DefaultValuedAttr<BoolAttr, "false">:$exclude_outside,
    DefaultValuedAttr<F32Attr, "-0.75f">:$cubic_coefficient,
    DefaultValuedAttr<F32Attr, "0.0f">:$extrapolation);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = [{
    $data (`roi` $roi^)? (`scales` $scales^)? (`sizes` $sizes^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

#endif
