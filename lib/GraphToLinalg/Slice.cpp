// Lowering of slices, joins and repetitions.
// Apache-2.0 WITH LLVM-exception
#include "lib/GraphToLinalg/Lowering.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::g2l;

static Sizes zeros(Lowering &l, int64_t rank) { return Sizes(rank, l.size(0)); }

// ---- Concat, split -----------------------------------------------------------------------------

static LogicalResult lowerConcat(graph::ConcatOp op, Lowering &l) {
  SmallVector<Tensor> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(l.get(input));
  int64_t rank = inputs[0].rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  Sizes computed = inputs[0].sizes;
  computed[axis] = l.size(0);
  for (const Tensor &input : inputs) {
    computed[axis] = l.add(computed[axis], input.sizes[axis]);
    for (int64_t i = 0; i < rank; ++i)
      if (i != axis)
        l.requireEqual(input.sizes[i], inputs[0].sizes[i],
                       "tensors of sizes %0 and %1 in another dimension cannot be joined");
  }
  if (inputs.size() == 1) {
    l.set(op.getResult(), inputs[0]);
    return success();
  }
  // The sum of the parts, rather than what analysis says, so that every part lies inside.
  Value joined = l.empty(computed, getStorageType(inputs[0].element));
  Sizes offsets = zeros(l, rank);
  for (const Tensor &input : inputs) {
    if (!isConstantIntValue(input.sizes[axis], 0))
      joined = l.insert(input, joined, offsets);
    offsets[axis] = l.add(offsets[axis], input.sizes[axis]);
  }
  l.set(op.getResult(), {joined, computed, inputs[0].element});
  return success();
}

static LogicalResult lowerSplit(graph::SplitOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  int64_t rank = input.rank(), axis = op.getAxis() < 0 ? op.getAxis() + rank : op.getAxis();
  int64_t count = op.getResults().size();
  Sizes pieces;
  if (op.getSizes()) {
    std::optional<Sizes> given = l.getElements(op.getSizes());
    if (!given || int64_t(given->size()) != count)
      return l.unsupported(op) << "the number of sizes is not known to be " << count;
    pieces = *given;
    OpFoldResult total = l.size(0);
    for (OpFoldResult piece : pieces) {
      l.requireNonNegative(piece);
      total = l.add(total, piece);
    }
    l.requireEqual(total, input.sizes[axis], "parts of %0 in all do not make the size %1");
  } else {
    // Even parts, the last with what is left, which may be nothing.
    OpFoldResult part = l.ceilDiv(input.sizes[axis], l.size(count)), left = input.sizes[axis];
    for (int64_t i = 0; i < count; ++i) {
      pieces.push_back(l.min(part, left));
      left = l.sub(left, pieces.back());
    }
  }
  Sizes offsets = zeros(l, rank), sizes = input.sizes;
  for (auto [result, piece] : llvm::zip(op.getResults(), pieces)) {
    sizes[axis] = piece;
    l.set(result, l.slice(input, offsets, sizes));
    offsets[axis] = l.add(offsets[axis], piece);
  }
  return success();
}

void lathe::g2l::requireAxis(Lowering &l, OpFoldResult axis, int64_t rank) {
  Scalars s = l.scalars();
  Value number = l.value(axis);
  s.check(s.andI(s.cmp(arith::CmpIPredicate::sge, number, l.value(l.size(-rank))),
                 s.cmp(arith::CmpIPredicate::slt, number, l.value(l.size(rank)))),
          LATHE_CODE_INDEX, "axis %0 is out of range for a tensor of rank %1",
          {number, l.value(l.size(rank))});
}

Value lathe::g2l::isAxis(Lowering &l, OpFoldResult axis, int64_t dim, int64_t rank) {
  Scalars s = l.scalars();
  Value number = l.value(axis);
  return s.orI(s.cmp(arith::CmpIPredicate::eq, number, l.value(l.size(dim))),
               s.cmp(arith::CmpIPredicate::eq, number, l.value(l.size(dim - rank))));
}

