// The forms of linalg and tensor operations that all families build from.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

RankedTensorType Lowering::type(ArrayRef<OpFoldResult> sizes, Type element) {
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, getStorageType(element));
}

Value Lowering::empty(ArrayRef<OpFoldResult> sizes, Type storage) {
  return tensor::EmptyOp::create(b, loc, sizes, storage);
}

Value Lowering::filled(ArrayRef<OpFoldResult> sizes, TypedAttr value) {
  return filled(sizes, Value(arith::ConstantOp::create(b, loc, value)));
}

Value Lowering::filled(ArrayRef<OpFoldResult> sizes, Value scalar) {
  Value init = empty(sizes, scalar.getType());
  return linalg::FillOp::create(b, loc, scalar, init).getResult(0);
}

TypedAttr Lowering::number(Type storage, double value) {
  if (auto type = dyn_cast<FloatType>(storage))
    return b.getFloatAttr(type, value);
  return b.getIntegerAttr(storage, int64_t(value));
}

AffineMap Lowering::dimMap(int64_t loops, ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr> results;
  for (int64_t dim : dims)
    results.push_back(b.getAffineDimExpr(dim));
  return AffineMap::get(loops, 0, results, context);
}

AffineMap Lowering::dropDims(int64_t rank, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> dims;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      dims.push_back(i);
  return dimMap(rank, dims);
}

// A loop that walks dimensions of several operands reads outside of the shorter ones where these
// differ, which only the run knows of dynamic ones.
void Lowering::requireEqualLoops(ArrayRef<Operand> inputs, unsigned loops) {
  SmallVector<OpFoldResult> sizes(loops);
  for (const Operand &input : inputs) {
    if (input.tensor.splat)
      continue;
    for (auto [dim, result] : llvm::zip_equal(input.tensor.sizes, input.map.getResults())) {
      auto loop = dyn_cast<AffineDimExpr>(result);
      if (!loop)
        continue;
      OpFoldResult &known = sizes[loop.getPosition()];
      if (known)
        requireEqual(dim, known, "a dimension has size %0 where the other operand's has size %1");
      else
        known = dim;
    }
  }
}

ResultRange Lowering::generic(ArrayRef<Operand> inputs, ValueRange outs,
                              ArrayRef<AffineMap> outMaps, ArrayRef<utils::IteratorType> iterators,
                              ScalarsBody body) {
  SmallVector<Value> ins;
  SmallVector<AffineMap> maps;
  requireEqualLoops(inputs, iterators.size());
  for (const Operand &input : inputs) {
    if (input.tensor.splat)
      continue;
    ins.push_back(input.tensor.value);
    maps.push_back(input.map);
  }
  maps.append(outMaps.begin(), outMaps.end());
  auto op = linalg::GenericOp::create(
      b, loc, TypeRange(outs), ins, outs, maps, iterators,
      [&](OpBuilder &builder, Location at, ValueRange args) {
        Scalars s{builder, at};
        SmallVector<Value> values;
        unsigned next = 0;
        for (const Operand &input : inputs) {
          if (input.tensor.splat)
            values.push_back(arith::ConstantOp::create(builder, at, input.tensor.splat));
          else
            values.push_back(args[next++]);
        }
        llvm::append_range(values, args.drop_front(next));
        // `b` stays before the generic: sizes that the body asks for are made outside of it.
        linalg::YieldOp::create(builder, at, body(s, values));
      });
  for (Operation &made : llvm::make_early_inc_range(llvm::reverse(*op.getBody())))
    if (isOpTriviallyDead(&made))
      made.erase();
  return op->getResults();
}

// ---- Elementwise -------------------------------------------------------------------------------

