// Lowering of the math dialect to calls that become inline builtins.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "lib/Codegen/Host/LowerMath.h"
#include "lib/Codegen/Host/Host.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/VectorPattern.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace lathe::codegen {
namespace {

/// The functions declared so far; a lookup in the module would be linear in its size.
using Declared = std::shared_ptr<llvm::StringSet<>>;

/// "f32", "v8f32": functions of different types need different names.
std::string suffixOf(Type type) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (auto vector = dyn_cast<VectorType>(type))
    stream << 'v' << vector.getNumElements() << vector.getElementType();
  else
    stream << type;
  return text;
}

Value callFunction(OpBuilder &builder, Operation *op, Declared &declared, StringRef name, Type type,
                   ValueRange operands) {
  std::string symbol = (mathPrefix + name + "." + suffixOf(type)).str();
  SmallVector<Type> types(operands.size(), type);
  auto functionType = LLVM::LLVMFunctionType::get(type, types);
  if (declared->insert(symbol).second) {
    auto module = op->getParentOfType<ModuleOp>();
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    LLVM::LLVMFuncOp::create(builder, module.getLoc(), symbol, functionType);
  }
  return LLVM::CallOp::create(builder, op->getLoc(), functionType, symbol, operands).getResult();
}

template <typename Op> class MathCall : public ConvertOpToLLVMPattern<Op> {
public:
  MathCall(const LLVMTypeConverter &converter, StringRef name, Declared declared)
      : ConvertOpToLLVMPattern<Op>(converter, /*benefit=*/10), name(name), declared(declared) {}

  LogicalResult matchAndRewrite(Op op, typename Op::Adaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Type type = adaptor.getOperands().front().getType();
    auto emit = [&](Type partType, ValueRange operands) {
      return callFunction(rewriter, op, declared, name, partType, operands);
    };
    if (LLVM::isCompatibleVectorType(type) || LLVM::isCompatibleFloatingPointType(type)) {
      rewriter.replaceOp(op, emit(type, adaptor.getOperands()));
      return success();
    }
    return LLVM::detail::handleMultidimensionalVectors(
        op, adaptor.getOperands(), *this->getTypeConverter(),
        [&](Type partType, ValueRange operands) { return emit(partType, operands); }, rewriter);
  }

private:
  StringRef name;
  mutable Declared declared;
};

/// x, where `op` is 1 / (1 + exp(-x)).
Value logisticOperand(arith::DivFOp op) {
  auto sum = op.getRhs().getDefiningOp<arith::AddFOp>();
  if (!sum || !matchPattern(op.getLhs(), m_OneFloat()))
    return {};
  for (unsigned i : {0u, 1u}) {
    auto power = sum->getOperand(i).getDefiningOp<math::ExpOp>();
    if (!power || !matchPattern(sum->getOperand(1 - i), m_OneFloat()))
      continue;
    if (auto negated = power.getOperand().getDefiningOp<arith::NegFOp>())
      return negated.getOperand();
  }
  return {};
}

} // namespace

void populateMathToBuiltins(const LLVMTypeConverter &converter, RewritePatternSet &patterns) {
  auto declared = std::make_shared<llvm::StringSet<>>();
  auto add = [&]<typename Op>(StringRef name) {
    patterns.add<MathCall<Op>>(converter, name, declared);
  };
  add.operator()<math::ExpOp>("exp");
  add.operator()<math::Exp2Op>("exp2");
  add.operator()<math::ExpM1Op>("expm1");
  add.operator()<math::LogOp>("log");
  add.operator()<math::Log2Op>("log2");
  add.operator()<math::Log10Op>("log10");
  add.operator()<math::Log1pOp>("log1p");
  add.operator()<math::SinOp>("sin");
  add.operator()<math::CosOp>("cos");
  add.operator()<math::TanOp>("tan");
  add.operator()<math::AsinOp>("asin");
  add.operator()<math::AcosOp>("acos");
  add.operator()<math::AtanOp>("atan");
  add.operator()<math::Atan2Op>("atan2");
  add.operator()<math::SinhOp>("sinh");
  add.operator()<math::CoshOp>("cosh");
  add.operator()<math::TanhOp>("tanh");
  add.operator()<math::AsinhOp>("asinh");
  add.operator()<math::AcoshOp>("acosh");
  add.operator()<math::AtanhOp>("atanh");
  add.operator()<math::ErfOp>("erf");
  add.operator()<math::ErfcOp>("erfc");
  add.operator()<math::CbrtOp>("cbrt");
  add.operator()<math::PowFOp>("pow");
}

void callLogistic(ModuleOp module) {
  auto declared = std::make_shared<llvm::StringSet<>>();
  SmallVector<std::pair<arith::DivFOp, Value>> found;
  module.walk([&](arith::DivFOp op) {
    auto vector = dyn_cast<VectorType>(op.getType());
    bool isInline = getElementTypeOrSelf(op.getType()).getIntOrFloatBitWidth() <= 32 &&
                    (!vector || (vector.getRank() == 1 && !vector.isScalable()));
    if (Value x = isInline ? logisticOperand(op) : Value())
      found.push_back({op, x});
  });
  for (auto [op, x] : found) {
    OpBuilder builder(op);
    op.replaceAllUsesWith(callFunction(builder, op, declared, "logistic", op.getType(), {x}));
    Operation *unused = op;
    // What only led to it goes as well.
    while (unused && isOpTriviallyDead(unused)) {
      Operation *before = nullptr;
      for (Value operand : unused->getOperands())
        if (Operation *def = operand.getDefiningOp();
            def && !def->hasTrait<OpTrait::ConstantLike>())
          before = def;
      unused->erase();
      unused = before;
    }
  }
}

} // namespace lathe::codegen
