// Composites: functions tagged with what they compute, which an emitter replaces whole.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "KernelBuilder.h"
#include "dialects/Sched/Sched.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

static sched::KindAttr kindOf(func::CallOp call) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
  return callee ? callee->getAttrOfType<sched::KindAttr>(sched::kindAttrName) : sched::KindAttr();
}

static SmallVector<Type> operandTypes(func::CallOp call, sched::KindAttr kind) {
  SmallVector<Type> types(call.getOperandTypes());
  types.resize(kind.getParameters().contains("masked") ? 4 : 3);
  return types;
}

static bool hasEmitter(func::CallOp call, sched::KindAttr kind, const Options &options) {
  if (options.optLevel == 0 || options.strict)
    return false;
  switch (kind.getComposite()) {
  case sched::Composite::attention:
    return canEmitAttention(operandTypes(call, kind), options.target);
  }
  return false;
}

LogicalResult lathe::schedule::expandComposites(ModuleOp module, const Options &options) {
  SmallVector<func::CallOp> calls;
  module.walk([&](func::CallOp call) {
    if (!call->getParentOfType<func::FuncOp>()->hasAttr(sched::kindAttrName))
      calls.push_back(call);
  });
  for (func::CallOp call : calls) {
    sched::KindAttr kind = kindOf(call);
    if (!kind)
      return call.emitError("a call of '") << call.getCallee() << "' cannot be scheduled";
    if (hasEmitter(call, kind, options))
      continue;
    auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
    IRMapping mapping;
    mapping.map(callee.getArguments(), call.getOperands());
    OpBuilder builder(call);
    for (Operation &op : callee.getBody().front().without_terminator())
      builder.clone(op, mapping);
    for (auto [result, value] : llvm::zip_equal(
             call.getResults(), callee.getBody().front().getTerminator()->getOperands()))
      result.replaceAllUsesWith(mapping.lookup(value));
    call.erase();
    if (SymbolTable::symbolKnownUseEmpty(callee, module))
      callee.erase();
  }
  return success();
}

bool lathe::schedule::isPureTranspose(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() || op.getBody()->getOperations().size() != 1)
    return false;
  return op.getBody()->getTerminator()->getOperand(0) == op.getBody()->getArgument(0) &&
         llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) { return map.isPermutation(); });
}

View HostProgram::permute(const View &view, linalg::GenericOp transpose, bool toResult) {
  SmallVector<AffineMap> maps = transpose.getIndexingMapsArray();
  AffineMap from = maps[toResult ? 0 : 1], to = maps[toResult ? 1 : 0];
  View result = view;
  for (unsigned i = 0; i < to.getNumResults(); ++i) {
    unsigned source = *from.getResultPosition(to.getResult(i));
    result.sizes[i] = view.sizes[source];
    result.strides[i] = view.strides[source];
  }
  return result;
}

// Emitters take their operands and result with any strides: a transpose before or after one is but
// another view.
bool HostProgram::foldsIntoComposite(linalg::GenericOp op) {
  if (options.optLevel == 0 || !isPureTranspose(op))
    return false;
  Value source = op.getInputs()[0], result = op.getResult(0);
  // What the emitter wrote in place already.
  if (source.getDefiningOp<func::CallOp>() && views.contains(source) && views.contains(result) &&
      sameMemory(views[source], views[result]))
    return true;
  bool onlyOperand = !result.use_empty() && llvm::all_of(result.getUsers(), [&](Operation *user) {
    return isa<func::CallOp>(user) && user->getBlock() == op->getBlock();
  });
  if (!onlyOperand || destinations.contains(result))
    return false;
  views[result] = permute(getView(source), op, /*toResult=*/true);
  return true;
}

View HostProgram::withUnitStride(Location loc, const View &view, bool orTransposed) {
  unsigned rank = view.sizes.size();
  auto isUnit = [&](unsigned dim) { return view.strides[dim].is(1) || view.sizes[dim].is(1); };
  if (rank == 0 || view.strides[rank - 1].is(1) || (orTransposed && rank > 1 && isUnit(rank - 2)))
    return view;
  View copy = allocate(loc, view.element, view.sizes);
  dispatchCopy(loc, view, copy);
  return copy;
}

LogicalResult HostProgram::visit(func::CallOp op) {
  Location loc = op.getLoc();
  sched::KindAttr kind = kindOf(op);
  AttentionShape shape;
  // Vectors lie along the last dimension; threads take elements from wherever they lie.
  auto operand = [&](unsigned i, bool orTransposed) {
    View view = getView(op.getOperand(i));
    return options.target.itemPerThread ? view : withUnitStride(loc, view, orTransposed);
  };
  shape.query = getView(op.getOperand(0));
  shape.key = operand(1, /*orTransposed=*/true);
  shape.value = operand(2, /*orTransposed=*/false);
  if (kind.getParameters().contains("masked")) {
    View mask = getView(op.getOperand(3));
    bool broadcast = !mask.sizes.empty() && mask.sizes.back().is(1);
    shape.mask = broadcast ? mask : operand(3, /*orTransposed=*/false);
  }
  shape.scale = kind.getParameters().getAs<FloatAttr>("scale").getValueAsDouble();
  shape.causal = kind.getParameters().contains("causal");
  FailureOr<View> result = getOrCreate(op.getResult(0));
  if (failed(result))
    return failure();
  // The last dimension of the result is written by whole vectors.
  View place = *result;
  if (!place.strides.back().is(1) && !options.target.itemPerThread)
    place = allocate(loc, place.element, place.sizes);
  shape.result = place;
  flush();
  kernels->dispatch(
      builder, call, loc, shape,
      [&](Location where, const View &view) { return addressOf(where, view); },
      [&](Location where, Type element, const Size &size) {
        return allocate(where, element, size);
      });
  if (!sameMemory(place, *result))
    dispatchCopy(loc, place, *result);
  return success();
}
