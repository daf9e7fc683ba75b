// Math on f32 and narrower types becomes inline code before optimization; see docs/Codegen.md.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Codegen/Host/Host.h"
#include "lib/Codegen/Host/builtins/Tables.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"
#include <numeric>
#include <optional>

using namespace llvm;

namespace lathe::codegen {
namespace {

struct MathFunction {
  StringRef name;          ///< In C, and of the builtin "lathe_NAME_f32".
  Intrinsic::ID intrinsic; ///< Or not_intrinsic.
  bool isInline = true;    ///< Else a call for each lane.
};

const MathFunction functions[] = {
    {"exp", Intrinsic::exp},
    {"exp2", Intrinsic::exp2},
    {"expm1", Intrinsic::not_intrinsic},
    {"log", Intrinsic::log},
    {"log2", Intrinsic::log2},
    {"log10", Intrinsic::log10},
    {"log1p", Intrinsic::not_intrinsic},
    {"sin", Intrinsic::sin},
    {"cos", Intrinsic::cos},
    {"tan", Intrinsic::tan},
    {"asin", Intrinsic::asin},
    {"acos", Intrinsic::acos},
    {"atan", Intrinsic::atan},
    {"sinh", Intrinsic::sinh},
    {"cosh", Intrinsic::cosh},
    {"tanh", Intrinsic::tanh},
    {"asinh", Intrinsic::not_intrinsic},
    {"acosh", Intrinsic::not_intrinsic},
    {"atanh", Intrinsic::not_intrinsic},
    {"erf", Intrinsic::not_intrinsic},
    {"logistic", Intrinsic::not_intrinsic}, // not of C: LowerMath makes it of 1 / (1 + exp(-x))
    {"pow", Intrinsic::pow},
    {"erfc", Intrinsic::not_intrinsic, false},
    {"cbrt", Intrinsic::not_intrinsic, false},
    {"atan2", Intrinsic::atan2, false},
    {"fmod", Intrinsic::not_intrinsic, false},
};

/// The function that a call computes, if it is one that is replaced here.
const MathFunction *functionOf(const CallInst &call) {
  const Function *callee = call.getCalledFunction();
  if (!callee || !callee->isDeclaration() || isa<ScalableVectorType>(call.getType()))
    return nullptr;
  StringRef name = callee->getName();
  bool isOurs = name.consume_front(mathPrefix);
  name = name.split('.').first;
  for (const MathFunction &function : functions) {
    if (isOurs && function.name == name)
      return &function;
    // f64 intrinsics stay: instruction selection calls the C function for each lane.
    if (callee->isIntrinsic() && callee->getIntrinsicID() == function.intrinsic &&
        !call.getType()->getScalarType()->isDoubleTy())
      return &function;
  }
  return nullptr;
}

/// Writes the code of one call.
class Expansion {
public:
  Expansion(CallInst &call, const MathFunction &function, bool hasAvx512)
      : call(call), function(function), module(*call.getModule()), builder(&call),
        hasAvx512(hasAvx512) {}

  void run() {
    SmallVector<Value *> args(call.args());
    Type *type = call.getType(), *element = type->getScalarType();
    bool isNarrow = element->isHalfTy() || element->isBFloatTy();
    if (isNarrow)
      for (Value *&arg : args)
        arg = builder.CreateFPExt(arg, type->getWithNewType(builder.getFloatTy()));
    Value *result = isa<FixedVectorType>(type) ? expandVector(args) : expandScalar(args);
    if (isNarrow)
      result = builder.CreateFPTrunc(result, type);
    result->takeName(&call);
    call.replaceAllUsesWith(result);
    call.eraseFromParent();
  }

private:
  Value *expandScalar(ArrayRef<Value *> args) {
    Type *type = args.front()->getType();
    bool isInline = function.isInline && type->isFloatTy();
    std::string name = isInline ? ("lathe_" + function.name + "_f32").str()
                                : (function.name + (type->isFloatTy() ? "f" : "")).str();
    SmallVector<Type *> types(args.size(), type);
    return builder.CreateCall(
        module.getOrInsertFunction(name, FunctionType::get(type, types, false)), args);
  }

  Value *expandVector(ArrayRef<Value *> args) {
    auto *type = cast<FixedVectorType>(args.front()->getType());
    unsigned lanes = type->getNumElements();
    if (!function.isInline || !type->getElementType()->isFloatTy() || lanes == 1)
      return expandLanes(args, type);
    Value *result = nullptr;
    for (unsigned at = 0; at < lanes;) {
      unsigned left = lanes - at;
      unsigned width = left >= 16 ? 16 : left >= 8 ? 8 : 4;
      Value *part = expandPart(args, at, width, lanes);
      if (width == lanes)
        return part;
      result = insertPart(result, part, at, type);
      at += std::min(width, left);
    }
    return result;
  }

