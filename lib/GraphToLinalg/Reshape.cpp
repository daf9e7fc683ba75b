// Lowering of operations that keep the data and change its shape or order.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

// ---- Reassociation -----------------------------------------------------------------------------

namespace {
/// Dimensions [inBegin, inEnd) of the input hold the elements of [outBegin, outEnd) of the result.
struct Group {
  int64_t inBegin, inEnd, outBegin, outEnd;
};
} // namespace

static bool divides(AffineExpr divisor, AffineExpr value) {
  return bool(graph::divideExactly(value, divisor));
}

// Splits both shapes into the shortest groups of equal products. What cannot be matched by
// symbolic reasoning ends in one last group.
static SmallVector<Group> findGroups(Lowering &l, ArrayRef<OpFoldResult> in,
                                     ArrayRef<OpFoldResult> out) {
  SmallVector<Group> groups;
  int64_t inRank = in.size(), outRank = out.size();
  int64_t i = 0, j = 0;
  while (i < inRank && j < outRank) {
    Group group{i, i + 1, j, j + 1};
    AffineExpr left = l.expr(in[i++]), right = l.expr(out[j++]);
    while (left && right && left != right) {
      // The side that is a factor of the other goes on; of two constants, the smaller.
      std::optional<int64_t> a = graph::getConstant(left), c = graph::getConstant(right);
      bool growLeft = a && c ? *a < *c : divides(left, right) || !divides(right, left);
      if (growLeft ? i == inRank : j == outRank)
        growLeft = !growLeft;
      if (growLeft ? i == inRank : j == outRank)
        break;
      if (growLeft)
        left = graph::multiplyExprs(left, l.expr(in[i++]));
      else
        right = graph::multiplyExprs(right, l.expr(out[j++]));
    }
    if (!left || !right || left != right)
      i = inRank, j = outRank;
    group.inEnd = i;
    group.outEnd = j;
    groups.push_back(group);
  }
  // Remaining dimensions are 1, or the match failed; either way they join the last group.
  if (groups.empty())
    groups.push_back({0, inRank, 0, outRank});
  groups.back().inEnd = inRank;
  groups.back().outEnd = outRank;
  return groups;
}

static SmallVector<ReassociationIndices> consecutive(ArrayRef<int64_t> counts) {
  SmallVector<ReassociationIndices> result;
  int64_t next = 0;
  for (int64_t count : counts) {
    ReassociationIndices &indices = result.emplace_back();
    for (int64_t i = 0; i < count; ++i)
      indices.push_back(next++);
  }
  return result;
}

// Makes the type as static as the sizes that are known of it.
static Value refine(Lowering &l, Value value, ArrayRef<OpFoldResult> sizes, Type element) {
  RankedTensorType type = l.type(sizes, element);
  if (value.getType() == type)
    return value;
  // Slices of nothing are refused by their verifier.
  if (llvm::is_contained(cast<RankedTensorType>(value.getType()).getShape(), 0) ||
      llvm::is_contained(type.getShape(), 0))
    return l.empty(sizes, type.getElementType());
  Sizes zeros(sizes.size(), l.size(0)), ones(sizes.size(), l.size(1));
  return tensor::ExtractSliceOp::create(l.b, l.loc, type, value, zeros, sizes, ones);
}

static Value collapse(Lowering &l, Value value, ArrayRef<int64_t> counts) {
  return tensor::CollapseShapeOp::create(l.b, l.loc, value, consecutive(counts));
}

// A tensor of one element becomes one of rank 0, or the reverse; sizes that are not static are
// checked by the caller.
static Tensor throughScalar(Lowering &l, const Tensor &input, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> zeros(input.rank(), l.value(l.size(0)));
  Value scalar = l.scalars().extract(input.value, zeros);
  Sizes ones(sizes.size(), l.size(1));
  Value made = tensor::FromElementsOp::create(l.b, l.loc, l.type(ones, input.element), scalar);
  return {made, ones, input.element};
}

// The same bytes under another type.
Tensor Lowering::reshapeConstant(const Tensor &input, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, getStorageType(input.element));
  if (auto dense = dyn_cast<DenseElementsAttr>(input.constant))
    return makeConstant(dense.reshape(type), input.element);
  auto weight = cast<graph::WeightAttr>(input.constant);
  return makeConstant(graph::WeightAttr::get(context, weight.getFile(), weight.getOffset(),
                                             weight.getLength(), weight.getHash(), type),
                      input.element);
}

