// Strings, vocabularies and n-grams.
#ifndef LATHE_GRAPH_TEXT
#define LATHE_GRAPH_TEXT

include "dialects/Graph/Elementwise.td"

def Graph_FindOp : Graph_Op<"find"> {
  let summary = "where each element of `input` is in `keys`; the number of keys when it is not there";
  let description = [{
    `keys` are 1-D, sorted and different. Numbers compare by value, NaN is the last; strings compare byte by byte.
  }];
  let arguments = (ins Graph_Tensor:$input, Graph_Tensor:$keys);
  let results = (outs Graph_I64Tensor:$result);
  let assemblyFormat = "$input `,` $keys attr-dict `:` functional-type(operands, results)";
}

def Graph_CountNGramsOp : Graph_Op<"count_ngrams"> {
  let summary = "how often each of `grams` is in the rows of `input`";
  let description = [{
    A gram is a row of `grams` [count, longest], of which `lengths` [count] tells how many elements
    belong to it. Its elements may lie up to `max_skip` + 1 apart in the input, all equally far.
    The result adds a dimension of `count` in place of the input's last.
  }];
  let arguments = (ins Graph_I64Tensor:$input, Graph_I64Tensor:$grams, Graph_I64Tensor:$lengths,
                       I64Attr:$max_skip);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input `,` $grams `,` $lengths attr-dict `:` functional-type(operands, results)";
}

def Graph_LetterCase : Graph_Enum<"LetterCase", "what happens to letters", ["keep", "lower", "upper"]>;
def Graph_LetterCaseAttr : EnumAttr<Graph_Dialect, Graph_LetterCase, "letter_case">;

def Graph_StringNormalizeOp : Graph_Op<"string_normalize"> {
  let summary = "drop the words in `stop_words`, change the case of the others";
  let description = [{
    The input is [count] or [1, count]; where nothing is left, the result is one empty string.
    Without `case_sensitive`, words are compared in lower case. `stop_words` are 1-D and sorted.
  }];
  let arguments = (ins Graph_LetterCaseAttr:$letter_case, Graph_StringTensor:$input,
                       Graph_StringTensor:$stop_words, BoolAttr:$case_sensitive);
  let results = (outs Graph_StringTensor:$result);
  let assemblyFormat = [{
    `` $letter_case $input `,` $stop_words attr-dict `:` functional-type(operands, results)
  }];
}

def Graph_StringSplitOp : Graph_Op<"string_split"> {
  let summary = "cut every string at `delimiter`, and count the pieces";
  let description = [{
    An empty `delimiter` cuts at runs of white space and drops empty pieces at both ends. The
    pieces are padded with empty strings to the largest count. `max_splits` < 0: no limit.
  }];
  let arguments = (ins Graph_StringTensor:$input, StrAttr:$delimiter, I64Attr:$max_splits);
  let results = (outs Graph_StringTensor:$pieces, Graph_I64Tensor:$counts);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

def Graph_StringMatchOp : Graph_Op<"string_match"> {
  let summary = "whether a finite automaton accepts the bytes of each string";
  let description = [{
    `transitions` [states, 256] holds the next state; the walk begins in state 0, and states from
    `accepting` on accept.
  }];
  let arguments = (ins Graph_StringTensor:$input, Graph_IntTensor:$transitions, I64Attr:$accepting);
  let results = (outs Graph_BoolTensor:$result);
  let assemblyFormat = "$input `,` $transitions attr-dict `:` functional-type(operands, results)";
}

#endif
