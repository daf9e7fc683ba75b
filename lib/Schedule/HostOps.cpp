// How each operation on tensors becomes views, copies or host code.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

LogicalResult HostProgram::visit(linalg::GenericOp op) {
  if (foldsIntoComposite(op))
    return success();
  FailureOr<Stage> stage = makeStage(op);
  if (failed(stage))
    return failure();
  push(std::move(*stage));
  return success();
}

LogicalResult HostProgram::visit(linalg::FillOp op) {
  // A constant that only starts reductions is written by them.
  Attribute constant;
  bool isConstant = matchPattern(op.getInputs()[0], m_Constant(&constant));
  bool onlyInit = llvm::all_of(op->getUses(), [&](OpOperand &use) {
    auto generic = dyn_cast<linalg::GenericOp>(use.getOwner());
    return generic && generic.isDpsInit(&use);
  });
  if (isConstant && onlyInit)
    return success();
  FailureOr<View> view = getOrCreate(op.getResult(0));
  if (failed(view))
    return failure();
  dispatchFill(op.getLoc(), isConstant ? OpFoldResult(constant) : OpFoldResult(op.getInputs()[0]),
               *view);
  return success();
}

LogicalResult HostProgram::visit(tensor::EmptyOp) { return success(); }

LogicalResult HostProgram::visit(tensor::ExtractSliceOp op) {
  views[op.getResult()] = subview(op.getLoc(), getView(op.getSource()), op.getMixedOffsets(),
                                  op.getMixedSizes(), op.getMixedStrides(), op.getDroppedDims());
  return success();
}

LogicalResult HostProgram::visit(tensor::InsertSliceOp op) {
  FailureOr<View> whole = getOrCreate(op.getResult());
  if (failed(whole))
    return failure();
  bool fresh = op.getDest().getDefiningOp<tensor::EmptyOp>() && !views.contains(op.getDest());
  if (!fresh) {
    View dest = getView(op.getDest());
    if (!sameMemory(dest, *whole))
      dispatchCopy(op.getLoc(), dest, *whole);
  }
  View part = subview(op.getLoc(), *whole, op.getMixedOffsets(), op.getMixedSizes(),
                      op.getMixedStrides(), op.getDroppedDims());
  View source = getView(op.getSource());
  if (!(source.base == part.base && source.offset == part.offset &&
        source.constantOffset == part.constantOffset && source.strides == part.strides))
    dispatchCopy(op.getLoc(), source, part);
  return success();
}

FailureOr<View> HostProgram::reassociate(const View &source, RankedTensorType type,
                                         ArrayRef<ReassociationIndices> groups, bool expand,
                                         ArrayRef<Size> newSizes) {
  View result = source;
  result.sizes.assign(newSizes.begin(), newSizes.end());
  if (source.isContiguous()) {
    result.strides = contiguousStrides(newSizes);
    return result;
  }
  // Of a strided view each group must be contiguous by itself.
  result.strides.assign(newSizes.size(), Size(0));
  for (auto [outer, indices] : llvm::enumerate(groups)) {
    if (expand) {
      Size stride = source.strides[outer];
      for (int64_t i : llvm::reverse(indices)) {
        result.strides[i] = stride;
        stride = stride * newSizes[i];
      }
      continue;
    }
    Size stride(1), expected(0);
    bool first = true;
    for (int64_t i : llvm::reverse(indices)) {
      if (source.sizes[i].is(1))
        continue;
      if (first)
        stride = source.strides[i];
      else if (source.strides[i] != expected)
        return failure();
      expected = source.strides[i] * source.sizes[i];
      first = false;
    }
    result.strides[outer] = stride;
  }
  return result;
}

LogicalResult HostProgram::visit(tensor::CollapseShapeOp op) {
  SmallVector<Size> shape = getSizes(op.getResult());
  View source = getView(op.getSrc());
  FailureOr<View> view = reassociate(source, op.getResultType(), op.getReassociationIndices(),
                                     /*expand=*/false, shape);
  if (failed(view)) {
    View copy = allocate(op.getLoc(), source.element, source.sizes);
    dispatchCopy(op.getLoc(), source, copy);
    view = copy;
    view->sizes = shape;
    view->strides = contiguousStrides(shape);
  }
  views[op.getResult()] = *view;
  return success();
}

LogicalResult HostProgram::visit(tensor::ExpandShapeOp op) {
  SmallVector<Size> shape;
  for (OpFoldResult size : op.getMixedOutputShape())
    shape.push_back(getSize(size));
  views[op.getResult()] = *reassociate(getView(op.getSrc()), op.getResultType(),
                                       op.getReassociationIndices(), /*expand=*/true, shape);
  return success();
}

