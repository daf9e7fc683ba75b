// The walk over @main: values to views, operations to groups and host code.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "KernelBuilder.h"
#include "dialects/Rt/DeviceCode.h"
#include "dialects/Sched/Sched.h"
#include "lathe/ArtifactFormat.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

HostProgram::HostProgram(func::FuncOp main, const Options &options)
    : main(main), module(main->getParentOfType<ModuleOp>()), options(options),
      builder(main.getContext()) {}
HostProgram::~HostProgram() = default;

void HostProgram::flush() {
  if (group.stages.empty())
    return;
  Group done = std::move(group);
  group = Group();
  if (options.optLevel > 0 && !done.tiled)
    reuseResults(done);
  SmallVector<std::pair<View, Value>> addresses;
  auto address = [&](Location loc, const View &view) {
    auto known = llvm::find_if(addresses, [&](auto &it) { return sameMemory(it.first, view); });
    Value address = known != addresses.end() ? known->second : addressOf(loc, view);
    addresses.push_back({view, address});
    return address;
  };
  kernels->dispatch(
      builder, call, done, address,
      [&](Location loc, Type element, const Size &size) { return allocate(loc, element, size); });
  Block::iterator next = builder.getInsertionPoint();
  if (options.target.itemPerThread && next != builder.getInsertionBlock()->begin())
    addExtents(*std::prev(next), addresses);
}

void HostProgram::addExtents(Operation &dispatched, ArrayRef<std::pair<View, Value>> addresses) {
  auto dispatch = dyn_cast<rt::DispatchOp>(dispatched);
  auto kernel = dispatch ? module.lookupSymbol<func::FuncOp>(dispatch.getKernel()) : nullptr;
  if (!kernel || rt::regionRunsOnDevice(kernel.getBody()))
    return;
  Location loc = dispatch.getLoc();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(dispatch);
  auto number = [&](const Size &size) { return sizes.materialize(builder, loc, size); };
  SmallVector<Value> extents;
  Value none = number(Size(0)), one = number(Size(1));
  // Up to the last element, where there is any; strides may lead back.
  auto extentOf = [&](const View &view) -> Value {
    Value elements = one, isEmpty = arith::ConstantIntOp::create(builder, loc, 0, 1);
    for (auto [size, stride] : llvm::zip_equal(view.sizes, view.strides)) {
      Value count = number(size);
      Value isNone = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, count, none);
      isEmpty = arith::OrIOp::create(builder, loc, isEmpty, isNone);
      Value far = arith::MulIOp::create(
          builder, loc, arith::SubIOp::create(builder, loc, count, one), number(stride));
      elements = arith::AddIOp::create(builder, loc, elements,
                                       arith::MaxSIOp::create(builder, loc, far, none));
    }
    elements = arith::SelectOp::create(builder, loc, isEmpty, none, elements);
    int64_t width = std::max<int64_t>(1, view.element.getIntOrFloatBitWidth() / 8);
    return arith::MulIOp::create(builder, loc, elements, number(Size(width)));
  };
  for (Value buffer : dispatch.getBuffers()) {
    Value extent = none;
    for (const auto &[view, address] : addresses)
      if (address == buffer)
        extent = arith::MaxSIOp::create(builder, loc, extent, extentOf(view));
    extents.push_back(extent);
  }
  dispatch.getExtentsMutable().assign(extents);
}

void HostProgram::dispatchCopy(Location loc, const View &from, const View &to) {
  flush();
  auto body = std::make_unique<Block>();
  Value element = body->addArgument(from.element, loc);
  body->addArgument(to.element, loc);
  OpBuilder inner(builder.getContext());
  inner.setInsertionPointToEnd(body.get());
  linalg::YieldOp::create(inner, loc, element);
  Stage stage(loc);
  stage.body = body.get();
  bodies.push_back(std::move(body));
  stage.extents = to.sizes;
  stage.reduction.assign(to.sizes.size(), false);
  stage.inputs.push_back({from, from.strides});
  stage.outputs.push_back({to, to.strides});
  stage.inits.push_back(nullptr);
  stage.readsOutput.push_back(false);
  stage.storesOutput.push_back(true);
  push(std::move(stage));
  flush();
}

void HostProgram::dispatchFill(Location loc, OpFoldResult value, const View &to) {
  auto body = std::make_unique<Block>();
  body->addArgument(to.element, loc);
  OpBuilder inner(builder.getContext());
  inner.setInsertionPointToEnd(body.get());
  Stage stage(loc);
  Value element;
  if (auto attribute = dyn_cast<Attribute>(value)) {
    element = arith::ConstantOp::create(inner, loc, cast<TypedAttr>(attribute));
  } else {
    element = cast<Value>(value); // a scalar of @main; the kernel gets it as an argument
    stage.scalars.push_back({element, scalars.lookup(element)});
  }
  linalg::YieldOp::create(inner, loc, element);
  stage.body = body.get();
  bodies.push_back(std::move(body));
  stage.extents = to.sizes;
  stage.reduction.assign(to.sizes.size(), false);
  stage.outputs.push_back({to, to.strides});
  stage.inits.push_back(nullptr);
  stage.readsOutput.push_back(false);
  stage.storesOutput.push_back(true);
  push(std::move(stage));
}

