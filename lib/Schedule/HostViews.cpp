// Where the values of @main lie: sizes, views of memory, and the destinations that producers write
// into.
// Apache-2.0 WITH LLVM-exception
#include "HostProgram.h"
#include "dialects/Rt/DeviceCode.h"
#include "lathe/ArtifactFormat.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::schedule;

//===----------------------------------------------------------------------===//
// Sizes and views
//===----------------------------------------------------------------------===//

Size HostProgram::getSize(OpFoldResult size) {
  if (std::optional<int64_t> constant = getConstantIntValue(size))
    return Size(*constant);
  return sizes.get(scalars.lookup(cast<Value>(size)));
}

// What a chain of insertions, which all have its sizes, begins with: the last that has a view, or
// what is none. Not by recursion: a concatenation may have any number of parts.
Value HostProgram::startOfInsertions(tensor::InsertSliceOp insert) const {
  Value start = insert.getDest();
  while (auto previous = start.getDefiningOp<tensor::InsertSliceOp>()) {
    if (views.contains(start))
      break;
    start = previous.getDest();
  }
  return start;
}

SmallVector<Size> HostProgram::getSizes(Value tensor) {
  if (auto it = views.find(tensor); it != views.end())
    return it->second.sizes;
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Size> result;
  if (type.hasStaticShape()) {
    for (int64_t size : type.getShape())
      result.push_back(Size(size));
    return result;
  }
  if (auto insert = tensor.getDefiningOp<tensor::InsertSliceOp>())
    return getSizes(startOfInsertions(insert));
  Operation *def = tensor.getDefiningOp();
  if (auto empty = dyn_cast_or_null<tensor::EmptyOp>(def)) {
    for (OpFoldResult size : empty.getMixedSizes())
      result.push_back(getSize(size));
    return result;
  }
  if (auto pad = dyn_cast_or_null<tensor::PadOp>(def)) {
    SmallVector<Size> source = getSizes(pad.getSource());
    for (auto [i, low, high] : llvm::enumerate(pad.getMixedLowPad(), pad.getMixedHighPad())) {
      std::optional<int64_t> lowSize = getConstantIntValue(low),
                             highSize = getConstantIntValue(high);
      if (lowSize && highSize && *lowSize == 0 && *highSize == 0) {
        result.push_back(source[i]);
        continue;
      }
      if (!type.isDynamicDim(i)) {
        result.push_back(Size(type.getDimSize(i)));
        continue;
      }
      Location loc = pad.getLoc();
      std::array<Size, 3> parts = {source[i], getSize(low), getSize(high)};
      OpBuilder::InsertionGuard guard(builder);
      if (llvm::all_of(parts, [&](const Size &part) { return isAtEntry(part); }))
        builder.setInsertionPoint(allocMarker);
      Value total = sizes.materialize(builder, loc, parts[0]);
      for (const Size &part : ArrayRef(parts).drop_front())
        total = arith::AddIOp::create(builder, loc, total, sizes.materialize(builder, loc, part));
      result.push_back(sizes.get(total));
    }
    return result;
  }
  if (auto slice = dyn_cast_or_null<tensor::ExtractSliceOp>(def)) {
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
      if (!dropped.test(i))
        result.push_back(getSize(size));
    return result;
  }
  if (auto expand = dyn_cast_or_null<tensor::ExpandShapeOp>(def)) {
    for (OpFoldResult size : expand.getMixedOutputShape())
      result.push_back(getSize(size));
    return result;
  }
  if (auto collapse = dyn_cast_or_null<tensor::CollapseShapeOp>(def)) {
    SmallVector<Size> source = getSizes(collapse.getSrc());
    for (const ReassociationIndices &indices : collapse.getReassociationIndices()) {
      Size product(1);
      for (int64_t i : indices)
        product = product * source[i];
      result.push_back(product);
    }
    return result;
  }
  if (auto cast = dyn_cast_or_null<tensor::CastOp>(def))
    return getSizes(cast.getSource());
  if (auto dps = dyn_cast_or_null<DestinationStyleOpInterface>(def))
    return getSizes(dps.getTiedOpOperand(cast<OpResult>(tensor))->get());
  if (auto composite = dyn_cast_or_null<func::CallOp>(def)) {
    SmallVector<Size> result = getSizes(composite.getOperand(0));
    result.back() = getSizes(composite.getOperand(2)).back();
    return result;
  }
  // The place of a carried tensor has the sizes of its initial value.
  if (auto loop = dyn_cast_or_null<scf::ForOp>(def))
    return getSizes(loop.getTiedLoopInit(cast<OpResult>(tensor))->get());
  if (auto loop = dyn_cast_or_null<scf::WhileOp>(def)) {
    auto passed = cast<BlockArgument>(
        loop.getConditionOp().getArgs()[cast<OpResult>(tensor).getResultNumber()]);
    return getSizes(loop.getInits()[passed.getArgNumber()]);
  }
  if (std::optional<SmallVector<Size>> known = traceSizes(tensor)) // of a branch
    return *known;
  llvm_unreachable("every tensor is made by an operation that walkOp knows");
}

