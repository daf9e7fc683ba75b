// Products of a warpgroup in terms of LLVM: NVIDIA's wgmma (PTX ISA 9.0, "Asynchronous Warpgroup
// Level Matrix Multiply-Accumulate Instructions"). What has no intrinsic is assembly, in which the
// registers of the sums are operands and results of both the product and the wait for it, so that
// nobody takes them in between.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lib/Codegen/Host/LowerBlocks.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;

namespace {

/// Assembly that changes `sums` in place, then reads `operands`. In `text`, "{sums}" stands for the
/// registers of the former, and "{0}" for the first of the latter.
SmallVector<Value> emitAssembly(OpBuilder &builder, Location loc, StringRef text, ValueRange sums,
                                ValueRange operands) {
  SmallVector<Value> inputs;
  for (Value vector : sums)
    for (int64_t i = 0; i < cast<VectorType>(vector.getType()).getNumElements(); ++i)
      inputs.push_back(LLVM::ExtractElementOp::create(
          builder, loc, vector,
          LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(i))));
  size_t count = inputs.size();
  std::string registers, constraints;
  for (size_t i = 0; i < count; ++i) {
    registers += (i ? ", $" : "$") + std::to_string(i);
    constraints += "=f,";
  }
  for (size_t i = 0; i < count; ++i)
    constraints += std::to_string(i) + ",";
  std::string assembly = text.str();
  auto fill = [&](StringRef name, StringRef value) {
    if (size_t at = assembly.find(name); at != std::string::npos)
      assembly.replace(at, name.size(), value);
  };
  fill("{sums}", registers);
  for (auto [i, operand] : llvm::enumerate(operands)) {
    fill("{" + std::to_string(i) + "}", "$" + std::to_string(2 * count + i));
    constraints += operand.getType().isInteger(64) ? "l," : "r,";
    inputs.push_back(operand);
  }
  constraints += "~{memory}";
  Type element = builder.getF32Type();
  SmallVector<Type> result;
  if (count == 1)
    result = {element};
  else if (count > 1)
    result = {
        LLVM::LLVMStructType::getLiteral(builder.getContext(), SmallVector<Type>(count, element))};
  auto call = LLVM::InlineAsmOp::create(
      builder, loc, TypeRange(result), inputs, assembly, constraints, /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  SmallVector<Value> results;
  int64_t next = 0;
  for (Value vector : sums) {
    auto type = cast<VectorType>(vector.getType());
    Value made = LLVM::PoisonOp::create(builder, loc, type);
    for (int64_t i = 0; i < type.getNumElements(); ++i, ++next) {
      Value sum = count == 1
                      ? call.getRes()
                      : LLVM::ExtractValueOp::create(builder, loc, call.getRes(), next).getResult();
      made = LLVM::InsertElementOp::create(
          builder, loc, made, sum,
          LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(i)));
    }
    results.push_back(made);
  }
  return results;
}

/// rt.describe_matrix: the address in units of 16 bytes, of which there are 2^14, strides and the
/// number of the swizzle.
struct DescribeMatrixLowering : ConvertOpToLLVMPattern<rt::DescribeMatrixOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::DescribeMatrixOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type i64 = rewriter.getI64Type();
    auto constant = [&](uint64_t value) {
      return LLVM::ConstantOp::create(rewriter, loc, i64, rewriter.getI64IntegerAttr(value))
          .getResult();
    };
    Value place = getStridedElementPtr(rewriter, loc, cast<MemRefType>(op.getPart().getType()),
                                       adaptor.getPart(), adaptor.getAt());
    constexpr unsigned sharedSpace = 3;
    place = LLVM::AddrSpaceCastOp::create(
        rewriter, loc, LLVM::LLVMPointerType::get(op.getContext(), sharedSpace), place);
    Value address = LLVM::PtrToIntOp::create(rewriter, loc, i64, place);
    address = LLVM::AndOp::create(rewriter, loc, address, constant(0x3ffff));
    address = LLVM::LShrOp::create(rewriter, loc, address, constant(4));
    uint64_t swizzle = op.getSwizzle() == 128  ? 1
                       : op.getSwizzle() == 64 ? 2
                       : op.getSwizzle() == 32 ? 3
                                               : 0;
    uint64_t fixed = swizzle << 62 | op.getStride() / 16 << 32 | op.getLeading() / 16 << 16;
    rewriter.replaceOpWithNewOp<LLVM::OrOp>(op, address, constant(fixed));
    return success();
  }
};