Sizes Lowering::broadcastSizes(ArrayRef<Sizes> inputs) {
  size_t rank = 0;
  for (const Sizes &sizes : inputs)
    rank = std::max(rank, sizes.size());
  Sizes result(rank, size(1));
  for (const Sizes &sizes : inputs) {
    size_t offset = rank - sizes.size();
    for (auto [i, dim] : llvm::enumerate(sizes)) {
      OpFoldResult &known = result[offset + i];
      std::optional<int64_t> now = getConstantIntValue(dim), before = getConstantIntValue(known);
      if (known == dim || now == 1)
        continue;
      if (before == 1 || (now && !before))
        known = dim;
      else if (!before && !now) {
        // Either may be 1 at run time.
        Value l = value(known), r = value(dim);
        Scalars s = scalars();
        known = markSize(s.select(s.cmp(arith::CmpIPredicate::eq, l, value(size(1))), r, l));
      }
    }
  }
  return result;
}

namespace {
/// How an operand's dimensions follow the loops it broadcasts over.
struct BroadcastPlan {
  AffineMap map;
  /// Dimensions of which only the run will tell whether they are 1.
  SmallVector<int64_t> unknown;
};
} // namespace

static BroadcastPlan planBroadcast(Lowering &l, const Tensor &input, ArrayRef<OpFoldResult> sizes) {
  BroadcastPlan plan;
  SmallVector<AffineExpr> results;
  int64_t offset = sizes.size() - input.rank();
  for (int64_t i = 0; i < input.rank(); ++i) {
    OpFoldResult dim = input.sizes[i], target = sizes[offset + i];
    std::optional<int64_t> constant = getConstantIntValue(dim);
    if (constant == 1 && getConstantIntValue(target) != 1) {
      results.push_back(l.b.getAffineConstantExpr(0));
      continue;
    }
    results.push_back(l.b.getAffineDimExpr(offset + i));
    if (dim == target)
      continue;
    // A size other than 1 must be the result's.
    if (constant)
      l.requireEqual(dim, target, "dimension of size %0 does not broadcast to size %1");
    else
      plan.unknown.push_back(i);
  }
  plan.map = AffineMap::get(sizes.size(), 0, results, l.context);
  return plan;
}

// A copy in which the dimensions of which only the run knows have the size they broadcast to. It is
// a small tensor as a rule, and lets the operation itself keep plain accesses.
static Tensor broadcastAtRunTime(Lowering &l, const Tensor &input, ArrayRef<OpFoldResult> sizes,
                                 ArrayRef<int64_t> unknown) {
  Sizes grown = input.sizes;
  SmallVector<Value> isOne(input.rank());
  for (int64_t dim : unknown) {
    OpFoldResult &size = grown[dim];
    OpFoldResult target = sizes[sizes.size() - input.rank() + dim];
    isOne[dim] =
        l.requireBroadcasts(size, target, "dimension of size %0 does not broadcast to size %1");
    size = target;
  }
  return l.fromIndices(grown, input.element, [&](const Scalars &s, ValueRange indices) {
    SmallVector<Value> position(indices);
    for (int64_t dim : unknown)
      position[dim] = s.select(isOne[dim], s.index(0), position[dim]);
    return s.extract(input.value, position);
  });
}

Tensor Lowering::elementwise(ArrayRef<Operand> inputs, ArrayRef<OpFoldResult> sizes, Type element,
                             ScalarBody body, bool raw) {
  int64_t rank = sizes.size();
  SmallVector<Operand> operands(inputs);
  for (Operand &operand : operands) {
    if (operand.map || operand.tensor.splat)
      continue;
    BroadcastPlan plan = planBroadcast(*this, operand.tensor, sizes);
    if (!plan.unknown.empty())
      operand.tensor = broadcastAtRunTime(*this, operand.tensor, sizes, plan.unknown);
    operand.map = plan.map;
  }
  Value out = empty(sizes, getStorageType(element));
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  Value result = generic(operands, out, b.getMultiDimIdentityMap(rank), iterators,
                         [&](const Scalars &s, ValueRange args) -> SmallVector<Value> {
                           SmallVector<Value> values;
                           for (auto [operand, arg] : llvm::zip(operands, args))
                             values.push_back(raw ? arg : s.load(arg, operand.tensor.element));
                           Value computed = body(s, values);
                           return {raw ? computed : s.store(computed, element)};
                         })
                     .front();
  return {result, Sizes(sizes), element};
}

