// Products and attentions of f32 with operands rounded to bf16, on request, for GPUs whose matrix
// units take those; sums stay f32. What is rounded is rounded where it is made, or on its way:
// before transposes and reshapes, so that these remain but other strides.
// Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "dialects/Rt/Rt.h"
#include "dialects/Sched/Sched.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

namespace {
class Rounding {
public:
  explicit Rounding(ModuleOp module)
      : module(module), builder(module.getContext()), element(builder.getBF16Type()) {}
  void roundProduct(linalg::GenericOp op);
  void roundAttention(func::FuncOp callee);

private:
  Value round(Value value);
  Value convert(Location loc, Value value, Type to);

  ModuleOp module;
  OpBuilder builder;
  FloatType element;
  llvm::DenseMap<Value, Value> known;
};
} // namespace

/// An elementwise operation that gives each number in another type.
Value Rounding::convert(Location loc, Value value, Type to) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, value);
  Value empty = tensor::EmptyOp::create(builder, loc, sizes, to);
  AffineMap map = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
  bool narrows = to.getIntOrFloatBitWidth() < type.getElementTypeBitWidth();
  return linalg::GenericOp::create(
             builder, loc, type.clone(to), value, empty, ArrayRef{map, map}, loops,
             [&](OpBuilder &inner, Location at, ValueRange arguments) {
               Value made = narrows
                                ? arith::TruncFOp::create(inner, at, to, arguments[0]).getResult()
                                : arith::ExtFOp::create(inner, at, to, arguments[0]).getResult();
               linalg::YieldOp::create(inner, at, made);
             })
      .getResult(0);
}

// The value with each number rounded: once, however many read it.
Value Rounding::round(Value value) {
  if (Value made = known.lookup(value))
    return made;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(value);
  Location loc = value.getLoc();
  auto type = cast<RankedTensorType>(value.getType());
  Value made = findNarrow(value);
  if (made && getElementTypeOrSelf(made.getType()) != element)
    made = Value();
  if (!made)
    if (TypedAttr constant = narrowConstant(value, element, /*mayRound=*/true))
      made = rt::WeightOp::create(builder, loc, constant.getType(), constant);
  Operation *op = value.getDefiningOp();
  if (made) {
  } else if (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op)) {
    auto source = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
    if (source) {
      Operation *copy = builder.clone(*op);
      copy->setOperand(0, round(op->getOperand(0)));
      made = copy->getResult(0);
      made.setType(type.clone(element));
    }
  } else if (auto transpose = dyn_cast_or_null<linalg::GenericOp>(op);
             transpose && isPureTranspose(transpose)) {
    Value source = round(transpose.getInputs()[0]);
    Value empty = tensor::EmptyOp::create(
        builder, loc, tensor::getMixedSizes(builder, loc, transpose.getOutputs()[0]), element);
    made = linalg::GenericOp::create(builder, loc, type.clone(element), source, empty,
                                     transpose.getIndexingMapsArray(),
                                     transpose.getIteratorTypesArray(),
                                     [](OpBuilder &inner, Location at, ValueRange arguments) {
                                       linalg::YieldOp::create(inner, at, arguments[0]);
                                     })
               .getResult(0);
  }
  if (!made)
    made = convert(loc, value, element);
  known[value] = made;
  return made;
}

void Rounding::roundProduct(linalg::GenericOp op) {
  SmallVector<Value> rounded;
  for (Value input : op.getInputs()) {
    if (!getElementTypeOrSelf(input.getType()).isF32())
      return;
    rounded.push_back(input);
  }
  if (!fillsTiles(op))
    return;
  for (Value &input : rounded)
    input = round(input);
  Block &body = *op.getBody();
  builder.setInsertionPointToStart(&body);
  for (unsigned i : {0u, 1u}) {
    BlockArgument argument = body.getArgument(i);
    argument.setType(element);
    auto wide = arith::ExtFOp::create(builder, op.getLoc(), builder.getF32Type(), argument);
    argument.replaceAllUsesExcept(wide, wide);
    op->setOperand(i, rounded[i]);
  }
}

// The composite takes rounded queries, keys and values; its plain form widens them.
void Rounding::roundAttention(func::FuncOp callee) {
  auto isGiven = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getElementType().isF32();
  };
  ArrayRef<Type> types = callee.getArgumentTypes().take_front(3);
  if (types.size() < 3 || !llvm::all_of(types, isGiven))
    return;
  SmallVector<func::CallOp> calls;
  module.walk([&](func::CallOp call) {
    if (call.getCallee() == callee.getName())
      calls.push_back(call);
  });
  for (func::CallOp call : calls)
    for (unsigned i = 0; i < 3; ++i)
      call->setOperand(i, round(call.getOperand(i)));
  Block &body = callee.getBody().front();
  for (unsigned i = 0; i < 3; ++i) {
    BlockArgument argument = body.getArgument(i);
    Type wideType = argument.getType();
    argument.setType(cast<RankedTensorType>(wideType).clone(element));
    builder.setInsertionPointToStart(&body);
    Value wide = convert(callee.getLoc(), argument, builder.getF32Type());
    llvm::SmallPtrSet<Operation *, 4> own;
    for (Operation &op : body) {
      own.insert(&op);
      if (&op == wide.getDefiningOp())
        break;
    }
    argument.replaceUsesWithIf(wide, [&](OpOperand &use) { return !own.contains(use.getOwner()); });
  }
  callee.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), callee.getResultTypes()));
}

void lathe::schedule::roundAttentions(ModuleOp module) {
  Rounding rounding(module);
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    if (auto kind = function->getAttrOfType<sched::KindAttr>(sched::kindAttrName);
        kind && kind.getComposite() == sched::Composite::attention)
      rounding.roundAttention(function);
}

void lathe::schedule::roundProducts(ModuleOp module) {
  SmallVector<linalg::GenericOp> products;
  for (auto function : module.getOps<func::FuncOp>())
    if (!function->hasAttr(sched::kindAttrName))
      function.walk([&](linalg::GenericOp op) {
        if (isProductOfF32(op))
          products.push_back(op);
      });
  Rounding rounding(module);
  for (linalg::GenericOp op : products)
    rounding.roundProduct(op);
}
