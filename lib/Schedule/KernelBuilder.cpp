// Kernel functions: arguments, bodies, dispatch.
// Apache-2.0 WITH LLVM-exception
#include "KernelBuilder.h"
#include "dialects/Rt/Rt.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/VectorInterfaces.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

//===----------------------------------------------------------------------===//
// Kernel
//===----------------------------------------------------------------------===//

Kernel::Kernel(func::FuncOp function, const SizeTable &sizes)
    : function(function), builder(function.getContext()), loc(function.getLoc()), sizes(sizes) {
  Block &entry = function.getBody().front();
  builder.setInsertionPointToEnd(&entry);
  prologueEnd = LLVM::UndefOp::create(builder, loc, builder.getI64Type());
}

OpBuilder Kernel::prologue() {
  OpBuilder early(function.getContext());
  early.setInsertionPoint(prologueEnd);
  return early;
}

Value Kernel::buffer(Value hostAddress, Type element) {
  auto [it, inserted] = buffers.insert({{hostAddress, element}, Value()});
  if (!inserted)
    return it->second;
  Value argument;
  auto position = llvm::find(hostBuffers, hostAddress);
  if (position != hostBuffers.end()) {
    argument = function.getArgument(1 + (position - hostBuffers.begin()));
  } else {
    hostBuffers.push_back(hostAddress);
    argument = function.getBody().front().insertArgument(
        hostBuffers.size(), LLVM::LLVMPointerType::get(function.getContext()), loc);
  }
  OpBuilder early = prologue();
  auto type = MemRefType::get({int64_t(1) << 40}, element);
  it->second = rt::ViewOp::create(early, loc, type, argument, ValueRange{}, ValueRange{});
  return it->second;
}

Value Kernel::scalar(Value hostScalar) {
  auto [it, inserted] = arguments.try_emplace(hostScalar);
  if (!inserted)
    return it->second;
  hostSizes.push_back(hostScalar);
  BlockArgument argument = function.getBody().front().insertArgument(
      hostBuffers.size() + hostSizes.size(), builder.getIndexType(), loc);
  it->second = argument;
  Type type = hostScalar.getType();
  if (type.isIndex())
    return argument;
  OpBuilder early = prologue();
  Value value = unpackScalar(early, loc, argument, type);
  it->second = value;
  return value;
}

Value Kernel::size(const Size &size) {
  if (size.isStatic())
    return constant(size.constant);
  OpBuilder early = prologue();
  Value product;
  for (unsigned factor : size.factors) {
    Value value = scalar(sizes.getValue(factor));
    product = product ? arith::MulIOp::create(early, loc, product, value,
                                              arith::IntegerOverflowFlags::nsw)
                            .getResult()
                      : value;
  }
  if (size.constant == 1)
    return product;
  return arith::MulIOp::create(early, loc, product, constant(size.constant),
                               arith::IntegerOverflowFlags::nsw);
}

Value Kernel::constant(int64_t value) {
  Value &known = constants[value];
  if (!known) {
    OpBuilder early(function.getContext());
    early.setInsertionPointToStart(&function.getBody().front());
    known = arith::ConstantIndexOp::create(early, loc, value);
  }
  return known;
}

