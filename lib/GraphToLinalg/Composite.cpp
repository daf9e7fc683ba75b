// Composites: what a schedule may replace whole stands in a function of its own.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Rt/Rt.h"
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

static bool isConstantLike(Value value) {
  Operation *def = value.getDefiningOp();
  return def && (def->hasTrait<OpTrait::ConstantLike>() || isa<rt::WeightOp>(def));
}

Tensor Lowering::composite(sched::KindAttr kind, ArrayRef<Tensor> operands,
                           function_ref<Tensor(ArrayRef<Tensor>)> build) {
  // Built in a region apart, in terms of the values at hand; what it captures becomes arguments.
  auto apart = scf::ExecuteRegionOp::create(b, loc, TypeRange());
  Block &block = apart.getRegion().emplaceBlock();
  Tensor result;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(&block);
    result = build(operands);
  }
  // The operands come first, each in its place, also where two are one value.
  SmallVector<Value> arguments;
  for (const Tensor &operand : operands)
    arguments.push_back(operand.value);
  llvm::SetVector<Value> captured, constants;
  block.walk([&](Operation *op) {
    for (Value value : op->getOperands())
      // Sizes stand in a block that has no region yet.
      if (Region *region = value.getParentRegion();
          !region || !apart.getRegion().isAncestor(region))
        if (!llvm::is_contained(arguments, value))
          (isConstantLike(value) ? constants : captured).insert(value);
  });
  llvm::append_range(arguments, captured);

  auto module = source->getParentOfType<ModuleOp>();
  std::string name = stringifyComposite(kind.getComposite()).str();
  unsigned number = 0;
  while (module.lookupSymbol(name + "_" + std::to_string(number)))
    ++number;
  OpBuilder moduleBuilder(source);
  SmallVector<Type> types(ValueRange(arguments).getTypes());
  auto function =
      func::FuncOp::create(moduleBuilder, loc, name + "_" + std::to_string(number),
                           moduleBuilder.getFunctionType(types, result.value.getType()));
  function.setPrivate();
  function->setAttr(sched::kindAttrName, kind);
  Block *entryBlock = function.addEntryBlock();
  IRMapping mapping;
  mapping.map(arguments, entryBlock->getArguments());
  OpBuilder inside(context);
  inside.setInsertionPointToEnd(entryBlock);
  for (Value constant : constants)
    inside.clone(*constant.getDefiningOp(), mapping);
  for (Operation &op : block)
    inside.clone(op, mapping);
  func::ReturnOp::create(inside, loc, mapping.lookup(result.value));
  apart.erase();
  result.value = func::CallOp::create(b, loc, function, arguments).getResult(0);
  return result;
}