View HostProgram::getView(Value tensor) {
  auto it = views.find(tensor);
  if (it != views.end())
    return it->second;
  // A tensor.empty read before anything wrote it: its content is unspecified.
  return *getOrCreate(tensor);
}

bool HostProgram::isAvailable(ArrayRef<OpFoldResult> values) const {
  return llvm::all_of(values, [&](OpFoldResult value) {
    return isa<Attribute>(value) || scalars.contains(cast<Value>(value));
  });
}

bool HostProgram::isAtEntry(const Size &size) const {
  return llvm::all_of(size.factors, [&](unsigned factor) {
    Operation *def = sizes.getValue(factor).getDefiningOp();
    // Arguments of loops are sizes that change.
    return def && (def->getBlock() == allocMarker->getBlock() && def->isBeforeInBlock(allocMarker));
  });
}

// Sizes come from the caller and from data: their product must be a size as well.
void HostProgram::checkNoOverflow(Location loc, const Size &bytes) {
  if (bytes.isStatic())
    return;
  Type i64 = builder.getI64Type();
  auto toI64 = [&](Value value) {
    return arith::IndexCastOp::create(builder, loc, i64, value).getResult();
  };
  Value product = arith::ConstantIntOp::create(builder, loc, bytes.constant, 64);
  Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
  Value fits;
  // A dimension of size 0 may stand beside any other.
  Value isEmpty;
  for (unsigned factor : bytes.factors) {
    Value value = toI64(sizes.getValue(factor));
    auto multiply = arith::MulUIExtendedOp::create(builder, loc, product, value);
    product = multiply.getLow();
    Value low =
        arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, multiply.getHigh(), zero);
    Value empty = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, value, zero);
    fits = fits ? arith::AndIOp::create(builder, loc, fits, low).getResult() : low;
    isEmpty = isEmpty ? arith::OrIOp::create(builder, loc, isEmpty, empty).getResult() : empty;
  }
  Value limit = arith::ConstantIntOp::create(builder, loc, int64_t(1) << 48, 64);
  Value small = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ule, product, limit);
  fits = arith::AndIOp::create(builder, loc, fits, small);
  fits = arith::OrIOp::create(builder, loc, fits, isEmpty);
  rt::CheckOp::create(builder, loc, fits, LATHE_CODE_SIZE,
                      "a tensor of more than 2^48 bytes is needed", ValueRange{});
}

Type lathe::schedule::elementInMemory(Type element) {
  // Strings that no operation has touched keep their type; they are moved as a lathe_string.
  if (element.isIntOrIndexOrFloat())
    return element;
  if (auto type = dyn_cast<ComplexType>(element))
    return IntegerType::get(element.getContext(),
                            2 * type.getElementType().getIntOrFloatBitWidth());
  return IntegerType::get(element.getContext(), 8 * sizeof(lathe_string));
}

bool HostProgram::isOfHost(Type element) const {
  return options.target.itemPerThread && rt::isText(element);
}

View HostProgram::allocate(Location loc, Type element, ArrayRef<Size> shape) {
  element = elementInMemory(element);
  View view;
  view.element = element;
  view.sizes.assign(shape.begin(), shape.end());
  view.strides = contiguousStrides(shape);
  Size bytes(std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8));
  for (const Size &size : shape)
    bytes = bytes * size;
  // With sizes known at entry the memory is planned; it then belongs at the top of the function.
  OpBuilder::InsertionGuard guard(builder);
  if (isAtEntry(bytes))
    builder.setInsertionPoint(allocMarker);
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  checkNoOverflow(loc, bytes);
  view.base = rt::AllocOp::create(builder, loc, pointer, sizes.materialize(builder, loc, bytes),
                                  isOfHost(element));
  return view;
}

