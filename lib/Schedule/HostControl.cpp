// Branches and loops of the host program: where the tensors lie that they carry and give.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "lathe/ArtifactFormat.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

//===----------------------------------------------------------------------===//
// Tensors as scalars
//===----------------------------------------------------------------------===//

View HostProgram::makeContiguous(Location loc, const View &view) {
  if (view.isContiguous())
    return view;
  View copy = allocate(loc, view.element, view.sizes);
  dispatchCopy(loc, view, copy);
  return copy;
}

void HostProgram::decompose(Location loc, const View &view, ArrayRef<unsigned> dims,
                            SmallVectorImpl<Value> &components) {
  View whole = makeContiguous(loc, view);
  flush();
  components.push_back(addressOf(loc, whole));
  for (unsigned dim : dims)
    components.push_back(sizes.materialize(builder, loc, whole.sizes[dim]));
}

View HostProgram::compose(View like, RankedTensorType type, ArrayRef<unsigned> dims,
                          ValueRange &components) {
  View view;
  view.element = type.getElementType();
  view.base = components.front();
  view.sizes = like.sizes;
  components = components.drop_front();
  for (unsigned dim : dims) {
    view.sizes[dim] = sizes.get(components.front());
    components = components.drop_front();
  }
  view.strides = contiguousStrides(view.sizes);
  return view;
}