Type lathe::schedule::hostType(Type type) {
  return isa<rt::ValueType>(type) ? LLVM::LLVMPointerType::get(type.getContext()) : type;
}

LogicalResult HostProgram::cloneScalar(Operation &op) {
  for (Value operand : op.getOperands())
    if (!scalars.contains(operand))
      return op.emitError("operand ") << operand << " is not a scalar of the host program";
  Operation *clone = builder.clone(op, scalars);
  for (Value result : clone->getResults())
    result.setType(hostType(result.getType()));
  return success();
}

// Moves scalar arithmetic that depends on nothing but the inputs' dims to the top of the block, and
// then the checks of it: before anything is written into the outputs, whose sizes follow from it.
void HostProgram::hoistShapeArithmetic(Block &block) {
  Operation *last = nullptr;
  SmallVector<Operation *> checks;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto fromEntry = [&](Value operand) {
      return isa<BlockArgument>(operand) || hoisted.contains(operand.getDefiningOp());
    };
    if (isa<rt::CheckOp>(op) && llvm::all_of(op.getOperands(), fromEntry))
      checks.push_back(&op);
    bool scalar = llvm::none_of(op.getResultTypes(), llvm::IsaPred<ShapedType>);
    bool dim = isa<tensor::DimOp>(op) && isa<BlockArgument>(op.getOperand(0));
    bool pure = isPure(&op) && op.getNumRegions() == 0 && scalar && op.getNumResults() > 0 &&
                llvm::none_of(op.getOperandTypes(), llvm::IsaPred<ShapedType>);
    if (!(dim || pure) || !llvm::all_of(op.getOperands(), fromEntry))
      continue;
    hoisted.insert(&op);
    if (last)
      op.moveAfter(last);
    else
      op.moveBefore(&block, block.begin());
    last = &op;
  }
  for (Operation *check : checks) { // there is arithmetic that they check
    check->moveAfter(last);
    last = check;
  }
}

LogicalResult HostProgram::walkBlock(Block &block) {
  assignDestinations(block);
  for (Operation &op : block)
    if (failed(walkOp(op)))
      return failure();
  flush();
  return success();
}

LogicalResult HostProgram::walkOp(Operation &op) {
  return TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<linalg::GenericOp, linalg::FillOp, tensor::EmptyOp, tensor::ExtractSliceOp,
            tensor::InsertSliceOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp,
            tensor::PadOp, tensor::ExtractOp, tensor::FromElementsOp, tensor::DimOp,
            arith::ConstantOp, arith::SelectOp, rt::WeightOp, rt::BytesOp, rt::PackedOp, rt::CallOp,
            scf::ForOp, scf::WhileOp, scf::IfOp, rt::ListOp, rt::AppendOp, rt::StackOp,
            func::CallOp, func::ReturnOp>([&](auto typed) { return visit(typed); })
      .Case([&](rt::CheckOp) {
        flush();
        return cloneScalar(op);
      })
      .Case([&](scf::YieldOp) { return success(); })
      .Default([&](Operation *other) -> LogicalResult {
        bool scalar = llvm::none_of(other->getOperandTypes(), llvm::IsaPred<ShapedType>) &&
                      llvm::none_of(other->getResultTypes(), llvm::IsaPred<ShapedType>);
        if (scalar && other->getNumRegions() == 0)
          return cloneScalar(*other);
        return other->emitError("operation '") << other->getName() << "' cannot be scheduled";
      });
}

LogicalResult HostProgram::build() {
  MLIRContext *context = builder.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Location loc = main.getLoc();
  builder.setInsertionPoint(main);
  kernels = std::make_unique<KernelBuilder>(module, sizes, options);

  auto run = func::FuncOp::create(builder, loc, "run",
                                  builder.getFunctionType({pointer}, {builder.getI32Type()}));
  Block *entry = run.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  call = entry->getArgument(0);
  allocMarker = LLVM::UndefOp::create(builder, loc, builder.getI64Type());

  Block &body = main.getBody().front();
  hoistShapeArithmetic(body);

  // Inputs: contiguous, as the runtime guarantees.
  builder.setInsertionPoint(allocMarker);
  for (BlockArgument argument : body.getArguments()) {
    unsigned index = argument.getArgNumber();
    if (isa<rt::ValueType>(argument.getType())) {
      scalars.map(argument, rt::InputValueOp::create(builder, loc, pointer, call, index));
      continue;
    }
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      return main.emitError("input ") << index << " is not a ranked tensor";
    View view;
    view.element = elementInMemory(type.getElementType());
    for (auto [dim, size] : llvm::enumerate(type.getShape()))
      view.sizes.push_back(
          ShapedType::isDynamic(size)
              ? sizes.get(rt::DimOp::create(builder, loc, builder.getIndexType(), call, index, dim))
              : Size(size));
    view.strides = contiguousStrides(view.sizes);
    view.base = rt::InputOp::create(builder, loc, pointer, call, index);
    views[argument] = view;
  }
  // Shape arithmetic stands at the top of @main now; it is cloned above the allocations.
  assignDestinations(body);
  bool prologue = true;
  for (Operation &op : body) {
    bool scalar =
        isPure(&op) && op.getNumRegions() == 0 && op.getNumResults() > 0 &&
        llvm::none_of(op.getResultTypes(), llvm::IsaPred<ShapedType>) &&
        (isa<tensor::DimOp>(op) || llvm::none_of(op.getOperandTypes(), llvm::IsaPred<ShapedType>));
    if (prologue && !scalar) {
      prologue = false;
      builder.setInsertionPointToEnd(entry);
    }
    if (failed(walkOp(op)))
      return failure();
  }
  allocMarker->erase();
  kernels->finish();
  if (failed(buildPlan(run)))
    return failure();
  bodies.clear(); // they use scalars of @main
  main.erase();
  return success();
}