  /// Each lane on its own.
  Value *expandLanes(ArrayRef<Value *> args, FixedVectorType *type) {
    Value *result = PoisonValue::get(type);
    for (unsigned lane = 0; lane < type->getNumElements(); ++lane) {
      SmallVector<Value *> scalars =
          map_to_vector(args, [&](Value *arg) { return builder.CreateExtractElement(arg, lane); });
      result = builder.CreateInsertElement(result, expandScalar(scalars), lane);
    }
    return result;
  }

  /// The builtin on `width` lanes from `at` on; where there are fewer, the last one is repeated.
  Value *expandPart(ArrayRef<Value *> args, unsigned at, unsigned width, unsigned lanes) {
    auto *type = FixedVectorType::get(builder.getFloatTy(), width);
    if (hasAvx512 && width == 16 && lanes == 16 && function.intrinsic == Intrinsic::exp)
      return expandExp(args.front(), type);
    SmallVector<Value *> pointers = {slot(type)};
    for (Value *arg : args) {
      if (width != lanes) {
        SmallVector<int> indices;
        for (unsigned i = 0; i < width; ++i)
          indices.push_back(std::min(at + i, lanes - 1));
        arg = builder.CreateShuffleVector(arg, indices);
      }
      pointers.push_back(slot(type));
      builder.CreateStore(arg, pointers.back());
    }
    SmallVector<Type *> types(pointers.size(), builder.getPtrTy());
    std::string name = ("lathe_" + function.name + "_v" + Twine(width) + "f32").str();
    builder.CreateCall(
        module.getOrInsertFunction(name, FunctionType::get(builder.getVoidTy(), types, false)),
        pointers);
    return builder.CreateLoad(type, pointers.front());
  }

  /// The builtin's exp, with the instruction of AVX-512 that multiplies by a power of two whatever
  /// the result: the same bits in half the steps.
  Value *expandExp(Value *x, FixedVectorType *type) {
    using namespace lathe::builtins;
    auto splat = [&](float value) { return ConstantFP::get(type, value); };
    auto multiplyAdd = [&](Value *a, Value *b, Value *c) {
      return builder.CreateIntrinsic(Intrinsic::fma, {type}, {a, b, c});
    };
    Value *isKept = builder.CreateFCmpUGE(x, splat(-104));
    x = builder.CreateSelect(builder.CreateFCmpOGT(x, splat(90)), splat(90), x);
    Value *k = builder.CreateUnaryIntrinsic(Intrinsic::roundeven,
                                            builder.CreateFMul(x, splat(log2EF32[0])));
    Value *rest = multiplyAdd(k, splat(-ln2F32[0]), x);
    rest = multiplyAdd(k, splat(-ln2F32[1]), rest);
    Value *sum = splat(std::end(expF32)[-1]);
    for (int i = int(std::size(expF32)) - 2; i >= 0; --i)
      sum = multiplyAdd(sum, rest, splat(expF32[i]));
    Value *part = multiplyAdd(builder.CreateFMul(rest, rest), sum, rest);
    Value *mask = builder.CreateBitCast(isKept, builder.getInt16Ty());
    return builder.CreateIntrinsic(Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                                   {builder.CreateFAdd(splat(1), part), k, splat(0), mask,
                                    builder.getInt32(4 /* the current rounding */)});
  }

  Value *insertPart(Value *whole, Value *part, unsigned at, FixedVectorType *type) {
    unsigned lanes = type->getNumElements();
    unsigned width = cast<FixedVectorType>(part->getType())->getNumElements();
    SmallVector<int> widen(lanes, PoisonMaskElem);
    for (unsigned i = 0; i < width && at + i < lanes; ++i)
      widen[at + i] = i;
    Value *wide = builder.CreateShuffleVector(part, widen);
    if (!whole)
      return wide;
    SmallVector<int> blend(lanes);
    std::iota(blend.begin(), blend.end(), 0);
    for (unsigned i = 0; i < width && at + i < lanes; ++i)
      blend[at + i] = lanes + at + i;
    return builder.CreateShuffleVector(whole, wide, blend);
  }

  Value *slot(Type *type) {
    IRBuilder<> entry(&*call.getFunction()->getEntryBlock().getFirstInsertionPt());
    return entry.CreateAlloca(type);
  }

  CallInst &call;
  const MathFunction &function;
  Module &module;
  IRBuilder<> builder;
  bool hasAvx512;
};

} // namespace

Error inlineMath(Module &module, bool hasAvx512) {
  SmallVector<std::pair<CallInst *, const MathFunction *>> calls;
  for (Function &function : module)
    for (BasicBlock &block : function)
      for (Instruction &inst : block)
        if (auto *call = dyn_cast<CallInst>(&inst))
          if (const MathFunction *known = functionOf(*call))
            calls.emplace_back(call, known);
  for (auto [call, function] : calls)
    Expansion(*call, *function, hasAvx512).run();
  return linkInlineBuiltins(module);
}

} // namespace lathe::codegen