static SmallVector<unsigned> dynamicDims(RankedTensorType type) {
  SmallVector<unsigned> dims;
  for (unsigned i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      dims.push_back(i);
  return dims;
}

/// Static sizes of a type; 1 where it has none.
static View shapeOf(RankedTensorType type) {
  View view;
  view.element = type.getElementType();
  for (int64_t size : type.getShape())
    view.sizes.push_back(Size(ShapedType::isDynamic(size) ? 1 : size));
  return view;
}

std::optional<SmallVector<Size>> HostProgram::traceSizes(Value tensor) {
  if (auto it = views.find(tensor); it != views.end())
    return it->second.sizes;
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.hasStaticShape())
    return shapeOf(type).sizes;
  if (auto insert = tensor.getDefiningOp<tensor::InsertSliceOp>())
    return traceSizes(startOfInsertions(insert));
  Operation *def = tensor.getDefiningOp();
  auto known = [&](ArrayRef<OpFoldResult> given) -> std::optional<SmallVector<Size>> {
    if (!isAvailable(given))
      return std::nullopt;
    return llvm::map_to_vector(given, [&](OpFoldResult size) { return getSize(size); });
  };
  if (auto empty = dyn_cast_or_null<tensor::EmptyOp>(def))
    return known(empty.getMixedSizes());
  if (auto expand = dyn_cast_or_null<tensor::ExpandShapeOp>(def))
    return known(expand.getMixedOutputShape());
  if (auto slice = dyn_cast_or_null<tensor::ExtractSliceOp>(def)) {
    SmallVector<OpFoldResult> given;
    for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
      if (!slice.getDroppedDims().test(i))
        given.push_back(size);
    return known(given);
  }
  if (auto collapse = dyn_cast_or_null<tensor::CollapseShapeOp>(def)) {
    std::optional<SmallVector<Size>> source = traceSizes(collapse.getSrc());
    if (!source)
      return std::nullopt;
    SmallVector<Size> result;
    for (const ReassociationIndices &indices : collapse.getReassociationIndices()) {
      Size product(1);
      for (int64_t i : indices)
        product = product * (*source)[i];
      result.push_back(product);
    }
    return result;
  }
  if (auto cast = dyn_cast_or_null<tensor::CastOp>(def))
    return traceSizes(cast.getSource());
  if (auto dps = dyn_cast_or_null<DestinationStyleOpInterface>(def))
    return traceSizes(dps.getTiedOpOperand(mlir::cast<OpResult>(tensor))->get());
  if (auto branch = dyn_cast_or_null<scf::IfOp>(def)) {
    unsigned index = mlir::cast<OpResult>(tensor).getResultNumber();
    auto yes = traceSizes(branch.thenYield().getOperand(index));
    auto no = traceSizes(branch.elseYield().getOperand(index));
    return yes && no && *yes == *no ? yes : std::nullopt;
  }
  if (auto loop = dyn_cast_or_null<scf::ForOp>(def)) {
    unsigned index = mlir::cast<OpResult>(tensor).getResultNumber();
    std::optional<SmallVector<Size>> shape = traceSizes(loop.getInitArgs()[index]);
    if (!shape)
      return std::nullopt;
    Value argument = loop.getRegionIterArg(index);
    views[argument].sizes = *shape;
    auto next = traceSizes(loop.getYieldedValues()[index]);
    views.erase(argument);
    return next && *next == *shape ? shape : std::nullopt;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

LogicalResult HostProgram::startLoop(Location loc, MutableArrayRef<Carried> carried,
                                     ArrayRef<Value> results, SmallVectorImpl<Value> &scalarInits) {
  // Tensors are taken to keep their sizes; which do not, follows from what the body yields.
  SmallVector<SmallVector<Size>> shapes;
  for (Carried &value : carried) {
    shapes.emplace_back();
    if (value.isTensor())
      shapes.back() = getSizes(value.init);
  }
  SmallVector<bool> keeps(carried.size(), true);
  for (bool changed = true; changed;) {
    changed = false;
    for (auto [i, value] : llvm::enumerate(carried))
      if (value.isTensor() && keeps[i])
        for (Value name : {value.argument, value.inBody})
          views[name].sizes = shapes[i];
    SmallVector<bool> found;
    for (auto [i, value] : llvm::enumerate(carried)) {
      auto next = value.isTensor() && keeps[i] ? traceSizes(value.yielded) : std::nullopt;
      found.push_back(!value.isTensor() || (next && *next == shapes[i]));
    }
    for (auto [i, value] : llvm::enumerate(carried)) {
      for (Value name : {value.argument, value.inBody})
        views.erase(name);
      changed |= keeps[i] && !found[i];
      keeps[i] = keeps[i] && found[i];
    }
  }
  for (auto [i, value] : llvm::enumerate(carried)) {
    if (!value.isTensor()) {
      Value scalar = scalars.lookupOrNull(value.init);
      if (!scalar)
        return emitError(loc, "initial value of a loop is not a scalar of the host program");
      scalarInits.push_back(scalar);
      continue;
    }
    auto type = cast<RankedTensorType>(value.argument.getType());
    bool empty = value.init.getDefiningOp<tensor::EmptyOp>() && !views.contains(value.init);
    if (!keeps[i]) {
      value.varying = dynamicDims(type);
      decompose(loc, getView(value.init), value.varying, scalarInits);
      continue;
    }
    // A fill that was expected to be absorbed by a reduction is needed here.
    View from;
    if (!empty)
      from = getView(value.init);
    View place = results[i] && destinations.contains(results[i])
                     ? *getOrCreate(results[i])
                     : allocate(loc, type.getElementType(), shapes[i]);
    if (!empty)
      dispatchCopy(loc, from, place);
    else if (place.base.getDefiningOp<rt::AllocOp>())
      rt::LiveOp::create(builder, loc, place.base); // it is not written before the loop
    value.place = place;
  }
  return success();
}

/// A carried tensor that the body only updates in places needs no copy.
void HostProgram::updateInPlace(ArrayRef<Carried> carried) {
  for (const Carried &value : carried) {
    if (!value.place)
      continue;
    Value root = value.yielded;
    bool inPlace = false;
    while (auto insert = root.getDefiningOp<tensor::InsertSliceOp>()) {
      if (!insert.getDest().hasOneUse())
        break;
      root = insert.getDest();
      inPlace = root == value.inBody;
    }
    for (Value link = value.yielded; inPlace && link != value.inBody;
         link = link.getDefiningOp<tensor::InsertSliceOp>().getDest())
      views[link] = *value.place;
  }
}

/// Brings the new values to where the next iteration expects the carried ones; the scalars to
/// yield.
FailureOr<SmallVector<Value>> HostProgram::endIteration(Location loc, ArrayRef<Carried> carried,
                                                        Region &body) {
  auto isCarried = [&](Value base) {
    return llvm::any_of(carried, [&](const Carried &value) {
      return value.isTensor() && views.find(value.inBody)->second.base == base;
    });
  };
  // All new values are complete before the first place is overwritten; only what lies in a place
  // must be saved first.
  SmallVector<std::optional<View>> from;
  for (const Carried &value : carried) {
    from.emplace_back();
    if (!value.isTensor())
      continue;
    View view = getView(value.yielded), to = views.find(value.inBody)->second;
    if (value.place && view.sizes != to.sizes)
      return emitError(loc, "a carried tensor changes its size from one iteration to the next, "
                            "which cannot be scheduled");
    bool stays = sameMemory(view, to) && view.strides == to.strides;
    if (!stays && isCarried(view.base)) {
      View saved = allocate(loc, view.element, view.sizes);
      dispatchCopy(loc, view, saved);
      view = saved;
    }
    from.back() = view;
  }
  SmallVector<Value> next;
  for (auto [value, view] : llvm::zip_equal(carried, from)) {
    Value yielded = value.yielded;
    if (!value.isTensor()) {
      next.push_back(scalars.lookup(value.yielded));
      continue;
    }
    if (value.place) {
      if (!sameMemory(*view, *value.place))
        dispatchCopy(loc, *view, *value.place);
      continue;
    }
    // The body uses its memory again; the address that is carried must last.
    View to = *view;
    bool stays = view->base == views.find(value.inBody)->second.base;
    if (!stays && body.isAncestor(yielded.getParentRegion())) {
      to = allocate(loc, view->element, view->sizes);
      dispatchCopy(loc, *view, to);
    }
    decompose(loc, to, value.varying, next);
  }
  flush();
  return next;
}

/// The places of a loop last as long as it does, whoever uses them.
void HostProgram::keepAlive(Location loc, ArrayRef<Carried> carried) {
  for (const Carried &value : carried)
    if (value.place && value.place->base.getDefiningOp<rt::AllocOp>())
      rt::LiveOp::create(builder, loc, value.place->base);
}

LogicalResult HostProgram::visit(scf::ForOp op) {
  flush();
  Location loc = op.getLoc();
  SmallVector<Carried> carried;
  for (auto [init, argument, yielded] :
       llvm::zip_equal(op.getInitArgs(), op.getRegionIterArgs(), op.getYieldedValues()))
    carried.push_back({init, argument, yielded, argument, {}, {}});
  SmallVector<Value> inits;
  if (failed(startLoop(loc, carried, SmallVector<Value>(op.getResults()), inits)))
    return failure();
  flush();
  auto lookup = [&](Value value) { return scalars.lookup(value); };
  auto loop = scf::ForOp::create(builder, loc, lookup(op.getLowerBound()),
                                 lookup(op.getUpperBound()), lookup(op.getStep()), inits);
  scalars.map(op.getInductionVar(), loop.getInductionVar());
  auto bind = [&](ValueRange from, ValueRange components) {
    for (auto [value, target] : llvm::zip_equal(carried, from)) {
      if (!value.isTensor()) {
        scalars.map(target, components.front());
        components = components.drop_front();
      } else if (value.place) {
        views[target] = *value.place;
      } else {
        auto type = cast<RankedTensorType>(value.argument.getType());
        views[target] = compose(shapeOf(type), type, value.varying, components);
      }
    }
  };
  bind(op.getRegionIterArgs(), loop.getRegionIterArgs());
  {
    OpBuilder::InsertionGuard guard(builder);
    // A loop that carries no scalar is made with a terminator.
    if (!loop.getBody()->empty())
      loop.getBody()->back().erase();
    builder.setInsertionPointToEnd(loop.getBody());
    rt::PollOp::create(builder, loc, call);
    updateInPlace(carried);
    if (failed(walkBlock(*op.getBody())))
      return failure();
    FailureOr<SmallVector<Value>> next = endIteration(loc, carried, op.getRegion());
    if (failed(next))
      return failure();
    scf::YieldOp::create(builder, loc, *next);
  }
  bind(op.getResults(), loop.getResults());
  keepAlive(loc, carried);
  return success();
}

// The first region decides on scalars alone and passes values on.
LogicalResult HostProgram::visit(scf::WhileOp op) {
  flush();
  Location loc = op.getLoc();
  Block &before = op.getBefore().front(), &after = op.getAfter().front();
  auto condition = cast<scf::ConditionOp>(before.getTerminator());
  SmallVector<Carried> carried;
  for (auto [init, argument, yielded] :
       llvm::zip_equal(op.getInits(), before.getArguments(), after.getTerminator()->getOperands()))
    carried.push_back({init, argument, yielded, argument, {}, {}});
  // Where the second region has no name for a carried value, that of the first region serves.
  SmallVector<Value> results(carried.size());
  for (auto [passed, argument, result] :
       llvm::zip_equal(condition.getArgs(), after.getArguments(), op.getResults()))
    if (auto own = dyn_cast<BlockArgument>(passed); own && own.getOwner() == &before)
      if (!results[own.getArgNumber()]) {
        carried[own.getArgNumber()].inBody = argument;
        results[own.getArgNumber()] = result;
      }
  SmallVector<Value> inits;
  if (failed(startLoop(loc, carried, results, inits)))
    return failure();
  flush();

  // Passed are scalars, and the components of tensors that have no place.
  SmallVector<Type> types;
  SmallVector<unsigned> counts;
  SmallVector<SmallVector<unsigned>> dims;
  for (Value passed : condition.getArgs()) {
    auto own = dyn_cast<BlockArgument>(passed);
    bool isOwn = own && own.getOwner() == &before;
    dims.emplace_back();
    unsigned start = types.size();
    if (!isa<ShapedType>(passed.getType())) {
      types.push_back(hostType(passed.getType()));
    } else if (isOwn && !carried[own.getArgNumber()].place) {
      dims.back() = carried[own.getArgNumber()].varying;
      types.push_back(LLVM::LLVMPointerType::get(builder.getContext()));
      types.append(dims.back().size(), builder.getIndexType());
    }
    counts.push_back(types.size() - start);
  }
  auto loop = scf::WhileOp::create(builder, loc, types, inits);
  SmallVector<Value> passed;
  {
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Type> initTypes(ValueRange(inits).getTypes());
    SmallVector<Location> locs(inits.size(), loc);
    Block *block = builder.createBlock(&loop.getBefore(), {}, initTypes, locs);
    ValueRange components = block->getArguments();
    for (Carried &value : carried) {
      if (!value.isTensor()) {
        scalars.map(value.argument, components.front());
        components = components.drop_front();
      } else if (value.place) {
        views[value.argument] = *value.place;
      } else {
        auto type = cast<RankedTensorType>(value.argument.getType());
        views[value.argument] = compose(shapeOf(type), type, value.varying, components);
      }
    }
    for (Operation &inner : before.without_terminator()) {
      if (llvm::any_of(inner.getResultTypes(), llvm::IsaPred<ShapedType>))
        return inner.emitError("a loop's condition on tensors cannot be scheduled");
      if (failed(walkOp(inner)))
        return failure();
    }
    for (auto [value, count, changing] : llvm::zip_equal(condition.getArgs(), counts, dims)) {
      if (!isa<ShapedType>(value.getType()))
        passed.push_back(scalars.lookup(value));
      else if (count)
        decompose(loc, getView(value), changing, passed);
    }
    flush();
    scf::ConditionOp::create(builder, loc, scalars.lookup(condition.getCondition()), passed);
  }
  auto bind = [&](ValueRange targets, ValueRange components) {
    for (auto [value, target, count, changing] :
         llvm::zip_equal(condition.getArgs(), targets, counts, dims)) {
      if (!isa<ShapedType>(value.getType())) {
        scalars.map(target, components.front());
        components = components.drop_front();
      } else if (count) {
        auto type = cast<RankedTensorType>(value.getType());
        views[target] = compose(shapeOf(type), type, changing, components);
      } else {
        views[target] = getView(value);
      }
    }
  };
  {
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Location> locs(types.size(), loc);
    Block *block = builder.createBlock(&loop.getAfter(), {}, types, locs);
    rt::PollOp::create(builder, loc, call);
    bind(after.getArguments(), block->getArguments());
    updateInPlace(carried);
    if (failed(walkBlock(after)))
      return failure();
    FailureOr<SmallVector<Value>> next = endIteration(loc, carried, op.getAfter());
    if (failed(next))
      return failure();
    scf::YieldOp::create(builder, loc, *next);
  }
  bind(op.getResults(), loop.getResults());
  keepAlive(loc, carried);
  return success();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

// A result whose sizes are known before has memory that both branches write; of another one each
// branch gives the address and the sizes.
LogicalResult HostProgram::visit(scf::IfOp op) {
  flush();
  Location loc = op.getLoc();
  SmallVector<Type> types;
  SmallVector<SmallVector<unsigned>> dims;
  SmallVector<std::optional<View>> places;
  for (Value result : op.getResults()) {
    dims.emplace_back();
    places.emplace_back();
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type) {
      types.push_back(hostType(result.getType()));
      continue;
    }
    if (std::optional<SmallVector<Size>> shape = traceSizes(result)) {
      places.back() = destinations.contains(result) ? *getOrCreate(result)
                                                    : allocate(loc, type.getElementType(), *shape);
      continue;
    }
    dims.back() = dynamicDims(type);
    types.push_back(LLVM::LLVMPointerType::get(builder.getContext()));
    types.append(dims.back().size(), builder.getIndexType());
  }
  Value condition = scalars.lookup(op.getCondition());
  auto branch = scf::IfOp::create(builder, loc, types, condition, /*withElse=*/true);
  for (auto [from, to] : llvm::zip_equal(op->getRegions(), branch->getRegions())) {
    OpBuilder::InsertionGuard guard(builder);
    Block &block = to.front();
    if (!block.empty())
      block.back().erase();
    builder.setInsertionPointToEnd(&block);
    SmallVector<Value> yielded;
    if (!from.empty()) {
      Operation *yield = from.front().getTerminator();
      for (auto [value, result, place] :
           llvm::zip_equal(yield->getOperands(), op.getResults(), places))
        if (place) {
          views[result] = *place;
          request(value, {Destination::SameAs, 0, result, nullptr}, from.front());
        }
      if (failed(walkBlock(from.front())))
        return failure();
      for (auto [value, place, changing] : llvm::zip_equal(yield->getOperands(), places, dims)) {
        if (!isa<ShapedType>(value.getType())) {
          yielded.push_back(scalars.lookup(value));
        } else if (place) {
          View view = getView(value);
          if (!sameMemory(view, *place))
            dispatchCopy(loc, view, *place);
        } else {
          // A carried value may be overwritten while the result lives.
          View view = getView(value);
          if (isa<BlockArgument>(view.base)) {
            View copy = allocate(loc, view.element, view.sizes);
            dispatchCopy(loc, view, copy);
            view = copy;
          }
          decompose(loc, view, changing, yielded);
        }
      }
      flush();
    }
    scf::YieldOp::create(builder, loc, yielded);
  }
  ValueRange components = branch.getResults();
  for (auto [result, place, changing] : llvm::zip_equal(op.getResults(), places, dims)) {
    if (!isa<ShapedType>(result.getType())) {
      scalars.map(result, components.front());
      components = components.drop_front();
    } else if (place) {
      views[result] = *place;
    } else {
      auto type = cast<RankedTensorType>(result.getType());
      views[result] = compose(shapeOf(type), type, changing, components);
    }
  }
  return success();
}

// One of two tensors that are there already.
LogicalResult HostProgram::visit(arith::SelectOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type)
    return cloneScalar(*op);
  Value condition = scalars.lookupOrNull(op.getCondition());
  if (!condition)
    return op.emitError("select by a tensor cannot be scheduled");
  Location loc = op.getLoc();
  SmallVector<Value> yes, no;
  View first = getView(op.getTrueValue()), second = getView(op.getFalseValue());
  bool sameSizes = first.sizes == second.sizes;
  SmallVector<unsigned> dims = sameSizes ? SmallVector<unsigned>() : dynamicDims(type);
  decompose(loc, first, dims, yes);
  decompose(loc, second, dims, no);
  SmallVector<Value> chosen;
  for (auto [a, b] : llvm::zip_equal(yes, no))
    chosen.push_back(arith::SelectOp::create(builder, loc, condition, a, b));
  ValueRange components = chosen;
  View like = sameSizes ? first : shapeOf(type);
  views[op.getResult()] = compose(like, type, dims, components);
  return success();
}

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

LogicalResult HostProgram::visit(rt::ListOp op) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(allocMarker);
  slots[op.getResult()] =
      rt::SlotOp::create(builder, op.getLoc(), LLVM::LLVMPointerType::get(builder.getContext()));
  return success();
}