struct MultiplySharedLowering : ConvertOpToLLVMPattern<rt::MultiplySharedOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::MultiplySharedOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t columns = 2 * cast<VectorType>(op.getSums().getType()).getNumElements();
    std::string type = op.getElement().isBF16() ? ".bf16" : ".f16";
    SmallVector<Value> operands;
    bool isInRegisters = isa<VectorType>(op.getLeft().getType());
    if (isInRegisters) {
      auto words = VectorType::get({4}, rewriter.getI32Type());
      Value pairs = LLVM::BitcastOp::create(rewriter, loc, words, adaptor.getLeft());
      for (int64_t i = 0; i < 4; ++i)
        operands.push_back(LLVM::ExtractElementOp::create(
            rewriter, loc, pairs,
            LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(i))));
    } else {
      operands.push_back(adaptor.getLeft());
    }
    operands.push_back(adaptor.getRight());
    // The sums are added to (p), operands are taken as they are (1, 1).
    std::string text = "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
                       "wgmma.mma_async.sync.aligned.m64n" +
                       std::to_string(columns) + "k16.f32" + type + type + " {{sums}}, " +
                       (isInRegisters ? "{{0}, {1}, {2}, {3}}, {4}" : "{0}, {1}") + ", p, 1, 1" +
                       (isInRegisters            ? ""
                        : op.getLeftTransposed() ? ", 1"
                                                 : ", 0") +
                       (op.getRightTransposed() ? ", 1;\n\t}" : ", 0;\n\t}");
    rewriter.replaceOp(op, emitAssembly(rewriter, loc, text, adaptor.getSums(), operands).front());
    return success();
  }
};

struct WaitProductsLowering : ConvertOpToLLVMPattern<rt::WaitProductsOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::WaitProductsOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    std::string text = "wgmma.wait_group.sync.aligned " + std::to_string(op.getGroups()) + ";";
    rewriter.replaceOp(op, emitAssembly(rewriter, op.getLoc(), text, adaptor.getSums(), {}));
    return success();
  }
};

/// An operation that is an intrinsic without operands.
template <typename Op> struct IntrinsicLowering : ConvertOpToLLVMPattern<Op> {
  IntrinsicLowering(const LLVMTypeConverter &converter, StringRef name)
      : ConvertOpToLLVMPattern<Op>(converter), name(name) {}
  LogicalResult matchAndRewrite(Op op, typename Op::Adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    LLVM::CallIntrinsicOp::create(rewriter, op.getLoc(), rewriter.getStringAttr(name),
                                  ValueRange{});
    rewriter.eraseOp(op);
    return success();
  }
  StringRef name;
};

} // namespace

void lathe::codegen::populateProductsToLLVM(const LLVMTypeConverter &converter,
                                            RewritePatternSet &patterns) {
  patterns.add<DescribeMatrixLowering, MultiplySharedLowering, WaitProductsLowering>(converter);
  patterns.add<IntrinsicLowering<rt::FenceProductsOp>>(converter,
                                                       "llvm.nvvm.wgmma.fence.sync.aligned");
  patterns.add<IntrinsicLowering<rt::CommitProductsOp>>(
      converter, "llvm.nvvm.wgmma.commit_group.sync.aligned");
  patterns.add<IntrinsicLowering<rt::FenceSharedOp>>(converter,
                                                     "llvm.nvvm.fence.proxy.async.shared_cta");
}
