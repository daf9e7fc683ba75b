// Axes that only the run knows.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/RunTimeAxes.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;

static Value integer(Node &node, int64_t value) {
  return node.scalarInt(value, node.builder().getI64Type());
}

static Value isSet(Node &node, Value mask) {
  return node.binary(BinaryKind::equal, mask, integer(node, 1));
}

/// data reshaped to exactly `shape`, in which 0 is a size.
static Value reshapeTo(Node &node, Value data, Value shape) {
  if (!data || !shape)
    return {};
  auto op = node.create<graph::ReshapeOp>(node.likeOf(data), data, shape, true);
  return op ? Value(op.getResult()) : Value();
}

Value lathe::import::runTimeAxes(Node &node, unsigned input) {
  Value axes = node.require(input);
  if (!axes)
    return {};
  if (!isa<IntegerType>(Node::elementOf(axes))) {
    node.error() << "input " << input << " of " << node.opType() << " has element type "
                 << Node::elementOf(axes) << ", it takes int64";
    return {};
  }
  axes = node.cast(axes, node.builder().getI64Type());
  std::optional<int64_t> rank = node.requireRank(axes, "the axes");
  if (!rank)
    return {};
  if (*rank > 1) {
    node.error() << "input " << input << " of " << node.opType() << " has rank " << *rank
                 << ", it takes 1";
    return {};
  }
  return *rank == 0 ? node.unsqueeze(axes, {0}) : axes;
}

std::optional<int64_t> lathe::import::axisCount(Node &node, Value axes) {
  auto type = axes ? dyn_cast<RankedTensorType>(axes.getType()) : nullptr;
  if (!type)
    return std::nullopt;
  if (!type.isDynamicDim(0))
    return type.getDimSize(0);
  node.error() << "the number of axes of " << node.opType()
               << " must be known when compiling, for the rank of its result follows from it";
  return std::nullopt;
}

Value lathe::import::axisMask(Node &node, Value axes, int64_t rank) {
  if (!axes)
    return {};
  Type i64 = node.builder().getI64Type();
  Value zeros = node.full(node.constant({rank}), 0, i64);
  Value ones = node.full(node.shapeOf(axes), 1, i64);
  if (!zeros || !ones)
    return {};
  auto op = node.create<graph::ScatterElementsOp>(node.likeOf(zeros), zeros, axes, ones, 0,
                                                  graph::ScatterReduction::none);
  return op ? Value(op.getResult()) : Value();
}

Value lathe::import::reduceMasked(Node &node, graph::ReduceKind kind, Value x, Value mask) {
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || !mask)
    return {};
  Value sizes = node.shapeOf(x), one = integer(node, 1), isReduced = isSet(node, mask);
  Value kept = node.select(isReduced, one, sizes), reduced = node.select(isReduced, sizes, one);
  Value pairs = node.concat({node.unsqueeze(kept, {1}), node.unsqueeze(reduced, {1})}, 1);
  Value split = reshapeTo(node, x, node.reshape(pairs, {2 * *rank}));
  Ints seconds;
  for (int64_t i = 0; i < *rank; ++i)
    seconds.push_back(2 * i + 1);
  return node.reduce(kind, split, seconds, /*keepDims=*/false);
}

/// For each dimension, how many before it are not set: where it goes when the others are left out.
static Value placesOfUnset(Node &node, Value mask) {
  Value unset = node.binary(BinaryKind::sub, integer(node, 1), mask);
  if (!unset)
    return {};
  auto op = node.create<graph::CumulativeOp>(node.likeOf(unset), graph::ReduceKind::sum, unset, 0,
                                             /*exclusive=*/true, /*reverse=*/false);
  return op ? Value(op.getResult()) : Value();
}

Value lathe::import::squeezeMasked(Node &node, Value x, Value mask, int64_t count) {
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank || !mask)
    return {};
  int64_t left = *rank - count;
  if (left < 0) {
    node.error() << node.opType() << " has " << count << " axes for a tensor of rank " << *rank;
    return {};
  }
  if (left == 0)
    return node.reshape(x, Ints());
  // Each remaining dimension sums the sizes that go to its place: one of them.
  Type i64 = node.builder().getI64Type();
  Value zero = integer(node, 0), sizes = node.select(isSet(node, mask), zero, node.shapeOf(x));
  Value place = node.unsqueeze(node.range(zero, integer(node, left), integer(node, 1)), {1});
  Value goesHere = node.binary(BinaryKind::equal, placesOfUnset(node, mask), place);
  Value chosen = node.select(goesHere, sizes, node.scalarInt(0, i64));
  Value shape = node.reduce(graph::ReduceKind::sum, chosen, Ints{1}, false);
  return reshapeTo(node, x, shape);
}

Value lathe::import::unsqueezeMasked(Node &node, Value x, Value mask, int64_t rank) {
  std::optional<int64_t> given = node.requireRank(x, "input 0");
  if (!given || !mask)
    return {};
  if (*given == 0)
    return node.reshape(x, Ints(rank, 1));
  // New dimensions after the last one have no place among the given ones.
  Value place = node.binary(BinaryKind::min, placesOfUnset(node, mask), integer(node, *given - 1));
  Value sizes = node.gather(node.shapeOf(x), place, 0);
  return reshapeTo(node, x, node.select(isSet(node, mask), integer(node, 1), sizes));
}

Value lathe::import::splitAtAxis(Node &node, Value x, Value axis) {
  std::optional<int64_t> rank = node.requireRank(x, "an operand");
  if (!rank || !axis)
    return {};
  Value sizes = node.shapeOf(x), one = integer(node, 1), zero = integer(node, 0);
  Value dims = node.range(zero, integer(node, *rank), one);
  Value negative = node.binary(BinaryKind::less, axis, zero);
  Value at = node.select(negative, node.binary(BinaryKind::add, axis, integer(node, *rank)), axis);
  auto product = [&](BinaryKind which) {
    Value among = node.binary(which, dims, at);
    return node.reduce(graph::ReduceKind::prod, node.select(among, sizes, one), Ints{0}, true);
  };
  // The gather fails for an axis out of range.
  Value size = node.gather(sizes, axis, 0);
  Value shape = node.concat({product(BinaryKind::less), size, product(BinaryKind::greater)}, 0);
  return reshapeTo(node, x, shape);
}
