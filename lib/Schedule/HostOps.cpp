// How each operation on tensors becomes views, copies or host code.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "dialects/Rt/DeviceCode.h"
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
    if (options.target.itemPerThread) {
      // Memory of a device: the scalars reach it as parameters of a kernel.
      place.sizes.clear();
      place.strides.clear();
      dispatchFill(loc, element, place);
      constexpr unsigned most = 64; // of a kernel, which has not any number of parameters
      if (i % most == most - 1)
        flush();
      continue;
    }
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
  view.element = elementInMemory(element);
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

/// Bytes of an element that a device may hold; 0 where the host keeps it.
static int64_t widthOnDevice(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return 0;
  Type element = elementInMemory(tensor.getElementType());
  return rt::isText(element) ? 0 : std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8);
}

// A builtin reads contiguous tensors and makes its results.
LogicalResult HostProgram::visit(rt::CallOp op) {
  Location loc = op.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  SmallVector<Value> buffers, inputSizes;
  SmallVector<int64_t> ranks, resultRanks;
  SmallVector<View> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(isa<rt::ValueType>(input.getType()) ? View()
                                                         : makeContiguous(loc, getView(input)));
  flush();
  for (auto [input, view] : llvm::zip_equal(op.getInputs(), inputs)) {
    bool isValue = isa<rt::ValueType>(input.getType());
    buffers.push_back(isValue ? scalars.lookup(input) : addressOf(loc, view));
    ranks.push_back(view.sizes.size());
    for (const Size &size : view.sizes)
      inputSizes.push_back(sizes.materialize(builder, loc, size));
  }
  SmallVector<Type> pointers, indices;
  SmallVector<int64_t> widths, resultWidths;
  for (Value input : op.getInputs())
    widths.push_back(widthOnDevice(input.getType()));
  for (Value result : op.getResults()) {
    resultWidths.push_back(widthOnDevice(result.getType()));
    auto type = dyn_cast<RankedTensorType>(result.getType());
    int64_t rank = type ? type.getRank() : 0;
    resultRanks.push_back(rank);
    pointers.push_back(pointer);
    indices.append(rank, builder.getIndexType());
  }
  auto invoke =
      rt::InvokeOp::create(builder, loc, pointers, indices, op.getCallee(), call, buffers,
                           inputSizes, ranks, resultRanks, op.getParameters(), op.getMessage(),
                           /*widths=*/nullptr, /*result_widths=*/nullptr);
  if (options.target.itemPerThread) {
    invoke.setWidths(widths);
    invoke.setResultWidths(resultWidths);
  }
  auto known = op.getSizes().begin();
  auto given = invoke.getResultSizes().begin();
  for (auto [result, base] : llvm::zip_equal(op.getResults(), invoke.getResults())) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type) {
      scalars.map(result, base);
      continue;
    }
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

LogicalResult HostProgram::visit(rt::BytesOp op) {
  View view = getView(op.getPacked());
  auto type = cast<RankedTensorType>(op.getType());
  view.element = type.getElementType();
  Size size = type.hasStaticShape() ? Size(type.getDimSize(0)) : getSize(op.getSize());
  view.sizes.assign(1, size);
  view.strides.assign(1, Size(1));
  views[op.getResult()] = view;
  return success();
}

LogicalResult HostProgram::visit(rt::PackedOp op) {
  if (!llvm::all_of(op->getUsers(), llvm::IsaPred<func::ReturnOp>))
    return op.emitError("elements that share bytes may only be returned");
  View view; // of no memory: what is returned are the bytes
  auto type = cast<RankedTensorType>(op.getType());
  view.element = type.getElementType();
  unsigned next = 0;
  for (int64_t size : type.getShape())
    view.sizes.push_back(ShapedType::isDynamic(size) ? getSize(op.getSizes()[next++]) : Size(size));
  views[op.getResult()] = view;
  return success();
}
