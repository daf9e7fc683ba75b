// Copies of boxes of tensors, and barriers with phases, as NVIDIA has them since sm_90:
// cp.async.bulk and mbarrier (PTX ISA 8.0). Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lib/Codegen/Device/Device.h"
#include "lib/Codegen/Host/LowerBlocks.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;

namespace {

constexpr unsigned sharedSpace = 3, clusterSpace = 7;

Value constant(OpBuilder &builder, Location loc, unsigned bits, int64_t value) {
  return LLVM::ConstantOp::create(builder, loc,
                                  builder.getIntegerAttr(builder.getIntegerType(bits), value));
}

/// An element of memory, at an address of one kind.
Value elementIn(ConversionPatternRewriter &rewriter, Location loc, Value address, unsigned space) {
  return LLVM::AddrSpaceCastOp::create(
      rewriter, loc, LLVM::LLVMPointerType::get(rewriter.getContext(), space), address);
}

void callIntrinsic(OpBuilder &builder, Location loc, Type result, StringRef name,
                   ValueRange operands) {
  auto attribute = builder.getStringAttr(name);
  if (result)
    LLVM::CallIntrinsicOp::create(builder, loc, result, attribute, operands);
  else
    LLVM::CallIntrinsicOp::create(builder, loc, attribute, operands);
}

template <typename Op> struct TensorLowering : ConvertOpToLLVMPattern<Op> {
  using ConvertOpToLLVMPattern<Op>::ConvertOpToLLVMPattern;
  using OpAdaptor = typename ConvertOpToLLVMPattern<Op>::OpAdaptor;

  /// The address of a barrier, in shared memory.
  Value barrierOf(Op op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const {
    Value address = this->getStridedElementPtr(rewriter, op.getLoc(),
                                               cast<MemRefType>(op.getBarriers().getType()),
                                               adaptor.getBarriers(), adaptor.getAt());
    return elementIn(rewriter, op.getLoc(), address, sharedSpace);
  }
};

struct InitPhasesLowering : TensorLowering<rt::InitPhasesOp> {
  using TensorLowering::TensorLowering;
  LogicalResult matchAndRewrite(rt::InitPhasesOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    callIntrinsic(rewriter, loc, {}, "llvm.nvvm.mbarrier.init.shared",
                  {barrierOf(op, adaptor, rewriter), constant(rewriter, loc, 32, op.getCount())});
    rewriter.eraseOp(op);
    return success();
  }
};

/// What a thread has written is seen by copies alone after a fence between the two.
struct FencePhasesLowering : TensorLowering<rt::FencePhasesOp> {
  using TensorLowering::TensorLowering;
  LogicalResult matchAndRewrite(rt::FencePhasesOp op, OpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    for (StringRef name : {"llvm.nvvm.fence.mbarrier_init.release.cluster",
                           "llvm.nvvm.fence.proxy.async.shared_cta"})
      callIntrinsic(rewriter, op.getLoc(), {}, name, {});
    rewriter.eraseOp(op);
    return success();
  }
};

struct ArriveLowering : TensorLowering<rt::ArriveOp> {
  using TensorLowering::TensorLowering;
  LogicalResult matchAndRewrite(rt::ArriveOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<Value> operands{barrierOf(op, adaptor, rewriter)};
    if (op.getBytes())
      operands.push_back(constant(rewriter, loc, 32, op.getBytes()));
    callIntrinsic(rewriter, loc, rewriter.getI64Type(),
                  op.getBytes() ? "llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta"
                                : "llvm.nvvm.mbarrier.arrive.shared",
                  operands);
    rewriter.eraseOp(op);
    return success();
  }
};

/// A call that becomes a loop.
struct WaitPhaseLowering : TensorLowering<rt::WaitPhaseOp> {
  using TensorLowering::TensorLowering;
  LogicalResult matchAndRewrite(rt::WaitPhaseOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto module = op->getParentOfType<ModuleOp>();
    Type i32 = rewriter.getI32Type();
    auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(codegen::waitPhaseFunction);
    if (!function) {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToEnd(module.getBody());
      auto type = LLVM::LLVMFunctionType::get(
          LLVM::LLVMVoidType::get(op.getContext()),
          {LLVM::LLVMPointerType::get(op.getContext(), sharedSpace), i32});
      function =
          LLVM::LLVMFuncOp::create(rewriter, module.getLoc(), codegen::waitPhaseFunction, type);
      function.setConvergent(true);
    }
    Value parity = LLVM::TruncOp::create(rewriter, loc, i32, adaptor.getParity());
    auto call = LLVM::CallOp::create(rewriter, loc, function,
                                     ValueRange{barrierOf(op, adaptor, rewriter), parity});
    call.setConvergent(true);
    rewriter.eraseOp(op);
    return success();
  }
};

struct CopyTensorLowering : TensorLowering<rt::CopyTensorOp> {
  using TensorLowering::TensorLowering;
  LogicalResult matchAndRewrite(rt::CopyTensorOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value to = getStridedElementPtr(rewriter, loc, cast<MemRefType>(op.getPart().getType()),
                                    adaptor.getPart(), adaptor.getTo());
    to = elementIn(rewriter, loc, elementIn(rewriter, loc, to, sharedSpace), clusterSpace);
    SmallVector<Value> operands{to, barrierOf(op, adaptor, rewriter), adaptor.getMap()};
    for (Value coordinate : adaptor.getCoordinates())
      operands.push_back(LLVM::TruncOp::create(rewriter, loc, rewriter.getI32Type(), coordinate));
    // To this block alone, by the usual ways of the cache, by one processor.
    for (auto [bits, value] : {std::pair(16u, 0), {64u, 0}, {1u, 0}, {1u, 0}, {32u, 0}})
      operands.push_back(constant(rewriter, loc, bits, value));
    callIntrinsic(rewriter, loc, {},
                  "llvm.nvvm.cp.async.bulk.tensor.g2s.tile." +
                      std::to_string(op.getCoordinates().size()) + "d",
                  operands);
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void lathe::codegen::populateTensorsToLLVM(const LLVMTypeConverter &converter,
                                           RewritePatternSet &patterns) {
  patterns.add<InitPhasesLowering, FencePhasesLowering, ArriveLowering, WaitPhaseLowering,
               CopyTensorLowering>(converter);
}