Tensor Lowering::reshape(const Tensor &input, ArrayRef<OpFoldResult> sizes) {
  if (ArrayRef<OpFoldResult>(input.sizes) == sizes)
    return input;
  requireEqual(product(input.sizes), product(sizes),
               "a tensor of %0 elements cannot have a shape of %1 elements", LATHE_CODE_RESHAPE);
  // Nothing has no bytes to keep, and its groups would mix known and unknown sizes.
  auto isZero = [](OpFoldResult size) { return isConstantIntValue(size, 0); };
  if (llvm::any_of(input.sizes, isZero) || llvm::any_of(sizes, isZero))
    return {empty(sizes, getStorageType(input.element)), Sizes(sizes), input.element};
  auto isUnit = [](OpFoldResult size) { return isConstantIntValue(size, 1); };
  if (input.rank() == 0 || sizes.empty()) {
    if (!llvm::all_of(input.sizes, isUnit) || !llvm::all_of(sizes, isUnit))
      return throughScalar(*this, input, sizes);
    Value made = input.value;
    if (sizes.empty())
      made = tensor::CollapseShapeOp::create(b, loc, made, ArrayRef<ReassociationIndices>());
    else
      made = tensor::ExpandShapeOp::create(b, loc, type(sizes, input.element), made,
                                           ArrayRef<ReassociationIndices>(), sizes);
    return {made, Sizes(sizes), input.element, input.splat};
  }
  if (input.constant)
    if (std::optional<SmallVector<int64_t>> shape = getConstantIntValues(sizes))
      return reshapeConstant(input, *shape);
  SmallVector<Group> groups = findGroups(*this, input.sizes, sizes);
  SmallVector<int64_t> collapsed, expandedCounts;
  Sizes middle;
  bool collapses = false, expands = false;
  for (const Group &group : groups) {
    collapsed.push_back(group.inEnd - group.inBegin);
    expandedCounts.push_back(group.outEnd - group.outBegin);
    collapses |= collapsed.back() != 1;
    expands |= expandedCounts.back() != 1;
    ArrayRef<OpFoldResult> part = sizes.slice(group.outBegin, expandedCounts.back());
    middle.push_back(product(part));
  }
  Value made = input.value;
  if (collapses)
    made = collapse(*this, made, collapsed);
  made = refine(*this, made, middle, input.element);
  if (expands)
    made = tensor::ExpandShapeOp::create(b, loc, type(sizes, input.element), made,
                                         consecutive(expandedCounts), sizes);
  return {made, Sizes(sizes), input.element, input.splat};
}

Tensor Lowering::withSizes(const Tensor &input, ArrayRef<OpFoldResult> sizes) {
  for (auto [have, want] : llvm::zip(input.sizes, sizes))
    requireEqual(have, want, "a dimension has size %0, not %1");
  Value value = refine(*this, input.value, sizes, input.element);
  return {value, Sizes(sizes), input.element, input.splat};
}

// ---- Operations --------------------------------------------------------------------------------

// What the elements of a shape ask for: null for a constant -1, the input's size for a 0 that
// copies. Numbers that only the run knows may be -1 as well.
static Sizes resolveShape(Lowering &l, const Tensor &input, ArrayRef<OpFoldResult> shape,
                          bool allowZero) {
  Scalars s = l.scalars();
  Sizes wanted;
  for (auto [i, element] : llvm::enumerate(shape)) {
    bool copies = !allowZero && int64_t(i) < input.rank();
    if (isConstantIntValue(element, -1))
      wanted.push_back({});
    else if (isConstantIntValue(element, 0) && copies)
      wanted.push_back(input.sizes[i]);
    else if (getConstantIntValue(element) || !copies || l.isKnownNonNegative(element))
      wanted.push_back(element);
    else
      wanted.push_back(
          s.select(s.cmp(arith::CmpIPredicate::eq, l.value(element), l.value(l.size(0))),
                   l.value(input.sizes[i]), l.value(element)));
  }
  return wanted;
}

static Value isMinusOne(Lowering &l, OpFoldResult size) {
  return l.scalars().cmp(arith::CmpIPredicate::eq, l.value(size), l.value(l.size(-1)));
}

