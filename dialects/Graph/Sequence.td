// Sequences and optionals.
#ifndef LATHE_GRAPH_SEQUENCE
#define LATHE_GRAPH_SEQUENCE

include "dialects/Graph/GraphBase.td"

// Operations on sequences of which not even the length is known when compiling; others fold to
// operations on tensors.
class Graph_SequenceOp<string mnemonic, list<Trait> traits = []> : Graph_Op<mnemonic, traits>;

def Graph_SequenceConstructOp : Graph_SequenceOp<"sequence_construct"> {
  let summary = "a sequence of the given items";
  let arguments = (ins Variadic<Graph_Value>:$items);
  let results = (outs Graph_Sequence:$result);
  let assemblyFormat = "$items attr-dict `:` functional-type(operands, results)";
}

def Graph_SequenceInsertOp : Graph_SequenceOp<"sequence_insert"> {
  let summary = "the sequence with `item` before `position`, at the end without one";
  let description = "A negative position counts from the end; one beyond the ends ends the run.";
  let arguments = (ins Graph_Sequence:$sequence, Graph_Value:$item,
                       Optional<Graph_IntTensor>:$position);
  let results = (outs Graph_Sequence:$result);
  let assemblyFormat = [{
    $sequence `,` $item (`at` $position^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Graph_SequenceEraseOp : Graph_SequenceOp<"sequence_erase"> {
  let summary = "the sequence without the item at `position`, the last without one";
  let arguments = (ins Graph_Sequence:$sequence, Optional<Graph_IntTensor>:$position);
  let results = (outs Graph_Sequence:$result);
  let assemblyFormat = [{
    $sequence (`at` $position^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Graph_SequenceAtOp : Graph_SequenceOp<"sequence_at"> {
  let summary = "the item at `position`, which counts from the end when negative";
  let arguments = (ins Graph_Sequence:$sequence, Graph_IntTensor:$position);
  let results = (outs Graph_Value:$result);
  let assemblyFormat = "$sequence `at` $position attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_SequenceLengthOp : Graph_SequenceOp<"sequence_length"> {
  let summary = "the number of items";
  let arguments = (ins Graph_Sequence:$sequence);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = "$sequence attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_SplitToSequenceOp : Graph_SequenceOp<"split_to_sequence"> {
  let summary = "parts of a tensor along `axis`";
  let description = [{
    `split` is a scalar, the size of every part but the last, which may be smaller, or has the size of
    each part. Without it each part has size 1, and no such axis unless `keep_dims`.
  }];
  let arguments = (ins Graph_Tensor:$data, Optional<Graph_IntTensor>:$split, I64Attr:$axis,
                       BoolAttr:$keep_dims);
  let results = (outs Graph_Sequence:$result);
  let assemblyFormat = [{
    $data (`by` $split^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def Graph_ConcatFromSequenceOp : Graph_SequenceOp<"concat_from_sequence"> {
  let summary = "all items concatenated along `axis`, or stacked along a new one";
  let arguments = (ins Graph_Sequence:$sequence, I64Attr:$axis, BoolAttr:$new_axis);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$sequence attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_OptionalConstructOp : Graph_SequenceOp<"optional_construct"> {
  let summary = "an optional that holds `value`, or nothing";
  let arguments = (ins Optional<Graph_Value>:$value);
  let results = (outs Graph_Optional:$result);
  let assemblyFormat = "($value^)? attr-dict `:` functional-type(operands, results)";
}

def Graph_OptionalGetOp : Graph_SequenceOp<"optional_get"> {
  let summary = "the value of an optional; the run ends when it holds nothing";
  let arguments = (ins Graph_Optional:$optional);
  let results = (outs Graph_Value:$result);
  let assemblyFormat = "$optional attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_OptionalHasOp : Graph_SequenceOp<"optional_has"> {
  let summary = "whether an optional holds a value";
  let arguments = (ins Graph_Optional:$optional);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat = "$optional attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

#endif