LogicalResult HostProgram::visit(tensor::CastOp op) {
  View view = getView(op.getSource());
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type)
    return op.emitError("cast to an unranked tensor cannot be scheduled");
  for (auto [size, dim] : llvm::zip_equal(view.sizes, type.getShape()))
    if (!ShapedType::isDynamic(dim))
      size = Size(dim);
  views[op.getResult()] = view;
  return success();
}

LogicalResult HostProgram::visit(tensor::PadOp op) {
  Value padding = op.getConstantPaddingValue();
  if (!padding)
    return op.emitError("pad with computed values cannot be scheduled");
  View source = getView(op.getSource());
  FailureOr<View> whole = getOrCreate(op.getResult());
  if (failed(whole))
    return failure();
  Location loc = op.getLoc();
  Attribute constant;
  OpFoldResult value = padding;
  if (matchPattern(padding, m_Constant(&constant)))
    value = constant;

  SmallVector<OpFoldResult> low = op.getMixedLowPad(), high = op.getMixedHighPad();
  View interior = *whole;
  interior.sizes = source.sizes;
  for (auto [pad, stride] : llvm::zip_equal(low, whole->strides))
    advance(loc, interior, getSize(pad) * stride);
  bool inPlace = source.base == interior.base;
  // The border only: for each dimension the strips before and after the interior.
  View rest = *whole;
  for (unsigned i = 0; i < low.size(); ++i) {
    Size before = getSize(low[i]), after = getSize(high[i]), inside = source.sizes[i];
    auto strip = [&](const Size &start, const Size &size) {
      if (size.is(0))
        return;
      View view = rest;
      view.sizes[i] = size;
      advance(loc, view, start * rest.strides[i]);
      dispatchFill(loc, value, view);
    };
    strip(Size(0), before);
    Size end(before.constant + inside.constant);
    if (!after.is(0) && !(before.isStatic() && inside.isStatic()))
      end = sizes.get(arith::AddIOp::create(builder, loc, sizes.materialize(builder, loc, before),
                                            sizes.materialize(builder, loc, inside)));
    strip(end, after);
    advance(loc, rest, before * rest.strides[i]);
    rest.sizes[i] = inside;
  }
  if (!inPlace)
    dispatchCopy(loc, source, interior);
  return success();
}

LogicalResult HostProgram::visit(tensor::ExtractOp op) {
  flush();
  Location loc = op.getLoc();
  View view = getView(op.getTensor());
  SmallVector<OpFoldResult> offsets, ones;
  for (Value index : op.getIndices()) {
    APInt constant;
    if (matchPattern(index, m_ConstantInt(&constant)))
      offsets.push_back(builder.getIndexAttr(constant.getSExtValue()));
    else
      offsets.push_back(index);
    ones.push_back(builder.getIndexAttr(1));
  }
  View element =
      subview(loc, view, offsets, ones, ones, llvm::SmallBitVector(offsets.size(), true));
  Value loaded = LLVM::LoadOp::create(builder, loc, view.element, addressOf(loc, element));
  scalars.map(op.getResult(), loaded);
  return success();
}

LogicalResult HostProgram::visit(tensor::FromElementsOp op) {
  FailureOr<View> view = getOrCreate(op.getResult());
  if (failed(view))
    return failure();
  Location loc = op.getLoc();
  flush();
  for (auto [i, element] : llvm::enumerate(op.getElements())) {
    View place = *view;
    int64_t rest = i;
    for (unsigned dim = op.getType().getRank(); dim-- > 0;) {
      int64_t size = op.getType().getDimSize(dim);
      advance(loc, place, view->strides[dim] * Size(rest % size));
      rest /= size;
    }
    Value scalar = scalars.lookupOrNull(element);
    if (!scalar)
      return op.emitError("element ") << i << " is not a scalar of the host program";
    LLVM::StoreOp::create(builder, loc, scalar, addressOf(loc, place));
  }
  return success();
}

LogicalResult HostProgram::visit(tensor::DimOp op) {
  std::optional<int64_t> dim = op.getConstantIndex();
  if (!dim)
    return op.emitError("the dimension of tensor.dim must be a constant");
  Size size = getSizes(op.getSource())[*dim];
  scalars.map(op.getResult(), sizes.materialize(builder, op.getLoc(), size));
  return success();
}