void lathe::schedule::forUnits(Kernel &kernel, Value units, Value items,
                               llvm::function_ref<void(Value)> body) {
  OpBuilder &builder = kernel.builder;
  auto unitsBefore = [&](Value item) -> Value {
    return arith::DivUIOp::create(builder, kernel.loc, kernel.mul(item, units), items);
  };
  auto loop = scf::ForOp::create(builder, kernel.loc, unitsBefore(kernel.begin()),
                                 unitsBefore(kernel.end()), kernel.constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

static std::optional<int64_t> asConstant(Value value) {
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  return std::nullopt;
}

Value Kernel::add(Value a, Value b) {
  std::optional<int64_t> x = asConstant(a), y = asConstant(b);
  if (x && y)
    return constant(*x + *y);
  if (x && *x == 0)
    return b;
  if (y && *y == 0)
    return a;
  return arith::AddIOp::create(builder, loc, a, b, arith::IntegerOverflowFlags::nsw);
}

Value Kernel::mul(Value a, Value b) {
  std::optional<int64_t> x = asConstant(a), y = asConstant(b);
  if (x && y)
    return constant(*x * *y);
  if ((x && *x == 0) || (y && *y == 0))
    return constant(0);
  if (x && *x == 1)
    return b;
  if (y && *y == 1)
    return a;
  return arith::MulIOp::create(builder, loc, a, b, arith::IntegerOverflowFlags::nsw);
}

Value Kernel::linear(ArrayRef<Size> coefficients, ArrayRef<Value> indices) {
  Value sum = constant(0);
  for (auto [coefficient, index] : llvm::zip(coefficients, indices))
    if (!coefficient.isZero() && index)
      sum = add(sum, mul(index, size(coefficient)));
  return sum;
}

SmallVector<Value> Kernel::split(Value number, ArrayRef<Size> extents) {
  SmallVector<Value> indices(extents.size());
  // The slowest loop has what is left.
  unsigned slowest =
      llvm::find_if(extents, [](const Size &extent) { return !extent.is(1); }) - extents.begin();
  for (unsigned i = extents.size(); i-- > 0;) {
    if (extents[i].is(1)) {
      indices[i] = constant(0);
    } else if (i == slowest) {
      indices[i] = number;
    } else {
      Value extent = size(extents[i]);
      indices[i] = arith::RemUIOp::create(builder, loc, number, extent);
      number = arith::DivUIOp::create(builder, loc, number, extent);
    }
  }
  return indices;
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

bool lathe::schedule::isVectorizable(Operation &op) {
  if (op.getNumRegions() > 0 || op.getNumResults() != 1)
    return false;
  if (isa<arith::ConstantOp>(op))
    return true;
  return op.hasTrait<OpTrait::Vectorizable>() && op.hasTrait<OpTrait::Elementwise>() &&
         !op.getResult(0).getType().isIndex() &&
         llvm::none_of(op.getOperandTypes(), llvm::IsaPred<IndexType>);
}

bool lathe::schedule::isVectorizable(Block &body) {
  return llvm::all_of(body.without_terminator(), [](Operation &op) { return isVectorizable(op); });
}

void lathe::schedule::ignoreZeroSigns(Operation *op) {
  auto set = [](auto extreme) {
    extreme.setFastmath(extreme.getFastmath() | arith::FastMathFlags::nsz);
  };
  if (auto max = dyn_cast<arith::MaximumFOp>(op))
    set(max);
  else if (auto min = dyn_cast<arith::MinimumFOp>(op))
    set(min);
}

// `made`, a sum of the body, as one multiply-add with its operand that is a product nobody else
// reads; null where there is none. Left to LLVM, the same sum might be rounded twice in the whole
// vectors of a row, where it can move the product out of a loop, and once in its tail.
static Value fuseProduct(OpBuilder &builder, Operation &op, Operation *made) {
  Type type = op.getNumResults() == 1 ? op.getResult(0).getType() : Type();
  if (!isa<arith::AddFOp, arith::SubFOp>(op) || !(type.isF32() || type.isF64()))
    return {};
  auto contracts = [](Operation *operation) {
    auto flags = cast<arith::ArithFastMathInterface>(operation).getFastMathFlagsAttr().getValue();
    return bitEnumContainsAny(flags, arith::FastMathFlags::contract);
  };
  for (unsigned i : {0u, 1u}) {
    auto product = op.getOperand(i).getDefiningOp<arith::MulFOp>();
    auto madeProduct = made->getOperand(i).getDefiningOp<arith::MulFOp>();
    if (!product || !madeProduct || !product->hasOneUse() || product->getBlock() != op.getBlock() ||
        !contracts(product) || !contracts(&op))
      continue;
    Value a = madeProduct.getLhs(), b = madeProduct.getRhs(), other = made->getOperand(1 - i);
    auto negate = [&](Value value) { return arith::NegFOp::create(builder, op.getLoc(), value); };
    if (isa<arith::SubFOp>(op))
      (i == 0 ? other : a) = negate(i == 0 ? other : a);
    Value fused = math::FmaOp::create(builder, op.getLoc(), a, b, other);
    made->erase();
    madeProduct->erase();
    return fused;
  }
  return {};
}

SmallVector<Value> lathe::schedule::emitBody(Kernel &kernel, const Stage &stage,
                                             ArrayRef<Value> operands, ArrayRef<Value> indices,
                                             int64_t lanes,
                                             llvm::function_ref<Value(const View &)> addressOf,
                                             const RowReads *rows) {
  IRMapping mapping;
  OpBuilder &builder = kernel.builder;
  auto splat = [&](Value value) -> Value {
    if (lanes == 0 || isa<VectorType>(value.getType()))
      return value;
    return vector::BroadcastOp::create(builder, value.getLoc(),
                                       VectorType::get({lanes}, value.getType()), value);
  };
  // What is the same in all lanes stays a scalar where scalar operations may want it.
  auto shared = [&](Value value) { return rows ? value : splat(value); };
  for (auto [argument, value] : llvm::zip(stage.body->getArguments(), operands))
    if (value)
      mapping.map(argument, value);
  for (const auto &[inside, host] : stage.scalars)
    mapping.map(inside, shared(kernel.scalar(host)));
  // Views of captured tensors, for reads at computed places.
  auto captured = [&](Value tensor) -> const View & {
    for (const auto &[value, view] : stage.captures)
      if (value == tensor)
        return view;
    llvm_unreachable("makeStage lists every captured tensor");
  };
  std::function<void(Block &)> emitBlock = [&](Block &block) {
    for (Operation &op : block.without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(op)) {
        mapping.map(index.getResult(), indices[index.getDim()]);
        continue;
      }
      auto lookup = [&](Value value) -> Value {
        if (Value known = mapping.lookupOrNull(value))
          return known;
        Attribute constant;
        bool found = matchPattern(value, m_Constant(&constant));
        assert(found && "makeStage lists every scalar that is not constant");
        (void)found;
        Value made = arith::ConstantOp::create(builder, value.getLoc(), cast<TypedAttr>(constant));
        return made;
      };
      if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
        const View &view = captured(extract.getTensor());
        SmallVector<Value> at(llvm::map_range(extract.getIndices(), lookup));
        Value buffer = kernel.buffer(addressOf(view), view.element);
        Value place = kernel.linear(view.strides, at), read;
        Type row = lanes ? VectorType::get({lanes}, view.element) : Type();
        if (lanes == 0 || rows->uniform.contains(extract))
          read = memref::LoadOp::create(builder, op.getLoc(), buffer, place);
        else if (rows->mask)
          read = vector::MaskedLoadOp::create(
              builder, op.getLoc(), row, buffer, place, rows->mask,
              arith::ConstantOp::create(builder, op.getLoc(), builder.getZeroAttr(row)));
        else
          read = vector::LoadOp::create(builder, op.getLoc(), row, buffer, place);
        mapping.map(extract.getResult(), read);
        continue;
      }
      if (auto dim = dyn_cast<tensor::DimOp>(op)) {
        const View &view = captured(dim.getSource());
        mapping.map(dim.getResult(), kernel.size(view.sizes[*dim.getConstantIndex()]));
        continue;
      }
      for (Value operand : op.getOperands())
        if (!mapping.contains(operand))
          mapping.map(operand, shared(lookup(operand)));
      if (op.getNumRegions() > 0) {
        // Control flow inside a body is scalar; its values from outside are mapped before it, where
        // they dominate what follows as well.
        op.walk([&](Operation *inner) {
          for (Value operand : inner->getOperands())
            if (!mapping.contains(operand) && !isa<ShapedType>(operand.getType()) &&
                !op.isAncestor(operand.getParentBlock()->getParentOp()))
              mapping.map(operand, lookup(operand));
        });
        Operation *copy = builder.insert(op.cloneWithoutRegions(mapping));
        for (auto [from, to] : llvm::zip_equal(op.getRegions(), copy->getRegions())) {
          if (from.empty())
            continue;
          Block &block = to.emplaceBlock();
          for (BlockArgument argument : from.getArguments())
            mapping.map(argument, block.addArgument(argument.getType(), argument.getLoc()));
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPointToEnd(&block);
          emitBlock(from.front());
          builder.clone(*from.front().getTerminator(), mapping);
        }
        continue;
      }
      if (lanes == 0 || (rows && rows->uniform.contains(&op))) {
        Operation *copy = builder.clone(op, mapping);
        if (Value fused = fuseProduct(builder, op, copy)) {
          mapping.map(op.getResult(0), fused);
          continue;
        }
        // Kernels know no node, so the message of a check names it from here on.
        if (auto check = dyn_cast<rt::CheckOp>(copy))
          if (std::string node = rt::describeNode(op.getLoc()); !node.empty())
            check.setMessage(node + ": " + check.getMessage().str());
        continue;
      }
      if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
        mapping.map(constant.getResult(), shared(builder.clone(op)->getResult(0)));
        continue;
      }
      OperationState state(op.getLoc(), op.getName());
      for (Value operand : op.getOperands())
        state.operands.push_back(splat(mapping.lookup(operand)));
      state.addTypes(VectorType::get({lanes}, op.getResult(0).getType()));
      state.attributes = op.getAttrs();
      state.propertiesAttr = op.getPropertiesAsAttribute();
      Operation *made = builder.create(state);
      ignoreZeroSigns(made);
      Value fused = fuseProduct(builder, op, made);
      mapping.map(op.getResult(0), fused ? fused : made->getResult(0));
    }
  };
  emitBlock(*stage.body);
  SmallVector<Value> results;
  for (Value value : stage.body->getTerminator()->getOperands()) {
    if (Value known = mapping.lookupOrNull(value)) {
      results.push_back(splat(known));
      continue;
    }
    Attribute constant;
    matchPattern(value, m_Constant(&constant));
    results.push_back(
        splat(arith::ConstantOp::create(builder, value.getLoc(), cast<TypedAttr>(constant))));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

Value SizeSum::materialize(OpBuilder &builder, Location loc, const SizeTable &sizes) const {
  Value sum = arith::ConstantIndexOp::create(builder, loc, 0);
  for (const Size &term : terms)
    sum = arith::AddIOp::create(builder, loc, sum, sizes.materialize(builder, loc, term));
  return sum;
}

static bool isArithmetic(Operation &op) {
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::MaximumFOp,
             arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp>(op) ||
         isa<math::MathDialect>(op.getDialect());
}

static WorkCount countWork(const Group &group) {
  WorkCount work;
  llvm::SmallDenseSet<std::pair<Value, int64_t>> seen;
  for (const Stage &stage : group.stages) {
    Size iterations(llvm::count_if(stage.body->without_terminator(), isArithmetic));
    for (const Size &extent : stage.extents)
      iterations = iterations * extent;
    work.flops.add(iterations);
    auto touch = [&](const Access &access) {
      if (!access.view.base || !seen.insert({access.view.base, access.view.constantOffset}).second)
        return;
      Size bytes(std::max<int64_t>(1, access.view.element.getIntOrFloatBitWidth() / 8));
      for (const Size &size : access.view.sizes)
        bytes = bytes * size;
      work.bytes.add(bytes);
    };
    llvm::for_each(stage.inputs, touch);
    for (auto [output, stores] : llvm::zip_equal(stage.outputs, stage.storesOutput))
      if (stores)
        touch(output);
  }
  return work;
}

void KernelBuilder::dispatch(OpBuilder &builder, Value call, Group group, HostAddress addressOf,
                             HostAllocation allocate) {
  if (group.tiled || !splitDepth(builder, call, group, addressOf, allocate))
    dispatchWhole(builder, call, std::move(group), addressOf, allocate);
}

void KernelBuilder::dispatchWhole(OpBuilder &builder, Value call, Group group,
                                  HostAddress addressOf, HostAllocation allocate) {
  Location loc = group.stages.front().loc;
  std::optional<WinogradPlan> winograd;
  View scratch;
  // What is counted is the operations that the model asks for, however they are done.
  WorkCount counted;
  std::string shape;
  Tiling tiling;
  if (group.tiled) {
    Stage &root = group.stages.front();
    // A result without elements. Joined with the others, such a loop is one that no tile runs
    // across.
    for (auto [extent, isReduction] : llvm::zip_equal(root.extents, root.reduction))
      if (!isReduction && extent.isZero())
        return;
    keepInRegisters(group);
    counted = countWork(group);
    shape = describeShape(root);
    tiling = options.findTiling(shape);
    if (!options.strict && !group.isPacked)
      winograd = planWinograd(root, options.target, tiling);
    if (winograd) {
      transformWinogradWeights(builder, call, root, *winograd);
      scratch = allocate(loc, builder.getF32Type(), winograd->slot * winograd->items);
      // How much work there is, only the run knows.
      if (!winograd->isStatic) {
        constexpr int64_t itemWork = 1800000; // of which Winograd's algorithm does a third
        Size work(1);
        for (const Size &extent : root.extents)
          work = work * extent;
        winograd->count = boundedItems(builder, loc, work, itemWork, winograd->items);
      }
    } else if (!group.isPacked) {
      collapseTiledGroup(group);
      TileChoice choice = *chooseTile(root, options.target);
      packWeights(builder, call, group, choice, options.target);
      if (packOperand(builder, call, group, choice, addressOf, allocate))
        return;
    }
  } else {
    counted = countWork(group);
  }
  Draft draft{"loop", {}, counted};
  draft.shape = std::move(shape);
  draft.checked = llvm::any_of(group.stages, [](const Stage &stage) { return stage.checked; });
  // The dispatch carries the nodes of all its stages; messages name the first.
  for (const Stage &stage : group.stages)
    draft.nodes.push_back(stage.loc);
  emit(builder, call, draft, [&](Kernel &kernel) {
    auto address = [&](const View &view) { return addressOf(loc, view); };
    if (winograd) {
      draft.kind = "winograd";
      return emitWinograd(kernel, group, *winograd, scratch, options.target, address);
    }
    if (group.tiled) {
      draft.kind = "tile";
      return emitTiles(kernel, group, options, tiling, address);
    }
    if (usesVectors(options) && group.stages.size() == 1)
      if (auto work = emitTransposed(kernel, group.stages.front(), options.target, address)) {
        draft.kind = "transpose";
        return *work;
      }
    if (options.optLevel > 0 && options.target.itemPerThread) {
      if (group.stages.size() == 1) {
        collapseLoops(group.stages.front());
        group.sharedLoops = group.stages.front().countLeadingParallel();
      }
      if (auto work = emitBlockTiles(kernel, group, options.target, address)) {
        draft.kind = "tile";
        return *work;
      }
      if (auto work = emitBlockColumns(kernel, group, address)) {
        draft.kind = "column";
        return *work;
      }
      if (auto work = emitBlockRows(kernel, group, address)) {
        draft.kind = "row";
        draft.work = countWork(group);
        return *work;
      }
      if (auto work = emitBlockTransposes(kernel, group, address)) {
        draft.kind = "transpose";
        return *work;
      }
      if (auto work = emitThreadVectors(kernel, group, address))
        return *work;
    }
    return emitLoops(kernel, group, options, address);
  });
}

void KernelBuilder::dispatch(OpBuilder &builder, Value call, Location loc, AttentionShape shape,
                             HostAddress addressOf, HostAllocation allocate) {
  bool isBlock = options.target.itemPerThread;
  if (!isBlock)
    planAttention(shape, options.target);
  if (shape.items > 1) {
    constexpr int64_t itemWork = 600000;
    Size work(shape.query.sizes[3].constant + shape.value.sizes[3].constant);
    for (const Size &size :
         {shape.query.sizes[0], shape.query.sizes[1], shape.query.sizes[2], shape.key.sizes[2]})
      work = work * size;
    shape.count = boundedItems(builder, loc, work, itemWork, shape.items);
  }
  View scratch;
  if (!isBlock)
    scratch = allocate(loc, builder.getF32Type(), shape.slot * shape.items);
  Draft draft{"attention", {loc}, {}};
  auto product = [](ArrayRef<Size> parts, int64_t factor) {
    Size total(factor);
    for (const Size &part : parts)
      total = total * part;
    return total;
  };
  // Two products; scale, maximum, difference, exponential and sum of every score.
  const auto &query = shape.query.sizes, &key = shape.key.sizes;
  int64_t perScore = 2 * (query[3].constant + shape.value.sizes[3].constant) + 5;
  draft.work.flops.add(product({query[0], query[1], query[2], key[2]}, perScore));
  for (const View *view : {&shape.query, &shape.key, &shape.value, &shape.result})
    draft.work.bytes.add(product(view->sizes, view->element.getIntOrFloatBitWidth() / 8));
  if (isBlock)
    return dispatchBlocks(builder, call, draft, shape, addressOf, allocate);
  emit(builder, call, draft, [&](Kernel &kernel) {
    auto address = [&](const View &view) { return addressOf(loc, view); };
    return emitAttention(kernel, shape, scratch, options.target, address);
  });
}

Size KernelBuilder::boundedItems(OpBuilder &builder, Location loc, const Size &work, int64_t each,
                                 int64_t most) {
  if (work.isStatic())
    return Size(std::clamp<int64_t>(work.constant / each, 1, most));
  auto number = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value).getResult();
  };
  Value count =
      arith::DivUIOp::create(builder, loc, sizes.materialize(builder, loc, work), number(each));
  count = arith::MaxUIOp::create(builder, loc, count, number(1));
  return sizes.get(arith::MinUIOp::create(builder, loc, count, number(most)));
}