View HostProgram::subview(Location loc, const View &view, ArrayRef<OpFoldResult> offsets,
                          ArrayRef<OpFoldResult> newSizes, ArrayRef<OpFoldResult> strides,
                          const llvm::SmallBitVector &dropped) {
  View result = view;
  result.sizes.clear();
  result.strides.clear();
  for (size_t i = 0; i < offsets.size(); ++i) {
    advance(loc, result, getSize(offsets[i]) * view.strides[i]);
    if (i < dropped.size() && dropped.test(i))
      continue;
    result.sizes.push_back(getSize(newSizes[i]));
    result.strides.push_back(getSize(strides[i]) * view.strides[i]);
  }
  return result;
}

void HostProgram::advance(Location loc, View &view, const Size &elements) {
  if (elements.isStatic()) {
    view.constantOffset += elements.constant;
    return;
  }
  Value by = sizes.materialize(builder, loc, elements);
  view.offset = view.offset ? arith::AddIOp::create(builder, loc, view.offset, by).getResult() : by;
}

Value HostProgram::addressOf(Location loc, const View &view) {
  auto pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value address = view.base;
  int64_t bytes = std::max<int64_t>(1, view.element.getIntOrFloatBitWidth() / 8);
  Type byte = builder.getI8Type();
  if (view.offset) {
    Value width = arith::ConstantIndexOp::create(builder, loc, bytes);
    Value offset = arith::MulIOp::create(builder, loc, view.offset, width);
    offset = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), offset);
    address =
        LLVM::GEPOp::create(builder, loc, pointer, byte, address, ArrayRef<LLVM::GEPArg>{offset});
  }
  if (view.constantOffset != 0) {
    Value offset = arith::ConstantIntOp::create(builder, loc, view.constantOffset * bytes, 64);
    address =
        LLVM::GEPOp::create(builder, loc, pointer, byte, address, ArrayRef<LLVM::GEPArg>{offset});
  }
  return address;
}

//===----------------------------------------------------------------------===//
// Destinations: a producer writes straight into the output, the padded buffer or the concatenation
//===----------------------------------------------------------------------===//

// A value whose memory is made by its own operation in this block and by no one else.
static bool isLocal(Value value) {
  Operation *def = value.getDefiningOp();
  return def && isa<linalg::GenericOp, linalg::FillOp, tensor::PadOp, tensor::InsertSliceOp,
                    tensor::FromElementsOp, tensor::EmptyOp, scf::ForOp, scf::WhileOp, scf::IfOp,
                    func::CallOp>(def);
}

void HostProgram::request(Value value, Destination destination, Block &block) {
  // Through views of the same elements. An output is memory of its own, which may be read while it
  // lasts; a part of another value must look as that value does, and have no other reader.
  bool shares = destination.kind != Destination::Output;
  while (Operation *def = value.getDefiningOp()) {
    if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp, rt::PackedOp>(def))
      break;
    if (shares && (!isa<tensor::CastOp>(def) || !value.hasOneUse()))
      return;
    // The memory of an output whose shape depends on data is not there yet.
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(def);
        expand && !llvm::all_of(expand.getOutputShape(),
                                [&](Value size) { return hoisted.contains(size.getDefiningOp()); }))
      return;
    value = def->getOperand(0);
  }
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != &block || !isLocal(value) || destinations.contains(value))
    return;
  if (shares && !value.hasOneUse())
    return;
  destinations[value] = destination;
}

void HostProgram::assignDestinations(Block &block) {
  // What each chain of insertions begins with, as far as nobody else reads the parts so far. Chains
  // may be as long as the model has nodes.
  DenseMap<Value, Value> roots;
  for (auto insert : block.getOps<tensor::InsertSliceOp>()) {
    Value before = insert.getDest();
    auto it = before.hasOneUse() ? roots.find(before) : roots.end();
    Value root = it == roots.end() ? before : it->second;
    roots[insert.getResult()] = root;
  }
  for (Operation &op : llvm::reverse(block)) {
    if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      for (auto [index, value] : llvm::enumerate(ret.getOperands()))
        request(value, {Destination::Output, unsigned(index), Value(), nullptr}, block);
    } else if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
      if (insert.getDest().hasOneUse())
        request(insert.getDest(), {Destination::SameAs, 0, insert.getResult(), nullptr}, block);
      // Slices of one tensor.empty do not overlap, or its content would depend on their order.
      // With another reader of the parts so far, all of them would be copied over this one.
      auto root = roots.lookup(insert.getResult()).getDefiningOp<tensor::EmptyOp>();
      if (root && options.optLevel > 0)
        request(insert.getSource(), {Destination::Inside, 0, insert.getResult(), insert, root},
                block);
    } else if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      if (isPureTranspose(generic) && generic.getInputs()[0].getDefiningOp<func::CallOp>())
        request(generic.getInputs()[0], {Destination::Permuted, 0, generic.getResult(0), generic},
                block);
    } else if (auto pad = dyn_cast<tensor::PadOp>(op)) {
      if (options.optLevel > 0)
        request(pad.getSource(), {Destination::Inside, 0, pad.getResult(), pad}, block);
    }
  }
}