// Fails the run where a shape does not ask for the sizes that follow from the rest of it: shape
// analysis takes a number that only the run knows for the one that fits.
static void requireWanted(Lowering &l, ArrayRef<OpFoldResult> wanted,
                          ArrayRef<OpFoldResult> sizes) {
  Scalars s = l.scalars();
  Value computed = l.value(l.size(0));
  bool mayBeComputed = false, mayBeComputedTwice = false;
  for (auto [want, have] : llvm::zip(wanted, sizes)) {
    if (want && (getConstantIntValue(want) || l.expr(want) == l.expr(have)))
      continue;
    mayBeComputedTwice |= std::exchange(mayBeComputed, true);
    if (!want) {
      computed = s.add(computed, l.value(l.size(1)));
      continue;
    }
    Value isComputed = isMinusOne(l, want), number = l.value(want), size = l.value(have);
    s.check(s.orI(isComputed, s.cmp(arith::CmpIPredicate::eq, number, size)), LATHE_CODE_RESHAPE,
            "a shape asks for %0 where the elements make it %1", {number, size});
    computed = s.add(computed, s.select(isComputed, l.value(l.size(1)), l.value(l.size(0))));
  }
  if (mayBeComputedTwice)
    s.check(s.cmp(arith::CmpIPredicate::sle, computed, l.value(l.size(1))), LATHE_CODE_RESHAPE,
            "%0 sizes of a shape are -1, at most one may be", {computed});
}

static LogicalResult lowerReshape(graph::ReshapeOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  std::optional<Sizes> shape = l.getElements(op.getShape());
  size_t rank = cast<RankedTensorType>(op.getResult().getType()).getRank();
  if (!shape || shape->size() != rank)
    return l.unsupported(op) << "the length of its shape is not known when compiling";
  Sizes wanted = resolveShape(l, input, *shape, op.getAllowZero());
  Sizes sizes = l.resultSizes(op.getResult());
  if (llvm::is_contained(sizes, OpFoldResult())) {
    Scalars s = l.scalars();
    for (size_t i = 0; i < rank; ++i)
      if (!sizes[i])
        sizes[i] = wanted[i];
    // A -1 stands for what is left of the elements.
    OpFoldResult total = l.product(input.sizes);
    auto unknown = llvm::find(sizes, OpFoldResult());
    if (unknown != sizes.end()) {
      Sizes others;
      for (OpFoldResult &size : sizes)
        if (&size != unknown)
          others.push_back(size);
      *unknown = l.floorDiv(total, l.product(others));
    } else {
      Value one = l.value(l.size(1)), known = one;
      for (OpFoldResult size : sizes)
        known = s.mul(known, s.select(isMinusOne(l, size), one, l.value(size)));
      Value rest = s.floorDiv(l.value(total), s.max(known, one));
      for (OpFoldResult &size : sizes)
        if (!getConstantIntValue(size))
          size = s.select(isMinusOne(l, size), rest, l.value(size));
    }
    for (OpFoldResult size : sizes)
      l.requireNonNegative(size);
  }
  requireWanted(l, wanted, sizes);
  l.set(op.getResult(), l.reshape(input, sizes));
  return success();
}

static LogicalResult lowerRequireShape(graph::RequireShapeOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  std::optional<Sizes> shape = l.getElements(op.getShape());
  if (!shape || int64_t(shape->size()) != input.rank())
    return l.unsupported(op) << "the length of its shape is not known when compiling";
  for (auto [size, wanted] : llvm::zip(input.sizes, *shape))
    if (!isConstantIntValue(wanted, -1))
      l.requireEqual(size, wanted, "a dimension has size %0, not %1");
  l.set(op.getResult(), l.withSizes(input, l.resultSizes(op.getResult(), input.sizes)));
  return success();
}

static LogicalResult lowerFlatten(graph::FlattenOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + input.rank() : op.getAxis();
  ArrayRef<OpFoldResult> sizes = input.sizes;
  l.set(op.getResult(),
        l.reshape(input, {l.product(sizes.take_front(axis)), l.product(sizes.drop_front(axis))}));
  return success();
}