Tensor Lowering::fromIndices(ArrayRef<OpFoldResult> sizes, Type element, ScalarBody body) {
  int64_t rank = sizes.size();
  Value out = empty(sizes, getStorageType(element));
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  Value result = generic({}, out, b.getMultiDimIdentityMap(rank), iterators,
                         [&](const Scalars &s, ValueRange) -> SmallVector<Value> {
                           SmallVector<Value> indices;
                           for (int64_t i = 0; i < rank; ++i)
                             indices.push_back(linalg::IndexOp::create(s.b, s.loc, i));
                           return {body(s, indices)};
                         })
                     .front();
  return {result, Sizes(sizes), element};
}

static Value first(const Scalars &, ValueRange values) { return values.front(); }

Tensor Lowering::broadcast(const Tensor &input, ArrayRef<OpFoldResult> sizes) {
  if (ArrayRef<OpFoldResult>(input.sizes) == sizes)
    return input;
  if (input.splat)
    return {filled(sizes, input.splat), Sizes(sizes), input.element, input.splat};
  BroadcastPlan plan = planBroadcast(*this, input, sizes);
  Tensor grown =
      plan.unknown.empty() ? input : broadcastAtRunTime(*this, input, sizes, plan.unknown);
  if (ArrayRef<OpFoldResult>(grown.sizes) == sizes)
    return grown;
  return elementwise({{grown, plan.map}}, sizes, input.element, first, /*raw=*/true);
}

Tensor Lowering::convert(const Tensor &input, Type element) {
  if (input.element == element)
    return input;
  return elementwise({input}, input.sizes, element, [&](const Scalars &s, ValueRange x) {
    return s.convert(x[0], input.element, element);
  });
}

Tensor Lowering::reduce(ArrayRef<Operand> inputs, ArrayRef<int64_t> axes, TypedAttr initial,
                        ScalarBody combine) {
  const Tensor &shape = inputs.front().tensor;
  int64_t rank = shape.rank();
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  for (int64_t axis : axes)
    iterators[axis] = utils::IteratorType::reduction;
  Sizes sizes;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      sizes.push_back(shape.sizes[i]);
  SmallVector<Operand> operands(inputs);
  for (Operand &operand : operands)
    if (!operand.map) {
      operand.tensor.splat = {}; // an operand must carry the sizes of the reduced loops
      operand.map = b.getMultiDimIdentityMap(rank);
    }
  Value result = generic(operands, filled(sizes, initial), dropDims(rank, axes), iterators,
                         [&](const Scalars &s, ValueRange args) -> SmallVector<Value> {
                           SmallVector<Value> values;
                           for (auto [input, arg] : llvm::zip(inputs, args))
                             values.push_back(s.load(arg, input.tensor.element));
                           values.push_back(args.back());
                           return {combine(s, values)};
                         })
                     .front();
  return {result, sizes, initial.getType()};
}

static SmallVector<int64_t> getStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

