// Products of narrow numbers in pairs: x86 multiplies two i16 (or bf16) in each 32-bit lane by two
// others and adds both products to the lane's sum, in one instruction or two.
//
// The weights of a tile lie in pairs along the reduction loop, `[K / 2][32 lanes][2]`, one half of
// the last pair zero where K is odd; the other operand, contiguous along that loop, is read two
// elements at a time and broadcast. i8 weights are widened when they are loaded: memory holds what
// the model holds. Differences of 8-bit numbers cannot overflow a sum of two products, so integers
// are exact. bf16 without such an instruction is widened by shifts and multiplied in f32: the same
// roundings of the operands, and of the sums but for subnormal numbers, which vdpbf16ps flushes.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe::schedule;

/// The block argument that is widened to the sum's type; null for anything else.
static BlockArgument getWidened(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isa<arith::ExtSIOp, arith::ExtFOp>(op))
    return {};
  return dyn_cast<BlockArgument>(op->getOperand(0));
}

/// Whether the body of `stage` is accumulator + widened a * widened b.
static bool multipliesNarrow(const Stage &stage) {
  if (stage.inputs.size() != 2 || stage.outputs.size() != 1)
    return false;
  Type sum = stage.outputs[0].view.element;
  Block &body = *stage.body;
  Operation *add = body.getTerminator()->getOperand(0).getDefiningOp();
  if (!add ||
      !(sum.isInteger(32) ? isa<arith::AddIOp>(add) : sum.isF32() && isa<arith::AddFOp>(add)))
    return false;
  Value accumulator = body.getArgument(2);
  Value product = add->getOperand(0) == accumulator   ? add->getOperand(1)
                  : add->getOperand(1) == accumulator ? add->getOperand(0)
                                                      : Value();
  Operation *mul = product ? product.getDefiningOp() : nullptr;
  if (!mul || !isa<arith::MulIOp, arith::MulFOp>(mul))
    return false;
  BlockArgument a = getWidened(mul->getOperand(0)), b = getWidened(mul->getOperand(1));
  return a && b && a.getArgNumber() + b.getArgNumber() == 1;
}

std::optional<unsigned> lathe::schedule::choosePairLoop(const Stage &stage, unsigned weight,
                                                        const TileChoice &choice,
                                                        const TargetInfo &target) {
  if (target.dotI16.empty() || !multipliesNarrow(stage))
    return std::nullopt;
  const Access &weights = stage.inputs[weight], &other = stage.inputs[1 - weight];
  Type element = weights.view.element, factor = other.view.element;
  bool isFloat = element.isBF16() && factor.isBF16();
  bool isInteger = (element.isInteger(8) || element.isInteger(16)) && factor.isInteger(16);
  if ((!isFloat && !isInteger) || other.coefficients.empty() ||
      !other.coefficients[choice.vectorLoop].isZero())
    return std::nullopt;
  for (unsigned loop = stage.numLoops(); loop-- > 0;)
    if (stage.reduction[loop] && other.coefficients[loop].is(1) &&
        !weights.coefficients[loop].isZero() && stage.extents[loop].isStatic())
      return loop;
  return std::nullopt;
}

Value lathe::schedule::loadPair(Kernel &kernel, Value buffer, Value position, int64_t lanes,
                                bool single) {
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  Type i32 = builder.getI32Type();
  Value pair;
  if (single) {
    pair = memref::LoadOp::create(builder, loc, buffer, position);
    if (!pair.getType().isInteger())
      pair = arith::BitcastOp::create(builder, loc, builder.getI16Type(), pair);
    pair = arith::ExtUIOp::create(builder, loc, i32, pair);
  } else {
    pair = vector::LoadOp::create(builder, loc, VectorType::get({2}, element), buffer, position);
    pair = vector::BitCastOp::create(builder, loc, VectorType::get({1}, i32), pair);
    pair = vector::ExtractOp::create(builder, loc, pair, ArrayRef<int64_t>{0});
  }
  pair = vector::BroadcastOp::create(builder, loc, VectorType::get({lanes}, i32), pair);
  return vector::BitCastOp::create(builder, loc, VectorType::get({2 * lanes}, element), pair);
}

Value lathe::schedule::loadPairedWeights(Kernel &kernel, Value buffer, Value position,
                                         int64_t lanes) {
  OpBuilder &builder = kernel.builder;
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  Value weights = vector::LoadOp::create(builder, kernel.loc, VectorType::get({2 * lanes}, element),
                                         buffer, position);
  if (element.isInteger(8))
    weights = arith::ExtSIOp::create(builder, kernel.loc,
                                     VectorType::get({2 * lanes}, builder.getI16Type()), weights);
  return weights;
}

/// One half of each lane as f32: bf16 is the upper half of an f32.
static Value widenHalf(Kernel &kernel, Value pairs, int64_t lanes, bool upper) {
  OpBuilder &builder = kernel.builder;
  auto type = VectorType::get({lanes}, builder.getI32Type());
  auto splat = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(builder, kernel.loc, DenseElementsAttr::get(type, value));
  };
  Value bits = vector::BitCastOp::create(builder, kernel.loc, type, pairs);
  if (upper)
    bits = arith::AndIOp::create(builder, kernel.loc, bits, splat(int32_t(0xffff0000)));
  else
    bits = arith::ShLIOp::create(builder, kernel.loc, bits, splat(16));
  return arith::BitcastOp::create(builder, kernel.loc,
                                  VectorType::get({lanes}, builder.getF32Type()), bits);
}

Value lathe::schedule::emitPairProduct(Kernel &kernel, Value accumulator, Value weights, Value pair,
                                       const TargetInfo &target) {
  OpBuilder &builder = kernel.builder;
  auto type = cast<VectorType>(accumulator.getType());
  auto call = [&](StringRef intrinsic, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(builder, kernel.loc, type,
                                         builder.getStringAttr(intrinsic), operands)
        .getResult(0);
  };
  if (type.getElementType().isInteger())
    return arith::AddIOp::create(builder, kernel.loc, accumulator,
                                 call(target.dotI16, {weights, pair}));
  if (!target.dotBF16.empty())
    return call(target.dotBF16, {accumulator, weights, pair});
  int64_t lanes = type.getNumElements();
  for (bool upper : {true, false})
    accumulator =
        vector::FMAOp::create(builder, kernel.loc, widenHalf(kernel, weights, lanes, upper),
                              widenHalf(kernel, pair, lanes, upper), accumulator);
  return accumulator;
}
