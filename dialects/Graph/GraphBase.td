// The graph dialect: ONNX semantics, independent of opset versions and of targets.
#ifndef LATHE_GRAPH_BASE
#define LATHE_GRAPH_BASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Graph/ShapeInference.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::lathe::graph";
  let summary = "a trained model: few orthogonal operations with the semantics of ONNX";
  let description = [{
    Values are tensors whose element types follow the model: signed and boolean types are signless
    (`i8`, `i64`, `i1`), unsigned ones are `ui8` .. `ui64`. Unknown dimensions are `?`. Binary
    operations and `select` broadcast as ONNX (NumPy) does. Axes are normalised to be non-negative
    wherever the rank is known on import.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    /// The bytes of weights that `#graph.weight` attributes refer to.
    class WeightStore &getWeights() { return *weights; }
  private:
    std::shared_ptr<class WeightStore> weights;
  public:
  }];
}

class Graph_Op<string mnemonic, list<Trait> traits = []>
    : Op<Graph_Dialect, mnemonic,
         !listconcat(traits, [Pure, DeclareOpInterfaceMethods<Graph_ShapeInferenceInterface>])> {
  let hasVerifier = 1;
}

class Graph_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Graph_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Graph_Type<string name, string typeMnemonic> : TypeDef<Graph_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Graph_StringType : Graph_Type<"String", "string"> {
  let summary = "element type of a tensor of byte strings";
  let description = [{
    In memory an element is a `lathe_string`: the address of its bytes and how many they are. Kernels
    move it like a number of 16 bytes. Constants are dense attributes of strings.
  }];
}

// A tensor of a model, ranked or not.
def Graph_Tensor : AnyTypeOf<[AnyTensor]>;

def Graph_Sequence : Graph_Type<"Sequence", "sequence"> {
  let summary = "a list of values of one type";
  let assemblyFormat = "`<` $element `>`";
  let parameters = (ins "::mlir::Type":$element);
}
def Graph_Optional : Graph_Type<"Optional", "optional"> {
  let summary = "a value of a type, or nothing";
  let assemblyFormat = "`<` $element `>`";
  let parameters = (ins "::mlir::Type":$element);
}

// Single numbers or strings by key: `tuple<KEY, VALUE>` of element types (see Map.h).
def Graph_Map : Type<CPred<"::llvm::isa<::mlir::TupleType>($_self)">, "map">;

// What control flow carries and returns.
def Graph_Value : AnyTypeOf<[AnyTensor, Graph_Sequence, Graph_Optional, Graph_Map]>;
def Graph_IntTensor : TensorOf<[AnyInteger]>;
def Graph_I64Tensor : TensorOf<[I64]>;
def Graph_BoolTensor : TensorOf<[I1]>;
def Graph_StringTensor : TensorOf<[Graph_StringType]>;

def Graph_WeightAttr : Graph_Attr<"Weight", "weight", [TypedAttrInterface]> {
  let summary = "constant data kept outside the IR";
  let description = [{
    `length` bytes at `offset` of the store entry `file`, row-major, little endian, in the layout
    of `type` (booleans one byte each, 4-bit types packed low nibble first). `hash` is XXH3-64 of the
    bytes, so that equal weights are one.
  }];
  let parameters = (ins StringRefParameter<>:$file, "uint64_t":$offset, "uint64_t":$length,
                        "uint64_t":$hash, AttributeSelfTypeParameter<"">:$type);
  let assemblyFormat = "`<` $file `,` $offset `,` $length `,` $hash `>`";
}

#endif