View HostProgram::weightView(Location loc, TypedAttr value, Type element) {
  auto type = cast<RankedTensorType>(value.getType());
  View view;
  view.element = element;
  for (int64_t size : type.getShape())
    view.sizes.push_back(Size(size));
  view.strides = contiguousStrides(view.sizes);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(allocMarker);
  view.base = rt::WeightAddressOp::create(
      builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), call, value);
  return view;
}

LogicalResult HostProgram::visit(arith::ConstantOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type) {
    scalars.map(op.getResult(), builder.clone(*op)->getResult(0));
    return success();
  }
  views[op.getResult()] = weightView(op.getLoc(), op.getValue(), type.getElementType());
  return success();
}

LogicalResult HostProgram::visit(rt::WeightOp op) {
  views[op.getResult()] =
      weightView(op.getLoc(), op.getValue(), op.getResult().getType().getElementType());
  return success();
}

// A builtin reads contiguous tensors and makes its results.
LogicalResult HostProgram::visit(rt::CallOp op) {
  Location loc = op.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  SmallVector<Value> buffers, inputSizes;
  SmallVector<int64_t> ranks, resultRanks;
  SmallVector<View> inputs;
  for (Value input : op.getInputs()) {
    View view = getView(input);
    if (!view.isContiguous()) {
      View copy = allocate(loc, view.element, view.sizes);
      dispatchCopy(loc, view, copy);
      view = copy;
    }
    inputs.push_back(view);
  }
  flush();
  for (const View &view : inputs) {
    buffers.push_back(addressOf(loc, view));
    ranks.push_back(view.sizes.size());
    for (const Size &size : view.sizes)
      inputSizes.push_back(sizes.materialize(builder, loc, size));
  }
  SmallVector<Type> pointers, indices;
  for (Value result : op.getResults()) {
    int64_t rank = cast<RankedTensorType>(result.getType()).getRank();
    resultRanks.push_back(rank);
    pointers.push_back(pointer);
    indices.append(rank, builder.getIndexType());
  }
  auto invoke =
      rt::InvokeOp::create(builder, loc, pointers, indices, op.getCallee(), call, buffers,
                           inputSizes, ranks, resultRanks, op.getParameters(), op.getMessage());
  auto known = op.getSizes().begin();
  auto given = invoke.getResultSizes().begin();
  for (auto [result, base] : llvm::zip_equal(op.getResults(), invoke.getResults())) {
    auto type = cast<RankedTensorType>(result.getType());
    View view;
    view.element = type.getElementType();
    view.base = base;
    for (int64_t size : type.getShape()) {
      Value made = *given++;
      if (!ShapedType::isDynamic(size)) {
        view.sizes.push_back(Size(size));
        continue;
      }
      view.sizes.push_back(sizes.get(made));
      scalars.map(*known++, made);
    }
    view.strides = contiguousStrides(view.sizes);
    views[result] = view;
  }
  return success();
}

LogicalResult HostProgram::visit(arith::SelectOp op) {
  if (isa<ShapedType>(op.getType()))
    return op.emitError("select of whole tensors cannot be scheduled");
  return cloneScalar(*op);
}

