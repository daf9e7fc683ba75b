// A scheduled module becomes LLVM IR.
// Apache-2.0 WITH LLVM-exception
#include "LowerBlocks.h"
#include "LowerMath.h"
#include "LowerRt.h"
#include "dialects/Rt/Rt.h"
#include "lathe/ArtifactFormat.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Operator.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::codegen;

namespace {
/// rt.view: a descriptor around the pointer.
struct ViewLowering : ConvertOpToLLVMPattern<rt::ViewOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(rt::ViewOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto type = cast<MemRefType>(op.getType());
    if (!type.hasStaticShape() || !type.getLayout().isIdentity())
      return rewriter.notifyMatchFailure(op, "only views of static shape are emitted");
    Value descriptor = MemRefDescriptor::fromStaticShape(rewriter, op.getLoc(), *getTypeConverter(),
                                                         type, adaptor.getBase());
    rewriter.replaceOp(op, descriptor);
    return success();
  }
};
} // namespace

static LogicalResult convertToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  LowerToLLVMOptions options(context);
  LLVMTypeConverter converter(context, options);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  populateMathToBuiltins(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  vector::populateVectorMaskOpLoweringPatterns(patterns);
  vector::populateVectorMaskMaterializationPatterns(patterns, /*force32BitVectorIndices=*/true);
  populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/true);
  ub::populateUBToLLVMConversionPatterns(converter, patterns);
  patterns.add<ViewLowering>(converter);
  populateBlocksToLLVM(converter, patterns);
  populateProductsToLLVM(converter, patterns);
  populateTensorsToLLVM(converter, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp>();
  return applyFullConversion(module, target, std::move(patterns));
}

// Rounding to bf16 without an instruction for it would be a call for each element.
static LogicalResult expandBF16(ModuleOp module) {
  auto rounds = module.walk([](arith::TruncFOp op) {
    return getElementTypeOrSelf(op.getType()).isBF16() ? WalkResult::interrupt()
                                                       : WalkResult::advance();
  });
  if (!rounds.wasInterrupted())
    return success();
  RewritePatternSet patterns(module.getContext());
  arith::populateExpandBFloat16Patterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns));
}

// Strings are moved as numbers of 16 bytes, but lie where their addresses are aligned.
static void alignStrings(llvm::Module &module) {
  auto isString = [](llvm::Type *type) { return type->isIntegerTy(128); };
  for (llvm::Function &function : module)
    for (llvm::BasicBlock &block : function)
      for (llvm::Instruction &inst : block) {
        if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&inst); load && isString(load->getType()))
          load->setAlignment(llvm::Align(alignof(lathe_string)));
        if (auto *store = llvm::dyn_cast<llvm::StoreInst>(&inst);
            store && isString(store->getValueOperand()->getType()))
          store->setAlignment(llvm::Align(alignof(lathe_string)));
      }
}

// LLVM's time on one function grows with the square of its blocks (20,000 operators as one @run:
// 30 s). What that saves beside thousands of kernels is nothing.
static void leaveUnoptimizedIfLarge(llvm::Function &hostProgram) {
  constexpr unsigned mostInstructions = 20000;
  if (hostProgram.getInstructionCount() <= mostInstructions)
    return;
  hostProgram.addFnAttr(llvm::Attribute::NoInline);
  hostProgram.addFnAttr(llvm::Attribute::OptimizeNone);
}

std::string lathe::codegen::findLooseRounding(const llvm::Module &module) {
  for (const llvm::Function &function : module)
    for (const llvm::BasicBlock &block : function)
      for (const llvm::Instruction &inst : block) {
        auto *operation = llvm::dyn_cast<llvm::FPMathOperator>(&inst);
        if (!operation || operation->getFastMathFlags().none())
          continue;
        std::string text;
        llvm::raw_string_ostream stream(text);
        stream << '\'' << function.getName() << "': " << inst.getOpcodeName();
        operation->getFastMathFlags().print(stream);
        return text;
      }
  return "";
}

FailureOr<std::unique_ptr<llvm::Module>>
lathe::codegen::lowerHost(ModuleOp module, const HostTarget &target, StringRef prefix,
                          WeightLayout &weights, SiteList &sites, llvm::LLVMContext &context) {
  MLIRContext *mlirContext = module.getContext();
  PassManager structured(mlirContext);
  structured.addNestedPass<func::FuncOp>(createCSEPass());
  structured.addPass(createSCFToControlFlowPass());
  if (failed(structured.run(module)) || failed(lowerRt(module, weights, sites)))
    return failure();

  llvm::StringMap<std::string> symbols; // of kernels that are compiled apart
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    if (!function.isPrivate())
      continue;
    if (function.isDeclaration() && !function->hasAttr(kernelSymbolAttr)) {
      function.erase(); // it is launched on a device
      continue;
    }
    if (auto symbol = function->getAttrOfType<StringAttr>(kernelSymbolAttr)) {
      symbols[function.getName()] = symbol.str();
      function->removeAttr(kernelSymbolAttr);
    } else {
      function->setAttr("llvm.linkage",
                        LLVM::LinkageAttr::get(mlirContext, LLVM::Linkage::Internal));
    }
    function->setAttr("passthrough",
                      ArrayAttr::get(mlirContext, StringAttr::get(mlirContext, "noinline")));
    // Every buffer of a kernel is another one (the host program passes equal addresses once).
    for (unsigned i = 1; i < function.getNumArguments(); ++i)
      if (isa<LLVM::LLVMPointerType>(function.getArgumentTypes()[i]))
        function.setArgAttr(i, "llvm.noalias", UnitAttr::get(mlirContext));
  }
  SmallVector<std::string> hostPrograms;
  for (StringRef name : {"run", "plan"}) {
    auto function = module.lookupSymbol<func::FuncOp>(name);
    if (!function)
      continue;
    function.setSymName(hostPrograms.emplace_back((prefix + "_" + name).str()));
  }
  if ((target.dotBF16.empty() && failed(expandBF16(module))) || failed(expandFloat8(module)))
    return failure();
  PassManager cleanUp(mlirContext);
  cleanUp.addPass(createCanonicalizerPass());
  cleanUp.addPass(createCSEPass());
  if (failed(cleanUp.run(module)))
    return failure();
  callLogistic(module);
  if (failed(convertToLLVM(module)))
    return failure();

  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  mlirContext->appendDialectRegistry(registry);
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(module, context, "lathe");
  if (!result)
    return module.emitError("translation to LLVM IR failed");
  alignStrings(*result);
  for (const auto &symbol : symbols) {
    llvm::Function *function = result->getFunction(symbol.getKey());
    if (!function) // a declaration that nothing calls
      continue;
    function->setName(symbol.getValue());
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function->setDSOLocal(true);
  }
  for (const std::string &name : hostPrograms)
    leaveUnoptimizedIfLarge(*result->getFunction(name));
  return result;
}
