// The math dialect through to numbers: scalars and vectors of any shape and type.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Codegen/Host/LowerMath.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"
#include "test/unit/artifact/Helpers.h"
#include <cmath>

using namespace lathe;
using namespace lathe::test;

namespace {

const char *const source = R"(
func.func @plan() { return }
func.func @run(%x: !llvm.ptr, %z: !llvm.ptr) {
  %a = llvm.load %x : !llvm.ptr -> vector<4xf32>
  %0 = arith.constant dense<0.5> : vector<2x4xf32>
  %m = vector.insert %a, %0[1] : vector<4xf32> into vector<2x4xf32>
  %e = math.erf %m : vector<2x4xf32>
  %p = math.powf %e, %m : vector<2x4xf32>
  %l = math.log1p %p : vector<2x4xf32>
  %r = vector.extract %l[1] : vector<4xf32> from vector<2x4xf32>
  llvm.store %r, %z : vector<4xf32>, !llvm.ptr
  %s = llvm.load %x : !llvm.ptr -> f32
  %c = math.cbrt %s : f32
  %d = arith.extf %c : f32 to f64
  %t = math.expm1 %d : f64
  %h = arith.truncf %t : f64 to f16
  %g = math.tanh %h : f16
  %i = arith.extf %g : f16 to f32
  %to = llvm.getelementptr %z[4] : (!llvm.ptr) -> !llvm.ptr, f32
  llvm.store %i, %to : f32, !llvm.ptr
  return
}
)";

TEST(LowerMath, AllTypesAndShapes) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                  mlir::math::MathDialect, mlir::vector::VectorDialect>();
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context);
  ASSERT_TRUE(module);

  mlir::LLVMTypeConverter converter(&context);
  mlir::RewritePatternSet patterns(&context);
  mlir::arith::populateArithToLLVMConversionPatterns(converter, patterns);
  mlir::populateFuncToLLVMConversionPatterns(converter, patterns);
  mlir::populateMathToLLVMConversionPatterns(converter, patterns);
  mlir::populateVectorToLLVMConversionPatterns(converter, patterns);
  codegen::populateMathToBuiltins(converter, patterns);
  mlir::LLVMConversionTarget conversion(context);
  conversion.addLegalOp<mlir::ModuleOp>();
  ASSERT_TRUE(mlir::succeeded(mlir::applyFullConversion(*module, conversion, std::move(patterns))));

  llvm::LLVMContext llvmContext;
  codegen::HostTarget host = target("x86-64-v3");
  auto object = codegen::compileHost(mlir::translateModuleToLLVMIR(*module, llvmContext), host);
  ASSERT_TRUE(bool(object)) << messageOf(object.takeError());
  artifact::Contents contents;
  contents.triple = host.triple;
  artifact::Variant variant;
  variant.name = host.name;
  variant.object = std::move(*object);
  artifact::Entry entry;
  entry.planSymbol = "plan";
  entry.runSymbol = "run";
  variant.entries.push_back(entry);
  contents.variants.push_back(std::move(variant));
  Folder folder;
  llvm::Error error = artifact::write(contents, folder / "a");
  ASSERT_FALSE(bool(error)) << messageOf(std::move(error));
  Opened opened(folder / "a");
  auto *run = reinterpret_cast<void (*)(const float *, float *)>(
      reinterpret_cast<void *>(opened.table->variants[0].entries[0].run));
  alignas(16) float x[4] = {0.5f, 0.25f, 1, 2}, z[5];
  run(x, z);
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(z[i], std::log1p(std::pow(std::erf(x[i]), x[i])), 2e-7) << i;
  EXPECT_NEAR(z[4], std::tanh(std::expm1(std::cbrt(0.5))), 1e-3);
}

} // namespace
