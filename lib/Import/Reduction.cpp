// Reductions, searches for extremes, running sums.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/RunTimeAxes.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::ReduceKind;

/// Over axes that only the run knows.
static Value reduceAtRunTime(Node &node, ReduceKind kind, Value x, bool keepDims,
                             bool noopWithoutAxes) {
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  Value axes = runTimeAxes(node, 1), mask = axes && rank ? axisMask(node, axes, *rank) : Value();
  if (!mask)
    return {};
  bool mayBeEmpty = cast<RankedTensorType>(axes.getType()).isDynamicDim(0);
  if (mayBeEmpty && !noopWithoutAxes) {
    // No axes at all mean all of them.
    Type i64 = node.builder().getI64Type();
    Value isEmpty = node.binary(BinaryKind::equal, node.shapeOf(axes), node.scalarInt(0, i64));
    mask = node.binary(BinaryKind::max, mask, node.cast(isEmpty, i64));
  }
  Value reduced = reduceMasked(node, kind, x, mask);
  if (keepDims || !reduced)
    return reduced;
  std::optional<int64_t> count = axisCount(node, axes);
  return count ? squeezeMasked(node, reduced, mask, *count) : Value();
}

template <ReduceKind kind, int axesInputSince> static LogicalResult importReduce(Node &node) {
  Value x = node.input(0);
  bool keepDims = node.flag("keepdims", true);
  bool noopWithoutAxes = node.flag("noop_with_empty_axes");
  std::optional<Ints> axes;
  bool atRunTime = false;
  if (node.version() < axesInputSince) {
    axes = node.intsAttribute("axes");
  } else if (node.hasInput(1)) {
    axes = node.knownInts(1);
    auto type = dyn_cast<RankedTensorType>(node.input(1).getType());
    if (type && type.hasStaticShape() && type.getNumElements() == 0)
      axes = Ints();
    atRunTime = !axes;
  }
  if (!axes || axes->empty()) {
    axes = std::nullopt;
    // Without axes the data still passes through the function of one element.
    if (noopWithoutAxes)
      axes = Ints();
  } else {
    axes = node.axes(*axes, Node::rankOf(x));
  }
  if (node.hasFailed())
    return failure();
  auto reduce = [&](Value data) {
    return atRunTime ? reduceAtRunTime(node, kind, data, keepDims, noopWithoutAxes)
                     : node.reduce(kind, data, axes, keepDims);
  };
  if (Node::elementOf(x).isInteger(1)) {
    // max and min of bools are those of the numbers 0 and 1; of none, the least is 0 if unsigned.
    Value reduced = reduce(node.cast(x, node.builder().getIntegerType(8, /*isSigned=*/false)));
    return node.result(node.cast(reduced, node.builder().getI1Type()));
  }
  return node.result(reduce(x));
}

/// Pooling over all spatial dimensions.
template <ReduceKind kind> static LogicalResult importGlobalPool(Node &node) {
  Value x = node.input(0);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  if (*rank < 2)
    return node.error() << "input 0 of " << node.opType() << " has rank " << *rank
                        << ", it takes 2 or more";
  Ints axes = llvm::to_vector(llvm::seq<int64_t>(2, *rank));
  return node.result(axes.empty() ? x : node.reduce(kind, x, axes, true));
}

static LogicalResult importGlobalLpPool(Node &node) {
  double p = node.version() == 1 ? node.floatAttribute("p", 2) : node.intAttribute("p", 2);
  if (p == 1)
    return importGlobalPool<ReduceKind::l1>(node);
  if (p == 2)
    return importGlobalPool<ReduceKind::l2>(node);
  if (node.hasFailed())
    return failure();
  if (!(p > 0))
    return node.error() << "attribute 'p' of GlobalLpPool is " << p << ", it must be positive";
  // The p-th root of the sum of p-th powers.
  Value x = node.input(0);
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!rank)
    return failure();
  Value powers = node.binary(BinaryKind::pow, node.unary(graph::UnaryKind::abs, x), p);
  Ints axes = llvm::to_vector(llvm::seq<int64_t>(2, std::max<int64_t>(*rank, 2)));
  Value sum = axes.empty() ? powers : node.reduce(ReduceKind::sum, powers, axes, true);
  return node.result(node.binary(BinaryKind::pow, sum, 1 / p));
}

template <bool smallest> static LogicalResult importArg(Node &node) {
  Value x = node.input(0);
  int64_t axis = node.axis(node.intAttribute("axis", 0), Node::rankOf(x));
  bool keepDims = node.flag("keepdims", true), last = node.flag("select_last_index");
  if (node.hasFailed())
    return failure();
  auto op = node.create<graph::ArgReduceOp>(node.tensorOf(node.builder().getI64Type()), x, smallest,
                                            axis, keepDims, last);
  return op ? node.result(op.getResult()) : failure();
}