// ---- Slice -------------------------------------------------------------------------------------

namespace {
struct SliceDim {
  OpFoldResult offset, size;
  int64_t step = 1;
  /// Set where the step depends on data.
  Value runTimeStep;
};
} // namespace

// Steps beyond any dimension take the first element alone, as this one does, and don't overflow.
static constexpr int64_t longestStep = int64_t(1) << 40;

// A bound counts from the end when negative.
static OpFoldResult fromEnd(Lowering &l, OpFoldResult bound, OpFoldResult dim) {
  if (std::optional<int64_t> known = getConstantIntValue(bound))
    return *known < 0 ? l.add(bound, dim) : bound;
  if (l.isKnownNonNegative(bound))
    return bound;
  Scalars s = l.scalars();
  Value number = l.value(bound);
  Value negative = s.cmp(arith::CmpIPredicate::slt, number, l.value(l.size(0)));
  return s.select(negative, s.add(number, l.value(dim)), number);
}

static OpFoldResult clamp(Lowering &l, OpFoldResult value, OpFoldResult low, OpFoldResult high) {
  return l.min(l.max(value, low), high);
}

static SliceDim sliceDim(Lowering &l, OpFoldResult dim, OpFoldResult start, OpFoldResult end,
                         int64_t step) {
  step = std::clamp(step, -longestStep, longestStep);
  OpFoldResult zero = l.size(0), one = l.size(1);
  // Exporters write huge numbers for "to the end", whose sum with a size could overflow.
  if (std::optional<int64_t> known = getConstantIntValue(end); known && *known >= INT32_MAX)
    end = dim;
  else if (known && *known <= -INT32_MAX)
    end = step > 0 ? zero : l.size(-1);
  else
    end = fromEnd(l, end, dim);
  if (std::optional<int64_t> known = getConstantIntValue(start); known && *known >= INT32_MAX)
    start = dim;
  else if (known && *known <= -INT32_MAX)
    start = zero;
  else
    start = fromEnd(l, start, dim);
  if (step > 0) {
    start = clamp(l, start, zero, dim);
    end = clamp(l, end, zero, dim);
    return {start, l.max(l.ceilDiv(l.sub(end, start), l.size(step)), zero), step, {}};
  }
  OpFoldResult last = l.sub(dim, one);
  start = clamp(l, start, zero, l.max(last, zero));
  end = clamp(l, end, l.size(-1), last);
  // Nothing has no last element to begin at: then -1 is both where it begins and where it ends.
  OpFoldResult distance = l.sub(l.min(start, last), end);
  return {start, l.max(l.ceilDiv(distance, l.size(-step)), zero), step, {}};
}

// The same at run time, for a step of either sign.
static SliceDim sliceDimAtRunTime(Lowering &l, OpFoldResult dimSize, OpFoldResult start,
                                  OpFoldResult end, OpFoldResult step) {
  Scalars s = l.scalars();
  Value zero = l.value(l.size(0)), one = l.value(l.size(1)), dim = l.value(dimSize);
  Value by = l.value(step);
  Value isZero = s.cmp(arith::CmpIPredicate::eq, by, zero);
  s.check(s.cmp(arith::CmpIPredicate::ne, by, zero), LATHE_CODE_SIZE, "the step of a slice is %0",
          {by});
  by = s.select(isZero, one, by);
  by = s.min(s.max(by, s.index(-longestStep)), s.index(longestStep));
  Value forward = s.cmp(arith::CmpIPredicate::sgt, by, zero);
  Value last = s.sub(dim, one);
  Value lowEnd = s.select(forward, zero, s.sub(zero, one));
  Value highStart = s.select(forward, dim, s.max(last, zero));
  Value highEnd = s.select(forward, dim, last);
  auto normalise = [&](OpFoldResult bound, Value low, Value high) {
    Value number = l.value(bound);
    Value negative = s.cmp(arith::CmpIPredicate::slt, number, zero);
    number = s.select(negative, s.add(number, dim), number);
    return s.min(s.max(number, low), high);
  };
  Value from = normalise(start, zero, highStart), to = normalise(end, lowEnd, highEnd);
  Value distance = s.select(forward, s.sub(to, from), s.sub(s.min(from, last), to));
  Value stride = s.select(forward, by, s.sub(zero, by));
  Value count = s.floorDiv(s.add(distance, s.sub(stride, one)), stride);
  return {l.markSize(from), l.markSize(s.max(count, zero)), 0, by};
}

