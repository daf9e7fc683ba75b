// What threads of a GPU's block do together, in terms of LLVM: shared memory, copies to it, matrix
// units.
// Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/LowerBlocks.h"
#include "dialects/Rt/Rt.h"
#include "lib/Codegen/Device/Device.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;

namespace {

constexpr unsigned sharedSpace = 3; // of NVIDIA and of AMD

/// rt.shared: a variable in the memory of a block, addressed like any other.
struct SharedLowering : ConvertOpToLLVMPattern<rt::SharedOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::SharedOp op, OpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto type = cast<MemRefType>(op.getType());
    auto module = op->getParentOfType<ModuleOp>();
    Type array = LLVM::LLVMArrayType::get(getTypeConverter()->convertType(type.getElementType()),
                                          type.getNumElements());
    auto globals = module.getOps<LLVM::GlobalOp>();
    std::string name =
        "lathe_shared_" + std::to_string(std::distance(globals.begin(), globals.end()));
    LLVM::GlobalOp global;
    {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(module.getBody());
      global = LLVM::GlobalOp::create(rewriter, module.getLoc(), array, /*isConstant=*/false,
                                      LLVM::Linkage::Internal, name, Attribute(),
                                      op.getAlignment().value_or(16), sharedSpace);
      rewriter.createBlock(&global.getInitializerRegion());
      Value nothing = LLVM::UndefOp::create(rewriter, module.getLoc(), array);
      LLVM::ReturnOp::create(rewriter, module.getLoc(), nothing);
    }
    Value address = LLVM::AddressOfOp::create(rewriter, op.getLoc(), global);
    Value pointer = LLVM::AddrSpaceCastOp::create(
        rewriter, op.getLoc(), LLVM::LLVMPointerType::get(op.getContext()), address);
    Value descriptor = MemRefDescriptor::fromStaticShape(rewriter, op.getLoc(), *getTypeConverter(),
                                                         type, pointer);
    rewriter.replaceOp(op, descriptor);
    return success();
  }
};

/// rt.copy_async: a call that becomes what the GPU has for it.
struct CopyAsyncLowering : ConvertOpToLLVMPattern<rt::CopyAsyncOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::CopyAsyncOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto module = op->getParentOfType<ModuleOp>();
    Type pointer = LLVM::LLVMPointerType::get(op.getContext()), i32 = rewriter.getI32Type();
    auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(codegen::copyFunction);
    if (!function) {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToEnd(module.getBody());
      auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(op.getContext()),
                                              {pointer, pointer, i32, i32});
      function = LLVM::LLVMFuncOp::create(rewriter, module.getLoc(), codegen::copyFunction, type);
    }
    auto from = cast<MemRefType>(op.getSource().getType());
    auto to = cast<MemRefType>(op.getPart().getType());
    int64_t size = from.getElementTypeBitWidth() / 8;
    Value bytes =
        LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(op.getCount() * size));
    Value valid = bytes;
    if (op.getValid()) {
      Value scale = LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(size));
      valid = LLVM::TruncOp::create(rewriter, loc, i32, adaptor.getValid());
      valid = LLVM::MulOp::create(rewriter, loc, valid, scale);
    }
    Value target = getStridedElementPtr(rewriter, loc, to, adaptor.getPart(), adaptor.getTo());
    Value source =
        getStridedElementPtr(rewriter, loc, from, adaptor.getSource(), adaptor.getFrom());
    rewriter.replaceOpWithNewOp<LLVM::CallOp>(op, function,
                                              ValueRange{target, source, bytes, valid});
    return success();
  }
};

/// rt.load_matrices: NVIDIA's ldmatrix, a register for the two numbers of each matrix.
struct LoadMatricesLowering : ConvertOpToLLVMPattern<rt::LoadMatricesOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::LoadMatricesOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value row = getStridedElementPtr(rewriter, loc, cast<MemRefType>(op.getPart().getType()),
                                     adaptor.getPart(), adaptor.getAt());
    row = LLVM::AddrSpaceCastOp::create(
        rewriter, loc, LLVM::LLVMPointerType::get(op.getContext(), sharedSpace), row);
    auto type = cast<VectorType>(op.getResult().getType());
    int64_t count = type.getNumElements() / 2;
    SmallVector<Type> registers(count, rewriter.getI32Type());
    Type result = count == 1 ? registers.front()
                             : LLVM::LLVMStructType::getLiteral(op.getContext(), registers);
    std::string name = "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) +
                       (op.getTransposed() ? ".trans" : "") + ".b16.p3";
    Value loaded =
        LLVM::CallIntrinsicOp::create(rewriter, loc, result, rewriter.getStringAttr(name), row)
            .getResult(0);
    auto words = VectorType::get({count}, rewriter.getI32Type());
    Value vector = LLVM::PoisonOp::create(rewriter, loc, words);
    for (int64_t i = 0; i < count; ++i) {
      Value word = count == 1
                       ? loaded
                       : LLVM::ExtractValueOp::create(rewriter, loc, loaded, ArrayRef<int64_t>{i})
                             .getResult();
      Value place = LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(i));
      vector = LLVM::InsertElementOp::create(rewriter, loc, vector, word, place);
    }
    rewriter.replaceOpWithNewOp<LLVM::BitcastOp>(op, getTypeConverter()->convertType(type), vector);
    return success();
  }
};