template <ReduceKind kind> static LogicalResult importCumulative(Node &node) {
  Value x = node.input(0);
  bool exclusive = node.flag("exclusive"), reverse = node.flag("reverse");
  auto along = [&](int64_t axis) -> Value {
    auto op = node.create<graph::CumulativeOp>(node.likeOf(x), kind, x, axis, exclusive, reverse);
    return op ? Value(op.getResult()) : Value();
  };
  std::optional<int64_t> rank = Node::rankOf(x);
  if (std::optional<Ints> axes = node.knownInts(1)) {
    if (axes->size() != 1)
      return node.error() << "input 1 of " << node.opType() << " has " << axes->size()
                          << " elements, it takes one axis";
    int64_t axis = node.axis(axes->front(), rank);
    return node.hasFailed() ? failure() : node.result(along(axis));
  }
  // An axis that is known only when running: all of them are computed, and one is chosen.
  if (!node.requireRank(x, "input 0"))
    return failure();
  Type i64 = node.builder().getI64Type();
  Value axis = node.cast(node.input(1), i64), result = x;
  if (Node::rankOf(axis) == 1)
    axis = node.squeeze(axis, {0});
  // Looked up, a negative one counts from the end, and one out of range ends the run.
  axis = node.gather(node.constant(llvm::to_vector(llvm::seq<int64_t>(0, *rank))), axis, 0);
  for (int64_t i = 0; i < *rank; ++i) {
    Value isAxis = node.binary(BinaryKind::equal, axis, node.scalarInt(i, i64));
    result = node.select(isAxis, along(i), result);
  }
  return node.result(result);
}

ArrayRef<Operator> lathe::import::reductionOperators() {
  static constexpr const char *axesLimit = "without keepdims the number of axes must be known";
  static const Operator operators[] = {
      {"ReduceSum", {1, 11, 13}, 1, 2, importReduce<ReduceKind::sum, 13>, kNumbers, axesLimit},
      {"ReduceMean",
       {1, 11, 13, 18},
       1,
       2,
       importReduce<ReduceKind::mean, 18>,
       kNumbers,
       axesLimit},
      {"ReduceProd",
       {1, 11, 13, 18},
       1,
       2,
       importReduce<ReduceKind::prod, 18>,
       kNumbers,
       axesLimit},
      {"ReduceMax",
       {1, 11, 12, 13, 18, 20},
       1,
       2,
       importReduce<ReduceKind::max, 18>,
       kNumbers | kBool,
       axesLimit},
      {"ReduceMin",
       {1, 11, 12, 13, 18, 20},
       1,
       2,
       importReduce<ReduceKind::min, 18>,
       kNumbers | kBool,
       axesLimit},
      {"ReduceL1", {1, 11, 13, 18}, 1, 2, importReduce<ReduceKind::l1, 18>, kNumbers, axesLimit},
      {"ReduceL2", {1, 11, 13, 18}, 1, 2, importReduce<ReduceKind::l2, 18>, kNumbers, axesLimit},
      {"ReduceLogSum",
       {1, 11, 13, 18, 28},
       1,
       2,
       importReduce<ReduceKind::log_sum, 18>,
       kNumbers,
       axesLimit},
      {"ReduceLogSumExp",
       {1, 11, 13, 18, 28},
       1,
       2,
       importReduce<ReduceKind::log_sum_exp, 18>,
       kNumbers,
       axesLimit},
      {"ReduceSumSquare",
       {1, 11, 13, 18},
       1,
       2,
       importReduce<ReduceKind::sum_square, 18>,
       kNumbers,
       axesLimit},
      {"GlobalAveragePool", {1, 22}, 1, 1, importGlobalPool<ReduceKind::mean>, kFloats},
      {"GlobalMaxPool", {1, 22}, 1, 1, importGlobalPool<ReduceKind::max>, kFloats},
      {"GlobalLpPool", {1, 2, 22}, 1, 1, importGlobalLpPool, kFloats},
      {"ArgMax", {1, 11, 12, 13}, 1, 1, importArg<false>, kNumbers},
      {"ArgMin", {1, 11, 12, 13}, 1, 1, importArg<true>, kNumbers},
      {"CumSum", {11, 14}, 2, 2, importCumulative<ReduceKind::sum>, kNumbers},
      {"CumProd", {26}, 2, 2, importCumulative<ReduceKind::prod>, kNumbers},
  };
  return operators;
}
