// Pooling over windows.
// Apache-2.0 WITH LLVM-exception
#include "lib/Import/Operators.h"
#include "lib/Import/Windows.h"

using namespace mlir;
using namespace lathe;
using namespace lathe::import;
using graph::BinaryKind;
using graph::PoolKind;

graph::PoolOp lathe::import::buildPool(Node &node, PoolKind kind, Value x, bool channelsLast) {
  std::optional<Ints> kernel = node.intsAttribute("kernel_shape");
  if (!kernel) {
    if (!node.hasFailed())
      node.error() << node.opType() << " has no attribute 'kernel_shape'";
    return {};
  }
  int64_t spatial = kernel->size();
  if (std::optional<int64_t> rank = Node::rankOf(x); rank && *rank != spatial + 2) {
    node.error() << "attribute 'kernel_shape' of " << node.opType() << " has " << spatial
                 << " values, the input has " << std::max<int64_t>(*rank - 2, 0)
                 << " spatial dimensions";
    return {};
  }
  kernel = readSizes(node, "kernel_shape", spatial, 1);
  std::optional<Windows> windows = readWindows(node, spatial);
  bool ceilMode = node.flag("ceil_mode"), countPads = false, columnMajor = false;
  int64_t p = 2;
  if (kind == PoolKind::average)
    countPads = node.flag("count_include_pad");
  if (kind == PoolKind::max)
    columnMajor = node.flag("storage_order");
  if (kind == PoolKind::lp) {
    if (node.version() == 1) {
      double real = node.floatAttribute("p", 2);
      p = static_cast<int64_t>(std::clamp(real, -1.0, 1e6));
      if (p != real)
        node.error() << "attribute 'p' of LpPool is " << real << ", whole numbers are supported";
    } else {
      p = node.intAttribute("p", 2);
    }
    if (p < 1 && !node.hasFailed())
      node.error() << "attribute 'p' of LpPool is " << p << ", it must be positive";
  }
  if (!x || !kernel || !windows || node.hasFailed())
    return {};
  OpBuilder &builder = node.builder();
  Type indices =
      node.wantsOutput(1) && kind == PoolKind::max ? node.tensorOf(builder.getI64Type()) : Type();
  return node.create<graph::PoolOp>(node.likeOf(x), indices, kind, x, *kernel, windows->strides,
                                    windows->pads, windows->dilations, windows->autoPad, ceilMode,
                                    countPads, p, columnMajor, channelsLast);
}

template <PoolKind kind> static LogicalResult importPool(Node &node) {
  graph::PoolOp op = buildPool(node, kind, node.input(0));
  if (!op)
    return failure();
  if (op.getIndices())
    node.setResult(1, op.getIndices());
  return node.result(op.getResult());
}

/// MaxUnpool: scatter the values at flat positions into zeros of the larger shape.
static LogicalResult importMaxUnpool(Node &node) {
  Value x = node.input(0), indices = node.input(1), shape = node.input(2);
  std::optional<Ints> kernel = node.intsAttribute("kernel_shape");
  std::optional<int64_t> rank = node.requireRank(x, "input 0");
  if (!kernel || !rank)
    return node.hasFailed() ? failure()
                            : LogicalResult(node.error() << "MaxUnpool has no attribute "
                                                         << "'kernel_shape'");
  int64_t spatial = kernel->size();
  std::optional<Windows> windows = readWindows(node, spatial);
  kernel = readSizes(node, "kernel_shape", spatial, 1);
  if (!windows || !kernel)
    return failure();
  if (*rank != spatial + 2)
    return node.error() << "attribute 'kernel_shape' of MaxUnpool has " << spatial
                        << " values, the input has rank " << *rank;
  // (size - 1) * stride - pads + kernel in every spatial dimension.
  Ints factor(2, 1), offset(2, 0);
  for (int64_t i = 0; i < spatial; ++i) {
    factor.push_back(windows->strides[i]);
    offset.push_back((*kernel)[i] - windows->strides[i] - windows->pads[i] -
                     windows->pads[spatial + i]);
  }
  Value least = node.binary(BinaryKind::add,
                            node.binary(BinaryKind::mul, node.shapeOf(x), node.constant(factor)),
                            node.constant(offset));
  // Positions count in the least shape that pooling could have had. A given shape adds to its ends.
  Value size = node.reduce(graph::ReduceKind::prod, least, Ints{0}, true);
  Value zeros = node.full(size, 0, Node::elementOf(x));
  Value flatX = node.reshape(x, {-1}),
        flatIndices = node.requireRange(node.reshape(indices, {-1}), "an index");
  if (!zeros || !flatX || !flatIndices)
    return failure();
  auto op = node.create<graph::ScatterElementsOp>(node.likeOf(x), zeros, flatIndices, flatX, 0,
                                                  graph::ScatterReduction::none);
  Value result = op ? node.reshape(op.getResult(), least) : Value();
  if (!shape || !result)
    return node.result(result);
  Value wanted = node.cast(shape, node.builder().getI64Type());
  Value pads = node.concat(
      {node.constant(Ints(*rank, 0)), node.binary(BinaryKind::sub, wanted, node.shapeOf(result))},
      0);
  if (!pads)
    return failure();
  auto padded = node.create<graph::PadOp>(node.likeOf(x), result, pads, Value(), Value(),
                                          graph::PadMode::constant);
  return padded ? node.result(padded.getResult()) : failure();
}

ArrayRef<Operator> lathe::import::poolOperators() {
  static const Operator operators[] = {
      {"MaxPool",
       {1, 8, 10, 11, 12, 22},
       1,
       1,
       importPool<PoolKind::max>,
       kFloats | kSigned | kUnsigned},
      {"AveragePool", {1, 7, 10, 11, 19, 22}, 1, 1, importPool<PoolKind::average>, kFloats},
      {"LpPool", {1, 2, 11, 18, 22}, 1, 1, importPool<PoolKind::lp>, kFloats},
      {"MaxUnpool", {9, 11, 22}, 2, 3, importMaxUnpool, kFloats},
  };
  return operators;
}
