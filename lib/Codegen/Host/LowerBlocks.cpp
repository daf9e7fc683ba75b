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

/// An instruction of a matrix unit: elements of the left and of the right operand ("u8" is an
/// unsigned i8), and LLVM's name of it.
struct MatrixInstruction {
  llvm::StringLiteral unit, left, right, intrinsic;
};

constexpr MatrixInstruction matrixInstructions[] = {
    {"mma.sync", "f16", "f16", "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"},
    {"mma.sync", "bf16", "bf16", "llvm.nvvm.mma.m16n8k16.row.col.bf16"},
    {"mma.sync.tf32", "f32", "f32", "llvm.nvvm.mma.m16n8k8.row.col.tf32"},
    {"mma.sync.i8", "i8", "i8", "llvm.nvvm.mma.m16n8k32.row.col.s8"},
    {"mma.sync.i8", "i8", "u8", "llvm.nvvm.mma.m16n8k32.row.col.s8.u8"},
    {"mma.sync.i8", "u8", "i8", "llvm.nvvm.mma.m16n8k32.row.col.u8.s8"},
    {"mma.sync.i8", "u8", "u8", "llvm.nvvm.mma.m16n8k32.row.col.u8"},
    {"mma.sync.f8", "f8E4M3FN", "f8E4M3FN", "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e4m3.f32"},
    {"mma.sync.f8", "f8E4M3FN", "f8E5M2", "llvm.nvvm.mma.m16n8k32.row.col.f32.e4m3.e5m2.f32"},
    {"mma.sync.f8", "f8E5M2", "f8E4M3FN", "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e4m3.f32"},
    {"mma.sync.f8", "f8E5M2", "f8E5M2", "llvm.nvvm.mma.m16n8k32.row.col.f32.e5m2.e5m2.f32"},
    {"mfma", "f16", "f16", "llvm.amdgcn.mfma.f32.16x16x16f16"},
    {"mfma", "bf16", "bf16", "llvm.amdgcn.mfma.f32.16x16x16bf16.1k"},
    {"mfma.xf32", "f32", "f32", "llvm.amdgcn.mfma.f32.16x16x8.xf32"},
    {"mfma.i8", "i8", "i8", "llvm.amdgcn.mfma.i32.16x16x16i8"},
    {"mfma.i8.gfx942", "i8", "i8", "llvm.amdgcn.mfma.i32.16x16x32.i8"},
    {"wmma", "f16", "f16", "llvm.amdgcn.wmma.f32.16x16x16.f16"},
    {"wmma", "bf16", "bf16", "llvm.amdgcn.wmma.f32.16x16x16.bf16"},
    {"wmma.gfx12", "f16", "f16", "llvm.amdgcn.wmma.f32.16x16x16.f16"},
    {"wmma.gfx12", "bf16", "bf16", "llvm.amdgcn.wmma.f32.16x16x16.bf16"},
    // Whether integers are signed is said by operands.
    {"wmma.i8", "", "", "llvm.amdgcn.wmma.i32.16x16x16.iu8"},
    {"wmma.gfx12.i8", "", "", "llvm.amdgcn.wmma.i32.16x16x16.iu8"},
};