static LogicalResult lowerSqueeze(graph::SqueezeOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  Sizes sizes;
  for (auto [i, size] : llvm::enumerate(input.sizes)) {
    bool drop =
        op.getAxes() ? llvm::is_contained(*op.getAxes(), int64_t(i)) : isConstantIntValue(size, 1);
    if (drop) {
      l.requireEqual(size, l.size(1), "a dimension of size %0 cannot be removed");
      continue;
    }
    sizes.push_back(size);
    if (op.getAxes() || getConstantIntValue(size))
      continue;
    // It would have to be removed as well, but the rank of the result is settled when compiling.
    Value number = l.value(size);
    Scalars s = l.scalars();
    s.check(s.cmp(arith::CmpIPredicate::ne, number, l.value(l.size(1))), LATHE_CODE_SHAPE,
            "dimension %0 has size 1, which was not known when compiling; name the axes to squeeze",
            {l.value(l.size(i))});
  }
  if (int64_t(sizes.size()) != cast<RankedTensorType>(op.getResult().getType()).getRank())
    return l.unsupported(op) << "which dimensions are 1 is not known when compiling";
  l.set(op.getResult(), l.reshape(input, sizes));
  return success();
}

static LogicalResult lowerUnsqueeze(graph::UnsqueezeOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  int64_t rank = input.rank() + op.getAxes().size();
  Sizes sizes;
  for (int64_t i = 0, next = 0; i < rank; ++i)
    sizes.push_back(llvm::is_contained(op.getAxes(), i) ? l.size(1) : input.sizes[next++]);
  l.set(op.getResult(), l.reshape(input, sizes));
  return success();
}

static LogicalResult lowerTranspose(graph::TransposeOp op, Lowering &l) {
  l.set(op.getResult(), l.transpose(l.get(op.getData()), op.getPerm()));
  return success();
}

static LogicalResult lowerDepthToSpace(graph::DepthToSpaceOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  if (input.rank() != 4)
    return l.unsupported(op) << "rank " << input.rank();
  OpFoldResult block = l.size(op.getBlock());
  OpFoldResult n = input.sizes[0], h = input.sizes[2], w = input.sizes[3];
  OpFoldResult depth = l.floorDiv(input.sizes[1], l.mul(block, block));
  bool crd = op.getColumnRow();
  Sizes split = crd ? Sizes{n, depth, block, block, h, w} : Sizes{n, block, block, depth, h, w};
  Tensor apart = l.transpose(l.reshape(input, split), crd ? ArrayRef<int64_t>{0, 1, 4, 2, 5, 3}
                                                          : ArrayRef<int64_t>{0, 3, 4, 1, 5, 2});
  l.set(op.getResult(), l.reshape(apart, {n, depth, l.mul(h, block), l.mul(w, block)}));
  return success();
}

static LogicalResult lowerSpaceToDepth(graph::SpaceToDepthOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  if (input.rank() != 4)
    return l.unsupported(op) << "rank " << input.rank();
  OpFoldResult block = l.size(op.getBlock());
  OpFoldResult n = input.sizes[0], c = input.sizes[1];
  OpFoldResult h = l.floorDiv(input.sizes[2], block), w = l.floorDiv(input.sizes[3], block);
  Tensor apart = l.transpose(l.reshape(input, {n, c, h, block, w, block}), {0, 3, 5, 1, 2, 4});
  l.set(op.getResult(), l.reshape(apart, {n, l.mul(c, l.mul(block, block)), h, w}));
  return success();
}

// Of small tensors the walk knows the elements and does not come here.
static LogicalResult lowerShape(graph::ShapeOp op, Lowering &l) {
  return l.unsupported(op) << "its input's sizes are not known";
}

static LogicalResult lowerSize(graph::SizeOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  Value count =
      arith::IndexCastOp::create(l.b, l.loc, l.b.getI64Type(), l.value(l.product(input.sizes)));
  Value made = tensor::FromElementsOp::create(l.b, l.loc,
                                              RankedTensorType::get({}, l.b.getI64Type()), count);
  l.set(op.getResult(), {made, {}, l.b.getI64Type()});
  return success();
}

void lathe::g2l::addReshape(LoweringTable &table) {
  table.add(lowerReshape);
  table.add(lowerRequireShape);
  table.add(lowerFlatten);
  table.add(lowerSqueeze);
  table.add(lowerUnsqueeze);
  table.add(lowerTranspose);
  table.add(lowerDepthToSpace);
  table.add(lowerSpaceToDepth);
  table.add(lowerShape);
  table.add(lowerSize);
}