LogicalResult HostProgram::visit(func::ReturnOp op) {
  Location loc = op.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  for (auto [index, value] : llvm::enumerate(op.getOperands())) {
    if (isa<rt::ValueType>(value.getType())) {
      flush();
      rt::OutputValueOp::create(builder, loc, call, index, scalars.lookup(value));
      outputDims.emplace_back();
      continue;
    }
    View view = getView(value);
    SmallVector<Size> shape = view.sizes;
    if (auto packed = value.getDefiningOp<rt::PackedOp>()) {
      view = getView(packed.getBytes());
      shape = getSizes(value);
    }
    SmallVector<Value> dims;
    bool dependsOnData = false;
    for (const Size &size : shape) {
      bool atEntry = isAtEntry(size);
      dependsOnData |= !atEntry;
      OpBuilder::InsertionGuard guard(builder);
      if (atEntry)
        builder.setInsertionPoint(allocMarker);
      Value dim = sizes.materialize(builder, loc, size);
      dims.push_back(atEntry ? dim : Value());
    }
    View output = view;
    output.offset = nullptr;
    output.constantOffset = 0;
    output.strides = contiguousStrides(view.sizes);
    if (dependsOnData) {
      flush();
      SmallVector<Value> all;
      for (const Size &size : shape)
        all.push_back(sizes.materialize(builder, loc, size));
      output.base = rt::AllocateOutputOp::create(builder, loc, pointer, call, index, all);
      dispatchCopy(loc, view, output);
    } else {
      auto existing = view.base.getDefiningOp<rt::OutputOp>();
      if (!existing || existing.getIndex() != index || view.offset || view.constantOffset) {
        output.base = rt::OutputOp::create(builder, loc, pointer, call, index);
        dispatchCopy(loc, view, output);
      }
    }
    outputDims.push_back(dims);
  }
  flush();
  Value ok = arith::ConstantIntOp::create(builder, loc, LATHE_CODE_OK, 32);
  func::ReturnOp::create(builder, loc, ok);
  return success();
}

LogicalResult HostProgram::buildPlan(func::FuncOp run) {
  MLIRContext *context = builder.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Location loc = run.getLoc();
  builder.setInsertionPointAfter(run);
  auto plan = func::FuncOp::create(
      builder, loc, "plan", builder.getFunctionType({pointer, pointer}, {builder.getI32Type()}));
  Block *entry = plan.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  IRMapping mapping;
  mapping.map(call, entry->getArgument(0));
  // What stands before the allocations is shape arithmetic, all of it pure.
  for (Operation &op : run.getBody().front()) {
    bool scalar = op.getNumResults() == 1 && op.getResult(0).getType().isIntOrIndexOrFloat();
    if (scalar && isPure(&op) && op.getNumRegions() == 0 &&
        llvm::all_of(op.getOperands(), [&](Value operand) { return mapping.contains(operand); }))
      builder.clone(op, mapping);
  }
  for (auto [index, dims] : llvm::enumerate(outputDims)) {
    SmallVector<Value> known;
    SmallVector<int64_t> unknown;
    for (auto [position, dim] : llvm::enumerate(dims)) {
      if (!dim)
        unknown.push_back(position);
      known.push_back(dim ? mapping.lookup(dim)
                          : arith::ConstantIndexOp::create(builder, loc, 0).getResult());
    }
    rt::PlanOutputOp::create(builder, loc, entry->getArgument(0), index, known, unknown);
  }
  Value ok = arith::ConstantIntOp::create(builder, loc, LATHE_CODE_OK, 32);
  func::ReturnOp::create(builder, loc, ok);
  return success();
}

LogicalResult lathe::schedule::formDispatches(ModuleOp module, const Options &options) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError("the module has no function @main");
  if (!main.getBody().hasOneBlock())
    return main.emitError("@main has more than one block");
  if (failed(expandComposites(module, options)) || failed(HostProgram(main, options).build()))
    return failure();
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    if (function->hasAttr(sched::kindAttrName))
      function.erase();
  return success();
}
