// Detection of objects: regions of images, and which of them to keep.
#ifndef LATHE_GRAPH_DETECTION
#define LATHE_GRAPH_DETECTION

include "dialects/Graph/GraphBase.td"

def Graph_NonMaxSuppressionOp : Graph_Op<"non_max_suppression", [AttrSizedOperandSegments]> {
  let summary = "boxes in the order of their scores without those that overlap a kept one too much";
  let description = [{
    boxes [B,N,4], scores [B,C,N], scalars `max_output` (none without it), `iou_threshold` (0),
    `score_threshold` (no lower limit); the result [kept,3] has batch, class and box. Boxes are two
    opposite corners, or with `center_point` centre and size. Of equal scores the first box comes
    first.
  }];
  let arguments = (ins Graph_Tensor:$boxes, Graph_Tensor:$scores,
    Optional<Graph_I64Tensor>:$max_output, Optional<Graph_Tensor>:$iou_threshold,
    Optional<Graph_Tensor>:$score_threshold, BoolAttr:$center_point);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = [{
    $boxes `,` $scores (`max` $max_output^)? (`iou` $iou_threshold^)? (`score` $score_threshold^)?
    attr-dict `:` functional-type(operands, results)
  }];
}

def Graph_RoiAlignOp : Graph_Op<"roi_align"> {
  let summary = "samples of regions of images, averaged (or the largest) per bin (ONNX RoiAlign)";
  let description = [{
    data [N,C,H,W], rois [R,4] as x1, y1, x2, y2, batch [R]; result [R,C,height,width].
    `sampling_ratio` 0: as many samples as a bin has pixels.
  }];
  let arguments = (ins Graph_Tensor:$data, Graph_Tensor:$rois, Graph_IntTensor:$batch,
    I64Attr:$height, I64Attr:$width, I64Attr:$sampling_ratio, F32Attr:$spatial_scale,
    BoolAttr:$half_pixel, BoolAttr:$largest);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $rois `,` $batch attr-dict `:` functional-type(operands, results)";
}

def Graph_MaxRoiPoolOp : Graph_Op<"max_roi_pool"> {
  let summary = "the largest pixels of the bins of regions (ONNX MaxRoiPool)";
  let description = "data [N,C,H,W], rois [R,5] as batch, x1, y1, x2, y2; result [R,C,height,width].";
  let arguments = (ins Graph_Tensor:$data, Graph_Tensor:$rois, I64Attr:$height, I64Attr:$width,
    F32Attr:$spatial_scale);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$data `,` $rois attr-dict `:` functional-type(operands, results)";
}

#endif