KernelBuilder::Piece KernelBuilder::choosePiece(OpBuilder &builder, Location loc,
                                                const Work &work) {
  Piece piece;
  bool isCounted = work.ceilings.empty() && work.count.isStatic();
  if (work.coarse || (isCounted && work.count.constant <= 1)) {
    piece.serial = isCounted && work.count.constant <= 1;
    return piece;
  }
  if (work.itemCost.isStatic()) {
    piece.grain =
        std::max<int64_t>(1, work.pieceCost / std::max<int64_t>(1, work.itemCost.constant()));
    piece.serial = isCounted && work.count.constant <= piece.grain;
    return piece;
  }
  auto number = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value).getResult();
  };
  Value one = number(1);
  Value cost =
      arith::MaxUIOp::create(builder, loc, work.itemCost.materialize(builder, loc, sizes), one);
  piece.value = arith::MaxUIOp::create(
      builder, loc, arith::DivUIOp::create(builder, loc, number(work.pieceCost), cost), one);
  return piece;
}

void KernelBuilder::emit(OpBuilder &builder, Value call, Draft &draft,
                         llvm::function_ref<Work(Kernel &)> emitBody) {
  Location loc = draft.nodes.front();
  MLIRContext *context = module.getContext();
  auto pointer = LLVM::LLVMPointerType::get(context);
  OpBuilder moduleBuilder = OpBuilder::atBlockEnd(module.getBody());
  auto function = func::FuncOp::create(
      moduleBuilder, UnknownLoc::get(context), "kernel",
      builder.getFunctionType({pointer, builder.getIndexType(), builder.getIndexType()}, {}));
  function.addEntryBlock();
  function.setPrivate();
  Kernel kernel(function, sizes);
  Work work = emitBody(kernel);
  func::ReturnOp::create(kernel.builder, kernel.loc);
  kernel.finish();
  function.setFunctionType(
      builder.getFunctionType(function.getBody().front().getArgumentTypes(), {}));

  std::string name = families.add(function, draft.kind);

  Value count = sizes.materialize(builder, loc, work.count);
  for (const auto &[size, divisor] : work.ceilings) {
    Value part = arith::CeilDivUIOp::create(builder, loc, sizes.materialize(builder, loc, size),
                                            arith::ConstantIndexOp::create(builder, loc, divisor));
    count = arith::MulIOp::create(builder, loc, count, part);
  }
  SmallVector<Value> scalars;
  for (Value size : kernel.hostSizes)
    scalars.push_back(packScalar(builder, loc, size));
  Piece piece = choosePiece(builder, loc, work);
  const WorkCount &counted = draft.work;
  bool isStatic = counted.flops.isStatic() && counted.bytes.isStatic();
  SmallVector<Value> workValues;
  if (!isStatic)
    workValues = {counted.flops.materialize(builder, loc, sizes),
                  counted.bytes.materialize(builder, loc, sizes)};
  auto dispatch = rt::DispatchOp::create(
      builder, FusedLoc::get(context, draft.nodes), FlatSymbolRefAttr::get(context, name), call,
      kernel.hostBuffers, scalars, count, workValues, piece.value,
      /*extents=*/ValueRange(), builder.getI64IntegerAttr(piece.grain),
      piece.serial ? builder.getUnitAttr() : UnitAttr(),
      draft.checked ? builder.getUnitAttr() : UnitAttr());
  if (!draft.shape.empty())
    dispatch->setDiscardableAttr("shape", builder.getStringAttr(draft.shape));
  if (isStatic) {
    dispatch->setDiscardableAttr("flops", builder.getI64IntegerAttr(counted.flops.constant()));
    dispatch->setDiscardableAttr("bytes", builder.getI64IntegerAttr(counted.bytes.constant()));
  }
}