static Tensor takeSlice(Lowering &l, const Tensor &input, ArrayRef<SliceDim> dims, Value result) {
  int64_t rank = input.rank();
  bool stepsForward = true;
  Sizes computed;
  for (const SliceDim &dim : dims) {
    computed.push_back(dim.size);
    stepsForward &= dim.step > 0 || isConstantIntValue(dim.size, 0);
  }
  Sizes sizes = l.resultSizes(result, computed);
  // Where analysis simplified a size, the run must agree, or the slice would leave the data.
  for (int64_t i = 0; i < rank; ++i)
    l.requireEqual(sizes[i], computed[i], "a slice has size %0 but %1 elements are there");
  if (stepsForward) {
    Sizes offsets, strides;
    for (const SliceDim &dim : dims) {
      offsets.push_back(dim.offset);
      strides.push_back(l.size(std::max<int64_t>(dim.step, 1)));
    }
    return l.slice(input, offsets, sizes, strides);
  }
  SmallVector<Value> offsets;
  for (const SliceDim &dim : dims)
    offsets.push_back(l.value(dim.offset));
  return l.fromIndices(sizes, input.element, [&](const Scalars &s, ValueRange indices) {
    SmallVector<Value> position;
    for (auto [dim, offset, index] : llvm::zip(dims, offsets, indices)) {
      Value step = dim.runTimeStep ? dim.runTimeStep : s.index(dim.step);
      position.push_back(s.add(offset, s.mul(index, step)));
    }
    return s.extract(input.value, position);
  });
}

// Which dimensions are cut is known at run time only: each looks for itself among the axes.
static LogicalResult lowerSliceOfRunTimeAxes(graph::SliceOp op, Lowering &l,
                                             ArrayRef<OpFoldResult> starts,
                                             ArrayRef<OpFoldResult> ends,
                                             std::optional<Sizes> steps) {
  Tensor input = l.get(op.getData());
  std::optional<Sizes> axes = l.getElements(op.getAxes());
  if (!axes || axes->size() != starts.size())
    return l.unsupported(op) << "the number of its axes is not known when compiling";
  SmallVector<Value> dimensions;
  for (OpFoldResult axis : *axes) {
    requireAxis(l, axis, input.rank());
    Value here = l.value(fromEnd(l, axis, l.size(input.rank())));
    Scalars s = l.scalars();
    for (Value other : dimensions)
      s.check(s.cmp(arith::CmpIPredicate::ne, here, other), LATHE_CODE_INDEX,
              "the axes of a slice name dimension %0 twice", {here});
    dimensions.push_back(here);
  }
  SmallVector<SliceDim> dims;
  for (auto [dim, size] : llvm::enumerate(input.sizes)) {
    std::array<OpFoldResult, 3> bounds{l.size(0), size, l.size(1)};
    for (size_t i = 0; i < axes->size(); ++i) {
      Value isMine = isAxis(l, (*axes)[i], dim, input.rank());
      OpFoldResult given[] = {starts[i], ends[i], steps ? (*steps)[i] : l.size(1)};
      for (auto [bound, other] : llvm::zip(bounds, given))
        bound = l.scalars().select(isMine, l.value(other), l.value(bound));
    }
    dims.push_back(sliceDimAtRunTime(l, size, bounds[0], bounds[1], bounds[2]));
  }
  l.set(op.getResult(), takeSlice(l, input, dims, op.getResult()));
  return success();
}