FailureOr<View> HostProgram::getOrCreate(Value tensor) {
  if (auto it = views.find(tensor); it != views.end())
    return it->second;
  Location loc = tensor.getLoc();
  auto type = cast<RankedTensorType>(tensor.getType());
  auto it = destinations.find(tensor);
  auto remember = [&](View view) {
    views[tensor] = view;
    return view;
  };
  if (it == destinations.end()) {
    // The plain init of a destination-style operation may be overwritten by it.
    SmallVector<Size> shape = getSizes(tensor);
    return remember(allocate(loc, type.getElementType(), shape));
  }
  Destination destination = it->second;
  if (destination.kind == Destination::Output) {
    SmallVector<Size> shape = getSizes(tensor);
    View view;
    view.element = elementInMemory(type.getElementType());
    view.sizes = shape;
    view.strides = contiguousStrides(shape);
    // The output's memory is at hand before the run only when its shape follows from the inputs'.
    if (!llvm::all_of(shape, [&](const Size &size) { return isAtEntry(size); }))
      return remember(allocate(loc, type.getElementType(), shape));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(allocMarker);
    view.base = rt::OutputOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()),
                                     call, destination.output);
    return remember(view);
  }
  if (destination.kind == Destination::SameAs) {
    // A chain of them is as long as a concatenation has parts.
    SmallVector<Value> chain;
    Value last = destination.target;
    for (auto next = destinations.find(last); !views.contains(last) && next != destinations.end() &&
                                              next->second.kind == Destination::SameAs;
         next = destinations.find(last)) {
      chain.push_back(last);
      last = next->second.target;
    }
    FailureOr<View> view = getOrCreate(last);
    if (failed(view))
      return failure();
    for (Value link : chain)
      views[link] = *view;
    return remember(*view);
  }
  if (auto transpose = dyn_cast<linalg::GenericOp>(destination.slice)) {
    auto empty = transpose.getOutputs()[0].getDefiningOp<tensor::EmptyOp>();
    if (empty && isAvailable(empty.getMixedSizes())) {
      FailureOr<View> whole = getOrCreate(destination.target);
      if (failed(whole))
        return failure();
      return remember(permute(*whole, transpose, /*toResult=*/false));
    }
  } else if (auto insert = dyn_cast<tensor::InsertSliceOp>(destination.slice)) {
    if (isAvailable(insert.getMixedOffsets()) && isAvailable(insert.getMixedSizes()) &&
        isAvailable(insert.getMixedStrides()) &&
        isAvailable(cast<tensor::EmptyOp>(destination.root).getMixedSizes())) {
      FailureOr<View> whole = getOrCreate(destination.target);
      if (failed(whole))
        return failure();
      return remember(subview(loc, *whole, insert.getMixedOffsets(), insert.getMixedSizes(),
                              insert.getMixedStrides(), insert.getDroppedDims()));
    }
  } else if (auto pad = dyn_cast<tensor::PadOp>(destination.slice)) {
    if (isAvailable(pad.getMixedLowPad()) && isAvailable(pad.getMixedHighPad())) {
      // The padded size is computed from the source's.
      SmallVector<Size> shape = getSizes(tensor);
      View probe;
      probe.sizes = shape;
      views[tensor] = probe;
      FailureOr<View> whole = getOrCreate(destination.target);
      views.erase(tensor);
      if (failed(whole))
        return failure();
      View view = *whole;
      view.sizes = shape;
      for (auto [low, stride] : llvm::zip_equal(pad.getMixedLowPad(), whole->strides))
        advance(loc, view, getSize(low) * stride);
      return remember(view);
    }
  }
  return remember(allocate(loc, type.getElementType(), getSizes(tensor)));
}
