// Widening of 8-bit floats to f32, which LLVM has no type for, by way of f16: e5m2 is the upper
// half of one; the bits of e4m3 but for its NaN are those of an f16 that is 2^-8 of it, subnormals
// included. Apache-2.0 WITH LLVM-exception
#include "LowerMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace lathe;

namespace {
struct ExpandExtension : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::ExtFOp op, PatternRewriter &rewriter) const override {
    Type given = op.getIn().getType(), element = getElementTypeOrSelf(given);
    if (!isa<Float8E4M3FNType, Float8E5M2Type>(element) ||
        !getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not from a float of 8 bits to one of 32");
    Location loc = op.getLoc();
    auto of = [&](Type number) -> Type {
      auto shaped = dyn_cast<ShapedType>(given);
      return shaped ? Type(shaped.clone(number)) : number;
    };
    Type i16 = of(rewriter.getI16Type()), f16 = of(rewriter.getF16Type()), f32 = op.getType();
    auto constant = [&](Type type, TypedAttr number) -> Value {
      auto shaped = dyn_cast<ShapedType>(type);
      auto value = shaped ? TypedAttr(DenseElementsAttr::get(shaped, Attribute(number))) : number;
      return arith::ConstantOp::create(rewriter, loc, value);
    };
    auto number = [&](int64_t value) { return constant(i16, rewriter.getI16IntegerAttr(value)); };
    Value byte = arith::BitcastOp::create(rewriter, loc, of(rewriter.getI8Type()), op.getIn());
    if (isa<Float8E5M2Type>(element)) {
      Value wide = arith::ExtUIOp::create(rewriter, loc, i16, byte);
      Value bits = arith::ShLIOp::create(rewriter, loc, wide, number(8));
      Value half = arith::BitcastOp::create(rewriter, loc, f16, bits);
      rewriter.replaceOpWithNewOp<arith::ExtFOp>(op, f32, half);
      return success();
    }
    Value wide = arith::ExtSIOp::create(rewriter, loc, i16, byte);
    Value magnitude = arith::AndIOp::create(rewriter, loc, wide, number(0x7f));
    Value sign = arith::AndIOp::create(rewriter, loc, wide, number(-0x8000));
    Value scaled = arith::ShLIOp::create(rewriter, loc, magnitude, number(7));
    Value isNaN =
        arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::eq, magnitude, number(0x7f));
    Value bits = arith::SelectOp::create(rewriter, loc, isNaN, number(0x7e00), scaled);
    bits = arith::OrIOp::create(rewriter, loc, bits, sign);
    Value half = arith::BitcastOp::create(rewriter, loc, f16, bits);
    Value single = arith::ExtFOp::create(rewriter, loc, f32, half);
    Value factor = constant(f32, rewriter.getF32FloatAttr(256));
    rewriter.replaceOpWithNewOp<arith::MulFOp>(op, single, factor);
    return success();
  }
};
} // namespace

LogicalResult lathe::codegen::expandFloat8(ModuleOp module) {
  auto widens = module.walk([](arith::ExtFOp op) {
    return getElementTypeOrSelf(op.getIn().getType()).getIntOrFloatBitWidth() == 8
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  if (!widens.wasInterrupted())
    return success();
  RewritePatternSet patterns(module.getContext());
  patterns.add<ExpandExtension>(module.getContext());
  return applyPatternsGreedily(module, std::move(patterns));
}