/// rt.multiply_matrices: the intrinsic of the unit, whose operands are registers of some form.
struct MultiplyMatricesLowering : ConvertOpToLLVMPattern<rt::MultiplyMatricesOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::MultiplyMatricesOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    bool isBF16 = cast<VectorType>(op.getLeft().getType()).getElementType().isBF16();
    Value sums = adaptor.getSums();
    auto call = [&](StringRef name, Type result, ValueRange operands) {
      return LLVM::CallIntrinsicOp::create(rewriter, loc, result, rewriter.getStringAttr(name),
                                           operands)
          .getResult(0);
    };
    // Numbers of bf16 are but bits to AMD's units.
    auto asBits = [&](Value vector) -> Value {
      auto type = cast<VectorType>(vector.getType());
      if (!isBF16)
        return vector;
      return LLVM::BitcastOp::create(rewriter, loc, type.clone(rewriter.getI16Type()), vector);
    };
    Value left = asBits(adaptor.getLeft()), right = asBits(adaptor.getRight());
    if (op.getUnit().starts_with("wmma")) {
      rewriter.replaceOp(op, call(isBF16 ? "llvm.amdgcn.wmma.f32.16x16x16.bf16"
                                         : "llvm.amdgcn.wmma.f32.16x16x16.f16",
                                  sums.getType(), {left, right, sums}));
      return success();
    }
    if (op.getUnit() == "mfma") {
      Value zero = LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(0));
      rewriter.replaceOp(op, call(isBF16 ? "llvm.amdgcn.mfma.f32.16x16x16bf16.1k"
                                         : "llvm.amdgcn.mfma.f32.16x16x16f16",
                                  sums.getType(), {left, right, sums, zero, zero, zero}));
      return success();
    }
    if (op.getUnit() != "mma.sync")
      return op.emitError("no matrix unit is called '") << op.getUnit() << "'";
    // Registers of two numbers each, and of one sum.
    SmallVector<Value> operands;
    auto addPairs = [&](Value vector) {
      auto type = cast<VectorType>(vector.getType());
      for (int32_t i = 0; i < type.getNumElements(); i += 2) {
        Value pair = LLVM::ShuffleVectorOp::create(rewriter, loc, vector, vector,
                                                   ArrayRef<int32_t>{i, i + 1});
        if (isBF16)
          pair = LLVM::BitcastOp::create(rewriter, loc, rewriter.getI32Type(), pair);
        operands.push_back(pair);
      }
    };
    addPairs(left);
    addPairs(right);
    auto place = [&](int64_t i) {
      return LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(i)).getResult();
    };
    auto sumsType = cast<VectorType>(sums.getType());
    int64_t count = sumsType.getNumElements();
    for (int64_t i = 0; i < count; ++i)
      operands.push_back(LLVM::ExtractElementOp::create(rewriter, loc, sums, place(i)));
    Type result = LLVM::LLVMStructType::getLiteral(
        op.getContext(), SmallVector<Type>(count, sumsType.getElementType()));
    Value made = call(isBF16 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16"
                             : "llvm.nvvm.mma.m16n8k16.row.col.f32.f32",
                      result, operands);
    Value vector = LLVM::PoisonOp::create(rewriter, loc, sumsType);
    for (int64_t i = 0; i < count; ++i) {
      Value sum = LLVM::ExtractValueOp::create(rewriter, loc, made, ArrayRef<int64_t>{i});
      vector = LLVM::InsertElementOp::create(rewriter, loc, vector, sum, place(i));
    }
    rewriter.replaceOp(op, vector);
    return success();
  }
};

} // namespace

void lathe::codegen::populateBlocksToLLVM(const LLVMTypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<SharedLowering, CopyAsyncLowering, LoadMatricesLowering, MultiplyMatricesLowering>(
      converter);
}
