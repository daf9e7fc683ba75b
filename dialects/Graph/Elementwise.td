// Elementwise operations.
#ifndef LATHE_GRAPH_ELEMENTWISE
#define LATHE_GRAPH_ELEMENTWISE

include "dialects/Graph/GraphBase.td"

class Graph_Enum<string name, string summary, list<string> cases>
    : I32EnumAttr<name, summary,
        !foreach(i, !range(!size(cases)), I32EnumAttrCase<cases[i], i>)> {
  let cppNamespace = "::lathe::graph";
  let genSpecializedAttr = 0;
}

def Graph_UnaryKind : Graph_Enum<"UnaryKind", "elementwise function of one operand", [
  "abs", "neg", "sign", "ceil", "floor", "round", "sqrt", "reciprocal", "exp", "log", "sin", "cos",
  "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf",
  "sigmoid", "relu", "softplus", "logical_not", "bitwise_not", "is_nan", "gelu", "gelu_tanh"]>;
def Graph_UnaryKindAttr : EnumAttr<Graph_Dialect, Graph_UnaryKind, "unary_kind">;

def Graph_BinaryKind : Graph_Enum<"BinaryKind", "elementwise function of two operands", [
  "add", "sub", "mul", "div", "mod", "fmod", "pow", "min", "max", "logical_and", "logical_or",
  "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "shift_left", "shift_right", "equal",
  "less", "less_equal", "greater", "greater_equal"]>;
def Graph_BinaryKindAttr : EnumAttr<Graph_Dialect, Graph_BinaryKind, "binary_kind">;

def Graph_UnaryOp : Graph_Op<"unary"> {
  let summary = "elementwise function of one operand";
  let description = [{
    `round` rounds halves to even; `gelu` uses erf, `gelu_tanh` the tanh approximation; `logical_not`
    and `is_nan` give `i1`.
  }];
  let arguments = (ins Graph_UnaryKindAttr:$kind, Graph_Tensor:$input);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "`` $kind $input attr-dict `:` functional-type(operands, results)";
  let hasCanonicalizer = 1;
}

def Graph_BinaryOp : Graph_Op<"binary"> {
  let summary = "elementwise function of two operands, broadcast against each other";
  let description = [{
    `mod` has the sign of the divisor, `fmod` that of the dividend; integer `div` truncates; min and max
    give NaN when either operand is NaN; comparisons give `i1`. `pow` may have operands of two
    types; its result has that of the first. Operands of all others agree in type.
  }];
  let arguments = (ins Graph_BinaryKindAttr:$kind, Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "`` $kind $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_SelectOp : Graph_Op<"select"> {
  let summary = "elementwise choice (ONNX Where), all three operands broadcast";
  let arguments = (ins Graph_BoolTensor:$condition, Graph_Tensor:$lhs, Graph_Tensor:$rhs);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$condition `,` $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Graph_CastRounding : Graph_Enum<"CastRounding", "how numbers become powers of two",
  ["up", "down", "nearest"]>;
def Graph_CastRoundingAttr : EnumAttr<Graph_Dialect, Graph_CastRounding, "cast_rounding">;

def Graph_CastOp : Graph_Op<"cast"> {
  let summary = "conversion to the result's element type";
  let description = [{
    As ONNX Cast: floats to integers truncate; to `i1` is `!= 0`; `saturate` holds for float8
    targets, `rounding` for `f8E8M0FNU`.
  }];
  let arguments = (ins Graph_Tensor:$input, DefaultValuedAttr<BoolAttr, "true">:$saturate,
    DefaultValuedAttr<Graph_CastRoundingAttr, "::lathe::graph::CastRounding::up">:$rounding);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_BitCastOp : Graph_Op<"bit_cast"> {
  let summary = "the same bits as another element type of the same width";
  let arguments = (ins Graph_Tensor:$input);
  let results = (outs Graph_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
}

#endif
