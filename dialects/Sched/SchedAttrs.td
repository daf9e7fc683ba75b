// The sched dialect: what a schedule is told of a function; attributes only.
#ifndef LATHE_SCHED_ATTRS
#define LATHE_SCHED_ATTRS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Sched_Dialect : Dialect {
  let name = "sched";
  let cppNamespace = "::lathe::sched";
  let summary = "what a schedule is told of a function";
  let useDefaultAttributePrinterParser = 1;
}

def Sched_Composite : I32EnumAttr<"Composite", "an operation that a schedule may replace whole", [
  I32EnumAttrCase<"attention", 0>
]> {
  let cppNamespace = "::lathe::sched";
  let genSpecializedAttr = 0;
}

def Sched_KindAttr : AttrDef<Sched_Dialect, "Kind"> {
  let mnemonic = "kind";
  let summary = "what a private function computes";
  let description = [{
    Stands at a private function under the name `sched.kind`. Its body says the same in plain linalg;
    a schedule may replace a call of it whole, and else inlines it. The first arguments are the
    operands of the composite, in order; sizes and other values that the body needs follow.

    - `attention`: queries [B, H, S, D], keys [B, Hk, T, D], values [B, Hk, T, Dv] and, where there is
      one (`masked`), a mask that broadcasts to [B, H, S, T] and is added. `parameters`: `scale`, and
      `causal` where a query sees no key past its own place, counted from the end. Result: [B, H, S, Dv].

    ```mlir
    func.func private @attention_0(%q: ..., %k: ..., %v: ...) -> tensor<1x12x?x64xf32>
        attributes {sched.kind = #sched.kind<attention, {scale = 0.125}>}
    ```
  }];
  let parameters = (ins EnumParameter<Sched_Composite>:$composite,
                        OptionalParameter<"::mlir::DictionaryAttr">:$parameters);
  let assemblyFormat = "`<` $composite (`,` $parameters^)? `>`";
}

#endif
