// Reductions on a GPU: the threads of a block each take a part of what one result adds up, and
// combine their parts in shared memory.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

/// Threads for each result: four warps, whose last steps need no memory far away.
static constexpr int64_t rowThreads = 128;

/// Whether one result is enough work for a block, and threads beside each other read what lies
/// together.
static bool isWorthwhile(const Stage &root) {
  Size depth(1), results(1);
  std::optional<unsigned> last;
  for (unsigned i = 0; i < root.numLoops(); ++i) {
    (root.reduction[i] ? depth : results) = (root.reduction[i] ? depth : results) * root.extents[i];
    if (root.reduction[i])
      last = i;
  }
  if (depth.isStatic() && depth.constant < rowThreads / 2)
    return false;
  bool isContiguous = llvm::any_of(root.inputs, [&](const Access &input) {
    return input.view.base && input.coefficients[*last].is(1);
  });
  constexpr int64_t fewResults = 1024;
  return isContiguous || (results.isStatic() && results.constant < fewResults);
}

std::optional<Work> lathe::schedule::emitBlockRows(Kernel &kernel, const Group &group,
                                                   AddressOf addressOf) {
  const Stage &root = group.stages.front();
  if (!root.hasReduction() || root.irregular)
    return std::nullopt;
  std::optional<Combiner> combiner = findCombiner(root);
  auto isParallel = [&](unsigned loop) { return !root.reduction[loop]; };
  unsigned parallel = llvm::count(root.reduction, false);
  if (!combiner || !isWorthwhile(root) ||
      (group.stages.size() > 1 && group.sharedLoops != parallel))
    return std::nullopt;
  // Without a neutral element the initial value has to be one that may count several times.
  if (!combiner->neutral && !root.inits[0])
    return std::nullopt;

  OpBuilder &builder = kernel.builder;
  Location loc = root.loc;
  const Access &output = root.outputs[0];
  Type element = output.view.element;
  kernel.function->setAttr(rt::blockAttrName, builder.getI32IntegerAttr(rowThreads));
  Value thread = rt::ThreadOp::create(builder, loc, builder.getIndexType());
  Value parts = rt::SharedOp::create(builder, loc, MemRefType::get({rowThreads}, element));

  Work work;
  SmallVector<Value> indices(root.numLoops());
  Value rest = kernel.begin();
  for (unsigned i = root.numLoops(); i-- > 0;) {
    if (!isParallel(i))
      continue;
    work.count = work.count * root.extents[i];
    Value extent = kernel.size(root.extents[i]);
    indices[i] = arith::RemUIOp::create(builder, loc, rest, extent);
    rest = arith::DivUIOp::create(builder, loc, rest, extent);
  }
  work.itemCost.add(Size(1));

  // The part of this thread: every rowThreads-th of what is added up.
  Size depth(1);
  for (unsigned i = 0; i < root.numLoops(); ++i)
    if (root.reduction[i])
      depth = depth * root.extents[i];
  Value neutral = arith::ConstantOp::create(builder, loc,
                                            combiner->neutral ? combiner->neutral : root.inits[0]);
  auto loop = scf::ForOp::create(builder, loc, thread, kernel.size(depth),
                                 kernel.constant(rowThreads), neutral);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> at(indices);
    Value number = loop.getInductionVar();
    for (unsigned i = root.numLoops(); i-- > 0;) {
      if (isParallel(i))
        continue;
      Value extent = kernel.size(root.extents[i]);
      at[i] = arith::RemUIOp::create(builder, loc, number, extent);
      number = arith::DivUIOp::create(builder, loc, number, extent);
    }
    SmallVector<Value> operands;
    for (const Access &input : root.inputs)
      operands.push_back(
          input.view.base
              ? memref::LoadOp::create(builder, loc,
                                       kernel.buffer(addressOf(input.view), input.view.element),
                                       kernel.linear(input.coefficients, at))
                    .getResult()
              : Value());
    operands.push_back(loop.getRegionIterArg(0));
    scf::YieldOp::create(builder, loc, emitBody(kernel, root, operands, at, 0, addressOf));
  }

  // Halves on halves, until the first thread has all of it.
  auto combine = [&](Value a, Value b) {
    IRMapping mapping;
    Value accumulator = root.body->getArguments().back();
    for (Value operand : combiner->op->getOperands())
      mapping.map(operand, operand == accumulator ? a : b);
    return builder.clone(*combiner->op, mapping)->getResult(0);
  };
  memref::StoreOp::create(builder, loc, loop.getResult(0), parts, thread);
  for (int64_t half = rowThreads / 2; half > 0; half /= 2) {
    rt::BarrierOp::create(builder, loc);
    Value isIn = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, thread,
                                       kernel.constant(half));
    auto choice = scf::IfOp::create(builder, loc, isIn, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&choice.getThenRegion().front());
    Value mine = memref::LoadOp::create(builder, loc, parts, thread);
    Value other =
        memref::LoadOp::create(builder, loc, parts, kernel.add(thread, kernel.constant(half)));
    memref::StoreOp::create(builder, loc, combine(mine, other), parts, thread);
  }
  Value isFirst =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, thread, kernel.constant(0));
  auto choice = scf::IfOp::create(builder, loc, isFirst, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&choice.getThenRegion().front());
  Value sum = memref::LoadOp::create(builder, loc, parts, kernel.constant(0));
  Value buffer = kernel.buffer(addressOf(output.view), element);
  Value place = kernel.linear(output.coefficients, indices);
  if (combiner->neutral) {
    Value init = root.inits[0] ? arith::ConstantOp::create(builder, loc, root.inits[0]).getResult()
                               : memref::LoadOp::create(builder, loc, buffer, place).getResult();
    sum = combine(init, sum);
  }
  memref::StoreOp::create(builder, loc, sum, buffer, place);
  SmallVector<Value> shared(ArrayRef(indices).take_front(group.sharedLoops));
  for (const Stage &stage : llvm::drop_begin(group.stages))
    emitItem(kernel, stage, shared, addressOf);
  return work;
}