LogicalResult HostProgram::visit(scf::ForOp op) {
  flush();
  Location loc = op.getLoc();
  // Each carried tensor has one place, which every iteration reads and, at its end, overwrites.
  SmallVector<Value> scalarInits;
  for (auto [argument, init, result] :
       llvm::zip_equal(op.getRegionIterArgs(), op.getInitArgs(), op.getResults())) {
    if (!isa<ShapedType>(argument.getType())) {
      Value scalar = scalars.lookupOrNull(init);
      if (!scalar)
        return op.emitError("initial value of a loop is not a scalar of the host program");
      scalarInits.push_back(scalar);
      continue;
    }
    View from;
    bool empty = init.getDefiningOp<tensor::EmptyOp>() && !views.contains(init);
    SmallVector<Size> shape = getSizes(init);
    if (!empty)
      from = getView(init);
    // A fill that was expected to be absorbed by a reduction is needed here.
    FailureOr<View> place =
        destinations.contains(result)
            ? getOrCreate(result)
            : FailureOr<View>(
                  allocate(loc, cast<ShapedType>(init.getType()).getElementType(), shape));
    if (failed(place))
      return failure();
    if (!empty)
      dispatchCopy(loc, from, *place);
    views[argument] = *place;
    views[result] = *place;
  }
  auto lookup = [&](Value value) { return scalars.lookup(value); };
  auto loop = scf::ForOp::create(builder, loc, lookup(op.getLowerBound()),
                                 lookup(op.getUpperBound()), lookup(op.getStep()), scalarInits);
  scalars.map(op.getInductionVar(), loop.getInductionVar());
  unsigned next = 0;
  for (auto [argument, result] : llvm::zip_equal(op.getRegionIterArgs(), op.getResults()))
    if (!isa<ShapedType>(argument.getType())) {
      scalars.map(argument, loop.getRegionIterArg(next));
      scalars.map(result, loop.getResult(next++));
    }

  OpBuilder::InsertionGuard guard(builder);
  // A loop that carries no scalar is made with a terminator.
  if (!loop.getBody()->empty())
    loop.getBody()->back().erase();
  builder.setInsertionPointToEnd(loop.getBody());
  Block &body = *op.getBody();
  auto yield = cast<scf::YieldOp>(body.getTerminator());
  // A carried tensor that the body updates in place needs no copy.
  for (auto [argument, value] : llvm::zip_equal(op.getRegionIterArgs(), yield.getOperands())) {
    if (!isa<ShapedType>(argument.getType()))
      continue;
    Value root = value;
    bool inPlace = false;
    while (auto insert = root.getDefiningOp<tensor::InsertSliceOp>()) {
      if (!insert.getDest().hasOneUse())
        break;
      root = insert.getDest();
      inPlace = root == argument;
    }
    // A copy first: the map moves what it holds when it grows.
    const View place = views[argument];
    for (Value link = value; inPlace && link != argument;
         link = link.getDefiningOp<tensor::InsertSliceOp>().getDest())
      views[link] = place;
  }
  if (failed(walkBlock(body)))
    return failure();
  SmallVector<Value> yielded;
  // All new values are complete before the first place is overwritten; only a place that another
  // carried tensor yields must be saved first.
  SmallVector<std::pair<View, View>> copies;
  for (auto [argument, value] : llvm::zip_equal(op.getRegionIterArgs(), yield.getOperands())) {
    if (!isa<ShapedType>(argument.getType())) {
      yielded.push_back(scalars.lookup(value));
      continue;
    }
    View from = getView(value), to = views[argument];
    if (from.sizes != to.sizes)
      return op.emitError("a carried tensor changes its size from one iteration to the next, which "
                          "cannot be scheduled");
    if (sameMemory(from, to))
      continue;
    bool carried = llvm::any_of(op.getRegionIterArgs(), [&](BlockArgument other) {
      return isa<ShapedType>(other.getType()) && views[other].base == from.base;
    });
    if (carried) {
      View saved = allocate(loc, from.element, from.sizes);
      dispatchCopy(loc, from, saved);
      from = saved;
    }
    copies.push_back({from, to});
  }
  for (auto &[from, to] : copies)
    dispatchCopy(loc, from, to);
  flush();
  scf::YieldOp::create(builder, loc, yielded);
  return success();
}

LogicalResult HostProgram::visit(scf::IfOp op) {
  flush();
  Location loc = op.getLoc();
  SmallVector<Type> scalarTypes;
  for (Value result : op.getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type) {
      scalarTypes.push_back(result.getType());
      continue;
    }
    if (!type.hasStaticShape())
      return op.emitError("a branch whose result has no static shape cannot be scheduled, got ")
             << type;
    SmallVector<Size> shape;
    for (int64_t size : type.getShape())
      shape.push_back(Size(size));
    views[result] = allocate(loc, type.getElementType(), shape);
  }
  Value condition = scalars.lookup(op.getCondition());
  auto branch = scf::IfOp::create(builder, loc, scalarTypes, condition, /*withElse=*/true);
  auto emit = [&](Region &from, Region &to) -> LogicalResult {
    OpBuilder::InsertionGuard guard(builder);
    Block &block = to.front();
    if (!block.empty())
      block.back().erase();
    builder.setInsertionPointToEnd(&block);
    SmallVector<Value> yielded;
    if (!from.empty()) {
      if (failed(walkBlock(from.front())))
        return failure();
      auto yield = cast<scf::YieldOp>(from.front().getTerminator());
      for (auto [value, result] : llvm::zip_equal(yield.getOperands(), op.getResults())) {
        if (isa<ShapedType>(value.getType()))
          dispatchCopy(loc, getView(value), views[result]);
        else
          yielded.push_back(scalars.lookup(value));
      }
      flush();
    }
    scf::YieldOp::create(builder, loc, yielded);
    return success();
  };
  if (failed(emit(op.getThenRegion(), branch.getThenRegion())) ||
      failed(emit(op.getElseRegion(), branch.getElseRegion())))
    return failure();
  unsigned next = 0;
  for (Value result : op.getResults())
    if (!isa<ShapedType>(result.getType()))
      scalars.map(result, branch.getResult(next++));
  return success();
}