LogicalResult HostProgram::visit(rt::AppendOp op) {
  Location loc = op.getLoc();
  View part = getView(op.getPart());
  flush();
  Value position = scalars.lookup(op.getPosition());
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value count = arith::AddIOp::create(builder, loc, position, one);
  Size elements(1);
  for (const Size &size : part.sizes)
    elements = elements * size;
  Size bytes = elements * Size(std::max<int64_t>(1, part.element.getIntOrFloatBitWidth() / 8));
  Size before = bytes * sizes.get(position), after = bytes * sizes.get(count);
  checkNoOverflow(loc, after);
  View place = part;
  place.constantOffset = 0;
  place.offset = nullptr;
  place.strides = contiguousStrides(part.sizes);
  place.base = rt::ReserveOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), call, slots[op.getList()],
      sizes.materialize(builder, loc, after), sizes.materialize(builder, loc, before),
      isOfHost(part.element), /*device=*/false);
  advance(loc, place, elements * sizes.get(position));
  dispatchCopy(loc, part, place);
  return success();
}

LogicalResult HostProgram::visit(rt::StackOp op) {
  flush();
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getType());
  View view;
  view.element = type.getElementType();
  unsigned next = 0;
  for (int64_t size : type.getShape())
    view.sizes.push_back(ShapedType::isDynamic(size)
                             ? sizes.get(scalars.lookup(op.getSizes()[next++]))
                             : Size(size));
  view.strides = contiguousStrides(view.sizes);
  view.base = LLVM::LoadOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()),
                                   slots[op.getList()]);
  views[op.getResult()] = view;
  return success();
}