Tensor Lowering::transpose(const Tensor &input, ArrayRef<int64_t> permutation) {
  if (llvm::equal(permutation, llvm::seq<int64_t>(0, input.rank())))
    return input;
  if (input.constant) {
    ArrayRef<int64_t> shape = cast<ShapedType>(input.constant.getType()).getShape();
    SmallVector<int64_t> strides = getStrides(shape), newShape, newStrides;
    for (int64_t dim : permutation) {
      newShape.push_back(shape[dim]);
      newStrides.push_back(strides[dim]);
    }
    if (std::optional<Tensor> folded = readConstant(input, newShape, newStrides))
      return *folded;
  }
  // Result dimension i is input dimension permutation[i]. Only the order of dimensions other than 1
  // moves data.
  Sizes sizes;
  SmallVector<int64_t> loops(input.rank()), moved;
  for (auto [i, dim] : llvm::enumerate(permutation)) {
    sizes.push_back(input.sizes[dim]);
    loops[dim] = i;
    if (!isConstantIntValue(input.sizes[dim], 1))
      moved.push_back(dim);
  }
  if (llvm::is_sorted(moved))
    return reshape(input, sizes);
  Tensor result = elementwise({{input, dimMap(input.rank(), loops)}}, sizes, input.element, first,
                              /*raw=*/true);
  result.splat = input.splat;
  return result;
}

Tensor Lowering::slice(const Tensor &input, ArrayRef<OpFoldResult> offsets,
                       ArrayRef<OpFoldResult> sizes, ArrayRef<OpFoldResult> strides) {
  Sizes steps(strides);
  if (steps.empty())
    steps.assign(input.rank(), size(1));
  bool whole = ArrayRef<OpFoldResult>(input.sizes) == sizes;
  for (auto [offset, step] : llvm::zip(offsets, steps))
    whole &= isConstantIntValue(offset, 0) && isConstantIntValue(step, 1);
  if (whole)
    return input;
  // Slices of nothing are refused by their verifier.
  auto isEmpty = [](OpFoldResult dim) { return isConstantIntValue(dim, 0); };
  if (llvm::any_of(sizes, isEmpty) || llvm::any_of(input.sizes, isEmpty))
    return {empty(sizes, getStorageType(input.element)), Sizes(sizes), input.element};
  std::optional<SmallVector<int64_t>> from = getConstantIntValues(offsets),
                                      shape = getConstantIntValues(sizes),
                                      by = getConstantIntValues(steps);
  if (input.constant && from && shape && by) {
    SmallVector<int64_t> stride = getStrides(cast<ShapedType>(input.constant.getType()).getShape());
    int64_t start = 0;
    for (size_t i = 0; i < stride.size(); ++i) {
      start += (*from)[i] * stride[i];
      stride[i] *= (*by)[i];
    }
    if (std::optional<Tensor> folded = readConstant(input, *shape, stride, start))
      return *folded;
  }
  Value result = tensor::ExtractSliceOp::create(b, loc, type(sizes, input.element), input.value,
                                                offsets, sizes, steps);
  return {result, Sizes(sizes), input.element, input.splat};
}

Value Lowering::insert(const Tensor &piece, Value into, ArrayRef<OpFoldResult> offsets,
                       ArrayRef<OpFoldResult> strides) {
  Sizes steps(strides);
  if (steps.empty())
    steps.assign(offsets.size(), size(1));
  // Slices of nothing are refused by their verifier, and so are those of unknown size into nothing.
  auto whole = cast<RankedTensorType>(into.getType());
  if (llvm::any_of(piece.sizes, [](OpFoldResult dim) { return isConstantIntValue(dim, 0); }) ||
      llvm::is_contained(whole.getShape(), 0))
    return into;
  return tensor::InsertSliceOp::create(b, loc, piece.value, into, offsets, piece.sizes, steps);
}

Tensor Lowering::pad(const Tensor &input, ArrayRef<OpFoldResult> low, ArrayRef<OpFoldResult> high,
                     TypedAttr value) {
  Sizes sizes;
  bool nothing = true;
  for (int64_t i = 0; i < input.rank(); ++i) {
    sizes.push_back(add(add(input.sizes[i], low[i]), high[i]));
    nothing &= isConstantIntValue(low[i], 0) && isConstantIntValue(high[i], 0);
  }
  if (nothing)
    return input;
  Value constant = arith::ConstantOp::create(b, loc, value);
  Value result =
      tensor::PadOp::create(b, loc, type(sizes, input.element), input.value, low, high, constant);
  return {result, sizes, input.element};
}