/// rt.multiply_matrices: the intrinsic of the unit, whose operands are registers of some form.
struct MultiplyMatricesLowering : ConvertOpToLLVMPattern<rt::MultiplyMatricesOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::MultiplyMatricesOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto nameOf = [&](Value operand, bool isUnsigned) {
      std::string name;
      llvm::raw_string_ostream(name) << cast<VectorType>(operand.getType()).getElementType();
      return isUnsigned ? "u" + name.substr(1) : name;
    };
    std::string left = nameOf(op.getLeft(), op.getLeftUnsigned());
    std::string right = nameOf(op.getRight(), op.getRightUnsigned());
    const auto *instruction =
        llvm::find_if(matrixInstructions, [&](const MatrixInstruction &known) {
          return known.unit == op.getUnit() &&
                 (known.left.empty() || (known.left == left && known.right == right));
        });
    if (instruction == std::end(matrixInstructions))
      return op.emitError("no matrix unit '")
             << op.getUnit() << "' multiplies " << left << " by " << right;
    Value sums = adaptor.getSums();
    auto call = [&](Type result, ValueRange operands) {
      return LLVM::CallIntrinsicOp::create(rewriter, loc, result,
                                           rewriter.getStringAttr(instruction->intrinsic), operands)
          .getResult(0);
    };
    bool isNvidia = op.getUnit().starts_with("mma.sync");
    Value a = asRegisters(rewriter, loc, adaptor.getLeft(), op.getLeft(), op.getUnit());
    Value b = asRegisters(rewriter, loc, adaptor.getRight(), op.getRight(), op.getUnit());
    if (op.getUnit().starts_with("wmma")) {
      SmallVector<Value> operands{a, b, sums};
      if (instruction->left.empty()) {
        auto flag = [&](bool value) -> Value {
          return LLVM::ConstantOp::create(rewriter, loc,
                                          rewriter.getIntegerAttr(rewriter.getI1Type(), value));
        };
        operands = {
            flag(!op.getLeftUnsigned()), a, flag(!op.getRightUnsigned()), b, sums, flag(false)};
      }
      rewriter.replaceOp(op, call(sums.getType(), operands));
      return success();
    }
    if (!isNvidia) {
      Value zero = LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(0));
      rewriter.replaceOp(op, call(sums.getType(), {a, b, sums, zero, zero, zero}));
      return success();
    }
    // Registers one by one.
    auto place = [&](int64_t i) {
      return LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32IntegerAttr(i)).getResult();
    };
    SmallVector<Value> operands;
    auto addAll = [&](Value vector) {
      auto type = cast<VectorType>(vector.getType());
      bool arePairs = type.getElementType().isF16();
      for (int32_t i = 0; i < type.getNumElements(); i += arePairs ? 2 : 1)
        operands.push_back(
            arePairs ? LLVM::ShuffleVectorOp::create(rewriter, loc, vector, vector,
                                                     ArrayRef<int32_t>{i, i + 1})
                           .getResult()
                     : LLVM::ExtractElementOp::create(rewriter, loc, vector, place(i)).getResult());
    };
    addAll(a);
    addAll(b);
    addAll(sums);
    auto sumsType = cast<VectorType>(sums.getType());
    int64_t count = sumsType.getNumElements();
    Type result = LLVM::LLVMStructType::getLiteral(
        op.getContext(), SmallVector<Type>(count, sumsType.getElementType()));
    Value made = call(result, operands);
    Value vector = LLVM::PoisonOp::create(rewriter, loc, sumsType);
    for (int64_t i = 0; i < count; ++i) {
      Value sum = LLVM::ExtractValueOp::create(rewriter, loc, made, ArrayRef<int64_t>{i});
      vector = LLVM::InsertElementOp::create(rewriter, loc, vector, sum, place(i));
    }
    rewriter.replaceOp(op, vector);
    return success();
  }

private:
  /// The operand as its instruction has it: pairs of f16; else words, of f32 such as are rounded to
  /// tf32; AMD's units take f16 and f32 as they are, bf16 as bits of 16 and bytes by four or eight.
  static Value asRegisters(OpBuilder &builder, Location loc, Value vector, Value given,
                           StringRef unit) {
    bool isNvidia = unit.starts_with("mma.sync");
    auto type = cast<VectorType>(vector.getType());
    Type element = cast<VectorType>(given.getType()).getElementType();
    unsigned bits = element.getIntOrFloatBitWidth() * type.getNumElements();
    Type i32 = builder.getI32Type();
    auto cast = [&](Type to) -> Value { return LLVM::BitcastOp::create(builder, loc, to, vector); };
    if (element.isF16() || (element.isF32() && !isNvidia))
      return vector;
    if (element.isBF16() && !isNvidia)
      return cast(type.clone(builder.getI16Type()));
    if (element.isF32()) {
      Value words = LLVM::PoisonOp::create(builder, loc, type.clone(i32));
      for (int64_t i = 0; i < type.getNumElements(); ++i) {
        Value place = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(i));
        Value number = LLVM::ExtractElementOp::create(builder, loc, vector, place);
        Value rounded =
            LLVM::CallIntrinsicOp::create(builder, loc, i32,
                                          builder.getStringAttr("llvm.nvvm.f2tf32.rna"), number)
                .getResult(0);
        words = LLVM::InsertElementOp::create(builder, loc, words, rounded, place);
      }
      return words;
    }
    // MFMA takes four bytes in a register or eight in two, the others vectors of registers.
    if (unit.starts_with("mfma"))
      return cast(builder.getIntegerType(bits));
    return cast(VectorType::get({bits / 32}, i32));
  }
};

} // namespace

void lathe::codegen::populateBlocksToLLVM(const LLVMTypeConverter &converter,
                                          RewritePatternSet &patterns) {
  patterns.add<SharedLowering, CopyAsyncLowering, LoadMatricesLowering, MultiplyMatricesLowering>(
      converter);
}