static LogicalResult lowerSlice(graph::SliceOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  std::optional<Sizes> starts = l.getElements(op.getStarts()), ends = l.getElements(op.getEnds());
  std::optional<Sizes> steps;
  std::optional<SmallVector<int64_t>> axes;
  if (op.getSteps())
    steps = l.getElements(op.getSteps());
  if (op.getAxes())
    axes = l.getConstantElements(op.getAxes());
  if (!starts || !ends || (op.getSteps() && !steps) || starts->size() != ends->size() ||
      (steps && steps->size() != starts->size()))
    return l.unsupported(op) << "the number of starts, ends and steps is not known when compiling";
  if (op.getAxes() && !axes)
    return lowerSliceOfRunTimeAxes(op, l, *starts, *ends, steps);
  if (axes && axes->size() != starts->size())
    return l.unsupported(op) << starts->size() << " starts for " << axes->size() << " axes";
  int64_t rank = input.rank();
  SmallVector<SliceDim> dims;
  for (OpFoldResult size : input.sizes)
    dims.push_back({l.size(0), size, 1, {}});
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes ? (*axes)[i] : int64_t(i);
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank)
      return l.unsupported(op) << "axis " << axis << " for a tensor of rank " << rank;
    OpFoldResult step = steps ? (*steps)[i] : l.size(1);
    std::optional<int64_t> known = getConstantIntValue(step);
    if (known == 0)
      return l.unsupported(op) << "a step of 0";
    dims[axis] = known ? sliceDim(l, input.sizes[axis], (*starts)[i], (*ends)[i], *known)
                       : sliceDimAtRunTime(l, input.sizes[axis], (*starts)[i], (*ends)[i], step);
  }
  l.set(op.getResult(), takeSlice(l, input, dims, op.getResult()));
  return success();
}

// ---- Expand, tile ------------------------------------------------------------------------------

static LogicalResult lowerExpand(graph::ExpandOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  std::optional<Sizes> shape = l.getElements(op.getShape());
  if (!shape)
    return l.unsupported(op) << "the length of its shape is not known when compiling";
  for (OpFoldResult size : *shape)
    l.requireNonNegative(size);
  Sizes sizes = l.resultSizes(op.getResult(), l.broadcastSizes({input.sizes, *shape}));
  for (auto [size, target] : llvm::zip(llvm::reverse(*shape), llvm::reverse(sizes)))
    if (size != target && !isConstantIntValue(size, 1))
      l.requireBroadcasts(size, target, "size %0 of the shape does not broadcast to size %1");
  l.set(op.getResult(), l.broadcast(input, sizes));
  return success();
}

// Repeats by reading [1, s0, 1, s1, ...] at the loops of [r0, s0, r1, s1, ...].
static LogicalResult lowerTile(graph::TileOp op, Lowering &l) {
  Tensor input = l.get(op.getData());
  int64_t rank = input.rank();
  std::optional<Sizes> repeats = l.getElements(op.getRepeats());
  if (!repeats || int64_t(repeats->size()) != rank)
    return l.unsupported(op) << "the number of repeats is not known when compiling";
  Sizes apart, together;
  SmallVector<int64_t> loops;
  bool nothing = true;
  for (int64_t i = 0; i < rank; ++i) {
    OpFoldResult repeat = (*repeats)[i];
    l.requireNonNegative(repeat);
    nothing &= isConstantIntValue(repeat, 1);
    if (!isConstantIntValue(repeat, 1))
      apart.push_back(repeat);
    loops.push_back(apart.size());
    apart.push_back(input.sizes[i]);
    together.push_back(l.mul(repeat, input.sizes[i]));
  }
  if (nothing) {
    l.set(op.getResult(), input);
    return success();
  }
  Tensor repeated = l.elementwise(
      {{input, l.dimMap(apart.size(), loops)}}, apart, input.element,
      [](const Scalars &, ValueRange x) { return x[0]; },
      /*raw=*/true);
  l.set(op.getResult(), l.reshape(repeated, together));
  return success();
}

void lathe::g2l::addSlice(LoweringTable &table) {
  table.add(lowerConcat);
  table.add(lowerSplit);
  table.add(lowerSlice);
  table.add(lowerExpand);
  table.add(lowerTile);
}
